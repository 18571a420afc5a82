/* SPDX-License-Identifier: MIT */
/* The bench's columns: its own, in the order of their enumerators, then every metric of the library that reads one
 * reduction, or one and the run without reduction. Metrics of two reductions (agreement) compare rows and are no column.
 * Units are the ends of keys; shares that are shown times 100 end in _percent. */
#include "bench.h"

#include <string.h>

/* ---- own columns ------------------------------------------------------------------------------------------------ */

enum { SHARE = BENCH_IS_OUTCOME | BENCH_IS_PERCENT };

static const bench_column own[BENCH_OWN_COLUMNS] = {
    [BENCH_UNITS_IN] = {"units_in", "units in", "cost", 1, 0, 0, NULL},
    [BENCH_UNITS_ASKED] = {"units_asked", "asked", "cost", 1, 0, 0, NULL},
    [BENCH_UNITS] = {"units_kept", "units", "cost", 1, 0, 0, NULL},
    [BENCH_MS] = {"ms", "ms", "cost", 2, -1, BENCH_IS_TIME, NULL},
    [BENCH_MS_DECODE] = {"decode_ms", "decode ms", "cost", 2, 0, BENCH_IS_TIME, NULL},
    [BENCH_MS_PREP] = {"prep_ms", "prep ms", "cost", 2, -1, BENCH_IS_TIME, NULL},
    [BENCH_MS_ENCODE] = {"encode_ms", "encode ms", "cost", 2, -1, BENCH_IS_TIME, NULL},
    [BENCH_MS_SELECT] = {"select_ms", "select ms", "cost", 3, -1, BENCH_IS_TIME, NULL},
    [BENCH_MS_WRITE] = {"write_ms", "write ms", "cost", 3, -1, BENCH_IS_TIME, NULL},
    [BENCH_GFLOP] = {"gflop", "GFLOP", "cost", 2, -1, 0, NULL},
    [BENCH_POSITIONS] = {"position_ids", "position ids", "cost", 1, 0, 0, NULL},
    [BENCH_TOP1] = {"top1_percent", "top-1 %", "accuracy", 2, 1, SHARE, NULL},
    [BENCH_KNN] = {"knn_percent", "kNN %", "accuracy", 2, 1, SHARE, NULL},
    [BENCH_RECALL] = {"recall_percent", "recall@1 %", "accuracy", 2, 1, SHARE, NULL},
    [BENCH_NUMBERS] = {"numbers_percent", "numbers %", "accuracy", 2, 1, SHARE, NULL},
    [BENCH_COUNTED] = {"counted_percent", "counted %", "accuracy", 2, 1, SHARE, NULL},
    [BENCH_BOX_KEPT] = {"box_kept_percent", "box kept %", "boxes", 2, 1, SHARE, NULL},
    [BENCH_BOX_REPRESENTED] = {"box_represented_percent", "box represented %", "boxes", 2, 1, SHARE, NULL},
    [BENCH_BOX_COSINE] = {"box_cosine", "box cosine", "boxes", 4, 1, BENCH_IS_OUTCOME | BENCH_OF_FULL, NULL},
    [BENCH_FLIP] = {"flip_rho", "flip rho", "bias", 3, 1, 0, NULL},
    [BENCH_BLANK] = {"blank_rho", "blank rho", "bias", 3, 0, 0, NULL},
};

/* ---- metrics of the library ------------------------------------------------------------------------------------- */

/* Is `word` one of the comma-separated words of `list`? */
static int has_word(const char *list, const char *word)
{
    size_t n = strlen(word);
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        if (length == n && strncmp(list, word, n) == 0) return 1;
        list += length + (list[length] == ',');
    }
    return 0;
}

static int begins_with_one_of(const char *name, const char *const *prefix)
{
    for (; *prefix != NULL; prefix++)
        if (strncmp(name, *prefix, strlen(*prefix)) == 0) return 1;
    return 0;
}

/* What a metric reads says nearly what it is about; names decide where two kinds read the same. */
static const char *metric_group(const pare_list_entry *m)
{
    static const char *const coverage[] = {"facility_",    "theta_",         "cover_cosine",
                                           "represented_", "effective_rank", NULL};
    static const char *const bias[] = {"spearman_", NULL};
    if (has_word(m->flags, "steps")) return "steps";
    if (begins_with_one_of(m->name, coverage)) return "coverage";
    if (has_word(m->flags, "scores") || begins_with_one_of(m->name, bias)) return "bias";
    return *m->flags != '\0' ? "fidelity" : "uniformity";
}

static int metric_digits(const char *unit)
{
    static const struct {
        const char *unit;
        int digits;
    } known[] = {{"patches", 2}, {"patches2", 1}, {"tokens", 1}, {"steps", 2}, {"nats", 3}, {"rho", 3}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(unit, known[i].unit) == 0) return known[i].digits;
    return 4;
}

static unsigned metric_flags(const pare_list_entry *m)
{
    unsigned of_cls = has_word(m->flags, "cls") || has_word(m->flags, "logits") ? BENCH_OF_CLS : 0;
    return of_cls | (strncmp(m->name, "survivor", 8) == 0 ? BENCH_OF_FULL : 0);
}

/* ---- the table -------------------------------------------------------------------------------------------------- */

enum { MAX_TITLE = 64 };

typedef struct column_table {
    bench_column column[BENCH_MAX_COLUMNS];
    char title[BENCH_MAX_COLUMNS][MAX_TITLE]; /* of metrics: the name with blanks */
    int32_t n;
} column_table;

static void add_metric(column_table *t, const pare_list_entry *m)
{
    char *title = t->title[t->n];
    size_t n = strlen(m->name);
    if (n >= MAX_TITLE) n = MAX_TITLE - 1;
    for (size_t i = 0; i < n; i++) title[i] = m->name[i] == '_' ? ' ' : m->name[i];
    t->column[t->n++] = (bench_column){.key = m->name,
                                       .title = title,
                                       .group = metric_group(m),
                                       .digits = metric_digits(m->unit),
                                       .better = m->better,
                                       .flags = metric_flags(m),
                                       .metric = m->name};
}

static void fill(column_table *t)
{
    pare_list_entry m = {.struct_size = sizeof m};
    memcpy(t->column, own, sizeof own);
    t->n = BENCH_OWN_COLUMNS;
    for (int32_t i = 0; t->n < BENCH_MAX_COLUMNS && pare_list(PARE_LIST_METRICS, i, &m) == 0; i++)
        if (!has_word(m.flags, "other")) add_metric(t, &m);
}

const bench_column *bench_columns(int32_t *n)
{
    static column_table table; /* a pure function of the library's list: filled once, the same ever after */
    if (table.n == 0) fill(&table);
    *n = table.n;
    return table.column;
}

int32_t bench_column_find(const char *key)
{
    int32_t n;
    const bench_column *column = bench_columns(&n);
    for (int32_t i = 0; i < n; i++)
        if (strcmp(column[i].key, key) == 0) return i;
    return -1;
}
