/* SPDX-License-Identifier: MIT */
/* The GGUF reader: a small writer here builds good files and, with one thing changed, bad ones. */
#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "model/tensorfile.h"

enum { U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 };

typedef struct writer {
    uint8_t bytes[1 << 14];
    size_t n;
} writer;

static pare_error err;

static void put(writer *w, uint64_t v, int n)
{
    for (int i = 0; i < n; i++) w->bytes[w->n++] = (uint8_t)(v >> (8 * i));
}

static void put_text(writer *w, const char *text)
{
    put(w, strlen(text), 8);
    memcpy(w->bytes + w->n, text, strlen(text));
    w->n += strlen(text);
}

static void put_kv(writer *w, const char *key, uint32_t type, uint64_t value, int n)
{
    put_text(w, key);
    put(w, type, 4);
    put(w, value, n);
}

static void put_header(writer *w, uint32_t version, uint64_t n_tensor, uint64_t n_kv)
{
    w->n = 0;
    memcpy(w->bytes, "GGUF", 4);
    w->n = 4;
    put(w, version, 4);
    put(w, n_tensor, 8);
    put(w, n_kv, 8);
}

static void put_info(writer *w, const char *name, int n_dim, const uint64_t *dim, uint32_t type, uint64_t offset)
{
    put_text(w, name);
    put(w, (uint64_t)n_dim, 4);
    for (int i = 0; i < n_dim; i++) put(w, dim[i], 8);
    put(w, type, 4);
    put(w, offset, 8);
}

static void pad(writer *w, size_t alignment)
{
    while (w->n % alignment) put(w, 0, 1);
}

/* The verdict on a copy of exact size, so that ASan sees every overrun. */
static int parse_only(const writer *w)
{
    pare_tensors *t = NULL;
    uint8_t *copy = malloc(w->n ? w->n : 1);
    memcpy(copy, w->bytes, w->n);
    memset(&err, 0, sizeof err);
    int rc = pare__gguf_parse(&t, "f", copy, w->n, &err);
    ck_assert(rc == 0 || (t == NULL && err.code == rc && err.text[0]));
    pare__tensors_free(&t);
    free(copy);
    return rc;
}

/* F32 [3, 2] (PyTorch), F16 [2], BF16 [2], Q8_0 [1, 32], Q4_0 [32]; alignment 64. */
static void put_good(writer *w)
{
    put_header(w, 3, 5, 6);
    put_kv(w, "general.alignment", U32, 64, 4);
    put_kv(w, "a.i8", I8, 0xfe, 1);
    put_kv(w, "a.u64", U64, UINT64_MAX, 8);
    put_kv(w, "a.f32", F32, 0x3fc00000, 4);
    put_text(w, "a.labels");
    put(w, ARRAY, 4);
    put(w, STRING, 4);
    put(w, 2, 8);
    put_text(w, "x");
    put_text(w, "yy");
    put_kv(w, "a.nan", F32, 0x7fc00000, 4);
    put_info(w, "f32", 2, (uint64_t[]){2, 3}, 0, 0);
    put_info(w, "f16", 1, (uint64_t[]){2}, 1, 64);
    put_info(w, "bf16", 1, (uint64_t[]){2}, 30, 128);
    put_info(w, "q8", 2, (uint64_t[]){32, 1}, 8, 192);
    put_info(w, "q4", 1, (uint64_t[]){32}, 2, 256);
    pad(w, 64);
    for (int i = 0; i < 6; i++) put(w, 0x3f800000u + ((uint32_t)i << 16), 4);
    pad(w, 64);
    put(w, 0xc0003e00, 4);
    pad(w, 64);
    put(w, 0xbfc03f80, 4);
    pad(w, 64);
    put(w, 0x3800, 2); /* scale 0.5 */
    for (int i = 0; i < 32; i++) put(w, (uint8_t)(i - 16), 1);
    pad(w, 64);
    for (int i = 0; i < 18; i++) put(w, 1, 1);
}

