/* SPDX-License-Identifier: MIT */
/* pare bench: what all its parts share. A bench is a list of sections; a section is a task (photos, clips, retrieval,
 * documents) over items, and rows (a recipe at one amount with one seed). Running a row on an item gives a cell: one
 * value per column. Cells go to the journal as they are finished; tables, verdicts and plots are made from cells alone.
 *
 *   cmd_bench.c, suite.c, plan.c  options or a suite file -> sections; recipes -> rows
 *   columns.c                     what a cell holds
 *   run.c, cell.c, bias.c         a row on frames -> results, times; results -> a cell; mirrored and grey pictures
 *   task_*.c                      items, and what is right or wrong about them (task.h; their judges: knn, linear_head,
 *                                 boxes, patches, exam, readout)
 *   journal.c                     cells on disk, resumed after a kill
 *   stats.c, analysis.c           cells -> lines with intervals, comparisons, verdicts
 *   report_*.c                    lines -> Markdown, CSV, JSON, LaTeX, SVG
 *   random*.c                     none of all this: the encoder alone, on noise (random.h)
 *
 * Functions that return `int` return an exit code and have said on stderr what went wrong, unless they say otherwise. */
#ifndef PARE_TOOLS_BENCH_H
#define PARE_TOOLS_BENCH_H

#include "../frames.h"
#include "../labels.h"
#include "../own.h"

enum { BENCH_MAX_COLUMNS = 96, BENCH_MAX_KEEPS = 32, BENCH_MAX_ROWS = 4096, BENCH_MAX_SECTIONS = 16 };

/* ---- columns (columns.c) -------------------------------------------------------------------------------------- */

/* The columns that the bench fills itself; the library's metrics follow them (bench_columns). */
enum {
    BENCH_UNITS_IN,    /* candidates of the item on the full grid */
    BENCH_UNITS_ASKED, /* what the amount allows of them; NaN: the recipe's own amount */
    BENCH_UNITS,       /* rows left */
    BENCH_MS,          /* end to end without writing: decode + prep + encode + select, per frame */
    BENCH_MS_DECODE,
    BENCH_MS_PREP,
    BENCH_MS_ENCODE, /* embedding included */
    BENCH_MS_SELECT,
    BENCH_MS_WRITE,        /* result to a file */
    BENCH_GFLOP,           /* of the encoder as run, per frame */
    BENCH_POSITIONS,       /* position ids that the item spans in the language model: largest + 1 */
    BENCH_TOP1,            /* 1 = right; rows-only head at output */
    BENCH_KNN,             /* 1 = right; weighted kNN on the size-weighted mean of what is left */
    BENCH_RECALL,          /* 1 = the other half of the clip is the nearest */
    BENCH_NUMBERS,         /* share of the page's numbers read right */
    BENCH_COUNTED,         /* 1 = the number of objects is right */
    BENCH_BOX_KEPT,        /* share of box patches with a row of their own */
    BENCH_BOX_REPRESENTED, /* share of box patches that some row stands for */
    BENCH_BOX_COSINE,      /* of box patches' rows with the full run */
    BENCH_FLIP,            /* Spearman of the kept map with that of the mirrored picture, mirrored back */
    BENCH_BLANK,           /* Spearman of the score (kept map) with the same recipe's on a grey picture */
    BENCH_OWN_COLUMNS
};

enum {
    BENCH_OF_CLS = 1,     /* reads the CLS or pooled feature: n/a where only the prefill is saved */
    BENCH_OF_FULL = 2,    /* compares what the encoder made of survivors: n/a likewise (they are untouched there) */
    BENCH_IS_TIME = 4,    /* p50 and p95 over items instead of a mean */
    BENCH_IS_OUTCOME = 8, /* may be a section's primary column */
    BENCH_IS_PERCENT = 16 /* shown times 100 */
};

typedef struct bench_column {
    const char *key;   /* in CSV and JSON; ends in its unit */
    const char *title; /* in Markdown */
    const char *group; /* "cost", "accuracy", "fidelity", "coverage", "uniformity", "bias", "boxes", "steps" */
    int digits, better;
    unsigned flags;
    const char *metric; /* of the library, or NULL */
} bench_column;

/* Own columns, then the library's metrics; *n of them. Static. */
const bench_column *bench_columns(int32_t *n);
int32_t bench_column_find(const char *key); /* -1 = none */

/* ---- rows, items, cells --------------------------------------------------------------------------------------- */

/* What a row saves: tables never rank across these. */
typedef enum { BENCH_SAVES_NOTHING, BENCH_SAVES_ENCODER, BENCH_SAVES_PREFILL } bench_saves;

