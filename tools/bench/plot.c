/* SPDX-License-Identifier: MIT */
/* Parts of an SVG plot (plot.h). */
#include "plot.h"

#include <math.h>

/* ---- axes ------------------------------------------------------------------------------------------------------ */

enum { LOG_FROM = 4 }; /* factor between the ends */

plot_scale plot_fit(double lo, double hi, int may_log)
{
    plot_scale s = {.lo = lo, .hi = hi, .log = may_log && lo > 0 && hi >= LOG_FROM * lo};
    if (s.log) {
        const double margin = pow(hi / lo, 0.03);
        s.lo = lo / margin;
        s.hi = hi * margin;
        return s;
    }
    const double margin = hi > lo ? 0.04 * (hi - lo) : fmax(fabs(hi) * 0.05, 0.5);
    s.lo = lo - margin;
    s.hi = hi + margin;
    return s;
}

double plot_at(const plot_scale *s, double value)
{
    const double share = s->log ? log(value / s->lo) / log(s->hi / s->lo) : (value - s->lo) / (s->hi - s->lo);
    return s->from + share * (s->to - s->from);
}

/* Every step-th multiple; a step is 1, 2 or 5 times a power of ten and makes 4 to 10 of them. */
static int linear_ticks(const plot_scale *s, double tick[PLOT_MAX_TICKS])
{
    const double rough = (s->hi - s->lo) / 6, power = pow(10, floor(log10(rough))), lead = rough / power;
    const double step = power * (lead < 1.5 ? 1 : lead < 3.5 ? 2 : lead < 7.5 ? 5 : 10);
    int n = 0;
    for (double k = ceil(s->lo / step); n < PLOT_MAX_TICKS && k * step <= s->hi; k++)
        tick[n++] = k * step + 0.0; /* no -0 */
    return n;
}

static int log_ticks(const plot_scale *s, const double *lead, int n_lead, double tick[PLOT_MAX_TICKS])
{
    int n = 0;
    for (double power = pow(10, floor(log10(s->lo))); power <= s->hi; power *= 10)
        for (int i = 0; i < n_lead; i++)
            if (n < PLOT_MAX_TICKS && lead[i] * power >= s->lo && lead[i] * power <= s->hi) tick[n++] = lead[i] * power;
    return n;
}

int plot_ticks(const plot_scale *s, double tick[PLOT_MAX_TICKS])
{
    static const double coarse[] = {1, 2, 5}, fine[] = {1, 1.5, 2, 3, 4, 5, 6, 8};
    if (!s->log) return linear_ticks(s, tick);
    const int n = log_ticks(s, coarse, 3, tick);
    return n >= 5 ? n : log_ticks(s, fine, 8, tick);
}

/* ---- marks ----------------------------------------------------------------------------------------------------- */

typedef struct point {
    double x, y;
} point;

enum { MAX_CORNERS = 10 };

/* Corners on the unit circle, y down; marks without corners are drawn otherwise. */
static const struct polygon {
    int n;
    point corner[MAX_CORNERS];
} polygons[] = {
    [PLOT_SQUARE] = {4, {{-.8, -.8}, {.8, -.8}, {.8, .8}, {-.8, .8}}},
    [PLOT_TRIANGLE] = {3, {{0, -1.1}, {1, .75}, {-1, .75}}},
    [PLOT_DOWN] = {3, {{0, 1.1}, {1, -.75}, {-1, -.75}}},
    [PLOT_DIAMOND] = {4, {{0, -1.15}, {1.15, 0}, {0, 1.15}, {-1.15, 0}}},
    [PLOT_STAR] = {10,
                   {{0, -1.5},
                    {.35, -.49},
                    {1.43, -.46},
                    {.57, .19},
                    {.88, 1.21},
                    {0, .6},
                    {-.88, 1.21},
                    {-.57, .19},
                    {-1.43, -.46},
                    {-.35, -.49}}},
};

static void draw_polygon(const struct polygon *p, double x, double y, double radius, const char *paint, FILE *f)
{
    fputs("<polygon points=\"", f);
    for (int i = 0; i < p->n; i++)
        fprintf(f, "%s%.1f,%.1f", i > 0 ? " " : "", x + radius * p->corner[i].x, y + radius * p->corner[i].y);
    fprintf(f, "\" %s/>\n", paint);
}

void plot_draw_mark(plot_mark mark, double x, double y, double radius, const char *colour, int hollow, FILE *f)
{
    char paint[96];
    snprintf(paint, sizeof paint, "fill=\"%.20s\" stroke=\"%.20s\" stroke-width=\"1.2\"", hollow ? "#fff" : colour,
             colour);
    if (mark == PLOT_CIRCLE)
        fprintf(f, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\" %s/>\n", x, y, radius * .95, paint);
    else if (mark == PLOT_CROSS)
        fprintf(
            f, "<path d=\"M%.1f %.1fl%.1f %.1fm0 %.1fl%.1f %.1f\" fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\"/>\n",
            x - .8 * radius, y - .8 * radius, 1.6 * radius, 1.6 * radius, -1.6 * radius, -1.6 * radius, 1.6 * radius,
            colour);
    else
        draw_polygon(&polygons[mark], x, y, radius, paint, f);
}

/* ---- text ------------------------------------------------------------------------------------------------------ */

static int is_continuation(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

static int32_t count_characters(const char *text)
{
    int32_t n = 0;
    for (; *text != '\0'; text++) n += !is_continuation(*text);
    return n;
}

int32_t plot_text_width(const char *text, int32_t most)
{
    const int32_t n = count_characters(text);
    return n < most ? n : most;
}

static void put_character(char c, FILE *f)
{
    const unsigned char u = (unsigned char)c;
    if (c == '&')
        fputs("&amp;", f);
    else if (c == '<')
        fputs("&lt;", f);
    else if (c == '>')
        fputs("&gt;", f);
    else if (c == '"')
        fputs("&quot;", f);
    else
        fputc(u < 0x20 ? ' ' : c, f);
}

void plot_text(const char *text, int32_t most, FILE *f)
{
    const int cut = count_characters(text) > most;
    for (int32_t n = 0; *text != '\0'; text++) {
        n += !is_continuation(*text);
        if (cut && n >= most) break;
        put_character(*text, f);
    }
    if (cut) fputs("\xe2\x80\xa6", f);
}

/* ---- labels ---------------------------------------------------------------------------------------------------- */

/* Isotonic regression (pool adjacent violators) of y[i] - i gap: pools share their mean. */
void plot_spread(double *y, int32_t n, double gap, double top, double bottom)
{
    double mean[PLOT_MAX_LABELS];
    int32_t count[PLOT_MAX_LABELS], n_pool = 0;
    if (n > PLOT_MAX_LABELS) n = PLOT_MAX_LABELS;
    if (n > 1 && gap * (n - 1) > bottom - top) gap = (bottom - top) / (n - 1);
    for (int32_t i = 0; i < n; i++) {
        mean[n_pool] = y[i] - gap * i;
        count[n_pool++] = 1;
        for (; n_pool > 1 && mean[n_pool - 2] > mean[n_pool - 1]; n_pool--) {
            const int32_t a = n_pool - 2, b = n_pool - 1, both = count[a] + count[b];
            mean[a] = (mean[a] * count[a] + mean[b] * count[b]) / both;
            count[a] = both;
        }
    }
    for (int32_t pool = 0, i = 0; pool < n_pool; pool++)
        for (int32_t k = 0; k < count[pool]; k++, i++)
            y[i] = fmin(fmax(mean[pool], top), bottom - gap * (n - 1)) + gap * i;
}
