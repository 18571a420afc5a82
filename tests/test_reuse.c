/* SPDX-License-Identifier: MIT */
/* Reuse through the reducer: whole steps are those of a run that drops nothing; a still clip repeats its reference; what
 * leaves, in which order, with which provenance; units compared with their reference, whatever the window; masks, captures
 * for later steps, resets, threads, precisions; what is refused. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rank.h"
#include "reduce/reducer.h"
#include "tiny_model.h"

enum { GRID = 5, UNITS = GRID * GRID, PATCH = 7, SIDE = GRID * PATCH, N = 11, D = 16, MOST = 12 };

static pare_model *model, *windowed;
static uint8_t clip[N][SIDE * SIDE * 3], mask[N][UNITS];
static pare_error err;

static void fill_unit(int t, int cell, uint8_t value)
{
    for (int y = 0; y < PATCH; y++) {
        const int row = cell / GRID * PATCH + y;
        memset(&clip[t][(row * SIDE + cell % GRID * PATCH) * 3], value, 3 * PATCH);
    }
}

/* A noisy picture; unit t is bright in step t and as before in the next. */
static void make_clip(void)
{
    pare__rng rng = pare__rng_make(23, 0, 0);
    for (int i = 0; i < SIDE * SIDE * 3; i++) clip[0][i] = (uint8_t)pare__rng_below(&rng, 200);
    for (int t = 1; t < N; t++) {
        memcpy(clip[t], clip[0], sizeof clip[0]);
        fill_unit(t, t, 255);
    }
}

static void setup(void)
{
    const tiny_spec flat = {.unit = 1, .patch = PATCH, .dim = D, .n_layer = 3, .n_head = 2, .photo = SIDE};
    const tiny_spec windows = {.unit = 2, .patch = PATCH, .dim = D, .n_layer = 2, .n_head = 2, .photo = 2 * SIDE};
    make_clip();
    memset(mask, PARE_MASK_FREE, sizeof mask);
    ck_assert_msg(tiny_model_open(&model, &flat, &err) == 0, "%s", err.text);
    ck_assert_msg(tiny_model_open(&windowed, &windows, &err) == 0, "%s", err.text);
}

static void teardown(void)
{
    pare_model_close(&model);
    pare_model_close(&windowed);
}

static pare_reducer_opts opts_of(const char *recipe, int32_t reuse, int32_t reference, int32_t window)
{
    return (pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts),
                               .recipe = recipe,
                               .window = window,
                               .video = 1,
                               .width = SIDE,
                               .height = SIDE,
                               .n_threads = 1,
                               .reuse = reuse,
                               .reference = reference};
}

/* A whole clip, its windows one behind the other. */
typedef struct run {
    int64_t k, start[N + 1];
    float x[N * UNITS * D], cls[N * D], pooled[N * D];
    int64_t index[N * UNITS];
    uint8_t fresh[N * UNITS];
    pare_reducer_stats stats;
} run;

static void take(run *out, const pare_result_view *v)
{
    ck_assert(v->d == D && v->n_prefix == 1);
    const int64_t s = v->first_slot, k = v->k, t = v->grid[0];
    for (int64_t i = 0; i <= t; i++) out->start[s + i] = out->k + v->row_start[i];
    memcpy(out->x + out->k * D, v->embeds, (size_t)(k * D) * sizeof(float));
    memcpy(out->cls + s * D, v->prefix, (size_t)(t * D) * sizeof(float));
    memcpy(out->pooled + s * D, v->pooled, (size_t)(t * D) * sizeof(float));
    memcpy(out->index + out->k, v->index, (size_t)k * sizeof *v->index);
    if (v->fresh)
        memcpy(out->fresh + out->k, v->fresh, (size_t)k);
    else
        memset(out->fresh + out->k, 1, (size_t)k);
    for (int64_t i = 0; i < k; i++) ck_assert_int_eq(v->place[6 * i + 2], v->index[i] / UNITS);
    ck_assert_int_eq(pare__map_check(&v->map, PARE__MAP_SORTED, &err), 0);
    out->k += k;
}

static void push_clip(pare_reducer *r)
{
    for (int t = 0; t < N; t++) {
        const pare_frame f = {.struct_size = sizeof f,
                              .rgb = clip[t],
                              .stride = 3 * SIDE,
                              .width = SIDE,
                              .height = SIDE,
                              .pts = t,
                              .mask = mask[t],
                              .mask_width = GRID,
                              .mask_height = GRID};
        ck_assert_msg(pare_reducer_push(r, &f, &err) == 0, "%s", err.text);
    }
    ck_assert_msg(pare_reducer_flush(r, &err) == 0, "%s", err.text);
}

