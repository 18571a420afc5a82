/* SPDX-License-Identifier: MIT */
/* Multi-criteria token fusion, before a block: even rows A of the sequence against odd rows B, attraction
 * ((cos + 1) / 2)^(1/tau_sim) (1 / (info_i info_j))^(1/tau_info) (1 / (size_i size_j))^(1/tau_size) with info = attention
 * received in a first attention pass of this block, and a tau of 0 leaving its factor out. floor(r/2) of A join their
 * best B, then the others of B join their best A that is left (with bidirection=0 all r go from A to B); what had joined
 * such a B follows it. Rows are means weighted by info times size. The reference multiplies the merged values by its
 * merged attention map; here the block's attention is computed on the merged tokens. Only ranks matter, so the
 * attraction to the power of tau_sim is compared, which splits into cos and one factor per token.
 * tokens [n, d], col_mean [n]. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "select/match.h"
#include "select/pick.h"
#include "select/selector.h"

#define LEAST_INFO 1e-12

enum { A_BLOCK = 128 }; /* rows of A in one similarity product */

typedef struct mctf {
    int64_t r;
    double tau_sim, tau_info, tau_size;
    int32_t bidirection, pooling;
} mctf;

static const pare__option options[] = {
    {.name = "r",
     .help = "tokens merged in each block (auto: from the budget)",
     .offset = offsetof(mctf, r),
     .type = PARE__INT,
     .def = -1,
     .min = 0,
     .max = PARE__MAX_UNITS_PER_FRAME,
     .def_text = "auto"},
    {.name = "tau_sim",
     .help = "temperature of the similarity; 0 leaves it out",
     .offset = offsetof(mctf, tau_sim),
     .type = PARE__FLOAT,
     .def = 1,
     .min = 0,
     .max = 1000},
    {.name = "tau_info",
     .help = "temperature of the attention received; 0 leaves it out",
     .offset = offsetof(mctf, tau_info),
     .type = PARE__FLOAT,
     .def = 20,
     .min = 0,
     .max = 1000},
    {.name = "tau_size",
     .help = "temperature of the size; 0 leaves it out",
     .offset = offsetof(mctf, tau_size),
     .type = PARE__FLOAT,
     .def = 40,
     .min = 0,
     .max = 1000},
    {.name = "bidirection",
     .help = "half of the tokens merge the other way round",
     .offset = offsetof(mctf, bidirection),
     .type = PARE__BOOL,
     .def = 1,
     .min = 0,
     .max = 1},
    {.name = "pooling",
     .help = "means are weighted by attention received times size; 0: by size alone",
     .offset = offsetof(mctf, pooling),
     .type = PARE__BOOL,
     .def = 1,
     .min = 0,
     .max = 1},
    {.name = NULL},
};

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_TOKENS, PARE__LAYER_HERE};
    need[1] = (pare__need){PARE__ARRAY_COL_MEAN, PARE__LAYER_HERE};
    return 2;
}

static int64_t least(const void *priv, int64_t n)
{
    const int64_t one_way = n - n / 2;
    return ((const mctf *)priv)->bidirection && n ? 1 : one_way;
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)grid_h, (void)grid_w, (void)i_block, (void)n_block;
    const int64_t r = ((const mctf *)priv)->r, floor = least(priv, n);
    if (r < 0) return PARE__AMOUNT_NONE;
    return n - r > floor ? n - r : floor;
}

/* ---- sides ------------------------------------------------------------------------------------------------------- */

typedef struct side {
    int64_t n;
    int32_t *row;      /* [n] candidates, ascending */
    const float *unit; /* [n, d] at length 1 */
    int32_t *to;       /* [n] best of the other side */
    float *best;       /* [n] its attraction */
    uint8_t *joined;   /* [n] */
} side;

typedef struct fusion {
    const mctf *p;
    const pare__view *v;
    int32_t d;
    const float *info; /* [n] */
    double *pull;      /* [n] what a token contributes to every attraction */
    side a, b;
    int64_t from_a, from_b; /* tokens that join the other side */
} fusion;

