/* SPDX-License-Identifier: MIT */
/* Task photos: labelled photos (or photos without labels), each decoded once and run through all rows in turn, so that a
 * busy machine hits all rows alike. Right or wrong by three judges:
 *   top-1     the checkpoint's classifier, or that of --head; rows that only save prefill are judged by what is left of
 *             them: the classifier on the size-weighted mean of the rows, which stands in for the CLS token too
 *   kNN       weighted nearest neighbours among training photos, on the size-weighted mean of the rows of every line
 *   metrics   against the full run, where there are no labels
 * A photo that cannot be read is left out of every row. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "knn_bank.h"
#include "linear_head.h"
#include "task.h"

typedef struct photos_state {
    cli_photos photos;
    bench_bank bank;
    bench_head head;
    int has_bank, has_head;
    int has_rows_head;  /* the classifier can judge tokens without a CLS token */
    int32_t n_class;    /* of the classifier that judges; 0 = none */
    int32_t *knn_class; /* [n] class in the bank, -1 = none */
    float *mean;        /* [dim_out] */
    float *logits;      /* [n_class] */
} photos_state;

/* One photo on its way. */
typedef struct job {
    bench *b;
    bench_section *s;
    photos_state *p;
    int32_t item;
    cli_frames pictures;
    bench_frames frames;
    bench_run full;
} job;

/* ---- open ----------------------------------------------------------------------------------------------------- */

static int open_head(bench *b, bench_section *s, photos_state *p)
{
    pare_error err = {0};
    p->n_class = b->info->n_class;
    if (s->ask.head == NULL) return CLI_OK;
    if (bench_head_open(s->ask.head, b->info->dim_out, b->info->has_cls, &p->head, &err) != 0)
        return cli_fail(b->c, &err, CLI_UNREADABLE);
    p->n_class = p->head.n_class;
    p->has_head = 1;
    return CLI_OK;
}

static int open_photos(bench *b, bench_section *s, photos_state *p)
{
    int rc = bench_list_photos(b, s, &p->photos);
    if (rc == CLI_OK && s->ask.data != NULL) rc = cli_photos_bind(b->c, &p->photos, b->model, p->n_class);
    for (int32_t i = 0; rc == CLI_OK && i < p->photos.n; i++)
        rc = bench_add_item(b, s, p->photos.item[i].path, p->photos.item[i].class_index);
    bench_fold_items(s, 0);
    return rc;
}

/* Labels that no training photo has are told: these photos can never be right. */
static int open_bank(bench *b, bench_section *s, photos_state *p)
{
    if (s->ask.train == NULL) return CLI_OK;
    if (s->ask.data == NULL) return cli_usage(b->c, "--train goes with --data: photos of -i have no labels");
    int32_t n_known = 0, n_bare = 0, first = -1;
    p->has_bank = 1;
    const int rc = bench_bank_open(b, s, &p->bank);
    if (rc != CLI_OK) return rc;
    for (int32_t i = 0; i < p->photos.n; i++) {
        const char *label = p->photos.item[i].label;
        p->knn_class[i] = bench_bank_class(&p->bank, label);
        n_known += p->knn_class[i] >= 0;
        n_bare += label[0] == '\0';
        if (p->knn_class[i] < 0 && label[0] != '\0' && first < 0) first = i;
    }
    if (first < 0) return CLI_OK;
    if (n_known == 0)
        return cli_usage(b->c, "--train %s: none of its %d classes is a label of %s, whose first is '%s'", s->ask.train,
                         p->bank.n_name, s->ask.data, p->photos.item[first].label);
    cli_say(b->c, "%s: no photo of '%s' (%s): %d of %d photos cannot be right by neighbours", s->ask.train,
            p->photos.item[first].label, p->photos.item[first].path, p->photos.n - n_known - n_bare, p->photos.n);
    return CLI_OK;
}

