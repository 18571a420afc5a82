/* SPDX-License-Identifier: MIT */
/* Merging is exact where it must be: tokens that are equal, merged with the logarithm of their size as bias, give what all
 * of them give, in every family: norms, heads, prefix tokens, units of several patches, projector and taps. Rotary
 * positions and windows would tell equal tokens apart: they are switched off in a copy of the model. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rank.h"
#include "encode/encoder.h"
#include "family_cases.h"

enum { SIDE = 4, UNITS = SIDE * SIDE };

static pare_error err;

/* rows [n_prefix + UNITS patches, d]: units 2 j and 2 j + 1 are equal; and one of each pair. */
typedef struct tokens {
    float *all, *half;
    int64_t prefix, unit; /* floats of the prefix and of a unit */
} tokens;

static void make_tokens(const pare_model *m, tokens *t)
{
    const int64_t d = m->hp.dim;
    pare__rng rng = pare__rng_make(11, 0, 0);
    t->prefix = m->hp.n_prefix * d;
    t->unit = m->hp.unit * m->hp.unit * d;
    t->all = malloc((size_t)(t->prefix + UNITS * t->unit) * sizeof(float));
    t->half = malloc((size_t)(t->prefix + UNITS / 2 * t->unit) * sizeof(float));
    for (int64_t i = 0; i < t->prefix + UNITS / 2 * t->unit; i++)
        t->half[i] = (float)(pare__rng_unit(&rng) + pare__rng_unit(&rng) - 1);
    memcpy(t->all, t->half, (size_t)t->prefix * sizeof(float));
    for (int u = 0; u < UNITS; u++)
        memcpy(t->all + t->prefix + u * t->unit, t->half + t->prefix + u / 2 * t->unit,
               (size_t)t->unit * sizeof(float));
}

/* Copies of what a pack leaves. */
typedef struct outcome {
    float *y, *deep; /* [units, d_out], [taps, units, d_out] */
    int64_t n, d;
} outcome;

static outcome encode(const pare_model *m, const pare__segment *seg)
{
    const pare__encode_plan plan = {.user = NULL};
    const pare__pack *p = NULL;
    pare__encoder *e = NULL;
    const int64_t unit = m->hp.unit;
    ck_assert_msg(!pare__encoder_create(&e, m, NULL, &plan, m->hp.n_prefix + UNITS * unit * unit, &err), "%s",
                  err.text);
    ck_assert_msg(!pare__encoder_run(e, seg, 1, &p, NULL, &err), "%s", err.text);
    const outcome o = {.y = malloc((size_t)(p->n_unit * p->d_out) * sizeof(float)),
                       .deep = malloc((size_t)((m->hp.n_deepstack + 1) * p->n_unit * p->d_out) * sizeof(float)),
                       .n = p->n_unit,
                       .d = p->d_out};
    memcpy(o.y, p->y, (size_t)(o.n * o.d) * sizeof(float));
    if (m->hp.n_deepstack) memcpy(o.deep, p->deepstack, (size_t)(m->hp.n_deepstack * o.n * o.d) * sizeof(float));
    pare__encoder_free(&e);
    return o;
}

static void outcome_free(outcome *o)
{
    free(o->y);
    free(o->deep);
}

/* Row j of half against rows 2 j and 2 j + 1 of all; prefix rows one to one. */
static void compare(const char *name, const float *all, const float *half, int64_t d, int64_t n_prefix)
{
    double square = 0, worst = 0;
    for (int64_t u = 0; u < n_prefix + UNITS; u++) {
        const int64_t j = u < n_prefix ? u : n_prefix + (u - n_prefix) / 2;
        for (int64_t c = 0; c < d; c++) {
            square += (double)all[u * d + c] * (double)all[u * d + c];
            worst = fmax(worst, fabs((double)all[u * d + c] - (double)half[j * d + c]));
        }
    }
    const double rms = sqrt(square / (double)((n_prefix + UNITS) * d));
    ck_assert_msg(rms > 0 && worst <= 2e-5 * rms, "%s: %g away, rms %g", name, worst, rms);
}

START_TEST(equal_tokens_merge_exactly)
{
    static const int32_t unit[UNITS / 2] = {0, 2, 4, 6, 8, 10, 12, 14};
    static const float size[UNITS / 2] = {2, 2, 2, 2, 2, 2, 2, 2};
    pare_model *m = family_case_open(_i);
    const char *name = family_cases[_i].name;
    pare_model flat = *m;
    tokens t;
    flat.hp.rope = PARE__ROPE_NONE;
    flat.hp.window = 0;
    make_tokens(&flat, &t);
    const int32_t side = SIDE * m->hp.unit;
    outcome all = encode(&flat, &(pare__segment){.grid_h = side, .grid_w = side, .n = UNITS, .tokens = t.all});
    outcome half = encode(
        &flat,
        &(pare__segment){.grid_h = side, .grid_w = side, .n = UNITS / 2, .unit = unit, .size = size, .tokens = t.half});
    ck_assert_int_eq(all.n, m->hp.n_prefix + UNITS);
    ck_assert_int_eq(half.n, m->hp.n_prefix + UNITS / 2);
    compare(name, all.y, half.y, all.d, m->hp.n_prefix);
    for (int32_t i = 0; i < m->hp.n_deepstack; i++)
        compare(name, all.deep + i * all.n * all.d, half.deep + i * half.n * half.d, all.d, m->hp.n_prefix);
    outcome_free(&all);
    outcome_free(&half);
    free(t.all);
    free(t.half);
    pare_model_close(&m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("duplicates");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 300);
    family_cases_find();
    tcase_add_loop_test(c, equal_tokens_merge_exactly, 0, n_family_case);
    suite_add_tcase(s, c);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed || n_family_case == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
