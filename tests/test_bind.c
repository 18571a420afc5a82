/* SPDX-License-Identifier: MIT */
/* Tables of tensor names against files made here: turned matrices, parts of unequal height, biases that lack a part, taps
 * with projectors of their own, names spelled in full, what is missing and what is left over. Element i of a tensor has the
 * value base + i. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "model/family.h"
#include "model/store.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define STACK(field) .offset = offsetof(pare__projector_w, field)
#define HAS(field) offsetof(pare__hparams, field)
#define COUNT(array) ((int)(sizeof(array) / sizeof *(array)))

enum { MAX_HEADER = 4096 };

typedef struct made {
    const char *name;
    float base;
    int n_dim;
    int32_t shape[4];
} made;

static pare_error err;

/* dim 4, 2 heads, mlp 8, patches of 2, one block: what the tests do not say otherwise. */
static const pare__hparams plain = {
    .dim = 4, .n_layer = 1, .n_head = 2, .mlp_dim = 8, .patch = 2, .temporal = 1, .unit = 1, .steps = 1, .eps = 1e-6F};
static const char *const no_prefix[] = {"", NULL};
static const pare__binding no_rows[] = {{0}};

/* ---- files ------------------------------------------------------------------------------------------------------- */

static int64_t count(const made *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->n_dim; i++) n *= t->shape[i];
    return n;
}

static size_t write_header(char header[MAX_HEADER], const made *t, int n)
{
    size_t used = (size_t)snprintf(header, MAX_HEADER, "{");
    int64_t at = 0;
    for (int i = 0; i < n; i++) {
        used += (size_t)snprintf(header + used, MAX_HEADER - used, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[",
                                 i ? "," : "", t[i].name);
        for (int k = 0; k < t[i].n_dim; k++)
            used += (size_t)snprintf(header + used, MAX_HEADER - used, k ? ",%d" : "%d", t[i].shape[k]);
        const int64_t end = at + 4 * count(&t[i]);
        used += (size_t)snprintf(header + used, MAX_HEADER - used, "],\"data_offsets\":[%d,%d]}", (int)at, (int)end);
        at = end;
    }
    used += (size_t)snprintf(header + used, MAX_HEADER - used, "}");
    ck_assert_int_lt(used, MAX_HEADER);
    return used;
}

/* An opened safetensors file whose name is gone already. */
static pare__store *open_made(const made *t, int n)
{
    char path[] = "/tmp/pare-bind-XXXXXX", header[MAX_HEADER];
    pare__store *s = NULL;
    const int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "wb");
    ck_assert_ptr_nonnull(f);
    const size_t size = write_header(header, t, n);
    const uint8_t length[8] = {(uint8_t)size, (uint8_t)(size >> 8)};
    fwrite(length, 1, sizeof length, f);
    fwrite(header, 1, size, f);
    for (int k = 0; k < n; k++)
        for (int64_t i = 0; i < count(&t[k]); i++) {
            const float x = t[k].base + (float)i;
            fwrite(&x, sizeof x, 1, f);
        }
    ck_assert_int_eq(fclose(f), 0);
    ck_assert_msg(pare__store_open(&s, path, &err) == 0, "%s", err.text);
    unlink(path);
    return s;
}

/* A model of the family bound to these tensors; the code of binding goes to *rc. */
static pare_model *bind(const pare__family *f, const pare__hparams *hp, const made *t, int n, int *rc)
{
    pare_model *m = PARE__NEW(pare_model, 1);
    memset(&err, 0, sizeof err);
    m->family = f;
    m->hp = *hp;
    m->path = pare__strdup("made");
    m->store = open_made(t, n);
    *rc = pare__weights_bind(m, &err);
    return m;
}

static pare_model *bound(const pare__family *f, const pare__hparams *hp, const made *t, int n)
{
    int rc;
    pare_model *m = bind(f, hp, t, n, &rc);
    ck_assert_msg(rc == 0, "%s", err.text);
    return m;
}

static void refused(const pare__family *f, const pare__hparams *hp, const made *t, int n, int code, const char *text)
{
    int rc;
    pare_model *m = bind(f, hp, t, n, &rc);
    ck_assert_msg(rc == code, "code %d: %s", rc, err.text);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" does not say \"%s\"", err.text, text);
    pare__model_free(&m);
}

/* x [n] counts up from base. */
static void counts_up(const float *x, int64_t n, float base)
{
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(x[i] == base + (float)i, "%d is %g, not %g", (int)i, (double)x[i], (double)(base + (float)i));
}

