/* SPDX-License-Identifier: MIT */
/* Task clips: every clip goes through all rows as a whole, because recipes look across frames; its items are segments of
 * BENCH_SEGMENT frames, which are emitted together.
 *   times      per frame of the whole clip (of its first sixth where a row is reduced from the shared encoding)
 *   units      of the whole clip, shared out evenly: no segment is blamed for what a recipe gave to another
 *   metrics    of the windows that a segment lies in, by how many of its steps they hold
 *   boxes      of the segment's own steps (patches.h), and so are the agreement of logits and the CLS and pooled cosines */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clip.h"
#include "patches.h"

enum { DEFAULT_ROUNDS = 3, LEAST_TIMED = 8, TIMED_SHARE = 6 };

typedef struct clips_state {
    cli_photos list;
    bench_clip *clip; /* [list.n] */
    bench_boxes boxes;
    int32_t cls, pooled, agree; /* columns, or -1 */
} clips_state;

/* One clip on its way; all of it is released by run_clip, also half-built. */
typedef struct job {
    bench *b;
    bench_section *s;
    const clips_state *p;
    const bench_clip *clip;
    cli_frames pictures;
    bench_frames frames;
    bench_run full;
    int64_t n_slot;
    bench_slot *slot;   /* [n_slot] of the full run */
    bench_mot_box *box; /* boxes of all slots */
    int64_t *box_start; /* [n_slot + 1] */
} job;

/* One row over the clip. */
typedef struct outcome {
    bench_run run;
    bench_cell cost;
    bench_cell *window; /* [run.n_result] metrics */
    bench_slot *slot;   /* [n_slot] */
    bench_tally *tally; /* [n_slot] */
    bench_owners owners;
} outcome;

/* ---- open ----------------------------------------------------------------------------------------------------- */

static int open_boxes(bench *b, bench_section *s, clips_state *p)
{
    pare_error err = {0};
    if (s->ask.boxes == NULL) return CLI_OK;
    if (p->list.n != 1) return cli_usage(b->c, "--boxes belongs to one clip, there are %d", p->list.n);
    if (bench_boxes_read(s->ask.boxes, &p->boxes, &err) != 0) return cli_fail(b->c, &err, CLI_UNREADABLE);
    const bench_clip *clip = &p->clip[0];
    if (p->boxes.n == 0)
        cli_say(b->c, "%s: no boxes: their columns are n/a", s->ask.boxes);
    else if (bench_clip_boxes(clip, &p->boxes) == 0)
        cli_say(b->c, "%s: its boxes are of frames %lld to %lld, %s gives %lld: their columns are n/a", s->ask.boxes,
                (long long)p->boxes.item[0].frame, (long long)p->boxes.item[p->boxes.n - 1].frame, clip->path,
                (long long)clip->n_frame);
    else
        s->primary = BENCH_BOX_KEPT;
    return CLI_OK;
}

static int open_clips(bench *b, bench_section *s, clips_state *p)
{
    int rc = bench_list_clips(b, s, &p->list);
    if (rc != CLI_OK) return rc;
    p->clip = calloc((size_t)p->list.n + 1, sizeof *p->clip);
    if (p->clip == NULL) {
        cli_say(b->c, "out of memory for %d clips", p->list.n);
        return CLI_FAILED;
    }
    for (int32_t i = 0; rc == CLI_OK && i < p->list.n; i++) {
        bench_clip_probe(s, p->list.item[i].path, &p->clip[i]);
        rc = bench_clip_add_items(b, s, &p->clip[i]);
    }
    bench_fold_items(s, 1);
    return rc == CLI_OK && *cli_stop_flag() ? CLI_STOPPED : rc;
}

static int clips_open(bench *b, bench_section *s)
{
    clips_state *p = calloc(1, sizeof *p);
    if (p == NULL) return CLI_FAILED;
    p->list = CLI_NO_PHOTOS;
    p->cls = bench_column_find("cls_cosine");
    p->pooled = bench_column_find("pooled_cosine");
    p->agree = bench_column_find("logit_agreement_share");
    s->state = p;
    s->video = 1;
    s->primary = bench_fallback_column(b);
    if (s->ask.rounds == 0) s->ask.rounds = DEFAULT_ROUNDS;
    const int rc = open_clips(b, s, p);
    return rc == CLI_OK ? open_boxes(b, s, p) : rc;
}