enum {
    BENCH_FLAG_OVER = 1, /* kept more units than asked */
    BENCH_FLAG_OWN = 2,  /* the recipe's own amount; compared by what it kept */
    BENCH_FLAG_UNDER = 4 /* at most what was asked, by design (grids) */
};

typedef struct bench_row {
    char *recipe;   /* owned; as asked */
    char *expanded; /* owned; as understood: methods and options spelt out */
    double keep;    /* asked; 1 = none; 0 = the recipe's own amount */
    uint64_t seed;
    bench_saves saves;
    int is_random; /* several seeds of one line */
    int is_scored; /* reads the caller's scores */
    int is_wide;   /* needs a window even for photos: it looks across frames, or a map numbers the units of an input */
    pare_reducer *reducer; /* kept warm between items, or NULL */
    int is_warm;           /* has run once in this process: what it measures counts */
} bench_row;

typedef struct bench_item {
    char *name; /* owned; in the journal */
    int32_t class_index, fold;
    int32_t n_frame; /* 0 = one */
    int is_part;     /* goes on in the clip of the item before */
} bench_item;

typedef struct bench_cell {
    int32_t row, item;
    double value[BENCH_MAX_COLUMNS]; /* NaN = not available */
} bench_cell;

typedef struct bench bench;
typedef struct bench_section bench_section;
typedef struct bench_bias bench_bias;

/* A task opens its items and runs all rows over them, cell by cell, skipping cells that the journal has. */
typedef struct bench_task {
    const char *name, *title;
    const char *note; /* one line under its tables: what is asked of a recipe */
    int32_t primary;  /* column that decides */
    int (*open)(bench *b, bench_section *s);
    int (*run)(bench *b, bench_section *s);
    void (*close)(bench_section *s);
} bench_task;
extern const bench_task bench_task_photos, bench_task_clips, bench_task_retrieval, bench_task_documents,
    bench_task_counting;
extern const bench_task *const bench_tasks[];        /* ends with NULL */
const bench_task *bench_task_find(const char *name); /* NULL: there is none, also of NULL */

/* What a section was asked to do; strings borrowed from the options or the suite file. */
typedef struct bench_asked {
    const char *name; /* unique; in the journal */
    const char *data, *label_column, *train, *boxes, *head;
    const char *const *input; /* [n_input] clips or photos instead of data */
    int32_t n_input;
    int64_t stride, limit, train_stride, frames, rounds;
    int64_t measure_stride; /* library metrics on every n-th item (0 = 1) */
    int64_t time_stride; /* rows that only save prefill are run from end to end on every n-th item (0 = 1): the others
                             * are reduced from one shared encoding, which gives the same map */
    double keep[BENCH_MAX_KEEPS];
    int32_t n_keep, n_seed;
    const char *const *recipe; /* [n_recipe], "all" among them */
    int32_t n_recipe;
    cli_layout layout;
    cli_pick pick;
} bench_asked;

struct bench_section {
    bench_asked ask;
    const bench_task *task;
    int video, has_labels;
    int32_t primary;         /* column; the task's, or what the data allow */
    int32_t primary_prefill; /* of lines that save prefill only; 0 = primary, or un-merge cosine where that reads CLS */
    bench_row *row;
    int32_t n_row; /* row[0] = none */
    bench_item *item;
    int32_t n_item;
    bench_cell *cell;
    int64_t n_cell, cap_cell;
    int64_t n_failed; /* items that could not be read */
    void *state;      /* the task's own */
    /* Of run.c, bias.c and journal.c: */
    pare_reducer *sharer; /* recipe none that captures what the prefill-only rows read, or NULL */
    int cannot_share;     /* the model's tokens cannot be captured: every row runs from end to end */
    bench_bias *bias;     /* mirrored and grey runs, or NULL */
    uint8_t *has;         /* [has_row, has_item] bits: cells that are there */
    int32_t has_row, has_item;
};

struct bench {
    cli_common *c;
    const pare_model *model;
    const pare_model_info *info;
    bench_section section[BENCH_MAX_SECTIONS];
    int32_t n_section;
    struct bench_journal *journal; /* NULL = cells are kept in memory only */
    cli_own own;
    const char *suite;               /* "v1", or NULL */
    const char *data;                /* as named by the user, for the header */
    const char *backend, *precision; /* what `auto` became; static */
    int64_t seed;
    int interrupted;
    int32_t window;
};

/* ---- plan.c --------------------------------------------------------------------------------------------------- */

/* Rows of a section: none; random (n_seed seeds), spatial-uniform, and resize or pool as the site's kind asks, at every
 * keep below 1; then the recipes. A recipe that cannot run here is an error, or with "all" left out and named on stderr. */
