/* SPDX-License-Identifier: MIT */
/* What pages are asked: how they are drawn, what of a reduction is shown to the readout, what the right answers are, and
 * how answers are marked. A sample is one thing to be read (a digit, a count); the readout sees `width` numbers of it that
 * come from surviving tokens alone, zeros where none stands for the place. */
#ifndef PARE_TOOLS_BENCH_EXAM_H
#define PARE_TOOLS_BENCH_EXAM_H

#include "page.h"
#include "patches.h"

enum {
    BENCH_EXAM_MOST = 32,  /* samples of a page */
    BENCH_EXAM_SEED = 1001 /* of the first test page */
};

typedef struct bench_exam {
    int32_t side;            /* of the page in units; 0 = the model's photo, else 16 */
    int32_t n_train, n_test; /* pages: seeds from 1 on, and from BENCH_EXAM_SEED on */
    int32_t n_out;
    double lambda;
    int32_t column; /* of the mark */
    int (*draw)(bench_page *p, int32_t width, int32_t height, int32_t unit, uint64_t seed);
    int32_t (*count)(const bench_page *p);                         /* samples, at most BENCH_EXAM_MOST */
    int64_t (*width)(int32_t d);                                   /* features of a sample */
    void (*target)(const bench_page *p, int32_t sample, float *y); /* y [n_out], zeroed before */
    double (*mark)(const bench_page *p, const float *y);           /* y [count, n_out] -> the cell's value */
    /* x [count, width]; `owner` [v->n]: the row that stands for each unit, or -1. */
    void (*look)(const bench_page *p, const pare_result_view *v, const int32_t *owner, float *x);
} bench_exam;

/* Four-digit numbers of forms: each digit by what stands for 3 x 3 parts of its box. A number is right when its four
 * digits are; the mark is the share of the page's numbers. */
extern const bench_exam bench_exam_numbers;
/* Objects on noise: the mean of all rows, weighted by the patches that they stand for. The mark is 1 or 0. */
extern const bench_exam bench_exam_count;

#endif
