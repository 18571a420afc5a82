/* SPDX-License-Identifier: MIT */
/* The protocol of selector programs and their failures, against a view of 6 rows; sh and od are the programs. npy
 * headers. */
#include <check.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../tools/npy.h"
#include "../tools/selector_cmd.h"
#include "core/map.h"
#include "select/selection.h"

enum { N = 6 };

static const int64_t row_start[] = {0, N}, number[N] = {0, 1, 2, 3, 4, 5};
static const int32_t place[N * 3] = {0, 0, 0, 0, 0, 1, 0, 0, 2, 0, 1, 0, 0, 1, 1, 0, 1, 2};
static const float sizes[N] = {1, 1, 1, 1, 1, 1}, tokens[N * 2] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
static const pare_slot slot = {.tile_rows = 1, .tile_cols = 1, .grid_h = 2, .grid_w = 3};
static const pare_custom_array array = {.name = "tokens", .layer = -1, .width = 2, .data = tokens};

static pare_custom_view view(int64_t k)
{
    return (pare_custom_view){.struct_size = sizeof(pare_custom_view),
                              .site = "output",
                              .block = -1,
                              .n = N,
                              .k = k,
                              .n_slot = 1,
                              .slot = &slot,
                              .row_start = row_start,
                              .place = place,
                              .index = number,
                              .sizes = sizes,
                              .array = &array,
                              .n_array = 1,
                              .seed = 7};
}

/* One request to an opened program; the finished map is the caller's. */
static int ask(cli_selector *s, int64_t k, pare__map *map, pare_error *err)
{
    const pare_custom_view v = view(k);
    pare__map_begin(map, N);
    pare_selection out = {.map = map, .n = N};
    const int rc = cli_selector_select(s, &v, &out, err);
    return rc ? rc : pare__map_finish(map, NULL, 1, err);
}

static int ask_once(const char *command, double timeout, int64_t k, pare__map *map, pare_error *err)
{
    cli_selector *s;
    pare_error last = {0};
    ck_assert_int_eq(cli_selector_open(&s, command, timeout, NULL, err), 0);
    const int rc = ask(s, k, map, err);
    const int closed = cli_selector_close(&s, &last);
    ck_assert_msg(rc != 0 || closed == 0, "%s", last.text);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
    return rc;
}

START_TEST(test_replies)
{
    pare__map map = {0};
    pare_error err = {0};
    ck_assert_int_eq(ask_once("sh -c 'cat >/dev/null & printf \"{\\\"indices\\\":2}\\n\\004\\0\\0\\0\\001\\0\\0\\0\"'",
                              5, -1, &map, &err),
                     0);
    ck_assert_int_eq(map.m.n_out, 2);
    ck_assert_int_eq(map.m.anchor[0], 1);
    ck_assert_int_eq(map.m.anchor[1], 4);
    /* Scores 0, 1, 0, 1, 0, 1 (as bytes of an f32 1.0): three best, ties to the lower index. */
    ck_assert_int_eq(ask_once("sh -c 'printf \"{\\\"scores\\\":6}\\n\"; for i in 1 2 3; do printf "
                              "\"\\0\\0\\0\\0\\0\\0\\200\\077\"; done'",
                              5, 2, &map, &err),
                     0);
    ck_assert_int_eq(map.m.n_out, 2);
    ck_assert_int_eq(map.m.anchor[0], 1);
    ck_assert_int_eq(map.m.anchor[1], 3);
    /* Rows as text, for programs that only print. */
    static const char *const text[] = {"echo '[4, 1]'", "echo '{\"indices\":[1,4]}'"};
    for (int i = 0; i < 2; i++) {
        ck_assert_msg(ask_once(text[i], 5, 2, &map, &err) == 0, "%s", err.text);
        ck_assert_int_eq(map.m.n_out, 2);
        ck_assert_int_eq(map.m.anchor[0], 1);
        ck_assert_int_eq(map.m.anchor[1], 4);
    }
    /* One row: .5 .5 0 0 0 0, anchored at the lower of the two. */
    ck_assert_int_eq(ask_once("sh -c 'printf \"{\\\"weights\\\":[1,6]}\\n\\0\\0\\0\\077\\0\\0\\0\\077\"; printf "
                              "\"\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\"'",
                              5, 1, &map, &err),
                     0);
    ck_assert_int_eq(map.m.n_out, 1);
    ck_assert_int_eq(map.m.row_start[1], 2);
    ck_assert_int_eq(map.m.anchor[0], 0);
    pare__map_fini(&map);
}
END_TEST

