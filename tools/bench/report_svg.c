/* SPDX-License-Identifier: MIT */
/* The report as a plot: for every section a panel of accuracy against milliseconds (what saves encoder time) and one of
 * accuracy against units (what saves prefill only: the milliseconds are equal there). One series per recipe with its 95 %
 * intervals, named where it begins on the left: there the recipes part, on the right all meet at no reduction. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "report_series.h"

enum { WIDTH = 900, PANEL = 450, LEFT = 64, RIGHT = 22, TOP = 54, BOTTOM = 50, FOOT = 42 }; /* pixels */
enum { LABEL_GAP = 14, MAX_NAME = 34 };

/* A panel on its place in the document. */
typedef struct plot {
    const bench_panel *p;
    int32_t number;
    double top; /* pixels */
    plot_scale x, y;
} plot;

/* ---- scales ---------------------------------------------------------------------------------------------------- */

typedef struct range {
    double lo, hi;
} range;

static void widen(range *r, double value)
{
    if (!isfinite(value)) return;
    r->lo = fmin(r->lo, value);
    r->hi = fmax(r->hi, value);
}

/* Costs of all, values and intervals of what is named: what is worse than any of these leaves the plot below. */
static void widen_by_line(const plot *t, const bench_line *l, int is_named, range *x, range *y)
{
    const bench_interval i = bench_panel_bars(t->p, l);
    widen(x, bench_panel_x(t->p, l));
    if (!is_named) return;
    widen(y, i.value);
    widen(y, i.lo);
    widen(y, i.hi);
}

static int count_below(const plot *t)
{
    int n = 0;
    for (int32_t i = 0; i < t->p->n; i++)
        for (int32_t k = 0; k < t->p->one[i].n; k++) n += bench_panel_y(t->p, t->p->one[i].point[k]) < t->y.lo;
    return n;
}

static double gutter(const plot *t)
{
    int32_t most = 0;
    for (int32_t i = 0; i < t->p->n; i++) {
        const int32_t n = plot_text_width(t->p->one[i].recipe, MAX_NAME);
        if (t->p->one[i].is_named && n > most) most = n;
    }
    return 6.5 * most + 26;
}

static void fit(plot *t)
{
    range x = {INFINITY, -INFINITY}, y = {INFINITY, -INFINITY};
    if (t->p->none != NULL) widen_by_line(t, t->p->none, 1, &x, &y);
    for (int32_t i = 0; i < t->p->n; i++)
        for (int32_t k = 0; k < t->p->one[i].n; k++)
            widen_by_line(t, t->p->one[i].point[k], t->p->one[i].is_named, &x, &y);
    t->x = plot_fit(x.lo, x.hi, 1);
    t->y = plot_fit(y.lo, y.hi, 0);
    t->x.from = LEFT + gutter(t);
    t->x.to = WIDTH - RIGHT;
    t->y.from = t->top + PANEL - BOTTOM;
    t->y.to = t->top + TOP;
}

static double px(const plot *t, const bench_series *s, const bench_line *l)
{
    return plot_at(&t->x, bench_panel_x(t->p, l)) + (s != NULL ? s->shift : 0);
}

static double py(const plot *t, double value) { return plot_at(&t->y, value); }

/* ---- drawing --------------------------------------------------------------------------------------------------- */

static void draw_title(const plot *t, FILE *f)
{
    const bench_section *s = t->p->a->section;
    fprintf(f, "<text x=\"%d\" y=\"%.1f\" font-size=\"15\" font-weight=\"600\">", LEFT, t->top + 20);
    plot_text(s->ask.name != NULL ? s->ask.name : s->task->name, 60, f);
    fputs(": ", f);
    plot_text(bench_saves_title[t->p->saves], 80, f);
    fprintf(f, "</text>\n<text x=\"%d\" y=\"%.1f\" class=\"note\">", LEFT, t->top + 38);
    plot_text(s->task->title, 60, f);
    if (t->p->n > t->p->n_named) fprintf(f, "; grey: %d further recipes", t->p->n - t->p->n_named);
    if (count_below(t) > 0) fprintf(f, ", %d points below the axis", count_below(t));
    if (t->p->n_left_out > 0) fprintf(f, "; %d lines not drawn", t->p->n_left_out);
    if (t->p->saves == BENCH_SAVES_PREFILL) fputs("; equal units stand side by side", f);
    fputs("</text>\n", f);
}