static void go_on(pare_reducer *r, run *out)
{
    pare_result *one;
    *out = (run){.stats.struct_size = sizeof out->stats};
    push_clip(r);
    while (pare_reducer_pull(r, &one, &err) == 0) {
        take(out, pare_result_get(one));
        pare_result_free(&one);
    }
    ck_assert_int_eq(pare_reducer_get(r, &out->stats, &err), 0);
}

static run *encode(const pare_reducer_opts *opts)
{
    pare_reducer *r;
    run *out = pare__malloc(1, sizeof *out);
    ck_assert_msg(pare_reducer_create(&r, model, opts, &err) == 0, "%s", err.text);
    go_on(r, out);
    pare_reducer_close(&r);
    return out;
}

static run *encode_by(const char *recipe, int32_t reuse, int32_t reference, int32_t window)
{
    const pare_reducer_opts opts = opts_of(recipe, reuse, reference, window);
    return encode(&opts);
}

static void same_rows(const run *a, const run *b, float bound)
{
    ck_assert_int_eq(a->k, b->k);
    ck_assert(!memcmp(a->start, b->start, sizeof a->start));
    ck_assert(!memcmp(a->index, b->index, (size_t)a->k * sizeof *a->index));
    for (int64_t i = 0; i < a->k * D; i++)
        ck_assert_msg(fabsf(a->x[i] - b->x[i]) <= bound, "row %d: %g, %g", (int)(i / D), a->x[i], b->x[i]);
    for (int64_t i = 0; i < N * D; i++) {
        ck_assert_msg(fabsf(a->cls[i] - b->cls[i]) <= bound, "step %d: %g, %g", (int)(i / D), a->cls[i], b->cls[i]);
        ck_assert(fabsf(a->pooled[i] - b->pooled[i]) <= bound);
    }
}

#define CHANGED "temporal-redundancy:threshold=0.02@patches"
#define NOTHING "temporal-redundancy:threshold=2@patches"

/* ---- whole steps ------------------------------------------------------------------------------------------------- */

START_TEST(test_whole)
{
    run *full = encode_by("none", 0, 0, 4), *each = encode_by(CHANGED, PARE_REUSE_COMPLETE, 1, 4);
    run *all = encode_by("none@patches", PARE_REUSE_CONTEXT, 3, 4);
    same_rows(full, each, 0);
    same_rows(full, all, 0);
    ck_assert_int_eq(each->stats.n_reference, N);
    ck_assert_int_eq(each->stats.n_fresh, N * UNITS);
    ck_assert_int_eq(all->stats.n_reference, 4);
    ck_assert_int_eq(all->stats.n_fresh, N * UNITS);
    ck_assert_int_eq(full->stats.n_reference + full->stats.n_fresh, 0);
    pare__free(full);
    pare__free(each);
    pare__free(all);
}
END_TEST

/* Steps in between: every row there, few of them fresh, references exact. */
START_TEST(test_complete)
{
    enum { REFERENCE = 4 };
    run *full = encode_by("none", 0, 0, 3), *got = encode_by(CHANGED, PARE_REUSE_COMPLETE, REFERENCE, 3);
    int64_t row = 0;
    ck_assert_int_eq(got->k, N * UNITS);
    for (int t = 0; t < N; t++) {
        const int reference = t / REFERENCE * REFERENCE;
        for (int c = 0; c < UNITS; c++, row++) {
            /* what is lit in the reference has gone out; what is lit now was not */
            const int changed = t != reference && (c == t || (reference && c == reference));
            ck_assert_int_eq(got->index[row], row);
            ck_assert_int_eq(got->fresh[row], t == reference || changed);
            const float *want = full->x + (t == reference ? row : (int64_t)reference * UNITS + c) * D;
            if (!changed) ck_assert_msg(!memcmp(got->x + row * D, want, D * sizeof(float)), "step %d unit %d", t, c);
        }
    }
    ck_assert_int_eq(got->stats.n_reference, 3);
    ck_assert_int_eq(got->stats.n_fresh, 3 * UNITS + 3 + 2 * 3 + 2 * 2);
    pare__free(full);
    pare__free(got);
}
END_TEST