static double info_of(const fusion *f, int64_t i)
{
    return f->info[i] > (float)LEAST_INFO ? (double)f->info[i] : LEAST_INFO;
}

static double pull_of(const fusion *f, int64_t i)
{
    const mctf *p = f->p;
    const double sharp = p->tau_sim > 0 ? p->tau_sim : 1;
    const double info = p->tau_info > 0 ? pow(1 / info_of(f, i), sharp / p->tau_info) : 1;
    return info * (p->tau_size > 0 ? pow(1 / (double)f->v->size[i], sharp / p->tau_size) : 1);
}

static int side_init(const pare__view *v, side *s, int64_t parity, const float *x, int32_t d)
{
    *s = (side){.row = PARE__ARENA(v->arena, int32_t, v->n),
                .to = PARE__ARENA(v->arena, int32_t, v->n),
                .best = PARE__ARENA(v->arena, float, v->n),
                .joined = PARE__ARENA(v->arena, uint8_t, v->n)};
    if (!s->row || !s->to || !s->best || !s->joined) return PARE_E_NOMEM;
    memset(s->joined, 0, (size_t)v->n);
    for (int64_t i = 0; i < v->n; i++)
        if ((v->n_prefix + i) % 2 == parity) s->row[s->n++] = (int32_t)i;
    s->unit = pare__match_rows(v, x, d, s->row, s->n);
    return s->unit ? 0 : PARE_E_NOMEM;
}

/* r joins are shared out so that one of A is left for B to join. */
static void share_joins(fusion *f)
{
    const int64_t r = f->v->n - pare__budget(f->v);
    const int64_t half = r / 2 < f->a.n - 1 ? r / 2 : f->a.n - 1, over = r - f->b.n;
    f->from_a = !f->p->bidirection ? r : half > over ? half : over;
    if (f->from_a > f->a.n) f->from_a = f->a.n;
    f->from_b = f->p->bidirection ? r - f->from_a : 0;
}

