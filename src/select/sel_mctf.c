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

enum { A_BLOCK = 256 }; /* rows of A in one similarity product */

typedef struct mctf {
    int64_t r;
    double tau_sim, tau_info, tau_size;
    int32_t bidirection, pooling;
} mctf;

static const pare__option options[] = {
    PARE__OPTION_INT_AUTO(mctf, r, "tokens merged in each block (auto: from the budget)", -1, 0,
                          PARE__MAX_UNITS_PER_FRAME, "auto"),
    PARE__OPTION_FLOAT(mctf, tau_sim, "temperature of the similarity; 0 leaves it out", 1, 0, 1000),
    PARE__OPTION_FLOAT(mctf, tau_info, "temperature of the attention received; 0 leaves it out", 20, 0, 1000),
    PARE__OPTION_FLOAT(mctf, tau_size, "temperature of the size; 0 leaves it out", 40, 0, 1000),
    PARE__OPTION_BOOL(mctf, bidirection, "half of the tokens merge the other way round", 1),
    PARE__OPTION_BOOL(mctf, pooling, "means are weighted by attention received times size; 0: by size alone", 1),
    {0},
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
    int32_t *row;    /* [n] candidates, ascending */
    float *unit;     /* [n, d] at length 1 */
    float *pull;     /* [n] what a token contributes to each of its attractions */
    int32_t *to;     /* [n] best of the other side */
    float *best;     /* [n] its attraction */
    uint8_t *joined; /* [n] */
} side;

typedef struct fusion {
    const mctf *p;
    const pare__view *v;
    const float *x; /* [n, d] */
    int32_t d;
    const float *info; /* [n] */
    side a, b;
    int64_t from_a, from_b; /* tokens that join the other side */
} fusion;

static double info_of(const fusion *f, int64_t i)
{
    return f->info[i] > (float)LEAST_INFO ? (double)f->info[i] : LEAST_INFO;
}

static float pull_of(const fusion *f, int64_t i)
{
    const mctf *p = f->p;
    const double sharp = p->tau_sim > 0 ? p->tau_sim : 1;
    const double info = p->tau_info > 0 ? pow(1 / info_of(f, i), sharp / p->tau_info) : 1;
    return (float)(info * (p->tau_size > 0 ? pow(1 / (double)f->v->size[i], sharp / p->tau_size) : 1));
}

static int side_alloc(const pare__view *v, side *s, int64_t n)
{
    *s = (side){.row = PARE__ARENA(v->arena, int32_t, n),
                .pull = PARE__ARENA(v->arena, float, n),
                .to = PARE__ARENA(v->arena, int32_t, n),
                .best = PARE__ARENA(v->arena, float, n),
                .joined = PARE__ARENA(v->arena, uint8_t, n)};
    if (!s->row || !s->pull || !s->to || !s->best || !s->joined) return PARE_E_NOMEM;
    memset(s->joined, 0, (size_t)n);
    return 0;
}

static int side_init(const fusion *f, side *s, int64_t parity)
{
    const pare__view *v = f->v;
    if (side_alloc(v, s, v->n)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < v->n; i++) {
        if ((v->n_prefix + i) % 2 != parity) continue;
        s->pull[s->n] = pull_of(f, i);
        s->row[s->n++] = (int32_t)i;
    }
    s->unit = pare__unit_rows(v, f->x, f->d, s->row, s->n);
    return s->unit ? 0 : PARE_E_NOMEM;
}

/* The tokens `pick` [n] of a side as a side of their own. */
static int side_part(const fusion *f, const side *of, const int32_t *pick, int64_t n, side *s)
{
    if (side_alloc(f->v, s, n)) return PARE_E_NOMEM;
    s->unit = PARE__ARENA(f->v->arena, float, n * f->d);
    for (int64_t i = 0; s->unit && i < n; i++) {
        s->row[i] = of->row[pick[i]];
        s->pull[i] = of->pull[pick[i]];
        memcpy(s->unit + i * f->d, of->unit + (int64_t)pick[i] * f->d, (size_t)f->d * sizeof *s->unit);
    }
    s->n = n;
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
    *f = (fusion){.p = p, .v = v};
    f->x = pare__require(v, "mctf", PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &f->d, err);
    f->info = f->x ? pare__require(v, "mctf", PARE__ARRAY_COL_MEAN, PARE__LAYER_HERE, NULL, err) : NULL;
    if (!f->info) return PARE_E_INVALID;
    if (side_init(f, &f->a, 0) || side_init(f, &f->b, 1)) return PARE_E_NOMEM;
    if (f->a.n && f->b.n) share_joins(f);
    return 0;
}

/* ---- joining ----------------------------------------------------------------------------------------------------- */

