/* SPDX-License-Identifier: MIT */
/* Task retrieval: every clip is cut into two halves of ask.frames frames each, spread evenly; the first half of a clip
 * looks for its own second half among those of all clips. A half is the size-weighted mean of all rows that are left of
 * it; the nearest is that of the largest cosine, and a tie is no hit. Items are clips.
 * Row by row, because a row's gallery is its own. Frames and full runs of all halves stay in memory; full runs keep what
 * rows that only save prefill read of them up to MAX_SHARED bytes, after which such rows are run from end to end, which
 * gives the same. Costs are means over the two halves, metrics those of the first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "task.h"

enum { DEFAULT_FRAMES = 4, HALVES = 2 };
#define MAX_SHARED ((int64_t)2 << 30)

/* A clip in memory; `is_there` = 0: it could not be read. */
typedef struct gallery_clip {
    cli_frames pictures;
    bench_frames half[HALVES];
    bench_run full[HALVES];
    int is_there;
} gallery_clip;

typedef struct retrieval_state {
    cli_photos list;
    gallery_clip *clip; /* [n_item] */
    float *mean;        /* [n_item, HALVES, d] of the row in progress */
    bench_cell *cell;   /* [n_item] */
    int32_t d, n_there;
    int64_t shared_bytes, frame_bytes;
} retrieval_state;

/* ---- open ----------------------------------------------------------------------------------------------------- */

static int retrieval_open(bench *b, bench_section *s)
{
    retrieval_state *p = calloc(1, sizeof *p);
    if (p == NULL) return CLI_FAILED;
    p->list = CLI_NO_PHOTOS;
    p->d = b->info->dim_out;
    s->state = p;
    s->video = 1;
    if (s->ask.frames == 0) s->ask.frames = s->ask.pick.frames > 0 ? s->ask.pick.frames : DEFAULT_FRAMES;
    if (s->ask.pick.every > 0 || s->ask.pick.fps > 0)
        return cli_usage(b->c, "task retrieval spreads its frames over the clip: --frames, not --every or --fps");
    s->ask.pick.frames = HALVES * s->ask.frames;
    int rc = bench_list_clips(b, s, &p->list);
    for (int32_t i = 0; rc == CLI_OK && i < p->list.n; i++) rc = bench_add_item(b, s, p->list.item[i].path, -1);
    for (int32_t i = 0; i < s->n_item; i++) s->item[i].n_frame = (int32_t)s->ask.frames;
    bench_fold_items(s, 0);
    if (rc == CLI_OK && s->n_item < 2)
        rc = cli_usage(b->c, "task retrieval looks for a clip among others: %d is too few, 2 are needed", s->n_item);
    return rc;
}

static void free_clip(gallery_clip *clip)
{
    for (int h = 0; h < HALVES; h++) bench_run_free(&clip->full[h]);
    cli_frames_free(&clip->pictures);
}

static void forget(bench_section *s, retrieval_state *p)
{
    for (int32_t i = 0; p->clip != NULL && i < s->n_item; i++) free_clip(&p->clip[i]);
    free(p->clip);
    free(p->mean);
    free(p->cell);
    p->clip = NULL;
    p->mean = NULL;
    p->cell = NULL;
}

static void retrieval_close(bench_section *s)
{
    retrieval_state *p = s->state;
    if (p == NULL) return;
    forget(s, p);
    cli_photos_close(&p->list);
    free(p);
    s->state = NULL;
}

/* ---- the halves ----------------------------------------------------------------------------------------------- */

static int64_t feature_bytes(const bench_run *run)
{
    int64_t bytes = 0;
    for (int64_t i = 0; i < run->n_result; i++) {
        const pare_result_view *v = pare_result_get(run->result[i]);
        for (int32_t t = 0; t < v->n_features; t++)
            bytes += pare_tensor_count(&v->features[t]) * (int64_t)sizeof(float);
    }
    return bytes;
}

static int cut(bench *b, bench_section *s, gallery_clip *clip, int32_t item, double decode_ms)
{
    const char *name = s->item[item].name;
    const int32_t n = clip->pictures.n / HALVES;
    if (n < 1) {
        cli_say(b->c, "left out: %s: %d frame, two halves need 2", name, clip->pictures.n);
        return CLI_UNREADABLE;
    }
    for (int32_t h = 0; h < HALVES; h++)
        clip->half[h] = (bench_frames){.frame = clip->pictures.item + h * n,
                                       .n = n,
                                       .decode_ms = decode_ms,
                                       .item_seed = bench_item_seed(name) + (uint64_t)h,
                                       .write = h == 0};
    return CLI_OK;
}

static int load_clip(bench *b, bench_section *s, retrieval_state *p, int32_t i)
{
    double decode_ms = NAN;
    gallery_clip *clip = &p->clip[i];
    int rc = bench_decode(b, s, s->item[i].name, s->item[i].name, &clip->pictures, &decode_ms);
    if (rc == CLI_OK) rc = cut(b, s, clip, i, decode_ms);
    if (rc != CLI_OK) return rc;
    p->frame_bytes += clip->pictures.bytes;
    if (p->frame_bytes > CLI_MAX_FRAME_BYTES)
        return cli_usage(b->c, "%s: the clips up to here exceed %lld MB of frames: fewer --frames or a --limit",
                         s->item[i].name, (long long)(CLI_MAX_FRAME_BYTES >> 20));
    for (int h = 0; rc == CLI_OK && h < HALVES; h++) {
        const int share = bench_has_prefill(s) && p->shared_bytes < MAX_SHARED;
        rc = bench_run_full(b, s, &clip->half[h], share, &clip->full[h]);
        p->shared_bytes += feature_bytes(&clip->full[h]);
    }
    clip->is_there = rc == CLI_OK;
    p->n_there += clip->is_there;
    return rc;
}