/* The rows of CONTEXT are the fresh ones of COMPLETE; of a reference those that the step kept. */
START_TEST(test_context)
{
    run *all = encode_by(CHANGED, PARE_REUSE_COMPLETE, 4, 3), *got = encode_by(CHANGED, PARE_REUSE_CONTEXT, 4, 3);
    ck_assert_int_lt(got->k, all->k / 2);
    for (int64_t i = 0; i < got->k; i++) {
        const int64_t row = got->index[i];
        ck_assert(all->fresh[row] && got->fresh[i]);
        ck_assert(!memcmp(got->x + i * D, all->x + row * D, D * sizeof(float)));
    }
    ck_assert_int_eq(got->start[1], UNITS);
    ck_assert_int_eq(got->start[5] - got->start[4], 1); /* the second reference differs from the first in one unit */
    ck_assert_int_eq(got->stats.n_fresh, all->stats.n_fresh);
    ck_assert(!memcmp(got->cls, all->cls, sizeof got->cls));
    pare__free(all);
    pare__free(got);
}
END_TEST

START_TEST(test_still)
{
    for (int t = 1; t < N; t++) memcpy(clip[t], clip[0], sizeof clip[0]);
    run *got = encode_by(NOTHING, PARE_REUSE_COMPLETE, 0, 4), *bare = encode_by(NOTHING, PARE_REUSE_CONTEXT, 0, 4);
    for (int t = 1; t < N; t++) {
        ck_assert(!memcmp(got->x + t * UNITS * D, got->x, UNITS * D * sizeof(float)));
        for (int i = 0; i < D; i++) ck_assert(fabsf(got->cls[t * D + i] - got->cls[i]) <= 1e-5f);
        for (int c = 0; c < UNITS; c++) ck_assert(!got->fresh[t * UNITS + c]);
        ck_assert_int_eq(bare->start[t + 1], UNITS);
    }
    ck_assert_int_eq(got->stats.n_fresh, UNITS);
    ck_assert(!memcmp(got->cls, bare->cls, sizeof got->cls));
    pare__free(got);
    pare__free(bare);
}
END_TEST

/* Neither windows nor threads nor what the reducer did before change a byte. */
START_TEST(test_same_bytes)
{
    static const char *const precision[] = {"f32", "int8", "bf16"};
    for (int p = 0; p < 3; p++) {
        run *want = NULL, got;
        for (int32_t i = 0; i < 4; i++) {
            pare_reducer_opts opts = opts_of(CHANGED, PARE_REUSE_COMPLETE, 4, i == 3 ? -1 : 2 + i);
            pare_reducer *r;
            opts.n_threads = 1 + i % 3;
            opts.precision = precision[p];
            if (pare_reducer_create(&r, model, &opts, &err) == PARE_E_UNSUPPORTED) break;
            go_on(r, &got);
            if (!want) want = pare__malloc(1, sizeof *want), *want = got;
            same_rows(want, &got, 0);
            ck_assert_int_eq(pare_reducer_reset(r, 0, &err), 0);
            go_on(r, &got);
            same_rows(want, &got, 0);
            pare_reducer_close(&r);
        }
        pare__free(want);
    }
}
END_TEST

/* A scene that begins is a reference, and the count starts again. */
START_TEST(test_cut)
{
    pare__rng rng = pare__rng_make(2, 0, 0);
    for (int i = 0; i < SIDE * SIDE * 3; i++) clip[6][i] = (uint8_t)pare__rng_below(&rng, 256);
    for (int t = 7; t < N; t++) memcpy(clip[t], clip[6], sizeof clip[6]);
    const pare_reducer_opts opts = opts_of(CHANGED, PARE_REUSE_COMPLETE, 4, 3);
    pare_reducer *r;
    pare_result *one;
    ck_assert_int_eq(pare_reducer_create(&r, model, &opts, &err), 0);
    push_clip(r);
    while (pare_reducer_pull(r, &one, &err) == 0) {
        const pare_result_view *v = pare_result_get(one);
        for (int32_t i = 0; i < v->n_step; i++) {
            const int32_t t = v->first_slot + i;
            ck_assert_int_eq(v->step[i].is_cut, t == 6);
            ck_assert_int_eq(v->step[i].is_reference, t == 0 || t == 4 || t == 6 || t == 10);
        }
        pare_result_free(&one);
    }
    pare_reducer_close(&r);
}
END_TEST

/* ---- other steps, masks ------------------------------------------------------------------------------------------ */