static void clips_close(bench_section *s)
{
    clips_state *p = s->state;
    if (p == NULL) return;
    bench_boxes_free(&p->boxes);
    cli_photos_close(&p->list);
    free(p->clip);
    free(p);
    s->state = NULL;
}

/* ---- one row over the clip ------------------------------------------------------------------------------------ */

static int no_memory(const job *j)
{
    cli_say(j->b->c, "%s: out of memory for %lld steps", j->clip->path, (long long)j->n_slot);
    return CLI_FAILED;
}

/* The metrics of every window against the full run's window of the same steps. */
static int measure_windows(const job *j, int32_t r, outcome *o)
{
    const int64_t stride = j->s->ask.measure_stride;
    for (int64_t w = 0; w < o->run.n_result; w++) {
        bench_cell_clear(&o->window[w], r, j->clip->first_item);
        const bench_slot *full = &j->slot[pare_result_get(o->run.result[w])->first_slot];
        if (!bench_is_due(w, stride) || full->v == NULL) continue;
        bench_run one = o->run, reference = j->full;
        one.result = &o->run.result[w];
        reference.result = &j->full.result[full->window];
        one.n_result = reference.n_result = 1;
        const int rc = bench_cell_measure(j->b, j->s, &reference, &one, &o->window[w]);
        if (rc != CLI_OK) return rc;
    }
    return CLI_OK;
}

static int tally_slots(const job *j, int values, outcome *o)
{
    const pare_result_view *owned = NULL;
    for (int64_t q = 0; q < j->n_slot; q++) {
        const bench_slot *full = &j->slot[q], *run = &o->slot[q];
        const int64_t n_box = j->box_start[q + 1] - j->box_start[q];
        if (run->v != NULL && run->v != owned && bench_owners_of(&o->owners, run->v) != 0) return no_memory(j);
        owned = run->v;
        if (full->v == NULL) continue;
        bench_tally_boxes(full, run, &o->owners, j->box + j->box_start[q], n_box, values, &o->tally[q]);
        if (values) bench_tally_whole(full, run, &o->tally[q]);
    }
    return CLI_OK;
}

static int judge(const job *j, int32_t r, outcome *o)
{
    const size_t n_window = (size_t)o->run.n_result + 1, n_slot = (size_t)j->n_slot + 1;
    bench_cell_clear(&o->cost, r, j->clip->first_item);
    bench_cell_cost(j->b, j->s, &j->full, &o->run, &o->cost);
    o->window = malloc(n_window * sizeof *o->window);
    o->slot = malloc(n_slot * sizeof *o->slot);
    o->tally = calloc(n_slot, sizeof *o->tally);
    if (o->window == NULL || o->slot == NULL || o->tally == NULL) return no_memory(j);
    bench_slots(&o->run, o->slot, j->n_slot);
    const int rc = measure_windows(j, r, o);
    return rc == CLI_OK ? tally_slots(j, j->s->row[r].saves != BENCH_SAVES_PREFILL, o) : rc;
}

/* ---- segments ------------------------------------------------------------------------------------------------- */

static void add_tally(bench_tally *sum, const bench_tally *t)
{
    sum->n_box += t->n_box;
    sum->kept += t->kept;
    sum->represented += t->represented;
    sum->cosine += t->cosine;
    sum->n_cls += t->n_cls;
    sum->cls += t->cls;
    sum->n_pooled += t->n_pooled;
    sum->pooled += t->pooled;
    sum->n_agree += t->n_agree;
    sum->agree += t->agree;
}

static void set_share(bench_cell *cell, int32_t column, double sum, double n)
{
    if (column >= 0) cell->value[column] = n > 0 ? sum / n : NAN;
}

static void set_tally(const clips_state *p, const bench_tally *t, int values, bench_cell *cell)
{
    set_share(cell, BENCH_BOX_KEPT, t->kept, t->n_box);
    set_share(cell, BENCH_BOX_REPRESENTED, t->represented, t->n_box);
    if (!values) return;
    set_share(cell, BENCH_BOX_COSINE, t->cosine, t->represented);
    set_share(cell, p->cls, t->cls, t->n_cls);
    set_share(cell, p->pooled, t->pooled, t->n_pooled);
    set_share(cell, p->agree, t->agree, t->n_agree);
}

