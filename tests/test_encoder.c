/* SPDX-License-Identifier: MIT */
/* The encoder as a whole: invariants on a small random model (ragged batch, threads, sites, merged tokens, captures,
 * backends), and stage by stage against the committed golden cases. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/rank.h"
#include "encode/backend.h"
#include "encode/parts.h"
#include "encode/prep.h"
#include "encode/trace.h"
#include "model/tensorfile.h"

enum { DIM = 32, HEADS = 4, LAYERS = 3, MLP = 48, PATCH = 4, GRID = 6, PREFIX = 2, N_CLASS = 5 };

static pare_model model;
static pare__pool *pool;
static float *owned[64];
static int n_owned;
static uint8_t picture[3][GRID * GRID * PATCH * PATCH * 3];

/* ---- a small random model ---------------------------------------------------------------------------------------- */

static const float *floats(int64_t n, double centre, double spread)
{
    pare__rng r = pare__rng_make(11, (uint64_t)n_owned, 0);
    float *p = pare__malloc(n, 4);
    for (int64_t i = 0; i < n; i++) p[i] = (float)(centre + (pare__rng_unit(&r) - 0.5) * spread);
    return owned[n_owned++] = p;
}

static pare__linear linear(int32_t n_in, int32_t n_out)
{
    const float *w = floats((int64_t)n_in * n_out, 0, 0.6);
    return (pare__linear){w, floats(n_out, 0, 0.4), n_in, n_out};
}

static pare__norm_w norm(void)
{
    const float *w = floats(DIM, 1, 0.5);
    return (pare__norm_w){w, floats(DIM, 0, 0.5)};
}

static void setup(void)
{
    static char name[] = "random";
    static pare__block_w block[LAYERS];
    n_owned = 0;
    model = (pare_model){.name = name, .path = name};
    model.hp = (pare__hparams){.dim = DIM,
                               .n_layer = LAYERS,
                               .n_head = HEADS,
                               .mlp_dim = MLP,
                               .patch = PATCH,
                               .temporal = 1,
                               .unit = 1,
                               .pos_rows = GRID,
                               .pos_cols = GRID,
                               .has_cls = 1,
                               .n_register = PREFIX - 1,
                               .n_prefix = PREFIX,
                               .pos_prefix = PARE__POS_CLS_ONLY,
                               .eps = 1e-6f,
                               .n_class = N_CLASS,
                               .logits = PARE__LOGITS_CLS_MEAN};
    model.prep = (pare__prep_rule){.rescale = 1 / 255.0, .mean = {.5f, .4f, .3f}, .std = {.2f, .3f, .4f}};
    model.w.patch = linear(3 * PATCH * PATCH, DIM);
    model.w.cls = floats(DIM, 0, 2);
    model.w.registers = floats((PREFIX - 1) * DIM, 0, 2);
    model.w.pos = floats((1 + GRID * GRID) * DIM, 0, 2);
    model.w.norm = norm();
    model.w.head = linear(2 * DIM, N_CLASS);
    model.w.block = block;
    for (int i = 0; i < LAYERS; i++) {
        block[i] = (pare__block_w){.norm1 = norm(),
                                   .norm2 = norm(),
                                   .qkv = linear(DIM, 3 * DIM),
                                   .proj = linear(DIM, DIM),
                                   .fc1 = linear(DIM, MLP),
                                   .fc2 = linear(MLP, DIM),
                                   .scale1 = floats(DIM, 0.5, 1)};
    }
    pare__rng r = pare__rng_make(4, 0, 0);
    for (size_t i = 0; i < sizeof picture; i++) (&picture[0][0])[i] = (uint8_t)pare__rng_below(&r, 256);
    pool = NULL;
}

static void teardown(void)
{
    pare__pool_free(&pool);
    for (int i = 0; i < n_owned; i++) pare__free(owned[i]);
}