/* Pictures are compared with the reference's by scores, too: a budget finds the units that differ from it. */
START_TEST(test_score)
{
    run *got = encode_by("topk:score=motion:k=2@patches", PARE_REUSE_CONTEXT, 4, 3);
    for (int t = 5; t < 8; t++) {
        ck_assert_int_eq(got->start[t + 1] - got->start[t], 2);
        ck_assert_int_eq(got->index[got->start[t]] % UNITS, 4);
        ck_assert_int_eq(got->index[got->start[t] + 1] % UNITS, t);
    }
    pare__free(got);
}
END_TEST

/* Arrays of the encoder for a step behind it: of past rows those of the reference. */
START_TEST(test_captures)
{
    static const char *const after[] = {"topk:score=cls-attn:k=6@output", "divprune:k=5@output"};
    for (int i = 0; i < 2; i++) {
        char recipe[128];
        snprintf(recipe, sizeof recipe, "%s,%s", CHANGED, after[i]);
        run *full = encode_by(after[i], 0, 0, 4), *each = encode_by(recipe, PARE_REUSE_COMPLETE, 1, 4);
        run *some = encode_by(recipe, PARE_REUSE_COMPLETE, 4, 4);
        same_rows(full, each, 0);
        ck_assert_int_eq(some->k, full->k);
        for (int t = 0; t < N; t += 4)
            ck_assert(!memcmp(some->x + some->start[t] * D, full->x + full->start[t] * D,
                              (size_t)((full->start[t + 1] - full->start[t]) * D) * sizeof(float)));
        pare__free(full);
        pare__free(each);
        pare__free(some);
    }
}
END_TEST

/* A unit that the reference was not shown is not there unless a step keeps it; one that is ignored now is not either. */
START_TEST(test_mask)
{
    mask[0][7] = PARE_MASK_IGNORE;
    mask[2][9] = PARE_MASK_IGNORE;
    mask[3][11] = PARE_MASK_KEEP;
    run *got = encode_by(CHANGED, PARE_REUSE_COMPLETE, 0, 4);
    const int64_t rows[] = {UNITS - 1, UNITS - 1, UNITS - 2, UNITS - 1};
    for (int t = 0; t < 4; t++) ck_assert_int_eq(got->start[t + 1] - got->start[t], rows[t]);
    for (int64_t i = got->start[3]; i < got->start[4]; i++) {
        const int64_t unit = got->index[i] % UNITS;
        ck_assert_int_ne(unit, 7);
        ck_assert_int_eq(got->fresh[i], unit == 3 || unit == 11);
    }
    ck_assert_int_eq(got->start[8] - got->start[7], UNITS); /* unit 7 is lit there */
    pare__free(got);
}
END_TEST

/* ---- what is refused --------------------------------------------------------------------------------------------- */

static void refused(const pare_model *m, const pare_reducer_opts *opts, int code, const char *why)
{
    pare_reducer *r;
    ck_assert_int_eq(pare_reducer_create(&r, m, opts, &err), code);
    ck_assert_msg(strstr(err.text, why) != NULL, "'%s' does not say '%s'", err.text, why);
    ck_assert_ptr_null(r);
}

START_TEST(test_errors)
{
    pare_reducer_opts o = opts_of(CHANGED, PARE_REUSE_COUNT, 0, 0);
    refused(model, &o, PARE_E_INVALID, "reuse 3: must be 0..2");
    o = opts_of(CHANGED, PARE_REUSE_CONTEXT, -1, 0);
    refused(model, &o, PARE_E_INVALID, "reference -1");
    o = opts_of(CHANGED, PARE_REUSE_NONE, 8, 0);
    refused(model, &o, PARE_E_INVALID, "reference 8");
    o = opts_of("topk:score=norm@output", PARE_REUSE_CONTEXT, 0, 0);
    o.video = 0;
    o.keep = 0.5;
    refused(model, &o, PARE_E_INVALID, "not for photos");
    o = opts_of("tome@block", PARE_REUSE_COMPLETE, 0, 0);
    o.keep = 0.5;
    refused(model, &o, PARE_E_UNSUPPORTED, "acts inside blocks");
    o = opts_of(CHANGED, PARE_REUSE_CONTEXT, 0, 0);
    refused(windowed, &o, PARE_E_UNSUPPORTED, "stays in windows");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("reuse");
    TCase *t = tcase_create("reuse");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, test_whole);
    tcase_add_test(t, test_complete);
    tcase_add_test(t, test_context);
    tcase_add_test(t, test_still);
    tcase_add_test(t, test_same_bytes);
    tcase_add_test(t, test_cut);
    tcase_add_test(t, test_score);
    tcase_add_test(t, test_captures);
    tcase_add_test(t, test_mask);
    tcase_add_test(t, test_errors);
    suite_add_tcase(s, t);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