/* Means over the segment's steps [first, end) of their windows' metrics. */
static void set_metrics(const outcome *o, int64_t first, int64_t end, bench_cell *cell)
{
    for (int32_t c = BENCH_OWN_COLUMNS; c < BENCH_MAX_COLUMNS; c++) {
        double sum = 0, n = 0;
        for (int64_t q = first; q < end; q++) {
            const double x = o->slot[q].v != NULL ? o->window[o->slot[q].window].value[c] : NAN;
            if (isnan(x)) continue;
            sum += x;
            n++;
        }
        set_share(cell, c, sum, n);
    }
}

/* Steps that belong to the item: *first .. *end, empty when the clip was shorter than announced. */
static void segment(const job *j, int32_t item, int64_t *first, int64_t *end)
{
    const int32_t temporal = j->b->info->temporal;
    for (*first = 0; *first < j->n_slot && bench_clip_item(j->clip, *first, temporal) < item;) ++*first;
    for (*end = *first; *end < j->n_slot && bench_clip_item(j->clip, *end, temporal) == item;) ++*end;
}

static int emit_segment(const job *j, int32_t r, int32_t item, const outcome *o)
{
    static const int shared_out[] = {BENCH_UNITS_IN, BENCH_UNITS_ASKED, BENCH_UNITS, BENCH_POSITIONS};
    int64_t first, end;
    bench_cell cell = o->cost;
    bench_tally sum = {0};
    cell.item = item;
    segment(j, item, &first, &end);
    if (first == end) {
        bench_cell_clear(&cell, r, item);
        return bench_emit(j->b, j->s, &cell);
    }
    for (size_t i = 0; i < sizeof shared_out / sizeof *shared_out; i++)
        cell.value[shared_out[i]] *= (double)(end - first) / (double)j->n_slot;
    for (int64_t q = first; q < end; q++) add_tally(&sum, &o->tally[q]);
    set_metrics(o, first, end, &cell);
    set_tally(j->p, &sum, j->s->row[r].saves != BENCH_SAVES_PREFILL, &cell);
    return bench_emit(j->b, j->s, &cell);
}

static int emit_row(const job *j, int32_t r, outcome *o)
{
    int rc = judge(j, r, o);
    for (int32_t i = 0; rc == CLI_OK && i < j->clip->n_item; i++) {
        const int32_t item = j->clip->first_item + i;
        if (!bench_has(j->s, r, item)) rc = emit_segment(j, r, item, o);
    }
    return rc;
}

/* ---- rows ----------------------------------------------------------------------------------------------------- */

/* What a row costs from end to end, where its results come from the shared encoding: by the clip's first frames. */
static int time_shared(const job *j, bench_row *row, int64_t rounds, bench_run *run)
{
    bench_run timed = BENCH_NO_RUN;
    bench_frames some = j->frames;
    const int32_t n = j->frames.n / TIMED_SHARE > LEAST_TIMED ? j->frames.n / TIMED_SHARE : LEAST_TIMED;
    if (n < some.n) some.n = n;
    const int rc = bench_run_rounds(j->b, j->s, row, &some, NULL, rounds, &timed);
    if (rc == CLI_OK) memcpy(run->ms, timed.ms, sizeof run->ms);
    bench_run_free(&timed);
    return rc;
}

/* Row 0 is the full run itself, unless its time is to be the median of several rounds. */
static int run_row(const job *j, int32_t r)
{
    bench_row *row = &j->s->row[r];
    const int64_t rounds = j->s->ask.rounds;
    const bench_run *share = row->saves == BENCH_SAVES_PREFILL ? &j->full : NULL;
    outcome o = {.run = BENCH_NO_RUN};
    const int is_full = r == 0 && rounds < 2;
    if (is_full) o.run = j->full;
    int rc = is_full ? CLI_OK : bench_run_rounds(j->b, j->s, row, &j->frames, share, rounds, &o.run);
    if (rc == CLI_OK && o.run.shared) rc = time_shared(j, row, rounds, &o.run);
    if (rc == CLI_OK) rc = emit_row(j, r, &o);
    if (!is_full) bench_run_free(&o.run);
    bench_owners_free(&o.owners);
    free(o.window);
    free(o.slot);
    free(o.tally);
    return rc;
}

/* ---- the clip ------------------------------------------------------------------------------------------------- */