START_TEST(test_accepts)
{
    static writer w;
    pare_tensors *t = NULL;
    float out[32];
    put_good(&w);
    ck_assert_msg(pare__gguf_parse(&t, "f", w.bytes, w.n, &err) == 0, "%s", err.text);
    ck_assert_int_eq(t->n, 5);
    ck_assert_int_eq(t->n_public, 3);
    const pare_tensor *f32 = pare__tensors_find(t, "f32");
    ck_assert(f32->n_dim == 2 && f32->shape[0] == 3 && f32->shape[1] == 2);
    pare__tensor_f32(f32, out);
    ck_assert(out[0] == 1);
    pare__tensor_f32(pare__tensors_find(t, "f16"), out);
    ck_assert(out[0] == 1.5F && out[1] == -2);
    pare__tensor_f32(pare__tensors_find(t, "bf16"), out);
    ck_assert(out[0] == 1 && out[1] == -1.5F);
    pare__tensor_f32(pare__tensors_find(t, "q8"), out);
    for (int i = 0; i < 32; i++) ck_assert(out[i] == 0.5F * (float)(i - 16));
    ck_assert_int_eq(pare__tensors_find(t, "q4")->dtype, PARE__Q4_0);
    ck_assert_int_eq(json_integer_value(json_object_get(t->meta, "a.i8")), -2);
    ck_assert(json_is_real(json_object_get(t->meta, "a.u64")));
    ck_assert(json_real_value(json_object_get(t->meta, "a.f32")) == 1.5);
    ck_assert(json_is_null(json_object_get(t->meta, "a.nan")));
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(t->meta, "a.labels"), 1)), "yy");
    pare__tensors_free(&t);
}
END_TEST

START_TEST(test_truncated)
{
    static writer w, cut;
    put_good(&w);
    for (size_t n = 0; n < w.n; n++) {
        memcpy(cut.bytes, w.bytes, n);
        cut.n = n;
        ck_assert_msg(parse_only(&cut) == PARE_E_FORMAT, "cut to %zu bytes is accepted", n);
    }
}
END_TEST

/* The last tensor need not be padded, and version 2 has the same layout. */
START_TEST(test_version)
{
    static writer w;
    static const struct {
        uint32_t version;
        int code;
    } rows[] = {{2, 0},
                {3, 0},
                {0, PARE_E_FORMAT},
                {1, PARE_E_UNSUPPORTED},
                {4, PARE_E_UNSUPPORTED},
                {0x03000000, PARE_E_UNSUPPORTED}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        put_header(&w, rows[i].version, 0, 0);
        pare_tensors *t = NULL;
        ck_assert_int_eq(pare__gguf_parse(&t, "f", w.bytes, w.n, &err), rows[i].code);
        pare__tensors_free(&t);
    }
}
END_TEST

/* One tensor of the given form; returns the reader's verdict. */
static int one_tensor(int n_dim, const uint64_t *dim, uint32_t type, uint64_t offset, size_t n_data)
{
    static writer w;
    put_header(&w, 3, 1, 0);
    put_info(&w, "x", n_dim, dim, type, offset);
    pad(&w, 32);
    for (size_t i = 0; i < n_data; i++) put(&w, 0, 1);
    pare_tensors *t = NULL;
    int rc = pare__gguf_parse(&t, "f", w.bytes, w.n, &err);
    pare__tensors_free(&t);
    return rc;
}

