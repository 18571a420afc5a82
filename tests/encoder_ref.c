/* SPDX-License-Identifier: MIT */
/* See encoder_ref.h: formulas only, nothing shared with src/encode. */
#include "encoder_ref.h"

#include <math.h>
#include <string.h>

#include "core/rank.h"

enum { WIDE = 4 * REF_DIM };

/* ---- parts ------------------------------------------------------------------------------------------------------- */

static void linear(const pare__linear *l, const double *x, double *y)
{
    for (int o = 0; o < l->n_out; o++) {
        y[o] = l->b ? (double)l->b[o] : 0;
        for (int i = 0; i < l->n_in; i++) y[o] += (double)l->w[(int64_t)o * l->n_in + i] * x[i];
    }
}

/* y may be x */
static void norm_n(pare__norm_kind kind, float eps, const pare__norm_w *w, int n, const double *x, double *y)
{
    double mean = 0, var = 0;
    for (int i = 0; i < n && kind == PARE__NORM_LAYER; i++) mean += x[i] / n;
    for (int i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean) / n;
    for (int i = 0; i < n; i++)
        y[i] = (x[i] - mean) / sqrt(var + (double)eps) * (double)w->w[i] + (w->b ? (double)w->b[i] : 0);
}

static void norm(const pare_model *m, const pare__norm_w *w, const double *x, double *y)
{
    norm_n(m->hp.norm, m->hp.eps, w, m->hp.dim, x, y);
}

static double activate(pare__act act, double x)
{
    if (act == PARE__ACT_SILU) return x / (1 + exp(-x));
    if (act == PARE__ACT_GELU_QUICK) return x / (1 + exp(-1.702 * x));
    if (act == PARE__ACT_GELU_TANH) return 0.5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x)));
    return 0.5 * x * erfc(-x * sqrt(0.5));
}

/* Place of a row in patches; 0 for a prefix row. */
static int patch_place(const ref_state *s, int row, int *y, int *x)
{
    if (row < s->n_prefix) return 0;
    const int unit = (row - s->n_prefix) / s->patches, j = (row - s->n_prefix) % s->patches, side = s->m->hp.unit;
    *y = s->place[unit][0] * side + j / side;
    *x = s->place[unit][1] * side + j % side;
    return 1;
}

/* Complex numbers (v[j], v[j + hd / 2]) times e^(i angle). */
static void rope(const ref_state *s, int row, double *v, int hd)
{
    int place[2];
    if (!s->m->hp.rope || !patch_place(s, row, &place[0], &place[1])) return;
    for (int j = 0; j < hd / 2; j++) {
        const int axis = j >= hd / 4;
        const double angle = place[axis] * pow((double)s->m->hp.rope_theta, -4.0 * (j % (hd / 4)) / hd);
        const double a = v[j], b = v[j + hd / 2];
        v[j] = a * cos(angle) - b * sin(angle);
        v[j + hd / 2] = a * sin(angle) + b * cos(angle);
    }
}

/* q and k of a row, before they turn */
static void norm_qk(const ref_state *s, const pare__block_w *w, double *qk)
{
    const pare__hparams *hp = &s->m->hp;
    const int hd = hp->dim / hp->n_head;
    for (int part = 0; part < 2; part++, qk += hp->dim) {
        const pare__norm_w *n = part ? &w->k_norm : &w->q_norm;
        if (hp->qk_norm == PARE__QK_NORM_ROW) norm_n(PARE__NORM_RMS, hp->eps, n, hp->dim, qk, qk);
        for (int h = 0; h < hp->n_head && hp->qk_norm == PARE__QK_NORM_HEAD; h++)
            norm_n(hp->norm, hp->eps, n, hd, qk + h * hd, qk + h * hd);
    }
}

/* Do two rows see each other in this block? */
static int together(const ref_state *s, int block, int a, int b)
{
    const int w = s->m->hp.window;
    if (w == 0 || s->m->hp.is_full[block]) return 1;
    const int *p = s->place[(a - s->n_prefix) / s->patches], *q = s->place[(b - s->n_prefix) / s->patches];
    return p[0] / w == q[0] / w && p[1] / w == q[1] / w;
}