static void draw_axes(const plot *t, FILE *f)
{
    double tick[PLOT_MAX_TICKS];
    int32_t n;
    const double right = WIDTH - RIGHT, bottom = t->y.from;
    for (int i = 0, k = plot_ticks(&t->y, tick); i < k; i++) {
        const double y = py(t, tick[i]);
        fprintf(f, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>\n", LEFT, y, right, y);
        fprintf(f, "<text x=\"%d\" y=\"%.1f\" class=\"tick\" text-anchor=\"end\">%g</text>\n", LEFT - 7, y + 4,
                tick[i]);
    }
    for (int i = 0, k = plot_ticks(&t->x, tick); i < k; i++) {
        const double x = plot_at(&t->x, tick[i]);
        fprintf(f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"grid\"/>\n", x, t->y.to, x,
                bottom + 4);
        fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" class=\"tick\" text-anchor=\"middle\">%g</text>\n", x, bottom + 18,
                tick[i]);
    }
    fprintf(f, "<path d=\"M%d %.1fV%.1fH%.1f\" fill=\"none\" stroke=\"#333\"/>\n", LEFT, t->y.to, bottom, right);
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s%s</text>\n", (t->x.from + right) / 2, bottom + 37,
            t->p->saves == BENCH_SAVES_PREFILL ? "units left" : "milliseconds per frame, end to end (p50)",
            t->x.log ? ", log scale" : "");
    fprintf(f, "<text transform=\"translate(%d %.1f) rotate(-90)\" text-anchor=\"middle\">", LEFT - 42,
            (t->y.to + bottom) / 2);
    plot_text(bench_columns(&n)[t->p->primary].title, 40, f);
    fputs("</text>\n", f);
}

static void draw_bar(const plot *t, double x, const bench_line *l, const char *colour, FILE *f)
{
    const bench_interval i = bench_panel_bars(t->p, l);
    if (!isfinite(i.lo) || !isfinite(i.hi)) return;
    fprintf(f, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" class=\"bar\"/>\n", x, py(t, i.lo),
            x, py(t, i.hi), colour);
}

static void draw_series(const plot *t, const bench_series *s, FILE *f)
{
    fputs(s->is_named ? "<g><title>" : "<g class=\"behind\"><title>", f);
    plot_text(s->recipe, 200, f);
    fputs("</title>\n", f);
    for (int32_t k = 0; k < s->n; k++) draw_bar(t, px(t, s, s->point[k]), s->point[k], s->style.colour, f);
    fputs("<polyline points=\"", f);
    for (int32_t k = 0; k < s->n; k++)
        fprintf(f, "%s%.1f,%.1f", k > 0 ? " " : "", px(t, s, s->point[k]), py(t, bench_panel_y(t->p, s->point[k])));
    fprintf(f, "\" fill=\"none\" stroke=\"%s\" stroke-width=\"%s\" stroke-dasharray=\"%s\"/>\n", s->style.colour,
            s->is_named ? "1.7" : "1", s->style.dash);
    for (int32_t k = 0; k < s->n; k++) {
        const double y = bench_panel_y(t->p, s->point[k]);
        const int is_over = (s->point[k]->flags & BENCH_FLAG_OVER) != 0;
        if (y < t->y.lo) continue;
        plot_draw_mark(s->style.mark, px(t, s, s->point[k]), py(t, y), s->is_named ? 4 : 1.8, s->style.colour, is_over,
                       f);
    }
    fputs("</g>\n", f);
}

static int compare_doubles(const void *pa, const void *pb)
{
    const double a = *(const double *)pa, b = *(const double *)pb;
    return (a > b) - (a < b);
}

