/* SPDX-License-Identifier: MIT */
#include "reduce/tokens.h"

#include <math.h>
#include <string.h>

#include "encode/backend.h"
#include "model/tensorfile.h"
#include "reduce/rate.h"
#include "reduce/result.h"
#include "reduce/window.h"

typedef struct job {
    pare__recipe recipe;
    pare__plan plan;
    pare__rate rate;
    pare__arena arena;
    pare__context ctx;
    pare__rows rows;
    int32_t grid[3];
    const pare_tensor *pixels; /* u8 [T, H, W, 3] or NULL */
    pare__pixels px;
    float *score;
} job;

static const struct {
    const char *name;
    pare__array array[2]; /* served by this input; equal when one */
} inputs[] = {{"q", {PARE__ARRAY_Q, PARE__ARRAY_Q}},
              {"k", {PARE__ARRAY_K, PARE__ARRAY_K_MEAN}},
              {"v", {PARE__ARRAY_V, PARE__ARRAY_V}},
              {"cls_row", {PARE__ARRAY_CLS_ROW, PARE__ARRAY_CLS_ROW}},
              {"col_mean", {PARE__ARRAY_COL_MEAN, PARE__ARRAY_COL_MEAN}}};
enum { N_INPUTS = sizeof inputs / sizeof inputs[0] };

static const pare_tensor *find(const pare_tensor *arrays, int32_t n, const char *name)
{
    for (int32_t i = 0; i < n; i++)
        if (!strcmp(arrays[i].name, name)) return &arrays[i];
    return NULL;
}

/* ---- geometry ------------------------------------------------------------------------------------------------- */

static int64_t grid_value(const pare_tensor *t, int i)
{
    if (t->dtype == PARE_I64) {
        int64_t v;
        memcpy(&v, (const char *)t->data + 8 * i, sizeof v);
        return v;
    }
    int32_t v;
    memcpy(&v, (const char *)t->data + 4 * i, sizeof v);
    return v;
}

static int read_grid(job *j, const pare_tensor *thw, int64_t n, pare_error *err)
{
    int64_t g[3] = {1, 1, n};
    if (thw) {
        if ((thw->dtype != PARE_I32 && thw->dtype != PARE_I64) || pare__tensor_count(thw) != 3)
            return pare_fail(err, PARE_E_INVALID, "grid_thw: must hold 3 integers (i32 or i64), one grid");
        for (int i = 0; i < 3; i++) g[i] = grid_value(thw, i);
    }
    for (int i = 0; i < 3; i++) {
        if (g[i] < 1 || g[i] > INT32_MAX)
            return pare_fail(err, PARE_E_INVALID, "grid_thw: %lld x %lld x %lld is no grid", (long long)g[0],
                             (long long)g[1], (long long)g[2]);
        j->grid[i] = (int32_t)g[i];
    }
    if (g[1] > n || g[2] > n || g[0] > n || g[0] * g[1] * g[2] != n)
        return pare_fail(err, PARE_E_INVALID, "grid_thw: %lld x %lld x %lld units, but tokens has %lld rows",
                         (long long)g[0], (long long)g[1], (long long)g[2], (long long)n);
    return 0;
}

/* Pictures must be the grid times a square patch. */
static int read_pixels(job *j, pare_error *err)
{
    const pare_tensor *t = j->pixels;
    if (!t) return 0;
    const int32_t patch = t->n_dim == 4 ? (int32_t)(t->shape[1] / j->grid[1]) : 0;
    if (t->dtype != PARE_U8 || patch < 1 || t->shape[3] != 3 || t->shape[1] != (int64_t)patch * j->grid[1] ||
        t->shape[2] != (int64_t)patch * j->grid[2] || t->shape[0] < j->grid[0] || t->shape[0] % j->grid[0])
        return pare_fail(err, PARE_E_INVALID, "pixels: must be u8 [T, rows P, columns P, 3] of the grid %d x %d x %d",
                         j->grid[0], j->grid[1], j->grid[2]);
    const uint8_t **frame = PARE__ARENA(&j->arena, const uint8_t *, t->shape[0]);
    if (!frame) return PARE_E_NOMEM;
    for (int64_t i = 0; i < t->shape[0]; i++) frame[i] = (const uint8_t *)t->data + i * t->shape[1] * t->shape[2] * 3;
    j->px = (pare__pixels){.frame = frame,
                           .patch = patch,
                           .temporal = (int32_t)(t->shape[0] / j->grid[0]),
                           .mean = {0.485f, 0.456f, 0.406f},
                           .std = {0.229f, 0.224f, 0.225f}};
    return 0;
}