/* ---- embedding --------------------------------------------------------------------------------------------------- */

static void embed_row(ref_state *s, const pare__segment *seg, int row)
{
    const pare_model *m = s->m;
    const int p = m->hp.patch;
    double in[REF_DIM * 16];
    int y0, x0, n = 0;
    if (!patch_place(s, row, &y0, &x0)) {
        for (int i = 0; i < m->hp.dim; i++) s->x[row][i] = (double)m->w.cls[i] + (m->w.pos ? (double)m->w.pos[i] : 0);
        return;
    }
    for (int c = 0; c < 3; c++)
        for (int t = 0; t < m->hp.temporal; t++)
            for (int y = 0; y < p; y++)
                for (int x = 0; x < p; x++) {
                    const int64_t at = ((int64_t)(y0 * p + y) * seg->grid_w * p + x0 * p + x) * 3 + c;
                    in[n++] = (seg->rgb[t][at] * m->prep.rescale - (double)m->prep.mean[c]) / (double)m->prep.std[c];
                }
    linear(&m->w.patch, in, s->x[row]);
    const float *pos = m->w.pos ? m->w.pos + (s->n_prefix + y0 * seg->grid_w + x0) * m->hp.dim : NULL;
    for (int i = 0; pos && i < m->hp.dim; i++) s->x[row][i] += (double)pos[i];
}

void ref_open(ref_state *s, const pare_model *m, const pare__segment *seg)
{
    const int cols = seg->grid_w / m->hp.unit;
    *s = (ref_state){.m = m, .n_unit = (int)seg->n, .n_prefix = m->hp.n_prefix, .patches = m->hp.unit * m->hp.unit};
    for (int i = 0; i < s->n_unit; i++) {
        const int unit = seg->unit ? seg->unit[i] : i;
        s->place[i][0] = unit / cols;
        s->place[i][1] = unit % cols;
        s->size[i] = seg->size ? (double)seg->size[i] : 1;
    }
    for (int r = 0; r < ref_rows(s); r++) {
        if (!seg->tokens) embed_row(s, seg, r);
        for (int i = 0; seg->tokens && i < m->hp.dim; i++) s->x[r][i] = (double)seg->tokens[r * m->hp.dim + i];
    }
}

/* ---- block ------------------------------------------------------------------------------------------------------- */

static void attend_head(const ref_state *s, int block, int head, double qkv[][3 * REF_DIM], double out[][REF_DIM],
                        double *col_mean)
{
    const int n = ref_rows(s), d = s->m->hp.dim, hd = d / s->m->hp.n_head, at = head * hd;
    for (int q = 0; q < n; q++) {
        double p[REF_ROWS], sum = 0;
        int seen = 0;
        for (int k = 0; k < n; k++) {
            double score = 0;
            const double size = k < s->n_prefix ? 1 : s->size[(k - s->n_prefix) / s->patches];
            for (int i = 0; i < hd; i++) score += qkv[q][at + i] * qkv[k][d + at + i];
            p[k] = together(s, block, q, k) ? exp(score / sqrt(hd)) * size : 0;
            sum += p[k];
            seen += together(s, block, q, k);
        }
        for (int k = 0; k < n; k++) {
            for (int i = 0; i < hd; i++) out[q][at + i] += p[k] / sum * qkv[k][2 * d + at + i];
            if (col_mean) col_mean[k] += p[k] / sum / seen / s->m->hp.n_head;
        }
    }
}