/* ---- layouts ------------------------------------------------------------------------------------------------------ */

START_TEST(test_transposed)
{
    static const pare__binding rows[] = {
        {MODEL(embed), PARE__ROLE_LINEAR, "proj", "BD", .bias = HAS(has_embed_bias), .flags = PARE__BIND_TRANSPOSED},
        {0}};
    static const pare__family f = {.prefixes = no_prefix, .probe = "proj", .model = rows, .block = no_rows};
    const made right = {"proj", 1, 2, {4, 3}}, wrong = {"proj", 1, 2, {3, 4}};
    pare__hparams hp = plain;
    hp.n_embed = 3;
    pare_model *m = bound(&f, &hp, &right, 1);
    ck_assert(m->w.embed.n_in == 4 && m->w.embed.n_out == 3 && m->w.embed.b == NULL && m->n_params == 12);
    for (int o = 0; o < 3; o++)
        for (int i = 0; i < 4; i++) ck_assert(m->w.embed.w[o * 4 + i] == (float)(1 + i * 3 + o));
    pare__model_free(&m);
    refused(&f, &hp, &wrong, 1, PARE_E_FORMAT, "tensor proj is [3x4], the configuration needs [4x3]");
}
END_TEST

/* The three ways in which a patch embedding lies in files. */
START_TEST(test_channels_last)
{
    static const pare__binding rows[] = {
        {MODEL(patch), PARE__ROLE_LINEAR, "patch", "DCPP", .flags = PARE__BIND_CHANNELS_LAST}, {0}};
    static const pare__family f = {.prefixes = no_prefix, .probe = "patch.weight", .model = rows, .block = no_rows};
    const made joined[] = {{"patch.weight", 0, 2, {4, 12}}, {"patch.bias", 7, 1, {4}}};
    const made apart[] = {{"patch.weight", 0, 4, {4, 2, 2, 3}}, {"patch.bias", 7, 1, {4}}};
    const made first[] = {{"patch.weight", 0, 4, {4, 3, 2, 2}}, {"patch.bias", 7, 1, {4}}};
    const made *const last[] = {joined, apart};
    for (int k = 0; k < 2; k++) {
        pare_model *m = bound(&f, &plain, last[k], 2);
        for (int d = 0; d < 4; d++)
            for (int c = 0; c < 3; c++)
                for (int p = 0; p < 4; p++) ck_assert(m->w.patch.w[d * 12 + c * 4 + p] == (float)(d * 12 + p * 3 + c));
        counts_up(m->w.patch.b, 4, 7);
        ck_assert(m->w.patch.n_in == 12 && m->w.patch.n_out == 4);
        pare__model_free(&m);
    }
    pare_model *m = bound(&f, &plain, first, 2);
    counts_up(m->w.patch.w, 48, 0);
    pare__model_free(&m);
}
END_TEST

START_TEST(test_plus_one)
{
    static const pare__binding rows[] = {{MODEL(norm), PARE__ROLE_SCALE, "norm", "D", .flags = PARE__BIND_PLUS_ONE},
                                         {0}};
    static const pare__family f = {.prefixes = no_prefix, .probe = "norm.weight", .model = rows, .block = no_rows};
    const made t = {"norm.weight", 3, 1, {4}};
    pare_model *m = bound(&f, &plain, &t, 1);
    counts_up(m->w.norm.w, 4, 4);
    ck_assert_ptr_null(m->w.norm.b);
    pare__model_free(&m);
}
END_TEST

/* ---- parts -------------------------------------------------------------------------------------------------------- */

static const pare__binding qkv_rows[] = {
    {BLOCK(qkv), PARE__ROLE_LINEAR, "%d.q+%d.k+%d.v", "TD", .flags = PARE__BIND_BIAS_PARTS}, {0}};
static const pare__family qkv_family = {
    .prefixes = no_prefix, .probe = "0.q.weight", .model = no_rows, .block = qkv_rows};

