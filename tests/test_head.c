/* SPDX-License-Identifier: MIT */
/* Heads against plain double arithmetic on random weights, and with PARE_FIXTURES against the golden checkpoints: their
 * final rows go in, what their own heads made of them must come out. */
#include <check.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rank.h"
#include "encode/encoder.h"
#include "model/tensorfile.h"

enum { DIM = 24, HEADS = 3, HEAD = DIM / HEADS, MLP = 1100, CLASSES = 7, EMBED = 5, ROWS = 150, PATH_SIZE = 4096 };

static pare_error err;
static pare__rng rng;

/* ---- a random model --------------------------------------------------------------------------------------------- */

typedef struct toy {
    pare_model m;
    float probe[DIM], qkv[3 * DIM * DIM], qkv_b[3 * DIM], proj[DIM * DIM], proj_b[DIM], norm[DIM], norm_b[DIM];
    float fc1[MLP * DIM], fc1_b[MLP], fc2[DIM * MLP], fc2_b[DIM];
    float head[CLASSES * DIM], head_b[CLASSES], head2[CLASSES * DIM], head2_b[CLASSES], embed[EMBED * DIM];
    float prefix[2 * DIM], x[ROWS * DIM], size[ROWS];
} toy;

static void fill(float *x, int64_t n, double scale)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)(scale * (2 * pare__rng_unit(&rng) - 1));
}

static pare__linear layer(float *w, float *b, int32_t n_out, int32_t n_in)
{
    fill(w, (int64_t)n_out * n_in, 2 / sqrt(n_in));
    if (b) fill(b, n_out, .5);
    return (pare__linear){.w = w, .b = b, .n_in = n_in, .n_out = n_out};
}

static toy *make_toy(uint64_t seed)
{
    static char name[] = "toy";
    toy *t = calloc(1, sizeof *t);
    ck_assert_ptr_nonnull(t);
    rng = pare__rng_make(seed, 0, 0);
    t->m.name = name;
    t->m.hp = (pare__hparams){.dim = DIM, .n_head = HEADS, .mlp_dim = MLP, .eps = 1e-6F, .d_out = DIM};
    t->m.w.probe = (pare__probe_w){.probe = t->probe,
                                   .qkv = layer(t->qkv, t->qkv_b, 3 * DIM, DIM),
                                   .proj = layer(t->proj, t->proj_b, DIM, DIM),
                                   .norm = {.w = t->norm, .b = t->norm_b},
                                   .fc1 = layer(t->fc1, t->fc1_b, MLP, DIM),
                                   .fc2 = layer(t->fc2, t->fc2_b, DIM, MLP)};
    t->m.w.head = layer(t->head, t->head_b, CLASSES, DIM);
    t->m.w.head2 = layer(t->head2, t->head2_b, CLASSES, DIM);
    fill(t->probe, DIM, 1.5);
    fill(t->norm, DIM, 1);
    fill(t->norm_b, DIM, .5);
    fill(t->prefix, 2 * DIM, 1);
    fill(t->x, ROWS * DIM, 1.5);
    for (int i = 0; i < ROWS; i++) t->size[i] = (float)(1 + pare__rng_below(&rng, 5));
    return t;
}

/* ---- the reference ---------------------------------------------------------------------------------------------- */

static void affine(const pare__linear *l, int64_t first, int64_t n, const double *x, double *out)
{
    for (int64_t i = 0; i < n; i++) {
        out[i] = l->b ? (double)l->b[first + i] : 0;
        for (int64_t k = 0; k < l->n_in; k++) out[i] += (double)l->w[(first + i) * l->n_in + k] * x[k];
    }
}

