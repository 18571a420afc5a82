/* SPDX-License-Identifier: MIT */
/* Parts of an SVG plot: axes, ticks, marks, text, labels that do not collide. Nothing here knows what is plotted. */
#ifndef PARE_TOOLS_BENCH_PLOT_H
#define PARE_TOOLS_BENCH_PLOT_H

#include <stdint.h>
#include <stdio.h>

enum { PLOT_MAX_TICKS = 24 };

/* Values lo..hi to pixels from..to (from > to where the axis points up). */
typedef struct plot_scale {
    double lo, hi, from, to;
    int log;
} plot_scale;

/* Covers all finite values with a margin; logarithmic if asked for and the values span a factor of 4. */
plot_scale plot_fit(double lo, double hi, int may_log);
double plot_at(const plot_scale *s, double value);
/* Round values within the scale, ascending; how many. */
int plot_ticks(const plot_scale *s, double tick[PLOT_MAX_TICKS]);

typedef enum { PLOT_CIRCLE, PLOT_SQUARE, PLOT_TRIANGLE, PLOT_DIAMOND, PLOT_DOWN, PLOT_CROSS, PLOT_STAR } plot_mark;
void plot_draw_mark(plot_mark mark, double x, double y, double radius, const char *colour, int hollow, FILE *f);

/* Escaped for XML; more than `most` characters end in an ellipsis. */
void plot_text(const char *text, int32_t most, FILE *f);
int32_t plot_text_width(const char *text, int32_t most); /* characters */

/* Moves y[n], ascending, as little as possible (least squares) until neighbours are `gap` apart and all lie within
 * top..bottom; what has no room overlaps evenly. n <= PLOT_MAX_LABELS. */
enum { PLOT_MAX_LABELS = 64 };
void plot_spread(double *y, int32_t n, double gap, double top, double bottom);

#endif