static int allocate(bench *b, photos_state *p)
{
    const size_t n = (size_t)p->photos.n, c = (size_t)(p->n_class > 0 ? p->n_class : 1);
    p->knn_class = malloc((n + 1) * sizeof *p->knn_class);
    p->mean = calloc((size_t)b->info->dim_out + 1, sizeof *p->mean);
    p->logits = calloc(c, sizeof *p->logits);
    if (p->knn_class != NULL && p->mean != NULL && p->logits != NULL) return CLI_OK;
    cli_say(b->c, "out of memory for %d photos", p->photos.n);
    return CLI_FAILED;
}

/* What decides: top-1 where a label is a class, neighbours where it is one of theirs, else agreement with the full run. */
static void choose_primary(bench *b, bench_section *s, photos_state *p)
{
    pare_error err = {0};
    int32_t n_class = 0, n_knn = 0;
    for (int32_t i = 0; i < s->n_item; i++) {
        n_class += s->item[i].class_index >= 0;
        n_knn += p->has_bank && p->knn_class[i] >= 0;
    }
    s->has_labels = n_class > 0 || n_knn > 0;
    s->primary = n_class > 0 ? BENCH_TOP1 : n_knn > 0 ? BENCH_KNN : bench_fallback_column(b);
    if (s->ask.data != NULL && !s->has_labels)
        cli_say(b->c, "%s: no label can be used: %s", s->ask.data,
                b->info->n_class > 0 ? "agreement with the full run decides" : "the cosine with the full run decides");
    p->has_rows_head =
        p->has_head || (p->n_class > 0 && pare_model_head(b->model, NULL, p->mean, p->logits, &err) == 0);
    if (n_class == 0 || p->has_rows_head) return;
    s->primary_prefill = n_knn > 0 ? BENCH_KNN : bench_column_find("unmerge_cosine");
    cli_say(b->c, "the classifier reads the CLS token alone: no top-1 for recipes that save prefill only");
}

static int photos_open(bench *b, bench_section *s)
{
    photos_state *p = calloc(1, sizeof *p);
    if (p == NULL) return CLI_FAILED;
    p->photos = p->bank.train = CLI_NO_PHOTOS;
    s->state = p;
    s->video = 0;
    int rc = open_head(b, s, p);
    if (rc == CLI_OK) rc = open_photos(b, s, p);
    if (rc == CLI_OK) rc = allocate(b, p);
    if (rc == CLI_OK) rc = open_bank(b, s, p);
    if (rc == CLI_OK) choose_primary(b, s, p);
    return rc;
}

static void photos_close(bench_section *s)
{
    photos_state *p = s->state;
    if (p == NULL) return;
    bench_bank_close(&p->bank);
    bench_head_free(&p->head);
    cli_photos_close(&p->photos);
    free(p->knn_class);
    free(p->mean);
    free(p->logits);
    free(p);
    s->state = NULL;
}

/* ---- judges --------------------------------------------------------------------------------------------------- */

/* The class that the row's result shows, -1 = nobody can tell. p->mean holds the mean of the rows. */
static int32_t class_of(const job *j, const bench_row *row, const bench_run *run)
{
    photos_state *p = j->p;
    const pare_result_view *v = pare_result_get(run->result[0]);
    const int rows_only = row->saves == BENCH_SAVES_PREFILL;
    if (p->has_head) {
        bench_head_logits(&p->head, rows_only ? NULL : v->prefix, p->mean, p->logits);
        return bench_argmax(p->logits, p->n_class);
    }
    if (!rows_only) return v->logits != NULL ? bench_argmax(v->logits, v->n_class) : -1;
    if (!p->has_rows_head || pare_model_head(j->b->model, NULL, p->mean, p->logits, NULL) != 0) return -1;
    return bench_argmax(p->logits, p->n_class);
}

static void judge(const job *j, const bench_row *row, const bench_run *run, bench_cell *cell)
{
    photos_state *p = j->p;
    const int32_t label = j->s->item[j->item].class_index, neighbour = p->has_bank ? p->knn_class[j->item] : -1;
    if (run->n_result == 0 || !bench_run_mean(run, p->mean)) return;
    const int32_t class = label >= 0 ? class_of(j, row, run) : -1;
    if (class >= 0) cell->value[BENCH_TOP1] = class == label;
    if (neighbour >= 0) cell->value[BENCH_KNN] = bench_knn_class(&p->bank.knn, p->mean, p->bank.votes) == neighbour;
}

