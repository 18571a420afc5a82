/* SPDX-License-Identifier: MIT */
/* Groups metrics_feature, metrics_cka, metrics_grouping: every number with every backend. What only the fixtures ask for
 * (Procrustes, centred and normalised ranks, merged reconstruction) is put together here from the same kernels. */
#include <math.h>
#include <string.h>

#include "encode/backend.h"
#include "golden.h"
#include "measure/features.h"
#include "measure/scene.h"

/* A fixture's numbers are right to 1e-9; those that are 0 but for rounding to 1e-12. */
#define EXACT 1e-9, 1e-12

typedef struct matrix {
    double *x; /* [n, d] */
    int64_t n, d;
} matrix;

/* in.NAME [n, d]; x is NULL if the case has failed. */
static matrix read_matrix(golden *g, const char *name)
{
    const pare_tensor *t = golden_in(g, name);
    matrix m = {.x = NULL};
    if (!t || t->n_dim != 2) return m;
    m = (matrix){.x = PARE__NEW(double, pare__tensor_count(t)), .n = t->shape[0], .d = t->shape[1]};
    float *x = PARE__NEW(float, m.n *m.d);
    golden_read(g, name, x, m.n * m.d);
    for (int64_t i = 0; i < m.n * m.d; i++) m.x[i] = (double)x[i];
    pare__free(x);
    return m;
}

static int32_t *read_i32(golden *g, const char *name, int64_t *n)
{
    const pare_tensor *t = golden_in(g, name);
    *n = t ? pare__tensor_count(t) : 0;
    float *x = PARE__NEW(float, *n + 1);
    int32_t *out = PARE__NEW(int32_t, *n + 1);
    golden_read(g, name, x, *n);
    for (int64_t i = 0; i < *n; i++) out[i] = (int32_t)x[i];
    pare__free(x);
    return out;
}

static void one(golden *g, const char *name, double value) { golden_f64(g, name, &value, 1, EXACT); }

static void centre(matrix *m)
{
    for (int64_t j = 0; j < m->d; j++) {
        double mean = 0;
        for (int64_t i = 0; i < m->n; i++) mean += m->x[i * m->d + j] / (double)m->n;
        for (int64_t i = 0; i < m->n; i++) m->x[i * m->d + j] -= mean;
    }
}

static matrix copy_of(const matrix *m)
{
    matrix c = {.x = PARE__NEW(double, m->n * m->d), .n = m->n, .d = m->d};
    memcpy(c.x, m->x, (size_t)(m->n * m->d) * sizeof *c.x);
    return c;
}

/* ---- metrics_feature ----------------------------------------------------------------------------------------------- */

typedef struct feature_case {
    golden *g;
    const pare__dense *dense;
    matrix x;
    int32_t *keep, *nearest; /* [k], [n] */
    double *cosine;          /* [n] */
    int64_t k;
} feature_case;

static void check_rank(const feature_case *f, const char *name, const matrix *m)
{
    double rank = NAN;
    if (pare__effective_rank(f->dense, m->x, m->n, m->d, &rank, &f->g->err) == 0) one(f->g, name, rank);
}

static void check_ranks(const feature_case *f)
{
    matrix kept = {.x = PARE__NEW(double, f->k * f->x.d), .n = f->k, .d = f->x.d};
    for (int64_t j = 0; j < f->k; j++)
        memcpy(kept.x + j * kept.d, f->x.x + f->keep[j] * kept.d, (size_t)kept.d * sizeof *kept.x);
    check_rank(f, "effective_rank_kept", &kept);
    check_rank(f, "effective_rank_all", &f->x);
    matrix centred = copy_of(&f->x), unit = copy_of(&f->x);
    centre(&centred);
    check_rank(f, "effective_rank_all_centred", &centred);
    for (int64_t i = 0; i < unit.n; i++) {
        double square = 0;
        for (int64_t j = 0; j < unit.d; j++) square += unit.x[i * unit.d + j] * unit.x[i * unit.d + j];
        for (int64_t j = 0; j < unit.d; j++) unit.x[i * unit.d + j] /= sqrt(square);
    }
    check_rank(f, "effective_rank_all_normalised", &unit);
    pare__free(kept.x);
    pare__free(centred.x);
    pare__free(unit.x);
}

