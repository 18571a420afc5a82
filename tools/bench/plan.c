/* SPDX-License-Identifier: MIT */
/* Sections and their rows: which recipes at which amounts with which seeds, and what each of them saves (bench.h).
 * Order of rows: none, the baselines that save encoder time, the recipes that do; then the same for the prefill. */
#include <stdlib.h>
#include <string.h>

#include "bench.h"

/* Whatever else a table holds, it holds these: random, spread evenly, and fewer pixels (or cells of the grid). */
static const char *const baselines[3][4] = {
    [BENCH_SAVES_ENCODER] = {"random@patches", "spatial-uniform@patches", "resize@frames", NULL},
    [BENCH_SAVES_PREFILL] = {"random@output", "spatial-uniform@output", "pool@output", NULL},
};

/* ---- what a recipe is ----------------------------------------------------------------------------------------- */

/* Where the names of a recipe come from. */
static const int kinds[] = {PARE_LIST_SELECTORS, PARE_LIST_METHODS};
enum { N_KIND = sizeof kinds / sizeof *kinds };

static int has_flag(const char *name, size_t n, const char *flag)
{
    pare_list_entry e = {.struct_size = sizeof e};
    for (int k = 0; k < N_KIND; k++)
        for (int32_t i = 0; pare_list(kinds[k], i, &e) == 0; i++)
            if (strlen(e.name) == n && memcmp(e.name, name, n) == 0 && strstr(e.flags, flag) != NULL) return 1;
    return 0;
}

/* Does a step of the recipe, methods expanded, have the flag? */
static int any_step(const char *recipe, const char *flag)
{
    for (const char *step = recipe; step != NULL; step = strchr(step, ',')) {
        step += *step == ',';
        if (has_flag(step, strcspn(step, ":@,"), flag)) return 1;
    }
    return 0;
}

/* A step before the output saves encoder time, whatever else the recipe does. "none" saves nothing; as "none@output" it is
 * the prefill table's own line, judged by its rows like the others there. */
static bench_saves saves_of(const char *recipe, const char *expanded)
{
    if (strcmp(recipe, "none") == 0) return BENCH_SAVES_NOTHING;
    if (strstr(expanded, "@frames") != NULL || strstr(expanded, "@patches") != NULL ||
        strstr(expanded, "@block") != NULL)
        return BENCH_SAVES_ENCODER;
    return strstr(expanded, "@output") != NULL ? BENCH_SAVES_PREFILL : BENCH_SAVES_NOTHING;
}

/* Steps that the caller decides; a table of built-in ones passes them over. */
static int is_own(const char *name) { return strcmp(name, "custom") == 0 || strcmp(name, "custom-window") == 0; }

static int is_baseline(const char *name)
{
    const size_t n = strlen(name);
    if (strcmp(name, "none") == 0) return 1;
    for (int t = BENCH_SAVES_ENCODER; t <= BENCH_SAVES_PREFILL; t++)
        for (int i = 0; baselines[t][i] != NULL; i++)
            if (strncmp(baselines[t][i], name, n) == 0 && (baselines[t][i][n] == '@' || baselines[t][i][n] == '\0'))
                return 1;
    return 0;
}