int bench_plan_rows(bench *b, bench_section *s);
/* Is there a row that only saves prefill? */
int bench_has_prefill(const bench_section *s);
bench_section *bench_add_section(bench *b, const bench_task *task, const bench_asked *ask);
void bench_free(bench *b);

/* ---- run.c: a row on frames ----------------------------------------------------------------------------------- */

typedef struct bench_frames {
    const pare_frame *frame; /* [n] */
    int32_t n;
    double decode_ms;   /* per frame */
    uint64_t item_seed; /* bench_item_seed() of the item: chance depends on row and item, never on order or resume */
    int write; /* 1: direct runs also write their results to a file, off the clock of BENCH_MS (BENCH_MS_WRITE) */
} bench_frames;
uint64_t bench_item_seed(const char *name);

/* What one run left. Times are per frame. */
typedef struct bench_run {
    pare_result **result; /* [n_result] */
    int64_t n_result, cap;
    int64_t n_frame, n_out;
    double ms[BENCH_MS_WRITE + 1]; /* by BENCH_MS_*; NaN when it was not timed */
    double flops;                  /* per frame */
    int shared;                    /* reduced from the reference's features: no prefix, no logits, no boxes, no clock */
} bench_run;
#define BENCH_NO_RUN ((bench_run){0})
void bench_run_free(bench_run *run);

/* A reducer for the row; library code. */
int bench_reducer(const bench *b, const bench_section *s, const bench_row *row, pare_reducer **out, pare_error *err);
/* In both, `out` is BENCH_NO_RUN or an earlier run, which is released.
 * Recipe none over the frames: row 0 of the section. `share`: keeps in its results what the prefill-only rows read; the
 * clock is then that of a second run without this, so that row 0 is no slower than it has to be. */
int bench_run_full(bench *b, bench_section *s, const bench_frames *frames, int share, bench_run *out);
/* The row over the frames from end to end (`full` NULL), or reduced from the features of `full` where the row allows it
 * and they are there. */
int bench_run_row(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, const bench_run *full,
                  bench_run *out);
/* Decodes an input and dresses its frames with the user's scores and masks; `name` stands in messages. CLI_UNREADABLE: it
 * was named on stderr and is to be left out. */
int bench_decode(bench *b, bench_section *s, const char *path, const char *name, cli_frames *out, double *decode_ms);
/* Forgets the reducers and what was kept for sharing and bias; bench_free calls it, a task may when it is done. */
void bench_run_close(bench_section *s);

/* ---- cell.c: results to values -------------------------------------------------------------------------------- */

void bench_cell_clear(bench_cell *cell, int32_t row, int32_t item);
/* Units, asked units, times, flops, positions. */
void bench_cell_cost(const bench *b, const bench_section *s, const bench_run *full, const bench_run *run,
                     bench_cell *cell);
/* All library metrics, means over windows weighted by their slots; n/a where the row's kind of saving forbids it. */
int bench_cell_measure(const bench *b, const bench_section *s, const bench_run *full, const bench_run *run,
                       bench_cell *cell);
int64_t bench_run_units(const bench_run *run); /* of its grids, kept or not */

/* ---- bias.c, ranks.c: does the row look at the picture, or at the places? -------------------------------------- */

/* BENCH_FLIP and BENCH_BLANK: runs the row on the mirrored frames and, once per row and grid, on grey ones. `run`: the
 * row's run on the frames themselves. For items that are measured. */
int bench_flip_blank(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, const bench_run *full,
                     const bench_run *run, bench_cell *cell);
void bench_bias_free(bench_bias **bias);
/* Spearman's rho with average ranks on ties; NaN where one of a[n], b[n] is constant or n < 2. 0 or -1 (memory). */
int bench_spearman(const double *a, const double *b, int64_t n, double *out);

/* ---- journal.c ------------------------------------------------------------------------------------------------ */

typedef struct bench_journal bench_journal;

/* Opens or creates DIR/journal.jsonl and gives the sections the cells that it holds. Its first line describes the bench
 * (version, model and data hashes, suite, seed, rows, items); another bench's journal is CLI_USAGE and says what differs.
 * A torn last line is cut off. DIR is locked while the bench runs. */
int bench_journal_open(bench *b, const char *dir, bench_journal **out);
void bench_journal_close(bench_journal **j);
/* Is the cell there? O(1). */
int bench_has(const bench_section *s, int32_t row, int32_t item);
/* Takes a copy of the cell; on disk before it returns (one write, flushed; fdatasync every 30 s). A cell that is there
 * already is passed over. */
int bench_emit(bench *b, bench_section *s, const bench_cell *cell);
/* DIR/name, for what a task wants to keep between runs (features of training photos); NULL without a journal. The
 * caller frees it. */
char *bench_journal_path(const bench *b, const char *name);

#endif
