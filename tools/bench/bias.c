/* SPDX-License-Identifier: MIT */
/* Does a row look at the picture or at the places (bench.h)?
 *   flip   the row on the mirrored frames; its kept map, mirrored back, against that of the frames themselves. 1: what is
 *          kept moves with the picture; -1: a half is kept whatever it shows
 *   blank  the row on grey frames of the same grid, once per row; its mean score map (where every unit has a score, else
 *          the kept map) against that of the frames. 0: a picture of nothing says nothing; 1: the picture does not matter
 * Both are Spearman's rho, NaN where a map is constant. The grey frames have the grid's size and a seed of their own, so
 * that they are the same whichever item comes first. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

enum { GREY = 128, GREY_STEPS = 8 };

/* Mean over the slots of a run, [h, w]. */
typedef struct mean_map {
    double *kept, *score; /* score NULL: not every unit has one */
    int32_t h, w;         /* 0: not made yet; -1: the slots have different grids */
} mean_map;

struct bench_bias {
    pare_frame *frame; /* [n_frame] mirrored frames of `item`; what they point to is owned */
    int32_t n_frame, item;
    bench_run mirrored, grey; /* recipe none; no results: not run yet */
    int32_t grey_h, grey_w;
    mean_map *blank; /* [n_row] */
    int32_t n_row;
};

static int no_memory(bench *b, const bench_section *s)
{
    cli_say(b->c, "%s: out of memory for the mirrored frames", s->ask.name);
    return CLI_FAILED;
}

/* ---- mirrored frames ------------------------------------------------------------------------------------------- */

/* A copy of in[h, w, bytes], rows `stride` apart, with its columns in reverse order; NULL of NULL and without memory. */
static void *mirror_plane(const void *in, int64_t stride, int32_t w, int32_t h, size_t bytes)
{
    uint8_t *out = in != NULL ? malloc((size_t)w * (size_t)h * bytes) : NULL;
    for (int32_t y = 0; out != NULL && y < h; y++) {
        const uint8_t *from = (const uint8_t *)in + y * stride;
        uint8_t *to = out + (size_t)y * (size_t)w * bytes;
        for (int32_t x = 0; x < w; x++) memcpy(to + (size_t)(w - 1 - x) * bytes, from + (size_t)x * bytes, bytes);
    }
    return out;
}

static int mirror_frame(const pare_frame *in, pare_frame *out)
{
    *out = *in;
    out->stride = (int64_t)in->width * 3;
    out->rgb = mirror_plane(in->rgb, in->stride, in->width, in->height, 3);
    out->mask = mirror_plane(in->mask, in->mask_width, in->mask_width, in->mask_height, 1);
    out->scores = mirror_plane(in->scores, in->scores_width * (int64_t)sizeof(float), in->scores_width,
                               in->scores_height, sizeof(float));
    return out->rgb != NULL && (in->mask == NULL || out->mask != NULL) && (in->scores == NULL || out->scores != NULL)
               ? 0
               : -1;
}

static void drop_mirrored(bench_bias *bias)
{
    for (int32_t i = 0; i < bias->n_frame; i++) {
        free((void *)(uintptr_t)bias->frame[i].rgb);
        free((void *)(uintptr_t)bias->frame[i].mask);
        free((void *)(uintptr_t)bias->frame[i].scores);
    }
    free(bias->frame);
    bias->frame = NULL;
    bias->n_frame = 0;
    bias->item = -1;
    bench_run_free(&bias->mirrored);
}

/* Mirrors the frames of another item than last time. */
static int mirror_item(bench_bias *bias, const bench_frames *frames, int32_t item)
{
    if (bias->item == item && bias->n_frame == frames->n) return 0;
    drop_mirrored(bias);
    bias->frame = calloc((size_t)frames->n, sizeof *bias->frame);
    if (bias->frame == NULL) return -1;
    for (int32_t i = 0; i < frames->n; i++) {
        bias->n_frame = i + 1;
        if (mirror_frame(&frames->frame[i], &bias->frame[i]) != 0) return -1;
    }
    bias->item = item;
    return 0;
}

/* ---- maps of units --------------------------------------------------------------------------------------------- */

/* 1 for units whose place a row has, else 0. out [n] of the result. */
static void fill_kept(const pare_result_view *v, double *out)
{
    for (int64_t i = 0; i < v->n; i++) out[i] = 0;
    for (int64_t i = 0; i < v->k; i++) out[v->map.anchor[i]] = 1;
}

/* Reverses the rows of every slot. */
static void mirror_map(const pare_result_view *v, double *map)
{
    for (int32_t t = 0; t < v->grid[0]; t++) {
        const int32_t w = v->slot[t].grid_w;
        for (int64_t at = v->unit_start[t]; at < v->unit_start[t + 1]; at += w)
            for (int32_t x = 0; x < w / 2; x++) {
                const double left = map[at + x];
                map[at + x] = map[at + w - 1 - x];
                map[at + w - 1 - x] = left;
            }
    }
}

