/* SPDX-License-Identifier: MIT */
/* Token merging: the rows of a segment (prefix included) fall into A (even) and B (odd); every a of A finds its most
 * similar b (cosine of head-mean keys); the r most similar pairs merge, size-weighted. Rows come out as [unmerged A ; B],
 * each by index, and that order decides the next block's halves, so it is kept. Prefix rows never merge. Ties go to the
 * lower source and the lower destination. Where nothing merges the order stays as it is. Acts between attention and MLP; keys k_mean [n, head_dim].
 * kth=k: every k-th row is a destination and all others merge; the reference loses the last N mod k rows (compat=1),
 * here they merge too. */
#include "core/limits.h"
#include "select/match.h"
#include "select/pick.h"
#include "select/selector.h"

typedef struct tome {
    int64_t r, kth;
    double inflect;
    int32_t prop_attn, compat;
    char list[PARE__OPTION_TEXT];
    double per_block[PARE__MAX_BLOCKS]; /* of `list`, by init */
    int32_t n_list;
} tome;

static const pare__option options[] = {
    PARE__OPTION_INT_AUTO(tome, r, "tokens merged away in every block", -1, 0, PARE__MAX_UNITS_PER_FRAME, "auto"),
    PARE__OPTION_FLOAT(tome, inflect, "slope of r over the blocks: 0 constant, -1 from 2r down to 0, 1 from 0 up to 2r",
                       0, -1, 1),
    PARE__OPTION_STRING(tome, list, "r of every block, as 24/21/19; blocks beyond merge nothing", ""),
    PARE__OPTION_BOOL(tome, prop_attn, "later attention counts a merged token as often as its size", 1),
    PARE__OPTION_INT_AUTO(tome, kth, "every k-th token is a destination, all others merge", 0, 2, 64, "off"),
    PARE__OPTION_BOOL(tome, compat, "with kth=, lose the last N mod k tokens as the reference code does", 0),
    {0},
};

/* ---- schedule -------------------------------------------------------------------------------------------------- */

static int init(void *priv, pare_error *err)
{
    tome *p = priv;
    p->n_list = pare__read_list(p->list, 1, 0, PARE__MAX_UNITS_PER_FRAME, p->per_block, PARE__MAX_BLOCKS);
    if (p->n_list >= 0) return 0;
    return pare_fail(err, PARE_E_INVALID, "selector 'tome': list=%s is not a list of counts such as 24/21/19", p->list);
}

/* parse_r of the reference: linear from r (1 - inflect) to r (1 + inflect), truncated. */
static int64_t wanted_r(const tome *p, int32_t i_block, int32_t n_block)
{
    if (p->n_list) return i_block < p->n_list ? (int64_t)p->per_block[i_block] : 0;
    if (n_block < 2) return p->r;
    const int64_t lo = (int64_t)((double)p->r * (1 - p->inflect)), hi = 2 * p->r - lo;
    const double step = (double)(hi - lo) / (n_block - 1);
    return (int64_t)((double)lo + step * i_block);
}

static int64_t amount(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block)
{
    (void)grid_h, (void)grid_w;
    const tome *p = priv;
    if (p->kth) return n >= p->kth ? n / p->kth : n;
    if (!p->n_list && p->r < 0) return PARE__AMOUNT_NONE;
    return n - pare__pairs_most(n, wanted_r(p, i_block, n_block));
}

static int64_t least(const void *priv, int64_t n)
{
    const tome *p = priv;
    return p->kth ? amount(priv, n, 1, 1, 0, 1) : pare__pairs_least(priv, n);
}

static int unbiased(const void *priv) { return !((const tome *)priv)->prop_attn; }

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_K_MEAN, PARE__LAYER_HERE};
    return 1;
}

/* ---- merging --------------------------------------------------------------------------------------------------- */

/* 1 = B, 0 = A, -1 = lost. */
static int side_of(const tome *p, const pare__view *v, int64_t i)
{
    if (!p->kth) return (v->n_prefix + i) % 2 == 1;
    const int64_t whole = v->n / p->kth * p->kth;
    if (i >= whole) return p->compat && whole ? -1 : 0;
    return i % p->kth == p->kth - 1;
}

static void split(const tome *p, const pare__view *v, pare__pairs *h)
{
    for (int64_t i = 0; i < v->n; i++) {
        const int side = side_of(p, v, i);
        if (side == 1) h->b[h->n_b++] = (int32_t)i;
        if (side == 0) h->a[h->n_a++] = (int32_t)i;
    }
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const tome *p = priv;
    int32_t d = 0;
    const float *metric = pare__require(v, "tome", PARE__ARRAY_K_MEAN, PARE__LAYER_HERE, &d, err);
    if (!metric) return PARE_E_INVALID;
    if (!p->kth && pare__budget(v) == v->n) return pare__map_identity(map, v->n);
    pare__pairs h;
    if (pare__pairs_init(&h, v)) return PARE_E_NOMEM;
    split(p, v, &h);
    if (!h.n_a || !h.n_b) return pare__map_identity(map, v->n);
    const int64_t r = p->kth ? h.n_a : pare__pairs_most(v->n, v->n - pare__budget(v));
    if (pare__pairs_join(&h, v, metric, d, r)) return PARE_E_NOMEM;
    return pare__map_groups(map, h.group, h.anchor, h.n_row, v->size);
}

const pare__selector pare__sel_tome = {
    .name = "tome",
    .summary = "token merging: bipartite soft matching of keys in every block",
    .cite = "Bolya et al., Token Merging: Your ViT But Faster, ICLR 2023, arXiv 2210.09461; facebookresearch/ToMe "
            "tome/merge.py",
    .sites = PARE__SITE_BLOCK,
    .flags = PARE__MERGES | PARE__KEEPS_ORDER,
    .default_site = PARE__SITE_BLOCK,
    .options = options,
    .priv_size = sizeof(tome),
    .init = init,
    .needs = needs,
    .amount = amount,
    .select = select_rows,
    .least = least,
    .unbiased = unbiased,
};