static int decode(job *j)
{
    const cli_pick asked = j->s->ask.pick;
    j->frames = (bench_frames){.item_seed = bench_item_seed(j->clip->path), .write = 1};
    j->s->ask.pick = j->clip->pick;
    const int rc = bench_decode(j->b, j->s, j->clip->path, j->clip->path, &j->pictures, &j->frames.decode_ms);
    j->s->ask.pick = asked;
    j->frames.frame = j->pictures.item;
    j->frames.n = j->pictures.n;
    if (j->clip->n_frame > 0 && j->clip->n_frame < j->frames.n) j->frames.n = (int32_t)j->clip->n_frame;
    return rc;
}

/* The boxes of every step: those of all its frames. */
static int gather_boxes(job *j)
{
    const int32_t temporal = j->b->info->temporal > 1 ? j->b->info->temporal : 1;
    const bench_boxes *boxes = &j->p->boxes;
    j->box_start = calloc((size_t)j->n_slot + 1, sizeof *j->box_start);
    j->box = malloc(((size_t)boxes->n * (size_t)temporal + 1) * sizeof *j->box);
    if (j->box_start == NULL || j->box == NULL) return no_memory(j);
    int64_t n = 0;
    for (int64_t q = 0; q < j->n_slot; q++) {
        for (int64_t f = q * temporal; f < (q + 1) * temporal && f < j->frames.n; f++) {
            int64_t n_box;
            const int64_t number = bench_clip_frame_number(j->clip, f, j->frames.frame[f].pts);
            const bench_mot_box *box = bench_boxes_of(boxes, number, &n_box);
            if (n_box == 0 || n + n_box > boxes->n * temporal) continue; /* no frame is given twice */
            memcpy(j->box + n, box, (size_t)n_box * sizeof *box);
            n += n_box;
        }
        j->box_start[q + 1] = n;
    }
    return CLI_OK;
}

static int prepare(job *j)
{
    int rc = decode(j);
    if (rc == CLI_OK) rc = bench_run_full(j->b, j->s, &j->frames, bench_has_prefill(j->s), &j->full);
    if (rc != CLI_OK) return rc;
    j->n_slot = bench_slot_count(&j->full);
    j->slot = malloc(((size_t)j->n_slot + 1) * sizeof *j->slot);
    if (j->slot == NULL) return no_memory(j);
    bench_slots(&j->full, j->slot, j->n_slot);
    return gather_boxes(j);
}

static int run_clip(job *j, int32_t clip)
{
    const int32_t first = j->clip->first_item, end = first + j->clip->n_item;
    int rc = prepare(j);
    for (int32_t r = 0; rc == CLI_OK && r < j->s->n_row; r++) {
        if (bench_row_is_missing(j->s, r, first, end)) rc = *cli_stop_flag() ? CLI_STOPPED : run_row(j, r);
        cli_progress_step(&j->b->c->bar, (int64_t)clip * j->s->n_row + r + 1);
    }
    bench_run_free(&j->full);
    cli_frames_free(&j->pictures);
    free(j->slot);
    free(j->box);
    free(j->box_start);
    return rc;
}

/* Progress counts rows: a clip may take long. */
static int clips_run(bench *b, bench_section *s)
{
    const clips_state *p = s->state;
    int rc = CLI_OK;
    bench_progress_begin(b, "runs", (int64_t)p->list.n * s->n_row);
    for (int32_t i = 0; rc == CLI_OK && i < p->list.n; i++) {
        job j = {.b = b, .s = s, .p = p, .clip = &p->clip[i], .full = BENCH_NO_RUN};
        const int32_t first = j.clip->first_item;
        rc = bench_is_missing(s, first, first + j.clip->n_item) ? run_clip(&j, i) : CLI_OK;
        if (rc == CLI_UNREADABLE) {
            s->n_failed += j.clip->n_item;
            rc = CLI_OK;
        }
        cli_progress_step(&b->c->bar, (int64_t)(i + 1) * s->n_row);
    }
    return rc == CLI_OK ? bench_all_failed(s) : rc;
}

const bench_task bench_task_clips = {
    "clips",
    "Clips",
    "An item is a segment of 5 frames; units are those of a segment, times those of the whole clip, or of its first "
    "sixth for what only saves prefill. Box kept: share of the patches whose centre lies "
    "in "
    "a box that have a row of their own (on a smaller grid: rows in boxes over patches in boxes). Represented: that "
    "some "
    "row stands for. Cosine: of these rows with the full run's tokens.",
    BENCH_BOX_KEPT,
    clips_open,
    clips_run,
    clips_close,
};