void ref_attend(ref_state *s, int block, double *keys, double *col_mean)
{
    static double qkv[REF_ROWS][3 * REF_DIM], out[REF_ROWS][REF_DIM];
    const pare__block_w *w = &s->m->w.block[block];
    const int n = ref_rows(s), d = s->m->hp.dim, n_head = s->m->hp.n_head, hd = d / n_head;
    memset(out, 0, sizeof out);
    if (keys) memset(keys, 0, (size_t)(n * hd) * sizeof *keys);
    if (col_mean) memset(col_mean, 0, (size_t)n * sizeof *col_mean);
    for (int r = 0; r < n; r++) {
        double h[REF_DIM];
        norm(s->m, &w->norm1, s->x[r], h);
        linear(&w->qkv, h, qkv[r]);
        norm_qk(s, w, qkv[r]);
        for (int i = 0; i < 2 * n_head; i++) rope(s, r, qkv[r] + i * hd, hd);
        for (int i = 0; keys && i < d; i++) keys[r * hd + i % hd] += qkv[r][d + i] / n_head;
    }
    for (int h = 0; h < n_head; h++) attend_head(s, block, h, qkv, out, col_mean);
    for (int r = 0; r < n; r++) {
        double y[REF_DIM];
        linear(&w->proj, out[r], y);
        for (int i = 0; i < d; i++) s->x[r][i] += y[i];
    }
}

void ref_mlp(ref_state *s, int block)
{
    const pare__block_w *w = &s->m->w.block[block];
    const int mlp = s->m->hp.mlp_dim;
    for (int r = 0; r < ref_rows(s); r++) {
        double h[REF_DIM], wide[2 * WIDE], y[REF_DIM];
        norm(s->m, &w->norm2, s->x[r], h);
        linear(&w->fc1, h, wide);
        for (int i = 0; i < mlp; i++) wide[i] = activate(s->m->hp.act, wide[i]) * (s->m->hp.gated ? wide[mlp + i] : 1);
        linear(&w->fc2, wide, y);
        for (int i = 0; i < s->m->hp.dim; i++) s->x[r][i] += y[i];
    }
}

/* ---- reduction, end ---------------------------------------------------------------------------------------------- */

void ref_reduce(ref_state *s, const pare_map *map)
{
    static ref_state old;
    const int k = s->patches;
    old = *s;
    s->n_unit = (int)map->n_out;
    memset(s->x + s->n_prefix, 0, sizeof s->x - (size_t)s->n_prefix * sizeof s->x[0]);
    for (int r = 0; r < s->n_unit; r++) {
        memcpy(s->place[r], old.place[map->anchor[r]], sizeof s->place[r]);
        s->size[r] = (double)map->size[r];
        for (int64_t i = map->row_start[r]; i < map->row_start[r + 1]; i++)
            for (int j = 0; j < k * s->m->hp.dim; j++)
                s->x[s->n_prefix + r * k + j / s->m->hp.dim][j % s->m->hp.dim] +=
                    (map->gain ? (double)map->gain[r] : 1) * (double)map->weight[i] *
                    old.x[s->n_prefix + map->index[i] * k + j / s->m->hp.dim][j % s->m->hp.dim];
    }
}

/* x [patches, d] of a unit -> y [d_out] */
static void project(const ref_state *s, const pare__projector_w *w, int is_joined_norm, double *x, double *y)
{
    const pare__hparams *hp = &s->m->hp;
    const int d = hp->dim, joined = hp->join == PARE__JOIN_MEAN ? d : s->patches * d;
    double mid[REF_DIM * 4];
    for (int j = 0; j < s->patches && w->norm.w && !is_joined_norm; j++)
        norm_n(hp->proj_norm, hp->proj_eps, &w->norm, d, x + j * d, x + j * d);
    for (int i = 0; i < d && hp->join == PARE__JOIN_MEAN; i++) {
        double sum = 0;
        for (int j = 0; j < s->patches; j++) sum += x[j * d + i];
        x[i] = sum / s->patches;
    }
    if (w->norm.w && is_joined_norm) norm_n(hp->proj_norm, hp->proj_eps, &w->norm, joined, x, x);
    linear(&w->fc1, x, w->fc2.w ? mid : y);
    if (!w->fc2.w) return;
    for (int i = 0; i < w->fc1.n_out; i++) mid[i] = activate(hp->proj_act, mid[i]);
    linear(&w->fc2, mid, y);
}