static pare__encoder *create(const pare__encode_plan *plan)
{
    pare__encoder *e;
    pare_error err;
    ck_assert_msg(pare__encoder_create(&e, &model, pool, plan, 0, &err) == 0, "%s", err.text);
    return e;
}

static const pare__pack *run(pare__encoder *e, const pare__segment *seg, int32_t n)
{
    const pare__pack *pack;
    pare_error err;
    double ms[2] = {0};
    ck_assert_msg(pare__encoder_run(e, seg, n, &pack, ms, &err) == 0, "%s", err.text);
    return pack;
}

static const int32_t kept[] = {0, 3, 7, 8, 20, 35};

static pare__segment segment(int i, int all)
{
    pare__segment s = {.rgb = {picture[i]}, .grid_h = GRID, .grid_w = GRID, .t = i, .n = GRID * GRID};
    if (i == 2) s.grid_h = 4, s.grid_w = 9; /* another grid: interpolated positions */
    if (all) return s;
    s.unit = kept;
    s.n = i == 0 ? 6 : 5;
    return s;
}

/* ---- invariants -------------------------------------------------------------------------------------------------- */

START_TEST(ragged_batch_is_one_by_one)
{
    pare__encode_plan plan = {0};
    pare__encoder *e = create(&plan), *single = create(&plan);
    pare__segment seg[] = {segment(0, 0), segment(1, 1), segment(2, 0), segment(2, 1)};
    const pare__pack *all = run(e, seg, 4);
    ck_assert_int_eq(all->n, 6 + 36 + 5 + 36 + 4 * PREFIX);
    for (int s = 0; s < 4; s++) {
        const pare__pack *one = run(single, &seg[s], 1);
        ck_assert_int_eq(one->n, all->cu[s + 1] - all->cu[s]);
        for (int64_t i = 0; i < one->n * DIM; i++)
            ck_assert_float_eq_tol(one->x[i], all->x[all->cu[s] * DIM + i], 2e-5f);
        ck_assert_mem_eq(one->thw, all->thw + all->cu[s] * 3, (size_t)one->n * 12);
    }
    ck_assert_int_eq(all->thw[0], 0);
    ck_assert(all->thw[1] == -1 && all->thw[PREFIX * 3 + 1] == 0);
    ck_assert(all->thw[(PREFIX + 2) * 3 + 1] == 1 && all->thw[(PREFIX + 2) * 3 + 2] == 1); /* unit 7 of 6 x 6 */
    pare__encoder_free(&e);
    pare__encoder_free(&single);
}
END_TEST

START_TEST(threads_do_not_matter)
{
    pare__encode_plan plan = {.want = {127, 127, 127}, .hold = {127, 127, 127}};
    pare__segment seg[] = {segment(0, 1), segment(1, 0), segment(2, 1)};
    pare__encoder *one = create(&plan);
    ck_assert_int_eq(pare__pool_create(&pool, 2, NULL), 0);
    pare__encoder *two = create(&plan);
    const pare__pack *a = run(one, seg, 3), *b = run(two, seg, 3);
    ck_assert_mem_eq(a->x, b->x, (size_t)a->n * DIM * 4);
    ck_assert_int_eq(a->n_capture, LAYERS * PARE__WANT_COUNT);
    for (int i = 0; i < a->n_capture; i++) {
        ck_assert_mem_eq(a->capture[i].data, b->capture[i].data, (size_t)(a->n * a->capture[i].width) * 4);
    }
    pare__encoder_free(&one);
    pare__encoder_free(&two);
}
END_TEST

START_TEST(backends_agree)
{
    pare__encode_plan plan = {0}, oracle = {.engine = pare__backend_c.engine[PARE__F32]};
    pare__encoder *e = create(&plan), *c = create(&oracle);
    pare__segment seg = segment(0, 1);
    const pare__pack *a = run(e, &seg, 1), *b = run(c, &seg, 1);
    for (int64_t i = 0; i < a->n * DIM; i++) ck_assert_float_eq_tol(a->x[i], b->x[i], 3e-5f);
    pare__encoder_free(&e);
    pare__encoder_free(&c);
}
END_TEST