/* Where the front may rise, ascending; how many. */
static int32_t front_steps(const bench_panel *p, double x[BENCH_MAX_SERIES + 1])
{
    int32_t n = 0;
    for (int32_t i = 0; i < p->n; i++)
        for (int32_t k = 0; k < p->one[i].n && n < BENCH_MAX_SERIES; k++) {
            const bench_line *l = p->one[i].point[k];
            const int is_over = (l->flags & BENCH_FLAG_OVER) != 0;
            if (!is_over && bench_panel_y(p, l) >= bench_panel_front(p, bench_panel_x(p, l)))
                x[n++] = bench_panel_x(p, l);
        }
    if (p->none != NULL) x[n++] = bench_panel_x(p, p->none);
    qsort(x, (size_t)n, sizeof *x, compare_doubles);
    return n;
}

/* Steps: what is reached at x stays reached to its right. */
static void draw_front(const plot *t, FILE *f)
{
    double x[BENCH_MAX_SERIES + 1], best = -INFINITY;
    const int32_t n = front_steps(t->p, x);
    if (n == 0) return;
    fputs("<path d=\"", f);
    for (int32_t i = 0; i < n; i++) {
        const double y = bench_panel_front(t->p, x[i]);
        if (i > 0 && y <= best && i < n - 1) continue;
        fprintf(f, i == 0 ? "M%.1f %.1f" : "H%.1fV%.1f", plot_at(&t->x, x[i]), py(t, y));
        best = y;
    }
    fputs("\" fill=\"none\" stroke=\"#000\" stroke-width=\"0.8\" stroke-opacity=\"0.55\"/>\n", f);
}

static void draw_none(const plot *t, FILE *f)
{
    if (t->p->none == NULL) return;
    const double x = px(t, NULL, t->p->none), y = py(t, bench_panel_y(t->p, t->p->none));
    draw_bar(t, x, t->p->none, "#000", f);
    plot_draw_mark(PLOT_STAR, x, y, 5, "#000", 0, f);
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" class=\"name\" text-anchor=\"end\" fill=\"#000\">", x - 10, y - 7);
    plot_text(t->p->none->recipe, MAX_NAME, f);
    fputs("</text>\n", f);
}

static void draw_none_level(const plot *t, FILE *f)
{
    if (t->p->none == NULL) return;
    const double y = py(t, bench_panel_y(t->p, t->p->none));
    fprintf(f, "<line x1=\"%d\" y1=\"%.1f\" x2=\"%d\" y2=\"%.1f\" stroke=\"#777\" stroke-dasharray=\"1 3\"/>\n", LEFT,
            y, WIDTH - RIGHT, y);
}

/* ---- names ----------------------------------------------------------------------------------------------------- */

typedef struct named {
    const bench_series *s;
    double y;
} named;

static int compare_named(const void *pa, const void *pb)
{
    const named *a = pa, *b = pb;
    return compare_doubles(&a->y, &b->y);
}

/* Beside the axis, each with a line to where its series begins. */
static void draw_names(const plot *t, FILE *f)
{
    named name[PLOT_MAX_LABELS];
    double y[PLOT_MAX_LABELS];
    int32_t n = 0;
    for (int32_t i = 0; i < t->p->n; i++)
        if (t->p->one[i].is_named && n < PLOT_MAX_LABELS)
            name[n++] = (named){&t->p->one[i], py(t, bench_panel_y(t->p, t->p->one[i].point[0]))};
    qsort(name, (size_t)n, sizeof *name, compare_named);
    for (int32_t i = 0; i < n; i++) y[i] = name[i].y;
    plot_spread(y, n, LABEL_GAP, t->y.to + 8, t->y.from - 8);
    for (int32_t i = 0; i < n; i++) {
        const bench_series *s = name[i].s;
        const double edge = t->x.from - 22;
        fprintf(f, "<path d=\"M%.1f %.1fL%.1f %.1f\" stroke=\"%s\" class=\"lead\"/>\n", edge + 3, y[i],
                px(t, s, s->point[0]) - 5, name[i].y, s->style.colour);
        fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" class=\"name\" text-anchor=\"end\" fill=\"%s\">", edge, y[i] + 4,
                s->style.colour);
        plot_text(s->recipe, MAX_NAME, f);
        fputs("</text>\n", f);
    }
}

