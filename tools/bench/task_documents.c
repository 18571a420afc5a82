/* SPDX-License-Identifier: MIT */
/* Tasks documents and counting: pages drawn here (page.h), of which a linear readout sees nothing but the tokens that are
 * left. Row by row: the training pages go through the row, the readout is fitted to them, the test pages go through the
 * same row and are answered. Test pages are the items; rows that only save prefill are reduced from one encoding of every
 * page, which is kept. Pages, readout and their numbers (digit size, tone, lambda) were settled on recipe none alone, on
 * pages of seeds up to 300, none of which is tested here. */
#include <stdlib.h>
#include <string.h>

#include "exam.h"
#include "readout.h"
#include "task.h"

enum { GRID = 16 }; /* units a side where the model takes photos as they come */

static const double default_keeps[] = {1, .75, .5, .35, .25, .15, .1};

typedef struct pages_state {
    const bench_exam *exam;
    bench_page *page;  /* [n_page] training pages first; seeds in order */
    pare_frame *frame; /* [n_page] */
    bench_run *full;   /* [n_page] */
    int32_t *item;     /* [n_page] -1 = training page */
    int32_t n_page, n_train;
    bench_owners owners;
    float *x; /* [samples of all training pages, width], of a test page afterwards */
    float *y; /* [the same, n_out] */
    int64_t width, cap_sample;
} pages_state;

/* ---- pages ---------------------------------------------------------------------------------------------------- */

/* The page is the grid: no photo rule may blur it, so it is laid whole into its own size. */
static int choose_size(bench *b, bench_section *s, const bench_exam *e)
{
    const pare_model_info *m = b->info;
    const int32_t unit = m->patch * (m->unit > 0 ? m->unit : 1);
    cli_size *size = &s->ask.layout.size;
    int32_t width, height;
    pare_error err = {0};
    if (e->side > 0)
        *size = (cli_size){e->side * unit, e->side * unit};
    else if (size->width == 0)
        *size = m->image_width > 0 ? (cli_size){m->image_width, m->image_height} : (cli_size){GRID * unit, GRID * unit};
    s->ask.layout.letterbox = 1;
    if (pare_model_fit(b->model, size->width, size->height, 0, size->width, size->height, 0, &width, &height, &err) !=
        0)
        return cli_fail(b->c, &err, CLI_USAGE);
    if (width != size->width || height != size->height)
        return cli_usage(b->c, "task %s: pages of %dx%d become %dx%d: sides must be multiples of %d", s->task->name,
                         size->width, size->height, width, height, unit);
    return CLI_OK;
}

static int no_memory(bench *b, const bench_section *s)
{
    cli_say(b->c, "%s: out of memory for pages", s->ask.name);
    return CLI_FAILED;
}

/* Every `stride`-th of n, at most `limit`; 0 = all. */
static int32_t thin(int32_t n, int64_t stride, int64_t limit)
{
    const int64_t left = stride > 1 ? (n + stride - 1) / stride : n;
    return (int32_t)(limit > 0 && limit < left ? limit : left);
}

static int draw_page(bench *b, bench_section *s, pages_state *p, uint64_t seed)
{
    const pare_model_info *m = b->info;
    const cli_size *size = &s->ask.layout.size;
    bench_page *page = &p->page[p->n_page];
    if (p->exam->draw(page, size->width, size->height, m->patch * (m->unit > 0 ? m->unit : 1), seed) != 0)
        return no_memory(b, s);
    if (p->exam->count(page) == 0) {
        bench_page_free(page);
        return cli_usage(b->c, "task %s: a page of %dx%d has no room for anything to be read", s->task->name,
                         size->width, size->height);
    }
    p->frame[p->n_page] = (pare_frame){.struct_size = sizeof(pare_frame),
                                       .rgb = page->rgb,
                                       .stride = (int64_t)page->width * 3,
                                       .width = page->width,
                                       .height = page->height};
    p->item[p->n_page++] = -1;
    return CLI_OK;
}

static int draw_pages(bench *b, bench_section *s, pages_state *p)
{
    const bench_exam *e = p->exam;
    const int64_t train_stride = s->ask.train_stride > 1 ? s->ask.train_stride : 1,
                  stride = s->ask.stride > 1 ? s->ask.stride : 1;
    const int32_t n_test = thin(e->n_test, stride, s->ask.limit);
    p->n_train = thin(e->n_train, train_stride, 0);
    int rc = CLI_OK;
    for (int32_t i = 0; rc == CLI_OK && i < p->n_train; i++) rc = draw_page(b, s, p, (uint64_t)(1 + i * train_stride));
    for (int32_t i = 0; rc == CLI_OK && i < n_test; i++) {
        const uint64_t seed = (uint64_t)(BENCH_EXAM_SEED + i * stride);
        char name[32];
        snprintf(name, sizeof name, "page %llu", (unsigned long long)seed);
        rc = draw_page(b, s, p, seed);
        if (rc == CLI_OK) p->item[p->n_page - 1] = i;
        if (rc == CLI_OK) rc = bench_add_item(b, s, name, -1);
    }
    bench_fold_items(s, 0);
    return rc;
}