/* cosine [n] becomes what the similarity contributes, up to a factor. */
static void nearness(const fusion *f, float *cosine, int64_t n)
{
    const float similar = f->p->tau_sim > 0 ? 1 : 0;
    for (int64_t j = 0; j < n; j++) cosine[j] = similar * cosine[j] + 1;
}

/* What row i of `from` offers to each of the other side, where it is the best offer so far. */
static void offer(const side *from, int64_t i, side *to, const float *near)
{
    const float pull = from->pull[i];
    for (int64_t j = 0; j < to->n; j++) {
        const float w = near[j] * pull;
        to->to[j] = w > to->best[j] ? (int32_t)i : to->to[j];
        to->best[j] = w > to->best[j] ? w : to->best[j];
    }
}

/* near [to->n] becomes the attraction of row i of `from`, of which the largest counts; ties go to the lower. */
static void choose(const fusion *f, side *from, int64_t i, const side *to, float *near)
{
    for (int64_t j = 0; j < to->n; j++) near[j] *= to->pull[j];
    const float most = f->v->vec->max(near, to->n);
    int64_t best = 0;
    while (best < to->n && !(near[best] >= most)) best++;
    from->to[i] = best < to->n ? (int32_t)best : 0;
    from->best[i] = most * from->pull[i];
}

/* Best of `to` for every row of `from`; with `both` also the other way round. */
static int match(const fusion *f, side *from, side *to, int both)
{
    const pare__view *v = f->v;
    float *near = PARE__ARENA(v->arena, float, A_BLOCK * to->n);
    if (!near) return PARE_E_NOMEM;
    for (int64_t j = 0; both && j < to->n; j++) {
        to->to[j] = 0;
        to->best[j] = -1;
    }
    for (int64_t i0 = 0; i0 < from->n; i0 += A_BLOCK) {
        const int64_t m = from->n - i0 < A_BLOCK ? from->n - i0 : A_BLOCK;
        v->gemm->nt(m, to->n, f->d, 1, from->unit + i0 * f->d, f->d, to->unit, f->d, 0, near, to->n);
        nearness(f, near, m * to->n);
        for (int64_t i = 0; both && i < m; i++) offer(from, i0 + i, to, near + i * to->n);
        for (int64_t i = 0; i < m; i++) choose(f, from, i0 + i, to, near + i * to->n);
    }
    for (int64_t j = 0; both && j < to->n; j++) to->best[j] *= to->pull[j];
    return 0;
}

/* The `count` with the strongest attraction join the other side. */
static int join(const fusion *f, side *from, int64_t count)
{
    int32_t *source = PARE__ARENA(f->v->arena, int32_t, from->n);
    if (!source || pare__topk(from->best, from->n, count, source, f->v->arena)) return PARE_E_NOMEM;
    for (int64_t i = 0; i < count; i++) from->joined[source[i]] = 1;
    return 0;
}

/* Those of B whose best A has joined a B look again, among what is left of A. */
static int match_again(const fusion *f, side *a, side *b)
{
    side left, seekers;
    int64_t n_left = 0, n_seek = 0;
    int32_t *pick = PARE__ARENA(f->v->arena, int32_t, a->n), *seek = PARE__ARENA(f->v->arena, int32_t, b->n);
    if (!pick || !seek) return PARE_E_NOMEM;
    for (int64_t i = 0; i < a->n; i++)
        if (!a->joined[i]) pick[n_left++] = (int32_t)i;
    for (int64_t j = 0; j < b->n; j++)
        if (a->joined[b->to[j]]) seek[n_seek++] = (int32_t)j;
    if (!n_seek) return 0;
    if (side_part(f, a, pick, n_left, &left) || side_part(f, b, seek, n_seek, &seekers)) return PARE_E_NOMEM;
    if (match(f, &seekers, &left, 0)) return PARE_E_NOMEM;
    for (int64_t j = 0; j < n_seek; j++) {
        b->to[seek[j]] = pick[seekers.to[j]];
        b->best[seek[j]] = seekers.best[j];
    }
    return 0;
}

static int join_both(fusion *f)
{
    const int both = f->p->bidirection;
    int rc = match(f, &f->a, &f->b, both);
    if (!rc) rc = join(f, &f->a, f->from_a);
    if (!rc && both) rc = match_again(f, &f->a, &f->b);
    return rc || !both ? rc : join(f, &f->b, f->from_b);
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

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const mctf *p = priv;
    fusion f;
    int rc = fusion_init(&f, p, v, err);
    if (rc || f.from_a + f.from_b < 1) return rc ? rc : pare__map_identity(map, v->n);
    rc = join_both(&f);
    return rc ? rc : emit(&f, map);
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
