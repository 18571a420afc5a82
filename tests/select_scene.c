/* SPDX-License-Identifier: MIT */
/* See select_scene.h. */
#include "select_scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t picture_bytes(const scene *s) { return 3 * (int64_t)s->grid_h * s->patch * s->grid_w * s->patch; }

static void place_rows(scene *s)
{
    int64_t i = 0;
    for (int32_t t = 0; t < s->n_frame; t++) {
        s->frame_start[t] = i;
        for (int32_t y = 0; y < s->grid_h; y++) {
            for (int32_t x = 0; x < s->grid_w; x++, i++) {
                s->thw[3 * i] = t;
                s->thw[3 * i + 1] = y;
                s->thw[3 * i + 2] = x;
                s->size[i] = 1;
            }
        }
    }
    s->frame_start[s->n_frame] = i;
}

void scene_blank(scene *s, int32_t n_frame, int32_t grid_h, int32_t grid_w, int32_t d, int32_t patch, int32_t temporal)
{
    const int64_t n = (int64_t)n_frame * grid_h * grid_w;
    *s = (scene){.n_frame = n_frame,
                 .grid_h = grid_h,
                 .grid_w = grid_w,
                 .d = d,
                 .patch = patch,
                 .temporal = temporal,
                 .n = n,
                 .frame_start = PARE__NEW(int64_t, n_frame + 1),
                 .thw = PARE__NEW(int32_t, 3 * n),
                 .size = PARE__NEW(float, n),
                 .state = PARE__NEW(float, 4 * n + 1),
                 .n_head = 1,
                 .token = PARE__NEW(float, n *d),
                 .k_mean = PARE__NEW(float, n *d),
                 .attention = PARE__NEW(float, n),
                 .frame = PARE__NEW(uint8_t *, n_frame * temporal),
                 .score = PARE__NEW(float, n),
                 .score_out = PARE__NEW(float, n)};
    for (int32_t f = 0; f < n_frame * temporal; f++) s->frame[f] = PARE__NEW(uint8_t, picture_bytes(s));
    s->pixels = (pare__pixels){.patch = patch, .temporal = temporal, .std = {0.229f, 0.224f, 0.225f}};
    place_rows(s);
}

static void fill_noise(float *x, int64_t n, pare__rng *rng)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)pare__rng_unit(rng) - 0.5f;
}

void scene_make(scene *s, int32_t n_frame, int32_t grid_h, int32_t grid_w, uint64_t seed)
{
    scene_blank(s, n_frame, grid_h, grid_w, 16, 4, 1);
    pare__rng rng = pare__rng_make(seed, 0, 0);
    fill_noise(s->token, s->n * s->d, &rng);
    fill_noise(s->k_mean, s->n * s->d, &rng);
    fill_noise(s->attention, s->n, &rng);
    for (int32_t f = 0; f < n_frame; f++)
        for (int64_t i = 0; i < picture_bytes(s); i++) s->frame[f][i] = (uint8_t)pare__rng_below(&rng, 256);
}

void scene_free(scene *s)
{
    for (int32_t f = 0; f < s->n_frame * s->temporal; f++) pare__free(s->frame[f]);
    pare__free(s->frame_start);
    pare__free(s->thw);
    pare__free(s->size);
    pare__free(s->state);
    for (int32_t i = 0; i < s->n_own; i++) {
        pare__free((void *)(uintptr_t)s->own[i].data);
        pare__free((void *)(uintptr_t)s->own[i].prefix);
    }
    pare__free(s->token);
    pare__free(s->k_mean);
    pare__free(s->attention);
    pare__free(s->frame);
    pare__free(s->score);
    pare__free(s->score_out);
    pare__free(s->carry);
    pare__arena_fini(&s->arena);
}

