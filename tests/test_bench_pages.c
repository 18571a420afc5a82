/* SPDX-License-Identifier: MIT */
/* tools/bench: pages made on the fly, what a reduction shows of them, the linear readout, and marks. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../tools/bench/exam.h"
#include "../tools/bench/readout.h"

enum { SIDE = 224, UNIT = 14, GRID = SIDE / UNIT, D = 3 };

static uint64_t hash_page(const bench_page *p)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (int64_t i = 0; i < (int64_t)p->width * p->height * 3; i++) h = (h ^ p->rgb[i]) * UINT64_C(1099511628211);
    return h;
}

static int luma(const bench_page *p, int32_t x, int32_t y) { return p->rgb[3 * ((int64_t)y * p->width + x)]; }

/* ---- pages ---------------------------------------------------------------------------------------------------- */

/* The published tables speak of these very pages. */
START_TEST(pages_are_pinned)
{
    bench_page a, b, c;
    ck_assert_int_eq(bench_page_form(&a, SIDE, SIDE, UNIT, 33), 0);
    ck_assert_int_eq(bench_page_form(&b, SIDE, SIDE, UNIT, 33), 0);
    ck_assert_int_eq(bench_page_objects(&c, 8 * UNIT, 8 * UNIT, UNIT, 97), 0);
    ck_assert_mem_eq(a.rgb, b.rgb, SIDE * SIDE * 3);
    ck_assert_uint_eq(hash_page(&a), UINT64_C(17219106398103083152));
    ck_assert_uint_eq(hash_page(&c), UINT64_C(4293800109514126393));
    bench_page_free(&b);
    ck_assert_int_eq(bench_page_form(&b, SIDE, SIDE, UNIT, 34), 0);
    ck_assert(memcmp(a.rgb, b.rgb, SIDE * SIDE * 3) != 0);
    bench_page_free(&a);
    bench_page_free(&b);
    bench_page_free(&c);
}
END_TEST

static int overlap(const bench_box *a, const bench_box *b)
{
    return a->x0 < b->x1 && b->x0 < a->x1 && a->y0 < b->y1 && b->y0 < a->y1;
}

/* Ink lies in the boxes of digits, boxes on the page and apart; every digit and every phase against the grid occurs. */
START_TEST(numbers_stand_where_they_say)
{
    int n_digit[10] = {0}, n_phase[4] = {0};
    for (uint64_t seed = 1; seed <= 60; seed++) {
        bench_page p;
        ck_assert_int_eq(bench_page_form(&p, SIDE, SIDE, UNIT, seed), 0);
        ck_assert_int_eq(p.n_number, BENCH_PAGE_NUMBERS);
        const bench_box *box = &p.number[0].box[0];
        for (int i = 0; i < p.n_number * BENCH_NUMBER_DIGITS; i++) {
            const bench_box *a = &p.number[i / BENCH_NUMBER_DIGITS].box[i % BENCH_NUMBER_DIGITS];
            int n_ink = 0;
            ck_assert(a->x0 >= 0 && a->y0 >= 0 && a->x1 <= SIDE && a->y1 <= SIDE);
            ck_assert_float_eq(a->y1 - a->y0, 2 * UNIT);
            for (int32_t y = (int32_t)a->y0; y < (int32_t)a->y1; y++)
                for (int32_t x = (int32_t)a->x0; x < (int32_t)a->x1; x++) n_ink += luma(&p, x, y) < 60;
            ck_assert_int_gt(n_ink, 2 * UNIT * UNIT / 4);
            for (int j = 0; j < i; j++)
                ck_assert(!overlap(a, &p.number[j / BENCH_NUMBER_DIGITS].box[j % BENCH_NUMBER_DIGITS]));
            n_digit[p.number[i / BENCH_NUMBER_DIGITS].digit[i % BENCH_NUMBER_DIGITS]]++;
        }
        n_phase[((int32_t)box->x0 % UNIT * 4 + UNIT / 2) / UNIT % 4]++;
        bench_page_free(&p);
    }
    for (int i = 0; i < 10; i++) ck_assert_int_gt(n_digit[i], 60 * 24 / 10 / 2);
    for (int i = 0; i < 4; i++) ck_assert_int_gt(n_phase[i], 0);
}
END_TEST