START_TEST(pixels_are_the_normalised_picture)
{
    pare__encode_plan plan = {0};
    pare__encoder *e = create(&plan);
    pare__segment seg = segment(1, 1);
    float pixels[3 * GRID * GRID * PATCH * PATCH], *x = malloc(38 * DIM * 4);
    memcpy(x, run(e, &seg, 1)->x, 38 * DIM * 4);
    pare__prep_normalise(&model.prep, picture[1], GRID * PATCH, GRID * PATCH, pixels);
    seg.rgb[0] = NULL;
    seg.pixels = pixels;
    ck_assert_mem_eq(x, run(e, &seg, 1)->x, 38 * DIM * 4);
    free(x);
    pare__encoder_free(&e);
}
END_TEST

/* ---- sites ------------------------------------------------------------------------------------------------------- */

typedef struct site_user {
    int calls, mode; /* 0 drop all but `kept`; 1 merge pairs; 2 identity; 3 reach into another segment; 4 fail */
    pare__phase phase;
    int64_t k_mean_rows;
} site_user;

static void keep_of_segment(const pare__pack *p, pare__map *map, int64_t *n_out)
{
    for (int s = 0; s < p->n_seg; s++) {
        int64_t first = p->cu[s] - (int64_t)s * p->n_prefix, n = p->cu[s + 1] - p->cu[s] - p->n_prefix;
        n_out[s] = 0;
        for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
            if (kept[i] >= n) continue;
            pare__map_keep(map, first + kept[i]);
            n_out[s]++;
        }
    }
}

static void pairs_of_segment(const pare__pack *p, pare__map *map, int64_t *n_out)
{
    for (int s = 0; s < p->n_seg; s++) {
        int64_t first = p->cu[s] - (int64_t)s * p->n_prefix, n = p->cu[s + 1] - p->cu[s] - p->n_prefix;
        n_out[s] = n / 2;
        for (int64_t i = 0; i + 1 < n; i += 2) {
            pare__map_row(map, first + i + 1);
            pare__map_add(map, first + i, 0.5);
            pare__map_add(map, first + i + 1, 0.5);
        }
    }
}

static int on_site(void *user, const pare__pack *p, int32_t block, pare__phase phase, pare__map *map, int64_t *n_out,
                   pare_error *err)
{
    site_user *u = user;
    (void)block;
    u->calls++;
    u->phase = phase;
    if (u->mode == 2) return 0;
    if (u->mode == 4) return pare_fail(err, PARE_E_INVALID, "selector said no");
    pare__map_begin(map, p->n - (int64_t)p->n_seg * p->n_prefix);
    if (u->mode == 1)
        pairs_of_segment(p, map, n_out);
    else
        keep_of_segment(p, map, n_out);
    if (u->mode == 3) n_out[0]++, n_out[1]--;
    return pare__map_finish(map, NULL, 0, err) < 0 ? -1 : 1;
}

/* Dropping before block 0 is the same as never embedding (up to the products' rounding, which depends on the row count). */
START_TEST(dropped_tokens_are_not_there)
{
    site_user u = {0};
    pare__encode_plan plan = {.on_site = on_site, .user = &u, .site = {1 << PARE__PHASE_PRE}}, none = {0};
    pare__encoder *e = create(&plan), *plain = create(&none);
    pare__segment all[] = {segment(0, 1), segment(1, 1)}, few[] = {segment(0, 0), segment(1, 0)};
    few[1].n = 6;
    const pare__pack *a = run(e, all, 2), *b = run(plain, few, 2);
    ck_assert_int_eq(u.calls, 1);
    ck_assert_int_eq(a->n, b->n);
    ck_assert_mem_eq(a->cu, b->cu, 3 * sizeof *a->cu);
    ck_assert_mem_eq(a->thw, b->thw, (size_t)a->n * 12);
    for (int64_t k = 0; k < a->n * DIM; k++) ck_assert_float_eq_tol(a->x[k], b->x[k], 2e-5f);
    pare__encoder_free(&e);
    pare__encoder_free(&plain);
}
END_TEST

