/* SPDX-License-Identifier: MIT */
/* write/: result files round trip, are the same bytes twice and count over the clip; npz, tensors and pictures. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "write_util.h"

/* ---- content ------------------------------------------------------------------------------------------------- */

START_TEST(round_trip)
{
    pare_error err;
    ck_assert_msg(write_clip(in_dir("a.safetensors"), 3, 1, &err) == 0, "%s", err.text);
    pare_tensors *t = open_tensors(in_dir("a.safetensors"));
    const pare_tensor *embeds = tensor(t, "embeds", PARE_F32, 3 * K);
    ck_assert_int_eq(embeds->shape[1], D);
    ck_assert_float_eq(f32_at(embeds, K * D + 1), 101.0F);
    const pare_tensor *index = tensor(t, "index", PARE_I32, 3 * K), *column = tensor(t, "map.index", PARE_I32, 6 * K);
    const pare_tensor *anchor = tensor(t, "map.anchor", PARE_I32, 3 * K);
    const pare_tensor *start = tensor(t, "map.row_start", PARE_I64, 3 * K + 1);
    for (int64_t i = 0; i < 3 * K; i++) {
        ck_assert_int_eq(i32_at(index, i), i32_at(anchor, i));
        ck_assert_int_eq(i32_at(column, i64_at(start, i) + 1), i32_at(anchor, i));
        ck_assert_int_eq(i64_at(start, i + 1), 2 * (i + 1));
    }
    const pare_tensor *thw = tensor(t, "thw", PARE_I32, 3 * K), *grid = tensor(t, "grid_thw", PARE_I64, 1);
    for (int64_t i = 0; i < 3 * K; i++)
        ck_assert_int_eq((i32_at(thw, 3 * i) * GRID_H + i32_at(thw, 3 * i + 1)) * GRID_W + i32_at(thw, 3 * i + 2),
                         i32_at(index, i));
    ck_assert_int_eq(i64_at(grid, 0), 3 * STEPS);
    ck_assert_int_eq(i64_at(grid, 1), 2 * GRID_H);
    ck_assert_int_eq(i64_at(grid, 2), 2 * GRID_W);
    tensor(t, "pts", PARE_F64, 3 * STEPS);
    tensor(t, "kind", PARE_U8, 3 * K);
    tensor(t, "scores", PARE_F32, 3 * N);
    tensor(t, "logits", PARE_F32, 3 * STEPS);
    tensor(t, "pooled", PARE_F32, 3 * STEPS);
    ck_assert_int_eq(tensor(t, "prefix", PARE_F32, 3 * STEPS)->shape[2], D);
    ck_assert_ptr_null(pare__tensors_find(t, "map.gain"));
    ck_assert_ptr_null(pare__tensors_find(t, "map.member"));
    ck_assert_str_eq(json_string_value(json_object_get(t->meta, "model")), "a \"quoted\" name");
    ck_assert_str_eq(json_string_value(json_object_get(t->meta, "complete")), "true");
    ck_assert_str_eq(json_string_value(json_object_get(t->meta, "schema_version")), "1");
    ck_assert_str_eq(json_string_value(json_object_get(t->meta, "unit")), "2");
    pare__tensors_free(&t);
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(header_is_aligned_and_dense)
{
    pare_error err;
    ck_assert_int_eq(write_clip(in_dir("a.safetensors"), 1, 0, &err), 0);
    size_t size;
    char *bytes = slurp(in_dir("a.safetensors"), &size);
    uint64_t n;
    memcpy(&n, bytes, 8);
    ck_assert_uint_eq(n % 8, 0);
    pare_tensors *t = open_tensors(in_dir("a.safetensors"));
    ck_assert_str_eq(json_string_value(json_object_get(t->meta, "complete")), "false");
    size_t total = 8 + n;
    for (int64_t i = 0; i < t->n; i++) {
        const size_t at = (size_t)((const char *)t->t[i].data - (const char *)t->map);
        ck_assert_uint_eq(at % (size_t)pare__dtype_size(t->t[i].dtype), 0);
        total += (size_t)t->n_bytes[i];
    }
    ck_assert_uint_eq(total, size);
    pare__tensors_free(&t);
    free(bytes);
}
END_TEST

START_TEST(same_bytes_twice)
{
    static const char *const suffix[] = {"safetensors", "npz"};
    for (int i = 0; i < 2; i++) {
        char name[2][32];
        size_t size[2];
        char *bytes[2];
        for (int j = 0; j < 2; j++) {
            snprintf(name[j], sizeof name[j], "%d.%s", j, suffix[i]);
            ck_assert_int_eq(write_clip(in_dir(name[j]), 5, 1, NULL), 0);
            bytes[j] = slurp(in_dir(name[j]), &size[j]);
        }
        ck_assert_uint_eq(size[0], size[1]);
        ck_assert_mem_eq(bytes[0], bytes[1], size[0]);
        free(bytes[0]);
        free(bytes[1]);
    }
}
END_TEST

/* Gain, members and scores that only the second of three windows has. */
START_TEST(late_columns_are_filled)
{
    pare_writer *w = NULL;
    window x;
    ck_assert_int_eq(pare__writer_open(&w, in_dir("late.safetensors"), NULL, NULL), 0);
    for (int i = 0; i < 3; i++) {
        make_window(&x, i);
        x.v.scores = i == 1 ? x.scores : NULL;
        x.v.map.gain = i == 1 ? x.gain : NULL;
        x.v.map.member_start = i == 1 ? x.member_start : NULL;
        x.v.map.member = i == 1 ? x.member : NULL;
        ck_assert_int_eq(pare__writer_append(w, &x.v, NULL), 0);
    }
    ck_assert_int_eq(pare__writer_finish(w, 1, NULL), 0);
    pare__writer_close(&w);
    pare_tensors *t = open_tensors(in_dir("late.safetensors"));
    const pare_tensor *gain = tensor(t, "map.gain", PARE_F32, 3 * K), *scores = tensor(t, "scores", PARE_F32, 3 * N);
    const pare_tensor *member = tensor(t, "map.member", PARE_I32, 2 * K + N + 2 * K);
    const pare_tensor *start = tensor(t, "map.member_start", PARE_I64, 3 * K + 1);
    for (int i = 0; i < 3 * K; i++) ck_assert_float_eq(f32_at(gain, i), i / K == 1 ? 2.0F : 1.0F);
    for (int i = 0; i < 3 * N; i++) ck_assert_int_eq(isnan(f32_at(scores, i)) != 0, i / N != 1);
    ck_assert_int_eq(i64_at(start, K), 2 * K);
    ck_assert_int_eq(i64_at(start, K + 1), 2 * K + 3);
    ck_assert_int_eq(i64_at(start, 3 * K), 4 * K + N);
    for (int i = 0; i < N; i++) ck_assert_int_eq(i32_at(member, 2 * K + i), N + i);
    ck_assert_int_eq(i32_at(member, 2 * K + N), 2 * N);
    ck_assert_int_eq(i32_at(member, 1), 1);
    pare__tensors_free(&t);
}
END_TEST

/* A window of which nothing is left: arrays of no rows may be NULL. */
START_TEST(empty_windows)
{
    pare_writer *w = NULL;
    window x;
    ck_assert_int_eq(pare__writer_open(&w, in_dir("e.safetensors"), NULL, NULL), 0);
    for (int i = 0; i < 3; i++) {
        make_window(&x, i);
        x.v.map.member_start = i == 1 ? x.member_start : NULL;
        x.v.map.member = i == 1 ? x.member : NULL;
        if (i != 1) {
            x.v.k = 0;
            x.v.embeds = x.v.box = x.v.sizes = NULL;
            x.v.place = NULL, x.v.kind = NULL, x.v.index = NULL;
            x.v.map = (pare_map){.n_in = N};
        }
        ck_assert_int_eq(pare__writer_append(w, &x.v, NULL), 0);
    }
    ck_assert_int_eq(pare__writer_finish(w, 1, NULL), 0);
    pare__writer_close(&w);
    pare_tensors *t = open_tensors(in_dir("e.safetensors"));
    tensor(t, "embeds", PARE_F32, K);
    tensor(t, "pts", PARE_F64, 3 * STEPS);
    ck_assert_int_eq(i32_at(tensor(t, "map.anchor", PARE_I32, K), 0), N + 1);
    ck_assert_int_eq(i64_at(tensor(t, "map.member_start", PARE_I64, K + 1), K), N);
    pare__tensors_free(&t);
}
END_TEST

/* The spool's buffers and pieces are crossed by more rows than they hold. */
START_TEST(many_windows)
{
    ck_assert_int_eq(write_clip(in_dir("many.safetensors"), 2000, 1, NULL), 0);
    pare_tensors *t = open_tensors(in_dir("many.safetensors"));
    const pare_tensor *anchor = tensor(t, "map.anchor", PARE_I32, 2000 * K);
    for (int64_t i = 0; i < (int64_t)2000 * K; i++) ck_assert_int_eq(i32_at(anchor, i), i / K * N + 1 + i % K * 3);
    pare__tensors_free(&t);
}
END_TEST

static uint32_t le(const char *bytes, int n)
{
    uint32_t v = 0;
    for (int i = 0; i < n; i++) v |= (uint32_t)(uint8_t)bytes[i] << (8 * i);
    return v;
}

/* Walks the directory from the end of the file: every member is where it says, stored, with the right checksum. */
START_TEST(npz_is_a_zip)
{
    ck_assert_int_eq(write_clip(in_dir("a.npz"), 3, 1, NULL), 0);
    size_t size;
    char *bytes = slurp(in_dir("a.npz"), &size);
    const char *end = bytes + size - 22;
    ck_assert_uint_eq(le(end, 4), 0x06054b50);
    const uint32_t n = le(end + 10, 2);
    const char *entry = bytes + le(end + 16, 4);
    ck_assert_uint_gt(n, 16);
    for (uint32_t i = 0; i < n; i++, entry += 46 + le(entry + 28, 2) + le(entry + 30, 2)) {
        ck_assert_uint_eq(le(entry, 4), 0x02014b50);
        const char *local = bytes + le(entry + 42, 4);
        ck_assert_uint_eq(le(local, 4), 0x04034b50);
        ck_assert_mem_eq(local + 8, entry + 10, 18); /* method .. sizes */
        const char *data = local + 30 + le(local + 26, 2) + le(local + 28, 2);
        ck_assert_uint_eq(crc32(0, (const uint8_t *)data, le(local + 22, 4)), le(local + 14, 4));
        if (i > 0) ck_assert_uint_eq((10 + le(data + 8, 2)) % 64, 0);
    }
    ck_assert_ptr_eq(entry, end);
    free(bytes);
}
END_TEST

/* Without numpy here the bytes are tested above all the same. */
START_TEST(npz_is_numpy)
{
    static const char *const python[] = {"python3", "/usr/bin/python3"};
    char command[1200];
    int i = 0;
    for (; i < 2; i++) {
        snprintf(command, sizeof command, "%s -c 'import numpy' 2>/dev/null", python[i]);
        if (system(command) == 0) break;
    }
    if (i == 2) return;
    ck_assert_int_eq(write_clip(in_dir("a.npz"), 3, 1, NULL), 0);
    snprintf(command, sizeof command,
             "%s -c \"import numpy,json,zipfile; f=numpy.load('%s'); assert zipfile.ZipFile('%s').testzip() is None;"
             "e=f['embeds']; assert e.shape==(12,5) and e.dtype=='f4' and e[4,1]==101;"
             "assert (f['index']==f['map.anchor']).all() and f['pts'].dtype=='f8' and f['kind'].dtype=='u1';"
             "assert f['grid_thw'].tolist()==[[6,4,6]] and f['map.row_start'][-1]==24;"
             "assert json.loads(f['metadata.json'])['complete']=='true'\"",
             python[i], in_dir("a.npz"), in_dir("a.npz"));
    ck_assert_int_eq(system(command), 0);
}
END_TEST

START_TEST(tensors_save_round_trip)
{
    const float a[6] = {1, 2, 3, 4, 5, 6};
    const uint8_t b[3] = {7, 8, 9};
    const int64_t c = -5;
    pare_tensor t[4] = {{"b", PARE_U8, 1, {3}, b},
                        {"a", PARE_F32, 2, {2, 3}, a},
                        {"c", PARE_I64, 0, {0}, &c},
                        {"empty", PARE_F32, 2, {0, 3}, NULL}};
    static const char *const meta[][2] = {{"k", "v\n"}, {"input", "caf\xe9.png"}};
    pare_error err;
    ck_assert_msg(pare_tensors_save(in_dir("t.safetensors"), t, 4, meta, 2, &err) == 0, "%s", err.text);
    pare_tensors *f = open_tensors(in_dir("t.safetensors"));
    ck_assert_int_eq(f->n, 4);
    ck_assert_float_eq(f32_at(tensor(f, "a", PARE_F32, 2), 5), 6.0F);
    ck_assert_int_eq(i64_at(pare__tensors_find(f, "c"), 0), -5);
    ck_assert_int_eq(((const uint8_t *)tensor(f, "b", PARE_U8, 3)->data)[2], 9);
    ck_assert_str_eq(json_string_value(json_object_get(f->meta, "k")), "v\n");
    ck_assert_str_eq(json_string_value(json_object_get(f->meta, "input")), "caf?.png");
    pare__tensors_free(&f);
    t[1].name = "b";
    ck_assert_int_eq(pare_tensors_save(in_dir("u.safetensors"), t, 2, NULL, 0, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "'b'"));
    t[1].name = "\xff\xfe";
    ck_assert_int_eq(pare_tensors_save(in_dir("u.safetensors"), t, 2, NULL, 0, &err), PARE_E_INVALID);
    t[1] = (pare_tensor){"a", 100, 1, {3}, a};
    ck_assert_int_eq(pare_tensors_save(in_dir("u.safetensors"), t, 2, NULL, 0, &err), PARE_E_INVALID);
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

START_TEST(png_is_a_picture)
{
    static uint8_t rgb[8 * 4 * 3];
    ck_assert_int_eq(pare_png_save(in_dir("p.png"), rgb, 8, 4, NULL), 0);
    size_t size;
    char *bytes = slurp(in_dir("p.png"), &size);
    ck_assert_mem_eq(bytes, "\x89PNG\r\n\x1a\n", 8);
    ck_assert_mem_eq(bytes + size - 8, "IEND", 4);
    ck_assert_int_eq(bytes[19], 8);
    ck_assert_int_eq(bytes[23], 4);
    free(bytes);
    ck_assert_int_eq(pare_png_save(in_dir("q.png"), rgb, 0, 4, NULL), PARE_E_INVALID);
    ck_assert_int_eq(pare_png_save(in_dir("q.png"), rgb, 1 << 20, 4, NULL), PARE_E_LIMIT);
    ck_assert_int_eq(count_files(), 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("write");
    const struct {
        const char *name;
        const TTest *test[12];
    } cases[] = {
        {"content",
         {round_trip, header_is_aligned_and_dense, same_bytes_twice, late_columns_are_filled, empty_windows,
          many_windows, npz_is_a_zip, npz_is_numpy, tensors_save_round_trip, png_is_a_picture}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TCase *c = tcase_create(cases[i].name);
        tcase_add_checked_fixture(c, make_dir, remove_dir);
        for (int j = 0; cases[i].test[j] != NULL; j++) tcase_add_test(c, cases[i].test[j]);
        suite_add_tcase(s, c);
    }
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