static void check_coverage(const feature_case *f)
{
    double sum = 0, least = 1;
    float theta[5];
    double share[5] = {0};
    for (int64_t i = 0; i < f->x.n; i++) {
        sum += f->cosine[i];
        least = fmin(least, f->cosine[i]);
    }
    one(f->g, "facility_coverage", sum / (double)f->x.n);
    one(f->g, "cover_cos_min", least);
    golden_read(f->g, "theta", theta, 5);
    for (int32_t t = 0; t < 5; t++)
        for (int64_t i = 0; i < f->x.n; i++) share[t] += (f->cosine[i] >= (double)theta[t]) / (double)f->x.n;
    golden_f64(f->g, "theta_coverage", share, 5, EXACT);
    golden_i32(f->g, "nearest", f->nearest, f->x.n);
}

/* Every token replaced by row nearest[i] of source[.., d]. */
static void check_rebuilt(const feature_case *f, const double *source, const int32_t *via, const char *const name[3])
{
    matrix r = copy_of(&f->x);
    double value[3];
    for (int64_t i = 0; i < r.n; i++) {
        const int64_t row = via ? via[f->nearest[i]] : f->nearest[i];
        memcpy(r.x + i * r.d, source + row * r.d, (size_t)r.d * sizeof *r.x);
    }
    pare__row_errors(f->x.x, r.x, r.n, r.d, &value[0], &value[1], &value[2]);
    for (int32_t i = 0; i < 3; i++)
        if (name[i]) one(f->g, name[i], value[i]);
    pare__free(r.x);
}

static void check_merged(const feature_case *f)
{
    static const char *const names[3] = {"recon_merge_cos", "recon_merge_mse", NULL};
    const int64_t d = f->x.d;
    double *mean = PARE__NEW(double, f->k *d), *count = PARE__NEW(double, f->k);
    float *narrow = PARE__NEW(float, f->k *d);
    for (int64_t i = 0; i < f->x.n; i++) {
        count[f->nearest[i]]++;
        for (int64_t j = 0; j < d; j++) mean[f->nearest[i] * d + j] += f->x.x[i * d + j];
    }
    for (int64_t i = 0; i < f->k * d; i++) {
        mean[i] /= count[i / d];
        narrow[i] = (float)mean[i];
    }
    golden_f32(f->g, "merged_x", narrow, f->k * d, ONE_STEP);
    check_rebuilt(f, mean, NULL, names);
    pare__free(mean);
    pare__free(count);
    pare__free(narrow);
}

static void find_nearest(feature_case *f)
{
    const int64_t d = f->x.d;
    double *kept = PARE__NEW(double, f->k *d);
    for (int64_t j = 0; j < f->k; j++) memcpy(kept + j * d, f->x.x + f->keep[j] * d, (size_t)d * sizeof *kept);
    if (pare__nearest_among(f->dense, f->x.x, f->x.n, d, kept, f->k, f->cosine, f->nearest))
        golden_fail(f->g, "out of memory");
    pare__free(kept);
}

static void check_feature(feature_case *f)
{
    static const char *const names[3] = {"recon_prune_cos", "recon_prune_mse", "recon_prune_rel"};
    find_nearest(f);
    check_coverage(f);
    check_ranks(f);
    check_rebuilt(f, f->x.x, f->keep, names);
    check_merged(f);
}

static void run_feature(golden *g)
{
    feature_case f = {.g = g, .x = read_matrix(g, "x")};
    f.keep = read_i32(g, "keep", &f.k);
    f.nearest = PARE__NEW(int32_t, f.x.n + 1);
    f.cosine = PARE__NEW(double, f.x.n + 1);
    golden_agree(g, "N", f.x.n);
    golden_agree(g, "K", f.k);
    for (int32_t b = 0; pare__backends[b] && !g->err.code; b++) {
        if (!pare__backends[b]->dense) continue;
        f.dense = pare__backends[b]->dense;
        check_feature(&f);
    }
    pare__free(f.x.x);
    pare__free(f.keep);
    pare__free(f.nearest);
    pare__free(f.cosine);
}

