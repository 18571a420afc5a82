/* SPDX-License-Identifier: MIT */
/* Numbers and counts (exam.h). A digit's box is cut into PARTS x PARTS; a part's features are the mean, by shared area, of
 * the tokens that stand for the units under it. A unit that nobody stands for adds zeros, so that half a part missing is
 * half as loud. The page fills the grid, also a grid that a reduction defined for itself. */
#include "exam.h"

#include <math.h>
#include <string.h>

enum { PARTS = 3, DIGITS = 10 };

static float larger(float a, float b) { return a > b ? a : b; }
static float smaller(float a, float b) { return a < b ? a : b; }

/* Length that [a0, a1) and [b0, b1) share. */
static float shared(float a0, float a1, float b0, float b1) { return larger(0, smaller(a1, b1) - larger(a0, b0)); }

/* ---- numbers -------------------------------------------------------------------------------------------------- */

/* Adds to x [d] what the tokens under the part say, by their share of its area. */
static void look_at_part(const bench_page *p, const pare_result_view *v, const int32_t *owner, const bench_box *part,
                         float *x)
{
    const float uw = (float)p->width / (float)v->grid[2], uh = (float)p->height / (float)v->grid[1];
    const float area = (part->x1 - part->x0) * (part->y1 - part->y0);
    for (int32_t r = (int32_t)(part->y0 / uh); r < v->grid[1] && (float)r * uh < part->y1; r++)
        for (int32_t c = (int32_t)(part->x0 / uw); c < v->grid[2] && (float)c * uw < part->x1; c++) {
            const int32_t row = owner[(int64_t)r * v->grid[2] + c];
            const float share = shared(part->x0, part->x1, (float)c * uw, (float)(c + 1) * uw) *
                                shared(part->y0, part->y1, (float)r * uh, (float)(r + 1) * uh) / area;
            if (row < 0) continue;
            for (int32_t j = 0; j < v->d; j++) x[j] += share * v->embeds[(int64_t)row * v->d + j];
        }
}

static void look_at_digit(const bench_page *p, const pare_result_view *v, const int32_t *owner, const bench_box *box,
                          float *x)
{
    const float w = (box->x1 - box->x0) / PARTS, h = (box->y1 - box->y0) / PARTS;
    for (int i = 0; i < PARTS * PARTS; i++) {
        const float x0 = box->x0 + (float)(i % PARTS) * w, y0 = box->y0 + (float)(i / PARTS) * h;
        look_at_part(p, v, owner, &(bench_box){x0, y0, x0 + w, y0 + h}, x + (int64_t)i * v->d);
    }
}

static int32_t numbers_count(const bench_page *p) { return p->n_number * BENCH_NUMBER_DIGITS; }
static int64_t numbers_width(int32_t d) { return (int64_t)PARTS * PARTS * d; }

static void numbers_look(const bench_page *p, const pare_result_view *v, const int32_t *owner, float *x)
{
    const int64_t width = numbers_width(v->d);
    const int32_t n = numbers_count(p);
    memset(x, 0, (size_t)(n * width) * sizeof *x);
    for (int32_t i = 0; i < n; i++)
        look_at_digit(p, v, owner, &p->number[i / BENCH_NUMBER_DIGITS].box[i % BENCH_NUMBER_DIGITS], x + i * width);
}

static void numbers_target(const bench_page *p, int32_t sample, float *y)
{
    y[p->number[sample / BENCH_NUMBER_DIGITS].digit[sample % BENCH_NUMBER_DIGITS]] = 1;
}

static double numbers_mark(const bench_page *p, const float *y)
{
    int32_t n_read = 0;
    for (int32_t i = 0; i < p->n_number; i++) {
        int n_right = 0;
        for (int j = 0; j < BENCH_NUMBER_DIGITS; j++)
            n_right += bench_argmax(y + (i * BENCH_NUMBER_DIGITS + j) * DIGITS, DIGITS) == p->number[i].digit[j];
        n_read += n_right == BENCH_NUMBER_DIGITS;
    }
    return p->n_number > 0 ? (double)n_read / p->n_number : NAN;
}

const bench_exam bench_exam_numbers = {
    .n_train = 32,
    .n_test = 24,
    .n_out = DIGITS,
    .lambda = 0.05,
    .column = BENCH_NUMBERS,
    .draw = bench_page_form,
    .count = numbers_count,
    .width = numbers_width,
    .target = numbers_target,
    .mark = numbers_mark,
    .look = numbers_look,
};

/* ---- counts --------------------------------------------------------------------------------------------------- */

static int32_t count_count(const bench_page *p) { return p->n_object > 0; }
static int64_t count_width(int32_t d) { return d; }

/* A page without rows shows nothing. */
static void count_look(const bench_page *p, const pare_result_view *v, const int32_t *owner, float *x)
{
    (void)p, (void)owner;
    memset(x, 0, (size_t)v->d * sizeof *x);
    bench_slot_mean(v, 0, x);
}

static void count_target(const bench_page *p, int32_t sample, float *y)
{
    (void)sample;
    y[0] = (float)p->n_object;
}

static double count_mark(const bench_page *p, const float *y)
{
    return lrint(fmin(fmax((double)*y, 1), BENCH_PAGE_OBJECTS)) == p->n_object;
}

const bench_exam bench_exam_count = {
    .side = 8,
    .n_train = 96,
    .n_test = 48,
    .n_out = 1,
    .lambda = 0.1,
    .column = BENCH_COUNTED,
    .draw = bench_page_objects,
    .count = count_count,
    .width = count_width,
    .target = count_target,
    .mark = count_mark,
    .look = count_look,
};
