/* SPDX-License-Identifier: MIT */
/* Option tables: round trips, ranges, typos, strict numbers, foreign locales. */
#include <check.h>
#include <locale.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/option.h"
#include "core/rank.h"

typedef struct settings {
    int64_t rows;
    double keep;
    int32_t compat, how;
    char score[PARE__OPTION_TEXT];
} settings;

static const pare__option table[] = {
    {"rows", "rows of the grid", offsetof(settings, rows), PARE__INT, 0, 1, 1000, NULL, "auto"},
    {"keep", "share that stays", offsetof(settings, keep), PARE__FLOAT, 0.25, 0, 1, NULL, NULL},
    {"compat", "as the authors have it", offsetof(settings, compat), PARE__BOOL, 0, 0, 1, NULL, NULL},
    {"how", "kind of mean", offsetof(settings, how), PARE__CHOICE, 1, 0, 0, "max|mean|median", NULL},
    {"score", "what ranks", offsetof(settings, score), PARE__TEXT, 0, 0, 0, NULL, "cls-attn"},
    {.name = NULL}};

static int set(settings *s, const char *key, const char *value, pare_error *err)
{
    const pare__option *opt = pare__option_find(table, key);
    ck_assert_ptr_nonnull(opt);
    return pare__option_set(opt, s, "demo", value, err);
}

START_TEST(test_defaults_and_print)
{
    settings s;
    char text[200];

    memset(&s, 0xff, sizeof s);
    pare__option_defaults(table, &s);
    ck_assert(s.rows == 0 && s.keep == 0.25 && s.compat == 0 && s.how == 1);
    ck_assert_str_eq(s.score, "cls-attn");
    ck_assert_int_eq(pare__option_print(table, &s, text, sizeof text), 0);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(set(&s, "rows", "7", NULL), 0);
    ck_assert_int_eq(set(&s, "keep", "0.1", NULL), 0);
    ck_assert_int_eq(set(&s, "compat", "yes", NULL), 0);
    ck_assert_int_eq(set(&s, "how", "median", NULL), 0);
    ck_assert_int_eq(set(&s, "score", "norm", NULL), 0);
    int n = pare__option_print(table, &s, text, sizeof text);
    ck_assert_str_eq(text, ":rows=7:keep=0.1:compat=1:how=median:score=norm");
    ck_assert_int_eq(n, (int)strlen(text));
    for (size_t size = 0; size < sizeof text; size++) { /* snprintf rules at every size */
        char small[200];
        memset(small, 'x', sizeof small);
        ck_assert_int_eq(pare__option_print(table, &s, small, size), n);
        if (size) ck_assert_int_eq(strncmp(small, text, size - 1), 0);
        ck_assert_int_eq(small[size], 'x');
    }
    ck_assert_int_eq(set(&s, "rows", "auto", NULL), 0);
    ck_assert_int_eq(s.rows, 0);
    pare__option_defaults(NULL, &s);
    ck_assert_ptr_null(pare__option_find(NULL, "rows"));
    ck_assert_int_eq(pare__option_count(table), 5);
    ck_assert_int_eq(pare__option_count(NULL), 0);
}
END_TEST

START_TEST(test_refusals)
{
    static const struct {
        const char *key, *value, *text;
    } bad[] = {{"rows", "0", "1 to 1000"},
               {"rows", "1001", "1 to 1000"},
               {"rows", "3.5", "whole"},
               {"rows", "", "whole"},
               {"rows", "99999999999999999999", "whole"},
               {"keep", "nan", "finite"},
               {"keep", "inf", "finite"},
               {"keep", "1e999", "finite"},
               {"keep", "1.01", "0 to 1"},
               {"keep", "-0.1", "0 to 1"},
               {"keep", "0x1p-2", "finite"},
               {"keep", "0,5", "finite"},
               {"keep", " 0.5", "finite"},
               {"keep", "0.5 ", "finite"},
               {"keep", ".", "finite"},
               {"compat", "2", "neither"},
               {"compat", "", "neither"},
               {"how", "mea", "max|mean|median"},
               {"how", "", "none of"},
               {"how", "max|mean", "none of"}};
    char text[PARE__OPTION_TEXT + 16];
    pare_error err;
    settings s, before;

    memset(&s, 0, sizeof s);
    pare__option_defaults(table, &s);
    before = s;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ck_assert_int_eq(set(&s, bad[i].key, bad[i].value, &err), PARE_E_INVALID);
        ck_assert_msg(strstr(err.text, bad[i].text) && strstr(err.text, bad[i].key) && strstr(err.text, "demo"), "%s",
                      err.text);
        ck_assert_int_eq(memcmp(&s, &before, sizeof s), 0);
    }
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    ck_assert_int_eq(set(&s, "score", text, &err), PARE_E_LIMIT);
    text[PARE__OPTION_TEXT - 1] = 0;
    ck_assert_int_eq(set(&s, "score", text, &err), 0);
}
END_TEST

