/* SPDX-License-Identifier: MIT */
/* How what is kept spreads over the temporal steps of a medium; the mean over the media that have several. A row counts
 * in the step of its anchor: what stands for a run of steps, where the run starts. */
#include <math.h>
#include <string.h>

#include "measure/scene.h"

/* Consecutive slots of one medium: [first, end), and how many steps they show (tiles share one). */
typedef struct clip {
    int32_t first, end, n_step;
} clip;

/* The medium that begins at slot `first`. */
static clip clip_at(const pare_result_view *v, int32_t first)
{
    clip c = {first, first, 0};
    for (; c.end < v->grid[0] && v->slot[c.end].media == v->slot[first].media; c.end++)
        if (c.end == first || v->slot[c.end].t != v->slot[c.end - 1].t) c.n_step++;
    return c;
}

/* Mean of what `measure` makes of the clips that have several steps, where it is defined. */
static int over_clips(pare__scene *s, int (*measure)(pare__scene *, const clip *, double *, pare_error *), double *out,
                      pare_error *err)
{
    pare__mean mean = {0};
    int rc = pare__scene_owner(s, err);
    const pare__mark mark = pare__arena_mark(&s->arena);
    for (clip c = {0}; !rc && c.end < s->v->grid[0];) {
        c = clip_at(s->v, c.end);
        double value = NAN;
        if (c.n_step > 1) rc = measure(s, &c, &value, err);
        pare__mean_add(&mean, value);
        pare__arena_reset(&s->arena, mark);
    }
    *out = pare__mean_get(&mean);
    return rc;
}

/* ---- counts -------------------------------------------------------------------------------------------------------- */

static int count_steps(pare__scene *s, const clip *c, pare__count_stats *out, pare_error *err)
{
    const pare_result_view *v = s->v;
    int64_t *count = PARE__ARENA(&s->arena, int64_t, c->n_step);
    if (!count) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    memset(count, 0, (size_t)c->n_step * sizeof *count);
    int32_t step = 0;
    for (int32_t t = c->first; t < c->end; t++) {
        if (t > c->first && v->slot[t].t != v->slot[t - 1].t) step++;
        count[step] += v->row_start[t + 1] - v->row_start[t];
    }
    pare__count_measure(count, c->n_step, out);
    return 0;
}

#define CLIP_COUNT(name, field)                                                                                        \
    static int clip_##name(pare__scene *s, const clip *c, double *out, pare_error *err)                                \
    {                                                                                                                  \
        pare__count_stats stats;                                                                                       \
        const int rc = count_steps(s, c, &stats, err);                                                                 \
        if (!rc) *out = stats.field;                                                                                   \
        return rc;                                                                                                     \
    }
CLIP_COUNT(entropy, entropy)
CLIP_COUNT(gini, gini)
CLIP_COUNT(empty, share_empty)
CLIP_COUNT(gap, longest_gap)
#undef CLIP_COUNT

/* ---- the block of cells -------------------------------------------------------------------------------------------- */

/* One grid per step, all alike: only then the kept cells are points of one box. */
static int is_block(const pare_result_view *grid, const clip *c)
{
    const pare_slot *a = &grid->slot[c->first];
    for (int32_t t = c->first; t < c->end; t++)
        if (grid->slot[t].grid_h != a->grid_h || grid->slot[t].grid_w != a->grid_w) return 0;
    return c->end - c->first == c->n_step;
}

static int clip_l2star(pare__scene *s, const clip *c, double *out, pare_error *err)
{
    const pare_result_view *grid = pare__scene_grid(s);
    if (!is_block(grid, c)) return 0;
    const int32_t h = grid->slot[c->first].grid_h, w = grid->slot[c->first].grid_w;
    const int64_t plane = (int64_t)h * w;
    int32_t *count = PARE__ARENA(&s->arena, int32_t, plane * c->n_step);
    if (!count) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    memset(count, 0, (size_t)(plane * c->n_step) * sizeof *count);
    int64_t k = 0;
    for (int32_t t = c->first; t < c->end; t++) {
        pare__cells cells;
        const pare__mark mark = pare__arena_mark(&s->arena);
        const int rc = pare__scene_cells(s, t, &cells, err);
        if (rc) return rc;
        for (int64_t i = 0; i < cells.n_keep; i++) count[(t - c->first) * plane + cells.keep[i]] = 1;
        k += cells.n_keep;
        pare__arena_reset(&s->arena, mark);
    }
    if (k > 0)
        *out = sqrt(fmax(pare__lattice_l2star_sq(count, c->n_step, h, w), 0) /
                    pare__lattice_l2star_random_sq(k, c->n_step, h, w));
    return 0;
}

#define OVER_CLIPS(name)                                                                                               \
    static int name(pare__scene *s, double *out, pare_error *err) { return over_clips(s, clip_##name, out, err); }
OVER_CLIPS(entropy)
OVER_CLIPS(gini)
OVER_CLIPS(empty)
OVER_CLIPS(gap)
OVER_CLIPS(l2star)
#undef OVER_CLIPS

const pare__metric pare__met_steps[] = {
    {"count_entropy_ratio", "ratio", "how evenly the rows are spread over the steps: 1 evenly, 0 all in one",
     "-sum p ln p / ln T, p = rows of a step / rows", "Shannon 1948", PARE__READS_STEPS, 0, entropy},
    {"count_gini_ratio", "ratio", "inequality of the steps: 0 equal, near 1 all in one",
     "2 sum(i x_i) / (T sum x) - (T + 1) / T, x = rows of a step, ascending", "Gini 1912", PARE__READS_STEPS, 0, gini},
    {"empty_steps_share", "share", "steps of which nothing is kept", "steps without a row / T", "ours",
     PARE__READS_STEPS, -1, empty},
    {"longest_gap_steps", "steps", "longest time of which nothing is kept", "max run of steps without a row", "ours",
     PARE__READS_STEPS, -1, gap},
    {"l2star_steps_to_random_ratio", "ratio",
     "discrepancy in time and space against random cells: 1 as random, far above it one-sided",
     "D / sqrt(E D^2); D^2 = 3^-3 - (1/4K) sum_i prod(1 - x_i^2) + K^-2 sum_ij prod(1 - max(x_i, x_j)), x = (t, row, "
     "col "
     "+ .5) / sides; E: exact, over random sets of K cells without replacement; n/a in tiles",
     "Warnock, Computational investigations of low-discrepancy point sets, 1972", PARE__READS_STEPS, -1, l2star},
    {0},
};