/* Every unit twice at the same place (same pixels, same position) and pairs merged before block 0, with log(size) = what
 * the full set computes: all copies stay equal, and the merged token equals each of them. */
START_TEST(merged_copies_equal_copies)
{
    float pos[(1 + GRID * GRID) * DIM];
    memcpy(pos, model.w.pos, sizeof pos);
    for (int i = 0; i < GRID * GRID; i += 2) memcpy(pos + (2 + i) * DIM, pos + (1 + i) * DIM, DIM * 4);
    model.w.pos = pos;
    for (int y = 0; y < GRID * PATCH; y++) {
        for (int x = 0; x < GRID * PATCH; x++) {
            if (x / PATCH % 2)
                memcpy(picture[0] + (y * GRID * PATCH + x) * 3, picture[0] + (y * GRID * PATCH + x - PATCH) * 3, 3);
        }
    }
    site_user u = {.mode = 1};
    pare__encode_plan plan = {.on_site = on_site, .user = &u, .site = {1 << PARE__PHASE_PRE}}, none = {0};
    pare__encoder *e = create(&plan), *plain = create(&none);
    pare__segment seg = segment(0, 1);
    const pare__pack *merged = run(e, &seg, 1), *full = run(plain, &seg, 1);
    ck_assert_int_eq(merged->n, PREFIX + GRID * GRID / 2);
    ck_assert_int_eq(merged->has_size, 1);
    for (int r = 0; r < PREFIX + GRID * GRID / 2; r++) {
        int twin = r < PREFIX ? r : PREFIX + 2 * (r - PREFIX) + 1;
        for (int c = 0; c < DIM; c++) ck_assert_float_eq_tol(merged->x[r * DIM + c], full->x[twin * DIM + c], 5e-5f);
        ck_assert_mem_eq(merged->thw + r * 3, full->thw + twin * 3, 12);
        ck_assert(merged->size[r] == (r < PREFIX ? 1.0f : 2.0f));
    }
    pare__encoder_free(&e);
    pare__encoder_free(&plain);
}
END_TEST

/* A site that changes nothing, at every phase and block, changes no byte; captures survive later reductions. */
START_TEST(sites_and_captures)
{
    site_user nothing = {.mode = 2}, halve = {.mode = 1};
    pare__encode_plan still = {.on_site = on_site, .user = &nothing, .site = {7, 7, 7}}, none = {0};
    pare__encode_plan later = {.on_site = on_site,
                               .user = &halve,
                               .site = {0, 0, 1 << PARE__PHASE_MID},
                               .want = {PARE__WANT_CLS_ROW | PARE__WANT_TOKENS, 0, PARE__WANT_K_MEAN},
                               .hold = {PARE__WANT_CLS_ROW | PARE__WANT_TOKENS, 0, PARE__WANT_K_MEAN}};
    pare__encoder *a = create(&still), *b = create(&none), *c = create(&later);
    pare__segment seg = segment(0, 1);
    const pare__pack *x = run(a, &seg, 1), *y = run(b, &seg, 1), *z = run(c, &seg, 1);
    ck_assert_int_eq(nothing.calls, 9);
    ck_assert_int_eq(halve.phase, PARE__PHASE_MID);
    ck_assert_mem_eq(x->x, y->x, (size_t)x->n * DIM * 4);
    ck_assert_int_eq(z->n, PREFIX + 18);
    ck_assert_int_eq(z->n_capture, 3);
    const pare__capture *tokens = &z->capture[0], *cls = &z->capture[1];
    ck_assert(tokens->what == PARE__WANT_TOKENS && cls->what == PARE__WANT_CLS_ROW && z->capture[2].block == 2);
    ck_assert_int_eq(z->capture[2].width, DIM / HEADS);
    double sum = 0;
    for (int i = 0; i < z->n; i++)
        sum += (double)cls->data[i] * (i < PREFIX ? 1 : 2); /* means of pairs: mass is kept */
    ck_assert_double_eq_tol(sum, 1, 1e-5);
    pare__encoder_free(&a);
    pare__encoder_free(&b);
    pare__encoder_free(&c);
}
END_TEST