START_TEST(test_numbers)
{
    int64_t i;
    double x;

    ck_assert(pare__parse_int("-9223372036854775808", &i) == 0 && i == INT64_MIN);
    ck_assert(pare__parse_int("+12", &i) == 0 && i == 12);
    ck_assert_int_eq(pare__parse_int("9223372036854775808", &i), PARE_E_INVALID);
    ck_assert_int_eq(pare__parse_int(" 1", &i), PARE_E_INVALID);
    ck_assert_int_eq(pare__parse_int("-", &i), PARE_E_INVALID);
    ck_assert_int_eq(pare__parse_int("1e3", &i), PARE_E_INVALID);
    ck_assert(pare__parse_float(".5", &x) == 0 && x == 0.5);
    ck_assert(pare__parse_float("5.", &x) == 0 && x == 5);
    ck_assert(pare__parse_float("-1.5E-3", &x) == 0 && x == -1.5e-3);
    ck_assert_int_eq(pare__parse_float("1e", &x), PARE_E_INVALID);
    ck_assert_int_eq(pare__parse_float("e1", &x), PARE_E_INVALID);
    ck_assert_int_eq(pare__parse_float("", &x), PARE_E_INVALID);
    ck_assert_int_eq(pare__parse_float("NAN", &x), PARE_E_INVALID);
}
END_TEST

/* What print writes, set reads back to the same bits. */
START_TEST(test_float_round_trip)
{
    settings s, back;
    char text[PARE__OPTION_TEXT + 16];
    static const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"};

    for (int l = 0; l < 3; l++) {
        if (!setlocale(LC_ALL, locales[l])) continue;
        for (uint64_t i = 0; i < 2000; i++) {
            pare__rng r = pare__rng_make(3, i, 0);
            memset(&s, 0, sizeof s);
            pare__option_defaults(table, &s);
            back = s;
            s.keep = i % 3 ? pare__rng_unit(&r) : (double)(i % 1000) / 1000;
            if (s.keep == 0.25) continue;
            pare__option_print(table, &s, text, sizeof text);
            ck_assert_int_eq(strncmp(text, ":keep=", 6), 0);
            ck_assert_int_eq(set(&back, "keep", text + 6, NULL), 0);
            ck_assert(s.keep == back.keep);
            if (i % 3 == 0) ck_assert_int_le((int)strlen(text), 11);
        }
    }
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(test_nearest)
{
    static const char *const names[] = {"none", "random", "spatial-uniform", "temporal-redundancy", "topk", "tome"};
    char long_name[200];

    ck_assert_str_eq(pare__nearest("topj", names, 6), "topk");
    ck_assert_str_eq(pare__nearest("ToMe", names, 6), "tome");
    ck_assert_str_eq(pare__nearest("spatial_uniform", names, 6), "spatial-uniform");
    ck_assert_str_eq(pare__nearest("temporal", names, 6), "temporal-redundancy");
    ck_assert_str_eq(pare__nearest("randon", names, 6), "random");
    ck_assert_ptr_null(pare__nearest("vidcom2", names, 6));
    ck_assert_ptr_null(pare__nearest("", names, 6));
    memset(long_name, 'a', 199);
    long_name[199] = 0;
    ck_assert_ptr_null(pare__nearest(long_name, names, 6));
}
END_TEST

START_TEST(test_describe)
{
    pare_option_info info;
    static const char *const types[] = {"int", "float", "bool", "text", "text"};
    static const char *const defaults[] = {"auto", "0.25", "0", "mean", "cls-attn"};

    for (int i = 0; i < 5; i++) {
        pare__option_describe(&table[i], &info);
        ck_assert_str_eq(info.name, table[i].name);
        ck_assert_str_eq(info.help, table[i].help);
        ck_assert_str_eq(info.type, types[i]);
        ck_assert_str_eq(info.default_text, defaults[i]);
        ck_assert(info.min == table[i].min && info.max == table[i].max && info.choices == table[i].choices);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("option");
    TCase *tc = tcase_create("option");

    tcase_add_test(tc, test_defaults_and_print);
    tcase_add_test(tc, test_refusals);
    tcase_add_test(tc, test_numbers);
    tcase_add_test(tc, test_float_round_trip);
    tcase_add_test(tc, test_nearest);
    tcase_add_test(tc, test_describe);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? 1 : 0;
}
