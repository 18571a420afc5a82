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
    ck_assert(!pare__dtype_is_weight(pare__tensors_find(t, "q4")->dtype));
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
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