START_TEST(test_tensor_rules)
{
    const uint64_t huge[] = {UINT64_C(1) << 40, UINT64_C(1) << 40}, minus[] = {(uint64_t)-4, (uint64_t)-4};
    ck_assert_int_eq(one_tensor(1, (uint64_t[]){4}, 0, 0, 16), 0);
    ck_assert_int_eq(one_tensor(0, NULL, 0, 0, 4), 0);
    ck_assert_int_eq(one_tensor(1, (uint64_t[]){0}, 0, 0, 0), 0);
    ck_assert_int_eq(one_tensor(1, (uint64_t[]){4}, 0, 0, 15), PARE_E_FORMAT);
    ck_assert_int_eq(one_tensor(1, (uint64_t[]){4}, 0, 32, 64), PARE_E_FORMAT);
    ck_assert_int_eq(one_tensor(5, (uint64_t[]){1, 1, 1, 1, 1}, 0, 0, 4), PARE_E_FORMAT);
    ck_assert_int_eq(one_tensor(2, huge, 0, 0, 16), PARE_E_FORMAT);
    ck_assert_int_eq(one_tensor(2, minus, 0, 0, 64), PARE_E_FORMAT);
    ck_assert_int_eq(one_tensor(1, (uint64_t[]){4}, 99, 0, 16), PARE_E_FORMAT);
    ck_assert_int_eq(one_tensor(1, (uint64_t[]){4}, UINT32_MAX, 0, 16), PARE_E_FORMAT);
    ck_assert_int_eq(one_tensor(2, (uint64_t[]){16, 2}, 8, 0, 34), PARE_E_FORMAT);
    ck_assert_int_eq(one_tensor(2, (uint64_t[]){32, 2}, 8, 0, 68), 0);
}
END_TEST

START_TEST(test_key_rules)
{
    static writer w;
    const uint32_t alignments[] = {0, 3, 48, 0x80000001};
    for (size_t i = 0; i < sizeof alignments / sizeof alignments[0]; i++) {
        put_header(&w, 3, 0, 1);
        put_kv(&w, "general.alignment", U32, alignments[i], 4);
        ck_assert_int_eq(parse_only(&w), PARE_E_FORMAT);
    }
    put_header(&w, 3, 0, 2);
    put_kv(&w, "k", U8, 1, 1);
    put_kv(&w, "k", U8, 1, 1);
    ck_assert_int_eq(parse_only(&w), PARE_E_FORMAT);
    put_header(&w, 3, 0, 1);
    put_kv(&w, "", U8, 1, 8);
    ck_assert_int_eq(parse_only(&w), PARE_E_FORMAT);
    put_header(&w, 3, 0, 1);
    put_kv(&w, "k", 13, 1, 8);
    ck_assert_int_eq(parse_only(&w), PARE_E_FORMAT);
    put_header(&w, 3, 0, 1);
    put_kv(&w, "k", STRING, UINT64_MAX, 8);
    ck_assert_int_eq(parse_only(&w), PARE_E_FORMAT);
    put_header(&w, 3, 0, 1);
    put_kv(&w, "k", ARRAY, ARRAY, 4); /* nested */
    put(&w, 0, 8);
    ck_assert_int_eq(parse_only(&w), PARE_E_FORMAT);
    put_header(&w, 3, 0, 1);
    put_kv(&w, "k", ARRAY, F64, 4);
    put(&w, UINT64_C(1) << 61, 8); /* times 8 wraps to 0 */
    ck_assert_int_eq(parse_only(&w), PARE_E_FORMAT);
}
END_TEST

START_TEST(test_counts)
{
    static writer w;
    put_header(&w, 3, UINT64_C(1) << 62, 0);
    ck_assert_int_eq(parse_only(&w), PARE_E_FORMAT);
    put_header(&w, 3, 0, UINT64_MAX);
    ck_assert_int_eq(parse_only(&w), PARE_E_FORMAT);
    put_header(&w, 3, 2, 0);
    put_info(&w, "x", 1, (uint64_t[]){0}, 0, 0);
    put_info(&w, "x", 1, (uint64_t[]){0}, 0, 0);
    ck_assert_int_eq(parse_only(&w), PARE_E_FORMAT);
}
END_TEST

/* ---- block formats ---------------------------------------------------------------------------------------------- */

/* A block built from the numbers it stands for: value i is scale[i / part] * q[i] - offset[i / part]. What is read must be
 * these, so the layout of the bits is told twice, here as llama.cpp's reference quantisers write them. */
typedef struct block_spec {
    const char *name;
    int32_t dtype, ggml;
    int n, part, bits;
    int zero; /* subtracted from the stored number */
    int bytes;
} block_spec;

