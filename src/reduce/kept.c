/* SPDX-License-Identifier: MIT */
/* See kept.h. Names and shapes are those that features.c reads: tokens [n, d], q, k, v [n, heads, head_dim], k_mean
 * [n, head_dim], cls_row and col_mean [n], each with its layer; prefix.NAME [slots, p, width]; grid_thw [media, 3]. */
#include "reduce/kept.h"

#include <stdio.h>
#include <string.h>

/* ---- plan ------------------------------------------------------------------------------------------------------ */

static int check_sites(const pare__recipe *r, pare_error *err)
{
    for (int32_t i = 0; i < r->n; i++)
        if (r->step[i].site != PARE__SITE_OUTPUT)
            return pare_fail(err, PARE_E_INVALID,
                             "capture: step '%s' acts at '%s', only steps at 'output' can come later",
                             r->step[i].sel->name, pare__site_name(r->step[i].site));
    return 0;
}

/* The reducer's own recipe: whatever it removed would be missing. */
static int check_own(const pare__recipe *r, pare_error *err)
{
    const pare__selector *none = pare__selector_find("none");
    for (int32_t i = 0; i < r->n; i++)
        if (r->step[i].sel != none)
            return pare_fail(err, PARE_E_INVALID, "capture: the reducer's own recipe must be 'none', not '%s'",
                             r->step[i].sel->name);
    return 0;
}

/* A budget that keeps everything suits recipes with amounts of their own and recipes without. */
static int plan_one(pare__kept *kept, const pare_model *model, const char *text, pare__plan *plan, pare_error *err)
{
    static const pare__rate all = {.kind = PARE__RATE_KEEP, .keep = 1};
    pare__recipe recipe;
    pare__plan own;
    int rc = pare__recipe_parse(&recipe, text, err);
    if (!rc) rc = check_sites(&recipe, err);
    if (!rc) rc = pare__plan_make(&own, &recipe, model, &all, err);
    for (int32_t b = 0; !rc && b < model->hp.n_layer; b++) {
        plan->encode.want[b] |= own.encode.hold[b];
        plan->encode.hold[b] |= own.encode.hold[b];
    }
    for (int32_t i = 0; !rc && i < recipe.n; i++) kept->has_pixels |= own.step[i].wants_pixels;
    pare__recipe_fini(&recipe);
    return rc;
}

/* Keys without their mean make two arrays when they are read again. */
static int check_count(const pare__plan *plan, pare_error *err)
{
    int32_t n = 0;
    for (int32_t b = 0; b < plan->n_layer; b++) {
        for (uint32_t bit = 1; bit < 1u << PARE__WANT_COUNT; bit <<= 1) n += (plan->encode.hold[b] & bit) != 0;
        n += (plan->encode.hold[b] & PARE__WANT_K) && !(plan->encode.hold[b] & PARE__WANT_K_MEAN);
    }
    if (n <= PARE__MAX_ARRAYS) return 0;
    return pare_fail(err, PARE_E_LIMIT, "capture: the recipes read %d arrays of the encoder, at most %d", n,
                     PARE__MAX_ARRAYS);
}

int pare__kept_plan(pare__kept *kept, const pare_model *model, const pare_reducer_opts *opts, pare__plan *plan,
                    pare_error *err)
{
    *kept = (pare__kept){.is_on = opts->n_capture > 0};
    int rc = kept->is_on ? check_own(plan->recipe, err) : 0;
    for (int32_t i = 0; !rc && i < opts->n_capture; i++) {
        const char *text = opts->capture ? opts->capture[i] : NULL;
        rc = text ? plan_one(kept, model, text, plan, err)
                  : pare_fail(err, PARE_E_INVALID, "capture: recipe %d of %d is missing", i, opts->n_capture);
    }
    return rc ? rc : check_count(plan, err);
}

/* ---- features -------------------------------------------------------------------------------------------------- */

enum { MAX_FEATURES = 2 * PARE__MAX_ARRAYS + 24, NAME = 32, LINE = PARE__ALIGN };

typedef enum { PLAIN, ROWS, DEEP, GRIDS, PICTURES, NUMBERS } filling;

/* A feature before its memory exists. */
typedef struct feature {
    pare_tensor t;
    char name[NAME];
    filling how;
    const void *from;
    int32_t number[3]; /* NUMBERS */
} feature;

typedef struct list {
    feature f[MAX_FEATURES];
    int32_t n;
} list;

static feature *add(list *l, const char *prefix, const char *name, int32_t layer, int32_t dtype, filling how)
{
    feature *f = &l->f[l->n++];
    *f = (feature){.t = {.dtype = dtype}, .how = how};
    const int n = snprintf(f->name, sizeof f->name, "%s%s", prefix, name);
    if (layer >= 0) snprintf(f->name + n, sizeof f->name - (size_t)n, ".%d", layer);
    return f;
}

static void axis(feature *f, int64_t length) { f->t.shape[f->t.n_dim++] = length; }