/* ---- the document ---------------------------------------------------------------------------------------------- */

static void draw_panel(const bench_panel *p, int32_t number, FILE *f)
{
    plot panel = {.p = p, .number = number, .top = (double)number * PANEL};
    const plot *t = &panel;
    fit(&panel);
    draw_title(t, f);
    draw_axes(t, f);
    draw_none_level(t, f);
    fprintf(f, "<clipPath id=\"area%d\"><rect x=\"%d\" y=\"%.1f\" width=\"%d\" height=\"%.1f\"/></clipPath>\n",
            t->number, LEFT, t->y.to - 6, WIDTH - LEFT, t->y.from - t->y.to + 6);
    fprintf(f, "<g clip-path=\"url(#area%d)\">\n", t->number);
    for (int32_t i = 0; i < t->p->n; i++) draw_series(t, &t->p->one[i], f);
    draw_front(t, f);
    fputs("</g>\n", f);
    draw_none(t, f);
    draw_names(t, f);
}

static void print_footer(const bench_report *r, double y, FILE *f)
{
    static const char *const key[] = {"version", "model", "machine", "blas_core", "date"};
    fprintf(f,
            "<text x=\"%d\" y=\"%.1f\" class=\"note\">Bars: 95 %% intervals. Steps: Pareto front. Dotted: no "
            "reduction. Black, dark grey, grey: the baselines. Hollow: kept more than asked.</text>\n",
            LEFT, y);
    fprintf(f, "<text x=\"%d\" y=\"%.1f\" class=\"note\">pare", LEFT, y + 16);
    for (size_t i = 0; i < sizeof key / sizeof *key; i++) {
        const char *value = json_string_value(json_object_get(r->header, key[i]));
        if (value == NULL || value[0] == '\0') continue;
        fputs(i == 0 ? " " : ", ", f);
        plot_text(value, 48, f);
    }
    fputs("</text>\n", f);
}

static void print_begin(int32_t n_panel, FILE *f)
{
    const int height = PANEL * (n_panel > 0 ? n_panel : 1) + FOOT;
    fprintf(f,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
            "font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" font-size=\"12\" fill=\"#222\">\n",
            WIDTH, height, WIDTH, height);
    fputs("<style>.grid{stroke:#e6e6e6}.tick{font-size:11px;fill:#444}.note{font-size:11px;fill:#666}"
          ".name{font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}"
          ".bar{stroke-width:1.3;stroke-opacity:.5}.lead{stroke-width:.8;stroke-dasharray:1 2;fill:none}"
          ".behind .bar{stroke-width:.8;stroke-opacity:.35}</style>\n",
          f);
    fprintf(f, "<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n", WIDTH, height);
}

/* The i-th panel of the plot, two for every section; 0: it has nothing to show, or is not asked for. */
static int make_panel(const bench_report *r, int32_t i, bench_panel *p)
{
    static const bench_saves kinds[] = {BENCH_SAVES_ENCODER, BENCH_SAVES_PREFILL};
    if (r->only != NULL && r->only != &r->b->section[i / 2]) return 0;
    return bench_panel_make(p, &r->analysis[i / 2], kinds[i % 2]);
}

void bench_print_svg(const bench_report *r, FILE *f)
{
    bench_panel p;
    int32_t n_panel = 0, n = 0;
    for (int32_t i = 0; i < 2 * r->b->n_section; i++) n_panel += make_panel(r, i, &p);
    print_begin(n_panel, f);
    if (n_panel == 0)
        fprintf(f, "<text x=\"%d\" y=\"%d\">Nothing to plot: no line has an accuracy and a time.</text>\n", LEFT, TOP);
    for (int32_t i = 0; i < 2 * r->b->n_section; i++)
        if (make_panel(r, i, &p)) draw_panel(&p, n++, f);
    print_footer(r, PANEL * (n_panel > 0 ? n_panel : 1) + 12, f);
    fputs("</svg>\n", f);
}