void ref_tap(const ref_state *s, int i, double *y)
{
    for (int u = 0; u < s->n_unit; u++) {
        double in[REF_DIM * 4];
        memcpy(in, s->x[s->n_prefix + u * s->patches], (size_t)(s->patches * s->m->hp.dim) * sizeof *in);
        project(s, &s->m->w.deepstack[i], 1, in, y + u * s->m->hp.d_out);
    }
}

void ref_close(const ref_state *s, double *y)
{
    const pare_model *m = s->m;
    const int d = m->hp.dim;
    for (int u = 0; u < s->n_unit; u++) {
        double in[REF_DIM * 4];
        memcpy(in, s->x[s->n_prefix + u * s->patches], (size_t)(s->patches * d) * sizeof *in);
        for (int j = 0; j < s->patches && m->w.norm.w; j++) norm(m, &m->w.norm, in + j * d, in + j * d);
        for (int i = 0; i < d && !m->hp.has_projector; i++) {
            y[u * d + i] = 0;
            for (int j = 0; j < s->patches; j++) y[u * d + i] += in[j * d + i] / s->patches;
        }
        if (m->hp.has_projector)
            project(s, &m->w.projector, m->hp.proj_norm_joined || s->patches == 1, in, y + u * m->hp.d_out);
    }
}

/* ---- model ------------------------------------------------------------------------------------------------------- */

const pare__hparams ref_bent = {.dim = 32,
                                .n_layer = REF_LAYERS,
                                .n_head = 2,
                                .mlp_dim = 40,
                                .patch = REF_PATCH,
                                .temporal = 2,
                                .unit = 2,
                                .norm = PARE__NORM_RMS,
                                .eps = 1e-6f,
                                .act = PARE__ACT_SILU,
                                .gated = 1,
                                .rope = PARE__ROPE_GRID,
                                .rope_theta = 10000,
                                .window = 2,
                                .is_full = {0, 1, 0},
                                .has_projector = 1,
                                .proj_dim = 128,
                                .proj_norm = PARE__NORM_RMS,
                                .proj_eps = 1e-6f,
                                .has_proj_norm = 1,
                                .has_fc2 = 1,
                                .d_out = REF_D_OUT};
const pare__hparams ref_plain = {.dim = 32,
                                 .n_layer = REF_LAYERS,
                                 .n_head = 4,
                                 .mlp_dim = 48,
                                 .patch = REF_PATCH,
                                 .temporal = 1,
                                 .unit = 2,
                                 .pos_rows = REF_GRID_H,
                                 .pos_cols = REF_GRID_W,
                                 .has_cls = 1,
                                 .n_prefix = 1,
                                 .pos_prefix = PARE__POS_CLS_ONLY,
                                 .eps = 1e-6f,
                                 .has_norm = 1,
                                 .d_out = 32};

static float *floats(pare__rng *r, int64_t n, double centre, double spread)
{
    float *p = pare__malloc(n, 4);
    for (int64_t i = 0; i < n; i++) p[i] = (float)(centre + (pare__rng_unit(r) - 0.5) * spread);
    return p;
}

static pare__linear make_linear(pare__rng *r, int32_t n_in, int32_t n_out)
{
    const float *w = floats(r, (int64_t)n_in * n_out, 0, 4 / sqrt(n_in));
    return (pare__linear){w, floats(r, n_out, 0, 0.4), n_in, n_out};
}

static pare__norm_w make_norm(pare__rng *r, pare__norm_kind kind, int32_t n)
{
    const float *w = floats(r, n, 1, 0.5);
    return (pare__norm_w){w, kind == PARE__NORM_RMS ? NULL : floats(r, n, 0, 0.5)};
}

static pare__projector_w make_projector(pare__rng *r, const pare__hparams *hp, int is_joined_norm)
{
    const int32_t joined = hp->join == PARE__JOIN_MEAN ? hp->dim : hp->unit * hp->unit * hp->dim;
    pare__projector_w p = {0};
    if (hp->has_proj_norm) p.norm = make_norm(r, hp->proj_norm, is_joined_norm ? joined : hp->dim);
    p.fc1 = make_linear(r, joined, hp->has_fc2 ? hp->proj_dim : hp->d_out);
    if (hp->has_fc2) p.fc2 = make_linear(r, hp->proj_dim, hp->d_out);
    return p;
}