void scene_thin(scene *s, const uint8_t *keep)
{
    int64_t m = 0;
    for (int32_t t = 0; t < s->n_frame; t++) {
        const int64_t first = s->frame_start[t];
        s->frame_start[t] = m;
        for (int64_t i = first; i < s->frame_start[t + 1]; i++) {
            if (!keep[i]) continue;
            memmove(s->thw + 3 * m, s->thw + 3 * i, 3 * sizeof *s->thw);
            memmove(s->token + m * s->d, s->token + i * s->d, (size_t)s->d * sizeof *s->token);
            memmove(s->k_mean + m * s->d, s->k_mean + i * s->d, (size_t)s->d * sizeof *s->k_mean);
            s->attention[m] = s->attention[i];
            s->size[m++] = s->size[i];
        }
    }
    s->frame_start[s->n_frame] = s->n = m;
}

pare__view_array *scene_add(scene *s, pare__array array, int32_t layer, int32_t width, int32_t prefix)
{
    const int64_t n_prefix = (int64_t)s->n_frame * prefix * width;
    s->own[s->n_own] = (pare__view_array){.need = {array, layer},
                                          .width = width,
                                          .data = PARE__NEW(float, s->n *width + 1),
                                          .prefix = n_prefix ? PARE__NEW(float, n_prefix) : NULL};
    return &s->own[s->n_own++];
}

void scene_rewind(scene *s)
{
    if (s->carry) memset(s->carry, 0, s->carry_size);
}

static void look_at_rows(scene *s, int32_t first, int32_t count, scene_view *o)
{
    const int64_t row = s->frame_start[first];
    pare__arena_clear(&s->arena);
    o->frame_start = PARE__ARENA(&s->arena, int64_t, count + 1);
    for (int32_t t = 0; t <= count; t++) o->frame_start[t] = s->frame_start[first + t] - row;
    const int64_t n = o->frame_start[count];
    o->thw = PARE__ARENA(&s->arena, int32_t, 3 * n + 1);
    for (int64_t i = 0; i < 3 * n; i++) o->thw[i] = s->thw[3 * row + i] - (i % 3 ? 0 : first);
    const pare__view_array built_in[] = {{{PARE__ARRAY_TOKENS, PARE__LAYER_HERE}, s->d, s->token + row * s->d, NULL},
                                         {{PARE__ARRAY_K_MEAN, 3}, s->d, s->k_mean + row * s->d, NULL},
                                         {{PARE__ARRAY_CLS_ROW, 10}, 1, s->attention + row, NULL},
                                         {{PARE__ARRAY_COL_MEAN, 10}, 1, s->attention + row, NULL}};
    int32_t m = 0;
    for (int32_t i = 0; i < s->n_own; i++) {
        const pare__view_array *a = &s->own[i];
        o->array[m] = *a;
        o->array[m++].data += row * a->width;
    }
    for (size_t i = 0; i < sizeof built_in / sizeof *built_in; i++) o->array[m++] = built_in[i];
    o->view.n_array = m;
}

/* The caller's selector of every scene: the first k rows, all where no amount is asked for. */
static int first_rows(void *user, const pare_custom_view *view, pare_selection *out, pare_error *err)
{
    (void)user, (void)err;
    int rc = 0;
    for (int64_t i = 0; !rc && i < (view->k < 0 ? view->n : view->k); i++) rc = pare_selection_keep(out, i);
    return rc;
}

static const pare_custom first_rows_selector = {.struct_size = sizeof(pare_custom), .select = first_rows};