static const block_spec specs[] = {
    {"Q4_0", PARE__Q4_0, 2, 32, 32, 4, 8, 18},     {"Q4_1", PARE__Q4_1, 3, 32, 32, 4, 0, 20},
    {"Q5_0", PARE__Q5_0, 6, 32, 32, 5, 16, 22},    {"Q5_1", PARE__Q5_1, 7, 32, 32, 5, 0, 24},
    {"Q4_K", PARE__Q4_K, 12, 256, 32, 4, 0, 144},  {"Q5_K", PARE__Q5_K, 13, 256, 32, 5, 0, 176},
    {"Q6_K", PARE__Q6_K, 14, 256, 16, 6, 32, 210},
};
enum { N_SPEC = sizeof specs / sizeof specs[0], D_BITS = 0x3c00, E_BITS = 0x3400, MAX_BLOCK = 256 };

/* Numbers of a block: stored values, and per part a scale and an offset of six bits (signed eight: Q6_K). */
typedef struct block_values {
    int q[MAX_BLOCK], scale[16], offset[16];
} block_values;

static block_values make_values(const block_spec *s, unsigned seed)
{
    block_values v;
    unsigned state = seed * 2654435761u + 12345;
    for (int i = 0; i < MAX_BLOCK; i++) v.q[i] = (int)((state = state * 1664525u + 1013904223u) >> 20) % (1 << s->bits);
    for (int i = 0; i < 16; i++) {
        v.scale[i] = (int)((state = state * 1664525u + 1013904223u) >> 20) % 64;
        v.offset[i] = (int)((state = state * 1664525u + 1013904223u) >> 20) % 64;
        if (s->dtype == PARE__Q6_K) v.scale[i] = v.scale[i] * 4 - 128;
    }
    return v;
}

/* d = 1 and e = 0.25 in f16, where the format has them. */
static void put_half(uint8_t *at, unsigned bits)
{
    at[0] = (uint8_t)bits;
    at[1] = (uint8_t)(bits >> 8);
}

/* Blocks of 32: as quantize_row_q4_0_reference and its like fill them. */
static void pack_small(const block_spec *s, const block_values *v, uint8_t *b)
{
    const int has_offset = s->zero == 0, has_high = s->bits == 5;
    uint8_t *high = b + 2 + 2 * has_offset, *low = high + 4 * has_high;
    uint32_t fifth = 0;
    put_half(b, D_BITS);
    if (has_offset) put_half(b + 2, E_BITS);
    for (int j = 0; j < 16; j++) {
        low[j] = (uint8_t)((v->q[j] & 15) | (v->q[j + 16] & 15) << 4);
        fifth |= (uint32_t)(v->q[j] >> 4) << j | (uint32_t)(v->q[j + 16] >> 4) << (j + 16);
    }
    for (int i = 0; i < 4 && has_high; i++) high[i] = (uint8_t)(fifth >> (8 * i));
}

/* Q4_K and Q5_K: scales in 12 bytes, then (Q5_K) 32 bytes of fifth bits, then nibbles of 64 values at a time. */
static void pack_k(const block_spec *s, const block_values *v, uint8_t *b)
{
    uint8_t *scales = b + 4, *high = b + 16, *low = s->bits == 5 ? b + 48 : b + 16;
    put_half(b, D_BITS);
    put_half(b + 2, E_BITS);
    for (int j = 0; j < 8; j++) {
        const int ls = v->scale[j], lm = v->offset[j];
        if (j < 4) {
            scales[j] |= (uint8_t)ls;
            scales[j + 4] |= (uint8_t)lm;
        } else {
            scales[j + 4] = (uint8_t)((ls & 15) | (lm & 15) << 4);
            scales[j - 4] |= (uint8_t)((ls >> 4) << 6);
            scales[j] |= (uint8_t)((lm >> 4) << 6);
        }
    }
    for (int n = 0; n < 256; n += 64)
        for (int j = 0; j < 32; j++) {
            const int first = v->q[n + j], second = v->q[n + j + 32];
            low[n / 2 + j] = (uint8_t)((first & 15) | (second & 15) << 4);
            if (s->bits < 5) continue;
            if (first > 15) high[j] |= (uint8_t)(1 << (n / 32));
            if (second > 15) high[j] |= (uint8_t)(2 << (n / 32));
        }
}

