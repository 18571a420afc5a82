/* SPDX-License-Identifier: MIT */
/* What judges rows of the bench: nearest neighbours against a plain rewrite, and on disk; linear heads and every way in
 * which their file can be wrong; MOT boxes and every way in which a line can be; patches in boxes on hand-made results. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../tools/bench/knn.h"
#include "../tools/bench/linear_head.h"
#include "../tools/bench/patches.h"

static char path[] = "/tmp/pare-judges-XXXXXX";

static double draw(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(*state >> 33) / (double)(UINT64_C(1) << 31) - 0.5;
}

static void put(const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

/* ---- nearest neighbours --------------------------------------------------------------------------------------- */

enum { ROWS = 200, D = 7, CLASSES = 5 };

static float rows[ROWS][D];

static void fill(bench_knn *k, uint64_t seed)
{
    pare_error err = {0};
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < D; j++) rows[i][j] = (float)(draw(&seed) + (j == i % CLASSES ? 0.4 : 0));
        ck_assert_msg(bench_knn_add(k, rows[i], D, i % CLASSES, &err) == 0, "%s", err.text);
    }
}

/* All similarities, the 20th largest by counting, votes of those above it. */
static int32_t slow_class(const float *q)
{
    double similarity[ROWS], votes[CLASSES] = {0};
    for (int i = 0; i < ROWS; i++) {
        double xy = 0, xx = 0, yy = 0;
        for (int j = 0; j < D; j++) {
            xy += (double)q[j] * (double)rows[i][j];
            xx += (double)q[j] * (double)q[j];
            yy += (double)rows[i][j] * (double)rows[i][j];
        }
        similarity[i] = xy / sqrt(xx * yy);
    }
    for (int i = 0; i < ROWS; i++) {
        int larger = 0;
        for (int k = 0; k < ROWS; k++) larger += similarity[k] > similarity[i];
        if (larger < BENCH_KNN_K) votes[i % CLASSES] += exp(similarity[i] / BENCH_KNN_TEMPERATURE);
    }
    int32_t best = 0;
    for (int32_t c = 1; c < CLASSES; c++)
        if (votes[c] > votes[best]) best = c;
    return best;
}

START_TEST(test_knn)
{
    bench_knn k = {0};
    double votes[CLASSES];
    uint64_t seed = 5;
    int seen[CLASSES] = {0};
    fill(&k, 3);
    for (int i = 0; i < 300; i++) {
        float q[D];
        for (int j = 0; j < D; j++) q[j] = (float)draw(&seed) * 3;
        const int32_t class = bench_knn_class(&k, q, votes);
        ck_assert_int_eq(class, slow_class(q));
        seen[class]++;
    }
    for (int c = 0; c < CLASSES; c++) ck_assert_int_gt(seen[c], 10);
    bench_knn_free(&k);
}
END_TEST

/* A bank smaller than 20 votes with all it has; a query of zeros and an empty bank have an answer too. */
START_TEST(test_knn_small)
{
    bench_knn k = {0};
    double votes[2] = {0};
    pare_error err = {0};
    const float a[2] = {1, 0}, b[2] = {0, 2}, near_b[2] = {0.1F, 1}, zero[2] = {0, 0};
    ck_assert_int_eq(bench_knn_class(&k, a, votes), -1);
    ck_assert_int_eq(bench_knn_add(&k, a, 2, 0, &err), 0);
    ck_assert_int_eq(bench_knn_add(&k, b, 2, 1, &err), 0);
    ck_assert_int_eq(bench_knn_class(&k, near_b, votes), 1);
    ck_assert_int_eq(bench_knn_class(&k, zero, votes), 0);
    ck_assert_int_eq(bench_knn_add(&k, a, 1, 0, &err), PARE_E_INVALID);
    ck_assert_str_eq(err.text, "a feature of width 1 among those of width 2");
    ck_assert_int_eq(bench_knn_add(&k, a, 2, -1, &err), PARE_E_INVALID);
    bench_knn_free(&k);
}
END_TEST

