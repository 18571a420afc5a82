/* SPDX-License-Identifier: MIT */
/* Pages made on the fly: forms with numbers to be read, and noise with objects to be counted. The same seed draws the same
 * page everywhere: whole numbers only. Sizes follow the model: a unit is the square of pixels that one token stands for. */
#ifndef PARE_TOOLS_BENCH_PAGE_H
#define PARE_TOOLS_BENCH_PAGE_H

#include <stdint.h>

enum {
    BENCH_NUMBER_DIGITS = 4,
    BENCH_PAGE_NUMBERS = 6, /* of a form, fewer where the page has less room */
    BENCH_PAGE_OBJECTS = 8  /* at most, at least 1 */
};

typedef struct bench_box {
    float x0, y0, x1, y1; /* pixels */
} bench_box;

typedef struct bench_number {
    int32_t digit[BENCH_NUMBER_DIGITS];
    bench_box box[BENCH_NUMBER_DIGITS]; /* of the ink's cell */
} bench_number;

typedef struct bench_page {
    uint8_t *rgb;                /* [height, width, 3] dense, owned */
    int32_t width, height, unit; /* pixels */
    bench_number number[BENCH_PAGE_NUMBERS];
    int32_t n_number, n_object;
} bench_page;

/* Fields that a form of this size has room for; 0: too small for a single number. */
int32_t bench_page_fields(int32_t width, int32_t height, int32_t unit);
/* A form: paper, rules, rows of small print, and numbers two units tall, moved against the grid by quarters of a unit.
 * 0 or -1 (memory). bench_page_free accepts a zeroed one. */
int bench_page_form(bench_page *p, int32_t width, int32_t height, int32_t unit, uint64_t seed);
/* Grey noise with n_object in 1 .. BENCH_PAGE_OBJECTS discs and squares that do not touch. 0 or -1 (memory). */
int bench_page_objects(bench_page *p, int32_t width, int32_t height, int32_t unit, uint64_t seed);
void bench_page_free(bench_page *p);

#endif