/* The request as the program reads it: the line, then 6 x 3 i32, 6 i64, 1 x 7 i32, 6 f32, 6 x 2 f32. */
START_TEST(test_request)
{
    pare__map map = {0};
    pare_error err = {0};
    char want[640], command[128], text[900] = "";
    snprintf(
        want, sizeof want,
        "{\"pare\":1,\"site\":\"output\",\"block\":-1,\"n\":6,\"k\":-1,\"seed\":7,\"grid\":[1,2,3],\"arrays\":["
        "{\"name\":\"place\",\"dtype\":\"i32\",\"shape\":[6,3]},{\"name\":\"index\",\"dtype\":\"i64\",\"shape\":[6]},"
        "{\"name\":\"slots\",\"dtype\":\"i32\",\"shape\":[1,7]},{\"name\":\"sizes\",\"dtype\":\"f32\",\"shape\":[6]},"
        "{\"name\":\"tokens\",\"dtype\":\"f32\",\"shape\":[6,2]}]}\n");
    snprintf(command, sizeof command, "sh -c 'head -c %zu >request; printf \"{\\\"indices\\\":0}\\n\"'",
             strlen(want) + sizeof place + sizeof number + sizeof slot + sizeof sizes + sizeof tokens);
    ck_assert_int_eq(ask_once(command, 5, -1, &map, &err), 0);
    FILE *f = fopen("request", "rb");
    ck_assert_ptr_nonnull(f);
    const size_t n = fread(text, 1, sizeof text, f), head = strlen(want);
    fclose(f);
    remove("request");
    ck_assert_int_gt((int)n, (int)head);
    ck_assert_mem_eq(text, want, head);
    const struct {
        const void *data;
        size_t size;
    } part[] = {{place, sizeof place},
                {number, sizeof number},
                {&slot, sizeof slot},
                {sizes, sizeof sizes},
                {tokens, sizeof tokens}};
    size_t rest = 0;
    for (size_t i = 0; i < sizeof part / sizeof *part; rest += part[i++].size)
        ck_assert_mem_eq(text + head + rest, part[i].data, part[i].size);
    ck_assert_int_eq((int)n, (int)(head + rest));
    pare__map_fini(&map);
}
END_TEST

typedef struct failure {
    const char *command;
    double timeout;
    int64_t k;
    int code;
    const char *text;
} failure;

static const failure failures[] = {
    {"nothing-is-called-so 2>/dev/null", 5, 2, PARE_E_IO, "exited with status 127 without a reply"},
    {"sh -c 'exit 3'", 5, 2, PARE_E_IO, "exited with status 3 without a reply"},
    {"kill -9 $$", 5, 2, PARE_E_IO, "ended by signal 9"},
    {"sleep 30", .2, 2, PARE_E_IO, "no reply within 0.2 s"},
    {"sh -c 'sleep 30 & sleep 30'", .2, 2, PARE_E_IO, "no reply within 0.2 s"},
    {"true", 5, 2, PARE_E_IO, "exited with status 0 without a reply"},
    {"printf '{\"indices\":2}'", 5, 2, PARE_E_IO, "within the first line"},
    {"printf '{\"indices\":2}\\n1234'", 5, 2, PARE_E_IO, "after 4 of 8 bytes"},
    {"printf '{\"indices\":2}\\n123456789'", 5, 2, PARE_E_FORMAT, "1 bytes more than its reply announces"},
    {"echo hello", 5, 2, PARE_E_FORMAT, "'hello' is not {"},
    {"echo '{\"indices\":2,\"scores\":6}'", 5, 2, PARE_E_FORMAT, "is not {"},
    {"echo '{\"indices\":-1}'", 5, 2, PARE_E_FORMAT, "is not {"},
    {"echo '[1, 99]'", 5, 2, PARE_E_FORMAT, "index 1 is 6, rows are 0 to 5"},
    {"echo '[1, \"2\"]'", 5, 2, PARE_E_FORMAT, "is not {"},
    {"echo '[1]'", 5, 2, PARE_E_FORMAT, "1 rows, 2 were asked of 6"},
    {"echo '{\"indices\":3}'", 5, 2, PARE_E_FORMAT, "3 rows, 2 were asked of 6"},
    {"echo '{\"indices\":7}'", 5, -1, PARE_E_FORMAT, "7 rows out of 6"},
    {"echo '{\"weights\":[2,5]}'", 5, 2, PARE_E_FORMAT, "weights [2,5] for 6 rows"},
    {"echo '{\"weights\":[1,6]}'; head -c 24 /dev/zero", 5, 1, PARE_E_FORMAT, "row 0 sum to 0"},
    {"echo '{\"scores\":5}'", 5, 2, PARE_E_FORMAT, "5 scores for 6 rows"},
    {"echo '{\"scores\":6}'", 5, -1, PARE_E_INVALID, "need an amount"},
    {"printf '{\"indices\":1}\\n\\006\\0\\0\\0'", 5, 1, PARE_E_FORMAT, "index 0 is 6, rows are 0 to 5"},
    {"printf '{\"indices\":2}\\n\\001\\0\\0\\0\\001\\0\\0\\0'", 5, 2, PARE_E_FORMAT, "index 1 repeats row 1"},
    {"head -c 1100000 /dev/zero", 5, 2, PARE_E_FORMAT, "exceeds 1048576 bytes"},
    {"exec >&-; sleep 30", 5, 2, PARE_E_IO, "closed its output"},
};