static void make_qk_norms(pare__rng *r, const pare__hparams *hp, pare__block_w *b)
{
    const int is_row = hp->qk_norm == PARE__QK_NORM_ROW;
    const pare__norm_kind kind = is_row ? PARE__NORM_RMS : hp->norm;
    if (!hp->qk_norm) return;
    b->q_norm = make_norm(r, kind, is_row ? hp->dim : hp->dim / hp->n_head);
    b->k_norm = make_norm(r, kind, is_row ? hp->dim : hp->dim / hp->n_head);
}

void ref_make_model(pare_model *m, uint64_t seed)
{
    static char name[] = "random";
    pare__rng r = pare__rng_make(seed, 1, 2);
    const pare__hparams *hp = &m->hp;
    const int32_t d = hp->dim;
    m->name = m->path = name;
    m->prep = (pare__prep_rule){.rescale = 1 / 255.0, .mean = {.5f, .4f, .3f}, .std = {.2f, .3f, .4f}};
    m->w = (pare__weights){.patch = make_linear(&r, 3 * hp->temporal * hp->patch * hp->patch, d)};
    m->w.block = PARE__NEW(pare__block_w, hp->n_layer);
    for (int i = 0; i < hp->n_layer; i++)
        m->w.block[i] = (pare__block_w){.norm1 = make_norm(&r, hp->norm, d),
                                        .norm2 = make_norm(&r, hp->norm, d),
                                        .qkv = make_linear(&r, d, 3 * d),
                                        .proj = make_linear(&r, d, d),
                                        .fc1 = make_linear(&r, d, (1 + hp->gated) * hp->mlp_dim),
                                        .fc2 = make_linear(&r, hp->mlp_dim, d)};
    if (hp->has_cls) m->w.cls = floats(&r, d, 0, 2);
    const int64_t steps = hp->steps > 1 ? hp->steps : 1;
    if (hp->pos_rows) m->w.pos = floats(&r, (steps * hp->pos_rows * hp->pos_cols + hp->n_prefix) * d, 0, 2);
    if (hp->has_norm) m->w.norm = make_norm(&r, hp->norm, d);
    if (hp->has_projector) m->w.projector = make_projector(&r, hp, hp->proj_norm_joined);
    for (int i = 0; i < hp->n_deepstack; i++) m->w.deepstack[i] = make_projector(&r, hp, 1);
    for (int i = 0; i < hp->n_layer; i++) make_qk_norms(&r, hp, &m->w.block[i]);
}

static void drop(const float *p) { pare__free((void *)(uintptr_t)p); }

static void drop_linear(const pare__linear *l)
{
    drop(l->w);
    drop(l->b);
}

static void drop_norm(const pare__norm_w *n)
{
    drop(n->w);
    drop(n->b);
}

static void drop_projector(const pare__projector_w *p)
{
    drop_norm(&p->norm);
    drop_linear(&p->fc1);
    drop_linear(&p->fc2);
}

void ref_free_model(pare_model *m)
{
    for (int i = 0; i < m->hp.n_layer; i++) {
        const pare__block_w *b = &m->w.block[i];
        drop_norm(&b->norm1);
        drop_norm(&b->norm2);
        drop_norm(&b->q_norm);
        drop_norm(&b->k_norm);
        drop_linear(&b->qkv);
        drop_linear(&b->proj);
        drop_linear(&b->fc1);
        drop_linear(&b->fc2);
    }
    drop_linear(&m->w.patch);
    drop_norm(&m->w.norm);
    drop_projector(&m->w.projector);
    for (int i = 0; i < m->hp.n_deepstack; i++) drop_projector(&m->w.deepstack[i]);
    drop(m->w.cls);
    drop(m->w.pos);
    pare__free(m->w.block);
}
