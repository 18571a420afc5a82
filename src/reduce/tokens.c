/* SPDX-License-Identifier: MIT */
#include "reduce/tokens.h"

#include <math.h>
#include <string.h>

#include "encode/backend.h"
#include "reduce/clip_pool.h"
#include "reduce/features.h"
#include "reduce/rate.h"
#include "reduce/result.h"

typedef struct job {
    pare__recipe recipe;
    pare__plan plan;
    pare__rate rate;
    pare__arena arena;
    pare__context ctx;
    pare__maps maps;
    pare__features in;
    float *score;
    int32_t n_picture; /* or temporal steps */
} job;

static int32_t pool_side(const job *j) { return j->in.clip_pool > 1 ? j->in.clip_pool : 1; }

/* Budgets per frame are per picture or temporal step here. */
static int make_plan(job *j, const pare_reducer_opts *opts, pare_error *err)
{
    const int32_t per_picture = j->in.per_picture;
    const int64_t units = pare__clip_pooled(j->in.grid_h, j->in.grid_w, pool_side(j));
    pare_reducer_opts o = *opts;
    o.n_frames = j->n_picture = j->in.n_slot / per_picture;
    o.tokens_per_second = o.max_delay = 0;
    int rc = pare__rate_init(&j->rate, &o, err);
    if (!rc) rc = pare__rate_check(&j->rate, units * per_picture, err);
    if (!rc) rc = pare__plan_make(&j->plan, &j->recipe, NULL, &j->rate, err);
    if (!rc) rc = pare__plan_quality(&j->plan, o.quality, err);
    if (!rc && j->in.n_layer) rc = pare__plan_layers(&j->plan, j->in.n_layer, j->in.n_run, err);
    if (rc) return rc;
    j->ctx = (pare__context){.arena = &j->arena,
                             .maps = &j->maps,
                             .gemm = pare__backends[0]->gemm,
                             .vec = pare__vec_best(),
                             .seed = o.seed,
                             .n_head = j->in.n_head,
                             .n_layer = j->in.n_layer,
                             .n_run = j->in.n_run,
                             .clip_pool = j->in.clip_pool,
                             .n_prefix = j->in.n_prefix,
                             .no_cls = j->in.no_cls,
                             .slot = j->in.slot,
                             .grid_h = j->in.grid_h,
                             .grid_w = j->in.grid_w,
                             .per_picture = per_picture,
                             .floor = pare__rate_floor(&j->rate),
                             .most = pare__rate_most(&j->rate),
                             .cap = j->rate.cap,
                             .score = j->score,
                             .given = j->in.given,
                             .mask = j->in.mask,
                             .text = j->in.text,
                             .n_text = j->in.n_text,
                             .d_text = j->in.d_text,
                             .custom = o.custom};
    return 0;
}

static int run_steps(job *j, pare_error *err)
{
    pare__rows *rows = &j->in.rows;
    int64_t units = 0;
    for (int32_t t = 0; t < j->in.n_slot; t++)
        units += pare__clip_pooled(j->in.slot[t].grid_h, j->in.slot[t].grid_w, pool_side(j));
    const int64_t k =
        pare__rate_window(&j->rate, &(pare__span){.n_frames = j->n_picture, .units = units, .is_last = 1});
    int rc = pare__rows_ignore(&j->ctx, rows);
    if (!rc && pool_side(j) > 1) rc = pare__clip_pool(&j->ctx, rows, pool_side(j));
    for (int32_t i = 0; !rc && i < j->recipe.n; i++) {
        if (!j->recipe.step[i].sel->select)
            return pare_fail(err, PARE_E_INVALID, "step '%s' needs pictures, not tokens", j->recipe.step[i].sel->name);
        const int64_t goal = i == j->plan.final_step ? (k < rows->n ? k : rows->n) : -1;
        rc = pare__rows_step(&j->ctx, &j->plan, i, rows, goal, j->in.frame ? &j->in.px : NULL, err);
    }
    return rc;
}

static int is_sorted(const pare_map *m)
{
    for (int64_t i = 1; i < m->n_out; i++)
        if (m->anchor[i] < m->anchor[i - 1]) return 0;
    return 1;
}

/* Rows by anchor; only steps that keep a working order leave another one. */
static int sort_rows(job *j)
{
    pare__rows *rows = &j->in.rows;
    if (is_sorted(&rows->total.m)) return 0;
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
    pare__features_fini(&j->in);
    pare__maps_fini(&j->maps);
    pare__arena_fini(&j->arena);
    pare__free(j->score);
}

int pare__reduce_tokens(const pare_tensor *arrays, int32_t n_arrays, const pare_reducer_opts *opts, pare_result **out,
                        pare_error *err)
{
    job j = {0};
    *out = NULL;
    int rc = pare__recipe_parse(&j.recipe, opts->recipe ? opts->recipe : "none", err);
    if (!rc) rc = pare__features_read(&j.in, &j.recipe, arrays, n_arrays, err);
    const int64_t n = j.in.rows.n;
    if (!rc) j.score = pare__malloc(n, sizeof(float));
    if (!rc && !j.score) rc = PARE_E_NOMEM;
    for (int64_t i = 0; !rc && i < n; i++) j.score[i] = NAN;
    if (!rc) rc = make_plan(&j, opts, err);
    if (!rc) rc = run_steps(&j, err);
    if (!rc && !j.in.rows.n) rc = pare_fail(err, PARE_E_INVALID, "recipe, budget and mask leave none of the tokens");
    if (!rc) rc = sort_rows(&j);
    const pare__window_out w = {.rows = &j.in.rows,
                                .slot = j.in.slot,
                                .grid_h = j.in.grid_h,
                                .grid_w = j.in.grid_w,
                                .unit = 1,
                                .score = j.score};
    if (!rc) rc = pare__result_make(out, &w);
    if (rc == PARE_E_NOMEM) pare_fail(err, rc, "tokens: out of memory");
    job_fini(&j);
    return rc;
}