/* A key bias that the file lacks is zeros; weights lie one after the other. */
START_TEST(test_bias_parts)
{
    const made t[] = {{"0.q.weight", 0, 2, {4, 4}}, {"0.k.weight", 16, 2, {4, 4}}, {"0.v.weight", 32, 2, {4, 4}},
                      {"0.q.bias", 1, 1, {4}},      {"0.v.bias", 5, 2, {1, 4}},    {"0.k.bias", 9, 1, {4}}};
    pare_model *m = bound(&qkv_family, &plain, t, 5);
    const pare__linear *qkv = &m->w.block[0].qkv;
    counts_up(qkv->w, 48, 0);
    counts_up(qkv->b, 4, 1);
    for (int i = 4; i < 8; i++) ck_assert(qkv->b[i] == 0);
    counts_up(qkv->b + 8, 4, 5);
    ck_assert_int_eq(m->n_params, 48 + 8);
    pare__model_free(&m);
    m = bound(&qkv_family, &plain, t, 6);
    counts_up(m->w.block[0].qkv.b + 4, 4, 9);
    pare__model_free(&m);
    const made low[] = {t[0], t[1], t[2], t[3], {"0.v.bias", 5, 1, {3}}};
    refused(&qkv_family, &plain, low, 5, PARE_E_FORMAT,
            "0.q.bias and its like hold 11 rows, the configuration needs 12");
    refused(&qkv_family, &plain, t, 3, PARE_E_NOTFOUND, "missing tensors: 0.q.bias, 0.k.bias, 0.v.bias");
}
END_TEST

/* Heights come from the file: q [4, 4] and kv [8, 4]; their sum must fit. */
START_TEST(test_unequal)
{
    static const pare__binding rows[] = {{BLOCK(qkv), PARE__ROLE_LINEAR, "%d.q+%d.kv", "TD"}, {0}};
    static const pare__family f = {.prefixes = no_prefix, .probe = "0.q.weight", .model = no_rows, .block = rows};
    const made t[] = {{"0.q.weight", 0, 2, {4, 4}},
                      {"0.kv.weight", 16, 2, {8, 4}},
                      {"0.q.bias", 0, 1, {4}},
                      {"0.kv.bias", 4, 1, {8}}};
    const made high[] = {{"0.q.weight", 0, 2, {4, 4}}, {"0.kv.weight", 16, 2, {9, 4}}};
    const made wide[] = {{"0.q.weight", 0, 2, {4, 5}}, {"0.kv.weight", 16, 2, {8, 5}}};
    pare_model *m = bound(&f, &plain, t, 4);
    counts_up(m->w.block[0].qkv.w, 48, 0);
    counts_up(m->w.block[0].qkv.b, 12, 0);
    pare__model_free(&m);
    refused(&f, &plain, high, 2, PARE_E_FORMAT, "0.q.weight and its like hold 13 rows, the configuration needs 12");
    refused(&f, &plain, wide, 2, PARE_E_FORMAT, "tensor 0.q.weight is [4x5], the configuration needs [6x4]");
}
END_TEST

/* Names that take no suffix, biases that are no NAME.bias, an empty part of one. */
START_TEST(test_full_names)
{
    static const pare__binding rows[] = {
        {MODEL(probe.qkv), PARE__ROLE_LINEAR, "in_proj_weight", "TD", .bias_names = "in_proj_bias|q_bias++v_bias"},
        {0}};
    static const pare__family f = {.prefixes = no_prefix, .probe = "in_proj_weight", .model = rows, .block = no_rows};
    const made fused[] = {{"in_proj_weight", 0, 2, {12, 4}}, {"in_proj_bias", 2, 1, {12}}};
    const made parts[] = {{"in_proj_weight", 0, 2, {12, 4}}, {"q_bias", 2, 1, {4}}, {"v_bias", 6, 1, {4}}};
    const made none = {"in_proj_weight", 0, 2, {12, 4}};
    pare_model *m = bound(&f, &plain, fused, 2);
    counts_up(m->w.probe.qkv.w, 48, 0);
    counts_up(m->w.probe.qkv.b, 12, 2);
    pare__model_free(&m);
    m = bound(&f, &plain, parts, 3);
    counts_up(m->w.probe.qkv.b, 4, 2);
    for (int i = 4; i < 8; i++) ck_assert(m->w.probe.qkv.b[i] == 0);
    counts_up(m->w.probe.qkv.b + 8, 4, 6);
    pare__model_free(&m);
    refused(&f, &plain, &none, 1, PARE_E_NOTFOUND, "missing tensors: in_proj_bias");
}
END_TEST

/* ---- taps and presence ---------------------------------------------------------------------------------------------- */