/* Rows of units [n, width], or of heads [n, n_head, width / n_head]. */
static void add_rows(list *l, const char *name, int32_t layer, int64_t n, int64_t width, int64_t n_head,
                     const float *data)
{
    feature *f = add(l, "", name, layer, PARE_F32, ROWS);
    f->from = data;
    axis(f, n);
    if (n_head > 1) axis(f, n_head);
    if (width > 1 || n_head > 1 || layer < 0) axis(f, width / n_head);
}

static void add_prefix(list *l, const char *name, int32_t layer, const pare__kept_window *w, int64_t width,
                       const float *data)
{
    feature *f = add(l, "prefix.", name, layer, PARE_F32, PLAIN);
    f->from = data;
    axis(f, w->rows->n_frame);
    axis(f, w->ctx->n_prefix);
    axis(f, width);
}

static void add_arrays(list *l, const pare__kept_window *w, int64_t n)
{
    const pare__rows *rows = w->rows;
    add_rows(l, "tokens", -1, n, rows->d, 1, rows->x);
    if (rows->x_prefix) add_prefix(l, "tokens", -1, w, rows->d, rows->x_prefix);
    for (int32_t i = 0; i < rows->n_array; i++) {
        const pare__view_array *a = &rows->array[i];
        const char *name = pare__array_name(a->need.array);
        const int has_heads =
            a->need.array == PARE__ARRAY_Q || a->need.array == PARE__ARRAY_K || a->need.array == PARE__ARRAY_V;
        add_rows(l, name, a->need.layer, n, a->width, has_heads ? w->ctx->n_head : 1, a->data);
        if (rows->has_prefix[i]) add_prefix(l, name, a->need.layer, w, a->width, a->prefix);
    }
}

/* Rows of every tap, which follow the tokens: [taps, n, d]. */
static void add_deepstack(list *l, const pare__kept_window *w, int64_t n)
{
    if (!w->rows->n_deep) return;
    feature *f = add(l, "", "deepstack", -1, PARE_F32, DEEP);
    axis(f, w->rows->n_deep);
    axis(f, n);
    axis(f, w->rows->d);
}

static void add_numbers(list *l, const char *name, int32_t n, const int32_t number[3])
{
    feature *f = add(l, "", name, -1, PARE_I32, NUMBERS);
    axis(f, n);
    memcpy(f->number, number, sizeof f->number);
}

/* Does slot i begin a row of grid_thw: a clip, a photo, a tile? */
static int begins_grid(const pare_slot *slot, int32_t i)
{
    return i == 0 || slot[i].media != slot[i - 1].media || slot[i].tile != slot[i - 1].tile;
}

/* Where the whole picture stands among its tiles: 0 before them, 1 behind them, -1 nowhere. */
static int32_t whole_at(const pare_slot *slot, int32_t per_picture)
{
    return slot[0].tile == 0 ? 0 : slot[per_picture - 1].tile == 0 ? 1 : -1;
}

static void add_geometry(list *l, const pare__kept_window *w)
{
    const pare_slot *slot = w->ctx->slot;
    int64_t n = 0;
    for (int32_t i = 0; i < w->rows->n_frame; i++) n += begins_grid(slot, i);
    feature *f = add(l, "", "grid_thw", -1, PARE_I32, GRIDS);
    axis(f, n);
    axis(f, 3);
    const pare__context *c = w->ctx;
    if (c->per_picture > 1)
        add_numbers(l, "tiles", 3, (int32_t[3]){slot->tile_rows, slot->tile_cols, whole_at(slot, c->per_picture)});
    add_numbers(l, "n_layer", 1, (int32_t[3]){c->n_layer});
    if (c->n_run < c->n_layer) add_numbers(l, "n_run", 1, (int32_t[3]){c->n_run});
    if (c->n_prefix > 0 && c->no_cls) add_numbers(l, "no_cls", 1, (int32_t[3]){1});
    if (c->clip_pool > 1) add_numbers(l, "clip_pool", 1, (int32_t[3]){c->clip_pool});
}

/* What the caller gave, and the pictures. */
static void add_rest(list *l, const pare__kept_window *w, int64_t n)
{
    const struct {
        const char *name;
        int32_t dtype;
        const void *from;
        int64_t rows, width;
    } given[] = {{"scores", PARE_F32, w->ctx->given, n, 0},
                 {"mask", PARE_U8, w->ctx->mask, n, 0},
                 {"text_query", PARE_F32, w->ctx->text, w->ctx->n_text, w->ctx->d_text}};
    for (size_t i = 0; i < sizeof given / sizeof given[0]; i++) {
        if (!given[i].from) continue;
        feature *f = add(l, "", given[i].name, -1, given[i].dtype, PLAIN);
        f->from = given[i].from;
        axis(f, given[i].rows);
        if (given[i].width) axis(f, given[i].width);
    }
    if (!w->kept->has_pixels) return;
    feature *f = add(l, "", "pixels", -1, PARE_U8, PICTURES);
    axis(f, (int64_t)w->rows->n_frame * w->px->temporal);
    axis(f, (int64_t)w->ctx->grid_h * w->px->patch);
    axis(f, (int64_t)w->ctx->grid_w * w->px->patch);
    axis(f, 3);
}