START_TEST(test_failures)
{
    const failure *f = &failures[_i];
    pare__map map = {0};
    pare_error err = {0};
    const int rc = ask_once(f->command, f->timeout, f->k, &map, &err);
    ck_assert_msg(rc == f->code && strstr(err.text, f->text), "%s: %d %s", f->command, rc, err.text);
    pare__map_fini(&map);
}
END_TEST

/* A program that ends after each reply is started again; one that stays is asked again; exit status after it all. */
START_TEST(test_again)
{
    static const char *const commands[] = {
        "sh -c 'head -c 300 >/dev/null; printf \"{\\\"indices\\\":1}\\n\\003\\0\\0\\0\"'",
        "sh -c 'while read -r line; do head -c 144 >/dev/null; printf \"{\\\"indices\\\":1}\\n\\003\\0\\0\\0\"; done'"};
    for (size_t c = 0; c < sizeof commands / sizeof *commands; c++) {
        cli_selector *s;
        pare__map map = {0};
        pare_error err = {0};
        ck_assert_int_eq(cli_selector_open(&s, commands[c], 5, NULL, &err), 0);
        for (int i = 0; i < 5; i++) {
            ck_assert_msg(ask(s, 1, &map, &err) == 0, "%zu, request %d: %s", c, i, err.text);
            ck_assert_int_eq(map.m.anchor[0], 3);
        }
        ck_assert_msg(cli_selector_close(&s, &err) == 0, "%s", err.text);
        pare__map_fini(&map);
    }
}
END_TEST

START_TEST(test_stop_and_status)
{
    cli_selector *s;
    pare__map map = {0};
    pare_error err = {0};
    volatile int stop = 0;
    const char *command = "sh -c 'printf \"{\\\"indices\\\":0}\\n\"; exit 4'";
    ck_assert_int_eq(cli_selector_open(&s, command, 60, &stop, &err), 0);
    ck_assert_int_eq(ask(s, -1, &map, &err), 0);
    ck_assert_int_eq(cli_selector_close(&s, &err), PARE_E_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "exited with status 4 after its last reply"));
    pare__map_fini(&map);
}
END_TEST

/* ---- npy ------------------------------------------------------------------------------------------------------- */

static int parse(int version, const char *dict, int64_t n_data, pare_tensor *t, pare_error *err)
{
    uint8_t bytes[512] = "\x93NUMPY";
    const size_t n = strlen(dict), wide = version > 1 ? 4 : 2;
    bytes[6] = (uint8_t)version;
    bytes[8] = (uint8_t)n;
    memcpy(bytes + 8 + wide, dict, n);
    return cli_npy_parse("x.npy", bytes, (int64_t)(8 + wide + n) + n_data, t, err);
}

START_TEST(test_npy)
{
    pare_tensor t;
    pare_error err = {0};
    char shape[64];
    for (int version = 1; version <= 3; version++) {
        ck_assert_int_eq(parse(version, "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3), }\n", 48, &t, &err),
                         0);
        ck_assert_int_eq(t.dtype, PARE_F64);
        ck_assert_str_eq(cli_shape_text(&t, shape, sizeof shape), "[2,3]");
    }
    ck_assert_int_eq(parse(1, "{'descr': '|b1', 'fortran_order': True, 'shape': (7,), }", 7, &t, &err), 0);
    ck_assert_int_eq(t.n_dim, 1);
    ck_assert_int_eq(parse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4, &t, &err), 0);
    ck_assert_int_eq(t.n_dim, 0);
    ck_assert_int_eq(parse(4, "{'descr': '<f4', 'fortran_order': False, 'shape': (), }", 4, &t, &err), PARE_E_FORMAT);
    ck_assert_int_eq(parse(1, "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }", 4, &t, &err),
                     PARE_E_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(err.text, "big-endian"));
    ck_assert_int_eq(parse(1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", 4, &t, &err),
                     PARE_E_UNSUPPORTED);
    ck_assert_int_eq(parse(1, "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2), }", 16, &t, &err),
                     PARE_E_UNSUPPORTED);
    ck_assert_int_eq(parse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }", 15, &t, &err),
                     PARE_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "15 bytes of data, the shape needs 16"));
    ck_assert_int_eq(parse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", 4, &t, &err),
                     PARE_E_FORMAT);
    ck_assert_int_eq(
        parse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9, 9), }", 4, &t, &err),
        PARE_E_LIMIT);
    ck_assert_int_eq(parse(1, "{'descr': '<f4', 'fortran_order': False, 'shape': (1", 4, &t, &err), PARE_E_FORMAT);
    ck_assert_int_eq(cli_npy_parse("x.npy", (const uint8_t *)"short", 5, &t, &err), PARE_E_FORMAT);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("selector command");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, test_replies);
    tcase_add_test(c, test_request);
    tcase_add_loop_test(c, test_failures, 0, sizeof failures / sizeof *failures);
    tcase_add_test(c, test_again);
    tcase_add_test(c, test_stop_and_status);
    tcase_add_test(c, test_npy);
    suite_add_tcase(s, c);
    signal(SIGPIPE, SIG_IGN);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
