/* SPDX-License-Identifier: MIT */
/* Legend of a heatmap: a meter of the share kept along the top, the numbers at the left, the colour bar at the right.
 * One line of large letters where it fits, else two lines of small ones. Of a comparison: the four colours, their names and
 * how many units have them. */
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

/* ---- shares --------------------------------------------------------------------------------------------------- */

static void write_share(char *text, const pare__share *s, int is_short)
{
    if (is_short)
        snprintf(text, TEXT, "%" PRId64, s->n);
    else
        snprintf(text, TEXT, "%s %" PRId64, s->name, s->n);
}

/* Swatches and words from the left; returns where they end. Nothing is drawn on NULL. */
static int32_t draw_shares(const pare__canvas *c, const pare__legend *l, int32_t scale, int is_short)
{
    const int32_t side = PARE__GLYPH_ASCENT * scale;
    int32_t x = MARGIN;
    for (int32_t i = 0; i < l->n_share; i++) {
        char text[TEXT];
        write_share(text, &l->share[i], is_short);
        if (c != NULL) {
            const int32_t y = (c->height - side) / 2;
            pare__rect_fill(c, x, y, x + side, y + side, l->share[i].colour);
            pare__text_draw(c, x + side + MARGIN / 2, y, scale, bright, text);
        }
        x += side + MARGIN / 2 + pare__text_width(text, scale) + MARGIN;
    }
    return x;
}

/* Large with names, then smaller, then numbers alone; the time where there is still room. */
static void draw_comparison(const pare__canvas *c, const pare__legend *l)
{
    char time[TEXT];
    int32_t scale = 2;
    snprintf(time, TEXT, "t=%.2f s", l->pts);
    if (draw_shares(NULL, l, scale, 0) > c->width) scale = 1;
    const int is_short = draw_shares(NULL, l, scale, 0) > c->width;
    const int32_t end = draw_shares(c, l, scale, is_short), width = pare__text_width(time, scale);
    if (end + width + MARGIN <= c->width)
        pare__text_draw(c, c->width - width - MARGIN, (c->height - PARE__GLYPH_ASCENT * scale) / 2, scale, pale, time);
}

void pare__legend_draw(const pare__canvas *c, const pare__legend *l)
{
    words w;
    write_words(&w, l, 0);
    pare__rect_fill(c, 0, 0, c->width, c->height, ground);
    if (l->share != NULL) {
        draw_comparison(c, l);
        return;
    }
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