static int allocate(pages_state *p, int32_t d)
{
    const size_t n = (size_t)(p->exam->n_train + p->exam->n_test);
    p->width = p->exam->width(d);
    p->page = calloc(n, sizeof *p->page);
    p->frame = calloc(n, sizeof *p->frame);
    p->full = calloc(n, sizeof *p->full);
    p->item = calloc(n, sizeof *p->item);
    return p->page != NULL && p->frame != NULL && p->full != NULL && p->item != NULL ? 0 : -1;
}

/* Room for the samples of all training pages, or of one test page. */
static int allocate_samples(pages_state *p)
{
    for (int32_t i = 0; i < p->n_train; i++) p->cap_sample += p->exam->count(&p->page[i]);
    if (p->cap_sample < BENCH_EXAM_MOST) p->cap_sample = BENCH_EXAM_MOST;
    p->x = calloc((size_t)(p->cap_sample * p->width), sizeof *p->x);
    p->y = calloc((size_t)(p->cap_sample * p->exam->n_out), sizeof *p->y);
    return p->x != NULL && p->y != NULL ? 0 : -1;
}

static int pages_open(bench *b, bench_section *s, const bench_exam *exam)
{
    pages_state *p = calloc(1, sizeof *p);
    if (p == NULL) return no_memory(b, s);
    p->exam = exam;
    s->state = p;
    s->video = 0;
    s->primary = exam->column;
    s->has_labels = 1;
    for (size_t i = 0; s->ask.n_keep == 0 && i < sizeof default_keeps / sizeof *default_keeps; i++)
        s->ask.keep[i] = default_keeps[i];
    if (s->ask.n_keep == 0) s->ask.n_keep = (int32_t)(sizeof default_keeps / sizeof *default_keeps);
    int rc = choose_size(b, s, exam);
    if (rc == CLI_OK && allocate(p, b->info->dim_out) != 0) rc = no_memory(b, s);
    if (rc == CLI_OK) rc = draw_pages(b, s, p);
    if (rc == CLI_OK && allocate_samples(p) != 0) rc = no_memory(b, s);
    return rc;
}

static void pages_close(bench_section *s)
{
    pages_state *p = s->state;
    if (p == NULL) return;
    for (int32_t i = 0; i < p->n_page; i++) {
        bench_run_free(&p->full[i]);
        bench_page_free(&p->page[i]);
    }
    bench_owners_free(&p->owners);
    free(p->page);
    free(p->frame);
    free(p->full);
    free(p->item);
    free(p->x);
    free(p->y);
    free(p);
    s->state = NULL;
}

/* ---- a page through a row ------------------------------------------------------------------------------------- */

static bench_frames frames_of(const bench_section *s, const pages_state *p, int32_t i)
{
    char name[32];
    const int32_t item = p->item[i];
    snprintf(name, sizeof name, "training page %d", i);
    return (bench_frames){
        .frame = &p->frame[i], .n = 1, .item_seed = bench_item_seed(item < 0 ? name : s->item[item].name)};
}

/* Is the row's clock wanted here? Else what only saves prefill is reduced from the page's kept encoding. */
static int is_timed(const bench_section *s, const pages_state *p, int32_t i)
{
    return p->item[i] >= 0 && bench_is_due(p->item[i], s->ask.time_stride);
}

/* The samples of page i as the row leaves them, into x [count, width]. */
static int look(bench *b, bench_section *s, bench_row *row, const bench_run *run, int32_t i, float *x)
{
    pages_state *p = s->state;
    const pare_result_view *v = run->n_result == 1 ? pare_result_get(run->result[0]) : NULL;
    if (v == NULL || v->d != b->info->dim_out || v->n != (int64_t)v->grid[1] * v->grid[2]) {
        cli_say(b->c, "%s: %s leaves %lld results of a page, and not one of its own grid", s->ask.name, row->recipe,
                (long long)run->n_result);
        return CLI_FAILED;
    }
    if (bench_owners_of(&p->owners, v) != 0) return no_memory(b, s);
    p->exam->look(&p->page[i], v, p->owners.owner, x);
    return CLI_OK;
}

static int run_page(bench *b, bench_section *s, bench_row *row, int32_t i, bench_run *run, float *x)
{
    pages_state *p = s->state;
    const bench_frames frames = frames_of(s, p, i);
    const int direct = row->saves != BENCH_SAVES_PREFILL || is_timed(s, p, i);
    const int rc = *cli_stop_flag() ? CLI_STOPPED : bench_run_row(b, s, row, &frames, direct ? NULL : &p->full[i], run);
    return rc == CLI_OK ? look(b, s, row, run, i, x) : rc;
}