START_TEST(test_deepstack)
{
    static const pare__binding rows[] = {{STACK(norm), PARE__ROLE_NORM, "list.%d.norm|deep.%b.norm", "U"},
                                         {STACK(fc1), PARE__ROLE_LINEAR, "list.%d.fc1|deep.%b.fc1", "MJ"},
                                         {0}};
    static const pare__family f = {
        .prefixes = no_prefix, .probe = "x", .model = no_rows, .block = no_rows, .deepstack = rows};
    const made by_tap[] = {{"list.0.norm.weight", 0, 1, {16}},   {"list.0.norm.bias", 1, 1, {16}},
                           {"list.0.fc1.weight", 2, 2, {5, 16}}, {"list.0.fc1.bias", 3, 1, {5}},
                           {"list.1.norm.weight", 4, 1, {16}},   {"list.1.norm.bias", 5, 1, {16}},
                           {"list.1.fc1.weight", 6, 2, {5, 16}}, {"list.1.fc1.bias", 7, 1, {5}}};
    made by_block[COUNT(by_tap)];
    char name[COUNT(by_tap)][32];
    pare__hparams hp = plain;
    hp.n_layer = 4;
    hp.unit = 2;
    hp.has_projector = 1;
    hp.proj_dim = 5;
    hp.n_deepstack = 2;
    hp.deepstack[0] = 1;
    hp.deepstack[1] = 3;
    for (int i = 0; i < COUNT(by_tap); i++) {
        snprintf(name[i], sizeof name[i], "deep.%d%s", i < 4 ? 1 : 3, by_tap[i].name + 6);
        by_block[i] = by_tap[i];
        by_block[i].name = name[i];
    }
    for (int k = 0; k < 2; k++) {
        pare_model *m = bound(&f, &hp, k ? by_block : by_tap, COUNT(by_tap));
        counts_up(m->w.deepstack[0].norm.b, 16, 1);
        counts_up(m->w.deepstack[0].fc1.w, 80, 2);
        counts_up(m->w.deepstack[1].norm.w, 16, 4);
        counts_up(m->w.deepstack[1].fc1.b, 5, 7);
        ck_assert(m->w.deepstack[1].fc1.n_in == 16 && m->w.deepstack[1].fc1.n_out == 5 && !m->w.deepstack[2].fc1.w);
        pare__model_free(&m);
    }
    hp.proj_norm = PARE__NORM_RMS; /* has no bias */
    pare_model *m = bound(&f, &hp, by_tap, COUNT(by_tap));
    ck_assert(m->w.deepstack[0].norm.w && !m->w.deepstack[0].norm.b);
    pare__model_free(&m);
}
END_TEST

/* A part that a datum rules out is not looked for; an RMS norm has no bias. */
START_TEST(test_need)
{
    static const pare__binding rows[] = {
        {MODEL(pre_norm), PARE__ROLE_NORM, "pre", "D", HAS(has_pre_norm)},
        {MODEL(norm), PARE__ROLE_NORM, "norm", "D", HAS(has_norm)},
        {MODEL(patch), PARE__ROLE_LINEAR, "patch", "DCPP", .bias = HAS(has_patch_bias)},
        {0}};
    static const pare__family f = {.prefixes = no_prefix, .probe = "norm.weight", .model = rows, .block = no_rows};
    const made t[] = {{"norm.weight", 0, 1, {4}}, {"patch.weight", 1, 4, {4, 3, 2, 2}}};
    pare__hparams hp = plain;
    hp.has_norm = 1;
    hp.norm = PARE__NORM_RMS;
    pare_model *m = bound(&f, &hp, t, 2);
    ck_assert(m->w.norm.w && !m->w.norm.b && !m->w.pre_norm.w && m->w.patch.w && !m->w.patch.b);
    pare__model_free(&m);
    hp.norm = PARE__NORM_LAYER;
    refused(&f, &hp, t, 2, PARE_E_NOTFOUND, "missing tensors: norm.bias");
    hp.has_pre_norm = hp.has_patch_bias = 1;
    refused(&f, &hp, t, 2, PARE_E_NOTFOUND, "missing tensors: pre.weight, pre.bias, norm.bias, patch.bias");
}
END_TEST

START_TEST(test_axes)
{
    pare__hparams hp = plain;
    hp.unit = 3;
    hp.proj_dim = 7;
    hp.d_out = 9;
    hp.n_embed = 11;
    hp.steps = 5;
    hp.pos_rows = 2;
    hp.pos_cols = 3;
    hp.has_cls = 1;
    hp.pos_prefix = PARE__POS_CLS_ONLY;
    ck_assert(pare__family_axis(&hp, 'J') == 36 && pare__family_axis(&hp, 'U') == 36 &&
              pare__family_axis(&hp, 'M') == 7);
    ck_assert(pare__family_axis(&hp, 'O') == 9 && pare__family_axis(&hp, 'B') == 11 &&
              pare__family_axis(&hp, 'A') == 2);
    ck_assert(pare__family_axis(&hp, 'S') == 5 && pare__family_axis(&hp, 'N') == 31);
    hp.join = PARE__JOIN_MEAN;
    hp.steps = 0;
    ck_assert(pare__family_axis(&hp, 'J') == 4 && pare__family_axis(&hp, 'S') == 1 && pare__family_axis(&hp, 'N') == 7);
}
END_TEST