START_TEST(test_knn_file)
{
    bench_knn k = {0}, again = {0};
    pare_error err = {0};
    fill(&k, 11);
    unlink(path);
    ck_assert_int_eq(bench_knn_load(&again, path, "a", &err), PARE_E_NOTFOUND);
    ck_assert_int_eq(bench_knn_save(&k, path, "a", &err), 0);
    ck_assert_int_eq(bench_knn_load(&again, path, "b", &err), PARE_E_NOTFOUND);
    ck_assert_ptr_null(again.row);
    ck_assert_msg(bench_knn_load(&again, path, "a", &err) == 0, "%s", err.text);
    ck_assert_int_eq(again.n, k.n);
    ck_assert_int_eq(again.n_class, CLASSES);
    ck_assert_int_eq(memcmp(again.label, k.label, ROWS * sizeof *k.label), 0);
    for (int i = 0; i < ROWS * D; i++) ck_assert_double_eq_tol((double)again.row[i], (double)k.row[i], 1e-7);
    bench_knn_free(&again);
    put("not a safetensors file", 22);
    ck_assert_int_lt(bench_knn_load(&again, path, "a", &err), 0);
    ck_assert_int_ne(err.code, PARE_E_NOTFOUND);
    bench_knn_free(&k);
}
END_TEST

/* ---- linear heads --------------------------------------------------------------------------------------------- */

static void save_head(const char *weight_name, int64_t c, int64_t width, int64_t n_bias)
{
    float data[64];
    pare_error err = {0};
    for (int i = 0; i < 64; i++) data[i] = (float)(i * i % 23) - 9;
    const pare_tensor t[] = {{.name = weight_name, .dtype = PARE_F32, .n_dim = 2, .shape = {c, width}, .data = data},
                             {.name = "bias", .dtype = PARE_F32, .n_dim = 1, .shape = {n_bias}, .data = data}};
    ck_assert_msg(pare_tensors_save(path, t, n_bias > 0 ? 2 : 1, NULL, 0, &err) == 0, "%s", err.text);
}

static void expect_bad_head(int32_t d, int has_cls, int code, const char *text)
{
    bench_head h;
    pare_error err = {0};
    ck_assert_int_eq(bench_head_open(path, d, has_cls, &h, &err), code);
    ck_assert_msg(strstr(err.text, text) != NULL, "'%s' lacks '%s'", err.text, text);
    ck_assert_msg(strncmp(err.text, path, strlen(path)) == 0, "'%s' names no file", err.text);
    ck_assert_ptr_null(h.weight);
}

START_TEST(test_head)
{
    bench_head h;
    pare_error err = {0};
    float logits[3];
    const float cls[2] = {1, -2}, mean[2] = {3, 0.5F};
    save_head("weight", 3, 4, 3);
    ck_assert_msg(bench_head_open(path, 2, 1, &h, &err) == 0, "%s", err.text);
    ck_assert_int_eq(h.n_class, 3);
    bench_head_logits(&h, cls, mean, logits); /* row 0: -9 -8 -5 0 and bias -9 */
    ck_assert_float_eq(logits[0], -9 * 1 - 8 * -2 - 5 * 3 + 0 - 9);
    bench_head_logits(&h, NULL, mean, logits);
    ck_assert_float_eq(logits[0], -9 * 3 - 4 - 5 * 3 + 0 - 9);
    bench_head_free(&h);
    ck_assert_msg(bench_head_open(path, 4, 0, &h, &err) == 0, "%s", err.text);
    bench_head_free(&h);
    save_head("classifier.weight", 3, 2, 0);
    ck_assert_msg(bench_head_open(path, 2, 0, &h, &err) == 0, "%s", err.text);
    bench_head_logits(&h, cls, mean, logits);
    ck_assert_float_eq(logits[0], -9 * 3 - 4);
    bench_head_free(&h);
}
END_TEST

START_TEST(test_bad_heads)
{
    save_head("weight", 3, 4, 2);
    expect_bad_head(2, 1, PARE_E_INVALID, "bias has 2 numbers, weight has 3 classes");
    expect_bad_head(3, 1, PARE_E_INVALID, "weight reads 4 numbers, tokens of the model have 3: 3 or 6 are needed");
    expect_bad_head(2, 0, PARE_E_INVALID, "the model has none");
    save_head("other", 3, 4, 0);
    expect_bad_head(2, 1, PARE_E_NOTFOUND, "no tensor 'weight'");
    put("{", 1);
    expect_bad_head(2, 1, PARE_E_FORMAT, path);
}
END_TEST

/* ---- boxes ---------------------------------------------------------------------------------------------------- */