static int fusion_init(fusion *f, const mctf *p, const pare__view *v, pare_error *err)
{
    int32_t d = 0;
    const float *x = pare__require(v, "mctf", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    *f = (fusion){.p = p, .v = v, .d = d, .pull = PARE__ARENA(v->arena, double, v->n)};
    f->info = x ? pare__require(v, "mctf", PARE__ARRAY_COL_MEAN, PARE__LAYER_HERE, NULL, err) : NULL;
    if (!f->info) return PARE_E_INVALID;
    if (!f->pull || side_init(v, &f->a, 0, x, d) || side_init(v, &f->b, 1, x, d)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) f->pull[i] = pull_of(f, i);
    if (f->a.n && f->b.n) share_joins(f);
    return 0;
}

/* ---- joining ----------------------------------------------------------------------------------------------------- */

/* Attraction of `i` to the best of `to` by cosine [to->n]; those that have joined are out. */
static void best_of(const fusion *f, side *from, int64_t i, const side *to, const float *cosine)
{
    double best = 0;
    from->to[i] = -1;
    for (int64_t j = 0; j < to->n; j++) {
        const double near = f->p->tau_sim > 0 ? ((double)cosine[j] + 1) / 2 : 1;
        const double w = near * f->pull[to->row[j]];
        if (to->joined[j] || (from->to[i] >= 0 && !(w > best))) continue;
        best = w;
        from->to[i] = (int32_t)j;
    }
    from->best[i] = (float)(best * f->pull[from->row[i]]);
}

/* The `count` of `from` with the strongest attraction join the other side. */
static int join(const fusion *f, side *from, const side *to, int64_t count)
{
    const pare__view *v = f->v;
    const int64_t d = f->d;
    float *cosine = PARE__ARENA(v->arena, float, A_BLOCK * to->n);
    int32_t *source = PARE__ARENA(v->arena, int32_t, from->n);
    if (!cosine || !source) return PARE_E_NOMEM;
    for (int64_t i0 = 0; i0 < from->n; i0 += A_BLOCK) {
        const int64_t m = from->n - i0 < A_BLOCK ? from->n - i0 : A_BLOCK;
        v->gemm->nt(m, to->n, d, 1, from->unit + i0 * d, d, to->unit, d, 0, cosine, to->n);
        for (int64_t i = 0; i < m; i++) best_of(f, from, i0 + i, to, cosine + i * to->n);
    }
    if (pare__topk(from->best, from->n, count, source, v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < count; i++) from->joined[source[i]] = 1;
    return 0;
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

/* The working order of the reference, on which the next block's split depends: A in order, then B by falling
 * attraction where B has joined A, else in order. */
static int order_b(const fusion *f, int32_t *order)
{
    if (f->p->bidirection) return pare__argsort_desc(f->b.best, f->b.n, order, f->v->arena);
    for (int64_t j = 0; j < f->b.n; j++) order[j] = (int32_t)j;
    return 0;
}

/* anchor [n_out]: tokens that stay; group [n]: their rows. */
static int group_rows(const fusion *f, int32_t *group, int32_t *anchor)
{
    int32_t rows = 0;
    int32_t *order = PARE__ARENA(f->v->arena, int32_t, f->b.n);
    if (!order || order_b(f, order)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < f->a.n; i++) {
        if (f->a.joined[i]) continue;
        anchor[rows] = f->a.row[i];
        group[f->a.row[i]] = rows++;
    }
    for (int64_t j = 0; j < f->b.n; j++) {
        if (f->b.joined[order[j]]) continue;
        anchor[rows] = f->b.row[order[j]];
        group[f->b.row[order[j]]] = rows++;
    }
    for (int64_t j = 0; j < f->b.n; j++)
        if (f->b.joined[j]) group[f->b.row[j]] = group[f->a.row[f->b.to[j]]];
    for (int64_t i = 0; i < f->a.n; i++)
        if (f->a.joined[i]) group[f->a.row[i]] = group[f->b.row[f->a.to[i]]];
    return 0;
}

static int emit(const fusion *f, pare__map *map)
{
    const pare__view *v = f->v;
    int32_t *group = PARE__ARENA(v->arena, int32_t, v->n), *anchor = PARE__ARENA(v->arena, int32_t, v->n);
    float *weight = PARE__ARENA(v->arena, float, v->n);
    if (!group || !anchor || !weight || group_rows(f, group, anchor)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) weight[i] = (float)((f->p->pooling ? info_of(f, i) : 1) * (double)v->size[i]);
    return pare__map_groups(map, group, anchor, v->n - f->from_a - f->from_b, weight);
}

static int run(const mctf *p, const pare__view *v, pare__map *map, pare_error *err)
{
    fusion f;
    int rc = fusion_init(&f, p, v, err);
    if (rc || f.from_a + f.from_b < 1) return rc ? rc : pare__map_identity(map, v->n);
    rc = join(&f, &f.a, &f.b, f.from_a);
    if (!rc && p->bidirection) rc = join(&f, &f.b, &f.a, f.from_b);
    return rc ? rc : emit(&f, map);
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(v->arena);
    const int rc = run(priv, v, map, err);
    pare__arena_reset(v->arena, mark);
    return rc;
}

const pare__selector pare__sel_mctf = {
    .name = "mctf",
    .summary = "multi-criteria fusion: merges tokens that are alike, little attended and small, in both directions",
    .cite = "Lee et al., Multi-criteria Token Fusion with One-step-ahead Attention, CVPR 2024, arXiv 2403.10030; "
            "mlvlab/MCTF utils/mctf.py",
    .sites = PARE__SITE_BLOCK,
    .flags = PARE__MERGES | PARE__KEEPS_ORDER,
    .default_site = PARE__SITE_BLOCK,
    .phase = PARE__PHASE_BEFORE,
    .options = options,
    .priv_size = sizeof(mctf),
    .needs = needs,
    .amount = amount,
    .select = select_rows,
    .least = least,
};