static void layer_norm(const pare__norm_w *w, double eps, int64_t n, const double *x, double *out)
{
    double mean = 0, var = 0;
    for (int64_t i = 0; i < n; i++) mean += x[i] / (double)n;
    for (int64_t i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (int64_t i = 0; i < n; i++) out[i] = (x[i] - mean) / sqrt(var + eps) * (double)w->w[i] + (double)w->b[i];
}

static double gelu(pare__act act, double x)
{
    if (act == PARE__ACT_GELU) return .5 * x * (1 + erf(x / sqrt(2)));
    if (act == PARE__ACT_GELU_QUICK) return x / (1 + exp(-1.702 * x));
    return .5 * x * (1 + tanh(sqrt(2 / acos(-1)) * (x + .044715 * x * x * x)));
}

static void widen(const float *x, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = (double)x[i];
}

/* Query, keys and values spelled out: out [DIM], attention [n] mean over heads. */
static void probe_reference(const toy *t, const float *x, const float *size, int64_t n, double *out, double *attention)
{
    const pare__probe_w *w = &t->m.w.probe;
    double row[DIM], q[DIM], k[DIM], v[DIM], joined[DIM] = {0}, score[ROWS], hidden[MLP], normed[DIM], more[DIM];
    widen(w->probe, DIM, row);
    affine(&w->qkv, 0, DIM, row, q);
    memset(attention, 0, (size_t)n * sizeof *attention);
    for (int h = 0; h < HEADS; h++) {
        double total = 0;
        for (int64_t i = 0; i < n; i++) {
            widen(x + i * DIM, DIM, row);
            affine(&w->qkv, DIM, DIM, row, k);
            score[i] = 0;
            for (int c = h * HEAD; c < (h + 1) * HEAD; c++) score[i] += q[c] * k[c] / sqrt(HEAD);
            total += score[i] = exp(score[i]) * (size ? (double)size[i] : 1);
        }
        for (int64_t i = 0; i < n; i++) {
            widen(x + i * DIM, DIM, row);
            affine(&w->qkv, 2 * (int64_t)DIM, DIM, row, v);
            attention[i] += score[i] / total / HEADS;
            for (int c = h * HEAD; c < (h + 1) * HEAD; c++) joined[c] += score[i] / total * v[c];
        }
    }
    affine(&w->proj, 0, DIM, joined, out);
    layer_norm(&w->norm, 1e-6, DIM, out, normed);
    affine(&w->fc1, 0, MLP, normed, hidden);
    for (int i = 0; i < MLP; i++) hidden[i] = gelu(t->m.hp.act, hidden[i]);
    affine(&w->fc2, 0, DIM, hidden, more);
    for (int i = 0; i < DIM; i++) out[i] += more[i];
}

static void same(const char *what, const float *is, const double *wanted, int64_t n, double tolerance)
{
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)is[i] - wanted[i]) <= tolerance, "%s[%lld] is %.8g, not %.8g", what, (long long)i,
                      (double)is[i], wanted[i]);
}

/* ---- a learned query -------------------------------------------------------------------------------------------- */

static void check_probe(toy *t, const float *size, int64_t n)
{
    float pooled[DIM], attention[ROWS], scratch[HEADS * ROWS];
    double wanted[DIM], wanted_attention[ROWS];
    t->m.hp.pool = PARE__POOL_PROBE;
    probe_reference(t, t->x, size, n, wanted, wanted_attention);
    pare__head(&t->m, NULL, t->x, size, n, pooled, NULL);
    pare__head_probe(&t->m, t->x, size, n, attention, scratch);
    same("pooled", pooled, wanted, DIM, 1e-5);
    same("attention", attention, wanted_attention, n, 1e-6);
}

START_TEST(test_probe)
{
    static const pare__act acts[] = {PARE__ACT_GELU, PARE__ACT_GELU_TANH, PARE__ACT_GELU_QUICK};
    static const int64_t counts[] = {1, 2, 63, 64, 65, 128, ROWS};
    toy *t = make_toy(1);
    for (size_t a = 0; a < sizeof acts / sizeof *acts; a++) {
        t->m.hp.act = acts[a];
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            check_probe(t, NULL, counts[i]);
            check_probe(t, t->size, counts[i]);
        }
    }
    free(t);
}
END_TEST

/* Rows of size 0 are not there, wherever they stand; a row of size 3 is the row three times. */
START_TEST(test_probe_sizes)
{
    toy *t = make_toy(2);
    float size[ROWS], few[4 * DIM], many[6 * DIM], once[DIM], thrice[DIM];
    static const float sizes[] = {1, 3, 1, 1};
    for (int i = 0; i < ROWS; i++) size[i] = i < 70 || i % 3 == 0 ? 0 : t->size[i];
    check_probe(t, size, ROWS);
    memcpy(few, t->x, sizeof few);
    for (int i = 0; i < 6; i++)
        memcpy(many + i * DIM, few + (i < 1 ? 0 : i < 4 ? 1 : i - 2) * DIM, DIM * sizeof(float));
    pare__head(&t->m, NULL, few, sizes, 4, once, NULL);
    pare__head(&t->m, NULL, many, NULL, 6, thrice, NULL);
    for (int i = 0; i < DIM; i++) ck_assert_float_eq_tol(once[i], thrice[i], 2e-6F);
    free(t);
}
END_TEST

