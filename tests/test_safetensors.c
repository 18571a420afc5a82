/* SPDX-License-Identifier: MIT */
/* The safetensors reader: what it accepts, converts and refuses. Files are built here from a header text and bytes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "model/tensorfile.h"

enum { MAX_FILE = 1 << 16 };

static pare_error err;

/* A file of `json` and n_data bytes of `data` (NULL = zeros), in a fresh allocation of its exact size. */
static uint8_t *build(const char *json, size_t n_json, const void *data, size_t n_data, size_t *size)
{
    uint8_t *file = malloc(8 + n_json + n_data);
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 8; i++) file[i] = (uint8_t)((uint64_t)n_json >> (8 * i));
    memcpy(file + 8, json, n_json);
    if (data)
        memcpy(file + 8 + n_json, data, n_data);
    else
        memset(file + 8 + n_json, 0, n_data);
    *size = 8 + n_json + n_data;
    return file;
}

static int parse_n(const char *json, size_t n_json, size_t n_data)
{
    size_t size;
    pare_tensors *t = NULL;
    uint8_t *file = build(json, n_json, NULL, n_data, &size);
    memset(&err, 0, sizeof err);
    int rc = pare__safetensors_parse(&t, "f", file, size, &err);
    ck_assert(rc == 0 || (t == NULL && err.code == rc && err.text[0]));
    pare__tensors_free(&t);
    free(file);
    return rc;
}

static int parse(const char *json, size_t n_data) { return parse_n(json, strlen(json), n_data); }

typedef struct refusal {
    const char *json;
    size_t n_data;
    int code;
} refusal;

static const refusal refusals[] = {
    {"", 0, PARE_E_FORMAT},
    {"[]", 0, PARE_E_FORMAT},
    {" {}", 0, PARE_E_FORMAT},
    {"{}", 1, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}} x", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F33\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"Q8_0\",\"shape\":[32],\"data_offsets\":[0,34]}}", 34, PARE_E_FORMAT},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, PARE_E_FORMAT},
    {"{\"a\":3}", 0, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1.0],\"data_offsets\":[0,4]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[true],\"data_offsets\":[0,4]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4e0]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,4]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,99999999999999999999]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", 0, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F64\",\"shape\":[281474976710656,65536],\"data_offsets\":[0,0]}}", 0, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3],\"data_offsets\":[0,1]}}", 1, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, PARE_E_LIMIT},
    {"{\"__metadata__\":{\"a\":1}}", 0, PARE_E_FORMAT},
    {"{\"__metadata__\":[]}", 0, PARE_E_FORMAT},
    {"{\"a\\u0000b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
     "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[1,2]}}",
     2, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[1,3]}}",
     3, PARE_E_FORMAT},
    {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
     "\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]}}",
     3, PARE_E_FORMAT},
};

START_TEST(test_refuses)
{
    const refusal *r = &refusals[_i];
    int rc = parse(r->json, r->n_data);
    ck_assert_msg(rc == r->code, "%s: %d, expected %d (%s)", r->json, rc, r->code, err.text);
}
END_TEST

static const char good[] = "{\"__metadata__\":{\"format\":\"pt\"},"
                           "\"b\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[0,8]},"
                           "\"e\":{\"dtype\":\"F32\",\"shape\":[0,3],\"data_offsets\":[8,8]},"
                           "\"q\":{\"dtype\":\"F8_E4M3\",\"shape\":[2],\"data_offsets\":[8,10]},"
                           "\"a\":{\"dtype\":\"I64\",\"shape\":[],\"data_offsets\":[10,18]}}  ";

START_TEST(test_accepts)
{
    size_t size;
    const float b[2] = {1.5F, -2};
    uint8_t data[18] = {0};
    memcpy(data, b, sizeof b);
    data[10] = 7;
    uint8_t *file = build(good, strlen(good), data, sizeof data, &size);
    pare_tensors *t = NULL;
    ck_assert_int_eq(pare__safetensors_parse(&t, "f", file, size, &err), 0);
    ck_assert_int_eq(t->n, 4);
    ck_assert_int_eq(t->n_public, 3);
    ck_assert_str_eq(t->t[0].name, "b");
    ck_assert_str_eq(t->t[3].name, "q");
    ck_assert_str_eq(pare__dtype_name(t->t[3].dtype), "F8_E4M3");
    ck_assert(!pare__dtype_is_weight(t->t[3].dtype));
    ck_assert_str_eq(json_string_value(json_object_get(t->meta, "format")), "pt");
    float out[2];
    pare__tensor_f32(pare__tensors_find(t, "b"), out);
    ck_assert(out[0] == 1.5F && out[1] == -2);
    pare__tensor_f32(pare__tensors_find(t, "a"), out);
    ck_assert(out[0] == 7 && out[1] == -2);
    ck_assert_int_eq(pare__tensor_count(pare__tensors_find(t, "e")), 0);
    ck_assert_int_eq(pare__tensor_count(pare__tensors_find(t, "a")), 1);
    ck_assert_ptr_null(pare__tensors_find(t, "c"));
    pare__tensors_free(&t);
    ck_assert_ptr_null(t);
    free(file);
}
END_TEST

