/* SPDX-License-Identifier: MIT */
/* A balanced norm and its layer are what they were, channels of zeros stay finite, and a row in 8 bits loses less where one
 * channel is far larger than the others. */
#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "core/mem.h"
#include "encode/balance.h"

enum { IN = 48, OUT = 20 };

typedef struct layer {
    float gain[IN], shift[IN], w[OUT * IN];
    pare__norm_w norm;
    pare__linear linear;
} layer;

static float draw(void) { return (float)rand() / (float)RAND_MAX * 2 - 1; }

static void fill(layer *l, float outlier)
{
    srand(7);
    for (int c = 0; c < IN; c++) {
        l->gain[c] = c == 5 ? outlier : 1 + .5f * draw();
        l->shift[c] = .3f * draw();
    }
    for (int i = 0; i < OUT * IN; i++) l->w[i] = i % IN == 5 ? draw() / outlier : draw();
    l->norm = (pare__norm_w){l->gain, l->shift};
    l->linear = (pare__linear){.w = l->w, .n_in = IN, .n_out = OUT};
}

/* y [OUT] = w . (gain x + shift), the row in 255 steps where asked. */
static void apply(const pare__norm_w *n, const float *w, const float *x, int in_bytes, double *y)
{
    double row[IN], lo = 0, hi = 0;
    for (int c = 0; c < IN; c++) {
        row[c] = (double)n->w[c] * x[c] + (n->b ? n->b[c] : 0);
        lo = fmin(lo, row[c]);
        hi = fmax(hi, row[c]);
    }
    const double step = (hi - lo) / 255;
    for (int c = 0; in_bytes && c < IN; c++) row[c] = round(row[c] / step) * step;
    for (int o = 0; o < OUT; o++) {
        y[o] = 0;
        for (int c = 0; c < IN; c++) y[o] += w[o * IN + c] * row[c];
    }
}

static double error_of(const layer *l, const pare__norm_w *n, const float *w, int in_bytes)
{
    double sum = 0;
    srand(11);
    for (int r = 0; r < 50; r++) {
        float x[IN];
        double want[OUT], got[OUT];
        for (int c = 0; c < IN; c++) x[c] = 1.7f * draw();
        apply(&l->norm, l->w, x, 0, want);
        apply(n, w, x, in_bytes, got);
        for (int o = 0; o < OUT; o++) sum += (got[o] - want[o]) * (got[o] - want[o]);
    }
    return sqrt(sum / (50 * OUT));
}

START_TEST(same_layer)
{
    layer l;
    pare__balanced b;
    fill(&l, 40);
    ck_assert_int_eq(pare__balance(&l.norm, &l.linear, &b, NULL), 0);
    ck_assert_double_lt(error_of(&l, &b.norm, b.w, 0), 1e-5);
    ck_assert_float_ne(b.norm.w[5], l.gain[5]);
    pare__free(b.w);
    pare__free(b.memory);
}
END_TEST

START_TEST(outlier)
{
    layer l;
    pare__balanced b;
    fill(&l, 40);
    ck_assert_int_eq(pare__balance(&l.norm, &l.linear, &b, NULL), 0);
    ck_assert_double_lt(error_of(&l, &b.norm, b.w, 1), .5 * error_of(&l, &l.norm, l.w, 1));
    pare__free(b.w);
    pare__free(b.memory);
}
END_TEST

START_TEST(zeros)
{
    layer l;
    pare__balanced b;
    fill(&l, 1);
    l.norm.b = NULL;
    l.gain[0] = 0;
    for (int o = 0; o < OUT; o++) l.w[o * IN + 1] = l.w[o * IN + 2] = 0;
    l.gain[2] = 0;
    ck_assert_int_eq(pare__balance(&l.norm, &l.linear, &b, NULL), 0);
    ck_assert_ptr_null(b.norm.b);
    for (int c = 0; c < IN; c++) ck_assert(isfinite(b.norm.w[c]) && isfinite(b.w[c]));
    ck_assert_double_lt(error_of(&l, &b.norm, b.w, 0), 1e-5);
    pare__free(b.w);
    pare__free(b.memory);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("balance");
    TCase *tcase = tcase_create("balance");
    tcase_add_test(tcase, same_layer);
    tcase_add_test(tcase, outlier);
    tcase_add_test(tcase, zeros);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed > 0;
}
