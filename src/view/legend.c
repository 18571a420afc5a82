/* SPDX-License-Identifier: MIT */
/* Legend of a heatmap: a meter of the share kept along the top, the numbers at the left, the colour bar at the right.
 * One line of large letters where it fits, else two lines of small ones. */
#include "view/legend.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { METER = 3, MARGIN = 8, BAR_MIN = 40, BAR_MAX = 240, BAR_HEIGHT = 10, TEXT = 64 };

static const pare__colour ground = {{24, 25, 30}}, groove = {{58, 60, 70}}, meter = {{245, 246, 250}},
                          bright = {{240, 241, 245}}, pale = {{166, 170, 184}};

typedef struct words {
    char kept[TEXT], time[TEXT], low[TEXT], high[TEXT];
} words;

static void write_words(words *w, const pare__legend *l, int is_short)
{
    if (is_short)
        snprintf(w->kept, TEXT, "%" PRId64 "/%" PRId64, l->n_kept, l->n);
    else
        snprintf(w->kept, TEXT, "kept %" PRId64 "/%" PRId64 " (%.1f %%)", l->n_kept, l->n, 100 * l->keep);
    snprintf(w->time, TEXT, is_short ? "%.2f s" : "t=%.2f s", l->pts);
    snprintf(w->low, TEXT, "%.3g", l->low);
    snprintf(w->high, TEXT, "%.3g", l->high);
}

/* The bar between x0 and x1 with the numbers of its ends below. */
static void draw_bar(const pare__canvas *c, int32_t x0, int32_t x1, const pare__legend *l, const words *w)
{
    const int32_t y0 = METER + (c->height - METER - BAR_HEIGHT - 3 - PARE__GLYPH_ASCENT) / 2, y1 = y0 + BAR_HEIGHT;
    for (int32_t x = x0; x < x1; x++) {
        pare__colour colour;
        memcpy(colour.rgb, l->palette->rgb[(x - x0) * 255 / (x1 - x0 - 1)], 3);
        pare__rect_fill(c, x, y0, x + 1, y1, colour);
    }
    pare__text_draw(c, x0, y1 + 3, 1, pale, w->low);
    pare__text_draw(c, x1 - pare__text_width(w->high, 1), y1 + 3, 1, pale, w->high);
}

static void draw_large(const pare__canvas *c, const words *w)
{
    const int32_t y = METER + (c->height - METER - 2 * PARE__GLYPH_ASCENT) / 2;
    pare__text_draw(c, MARGIN, y, 2, bright, w->kept);
    pare__text_draw(c, MARGIN + pare__text_width(w->kept, 2) + 3 * MARGIN, y, 2, pale, w->time);
}

static void draw_small(const pare__canvas *c, const words *w)
{
    const int32_t y = METER + (c->height - METER - 2 * PARE__GLYPH_ASCENT - 5) / 2;
    pare__text_draw(c, MARGIN, y, 1, bright, w->kept);
    pare__text_draw(c, MARGIN, y + PARE__GLYPH_ASCENT + 5, 1, pale, w->time);
}

static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b; }

void pare__legend_draw(const pare__canvas *c, const pare__legend *l)
{
    words w;
    write_words(&w, l, 0);
    pare__rect_fill(c, 0, 0, c->width, c->height, ground);
    pare__rect_fill(c, 0, 0, c->width, METER, groove);
    pare__rect_fill(c, 0, 0, (int32_t)lrint(l->keep * c->width), METER, meter);

    const int32_t large = pare__text_width(w.kept, 2) + pare__text_width(w.time, 2) + 3 * MARGIN;
    const int32_t bar_need = larger(BAR_MIN, pare__text_width(w.low, 1) + pare__text_width(w.high, 1) + MARGIN);
    const int is_large = large + (l->palette != NULL ? bar_need + 2 * MARGIN : 0) + 2 * MARGIN <= c->width;
    int32_t small = larger(pare__text_width(w.kept, 1), pare__text_width(w.time, 1));
    if (small + 2 * MARGIN > c->width) {
        write_words(&w, l, 1);
        small = larger(pare__text_width(w.kept, 1), pare__text_width(w.time, 1));
    }
    const int32_t used = is_large ? large : small, room = c->width - used - 4 * MARGIN;
    if (is_large)
        draw_large(c, &w);
    else if (small + 2 * MARGIN <= c->width)
        draw_small(c, &w);
    if (l->palette != NULL && room >= bar_need)
        draw_bar(c, c->width - MARGIN - (room < BAR_MAX ? room : BAR_MAX), c->width - MARGIN, l, &w);
}
