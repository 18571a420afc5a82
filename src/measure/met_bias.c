/* SPDX-License-Identifier: MIT */
/* Does the place decide? Rank correlation of the scores with places, per slot, then the mean over the slots where it is
 * defined. Without scores the map itself stands in (1 kept, 0 dropped; of merged rows the anchor). Nothing to rank
 * (everything kept, constant scores, one row of cells) is no bias of 0 but not defined. */
#include <math.h>

#include "measure/scene.h"

/* Values of the units of one slot that have one, and their places. */
typedef struct valued {
    double *value;      /* [n] */
    double *place;      /* [n] what they are correlated with */
    int32_t *row, *col; /* [n] */
    int64_t n;
    int32_t h, w;
} valued;

typedef double (*place_fn)(const valued *m, int64_t i);

static double raster_of(const valued *m, int64_t i) { return (double)m->row[i] * m->w + m->col[i]; }

static double row_of(const valued *m, int64_t i) { return m->row[i]; }

static double col_of(const valued *m, int64_t i) { return m->col[i]; }

/* Squared and doubled: the same order without rounding. */
static double centre_of(const valued *m, int64_t i)
{
    const double dr = 2. * m->row[i] - (m->h - 1), dc = 2. * m->col[i] - (m->w - 1);
    return dr * dr + dc * dc;
}

static double border_of(const valued *m, int64_t i)
{
    const int32_t below = m->h - 1 - m->row[i], right = m->w - 1 - m->col[i];
    const int32_t rows = m->row[i] < below ? m->row[i] : below, cols = m->col[i] < right ? m->col[i] : right;
    return rows < cols ? rows : cols;
}

/* ---- values -------------------------------------------------------------------------------------------------------- */

/* Units of slot t with a finite score, or with scores = NULL all of them: kept or not. */
static int take_slot(pare__scene *s, int32_t t, const float *scores, valued *m, pare_error *err)
{
    const pare_result_view *v = s->v;
    const pare_slot *p = &v->slot[t];
    const int64_t first = v->unit_start[t], n = v->unit_start[t + 1] - first;
    *m = (valued){.value = PARE__ARENA(&s->arena, double, n),
                  .place = PARE__ARENA(&s->arena, double, n),
                  .row = PARE__ARENA(&s->arena, int32_t, n),
                  .col = PARE__ARENA(&s->arena, int32_t, n),
                  .h = p->grid_h,
                  .w = p->grid_w};
    if (!m->value || !m->place || !m->row || !m->col) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    for (int64_t i = 0; i < n; i++) {
        if (scores && !isfinite(scores[first + i])) continue;
        m->value[m->n] = scores ? (double)scores[first + i] : 0;
        m->row[m->n] = (int32_t)(i / p->grid_w);
        m->col[m->n++] = (int32_t)(i % p->grid_w);
    }
    for (int64_t i = v->row_start[t]; !scores && i < v->row_start[t + 1]; i++) m->value[v->map.anchor[i] - first] = 1;
    return 0;
}

static int correlate(pare__scene *s, place_fn place, double *out, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(&s->arena);
    pare__mean mean = {0};
    for (int32_t t = 0; t < s->v->grid[0]; t++) {
        valued m;
        double rho;
        int rc = take_slot(s, t, s->v->scores, &m, err);
        if (rc) return rc;
        for (int64_t i = 0; i < m.n; i++) m.place[i] = place(&m, i);
        rc = pare__spearman(m.value, m.place, m.n, &rho);
        if (rc) return pare_fail(err, rc, "out of memory");
        pare__mean_add(&mean, rho);
        pare__arena_reset(&s->arena, mark);
    }
    *out = pare__mean_get(&mean);
    return 0;
}

/* Mean of measure(scores of a slot) where it is defined. */
static int weigh_scores(pare__scene *s, double (*measure)(const double *, int64_t), double *out, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(&s->arena);
    pare__mean mean = {0};
    for (int32_t t = 0; s->v->scores && t < s->v->grid[0]; t++) {
        valued m;
        const int rc = take_slot(s, t, s->v->scores, &m, err);
        if (rc) return rc;
        pare__mean_add(&mean, measure(m.value, m.n));
        pare__arena_reset(&s->arena, mark);
    }
    *out = pare__mean_get(&mean);
    return 0;
}

static double top_percent(const double *score, int64_t n) { return pare__top_mass(score, n, .01); }

/* ---- metrics ------------------------------------------------------------------------------------------------------- */

static int raster(pare__scene *s, double *out, pare_error *err) { return correlate(s, raster_of, out, err); }

static int row(pare__scene *s, double *out, pare_error *err) { return correlate(s, row_of, out, err); }

static int col(pare__scene *s, double *out, pare_error *err) { return correlate(s, col_of, out, err); }

static int centre(pare__scene *s, double *out, pare_error *err) { return correlate(s, centre_of, out, err); }

static int border(pare__scene *s, double *out, pare_error *err) { return correlate(s, border_of, out, err); }

static int top1(pare__scene *s, double *out, pare_error *err) { return weigh_scores(s, top_percent, out, err); }

static int entropy(pare__scene *s, double *out, pare_error *err)
{
    return weigh_scores(s, pare__mass_entropy, out, err);
}

static const char spearman[] = "Spearman 1904; position bias of attention scores: Endo et al., FEATHER, ICCV 2025";

const pare__metric pare__met_bias[] = {
    {"spearman_raster_rho", "rho", "scores (or what is kept) against the raster index: + favours the end",
     "Spearman(score, row W + col), average ranks on ties; without scores: 1 kept, 0 dropped", spearman, 0, 0, raster},
    {"spearman_row_rho", "rho", "scores (or what is kept) against the row: + favours the bottom",
     "Spearman(score, row), average ranks on ties; without scores: 1 kept, 0 dropped", spearman, 0, 0, row},
    {"spearman_col_rho", "rho", "scores (or what is kept) against the column: + favours the right",
     "Spearman(score, col), average ranks on ties; without scores: 1 kept, 0 dropped", spearman, 0, 0, col},
    {"spearman_centre_rho", "rho", "scores (or what is kept) against the distance from the centre: + favours the rim",
     "Spearman(score, |(row, col) - ((H - 1) / 2, (W - 1) / 2)|), average ranks on ties; without scores: 1 kept, 0 "
     "dropped",
     spearman, 0, 0, centre},
    {"spearman_border_rho", "rho",
     "scores (or what is kept) against the distance from the border: + favours the middle",
     "Spearman(score, min(row, col, H - 1 - row, W - 1 - col)), average ranks on ties; without scores: 1 kept, 0 "
     "dropped",
     spearman, 0, 0, border},
    {"score_top1_share", "share", "mass of the scores on the highest 1 % of the units (attention sinks)",
     "sum of the ceil(.01 N) largest / sum; n/a with negative scores", "Darcet et al., Registers, ICLR 2024",
     PARE__READS_SCORES, 0, top1},
    {"score_entropy_ratio", "ratio", "flatness of the scores: 1 all alike, 0 all on one unit",
     "-sum p ln p / ln N, p = score / sum; n/a with negative scores", "Shannon 1948", PARE__READS_SCORES, 0, entropy},
    {0},
};