/* Scores of thousands, rising and falling, are no infinities. */
START_TEST(test_probe_extremes)
{
    toy *t = make_toy(3);
    float pooled[DIM], only[DIM], attention[ROWS], scratch[HEADS * ROWS];
    int best = 0;
    t->m.hp.pool = PARE__POOL_PROBE;
    for (int c = 0; c < DIM; c++) t->probe[c] *= 3000;
    pare__head(&t->m, NULL, t->x, NULL, ROWS, pooled, NULL);
    pare__head_probe(&t->m, t->x, NULL, ROWS, attention, scratch);
    double total = 0;
    for (int i = 0; i < ROWS; i++) {
        total += (double)attention[i];
        if (attention[i] > attention[best]) best = i;
    }
    ck_assert_double_eq_tol(total, 1, 1e-5);
    for (int c = 0; c < DIM; c++) ck_assert(isfinite(pooled[c]));
    for (int i = 1; i < ROWS; i++) memcpy(t->x + i * DIM, t->x, DIM * sizeof(float));
    pare__head(&t->m, NULL, t->x, NULL, ROWS, pooled, NULL);
    pare__head(&t->m, NULL, t->x, NULL, 1, only, NULL);
    for (int c = 0; c < DIM; c++) ck_assert_float_eq_tol(pooled[c], only[c], 1e-5F);
    free(t);
}
END_TEST

/* Nothing to look at: the CLS token stands in, else zeros. */
START_TEST(test_probe_nothing)
{
    toy *t = make_toy(4);
    float pooled[DIM], size[3] = {0, 0, 0}, attention[3], scratch[3 * HEADS];
    t->m.hp.pool = PARE__POOL_PROBE;
    for (int n = 0; n <= 3; n += 3) {
        t->m.hp.has_cls = 0;
        pare__head(&t->m, NULL, t->x, size, n, pooled, NULL);
        for (int c = 0; c < DIM; c++) ck_assert_float_eq(pooled[c], 0);
        t->m.hp.has_cls = t->m.hp.n_prefix = 1;
        pare__head(&t->m, t->prefix, t->x, size, n, pooled, NULL);
        ck_assert_mem_eq(pooled, t->prefix, sizeof pooled);
        pare__head_probe(&t->m, t->x, size, n, attention, scratch);
        for (int i = 0; i < n; i++) ck_assert_float_eq(attention[i], 0);
    }
    free(t);
}
END_TEST

/* ---- what follows pooling --------------------------------------------------------------------------------------- */

START_TEST(test_embed)
{
    toy *t = make_toy(5);
    float embed[DIM];
    double row[DIM], wanted[DIM];
    t->m.hp.n_embed = EMBED;
    t->m.w.embed = layer(t->embed, NULL, EMBED, DIM);
    widen(t->x, DIM, row);
    affine(&t->m.w.embed, 0, EMBED, row, wanted);
    pare__head_embed(&t->m, t->x, embed);
    same("embed", embed, wanted, EMBED, 1e-5);
    t->m.w.embed = (pare__linear){0};
    t->m.hp.n_embed = DIM;
    pare__head_embed(&t->m, t->x, embed);
    ck_assert_mem_eq(embed, t->x, sizeof embed);
    free(t);
}
END_TEST

/* The answer is the mean of two classifiers; each can be had alone. */
START_TEST(test_teacher)
{
    toy *t = make_toy(6);
    float pooled[DIM], logits[CLASSES], cls[CLASSES], other[CLASSES];
    double row[DIM], wanted[CLASSES], wanted_other[CLASSES];
    t->m.hp.logits = PARE__LOGITS_TEACHER;
    t->m.hp.n_class = CLASSES;
    t->m.hp.has_cls = t->m.hp.n_register = 1;
    t->m.hp.n_prefix = 2;
    widen(t->prefix, DIM, row);
    affine(&t->m.w.head, 0, CLASSES, row, wanted);
    widen(t->prefix + DIM, DIM, row);
    affine(&t->m.w.head2, 0, CLASSES, row, wanted_other);
    pare__head_teacher(&t->m, t->prefix, cls, other);
    same("cls_logits", cls, wanted, CLASSES, 1e-5);
    same("distillation_logits", other, wanted_other, CLASSES, 1e-5);
    pare__head(&t->m, t->prefix, t->x, NULL, ROWS, pooled, logits);
    for (int i = 0; i < CLASSES; i++) wanted[i] = (wanted[i] + wanted_other[i]) / 2;
    same("logits", logits, wanted, CLASSES, 1e-5);
    for (int i = 0; i < DIM; i++) ck_assert_float_eq_tol(pooled[i], (t->prefix[i] + t->prefix[DIM + i]) / 2, 1e-6F);
    ck_assert_int_eq(pare__head_logits(&t->m, t->prefix, t->x, logits, &err), PARE_E_UNSUPPORTED);
    free(t);
}
END_TEST