/* ---- one photo ------------------------------------------------------------------------------------------------ */

static int emit_row(const job *j, int32_t r, const bench_run *run)
{
    bench_cell cell;
    bench_row *row = &j->s->row[r];
    int rc = CLI_OK;
    bench_cell_clear(&cell, r, j->item);
    bench_cell_cost(j->b, j->s, &j->full, run, &cell);
    judge(j, row, run, &cell);
    if (bench_is_due(j->item, j->s->ask.measure_stride)) {
        rc = bench_cell_measure(j->b, j->s, &j->full, run, &cell);
        if (rc == CLI_OK) rc = bench_flip_blank(j->b, j->s, row, &j->frames, &j->full, run, &cell);
    }
    return rc == CLI_OK ? bench_emit(j->b, j->s, &cell) : rc;
}

/* Row 0 is the full run itself, unless its time is to be the median of several rounds. */
static int run_row(const job *j, int32_t r)
{
    bench_row *row = &j->s->row[r];
    const int64_t rounds = j->s->ask.rounds;
    if (r == 0 && rounds < 2) return emit_row(j, r, &j->full);
    bench_run run = BENCH_NO_RUN;
    const int direct = row->saves != BENCH_SAVES_PREFILL || bench_is_due(j->item, j->s->ask.time_stride);
    int rc = bench_run_rounds(j->b, j->s, row, &j->frames, direct ? NULL : &j->full, rounds, &run);
    if (rc == CLI_OK) rc = emit_row(j, r, &run);
    bench_run_free(&run);
    return rc;
}

static int decode(job *j)
{
    char buffer[64];
    const char *path = cli_photos_path(&j->p->photos, j->item, buffer, sizeof buffer), *name = j->s->item[j->item].name;
    if (path == NULL) {
        cli_say(j->b->c, "left out: %s: cannot be unpacked", name);
        return CLI_UNREADABLE;
    }
    j->frames =
        (bench_frames){.item_seed = bench_item_seed(name), .write = bench_is_due(j->item, j->s->ask.time_stride)};
    const int rc = bench_decode(j->b, j->s, path, name, &j->pictures, &j->frames.decode_ms);
    j->frames.frame = j->pictures.item;
    j->frames.n = j->pictures.n;
    return rc;
}

static int run_photo(job *j)
{
    int rc = decode(j);
    if (rc == CLI_OK) rc = bench_run_full(j->b, j->s, &j->frames, bench_has_prefill(j->s), &j->full);
    for (int32_t r = 0; rc == CLI_OK && r < j->s->n_row; r++) {
        if (bench_has(j->s, r, j->item)) continue;
        rc = *cli_stop_flag() ? CLI_STOPPED : run_row(j, r);
    }
    bench_run_free(&j->full);
    cli_frames_free(&j->pictures);
    return rc;
}

static int photos_run(bench *b, bench_section *s)
{
    photos_state *p = s->state;
    int rc = p->has_bank && bench_is_missing(s, 0, s->n_item) ? bench_bank_fill(b, s, &p->bank) : CLI_OK;
    if (rc == CLI_OK) bench_progress_begin(b, "photos", s->n_item);
    for (int32_t i = 0; rc == CLI_OK && i < s->n_item; i++) {
        job j = {.b = b, .s = s, .p = p, .item = i};
        rc = bench_is_missing(s, i, i + 1) ? run_photo(&j) : CLI_OK;
        if (rc == CLI_UNREADABLE) {
            s->n_failed++;
            rc = CLI_OK;
        }
        cli_progress_step(&b->c->bar, i + 1);
    }
    return rc == CLI_OK ? bench_all_failed(s) : rc;
}

const bench_task bench_task_photos = {
    "photos",
    "Photos",
    "Top-1 by the classifier; where only the prefill is saved, by the classifier on the size-weighted mean of the "
    "tokens that are left (it stands in for the CLS token too). kNN: 20 neighbours, cosine, weights "
    "exp(similarity / 0.07), on the size-weighted mean of the tokens.",
    BENCH_TOP1,
    photos_open,
    photos_run,
    photos_close,
};
