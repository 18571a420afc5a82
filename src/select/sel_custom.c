/* SPDX-License-Identifier: MIT */
/* The caller's own selector as a step: shows it the view (pare_custom_view) and takes the rows that it leaves
 * (pare_selection). `custom` sees one slot at a time, `custom-window` all slots of a window. -> any map
 *
 *     needs = array{/array}   array = name[.LAYER], names of pare__array_name; "none" = places and sizes alone */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "select/pick.h"
#include "select/selection.h"
#include "select/selector.h"

#define LAYER_NOT_GIVEN INT32_MAX

typedef struct custom {
    char needs[PARE__OPTION_TEXT];
    pare__need need[PARE__MAX_NEEDS];
    int32_t n_need; /* -1 = the site's default */
} custom;

static const pare__option options[] = {
    PARE__OPTION_STRING(
        custom, needs,
        "arrays shown to the selector: tokens/k.-1/cls_row.-2, or none (default: pixels at patches, else tokens)", ""),
    {0},
};

/* ---- needs= ---------------------------------------------------------------------------------------------------- */

/* Arrays that pare_custom_view can show. */
static int is_offered(pare__array a) { return a != PARE__ARRAY_TEXT_QUERY && a != PARE__ARRAY_MOTION; }

static int unknown_array(const char *word, size_t n, pare_error *err)
{
    const char *names[PARE__ARRAY_COUNT];
    char given[PARE__OPTION_TEXT];
    int32_t count = 0;
    for (int32_t i = 0; i < PARE__ARRAY_COUNT; i++)
        if (is_offered((pare__array)i)) names[count++] = pare__array_name((pare__array)i);
    memcpy(given, word, n);
    given[n] = '\0';
    const char *near = pare__nearest(given, names, count);
    return near ? pare_fail(err, PARE_E_INVALID, "needs=: no array '%s'; did you mean '%s'?", given, near)
                : pare_fail(err, PARE_E_INVALID,
                            "needs=: no array '%s'; there are tokens, q, k, v, k_mean, cls_row, col_mean, scores, "
                            "pixels",
                            given);
}

/* name[.LAYER], n bytes */
static int parse_need(const char *word, size_t n, pare__need *out, pare_error *err)
{
    char layer[PARE__OPTION_TEXT] = "";
    const char *dot = memchr(word, '.', n);
    const size_t n_name = dot ? (size_t)(dot - word) : n;
    int64_t l = LAYER_NOT_GIVEN;
    int32_t a = 0;
    for (; a < PARE__ARRAY_COUNT; a++) {
        const char *name = pare__array_name((pare__array)a);
        if (is_offered((pare__array)a) && strlen(name) == n_name && !memcmp(name, word, n_name)) break;
    }
    if (a == PARE__ARRAY_COUNT) return unknown_array(word, n_name, err);
    if (dot) {
        memcpy(layer, dot + 1, n - n_name - 1);
        if (pare__parse_int(layer, &l) || l < -PARE__MAX_BLOCKS || l >= PARE__MAX_BLOCKS)
            return pare_fail(err, PARE_E_INVALID, "needs=: '%s' in '%.*s' is not the number of a block", layer, (int)n,
                             word);
    }
    *out = (pare__need){(pare__array)a, (int32_t)l};
    return 0;
}

static int init(void *priv, pare_error *err)
{
    custom *c = priv;
    c->n_need = c->needs[0] ? 0 : -1;
    if (!c->needs[0] || !strcmp(c->needs, "none")) return 0;
    for (const char *word = c->needs; word; word = strchr(word, '/')) {
        word += *word == '/';
        if (c->n_need == PARE__MAX_NEEDS)
            return pare_fail(err, PARE_E_INVALID, "needs=: more than %d arrays", PARE__MAX_NEEDS);
        const int rc = parse_need(word, strcspn(word, "/"), &c->need[c->n_need], err);
        if (rc) return rc;
        c->n_need++;
    }
    return 0;
}

/* Tokens are those of the site; other arrays without a layer come from the block of the site, else from the last one. */
static int32_t default_layer(pare__array array, int32_t site)
{
    const int here = array == PARE__ARRAY_TOKENS || array == PARE__ARRAY_PIXELS || array == PARE__ARRAY_GIVEN;
    return here || site == PARE__SITE_BLOCK ? PARE__LAYER_HERE : -1;
}

static int needs(const void *priv, int32_t site, pare__need *need)
{
    const custom *c = priv;
    if (c->n_need < 0) {
        need[0] = (pare__need){site == PARE__SITE_PATCHES ? PARE__ARRAY_PIXELS : PARE__ARRAY_TOKENS, PARE__LAYER_HERE};
        return 1;
    }
    for (int32_t i = 0; i < c->n_need; i++) {
        need[i] = c->need[i];
        if (need[i].layer == LAYER_NOT_GIVEN) need[i].layer = default_layer(need[i].array, site);
    }
    return c->n_need;
}

/* ---- the view as the caller sees it ------------------------------------------------------------------------------ */

static const char *site_name(int32_t site)
{
    return site == PARE__SITE_PATCHES ? "patches" : site == PARE__SITE_BLOCK ? "block" : "output";
}

/* [n] numbers in the clip. Views made by hand know no origin: full grids of steps are counted then. */
static const int64_t *unit_numbers(const pare__view *v)
{
    int64_t *index = PARE__ARENA(v->arena, int64_t, v->n);
    if (!index) return NULL;
    for (int64_t i = 0; i < v->n; i++) {
        const int32_t *at = v->thw + 3 * i;
        index[i] =
            v->origin ? v->origin0 + v->origin[i] : ((int64_t)(v->t0 + at[0]) * v->grid_h + at[1]) * v->grid_w + at[2];
    }
    return index;
}