/* A map numbers the units of one input, and says how many stay. */
static int is_mapped(const bench *b, const char *recipe)
{
    return b->own.map != NULL && strstr(recipe, "custom") != NULL;
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

static int has_row(const bench_section *s, const char *recipe, double keep)
{
    for (int32_t i = 0; i < s->n_row; i++)
        if (s->row[i].keep == keep && strcmp(s->row[i].recipe, recipe) == 0) return 1;
    return 0;
}

/* Another name for what is there already? */
static int has_expanded(const bench_section *s, const char *expanded, double keep)
{
    for (int32_t i = 0; i < s->n_row; i++)
        if (s->row[i].keep == keep && strcmp(s->row[i].expanded, expanded) == 0) return 1;
    return 0;
}

static int push_row(bench_section *s, const bench_row *like, pare_error *err)
{
    const bench_row row = *like; /* may lie in the array that grows */
    bench_row *grown = s->n_row < BENCH_MAX_ROWS ? realloc(s->row, ((size_t)s->n_row + 1) * sizeof *grown) : NULL;
    if (grown == NULL) return pare_fail(err, PARE_E_LIMIT, "no room for more than %d rows", s->n_row);
    s->row = grown;
    bench_row *added = &s->row[s->n_row++];
    *added = row;
    added->recipe = strdup(row.recipe);
    added->expanded = strdup(row.expanded);
    return added->recipe != NULL && added->expanded != NULL ? 0 : pare_fail(err, PARE_E_NOMEM, "out of memory");
}

static bench_row make_row(const bench *b, const bench_section *s, const char *recipe, double keep, const char *expanded)
{
    return (bench_row){
        .recipe = (char *)(uintptr_t)recipe,
        .expanded = (char *)(uintptr_t)expanded,
        .keep = keep,
        .saves = saves_of(recipe, expanded),
        .is_random = any_step(expanded, "random") || strstr(expanded, "score=random") != NULL,
        .is_scored = strstr(recipe, "given") != NULL || strstr(recipe, "scores") != NULL,
        .is_wide = s->video || b->info->temporal > 1 || any_step(expanded, "window") || is_mapped(b, recipe),
    };
}

/* Of "all", what this section has no use for: 0 or an error that says why. */
static int check_any(const bench_section *s, const bench_row *row, pare_error *err)
{
    if (!s->video && any_step(row->expanded, "window"))
        return pare_fail(err, PARE_E_UNSUPPORTED, "it looks across frames, these are single ones");
    if (has_expanded(s, row->expanded, row->keep))
        return pare_fail(err, PARE_E_UNSUPPORTED, "it is %s, which is there", row->expanded);
    return 0;
}

/* Tries the recipe at the amount and adds a row, or one for every seed if chance decides. `any`: one of "all". Library
 * code. */
static int add_rows(bench *b, bench_section *s, const char *recipe, double keep, int any, pare_error *err)
{
    const bench_row like = {.recipe = (char *)(uintptr_t)recipe, .keep = keep};
    pare_reducer *reducer = NULL;
    int rc = bench_reducer(b, s, &like, &reducer, err);
    if (rc != 0) return rc;
    bench_row row = make_row(b, s, recipe, keep, pare_reducer_recipe(reducer));
    if (any) rc = check_any(s, &row, err);
    const int32_t n_seed = row.is_random && s->ask.n_seed > 0 ? s->ask.n_seed : 1;
    for (int32_t i = 0; rc == 0 && i < n_seed; i++) {
        row.seed = (uint64_t)(b->seed + i);
        rc = push_row(s, &row, err);
    }
    pare_reducer_close(&reducer);
    return rc;
}

/* A recipe at every keep below 1; one that names all its amounts makes a single row. */
static int add_recipe(bench *b, bench_section *s, const char *recipe, int may_skip)
{
    pare_error err = {0}, own = {0};
    if (is_mapped(b, recipe) && add_rows(b, s, recipe, 0, may_skip, &own) == 0) return CLI_OK;
    for (int i = 0; i < s->ask.n_keep; i++) {
        const double keep = s->ask.keep[i];
        if (keep >= 1 || has_row(s, recipe, keep)) continue;
        int rc = add_rows(b, s, recipe, keep, may_skip, &err);
        if (rc == 0) continue;
        if (rc == PARE_E_INVALID && (has_row(s, recipe, 0) || add_rows(b, s, recipe, 0, may_skip, &own) == 0))
            return CLI_OK;
        if (!may_skip) return cli_fail(b->c, &err, CLI_FAILED);
        cli_say(b->c, "%s: left out %s: %s", s->ask.name, recipe, err.text);
        return CLI_OK;
    }
    return CLI_OK;
}

/* Every selector and method but the baselines, as far as the section has a use for it. */
static int add_all(bench *b, bench_section *s)
{
    pare_list_entry e = {.struct_size = sizeof e};
    int rc = CLI_OK;
    for (int k = 0; k < N_KIND; k++)
        for (int32_t i = 0; rc == CLI_OK && pare_list(kinds[k], i, &e) == 0; i++) {
            if (is_baseline(e.name) || is_own(e.name)) continue;
            rc = add_recipe(b, s, e.name, 1);
        }
    return rc;
}

static int add_asked(bench *b, bench_section *s)
{
    int rc = CLI_OK;
    for (int32_t i = 0; rc == CLI_OK && i < s->ask.n_recipe; i++)
        rc = strcmp(s->ask.recipe[i], "all") == 0 ? add_all(b, s) : add_recipe(b, s, s->ask.recipe[i], 0);
    const char *own = rc == CLI_OK && b->own.o != NULL ? cli_own_recipe(b->own.o) : NULL;
    int is_named = 0;
    for (int32_t i = 0; i < s->ask.n_recipe; i++) is_named |= strcmp(s->ask.recipe[i], "all") != 0;
    return own != NULL && !is_named ? add_recipe(b, s, own, 0) : rc;
}

/* A line of everything: what the others of its table are compared with. */
static int add_whole(bench *b, bench_section *s, const char *recipe)
{
    pare_error err = {0};
    return add_rows(b, s, recipe, 1, 0, &err) == 0 ? CLI_OK : cli_fail(b->c, &err, CLI_FAILED);
}

static int add_baselines(bench *b, bench_section *s, bench_saves saves)
{
    int rc = CLI_OK;
    for (int i = 0; rc == CLI_OK && baselines[saves][i] != NULL; i++) rc = add_recipe(b, s, baselines[saves][i], 0);
    return rc;
}

/* The recipes were added first, because they say whether there is a prefill table; now they move behind its baselines,
 * those that save encoder time in front. */
static int move_rows(bench *b, bench_section *s, int32_t n_asked, bench_saves saves)
{
    pare_error err = {0};
    for (int32_t i = 0; i < n_asked; i++) {
        const int is_prefill = s->row[i].saves == BENCH_SAVES_PREFILL;
        if (is_prefill == (saves == BENCH_SAVES_PREFILL) && push_row(s, &s->row[i], &err) != 0)
            return cli_fail(b->c, &err, CLI_FAILED);
    }
    return CLI_OK;
}

static void free_row(bench_row *row)
{
    free(row->recipe);
    free(row->expanded);
}

static void drop_first(bench_section *s, int32_t n)
{
    for (int32_t i = 0; i < n; i++) free_row(&s->row[i]);
    memmove(s->row, s->row + n, (size_t)(s->n_row - n) * sizeof *s->row);
    s->n_row -= n;
}

int bench_has_prefill(const bench_section *s)
{
    for (int32_t i = 0; i < s->n_row; i++)
        if (s->row[i].saves == BENCH_SAVES_PREFILL) return 1;
    return 0;
}

int bench_plan_rows(bench *b, bench_section *s)
{
    int rc = add_asked(b, s);
    const int32_t n_asked = s->n_row;
    const int has_prefill = bench_has_prefill(s);
    if (rc == CLI_OK) rc = add_whole(b, s, "none");
    if (rc == CLI_OK) rc = add_baselines(b, s, BENCH_SAVES_ENCODER);
    if (rc == CLI_OK) rc = move_rows(b, s, n_asked, BENCH_SAVES_ENCODER);
    if (rc == CLI_OK && has_prefill) rc = add_whole(b, s, "none@output");
    if (rc == CLI_OK && has_prefill) rc = add_baselines(b, s, BENCH_SAVES_PREFILL);
    if (rc == CLI_OK && has_prefill) rc = move_rows(b, s, n_asked, BENCH_SAVES_PREFILL);
    if (rc == CLI_OK) drop_first(s, n_asked);
    return rc;
}

/* ---- sections ------------------------------------------------------------------------------------------------- */

bench_section *bench_add_section(bench *b, const bench_task *task, const bench_asked *ask)
{
    if (b->n_section == BENCH_MAX_SECTIONS) return NULL;
    bench_section *s = &b->section[b->n_section++];
    *s = (bench_section){.ask = *ask, .task = task, .primary = task->primary};
    return s;
}

static void free_section(bench_section *s)
{
    if (s->task != NULL) s->task->close(s);
    bench_run_close(s);
    for (int32_t i = 0; i < s->n_row; i++) free_row(&s->row[i]);
    for (int32_t i = 0; i < s->n_item; i++) free(s->item[i].name);
    free(s->row);
    free(s->item);
    free(s->cell);
    free(s->has);
}

void bench_free(bench *b)
{
    for (int32_t i = 0; i < b->n_section; i++) free_section(&b->section[i]);
    bench_journal_close(&b->journal);
    b->n_section = 0;
}