START_TEST(bad_maps_and_segments_are_refused)
{
    site_user u = {.mode = 3};
    pare__encode_plan plan = {.on_site = on_site, .user = &u, .site = {0, 1 << PARE__PHASE_POST}};
    pare__encoder *e = create(&plan);
    pare__segment seg[] = {segment(0, 1), segment(1, 1)};
    const pare__pack *pack;
    pare_error err;
    ck_assert_int_eq(pare__encoder_run(e, seg, 2, &pack, NULL, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, "outside its frame 0") != NULL, "%s", err.text);
    u.mode = 4;
    ck_assert_int_eq(pare__encoder_run(e, seg, 2, &pack, NULL, &err), PARE_E_INVALID);
    ck_assert_str_eq(err.text, "selector said no");
    int32_t twice[] = {3, 3};
    seg[0].unit = twice;
    seg[0].n = 2;
    ck_assert_int_eq(pare__encoder_run(e, seg, 1, &pack, NULL, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, "unit 1 is 3") != NULL, "%s", err.text);
    pare__encoder_free(&e);
    model.hp.temporal = PARE__MAX_TEMPORAL + 1;
    ck_assert_int_eq(pare__encoder_create(&e, &model, NULL, &plan, 0, &err), PARE_E_UNSUPPORTED);
    ck_assert_ptr_null(e);
}
END_TEST

START_TEST(packs_are_cut_by_content)
{
    pare__encode_plan plan = {0};
    pare__encoder *e = create(&plan);
    pare__segment seg[100];
    for (int i = 0; i < 100; i++) seg[i] = segment(0, 1);
    ck_assert_int_eq(pare__encoder_fit(e, seg, 100), PARE__PACK_ROWS / 38);
    ck_assert_int_eq(pare__encoder_fit(e, seg, 3), 3);
    seg[0].n = 5000;
    ck_assert_int_eq(pare__encoder_fit(e, seg, 3), 1);
    pare__encoder_free(&e);
}
END_TEST

/* A frame without tokens still runs: its CLS stands for it. */
START_TEST(empty_frames)
{
    pare__encode_plan plan = {0};
    pare__encoder *e = create(&plan);
    pare__segment seg[] = {segment(0, 0), segment(1, 0)};
    seg[0].n = 0;
    const pare__pack *p = run(e, seg, 2);
    ck_assert_int_eq(p->cu[1], PREFIX);
    float pooled[DIM], logits[N_CLASS];
    model.hp.pool = PARE__POOL_MEAN;
    pare__head(&model, p->x, p->x + PREFIX * DIM, NULL, 0, pooled, logits);
    ck_assert_mem_eq(pooled, p->x, sizeof pooled);
    pare__encoder_free(&e);
}
END_TEST

/* Two tokens of size 1 and 3 count as one and three. */
START_TEST(means_are_weighted_by_size)
{
    float x[3 * DIM], pooled[DIM], logits[N_CLASS], one[DIM], want[N_CLASS], size[] = {1, 3};
    for (int i = 0; i < 3 * DIM; i++) x[i] = sinf((float)i);
    model.hp.pool = PARE__POOL_MEAN;
    pare__head(&model, x, x + DIM, size, 2, pooled, logits);
    for (int c = 0; c < DIM; c++) {
        one[c] = 0.25f * x[DIM + c] + 0.75f * x[2 * DIM + c];
        ck_assert_float_eq_tol(pooled[c], one[c], 1e-6f);
    }
    pare__head(&model, x, one, NULL, 1, pooled, want);
    for (int c = 0; c < N_CLASS; c++) ck_assert_float_eq_tol(logits[c], want[c], 1e-5f);
}
END_TEST

