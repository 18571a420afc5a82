/* SPDX-License-Identifier: MIT */
/* Made-up benches (bench_made.h): smooth curves of accuracy with a little noise from a hash, so that pictures look like
 * measured ones and nothing depends on chance. */
#include "bench_made.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double keeps[] = {.75, .5, .25, .1};
enum { N_KEEP = sizeof keeps / sizeof *keeps, UNITS = 256 };

/* In [0, 1). */
static double noise(uint64_t a, uint64_t b)
{
    uint64_t x = a * 0x9e3779b97f4a7c15u + b * 0xbf58476d1ce4e5b9u + 0x94d049bb133111ebu;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return (double)((x ^ (x >> 31)) >> 11) / 9007199254740992.0;
}

static void clear_line(bench_line *l)
{
    for (int32_t k = 0; k < BENCH_MAX_COLUMNS; k++) l->value[k] = NAN;
    for (int32_t k = 0; k <= BENCH_MS_WRITE; k++) l->p95[k] = NAN;
    l->primary = (bench_interval){NAN, NAN, NAN};
    for (int i = 0; i < BENCH_OUTCOMES; i++) l->outcome[i] = l->primary;
    l->ideal = l->realised = NAN;
    for (int v = 0; v < BENCH_VS_COUNT; v++)
        l->versus[v] = (bench_versus){.difference = {NAN, NAN, NAN}, .p = NAN, .p_holm = NAN};
}

static void set_times(bench_line *l, double encode)
{
    const double ms[BENCH_MS_WRITE + 1] = {[BENCH_MS_DECODE] = 4.1,
                                           [BENCH_MS_PREP] = 1.3,
                                           [BENCH_MS_ENCODE] = encode,
                                           [BENCH_MS_SELECT] = .21,
                                           [BENCH_MS_WRITE] = .35};
    for (int32_t k = BENCH_MS_DECODE; k <= BENCH_MS_WRITE; k++) l->value[k] = ms[k];
    l->value[BENCH_MS] = ms[BENCH_MS_DECODE] + ms[BENCH_MS_PREP] + encode + ms[BENCH_MS_SELECT];
    for (int32_t k = BENCH_MS; k <= BENCH_MS_WRITE; k++) l->p95[k] = 1.2 * l->value[k];
}

/* An interval, wins and losses by what `lead` says. */
static void set_versus(bench_line *l, double lead)
{
    const int first = l->saves == BENCH_SAVES_PREFILL ? BENCH_VS_RESIZE_UNITS : BENCH_VS_RESIZE_MS;
    for (int v = first; v < BENCH_VS_COUNT; v++) {
        bench_versus *versus = &l->versus[v];
        versus->difference = (bench_interval){lead, lead - .02, lead + .02};
        versus->p = fabs(lead) > .02 ? 1e-4 : .3;
        versus->p_holm = fmin(1, 20 * versus->p);
        versus->verdict = lead > .02 ? BENCH_WINS : lead < -.02 ? BENCH_LOSES : BENCH_TIES;
    }
    l->overall = l->versus[first].verdict;
}

static bench_line *add_line(made *m, int s, const char *recipe, bench_saves saves, double keep)
{
    bench_analysis *a = &m->analysis[s];
    if (a->n_line == MADE_MAX_LINES) abort();
    bench_line *l = &m->line[s][a->n_line];
    snprintf(m->recipe[s][a->n_line], sizeof m->recipe[s][0], "%s", recipe);
    *l = (bench_line){
        .recipe = m->recipe[s][a->n_line], .saves = saves, .keep = keep, .n_seed = 1, .first_row = a->n_line};
    clear_line(l);
    a->n_line++;
    return l;
}

/* `quality` in 0..1: how little the accuracy falls with the amount. */
static bench_line *add_point(made *m, int s, const char *recipe, bench_saves saves, double keep, double quality)
{
    bench_line *l = add_line(m, s, recipe, saves, keep);
    const double share = keep > 0 ? keep : .4, lost = pow(1 - share, 1.5 + 4 * quality);
    const double right = .723 - (.15 + .55 * (1 - quality)) * lost + .006 * (noise((uint64_t)l->first_row, 3) - .5);
    l->n_item = 414;
    l->value[BENCH_UNITS_IN] = UNITS;
    l->value[BENCH_UNITS] = round(share * UNITS);
    l->value[BENCH_POSITIONS] = UNITS;
    l->value[BENCH_TOP1] = right;
    l->value[BENCH_KNN] = right - .05;
    l->primary = (bench_interval){right, right - .042, right + .041};
    l->outcome[BENCH_KNN - BENCH_TOP1] = (bench_interval){right - .05, right - .09, right - .01};
    l->n_timed = saves == BENCH_SAVES_PREFILL ? 18 : 414;
    l->n_measured = 35;
    set_times(l, saves == BENCH_SAVES_ENCODER ? 38 * share + 4 + 3 * (1 - quality) : 38);
    l->value[BENCH_GFLOP] = saves == BENCH_SAVES_ENCODER ? 11.2 * share : 11.2;
    if (saves == BENCH_SAVES_ENCODER) {
        l->ideal = 1 / share;
        l->realised = bench_ratio(m->line[s][0].value[BENCH_MS], l->value[BENCH_MS]);
    }
    if (keep < 1) set_versus(l, (quality - .6) / 4);
    return l;
}