void scene_look(scene *s, int32_t site, int32_t first, int32_t count, int32_t prefix, scene_view *o)
{
    const int64_t row = s->frame_start[first];
    look_at_rows(s, first, count, o);
    o->pixels = s->pixels;
    o->pixels.frame = (const uint8_t *const *)(void *)(s->frame + first * s->temporal);
    o->pixels.previous = first ? s->frame[first * s->temporal - 1] : NULL;
    const int32_t n_array = o->view.n_array;
    o->view = (pare__view){.site = site,
                           .block = site == PARE__SITE_BLOCK ? 3 : -1,
                           .n_block = 1,
                           .n = o->frame_start[count],
                           .d = s->d,
                           .n_frame = count,
                           .frame_start = o->frame_start,
                           .grid_h = s->grid_h,
                           .grid_w = s->grid_w,
                           .t0 = first,
                           .is_first = first == 0,
                           .n_prefix = prefix,
                           .thw = o->thw,
                           .size = s->size + row,
                           .n_head = s->n_head,
                           .slot = s->slot ? s->slot + first : NULL,
                           .given = s->given ? s->given + row : NULL,
                           .text = s->text,
                           .n_text = s->n_text,
                           .d_text = s->d_text,
                           .custom = s->custom ? s->custom : &first_rows_selector,
                           .k = -1,
                           .k_final = -1,
                           .state = s->state + 4 * row,
                           .array = o->array,
                           .n_array = n_array,
                           .n_layer = 12,
                           .pixels = site == PARE__SITE_PATCHES ? &o->pixels : NULL,
                           .seed = 7,
                           .arena = &s->arena,
                           .gemm = &pare__gemm_c,
                           .vec = pare__vec_best(),
                           .score_out = s->score_out};
}

int step_open(step *s, const char *name, const char *options, pare_error *err)
{
    *s = (step){.sel = pare__selector_find(name)};
    if (!s->sel) return pare_fail(err, PARE_E_NOTFOUND, "no selector '%s'", name);
    s->priv = pare__calloc(1, (int64_t)(s->sel->priv_size ? s->sel->priv_size : 1));
    if (s->sel->options) pare__option_defaults(s->sel->options, s->priv);
    char text[256];
    snprintf(text, sizeof text, "%s", options);
    for (char *save, *pair = strtok_r(text, ":", &save); pair; pair = strtok_r(NULL, ":", &save)) {
        char *value = strchr(pair, '=');
        if (!value) return pare_fail(err, PARE_E_INVALID, "'%s' is no key=value", pair);
        *value++ = '\0';
        const pare__option *o = pare__option_find(s->sel->options, pair);
        if (!o) return pare_fail(err, PARE_E_NOTFOUND, "no option '%s' of '%s'", pair, name);
        const int rc = pare__option_set(o, s->priv, name, value, err);
        if (rc) return rc;
    }
    return s->sel->init ? s->sel->init(s->priv, err) : 0;
}

void step_close(step *s)
{
    if (s->sel && s->sel->fini) s->sel->fini(s->priv);
    pare__free(s->priv);
}

static int fill_carry(const step *s, scene *sc, pare__view *v)
{
    if (!s->sel->carry) return 0;
    const size_t size = s->sel->carry(s->priv, v);
    if (size > sc->carry_size) {
        pare__free(sc->carry);
        sc->carry = pare__calloc(1, (int64_t)size);
        sc->carry_size = size;
    }
    v->carry = sc->carry;
    return sc->carry ? 0 : PARE_E_NOMEM;
}

int step_run(const step *s, scene *sc, pare__view *v, pare__map *map, pare_error *err)
{
    const int sorted = !(s->sel->flags & PARE__KEEPS_ORDER);
    for (int64_t i = 0; i < v->n; i++) v->score_out[i] = NAN;
    pare__map_begin(map, v->n);
    int rc = fill_carry(s, sc, v);
    const pare__mark mark = pare__arena_mark(v->arena);
    if (!rc && v->n && v->k) rc = s->sel->select(s->priv, v, map, err);
    pare__arena_reset(v->arena, mark);
    if (!rc) rc = pare__map_finish(map, v->size, sorted, err);
    if (!rc) rc = pare__map_check(&map->m, sorted ? PARE__MAP_SORTED : 0, err);
    if (!rc && v->k >= 0 && map->m.n_out != v->k && !(map->m.n_out < v->k && (s->sel->flags & PARE__AT_MOST)))
        rc = pare_fail(err, PARE_E_STATE, "'%s' left %lld rows, %lld were asked", s->sel->name, (long long)map->m.n_out,
                       (long long)v->k);
    return rc;
}
