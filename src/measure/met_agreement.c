/* SPDX-License-Identifier: MIT */
/* Where two reductions of the same units agree: what they keep, how they group, how they score. n/a when one of them has a
 * grid of its own. */
#include <math.h>
#include <string.h>

#include "core/map.h"
#include "core/mem.h"
#include "measure/scene.h"

static int no_memory(const pare__scene *s, pare_error *err)
{
    return pare_fail(err, PARE_E_NOMEM, "out of memory for the agreement of two results of %lld units",
                     (long long)s->v->n);
}

/* ---- kept units ---------------------------------------------------------------------------------------------------- */

/* flag[n] = 1 where a row has its anchor. */
static void mark_kept(const pare_map *map, uint8_t *flag)
{
    memset(flag, 0, (size_t)map->n_in);
    for (int64_t j = 0; j < map->n_out; j++) flag[map->anchor[j]] = 1;
}

static int kept_iou(pare__scene *s, double *out, pare_error *err)
{
    const int64_t n = s->v->n;
    *out = NAN;
    if (!pare__scene_same_grid(s)) return 0;
    const pare__mark mark = pare__arena_mark(&s->arena);
    uint8_t *flag = PARE__ARENA(&s->arena, uint8_t, 2 * n);
    if (!flag) return no_memory(s, err);
    mark_kept(&s->v->map, flag);
    mark_kept(&s->other->map, flag + n);
    *out = pare__iou(flag, flag + n, n);
    pare__arena_reset(&s->arena, mark);
    return 0;
}

/* ---- groups -------------------------------------------------------------------------------------------------------- */

/* label[n]: the row that stands for the unit; what no row stands for is one more group. */
static void label_units(const pare_map *map, int32_t *label)
{
    pare__map_owner(map, label);
    for (int64_t i = 0; i < map->n_in; i++)
        if (label[i] < 0) label[i] = (int32_t)map->n_out;
}

static int grouping_nmi(pare__scene *s, double *out, pare_error *err)
{
    const int64_t n = s->v->n;
    pare__grouping g;
    *out = NAN;
    if (!pare__scene_same_grid(s)) return 0;
    const pare__mark mark = pare__arena_mark(&s->arena);
    int32_t *label = PARE__ARENA(&s->arena, int32_t, 2 * n);
    if (!label) return no_memory(s, err);
    label_units(&s->v->map, label);
    label_units(&s->other->map, label + n);
    const int rc = pare__grouping_measure(label, label + n, n, &g);
    pare__arena_reset(&s->arena, mark);
    if (rc) return no_memory(s, err);
    *out = g.nmi;
    return 0;
}

/* ---- scores -------------------------------------------------------------------------------------------------------- */

static int score_spearman(pare__scene *s, double *out, pare_error *err)
{
    const float *a = s->v->scores, *b = s->other->scores;
    int64_t n = 0;
    *out = NAN;
    if (!pare__scene_same_grid(s) || !a || !b) return 0;
    const pare__mark mark = pare__arena_mark(&s->arena);
    double *pair = PARE__ARENA(&s->arena, double, 2 * s->v->n);
    if (!pair) return no_memory(s, err);
    for (int64_t i = 0; i < s->v->n; i++) {
        if (isnan(a[i]) || isnan(b[i])) continue;
        pair[n] = (double)a[i];
        pair[s->v->n + n++] = (double)b[i];
    }
    const int rc = n > 1 ? pare__spearman(pair, pair + s->v->n, n, out) : 0;
    pare__arena_reset(&s->arena, mark);
    return rc ? no_memory(s, err) : 0;
}

const pare__metric pare__met_agreement[] = {
    {.name = "kept_iou_share",
     .unit = "share",
     .summary = "overlap of the units that two reductions keep",
     .formula = "|A and B| / |A or B|, A and B the anchors of the rows; n/a for a grid of its own (resize)",
     .cite = "Jaccard index; Haurum et al., Which Tokens to Use?, ICCVW 2023, arXiv 2308.04657",
     .reads = PARE__READS_OTHER,
     .compute = kept_iou},
    {.name = "grouping_nmi_ratio",
     .unit = "ratio",
     .summary = "how alike two reductions group the units",
     .formula =
         "2 I / (H(a) + H(b)), label of a unit = the row that stands for it, all units of no row one group more; n/a "
         "for a grid of its own (resize)",
     .cite = "scikit-learn normalized_mutual_info_score; Haurum et al., ICCVW 2023, arXiv 2308.04657",
     .reads = PARE__READS_OTHER,
     .compute = grouping_nmi},
    {.name = "score_spearman_rho",
     .unit = "rho",
     .summary = "rank correlation of the scores of two reductions",
     .formula =
         "Spearman over the units that both score, average ranks on ties; n/a without scores or for a constant one",
     .cite = "Spearman 1904; Haurum et al., ICCVW 2023, arXiv 2308.04657",
     .reads = PARE__READS_OTHER | PARE__READS_SCORES,
     .compute = score_spearman},
    {.name = NULL},
};