/* ---- a row ---------------------------------------------------------------------------------------------------- */

/* Training pages, then the readout. */
static int train(bench *b, bench_section *s, bench_row *row, bench_readout *out)
{
    pages_state *p = s->state;
    const bench_exam *e = p->exam;
    int64_t n = 0;
    int rc = CLI_OK;
    memset(p->y, 0, (size_t)(p->cap_sample * e->n_out) * sizeof *p->y);
    for (int32_t i = 0; rc == CLI_OK && i < p->n_train; i++) {
        bench_run run = BENCH_NO_RUN;
        rc = run_page(b, s, row, i, &run, p->x + n * p->width);
        for (int32_t j = 0; j < e->count(&p->page[i]); j++, n++) e->target(&p->page[i], j, p->y + n * e->n_out);
        bench_run_free(&run);
    }
    if (rc != CLI_OK) return rc;
    return bench_readout_fit(out, p->x, p->y, n, p->width, e->n_out, e->lambda) == 0 ? CLI_OK : no_memory(b, s);
}

static int answer(bench *b, bench_section *s, int32_t r, int32_t i, const bench_readout *readout)
{
    pages_state *p = s->state;
    const bench_exam *e = p->exam;
    bench_run run = BENCH_NO_RUN;
    bench_cell cell;
    int rc = run_page(b, s, &s->row[r], i, &run, p->x);
    if (rc == CLI_OK) {
        bench_cell_clear(&cell, r, p->item[i]);
        bench_cell_cost(b, s, &p->full[i], &run, &cell);
        for (int32_t j = 0; j < e->count(&p->page[i]); j++)
            bench_readout_apply(readout, p->x + j * p->width, p->y + j * e->n_out);
        cell.value[e->column] = e->mark(&p->page[i], p->y);
        rc = bench_emit(b, s, &cell);
    }
    bench_run_free(&run);
    return rc;
}

/* A row that was broken off is trained again: its readout is not kept. */
static int run_row(bench *b, bench_section *s, int32_t r)
{
    const pages_state *p = s->state;
    bench_readout readout = {0};
    int rc = train(b, s, &s->row[r], &readout);
    for (int32_t i = p->n_train; rc == CLI_OK && i < p->n_page; i++)
        if (!bench_has(s, r, p->item[i])) rc = answer(b, s, r, i, &readout);
    bench_readout_free(&readout);
    pare_reducer_close(&s->row[r].reducer);
    return rc;
}

/* ---- the tasks ------------------------------------------------------------------------------------------------ */

/* Recipe none over every page: what counts and prefill rows start from. */
static int encode_pages(bench *b, bench_section *s)
{
    pages_state *p = s->state;
    const int share = bench_has_prefill(s);
    int rc = CLI_OK;
    for (int32_t i = 0; rc == CLI_OK && i < p->n_page; i++) {
        const bench_frames frames = frames_of(s, p, i);
        rc = *cli_stop_flag() ? CLI_STOPPED : bench_run_full(b, s, &frames, share, &p->full[i]);
    }
    return rc;
}

static int pages_run(bench *b, bench_section *s)
{
    pages_state *p = s->state;
    if (!bench_is_missing(s, 0, s->n_item)) return CLI_OK;
    bench_progress_begin(b, "recipes", s->n_row);
    int rc = encode_pages(b, s);
    for (int32_t r = 0; rc == CLI_OK && r < s->n_row; r++) {
        if (bench_row_is_missing(s, r, 0, s->n_item)) rc = run_row(b, s, r);
        cli_progress_step(&b->c->bar, r + 1);
    }
    for (int32_t i = 0; i < p->n_page; i++) bench_run_free(&p->full[i]);
    bench_run_close(s);
    return rc;
}

static int documents_open(bench *b, bench_section *s) { return pages_open(b, s, &bench_exam_numbers); }
static int counting_open(bench *b, bench_section *s) { return pages_open(b, s, &bench_exam_count); }

const bench_task bench_task_documents = {
    "documents",
    "Documents",
    "Four-digit numbers on 24 forms drawn here, read by a ridge regression (32 other forms through the same recipe) on "
    "what stands for 3 x 3 parts of each digit, zeros where no token is left; a number is read if its four digits are. "
    "Chance: 1 in 10 000.",
    BENCH_NUMBERS,
    documents_open,
    pages_run,
    pages_close,
};

const bench_task bench_task_counting = {
    "counting",
    "Counting",
    "1 to 8 bright discs and squares on noise, 48 pages of 8 x 8 units, counted by a ridge regression (96 other pages "
    "through the same recipe) on the size-weighted mean of the tokens, rounded; merging keeps that mean by design. "
    "Chance: 1 in 8.",
    BENCH_COUNTED,
    counting_open,
    pages_run,
    pages_close,
};