static int load(bench *b, bench_section *s, retrieval_state *p)
{
    const size_t n = (size_t)s->n_item;
    int rc = CLI_OK;
    p->clip = calloc(n, sizeof *p->clip);
    p->mean = malloc(n * HALVES * (size_t)p->d * sizeof *p->mean);
    p->cell = malloc(n * sizeof *p->cell);
    if (p->clip == NULL || p->mean == NULL || p->cell == NULL) {
        cli_say(b->c, "out of memory for %d clips", s->n_item);
        return CLI_FAILED;
    }
    bench_progress_begin(b, "clips", s->n_item);
    for (int32_t i = 0; rc == CLI_OK && i < s->n_item; i++) {
        rc = load_clip(b, s, p, i);
        if (rc == CLI_UNREADABLE) {
            free_clip(&p->clip[i]);
            s->n_failed++;
            rc = CLI_OK;
        }
        cli_progress_step(&b->c->bar, i + 1);
    }
    if (rc == CLI_OK && p->n_there == 1) cli_say(b->c, "%s: one clip is left: nothing to look among", s->ask.name);
    return rc;
}

/* ---- one row -------------------------------------------------------------------------------------------------- */

/* Runs the row over one half; its mean, and its part of the cell. */
static int run_half(bench *b, bench_section *s, retrieval_state *p, int32_t r, int32_t i, int h, bench_cell *cell)
{
    bench_row *row = &s->row[r];
    gallery_clip *clip = &p->clip[i];
    bench_run run = BENCH_NO_RUN;
    const int direct = row->saves != BENCH_SAVES_PREFILL || bench_is_due(i, s->ask.time_stride);
    float *mean = p->mean + ((int64_t)i * HALVES + h) * p->d;
    int rc = bench_run_rounds(b, s, row, &clip->half[h], direct ? NULL : &clip->full[h], s->ask.rounds, &run);
    bench_cell_clear(cell, r, i);
    if (rc == CLI_OK) bench_cell_cost(b, s, &clip->full[h], &run, cell);
    if (rc == CLI_OK && !bench_run_mean(&run, mean)) memset(mean, 0, (size_t)p->d * sizeof *mean);
    if (rc == CLI_OK && h == 0 && bench_is_due(i, s->ask.measure_stride))
        rc = bench_cell_measure(b, s, &clip->full[h], &run, cell);
    bench_run_free(&run);
    return rc;
}

static int run_item(bench *b, bench_section *s, retrieval_state *p, int32_t r, int32_t i)
{
    bench_cell second;
    bench_cell *cell = &p->cell[i];
    int rc = run_half(b, s, p, r, i, 0, cell);
    if (rc == CLI_OK) rc = run_half(b, s, p, r, i, 1, &second);
    for (int32_t c = 0; rc == CLI_OK && c < BENCH_OWN_COLUMNS; c++)
        if (!isnan(second.value[c])) cell->value[c] = (cell->value[c] + second.value[c]) / 2;
    return rc;
}

/* 1: the clip's own second half is nearer than that of any other. */
static double recall(const bench_section *s, const retrieval_state *p, int32_t i)
{
    const float *query = p->mean + (int64_t)i * HALVES * p->d;
    const double own = bench_cosine(query, query + p->d, p->d);
    if (p->n_there < 2) return NAN;
    for (int32_t k = 0; k < s->n_item; k++) {
        const float *other = p->mean + ((int64_t)k * HALVES + 1) * p->d;
        if (k != i && p->clip[k].is_there && !(own > bench_cosine(query, other, p->d))) return 0;
    }
    return 1;
}

static int run_row(bench *b, bench_section *s, retrieval_state *p, int32_t r)
{
    int rc = CLI_OK;
    for (int32_t i = 0; rc == CLI_OK && i < s->n_item; i++)
        if (p->clip[i].is_there) rc = run_item(b, s, p, r, i);
    for (int32_t i = 0; rc == CLI_OK && i < s->n_item; i++) {
        if (!p->clip[i].is_there || bench_has(s, r, i)) continue;
        p->cell[i].value[BENCH_RECALL] = recall(s, p, i);
        rc = bench_emit(b, s, &p->cell[i]);
    }
    return rc;
}

static int retrieval_run(bench *b, bench_section *s)
{
    retrieval_state *p = s->state;
    if (!bench_is_missing(s, 0, s->n_item)) return CLI_OK;
    int rc = load(b, s, p);
    if (rc == CLI_OK) bench_progress_begin(b, "recipes", s->n_row);
    for (int32_t r = 0; rc == CLI_OK && r < s->n_row; r++) {
        if (bench_row_is_missing(s, r, 0, s->n_item)) rc = run_row(b, s, p, r);
        cli_progress_step(&b->c->bar, r + 1);
    }
    forget(s, p);
    return rc == CLI_OK ? bench_all_failed(s) : rc;
}

const bench_task bench_task_retrieval = {
    "retrieval",
    "Clip retrieval",
    "The first half of a clip looks for its own second half among those of all clips, by the cosine of size-weighted "
    "means of all tokens. Units and costs are those of a half.",
    BENCH_RECALL,
    retrieval_open,
    retrieval_run,
    retrieval_close,
};