/* ---- arrays --------------------------------------------------------------------------------------------------- */

static int add_array(job *j, const pare_tensor *t, pare__array kind, int32_t layer, pare_error *err)
{
    const int64_t n = j->rows.n, count = pare__tensor_count(t);
    const int is_row = kind == PARE__ARRAY_CLS_ROW || kind == PARE__ARRAY_COL_MEAN;
    if (count % n || count / n > PARE__MAX_DIM || count == 0 || (is_row && count != n))
        return pare_fail(err, PARE_E_INVALID, "%s: %lld values do not make %lld rows", t->name, (long long)count,
                         (long long)n);
    float *data = pare__rows_add_array(&j->rows, (pare__need){kind, layer}, (int32_t)(count / n), n);
    if (!data) return pare_fail(err, PARE_E_LIMIT, "%s: more than %d arrays", t->name, PARE__MAX_ARRAYS);
    pare__tensor_f32(t, data);
    return 0;
}

/* "cls_row" or "cls_row.10": 1 if `name` is this input, with its layer. */
static int match_input(const char *name, const char *input, int32_t *layer)
{
    const size_t n = strlen(input);
    *layer = PARE__LAYER_ANY;
    if (strncmp(name, input, n)) return 0;
    if (!name[n]) return 1;
    int64_t value;
    if (name[n] != '.' || pare__parse_int(name + n + 1, &value)) return 0;
    *layer = (int32_t)value;
    return 1;
}

static int add_input(job *j, const pare_tensor *t, pare_error *err)
{
    int32_t layer;
    for (int i = 0; i < N_INPUTS; i++) {
        if (!match_input(t->name, inputs[i].name, &layer)) continue;
        int rc = add_array(j, t, inputs[i].array[0], layer, err);
        if (!rc && inputs[i].array[1] != inputs[i].array[0]) rc = add_array(j, t, inputs[i].array[1], layer, err);
        return rc;
    }
    return 0;
}

static int read_tokens(job *j, const pare_tensor *arrays, int32_t n_arrays, pare_error *err)
{
    const pare_tensor *x = find(arrays, n_arrays, "tokens");
    if (!x || x->n_dim != 2 || x->shape[0] < 1 || x->shape[1] < 1 || x->shape[1] > PARE__MAX_DIM ||
        x->shape[0] > INT32_MAX)
        return pare_fail(err, PARE_E_INVALID, "tokens: an array [n, d] of that name is required, d up to %d",
                         PARE__MAX_DIM);
    int rc = read_grid(j, find(arrays, n_arrays, "grid_thw"), x->shape[0], err);
    if (!rc) rc = pare__rows_reset(&j->rows, j->grid[0], j->grid[1], j->grid[2]);
    if (!rc) rc = pare__rows_reserve_x(&j->rows, x->shape[0], (int32_t)x->shape[1]);
    if (rc) return rc;
    pare__tensor_f32(x, j->rows.x);
    j->pixels = find(arrays, n_arrays, "pixels");
    rc = read_pixels(j, err);
    for (int32_t i = 0; !rc && i < n_arrays; i++) rc = add_input(j, &arrays[i], err);
    return rc;
}

/* ---- run ------------------------------------------------------------------------------------------------------ */