static void add_recipe(made *m, int s, const char *recipe, bench_saves saves, double quality)
{
    for (int k = 0; k < N_KEEP; k++) add_point(m, s, recipe, saves, keeps[k], quality);
}

static void add_table(made *m, int s, bench_saves saves, int n_recipe)
{
    static const char *const names[] = {"tome",     "vispruner", "temporal-redundancy", "fastv", "prumerge",
                                        "divprune", "cdpruner"};
    static const char *const baseline[2][3] = {{"random@patches", "spatial-uniform@patches", "resize@frames"},
                                               {"random@output", "spatial-uniform@output", "pool@output"}};
    static const double quality[] = {.35, .5, .72};
    char recipe[48];
    const int prefill = saves == BENCH_SAVES_PREFILL;
    if (prefill) add_point(m, s, "none@output", saves, 1, 1);
    for (int i = 0; i < 3; i++) add_recipe(m, s, baseline[prefill][i], saves, quality[i]);
    for (int i = 0; i < n_recipe; i++) {
        const char *name = names[i % 7];
        const char *site = prefill ? "output" : "block";
        snprintf(recipe, sizeof recipe, "%s@%s", name, site);
        if (i >= 7) snprintf(recipe, sizeof recipe, "%s:alpha=%d@%s", name, i, site);
        add_recipe(m, s, recipe, saves, .95 * noise((uint64_t)i, 7u + (uint64_t)saves));
    }
    add_point(m, s, prefill ? "own_<&>|\"%#@output" : "own_<&>|\"%#@block", saves, 0, .4)->flags = BENCH_FLAG_OWN;
    add_point(m, s, prefill ? "cheat@output" : "cheat@block", saves, .5, .9)->flags = BENCH_FLAG_OVER;
    m->line[s][m->analysis[s].n_line - 1].value[BENCH_UNITS] = 140;
    m->line[s][m->analysis[s].n_line - 2].is_best[BENCH_KNN] = 1;
}

/* ---- benches --------------------------------------------------------------------------------------------------- */

static const bench_task made_task = {
    .name = "photos", .title = "Labelled photos", .note = "What is asked of a recipe.", .primary = BENCH_TOP1};
static char *arguments[] = {"pare", "bench", "--data", "a b.csv", NULL};

static made *begin(int n_section)
{
    static const char *const name[] = {"photos", "clips"};
    made *m = calloc(1, sizeof *m);
    m->common = (cli_common){.argc = 4, .argv = arguments, .threads = 2};
    m->info = (pare_model_info){.name = "made-up"};
    m->b = (bench){.c = &m->common, .info = &m->info, .n_section = n_section, .data = "a b.csv", .seed = 7};
    for (int s = 0; s < n_section; s++) {
        m->b.section[s] =
            (bench_section){.ask = {.name = name[s], .n_seed = 5}, .task = &made_task, .primary = BENCH_TOP1};
        m->analysis[s] = (bench_analysis){.section = &m->b.section[s], .line = m->line[s]};
    }
    m->report = (bench_report){.b = &m->b, .analysis = m->analysis};
    return m;
}

made *made_new(int n_section, int n_recipe)
{
    made *m = begin(n_section);
    for (int s = 0; s < n_section; s++) {
        add_point(m, s, "none", BENCH_SAVES_NOTHING, 1, 1);
        add_table(m, s, BENCH_SAVES_ENCODER, n_recipe);
        add_table(m, s, BENCH_SAVES_PREFILL, n_recipe);
        snprintf(m->analysis[s].resize_says, sizeof m->analysis[s].resize_says, "resize wins: nothing is ahead of it");
        m->analysis[s].choice = m->choice;
        m->analysis[s].n_choice = 3;
        m->analysis[s].half = m->half;
        m->analysis[s].n_half = 3;
    }
    m->choice[0] = (bench_choice){BENCH_SAVES_ENCODER, .5, {.7, .66, .74}, "resize@frames", 5, 4};
    m->choice[1] = (bench_choice){BENCH_SAVES_PREFILL, .25, {.6, NAN, NAN}, "pool@output", 5, 5};
    m->choice[2] = (bench_choice){BENCH_SAVES_PREFILL, .1, {NAN, NAN, NAN}, NULL, 0, 0};
    m->half[0] = (bench_half){"resize@frames", BENCH_SAVES_ENCODER, .613, 0};
    m->half[1] = (bench_half){"tome@block", BENCH_SAVES_ENCODER, .1, 1};
    m->half[2] = (bench_half){"pool@output", BENCH_SAVES_PREFILL, NAN, 0};
    m->report.header = bench_header(&m->b);
    return m;
}

made *made_empty(void)
{
    made *m = begin(1);
    add_line(m, 0, "none", BENCH_SAVES_NOTHING, 1);
    add_line(m, 0, "resize@frames", BENCH_SAVES_ENCODER, .5);
    add_line(m, 0, "pool@output", BENCH_SAVES_PREFILL, .5);
    m->report.header = bench_header(&m->b);
    return m;
}

void made_free(made **m)
{
    json_decref((*m)->report.header);
    free(*m);
    *m = NULL;
}

char *made_print(const made *m, const char *suffix)
{
    char *text = NULL;
    size_t size;
    const bench_format *format = bench_formats;
    FILE *f = open_memstream(&text, &size);
    while (strcmp(format->suffix, suffix) != 0) format++;
    format->print(&m->report, f);
    fclose(f);
    return text;
}