START_TEST(test_boxes)
{
    static const char text[] = "# frame,id,x,y,w,h\n\n"
                               "3,-1,10.5,20,5,6,0.9,-1,-1,-1\r\n"
                               "1,7, 0 , 0 ,2,2\n"
                               "3,2,1,1,1,1,1,\n"
                               "2,2,1,1,1,1,0\n" /* not to be counted */
                               "5,2,1e2,-3.5,0,4";
    bench_boxes b;
    pare_error err = {0};
    int64_t n;
    put(text, sizeof text - 1);
    ck_assert_msg(bench_boxes_read(path, &b, &err) == 0, "%s", err.text);
    ck_assert_int_eq(b.n, 4);
    ck_assert_ptr_nonnull(bench_boxes_of(&b, 3, &n));
    ck_assert_int_eq(n, 2);
    ck_assert_ptr_null(bench_boxes_of(&b, 2, &n));
    ck_assert_int_eq(n, 0);
    ck_assert_ptr_null(bench_boxes_of(&b, 99, &n));
    const bench_mot_box *one = bench_boxes_of(&b, 1, &n);
    ck_assert_int_eq(n, 1);
    ck_assert(bench_boxes_hold(one, n, 0, 0) && bench_boxes_hold(one, n, 1.99, 1));
    ck_assert(!bench_boxes_hold(one, n, 2, 1) && !bench_boxes_hold(one, n, -0.1, 1) && !bench_boxes_hold(one, 0, 1, 1));
    const bench_mot_box *thin = bench_boxes_of(&b, 5, &n);
    ck_assert(!bench_boxes_hold(thin, n, 100, 0));
    bench_boxes_free(&b);
    put("# nobody\n", 9);
    ck_assert_int_eq(bench_boxes_read(path, &b, &err), 0);
    ck_assert_int_eq(b.n, 0);
    ck_assert_ptr_null(bench_boxes_of(&b, 1, &n));
    bench_boxes_free(&b);
}
END_TEST

static const struct {
    const char *text;
    size_t size; /* 0 = strlen */
    int code;
    const char *says; /* after the file's name */
} bad_boxes[] = {
    {"1,2,3,4,5,6\n1,2,3,4\n", 0, PARE_E_FORMAT, ":2: 4 fields, a box has at least 6"},
    {"1,2,x y,4,5,6\n", 0, PARE_E_FORMAT, ":1: 'x y' is not a number"},
    {"1,2,,4,5,6\n", 0, PARE_E_FORMAT, ":1: '' is not a number"},
    {"1,2,nan,4,5,6\n", 0, PARE_E_FORMAT, ":1: 'nan' is not a number"},
    {"1,2,1e999,4,5,6\n", 0, PARE_E_FORMAT, ":1: '1e999' is not a number"},
    {"1 2 3 4 5 6\n", 0, PARE_E_FORMAT, ":1: '1 2 3 4 5 6' is not a number"},
    {"\n0,2,3,4,5,6\n", 0, PARE_E_FORMAT, ":2: frame 0: frames are whole numbers and count from 1"},
    {"1.5,2,3,4,5,6\n", 0, PARE_E_FORMAT, ":1: frame 1.5"},
    {"1,2,3,4,-5,6\n", 0, PARE_E_FORMAT, ":1: a box of -5 x 6 pixels"},
    {"1,2,3,4,5,6\0", 12, PARE_E_FORMAT, ":1: a NUL byte"},
    {"1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1\n", 0, PARE_E_FORMAT, ":1: more than 32"},
};

START_TEST(test_bad_boxes)
{
    bench_boxes b;
    pare_error err = {0};
    put(bad_boxes[_i].text, bad_boxes[_i].size > 0 ? bad_boxes[_i].size : strlen(bad_boxes[_i].text));
    ck_assert_int_eq(bench_boxes_read(path, &b, &err), bad_boxes[_i].code);
    ck_assert_int_eq(strncmp(err.text, path, strlen(path)), 0);
    ck_assert_msg(strncmp(err.text + strlen(path), bad_boxes[_i].says, strlen(bad_boxes[_i].says)) == 0, "'%s'",
                  err.text);
    ck_assert_ptr_null(b.item);
}
END_TEST

START_TEST(test_long_line)
{
    static char line[10000];
    bench_boxes b;
    pare_error err = {0};
    memset(line, ' ', sizeof line);
    put(line, sizeof line);
    ck_assert_int_eq(bench_boxes_read(path, &b, &err), PARE_E_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.text, ":1: a line of more than 4096 bytes"));
    unlink(path);
    ck_assert_int_eq(bench_boxes_read(path, &b, &err), PARE_E_IO);
    put("", 0);
}
END_TEST