/* ---- metrics_cka --------------------------------------------------------------------------------------------------- */

static double norm_of(const matrix *m)
{
    double square = 0;
    for (int64_t i = 0; i < m->n * m->d; i++) square += m->x[i] * m->x[i];
    return sqrt(square);
}

static double *turned(const matrix *m)
{
    double *t = PARE__NEW(double, m->n * m->d);
    for (int64_t i = 0; i < m->n; i++)
        for (int64_t j = 0; j < m->d; j++) t[j * m->n + i] = m->x[i * m->d + j];
    return t;
}

/* 1 - (sum of singular values of a'b)^2, both centred and of norm 1. */
static void check_procrustes(golden *g, const pare__dense *dense, const matrix *a, const matrix *b)
{
    matrix ca = copy_of(a), cb = copy_of(b);
    centre(&ca);
    centre(&cb);
    double *ta = turned(&ca), *tb = turned(&cb), sum = 0;
    double *product = PARE__NEW(double, a->d * b->d), *sigma = PARE__NEW(double, a->d + b->d);
    dense->nt(a->d, b->d, a->n, ta, a->n, tb, b->n, product, b->d);
    const int rc = dense->singular_values(a->d, b->d, product, sigma, &g->err);
    for (int64_t i = 0; i < a->d && i < b->d; i++) sum += sigma[i] / (norm_of(&ca) * norm_of(&cb));
    if (!rc) one(g, "procrustes", 1 - sum * sum);
    pare__free(ca.x);
    pare__free(cb.x);
    pare__free(ta);
    pare__free(tb);
    pare__free(product);
    pare__free(sigma);
}

static void check_cka(golden *g, const pare__dense *dense, const matrix *a, const matrix *b)
{
    enum { COLUMNS = 40 };
    double cka = NAN, sum = 0;
    if (pare__linear_cka(dense, a->x, a->d, b->x, b->d, a->n, &cka)) golden_fail(g, "out of memory");
    one(g, "linear_cka", cka);
    for (int64_t i = 0; i < a->n; i++) sum += pare__cosine(a->x + i * a->d, b->x + i * b->d, COLUMNS);
    one(g, "mean_cosine", sum / (double)a->n);
    check_procrustes(g, dense, a, b);
}

static void run_cka(golden *g)
{
    const matrix a = read_matrix(g, "a"), b = read_matrix(g, "b");
    golden_agree(g, "n", a.n);
    for (int32_t i = 0; pare__backends[i] && !g->err.code; i++)
        if (pare__backends[i]->dense) check_cka(g, pare__backends[i]->dense, &a, &b);
    pare__free(a.x);
    pare__free(b.x);
}

/* ---- metrics_grouping ---------------------------------------------------------------------------------------------- */

static void check_grouping(golden *g, const int32_t *a, const int32_t *b, int64_t n)
{
    pare__grouping m;
    uint8_t *set = PARE__NEW(uint8_t, 2 * n);
    if (pare__grouping_measure(a, b, n, &m)) golden_fail(g, "out of memory");
    one(g, "nmi", m.nmi);
    one(g, "homogeneity", m.homogeneity);
    one(g, "completeness", m.completeness);
    one(g, "adjusted_rand", m.adjusted_rand);
    const double sum = m.homogeneity + m.completeness;
    one(g, "v_measure", sum > 0 ? 2 * m.homogeneity * m.completeness / sum : 0);
    for (int64_t i = 0; i < n; i++) {
        set[i] = a[i] < 3;
        set[n + i] = b[i] < 2;
    }
    one(g, "iou_a_lt3_b_lt2", pare__iou(set, set + n, n));
    pare__free(set);
}

static void run_grouping(golden *g)
{
    int64_t n, n_b;
    int32_t *a = read_i32(g, "a", &n), *b = read_i32(g, "b", &n_b);
    golden_agree(g, "N", n);
    golden_agree(g, "N", n_b);
    if (!g->err.code) check_grouping(g, a, b, n);
    pare__free(a);
    pare__free(b);
}

const golden_group golden_measure_features[] = {
    {"metrics_feature", run_feature}, {"metrics_cka", run_cka}, {"metrics_grouping", run_grouping}, {NULL, NULL}};