static void pack_q6(const block_values *v, uint8_t *b)
{
    uint8_t *low = b, *high = b + 128;
    for (int j = 0; j < 256; j += 128, low += 64, high += 32)
        for (int l = 0; l < 32; l++) {
            const int q1 = v->q[j + l], q2 = v->q[j + l + 32], q3 = v->q[j + l + 64], q4 = v->q[j + l + 96];
            low[l] = (uint8_t)((q1 & 15) | (q3 & 15) << 4);
            low[l + 32] = (uint8_t)((q2 & 15) | (q4 & 15) << 4);
            high[l] = (uint8_t)(q1 >> 4 | (q2 >> 4) << 2 | (q3 >> 4) << 4 | (q4 >> 4) << 6);
        }
    for (int i = 0; i < 16; i++) b[192 + i] = (uint8_t)v->scale[i];
    put_half(b + 208, D_BITS);
}

/* The value that element i of the block has; exact in float, since d and e are powers of two. */
static float block_value(const block_spec *s, const block_values *v, int i)
{
    const int part = i / s->part, q = v->q[i] - s->zero;
    if (s->n == 32) return s->zero ? (float)q : (float)q + 0.25F;
    if (s->dtype == PARE__Q6_K) return (float)v->scale[part] * (float)q;
    return (float)(v->scale[part] * q) - 0.25F * (float)v->offset[part];
}

START_TEST(test_blocks)
{
    enum { N_BLOCK = 5 };
    const block_spec *s = &specs[_i];
    uint8_t bytes[N_BLOCK * 210] = {0};
    float out[N_BLOCK * MAX_BLOCK];
    block_values v[N_BLOCK];
    for (int k = 0; k < N_BLOCK; k++) {
        uint8_t *b = bytes + k * s->bytes;
        v[k] = make_values(s, (unsigned)(k + 1));
        if (s->n == 32)
            pack_small(s, &v[k], b);
        else if (s->dtype == PARE__Q6_K)
            pack_q6(&v[k], b);
        else
            pack_k(s, &v[k], b);
    }
    const pare_tensor t = {.name = "t", .dtype = s->dtype, .n_dim = 1, .shape = {N_BLOCK * s->n}, .data = bytes};
    ck_assert_int_eq(pare__dtype_from_ggml(s->ggml), s->dtype);
    ck_assert_int_eq(pare__dtype_bytes(s->dtype, N_BLOCK * s->n), N_BLOCK * s->bytes);
    ck_assert_str_eq(pare__dtype_name(s->dtype), s->name);
    ck_assert(pare__dtype_is_weight(s->dtype));
    pare__tensor_f32(&t, out);
    for (int i = 0; i < N_BLOCK * s->n; i++)
        ck_assert_msg(out[i] == block_value(s, &v[i / s->n], i % s->n), "%s: value %d is %g, must be %g", s->name, i,
                      (double)out[i], (double)block_value(s, &v[i / s->n], i % s->n));
    pare__tensor_f32_part(&t, 2 * s->n, 2 * s->n, out);
    ck_assert(out[s->n] == block_value(s, &v[3], 0));
}
END_TEST

/* What is listed but not read, and no name of safetensors. */
START_TEST(test_opaque)
{
    static const int32_t types[] = {9, 10, 11, 15, 25, 39, 40};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const int32_t dtype = pare__dtype_from_ggml(types[i]);
        ck_assert(dtype >= PARE__OPAQUE && !pare__dtype_is_weight(dtype));
    }
    for (int i = 0; i < N_SPEC; i++) ck_assert_int_eq(pare__dtype_from_name(specs[i].name), -1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gguf");
    TCase *tc = tcase_create("parse");
    tcase_add_test(tc, test_accepts);
    tcase_add_test(tc, test_truncated);
    tcase_add_test(tc, test_version);
    tcase_add_test(tc, test_tensor_rules);
    tcase_add_test(tc, test_key_rules);
    tcase_add_test(tc, test_counts);
    tcase_add_loop_test(tc, test_blocks, 0, N_SPEC);
    tcase_add_test(tc, test_opaque);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