static int make_plan(job *j, const pare_reducer_opts *opts, pare_error *err)
{
    pare_reducer_opts o = *opts;
    o.n_frames = j->grid[0];
    int rc = pare__rate_init(&j->rate, &o, err);
    if (!rc) rc = pare__rate_check(&j->rate, (int64_t)j->grid[1] * j->grid[2], err);
    if (!rc) rc = pare__recipe_parse(&j->recipe, o.recipe ? o.recipe : "none", err);
    if (!rc) rc = pare__plan_make(&j->plan, &j->recipe, NULL, &j->rate, err);
    if (rc) return rc;
    j->ctx = (pare__context){.arena = &j->arena,
                             .gemm = pare__backends[0]->gemm,
                             .vec = pare__vec_best(),
                             .seed = o.seed,
                             .n_head = 1,
                             .grid_h = j->grid[1],
                             .grid_w = j->grid[2],
                             .is_first = 1,
                             .floor = pare__rate_floor(&j->rate),
                             .score = j->score};
    return 0;
}

static int run_steps(job *j, pare_error *err)
{
    const int64_t k = pare__rate_window(&j->rate, j->grid[0], j->rows.n, 1);
    for (int32_t i = 0; i < j->recipe.n; i++) {
        if (!j->recipe.step[i].sel->select)
            return pare_fail(err, PARE_E_INVALID, "step '%s' needs pictures, not tokens", j->recipe.step[i].sel->name);
        const int64_t goal = i == j->plan.final_step ? (k < j->rows.n ? k : j->rows.n) : -1;
        const int rc = pare__rows_step(&j->ctx, &j->plan, i, &j->rows, goal, j->pixels ? &j->px : NULL, err);
        if (rc) return rc;
    }
    return 0;
}

/* Rows by anchor; only steps that keep a working order leave another one. */
static int sort_rows(job *j)
{
    pare__rows *rows = &j->rows;
    int32_t *order = PARE__ARENA(&j->arena, int32_t, rows->n + 1);
    pare__map perm = {0};
    if (!order) return PARE_E_NOMEM;
    pare__map sorted = {0};
    int rc = pare__map_copy(&rows->total.m, &sorted);
    if (!rc) rc = pare__map_sort(&sorted, order);
    pare__map_begin(&perm, rows->n);
    if (!rc) rc = pare__map_keep_many(&perm, order, rows->n);
    if (!rc) rc = pare__map_finish(&perm, rows->size, 0, NULL);
    if (!rc) rc = pare__rows_reduce(rows, &perm, &j->arena);
    pare__map_fini(&sorted);
    pare__map_fini(&perm);
    return rc;
}

static void job_fini(job *j)
{
    pare__recipe_fini(&j->recipe);
    pare__rows_fini(&j->rows);
    pare__arena_fini(&j->arena);
    pare__free(j->score);
}

int pare__reduce_tokens(const pare_tensor *arrays, int32_t n_arrays, const pare_reducer_opts *opts, pare_result **out,
                        pare_error *err)
{
    job j = {0};
    *out = NULL;
    int rc = read_tokens(&j, arrays, n_arrays, err);
    if (!rc) {
        j.score = pare__malloc(j.rows.n, sizeof(float));
        rc = j.score ? 0 : PARE_E_NOMEM;
    }
    for (int64_t i = 0; !rc && i < j.rows.n; i++) j.score[i] = NAN;
    if (!rc) rc = make_plan(&j, opts, err);
    if (!rc) rc = run_steps(&j, err);
    if (!rc && !j.rows.n) rc = pare_fail(err, PARE_E_INVALID, "recipe and budget leave none of the tokens");
    if (!rc) rc = sort_rows(&j);
    const pare__window_out w = {.rows = &j.rows, .grid_h = j.grid[1], .grid_w = j.grid[2], .unit = 1, .score = j.score};
    if (!rc) rc = pare__result_make(out, &w);
    if (rc == PARE_E_NOMEM) pare_fail(err, rc, "tokens: out of memory");
    job_fini(&j);
    return rc;
}