static void fill_run(const bench_run *run, int mirror, double *out)
{
    for (int64_t i = 0; i < run->n_result; i++) {
        const pare_result_view *v = pare_result_get(run->result[i]);
        fill_kept(v, out);
        if (mirror) mirror_map(v, out);
        out += v->n;
    }
}

/* ---- flip ------------------------------------------------------------------------------------------------------ */

static int correlate_kept(const bench_run *run, const bench_run *mirrored, double *rho)
{
    const int64_t n = bench_run_units(run);
    *rho = NAN;
    if (n == 0 || bench_run_units(mirrored) != n) return 0;
    double *map = malloc(2 * (size_t)n * sizeof *map);
    if (map == NULL) return -1;
    fill_run(run, 0, map);
    fill_run(mirrored, 1, map + n);
    const int rc = bench_spearman(map, map + n, n, rho);
    free(map);
    return rc;
}

static int measure_flip(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, const bench_run *run,
                        bench_cell *cell)
{
    bench_bias *bias = s->bias;
    bench_run mirrored = BENCH_NO_RUN;
    const int is_shared = row->saves == BENCH_SAVES_PREFILL;
    if (mirror_item(bias, frames, cell->item) != 0) return no_memory(b, s);
    const bench_frames flipped = {.frame = bias->frame, .n = frames->n, .item_seed = frames->item_seed};
    int rc = is_shared && bias->mirrored.n_result == 0 ? bench_run_full(b, s, &flipped, 1, &bias->mirrored) : CLI_OK;
    if (rc == CLI_OK) rc = bench_run_row(b, s, row, &flipped, is_shared ? &bias->mirrored : NULL, &mirrored);
    if (rc == CLI_OK && correlate_kept(run, &mirrored, &cell->value[BENCH_FLIP]) != 0) rc = no_memory(b, s);
    bench_run_free(&mirrored);
    return rc;
}

/* ---- blank ----------------------------------------------------------------------------------------------------- */

static void free_map(mean_map *map)
{
    free(map->kept);
    free(map->score);
    *map = (mean_map){0};
}

static int has_scores(const pare_result_view *v)
{
    for (int64_t i = 0; v->scores != NULL && i < v->n; i++)
        if (!isfinite(v->scores[i])) return 0;
    return v->scores != NULL;
}

/* Do all slots have this grid, and every unit a score? */
static void look_at_run(const bench_run *run, mean_map *out, int *is_scored)
{
    *is_scored = run->n_result > 0;
    for (int64_t i = 0; i < run->n_result; i++) {
        const pare_result_view *v = pare_result_get(run->result[i]);
        *is_scored &= has_scores(v);
        for (int32_t t = 0; t < v->grid[0]; t++) {
            const pare_slot *slot = &v->slot[t];
            if (out->h == 0) out->h = slot->grid_h, out->w = slot->grid_w;
            if (slot->grid_h != out->h || slot->grid_w != out->w) out->h = out->w = -1;
        }
    }
}

/* Sums over slots: a mean but for a factor, which ranks do not see. */
static void sum_run(const bench_run *run, const mean_map *out, double *kept)
{
    const int64_t cells = (int64_t)out->h * out->w;
    for (int64_t i = 0; i < run->n_result; i++) {
        const pare_result_view *v = pare_result_get(run->result[i]);
        fill_kept(v, kept);
        for (int64_t j = 0; j < v->n; j++) out->kept[j % cells] += kept[j];
        for (int64_t j = 0; out->score != NULL && j < v->n; j++) out->score[j % cells] += (double)v->scores[j];
    }
}

/* 0 or -1; free_map takes what was made. */
static int make_map(const bench_run *run, mean_map *out)
{
    int is_scored = 0;
    *out = (mean_map){0};
    look_at_run(run, out, &is_scored);
    if (out->h <= 0) return 0;
    const size_t cells = (size_t)out->h * (size_t)out->w;
    double *kept = malloc((size_t)bench_run_units(run) * sizeof *kept);
    out->kept = calloc(cells, sizeof *out->kept);
    out->score = is_scored ? calloc(cells, sizeof *out->score) : NULL;
    const int rc = kept != NULL && out->kept != NULL && (!is_scored || out->score != NULL) ? 0 : -1;
    if (rc == 0) sum_run(run, out, kept);
    free(kept);
    return rc;
}

/* Grey frames of the full run's grid. `rgb` [w * h * 3] is filled here. */
static void paint_grey(const bench_frames *like, int32_t w, int32_t h, uint8_t *rgb, pare_frame *out, int32_t n)
{
    memset(rgb, GREY, (size_t)w * (size_t)h * 3);
    for (int32_t i = 0; i < n; i++) {
        const pare_frame *scored = &like->frame[i < like->n ? i : like->n - 1];
        out[i] = (pare_frame){.struct_size = sizeof *out,
                              .rgb = rgb,
                              .stride = (int64_t)w * 3,
                              .width = w,
                              .height = h,
                              .pts = i / 25.0,
                              .duration = 1 / 25.0,
                              .scores = scored->scores,
                              .scores_width = scored->scores_width,
                              .scores_height = scored->scores_height};
    }
}