/* ---- patches in boxes ----------------------------------------------------------------------------------------- */

enum { W = 4, UNITS = 8 }; /* a slot of 2 x 4 units of 10 pixels */

static const pare_slot grid = {.tile_rows = 1, .tile_cols = 1, .grid_h = 2, .grid_w = W};
static const pare_slot coarse = {.tile_rows = 1, .tile_cols = 1, .grid_h = 1, .grid_w = 2};
static const int64_t one_each[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
static const int32_t first_units[] = {0, 1, 2, 3, 4, 5, 6, 7};
static const float ones[] = {1, 1, 1, 1, 1, 1, 1, 1};

/* Rows that keep `k` units as they are, at the boxes of `step` pixels a side. */
typedef struct scene {
    pare_result_view v;
    float embeds[UNITS * 2], box[UNITS * 4];
    int32_t place[UNITS * 6], anchor[UNITS];
    int64_t row_start[2], unit_start[2];
} scene;

static void make(scene *s, const pare_slot *slot, int64_t n, const int32_t *unit, int64_t k, float step)
{
    *s = (scene){.row_start = {0, k}, .unit_start = {0, n}};
    for (int64_t r = 0; r < k; r++) {
        const float x = (float)(unit[r] % slot->grid_w) * step, y = (float)(unit[r] / slot->grid_w) * step;
        const float box[4] = {x, y, x + step, y + step};
        s->anchor[r] = unit[r];
        memcpy(s->box + r * 4, box, sizeof box);
        s->embeds[r * 2] = 1;
        s->embeds[r * 2 + 1] = (float)unit[r];
    }
    s->v = (pare_result_view){.struct_size = sizeof s->v,
                              .grid = {1, slot->grid_h, slot->grid_w},
                              .slot = slot,
                              .unit_start = s->unit_start,
                              .row_start = s->row_start,
                              .d = 2,
                              .n = n,
                              .k = k,
                              .embeds = s->embeds,
                              .place = s->place,
                              .box = s->box,
                              .sizes = ones,
                              .map = {.n_in = n,
                                      .n_out = k,
                                      .row_start = one_each,
                                      .index = s->anchor,
                                      .weight = ones,
                                      .anchor = s->anchor,
                                      .size = ones}};
}

static bench_tally tally(const scene *full, const scene *run, const bench_mot_box *box, int64_t n_box)
{
    const bench_slot f = {&full->v, 0, 0}, r = {&run->v, 0, 0};
    bench_owners o = {0};
    bench_tally t = {0};
    ck_assert_int_eq(bench_owners_of(&o, &run->v), 0);
    bench_tally_boxes(&f, &r, &o, box, n_box, 1, &t);
    bench_owners_free(&o);
    return t;
}

/* The box holds the centres of units 1, 2, 5, 6. */
static const bench_mot_box middle = {1, 10, 0, 30, 20};

START_TEST(test_pruned_patches)
{
    static const int32_t kept[] = {0, 1, 6};
    scene full, run;
    make(&full, &grid, UNITS, first_units, UNITS, 10);
    make(&run, &grid, UNITS, kept, 3, 10);
    bench_tally t = tally(&full, &run, &middle, 1);
    ck_assert_double_eq(t.n_box, 4);
    ck_assert_double_eq(t.kept, 2);
    ck_assert_double_eq(t.represented, 2);
    ck_assert_double_eq_tol(t.cosine, 2, 1e-12);
    t = tally(&full, &full, &middle, 1);
    ck_assert_double_eq(t.kept, 4);
    ck_assert_double_eq_tol(t.cosine, 4, 1e-12);
    t = tally(&full, &run, NULL, 0);
    ck_assert_double_eq(t.n_box, 0);
}
END_TEST

/* Row 0 at unit 1 holds 1 and 2, its level 1 in the second pass; row 1 at unit 5 names unit 6 as a member. */
START_TEST(test_merged_patches)
{
    static const int32_t anchors[] = {1, 5}, index[] = {1, 2, 5}, member[] = {1, 2, 5, 6};
    static const int64_t start[] = {0, 2, 3}, members[] = {0, 2, 4};
    scene full, run;
    make(&full, &grid, UNITS, first_units, UNITS, 10);
    make(&run, &grid, UNITS, anchors, 2, 10);
    run.v.map.row_start = start;
    run.v.map.index = index;
    bench_tally t = tally(&full, &run, &middle, 1);
    ck_assert_double_eq(t.kept, 2);
    ck_assert_double_eq(t.represented, 3);
    run.v.map.member_start = members;
    run.v.map.member = member;
    run.place[5] = 1;
    t = tally(&full, &run, &middle, 1);
    ck_assert_double_eq(t.kept, 1);
    ck_assert_double_eq(t.represented, 4);
    ck_assert_double_eq_tol(t.cosine, 2 + (1 + 2) / sqrt(2 * 5.) + (1 + 30) / sqrt(26 * 37.), 1e-6);
}
END_TEST

/* A grid of its own: two rows of 20 x 20 pixels; every unit lies in one of them. */
START_TEST(test_resized_patches)
{
    static const bench_mot_box left = {1, 0, 0, 20, 20};
    scene full, run;
    make(&full, &grid, UNITS, first_units, UNITS, 10);
    make(&run, &coarse, 2, first_units, 2, 20);
    bench_tally t = tally(&full, &run, &middle, 1);
    ck_assert_double_eq(t.n_box, 4);
    ck_assert_double_eq(t.kept, 1); /* the centre of row 0 lies on the box's edge, that of row 1 outside */
    ck_assert_double_eq(t.represented, 4);
    t = tally(&full, &run, &left, 1);
    ck_assert_double_eq(t.kept, 1);
    ck_assert_double_eq_tol(t.cosine, 1 + 1 / sqrt(2) + 1 / sqrt(17) + 1 / sqrt(26), 1e-6);
}
END_TEST

START_TEST(test_whole_slots)
{
    static const float cls[] = {1, 0, 9, 9, 0, 1, 9, 9}, other[] = {0, 1, 8, 8, 0, 2, 8, 8}, logit[] = {1, 2, 3, 0},
                       turned[] = {1, 2, 0, 3};
    scene full, run;
    make(&full, &grid, UNITS, first_units, UNITS, 10);
    run = full;
    full.v.n_prefix = run.v.n_prefix = full.v.n_class = run.v.n_class = 2;
    full.v.prefix = cls;
    run.v.prefix = other;
    full.v.logits = logit;
    run.v.logits = turned;
    bench_tally t = {0};
    for (int32_t q = 0; q < 2; q++) bench_tally_whole(&(bench_slot){&full.v, q, 0}, &(bench_slot){&run.v, q, 0}, &t);
    ck_assert_double_eq(t.n_cls, 2);
    ck_assert_double_eq_tol(t.cls, 1, 1e-12);
    ck_assert_double_eq(t.n_agree, 2);
    ck_assert_double_eq(t.agree, 1);
    ck_assert_double_eq(t.n_pooled, 0);
    bench_tally_whole(&(bench_slot){&full.v, 0, 0}, &(bench_slot){0}, &t);
    ck_assert_double_eq(t.n_cls, 2);
}
END_TEST

START_TEST(test_arithmetic)
{
    const float zero[2] = {0, 0}, x[2] = {3, 4}, tie[3] = {1, 2, 2};
    ck_assert_double_eq(bench_cosine(zero, zero, 2), 1);
    ck_assert_double_eq(bench_cosine(zero, x, 2), 0);
    ck_assert_double_eq_tol(bench_cosine(x, x, 2), 1, 1e-15);
    ck_assert_int_eq(bench_argmax(tie, 3), 1);
    ck_assert_int_eq(bench_argmax(tie, 0), -1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("judges of the bench");
    TCase *c = tcase_create("all");
    const int fd = mkstemp(path);
    if (fd < 0) return 1;
    close(fd);
    tcase_add_test(c, test_knn);
    tcase_add_test(c, test_knn_small);
    tcase_add_test(c, test_knn_file);
    tcase_add_test(c, test_head);
    tcase_add_test(c, test_bad_heads);
    tcase_add_test(c, test_boxes);
    tcase_add_loop_test(c, test_bad_boxes, 0, sizeof bad_boxes / sizeof *bad_boxes);
    tcase_add_test(c, test_long_line);
    tcase_add_test(c, test_pruned_patches);
    tcase_add_test(c, test_merged_patches);
    tcase_add_test(c, test_resized_patches);
    tcase_add_test(c, test_whole_slots);
    tcase_add_test(c, test_arithmetic);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    unlink(path);
    return failed != 0;
}