START_TEST(small_pages)
{
    bench_page p;
    ck_assert_int_eq(bench_page_fields(SIDE, SIDE, UNIT), 10);
    ck_assert_int_eq(bench_page_fields(7 * UNIT, SIDE, UNIT), 0);
    ck_assert_int_eq(bench_page_fields(8 * UNIT, 3 * UNIT, UNIT), 1);
    ck_assert_int_eq(bench_page_form(&p, 4 * UNIT, 2 * UNIT, UNIT, 1), 0);
    ck_assert_int_eq(p.n_number, 0);
    bench_page_free(&p);
    ck_assert_int_eq(bench_page_form(&p, 8 * UNIT, 3 * UNIT, UNIT, 1), 0);
    ck_assert_int_eq(p.n_number, 1);
    bench_page_free(&p);
    ck_assert_int_eq(bench_page_objects(&p, UNIT, UNIT, UNIT, 1), 0);
    ck_assert_int_eq(p.n_object, 0);
    bench_page_free(&p);
    bench_page_free(&p);
}
END_TEST

/* Takes the bright area that (x, y) belongs to off the page. */
static void erase(bench_page *p, int32_t x, int32_t y)
{
    if (x < 0 || y < 0 || x >= p->width || y >= p->height || luma(p, x, y) < 200) return;
    p->rgb[3 * ((int64_t)y * p->width + x)] = 0;
    for (int i = 0; i < 4; i++) erase(p, x + (i == 0) - (i == 1), y + (i == 2) - (i == 3));
}

START_TEST(objects_can_be_counted)
{
    int seen[BENCH_PAGE_OBJECTS + 1] = {0};
    for (uint64_t seed = 1; seed <= 144; seed++) {
        bench_page p;
        int32_t n = 0;
        ck_assert_int_eq(bench_page_objects(&p, 8 * UNIT, 8 * UNIT, UNIT, seed), 0);
        for (int32_t i = 0; i < p.width * p.height; i++) {
            if (luma(&p, i % p.width, i / p.width) < 200) continue;
            n++;
            erase(&p, i % p.width, i / p.width);
        }
        ck_assert_int_eq(n, p.n_object);
        ck_assert(n >= 1 && n <= BENCH_PAGE_OBJECTS);
        seen[n]++;
        bench_page_free(&p);
    }
    for (int i = 1; i <= BENCH_PAGE_OBJECTS; i++) ck_assert_int_gt(seen[i], 144 / BENCH_PAGE_OBJECTS / 2);
}
END_TEST

/* ---- what is shown -------------------------------------------------------------------------------------------- */

typedef struct shown {
    float embeds[GRID * GRID * D], sizes[GRID * GRID], x[BENCH_EXAM_MOST * 9 * D];
    int32_t owner[GRID * GRID];
    int64_t row_start[2];
    pare_result_view v;
    bench_page page;
} shown;

static shown s;

/* A grid of side x side units whose tokens are (1, column, row). */
static void make_shown(int32_t side)
{
    memset(&s, 0, sizeof s);
    for (int32_t i = 0; i < side * side; i++) {
        memcpy(s.embeds + (ptrdiff_t)i * D, (const float[D]){1, (float)(i % side), (float)(i / side)},
               sizeof(float[D]));
        s.owner[i] = i;
        s.sizes[i] = 1;
    }
    s.row_start[1] = side * side;
    s.v = (pare_result_view){.struct_size = sizeof s.v,
                             .grid = {1, side, side},
                             .d = D,
                             .n = side * side,
                             .k = side * side,
                             .embeds = s.embeds,
                             .sizes = s.sizes,
                             .row_start = s.row_start};
    ck_assert_int_eq(bench_page_form(&s.page, SIDE, SIDE, UNIT, 5), 0);
}

/* Parts tile a digit's box and every part's shares sum to 1. On a smooth field a part reads the field at its middle, within
 * a unit, whatever the grid is. */
START_TEST(parts_see_their_place)
{
    for (int32_t side = GRID; side >= GRID / 2; side -= GRID / 4) {
        make_shown(side);
        bench_exam_numbers.look(&s.page, &s.v, s.owner, s.x);
        const float unit = (float)SIDE / (float)side;
        for (int i = 0; i < bench_exam_numbers.count(&s.page); i++) {
            const bench_box *b = &s.page.number[i / BENCH_NUMBER_DIGITS].box[i % BENCH_NUMBER_DIGITS];
            for (int part = 0; part < 9; part++) {
                const float *x = s.x + (ptrdiff_t)(i * 9 + part) * D;
                const float cx = b->x0 + (b->x1 - b->x0) * ((float)(part % 3) + .5f) / 3;
                const float cy = b->y0 + (b->y1 - b->y0) * ((float)(part / 3) + .5f) / 3;
                ck_assert_float_eq_tol(x[0], 1, 1e-5f);
                ck_assert_float_eq_tol(x[1], cx / unit - .5f, .5f);
                ck_assert_float_eq_tol(x[2], cy / unit - .5f, .5f);
            }
        }
        bench_page_free(&s.page);
    }
}
END_TEST