/* Every cut of a good file is refused without reading past its end (ASan watches). */
START_TEST(test_truncated)
{
    size_t size;
    uint8_t *file = build(good, strlen(good), NULL, 18, &size);
    for (size_t n = 0; n < size; n++) {
        pare_tensors *t = NULL;
        uint8_t *cut = malloc(n ? n : 1);
        memcpy(cut, file, n);
        ck_assert_int_eq(pare__safetensors_parse(&t, "f", cut, n, &err), PARE_E_FORMAT);
        ck_assert_ptr_null(t);
        free(cut);
    }
    free(file);
}
END_TEST

typedef struct conversion {
    const char *dtype;
    uint8_t bytes[8];
    size_t n_byte;
    float value;
} conversion;

static const conversion conversions[] = {
    {"F16", {0x00, 0x3e}, 2, 1.5F},
    {"F16", {0x01, 0x00}, 2, 0x1p-24F},
    {"BF16", {0xc0, 0xbf}, 2, -1.5F},
    {"F64", {0, 0, 0, 0, 0, 0, 0xf8, 0x3f}, 8, 1.5F},
    {"I32", {0xfe, 0xff, 0xff, 0xff}, 4, -2},
    {"I64", {0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 8, -2},
    {"U8", {0xfe}, 1, 254},
    {"I8", {0xfe}, 1, -2},
    {"BOOL", {0x02}, 1, 1},
};

/* Behind a header of odd length, so that nothing is aligned. */
START_TEST(test_converts)
{
    const conversion *c = &conversions[_i];
    char json[128];
    size_t size;
    float out = 0;
    pare_tensors *t = NULL;
    int n = snprintf(json, sizeof json, "{\"x\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,%zu]}}", c->dtype,
                     c->n_byte);
    n += n % 2 == 0;
    json[n - 1] = json[n - 1] == '}' ? '}' : ' ';
    uint8_t *file = build(json, (size_t)n, c->bytes, c->n_byte, &size);
    ck_assert_msg(pare__safetensors_parse(&t, "f", file, size, &err) == 0, "%s", err.text);
    pare__tensor_f32(&t->t[0], &out);
    ck_assert_msg(out == c->value, "%s: %g, expected %g", c->dtype, (double)out, (double)c->value);
    pare__tensors_free(&t);
    free(file);
}
END_TEST

START_TEST(test_limits)
{
    char *json = malloc(MAX_FILE);
    int n = snprintf(json, MAX_FILE, "{\"");
    memset(json + n, 'x', PARE__MAX_NAME + 1);
    n += PARE__MAX_NAME + 1;
    snprintf(json + n, (size_t)(MAX_FILE - n), "\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}");
    ck_assert_int_eq(parse(json, 1), PARE_E_LIMIT);
    memset(json, '[', MAX_FILE);
    memcpy(json, "{\"a\":", 5);
    ck_assert_int_eq(parse_n(json, MAX_FILE, 0), PARE_E_FORMAT);
    free(json);
}
END_TEST

START_TEST(test_missing_file)
{
    pare_tensors *t = NULL;
    ck_assert_int_eq(pare__safetensors_open(&t, PARE_TEST_DIR "/no such file", &err), PARE_E_NOTFOUND);
    ck_assert_ptr_null(t);
    ck_assert_int_eq(pare__tensors_open(&t, PARE_TEST_DIR, &err), PARE_E_IO);
    ck_assert_ptr_null(t);
    ck_assert_int_eq(pare__tensors_open(&t, "/dev/null", &err), PARE_E_IO);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("safetensors");
    TCase *tc = tcase_create("parse");
    tcase_add_loop_test(tc, test_refuses, 0, (int)(sizeof refusals / sizeof refusals[0]));
    tcase_add_test(tc, test_accepts);
    tcase_add_test(tc, test_truncated);
    tcase_add_loop_test(tc, test_converts, 0, (int)(sizeof conversions / sizeof conversions[0]));
    tcase_add_test(tc, test_limits);
    tcase_add_test(tc, test_missing_file);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