START_TEST(test_probe_classifier)
{
    toy *t = make_toy(7);
    float pooled[DIM], logits[CLASSES];
    double row[DIM], wanted[CLASSES];
    t->m.hp.pool = PARE__POOL_PROBE;
    t->m.hp.n_class = CLASSES;
    pare__head(&t->m, NULL, t->x, t->size, ROWS, pooled, logits);
    widen(pooled, DIM, row);
    affine(&t->m.w.head, 0, CLASSES, row, wanted);
    same("logits", logits, wanted, CLASSES, 1e-5);
    ck_assert_int_eq(pare__head_logits(&t->m, NULL, t->x, logits, &err), PARE_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "learned query"));
    free(t);
}
END_TEST

/* ---- golden checkpoints ----------------------------------------------------------------------------------------- */

static const char *const cases[] = {"clip-gelu-interp",  "clip-quickgelu", "openclip-gelu",    "siglip-map",
                                    "siglip-valid-conv", "siglip2-naflex", "timm-siglip-map",  "timm-avgpool",
                                    "timm-plain",        "timm-gap-nocls", "deit-distilled",   "timm-clip-quickgelu",
                                    "vit-classifier",    "dinov2-swiglu",  "vit-pooler-interp"};

typedef struct golden {
    pare_model *m;
    pare_tensors *t;
    json_t *kase;
    const char *name;
    int n_compared;
} golden;

static void open_golden(golden *g, const char *name)
{
    char dir[PATH_SIZE], path[PATH_SIZE + 64];
    ck_assert_int_lt(snprintf(dir, sizeof dir, "%s/golden/models/%s", getenv("PARE_FIXTURES"), name), PATH_SIZE);
    *g = (golden){.name = name};
    ck_assert_msg(pare__model_load(&g->m, dir, &err) == 0, "%s: %s", name, err.text);
    snprintf(path, sizeof path, "%s/expected.safetensors", dir);
    ck_assert_msg(pare__tensors_open(&g->t, path, &err) == 0, "%s: %s", name, err.text);
    snprintf(path, sizeof path, "%s/case.json", dir);
    g->kase = json_load_file(path, 0, NULL);
    ck_assert_ptr_nonnull(g->kase);
}

static const float *expected(const golden *g, const char *name)
{
    const pare_tensor *t = pare__tensors_find(g->t, name);
    return t ? (const float *)t->data : NULL;
}

/* is [n] against item i of the tensor, which may be absent. */
static void compare(golden *g, const char *name, int64_t i, const float *is, int64_t n)
{
    const float *wanted = expected(g, name);
    const json_t *entry = json_object_get(json_object_get(g->kase, "tensors"), name);
    const double tolerance = json_number_value(json_object_get(entry, "tol_abs"));
    if (!wanted) return;
    ck_assert(tolerance > 0);
    g->n_compared++;
    for (int64_t k = 0; k < n; k++)
        ck_assert_msg(fabs((double)is[k] - (double)wanted[i * n + k]) <= tolerance,
                      "%s: %s[%lld, %lld] is %.8g, not %.8g (tolerance %g)", g->name, name, (long long)i, (long long)k,
                      (double)is[k], (double)wanted[i * n + k], tolerance);
}