/* ---- golden cases ------------------------------------------------------------------------------------------------ */

typedef struct golden {
    const pare_tensors *want;
    int n;
} golden;

static int on_stage(void *user, const pare_tensor *stage)
{
    golden *g = user;
    const pare_tensor *want = pare__tensors_find(g->want, stage->name);
    if (!want) return 0;
    int64_t n = pare__tensor_count(want);
    const float *got = stage->data;
    float *w = malloc((size_t)n * 4);
    double rms = 0;
    ck_assert_msg(pare__tensor_count(stage) == n, "%s", stage->name);
    pare__tensor_f32(want, w);
    for (int64_t i = 0; i < n; i++) rms += (double)w[i] * (double)w[i] / (double)n;
    for (int64_t i = 0; i < n; i++) {
        ck_assert_msg(fabs((double)got[i] - (double)w[i]) <= 3e-5 * sqrt(rms), "%s[%lld] is %g, not %g", stage->name,
                      (long long)i, (double)got[i], (double)w[i]);
    }
    free(w);
    g->n++;
    return 0;
}

static const struct {
    const char *name;
    int interpolate, stages;
} cases[] = {{"vit-classifier", 0, 10}, {"dinov2-swiglu", 0, 9}, {"timm-reg4-interp", 1, 10}};

START_TEST(golden_cases)
{
    char path[1024];
    pare_error err;
    pare_model *m;
    pare_tensors *want;
    snprintf(path, sizeof path, "%s/golden/models/%s", PARE_TEST_DIR, cases[_i].name);
    ck_assert_msg(pare__model_load(&m, path, &err) == 0, "%s", err.text);
    strncat(path, "/expected.safetensors", sizeof path - strlen(path) - 1);
    ck_assert_msg(pare__safetensors_open(&want, path, &err) == 0, "%s", err.text);
    golden g = {.want = want};
    pare_trace_opts opts = {.struct_size = sizeof opts, .interpolate = cases[_i].interpolate, .n_threads = 2};
    const pare_tensor *pixels = pare__tensors_find(want, "pixel_values");
    ck_assert_msg(pare__trace(m, &opts, pixels, NULL, 0, on_stage, &g, &err) == 0, "%s", err.text);
    ck_assert_int_eq(g.n, cases[_i].stages);
    if (cases[_i].interpolate) {
        opts.interpolate = 0;
        ck_assert_int_eq(pare__trace(m, &opts, pixels, NULL, 0, on_stage, &g, &err), PARE_E_INVALID);
        ck_assert_msg(strstr(err.text, "98 x 98") && strstr(err.text, "56 x 56"), "%s", err.text);
    }
    pare__model_free(&m);
    pare__tensors_free(&want);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("encoder");
    TCase *t = tcase_create("invariants"), *g = tcase_create("golden");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, ragged_batch_is_one_by_one);
    tcase_add_test(t, threads_do_not_matter);
    tcase_add_test(t, backends_agree);
    tcase_add_test(t, pixels_are_the_normalised_picture);
    tcase_add_test(t, dropped_tokens_are_not_there);
    tcase_add_test(t, merged_copies_equal_copies);
    tcase_add_test(t, sites_and_captures);
    tcase_add_test(t, bad_maps_and_segments_are_refused);
    tcase_add_test(t, packs_are_cut_by_content);
    tcase_add_test(t, empty_frames);
    tcase_add_test(t, means_are_weighted_by_size);
    tcase_add_loop_test(g, golden_cases, 0, (int)(sizeof cases / sizeof *cases));
    suite_add_tcase(s, t);
    suite_add_tcase(s, g);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