/* The row on grey frames; for rows that are reduced from a shared encoding there is one for all. */
static int run_grey(bench *b, bench_section *s, bench_row *row, const bench_frames *grey, const pare_slot *grid,
                    bench_run *out)
{
    bench_bias *bias = s->bias;
    int rc = CLI_OK;
    if (row->saves != BENCH_SAVES_PREFILL) return bench_run_row(b, s, row, grey, NULL, out);
    if (bias->grey.n_result == 0 || bias->grey_h != grid->grid_h || bias->grey_w != grid->grid_w)
        rc = bench_run_full(b, s, grey, 1, &bias->grey);
    bias->grey_h = grid->grid_h;
    bias->grey_w = grid->grid_w;
    return rc == CLI_OK ? bench_run_row(b, s, row, grey, &bias->grey, out) : rc;
}

static int make_blank(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, const pare_slot *grid,
                      mean_map *out)
{
    const int32_t unit = b->info->unit > 1 ? b->info->unit : 1,
                  temporal = b->info->temporal > 1 ? b->info->temporal : 1;
    const int32_t w = grid->grid_w * b->info->patch * unit, h = grid->grid_h * b->info->patch * unit;
    const int32_t n = s->video ? GREY_STEPS * temporal : 1;
    bench_run run = BENCH_NO_RUN;
    uint8_t *rgb = malloc((size_t)w * (size_t)h * 3);
    pare_frame *frame = calloc((size_t)n, sizeof *frame);
    int rc = CLI_FAILED;
    if (rgb == NULL || frame == NULL) {
        no_memory(b, s);
        goto done;
    }
    paint_grey(frames, w, h, rgb, frame, n);
    rc = run_grey(b, s, row, &(bench_frames){.frame = frame, .n = n}, grid, &run);
    if (rc == CLI_OK && make_map(&run, out) != 0) rc = no_memory(b, s);
done:
    bench_run_free(&run);
    free(rgb);
    free(frame);
    return rc;
}

/* A map of the caller's numbers the units of one input; it looks at no picture. */
static int measure_blank(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, const bench_run *full,
                         const bench_run *run, bench_cell *cell)
{
    mean_map own = {0}, *blank = &s->bias->blank[row - s->row];
    int rc = CLI_OK;
    if (full->n_result == 0 || (b->own.map != NULL && strstr(row->recipe, "custom") != NULL)) return CLI_OK;
    if (make_map(run, &own) != 0) {
        rc = no_memory(b, s);
        goto done;
    }
    if (own.h <= 0) goto done;
    if (blank->h != own.h || blank->w != own.w) {
        free_map(blank);
        rc = make_blank(b, s, row, frames, &pare_result_get(full->result[0])->slot[0], blank);
    }
    if (rc != CLI_OK || blank->h != own.h || blank->w != own.w) goto done;
    const int by_score = own.score != NULL && blank->score != NULL;
    if (bench_spearman(by_score ? own.score : own.kept, by_score ? blank->score : blank->kept, (int64_t)own.h * own.w,
                       &cell->value[BENCH_BLANK]) != 0)
        rc = no_memory(b, s);
done:
    free_map(&own);
    return rc;
}

/* ---- what tasks call ------------------------------------------------------------------------------------------- */

static bench_bias *new_bias(int32_t n_row)
{
    bench_bias *bias = calloc(1, sizeof *bias);
    if (bias != NULL)
        *bias = (bench_bias){.item = -1, .n_row = n_row, .blank = calloc((size_t)n_row, sizeof(mean_map))};
    if (bias != NULL && bias->blank == NULL) bench_bias_free(&bias);
    return bias;
}

void bench_bias_free(bench_bias **bias)
{
    bench_bias *x = *bias;
    *bias = NULL;
    if (x == NULL) return;
    drop_mirrored(x);
    bench_run_free(&x->grey);
    for (int32_t i = 0; x->blank != NULL && i < x->n_row; i++) free_map(&x->blank[i]);
    free(x->blank);
    free(x);
}

int bench_flip_blank(bench *b, bench_section *s, bench_row *row, const bench_frames *frames, const bench_run *full,
                     const bench_run *run, bench_cell *cell)
{
    if (s->bias == NULL) s->bias = new_bias(s->n_row);
    if (s->bias == NULL) return no_memory(b, s);
    int rc = measure_flip(b, s, row, frames, run, cell);
    return rc == CLI_OK ? measure_blank(b, s, row, frames, full, run, cell) : rc;
}