/* Rows of item i after the final norm, [shape[1], dim]; where the case lacks them, the last block's, normed here. */
static float *final_rows(const golden *g, int64_t i, int64_t *n)
{
    char name[32];
    const int64_t d = g->m->hp.dim;
    snprintf(name, sizeof name, "hidden.%d", g->m->hp.n_layer - 1);
    const pare_tensor *last = pare__tensors_find(g->t, "last_hidden");
    const pare_tensor *t = last ? last : pare__tensors_find(g->t, name);
    ck_assert_ptr_nonnull(t);
    *n = t->shape[1];
    float *rows = malloc((size_t)(*n * d) * sizeof *rows);
    ck_assert_ptr_nonnull(rows);
    memcpy(rows, (const float *)t->data + i * *n * d, (size_t)(*n * d) * sizeof *rows);
    for (int64_t r = 0; r < *n && !last && g->m->w.norm.w; r++) {
        double row[PARE__MAX_DIM], normed[PARE__MAX_DIM];
        widen(rows + r * d, d, row);
        layer_norm(&g->m->w.norm, (double)g->m->hp.eps, d, row, normed);
        for (int64_t c = 0; c < d; c++) rows[r * d + c] = (float)normed[c];
    }
    return rows;
}

/* Padding has size 0; NULL where the case has none. */
static float *real_rows(const golden *g, int64_t i, int64_t n)
{
    const pare_tensor *mask = pare__tensors_find(g->t, "pixel_attention_mask");
    if (!mask) return NULL;
    float *size = malloc((size_t)n * sizeof *size);
    ck_assert_ptr_nonnull(size);
    for (int64_t k = 0; k < n; k++) size[k] = (float)((const int32_t *)mask->data)[i * n + k];
    return size;
}

static void check_heads(golden *g, int64_t i, const float *rows, const float *size, int64_t n)
{
    float pooled[1024], logits[1024], other[1024];
    const pare__hparams *hp = &g->m->hp;
    const float *token = rows + (int64_t)hp->n_prefix * hp->dim;
    ck_assert(hp->dim <= 1024 && hp->n_class <= 1024 && hp->n_embed <= 1024);
    pare__head(g->m, rows, token, size, n, pooled, hp->n_class ? logits : NULL);
    if (hp->logits != PARE__LOGITS_TEACHER) compare(g, "pooled", i, pooled, hp->dim);
    if (hp->n_class) compare(g, "logits", i, logits, hp->n_class);
    if (hp->n_embed) pare__head_embed(g->m, pooled, other);
    if (hp->n_embed) compare(g, "image_embeds", i, other, hp->n_embed);
    if (hp->logits != PARE__LOGITS_TEACHER) return;
    pare__head_teacher(g->m, rows, logits, other);
    compare(g, "cls_logits", i, logits, hp->n_class);
    compare(g, "distillation_logits", i, other, hp->n_class);
}

static void check_attention(golden *g, int64_t i, const float *token, const float *size, int64_t n)
{
    float *attention = malloc((size_t)n * sizeof *attention), *scratch = malloc((size_t)(n * 64) * sizeof *scratch);
    ck_assert(attention && scratch && g->m->hp.n_head <= 64);
    pare__head_probe(g->m, token, size, n, attention, scratch);
    compare(g, "attn.probe", i, attention, n);
    free(attention);
    free(scratch);
}

START_TEST(test_golden)
{
    golden g;
    int64_t n;
    open_golden(&g, cases[_i]);
    const int64_t n_item = pare__tensors_find(g.t, "pixel_values")->shape[0];
    for (int64_t i = 0; i < n_item; i++) {
        float *rows = final_rows(&g, i, &n), *size = real_rows(&g, i, n);
        check_heads(&g, i, rows, size, n - g.m->hp.n_prefix);
        if (g.m->hp.pool == PARE__POOL_PROBE) check_attention(&g, i, rows, size, n);
        free(rows);
        free(size);
    }
    ck_assert_msg(g.n_compared >= n_item, "%s: nothing was compared", g.name);
    json_decref(g.kase);
    pare__tensors_free(&g.t);
    pare__model_free(&g.m);
}
END_TEST

int main(void)
{
    const char *fixtures = getenv("PARE_FIXTURES");
    Suite *s = suite_create("head");
    TCase *tc = tcase_create("head");
    tcase_add_test(tc, test_probe);
    tcase_add_test(tc, test_probe_sizes);
    tcase_add_test(tc, test_probe_extremes);
    tcase_add_test(tc, test_probe_nothing);
    tcase_add_test(tc, test_embed);
    tcase_add_test(tc, test_teacher);
    tcase_add_test(tc, test_probe_classifier);
    if (fixtures && *fixtures) tcase_add_loop_test(tc, test_golden, 0, (int)(sizeof cases / sizeof *cases));
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