/* ---- copies ---------------------------------------------------------------------------------------------------- */

static int64_t bytes_of(const pare_tensor *t)
{
    int64_t n = t->dtype == PARE_U8 ? 1 : 4;
    for (int32_t i = 0; i < t->n_dim; i++) n *= t->shape[i];
    return n;
}

/* Every row of `size` bytes to its unit of n; units that were never encoded are 0. */
static void fill_rows(const pare__rows *rows, const void *from, int64_t n, int64_t size, char *to)
{
    if (rows->n == n) {
        memcpy(to, from, (size_t)(n * size));
        return;
    }
    memset(to, 0, (size_t)(n * size));
    for (int64_t i = 0; i < rows->n; i++)
        memcpy(to + rows->total.m.anchor[i] * size, (const char *)from + i * size, (size_t)size);
}

static void fill_deepstack(const pare__rows *rows, const feature *f, char *to)
{
    const int64_t n = f->t.shape[1], size = f->t.shape[2] * (int64_t)sizeof(float);
    for (int32_t i = 0; i < rows->n_deep; i++) fill_rows(rows, rows->deep[i], n, size, to + i * n * size);
}

static void fill_grids(const pare__kept_window *w, int32_t *to)
{
    const pare_slot *slot = w->ctx->slot;
    to -= 3;
    for (int32_t i = 0; i < w->rows->n_frame; i++) {
        if (begins_grid(slot, i)) {
            to += 3;
            to[0] = 0;
            to[1] = slot[i].grid_h;
            to[2] = slot[i].grid_w;
        }
        to[0]++;
    }
}

static void fill_pictures(const pare__kept_window *w, const feature *f, char *to)
{
    const int64_t n = f->t.shape[0], size = bytes_of(&f->t) / n;
    for (int64_t i = 0; i < n; i++) memcpy(to + i * size, w->px->frame[i], (size_t)size);
}

static void fill(const pare__kept_window *w, const feature *f, char *to)
{
    switch (f->how) {
    case PLAIN:
        memcpy(to, f->from, (size_t)bytes_of(&f->t));
        break;
    case ROWS:
        fill_rows(w->rows, f->from, f->t.shape[0], bytes_of(&f->t) / f->t.shape[0], to);
        break;
    case DEEP:
        fill_deepstack(w->rows, f, to);
        break;
    case GRIDS:
        fill_grids(w, (int32_t *)(void *)to);
        break;
    case PICTURES:
        fill_pictures(w, f, to);
        break;
    case NUMBERS:
        memcpy(to, f->number, (size_t)bytes_of(&f->t));
        break;
    }
}

static int64_t lines(int64_t bytes) { return (bytes + LINE - 1) / LINE * LINE; }

/* One block: tensors, names, data. */
static int copy(pare__kept_features *out, const pare__kept_window *w, const list *l)
{
    const int64_t head = lines(l->n * (int64_t)sizeof(pare_tensor));
    int64_t total = head + lines((int64_t)l->n * NAME);
    for (int32_t i = 0; i < l->n; i++) total += lines(bytes_of(&l->f[i].t));
    char *block = pare__malloc(total, 1);
    if (!block) return PARE_E_NOMEM;
    char *name = block + head, *data = name + lines((int64_t)l->n * NAME);
    *out = (pare__kept_features){.t = (pare_tensor *)(void *)block, .n = l->n};
    for (int32_t i = 0; i < l->n; i++, name += NAME) {
        memcpy(name, l->f[i].name, NAME);
        out->t[i] = l->f[i].t;
        out->t[i].name = name;
        out->t[i].data = data;
        fill(w, &l->f[i], data);
        data += lines(bytes_of(&l->f[i].t));
    }
    return 0;
}

void pare__kept_give(pare__kept_features *from, pare_result *result)
{
    result->view.features = result->feature = from->t;
    result->view.n_features = from->n;
    *from = (pare__kept_features){0};
}

void pare__kept_drop(pare__kept_features *from)
{
    pare__free(from->t);
    *from = (pare__kept_features){0};
}

int pare__kept_take(const pare__kept_window *w, pare__kept_features *out)
{
    pare__kept_drop(out);
    if (!w->kept->is_on) return 0;
    const int64_t n = w->rows->total.m.n_in;
    list *l = PARE__ARENA(w->ctx->arena, list, 1);
    if (!l) return PARE_E_NOMEM;
    l->n = 0;
    add_arrays(l, w, n);
    add_deepstack(l, w, n);
    add_geometry(l, w);
    add_rest(l, w, n);
    return copy(out, w, l);
}