/* Nobody stands for the left half: parts there are silent, those across the border half as loud. */
START_TEST(what_is_lost_is_silent)
{
    make_shown(GRID);
    for (int32_t i = 0; i < GRID * GRID; i++)
        if (i % GRID < GRID / 2) s.owner[i] = -1;
    bench_exam_numbers.look(&s.page, &s.v, s.owner, s.x);
    int n_silent = 0, n_loud = 0;
    for (int i = 0; i < bench_exam_numbers.count(&s.page); i++) {
        const bench_box *b = &s.page.number[i / BENCH_NUMBER_DIGITS].box[i % BENCH_NUMBER_DIGITS];
        for (int part = 0; part < 9; part++) {
            const float w = (b->x1 - b->x0) / 3, x0 = b->x0 + w * (float)(part % 3);
            const float kept = fminf(fmaxf((x0 + w - SIDE / 2) / w, 0), 1);
            ck_assert_float_eq_tol(s.x[(i * 9 + part) * D], kept, 1e-4f);
            n_silent += kept <= 0;
            n_loud += kept >= 1;
        }
    }
    ck_assert(n_silent > 0 && n_loud > 0);
    bench_page_free(&s.page);
}
END_TEST

START_TEST(counting_sees_the_weighted_mean)
{
    make_shown(4);
    s.sizes[0] = 17;
    bench_exam_count.look(&s.page, &s.v, s.owner, s.x);
    ck_assert_float_eq_tol(s.x[0], 1, 1e-6f);
    ck_assert_float_eq_tol(s.x[1], 24.f / 32, 1e-6f);
    s.row_start[1] = 0;
    bench_exam_count.look(&s.page, &s.v, s.owner, s.x);
    for (int i = 0; i < D; i++) ck_assert_float_eq(s.x[i], 0);
    bench_page_free(&s.page);
}
END_TEST

/* ---- marks ---------------------------------------------------------------------------------------------------- */

START_TEST(numbers_need_all_four_digits)
{
    bench_page p;
    float y[BENCH_EXAM_MOST * 10] = {0};
    ck_assert_int_eq(bench_page_form(&p, SIDE, SIDE, UNIT, 9), 0);
    const int32_t n = bench_exam_numbers.count(&p);
    ck_assert_int_le(n, BENCH_EXAM_MOST);
    for (int32_t i = 0; i < n; i++) bench_exam_numbers.target(&p, i, y + i * 10);
    ck_assert_double_eq(bench_exam_numbers.mark(&p, y), 1);
    y[(p.number[0].digit[0] + 1) % 10] = 2;
    y[10 + (p.number[0].digit[1] + 1) % 10] = 2;
    ck_assert_double_eq_tol(bench_exam_numbers.mark(&p, y), 5. / 6, 1e-12);
    y[40 + (p.number[1].digit[0] + 1) % 10] = 2;
    ck_assert_double_eq_tol(bench_exam_numbers.mark(&p, y), 4. / 6, 1e-12);
    bench_page_free(&p);
}
END_TEST

START_TEST(counts_are_rounded_and_bounded)
{
    const bench_page three = {.n_object = 3}, eight = {.n_object = 8};
    ck_assert_double_eq(bench_exam_count.mark(&three, (const float[1]){3.4f}), 1);
    ck_assert_double_eq(bench_exam_count.mark(&three, (const float[1]){3.6f}), 0);
    ck_assert_double_eq(bench_exam_count.mark(&eight, (const float[1]){31}), 1);
    ck_assert_double_eq(bench_exam_count.mark(&three, (const float[1]){-31}), 0);
}
END_TEST

/* ---- readout -------------------------------------------------------------------------------------------------- */

enum { SAMPLES = 40, WIDTH = 5 };

static float draw(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 16777216.f - .5f;
}

/* Weights of ridge regression in the primal by plain Gauss elimination, on standardised columns; the penalty of the dual
 * form is lambda d on X^T X. */
static void solve_primal(const double z[SAMPLES][WIDTH], const double *y, double lambda, double *w)
{
    double a[WIDTH][WIDTH + 1] = {{0}};
    for (int i = 0; i < WIDTH; i++) {
        for (int j = 0; j < WIDTH; j++)
            for (int k = 0; k < SAMPLES; k++) a[i][j] += z[k][i] * z[k][j];
        for (int k = 0; k < SAMPLES; k++) a[i][WIDTH] += z[k][i] * y[k];
        a[i][i] += lambda * WIDTH;
    }
    for (int i = 0; i < WIDTH; i++)
        for (int r = 0; r < WIDTH; r++) {
            const double f = r != i ? a[r][i] / a[i][i] : 0;
            for (int j = 0; j <= WIDTH; j++) a[r][j] -= f * a[i][j];
        }
    for (int i = 0; i < WIDTH; i++) w[i] = a[i][WIDTH] / a[i][i];
}