/* ---- what is left --------------------------------------------------------------------------------------------------- */

START_TEST(test_missing_text)
{
    static const char *const prefixes[] = {"model.visual.", "", NULL};
    static const pare__binding rows[] = {
        {MODEL(norm), PARE__ROLE_SCALE, "norm", "D"},
        {MODEL(pooler), PARE__ROLE_LINEAR, "pooler.dense|pool", "DD", .flags = PARE__BIND_OPTIONAL},
        {0}};
    static const pare__family f = {.prefixes = prefixes, .probe = "norm.weight", .model = rows, .block = no_rows};
    const made alone = {"norm.weight", 0, 1, {4}};
    const made whole[] = {{"lm_head.weight", 0, 1, {4}},
                          {"model.layers.0.a", 0, 1, {4}},
                          {"model.layers.1.a.b.c", 0, 1, {4}},
                          {"model.visual.norm.weight", 0, 1, {4}},
                          {"model.visual.pooler.dense.weight", 0, 2, {4, 4}},
                          {"model.visual.pooler.dense.bias", 0, 1, {4}},
                          {"model.visual.norm.odd", 0, 1, {4}},
                          {"z1", 0, 1, {1}},
                          {"z2", 0, 1, {1}},
                          {"z3", 0, 1, {1}}};
    pare_model *m = bound(&f, &plain, &alone, 1);
    ck_assert_str_eq(m->missing, "lacks pooler.dense");
    pare__model_free(&m);
    m = bound(&f, &plain, whole, 7);
    ck_assert_str_eq(m->missing, "not read: lm_head, model.layers (2 tensors), model.visual.norm.odd");
    pare__model_free(&m);
    m = bound(&f, &plain, whole, 10);
    ck_assert_str_eq(m->missing, "not read: lm_head, model.layers (2 tensors), model.visual.norm.odd, z1 and 2 more");
    pare__model_free(&m);
}
END_TEST

/* ---- hooks ------------------------------------------------------------------------------------------------------------ */

static int configure(pare__config *c, pare__hparams *hp, pare__prep_rule *prep)
{
    *hp = plain;
    hp->pos_rows = hp->pos_cols = 2;
    hp->pool = PARE__POOL_MEAN;
    prep->resize = PARE__RESIZE_NONE;
    return c->rc;
}

static int settle(pare__config *c, pare__hparams *hp, const pare_tensor *(*find)(void *files, const char *name),
                  void *files)
{
    const pare_tensor *up = find(files, "up");
    if (find(files, "nowhere")) return pare__config_fail(c, PARE_E_FORMAT, "found what is not there");
    if (up) hp->mlp_dim = (int32_t)up->shape[0];
    return c->rc;
}

START_TEST(test_settle)
{
    static const pare__family f = {.configure = configure, .settle = settle};
    const made t = {"up", 0, 2, {6, 4}};
    pare__hparams hp;
    pare__prep_rule prep;
    pare__config c;
    pare__config_init(&c, &err);
    ck_assert_int_eq(pare__family_configure(&f, &c, &hp, &prep), 0);
    ck_assert(hp.mlp_dim == 8 && hp.tap == 1 && hp.d_out == 4 && hp.patch == 2);
    c.files = open_made(&t, 1);
    ck_assert_int_eq(pare__family_configure(&f, &c, &hp, &prep), 0);
    ck_assert_int_eq(hp.mlp_dim, 6);
    pare__store_free(&c.files);
    pare__config_fini(&c);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bind");
    TCase *tc = tcase_create("bind");
    tcase_add_test(tc, test_transposed);
    tcase_add_test(tc, test_channels_last);
    tcase_add_test(tc, test_plus_one);
    tcase_add_test(tc, test_bias_parts);
    tcase_add_test(tc, test_unequal);
    tcase_add_test(tc, test_full_names);
    tcase_add_test(tc, test_deepstack);
    tcase_add_test(tc, test_need);
    tcase_add_test(tc, test_axes);
    tcase_add_test(tc, test_missing_text);
    tcase_add_test(tc, test_settle);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