/* [n_frame] the view's slots, or steps of one clip. */
static const pare_slot *slots_of(const pare__view *v)
{
    if (v->slot) return v->slot;
    pare_slot *slot = PARE__ARENA(v->arena, pare_slot, v->n_frame);
    for (int32_t f = 0; slot && f < v->n_frame; f++)
        slot[f] = (pare_slot){.t = v->t0 + f, .tile_rows = 1, .tile_cols = 1, .grid_h = v->grid_h, .grid_w = v->grid_w};
    return slot;
}

static int show_array(const pare__view *v, const char *owner, pare__need need, pare_custom_array *out, pare_error *err)
{
    int32_t width = 1, layer = need.layer == PARE__LAYER_HERE ? v->block : need.layer;
    if (layer < 0 && need.layer != PARE__LAYER_HERE) layer += v->n_layer;
    if (need.array == PARE__ARRAY_TOKENS && need.layer == PARE__LAYER_HERE) layer = -1;
    const float *data =
        need.array == PARE__ARRAY_GIVEN ? v->given : pare__require(v, owner, need.array, need.layer, &width, err);
    if (!data && need.array == PARE__ARRAY_GIVEN)
        pare_fail(err, PARE_E_INVALID, "step '%s' needs the array 'scores' (--scores)", owner);
    if (!data) return PARE_E_INVALID;
    *out = (pare_custom_array){
        .name = pare__array_name(need.array), .layer = v->n_layer ? layer : -1, .width = width, .data = data};
    return 0;
}

static int show_arrays(const custom *c, const char *owner, const pare__view *v, pare_custom_view *out, pare_error *err)
{
    pare__need need[PARE__MAX_NEEDS];
    const int n_need = needs(c, v->site, need);
    pare_custom_array *array = PARE__ARENA(v->arena, pare_custom_array, PARE__MAX_NEEDS);
    if (!array) return PARE_E_NOMEM;
    out->array = array;
    for (int i = 0; i < n_need; i++) {
        if (need[i].array == PARE__ARRAY_PIXELS && !v->pixels)
            return pare_fail(err, PARE_E_INVALID, "step '%s' at '%s' needs pixels", owner, site_name(v->site));
        if (need[i].array == PARE__ARRAY_PIXELS) {
            out->frame = v->pixels->frame;
            out->temporal = v->pixels->temporal;
            out->frame_width = v->grid_w * v->pixels->patch;
            out->frame_height = v->grid_h * v->pixels->patch;
            continue;
        }
        const int rc = show_array(v, owner, need[i], &array[out->n_array], err);
        if (rc) return rc;
        out->n_array++;
    }
    return 0;
}

static int show(const custom *c, const char *owner, const pare__view *v, pare_custom_view *out, pare_error *err)
{
    *out = (pare_custom_view){.struct_size = sizeof *out,
                              .site = site_name(v->site),
                              .block = v->site == PARE__SITE_BLOCK ? v->block : -1,
                              .n_layer = v->n_layer,
                              .n = v->n,
                              .k = v->k,
                              .n_slot = v->n_frame,
                              .slot = slots_of(v),
                              .row_start = v->frame_start,
                              .slot_k = v->k_frame,
                              .place = v->thw,
                              .index = unit_numbers(v),
                              .sizes = v->size,
                              .seed = v->seed};
    return out->slot && out->index ? show_arrays(c, owner, v, out, err) : PARE_E_NOMEM;
}

/* ---- the step ---------------------------------------------------------------------------------------------------- */

static int ask(const custom *c, const char *owner, const pare__view *v, pare__map *map, pare_error *err)
{
    if (!v->custom || !v->custom->select)
        return pare_fail(err, PARE_E_INVALID, "step '%s' needs --selector-cmd or --map (pare_reducer_opts.custom)",
                         owner);
    pare_selection selection = {.map = map, .n = v->n, .score = v->score_out};
    pare_custom_view view;
    pare_error theirs = {0};
    int rc = show(c, owner, v, &view, err);
    if (rc) return rc;
    rc = v->custom->select(v->custom->user, &view, &selection, &theirs);
    if (rc > 0) rc = PARE_E_EXTERNAL;
    if (rc) pare_fail(err, rc, "%s", theirs.text[0] ? theirs.text : "the caller's selector failed and did not say why");
    return rc;
}

static int select_slot(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    return ask(priv, "custom", v, map, err);
}

static int select_window(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    return ask(priv, "custom-window", v, map, err);
}

const pare__selector pare__sel_custom = {
    .name = "custom",
    .summary = "the caller's own selector, one frame at a time",
    .cite = "ours; a program (--selector-cmd), a file (--map) or a function (pare_custom)",
    .sites = PARE__SITE_PATCHES | PARE__SITE_BLOCK | PARE__SITE_OUTPUT,
    .flags = PARE__VARIABLE_COUNT | PARE__MERGES | PARE__ORIGINAL,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(custom),
    .init = init,
    .needs = needs,
    .select = select_slot,
};

const pare__selector pare__sel_custom_window = {
    .name = "custom-window",
    .summary = "the caller's own selector, all frames of a window at once",
    .cite = "ours; a program (--selector-cmd), a file (--map) or a function (pare_custom)",
    .sites = PARE__SITE_PATCHES | PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW | PARE__VARIABLE_COUNT | PARE__MERGES | PARE__ORIGINAL,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(custom),
    .init = init,
    .needs = needs,
    .select = select_window,
};