/* The dual form is the primal one. */
START_TEST(dual_is_primal)
{
    float x[SAMPLES * WIDTH], y[SAMPLES];
    double z[SAMPLES][WIDTH], centred[SAMPLES], w[WIDTH], mean = 0;
    uint32_t state = 7;
    bench_readout r;
    for (int i = 0; i < SAMPLES * WIDTH; i++) x[i] = draw(&state) * (float)(1 + i % WIDTH) + (float)(i % WIDTH);
    for (int i = 0; i < SAMPLES; i++) y[i] = x[i * WIDTH] - 2 * x[i * WIDTH + 3] + draw(&state);
    for (int j = 0; j < WIDTH; j++) {
        double m = 0, v = 0;
        for (int i = 0; i < SAMPLES; i++) m += (double)x[i * WIDTH + j] / SAMPLES;
        for (int i = 0; i < SAMPLES; i++)
            v += ((double)x[i * WIDTH + j] - m) * ((double)x[i * WIDTH + j] - m) / SAMPLES;
        for (int i = 0; i < SAMPLES; i++) z[i][j] = ((double)x[i * WIDTH + j] - m) / sqrt(v);
    }
    for (int i = 0; i < SAMPLES; i++) mean += (double)y[i] / SAMPLES;
    for (int i = 0; i < SAMPLES; i++) centred[i] = (double)y[i] - mean;
    solve_primal(z, centred, 0.3, w);
    ck_assert_int_eq(bench_readout_fit(&r, x, y, SAMPLES, WIDTH, 1, 0.3), 0);
    for (int j = 0; j < WIDTH; j++) ck_assert_double_eq_tol((double)r.weight[j], w[j], 1e-5);
    ck_assert_double_eq_tol((double)r.base[0], mean, 1e-6);
    bench_readout_free(&r);
}
END_TEST

/* More features than samples, many of them constant or not finite: what was learnt is told apart, nothing is NaN. */
START_TEST(wide_and_dirty)
{
    enum { N = 12, WIDE = 100 };
    float x[N * WIDE], y[N * 2] = {0}, probe[WIDE], out[2];
    uint32_t state = 3;
    bench_readout r;
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < WIDE; j++) x[i * WIDE + j] = j < 10 ? 4 : draw(&state) + (float)(i % 2);
        x[i * WIDE + 11] = i % 3 == 0 ? NAN : INFINITY;
        y[i * 2 + i % 2] = 1;
    }
    ck_assert_int_eq(bench_readout_fit(&r, x, y, N, WIDE, 2, 0.01), 0);
    for (int kind = 0; kind < 2; kind++) {
        for (int j = 0; j < WIDE; j++) probe[j] = j == 3 ? NAN : draw(&state) + (float)kind;
        bench_readout_apply(&r, probe, out);
        ck_assert(isfinite(out[0]) && isfinite(out[1]));
        ck_assert_float_gt(out[kind], out[!kind]);
    }
    bench_readout_free(&r);
    bench_readout_free(&r);
}
END_TEST

/* All features zero (no token anywhere), and a single sample: the answer is the mean of the answers. */
START_TEST(nothing_to_see)
{
    float x[4 * 3] = {0}, y[4] = {1, 2, 3, 6}, out;
    bench_readout r;
    ck_assert_int_eq(bench_readout_fit(&r, x, y, 4, 3, 1, 0.1), 0);
    bench_readout_apply(&r, (float[3]){5, 6, 7}, &out);
    ck_assert_float_eq_tol(out, 3, 1e-6f);
    bench_readout_free(&r);
    ck_assert_int_eq(bench_readout_fit(&r, (float[3]){1, 2, 3}, y, 1, 3, 1, 0.1), 0);
    bench_readout_apply(&r, (float[3]){5, 6, 7}, &out);
    ck_assert_float_eq_tol(out, 1, 1e-6f);
    bench_readout_free(&r);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bench pages");
    TCase *t = tcase_create("all");
    tcase_add_test(t, pages_are_pinned);
    tcase_add_test(t, numbers_stand_where_they_say);
    tcase_add_test(t, small_pages);
    tcase_add_test(t, objects_can_be_counted);
    tcase_add_test(t, parts_see_their_place);
    tcase_add_test(t, what_is_lost_is_silent);
    tcase_add_test(t, counting_sees_the_weighted_mean);
    tcase_add_test(t, numbers_need_all_four_digits);
    tcase_add_test(t, counts_are_rounded_and_bounded);
    tcase_add_test(t, dual_is_primal);
    tcase_add_test(t, wide_and_dirty);
    tcase_add_test(t, nothing_to_see);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
