/* SPDX-License-Identifier: MIT */
/* Properties of maps over many random ones (pruning, merging, gains, members), and every invariant of check(). */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/map.h"
#include "core/rank.h"

enum { TRIALS = 400, MAX_N = 80, MAX_D = 300 };

static float x[MAX_N * MAX_D], y[MAX_N * MAX_D], z[MAX_N * MAX_D], direct[MAX_N * MAX_D];
static float ones[MAX_N];
static pare__arena arena;

static int64_t below(pare__rng *r, int64_t n) { return pare__rng_below(r, n); }

/* ---- random maps ------------------------------------------------------------------------------------------------- */

/* Partition of a random part of the columns into groups. */
static void random_groups(pare__rng *r, pare__map *map, int64_t n, const float *size)
{
    int32_t group[MAX_N], anchor[MAX_N];
    float key[MAX_N];
    int64_t n_out = 1 + below(r, n);

    for (int64_t c = 0; c < n; c++) key[c] = (float)pare__rng_unit(r);
    ck_assert_int_eq(pare__argsort_desc(key, n, anchor, &arena), 0); /* a random order */
    for (int64_t i = 0; i < n; i++) group[anchor[i]] = (int32_t)(i < n_out ? i : below(r, n_out + 1) - 1);
    pare__map_begin(map, n);
    ck_assert_int_eq(pare__map_groups(map, group, anchor, n_out, size), 0);
    ck_assert_int_eq(pare__map_finish(map, size, below(r, 2) == 0, NULL), 0);
}

/* Rows of a few random columns with random weights, gains and members, in any order; columns may repeat. */
static void random_rows(pare__rng *r, pare__map *map, int64_t n)
{
    int64_t n_out = 1 + below(r, n);
    int gains = below(r, 2) == 0, members = below(r, 2) == 0;

    pare__map_begin(map, n);
    for (int64_t i = 0; i < n_out; i++) {
        double w[6], sum = 0;
        int64_t n_col = 1 + below(r, 6);
        for (int64_t k = 0; k < n_col; k++) sum += w[k] = 0.1 + pare__rng_unit(r);
        ck_assert_int_eq(pare__map_row(map, below(r, n)), 0);
        for (int64_t k = 0; k < n_col; k++) ck_assert_int_eq(pare__map_add(map, below(r, n), w[k] / sum), 0);
        if (gains && below(r, 2)) ck_assert_int_eq(pare__map_gain(map, 0.5 + pare__rng_unit(r)), 0);
        for (int64_t k = below(r, 4); members && k > 0; k--) ck_assert_int_eq(pare__map_member(map, below(r, n)), 0);
    }
    ck_assert_int_eq(pare__map_finish(map, NULL, below(r, 2) == 0, NULL), 0);
}

static void random_keep(pare__rng *r, pare__map *map, int64_t n)
{
    int32_t idx[MAX_N];
    int64_t k = 0;

    for (int64_t c = 0; c < n; c++)
        if (below(r, 2)) idx[k++] = (int32_t)c;
    pare__map_begin(map, n);
    ck_assert_int_eq(pare__map_keep_many(map, idx, k), 0);
    ck_assert_int_eq(pare__map_finish(map, NULL, 0, NULL), 0);
}

static void random_map(pare__rng *r, pare__map *map, int64_t n)
{
    pare_error err;

    switch (n ? below(r, 3) : 2) {
    case 0:
        random_groups(r, map, n, NULL);
        break;
    case 1:
        random_rows(r, map, n);
        break;
    default:
        random_keep(r, map, n);
        break;
    }
    ck_assert_msg(pare__map_check(&map->m, 0, &err) == 0, "%s", err.text);
}

static void random_x(pare__rng *r, int64_t n)
{
    for (int64_t i = 0; i < n; i++) x[i] = (float)(2 * pare__rng_unit(r) - 1);
}

static void assert_equal_maps(const pare_map *a, const pare_map *b)
{
    ck_assert_int_eq(a->n_in, b->n_in);
    ck_assert_int_eq(a->n_out, b->n_out);
    if (a->n_out == 0) return;
    size_t rows = (size_t)a->n_out, n = (size_t)a->row_start[rows];
    ck_assert_int_eq(memcmp(a->row_start, b->row_start, (rows + 1) * 8), 0);
    ck_assert_int_eq(memcmp(a->index, b->index, n * 4), 0);
    ck_assert_int_eq(memcmp(a->weight, b->weight, n * 4), 0);
    ck_assert_int_eq(memcmp(a->anchor, b->anchor, rows * 4), 0);
    ck_assert_int_eq(memcmp(a->size, b->size, rows * 4), 0);
    for (size_t r = 0; r < rows; r++) ck_assert((a->gain ? a->gain[r] : 1) == (b->gain ? b->gain[r] : 1));
    ck_assert_int_eq(a->member_start == NULL, b->member_start == NULL);
    if (!a->member_start) return;
    ck_assert_int_eq(memcmp(a->member_start, b->member_start, (rows + 1) * 8), 0);
    ck_assert_int_eq(memcmp(a->member, b->member, (size_t)a->member_start[rows] * 4), 0);
}

/* ---- properties --------------------------------------------------------------------------------------------------- */

/* Row stands for column: among its members, or its columns where members are not kept. */
static int stands_for(const pare_map *m, int64_t row, int32_t col)
{
    const int64_t *start = m->member_start ? m->member_start : m->row_start;
    const int32_t *list = m->member_start ? m->member : m->index;

    for (int64_t i = start[row]; i < start[row + 1]; i++)
        if (list[i] == col) return 1;
    return 0;
}

static void check_composed_members(const pare_map *first, const pare_map *second, const pare_map *both)
{
    for (int64_t row = 0; row < both->n_out; row++)
        for (int32_t c = 0; c < both->n_in; c++) {
            int expected = 0;
            for (int32_t j = 0; j < first->n_out; j++)
                expected |= stands_for(second, row, j) && stands_for(first, j, c);
            ck_assert_int_eq(stands_for(both, row, c), expected);
        }
}

START_TEST(test_compose_is_apply_twice)
{
    pare__map first = {.cap_row = 0}, second = {.cap_row = 0}, both = {.cap_row = 0};
    pare_error err;

    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        pare__rng r = pare__rng_make(1, trial, 0);
        int64_t n = 1 + below(&r, MAX_N), d = 1 + below(&r, MAX_D);
        random_map(&r, &first, n);
        random_map(&r, &second, first.m.n_out);
        random_x(&r, n * d);
        ck_assert_int_eq(pare__map_compose(&first.m, &second.m, &both), 0);
        ck_assert_msg(pare__map_check(&both.m, 0, &err) == 0, "%s", err.text);
        pare__map_apply(&first.m, x, d, y);
        pare__map_apply(&second.m, y, d, z);
        pare__map_apply(&both.m, x, d, direct);
        for (int64_t i = 0; i < both.m.n_out * d; i++)
            ck_assert_msg(fabs((double)direct[i] - z[i]) < 2e-6, "%g %g", (double)direct[i], (double)z[i]);
        for (int64_t i = 0; i < both.m.n_out; i++)
            ck_assert_int_eq(both.m.anchor[i], first.m.anchor[second.m.anchor[i]]);
        check_composed_members(&first.m, &second.m, &both.m);
    }
    ck_assert_int_eq(pare__map_compose(&first.m, &both.m, &second), first.m.n_out == both.m.n_in ? 0 : PARE_E_INVALID);
    pare__map_fini(&first);
    pare__map_fini(&second);
    pare__map_fini(&both);
}
END_TEST

START_TEST(test_sizes_of_partitions)
{
    pare__map first = {.cap_row = 0}, second = {.cap_row = 0}, both = {.cap_row = 0};

    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        pare__rng r = pare__rng_make(2, trial, 0);
        int64_t n = 1 + below(&r, MAX_N);
        random_groups(&r, &first, n, NULL);
        random_groups(&r, &second, first.m.n_out, first.m.size);
        ck_assert_int_eq(pare__map_check(&first.m, PARE__MAP_PARTITION, NULL), 0);
        ck_assert_int_eq(pare__map_compose(&first.m, &second.m, &both), 0);
        ck_assert_int_eq(pare__map_check(&both.m, PARE__MAP_PARTITION, NULL), 0);
        for (int64_t i = 0; i < both.m.n_out; i++) {
            int64_t n_col = both.m.row_start[i + 1] - both.m.row_start[i];
            ck_assert(both.m.size[i] == (float)n_col && second.m.size[i] == both.m.size[i]);
            for (int64_t k = both.m.row_start[i]; k < both.m.row_start[i + 1]; k++) /* a mean of means is the mean */
                ck_assert(fabs(both.m.weight[k] * (double)n_col - 1) < 1e-6);
        }
        ck_assert_int_eq(pare__map_follow(&first, &second.m), 0);
        assert_equal_maps(&first.m, &both.m);
    }
    pare__map_fini(&first);
    pare__map_fini(&second);
    pare__map_fini(&both);
}
END_TEST

START_TEST(test_identity_composes_to_itself)
{
    pare__map map = {.cap_row = 0}, identity = {.cap_row = 0}, both = {.cap_row = 0};

    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        pare__rng r = pare__rng_make(3, trial, 0);
        random_map(&r, &map, 1 + below(&r, MAX_N));
        ck_assert_int_eq(pare__map_identity(&identity, map.m.n_out), 0);
        ck_assert_int_eq(pare__map_finish(&identity, map.m.size, 0, NULL), 0);
        ck_assert_int_eq(pare__map_compose(&map.m, &identity.m, &both), 0);
        ck_assert_int_eq(both.m.n_out, map.m.n_out);
        for (int64_t i = 0; i < map.m.n_out; i++) ck_assert(both.m.size[i] == map.m.size[i]);
        pare__map_copy(&map.m, &identity);
        assert_equal_maps(&map.m, &identity.m);
    }
    pare__map_fini(&map);
    pare__map_fini(&identity);
    pare__map_fini(&both);
}
END_TEST

START_TEST(test_sort_keeps_provenance)
{
    pare__map map = {.cap_row = 0}, old = {.cap_row = 0};
    int32_t order[MAX_N];

    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        pare__rng r = pare__rng_make(4, trial, 0);
        int64_t n = 1 + below(&r, MAX_N), d = 7;
        random_map(&r, &map, n);
        random_x(&r, n * d);
        ck_assert_int_eq(pare__map_copy(&map.m, &old), 0);
        ck_assert_int_eq(pare__map_sort(&map, order), 0);
        ck_assert_int_eq(pare__map_check(&map.m, PARE__MAP_SORTED, NULL), 0);
        pare__map_apply(&old.m, x, d, y);
        pare__map_apply(&map.m, x, d, z);
        for (int64_t i = 0; i < map.m.n_out; i++) {
            ck_assert_int_eq(map.m.anchor[i], old.m.anchor[order[i]]);
            ck_assert(map.m.size[i] == old.m.size[order[i]]);
            ck_assert_int_eq(memcmp(z + i * d, y + order[i] * d, (size_t)d * sizeof *z), 0);
            if (i) ck_assert(map.m.anchor[i] > map.m.anchor[i - 1] || order[i] > order[i - 1]); /* stable */
            for (int32_t c = 0; c < n; c++) ck_assert_int_eq(stands_for(&map.m, i, c), stands_for(&old.m, order[i], c));
        }
    }
    pare__map_fini(&map);
    pare__map_fini(&old);
}
END_TEST

START_TEST(test_append_is_block_diagonal)
{
    pare__map a = {.cap_row = 0}, b = {.cap_row = 0}, both = {.cap_row = 0};

    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        pare__rng r = pare__rng_make(5, trial, 0);
        int64_t na = below(&r, MAX_N / 2), nb = 1 + below(&r, MAX_N / 2), d = 5;
        random_map(&r, &a, na);
        random_map(&r, &b, nb);
        random_x(&r, (na + nb) * d);
        pare__map_begin(&both, 0);
        ck_assert_int_eq(pare__map_append(&both, &a.m), 0);
        ck_assert_int_eq(pare__map_append(&both, &b.m), 0);
        ck_assert_int_eq(pare__map_check(&both.m, 0, NULL), 0);
        ck_assert_int_eq(both.m.n_in, na + nb);
        pare__map_apply(&both.m, x, d, y);
        pare__map_apply(&a.m, x, d, z);
        pare__map_apply(&b.m, x + na * d, d, z + a.m.n_out * d);
        ck_assert_int_eq(memcmp(y, z, (size_t)(both.m.n_out * d) * sizeof *y), 0);
        for (int64_t i = 0; i < b.m.n_out; i++) {
            ck_assert_int_eq(both.m.anchor[a.m.n_out + i], b.m.anchor[i] + na);
            for (int32_t c = 0; c < nb; c++)
                ck_assert_int_eq(stands_for(&both.m, a.m.n_out + i, c + (int32_t)na), stands_for(&b.m, i, c));
        }
    }
    pare__map_fini(&a);
    pare__map_fini(&b);
    pare__map_fini(&both);
}
END_TEST

START_TEST(test_unmerge)
{
    pare__map map = {.cap_row = 0};
    int32_t cover[MAX_N];

    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        pare__rng r = pare__rng_make(6, trial, 0);
        int64_t n = 1 + below(&r, MAX_N), d = 3;
        random_map(&r, &map, n);
        const pare_map *m = &map.m;
        random_x(&r, n * d);
        pare__map_apply(m, x, d, y);
        pare__map_unmerge(m, y, d, z, cover);
        for (int32_t c = 0; c < n; c++) {
            int32_t best = -1;
            float best_w = -1;
            for (int32_t row = 0; row < m->n_out; row++) {
                float w = stands_for(m, row, c) ? 0 : -1;
                for (int64_t i = m->row_start[row]; i < m->row_start[row + 1]; i++)
                    if (m->index[i] == c) w = m->weight[i];
                if (w > best_w) best = row, best_w = w;
            }
            ck_assert_int_eq(cover[c], best);
            for (int64_t k = 0; k < d; k++) ck_assert(z[c * d + k] == (best < 0 ? 0 : y[best * d + k]));
        }
    }
    pare__map_fini(&map);
}
END_TEST

START_TEST(test_apply_exact)
{
    pare__map map = {.cap_row = 0};
    float in[3] = {1.1f, -2.3f, 1e-20f}, out[2];
    int32_t record[6] = {1, 2, 3, 4, 5, 6}, taken[4];

    pare__map_begin(&map, 3);
    pare__map_keep(&map, 2);
    pare__map_row(&map, 1);
    pare__map_add(&map, 1, 0.25);
    pare__map_add(&map, 0, 0.75);
    pare__map_gain(&map, 2);
    ck_assert_int_eq(pare__map_finish(&map, NULL, 0, NULL), 0);
    pare__map_apply(&map.m, in, 1, out);
    ck_assert(out[0] == in[2]);
    ck_assert(out[1] == (float)(2 * (0.75 * (double)in[0] + 0.25 * (double)in[1])));
    pare__map_anchor_i32(&map.m, record, 2, taken);
    ck_assert(taken[0] == 5 && taken[1] == 6 && taken[2] == 3 && taken[3] == 4);
    ck_assert(map.m.size[0] == 1 && map.m.size[1] == 2);
    pare__map_fini(&map);
}
END_TEST

START_TEST(test_empty)
{
    pare__map map = {.cap_row = 0}, other = {.cap_row = 0};
    int32_t owner[4];

    ck_assert_int_eq(pare__map_check(&map.m, 3, NULL), 0);
    pare__map_begin(&map, 4);
    ck_assert_int_eq(pare__map_finish(&map, NULL, 1, NULL), 0);
    ck_assert_int_eq(map.m.row_start[0], 0);
    ck_assert_int_eq(pare__map_append(&other, &map.m), 0);
    ck_assert_int_eq(other.m.n_in, 4);
    pare__map_owner(&other.m, owner);
    for (int i = 0; i < 4; i++) ck_assert_int_eq(owner[i], -1);
    pare__map_fini(&map);
    pare__map_fini(&other);
}
END_TEST

/* ---- refused maps -------------------------------------------------------------------------------------------------- */

static void expect_refusal(pare__map *map, const char *text)
{
    pare_error err = {0};

    ck_assert_int_eq(pare__map_finish(map, ones, 0, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" lacks \"%s\"", err.text, text);
}

START_TEST(test_finish_refuses)
{
    pare__map map = {.cap_row = 0};
    static const struct {
        int64_t anchor, col;
        double weight;
        int64_t member;
        const char *text;
    } bad[] = {
        {4, 0, 1, 0, "anchor"},    {-1, 0, 1, 0, "anchor"},  {0, 4, 1, 0, "index"},
        {0, -7, 1, 0, "index"},    {0, 0, 0.9, 0, "sum"},    {0, 0, NAN, 0, "positive"},
        {0, 0, -1, 0, "positive"}, {0, 0, 0, 0, "positive"}, {0, 0, INFINITY, 0, "sum"},
        {0, 0, 1, 4, "member"},    {0, 0, 1, -2, "member"},  {0, 0, 1, (int64_t)1 << 32, "member"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pare__map_begin(&map, 4);
        pare__map_keep(&map, 3);
        pare__map_row(&map, bad[i].anchor);
        pare__map_add(&map, bad[i].col, bad[i].weight);
        pare__map_member(&map, bad[i].member);
        expect_refusal(&map, bad[i].text);
    }
    pare__map_begin(&map, 4);
    pare__map_row(&map, 0);
    expect_refusal(&map, "no column");
    pare__map_fini(&map);
}
END_TEST

/* A correct map of 3 rows over 6 columns, sorted, a partition; one thing is broken at a time. */
static void good_map(pare__map *map)
{
    pare__map_fini(map);
    pare__map_begin(map, 6);
    pare__map_keep(map, 0);
    pare__map_gain(map, 0.5);
    pare__map_row(map, 2);
    pare__map_add(map, 1, 0.5);
    pare__map_add(map, 2, 0.5);
    pare__map_member(map, 5);
    pare__map_keep(map, 4);
    ck_assert_int_eq(pare__map_finish(map, NULL, 1, NULL), 0);
    ck_assert_int_eq(pare__map_check(&map->m, PARE__MAP_SORTED | PARE__MAP_PARTITION, NULL), 0);
}

static void expect_broken(const pare__map *map, unsigned flags, const char *text)
{
    pare_error err = {0};

    ck_assert_int_eq(pare__map_check(&map->m, flags, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" lacks \"%s\"", err.text, text);
}

#define BREAK(flags, place, value, text)                                                                               \
    do {                                                                                                               \
        good_map(&map);                                                                                                \
        map.place = value;                                                                                             \
        expect_broken(&map, flags, text);                                                                              \
    } while (0)

START_TEST(test_check_catches)
{
    pare__map map = {.cap_row = 0};

    BREAK(0, m.n_in, -1, "-1 columns");
    BREAK(0, row_start[0], 1, "start at 1");
    BREAK(0, row_start[1], 0, "row 0 of the map has no column");
    BREAK(0, index[1], 6, "index 6");
    BREAK(0, index[0], -1, "index -1");
    BREAK(0, index[2], 1, "index 1 follows 1");
    BREAK(0, weight[1], 0.6f, "sum to 1.1");
    BREAK(0, weight[1], NAN, "not positive");
    BREAK(0, weight[1], -0.5f, "not positive");
    BREAK(0, anchor[2], 6, "anchor 6");
    BREAK(0, size[1], 0, "size 0");
    BREAK(0, size[1], INFINITY, "size inf");
    BREAK(0, gain[0], NAN, "gain");
    BREAK(0, gain[0], -1, "gain -1");
    BREAK(0, member[1], 7, "member 7");
    BREAK(0, member[2], 1, "member 1 follows 1");
    BREAK(0, member[4], 5, "column 4");
    BREAK(0, member_start[0], 1, "members of the map start at 1");
    BREAK(PARE__MAP_SORTED, anchor[2], 1, "anchor 1 follows 2");
    good_map(&map);
    map.index[3] = 2;
    map.member[4] = 2;
    expect_broken(&map, PARE__MAP_PARTITION, "column 2 is in row 1 too");
    ck_assert_int_eq(pare__map_check(&map.m, PARE__MAP_SORTED, NULL), 0);
    pare__map_fini(&map);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("map");
    TCase *tc = tcase_create("map");

    for (int i = 0; i < MAX_N; i++) ones[i] = 1;
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_compose_is_apply_twice);
    tcase_add_test(tc, test_sizes_of_partitions);
    tcase_add_test(tc, test_identity_composes_to_itself);
    tcase_add_test(tc, test_sort_keeps_provenance);
    tcase_add_test(tc, test_append_is_block_diagonal);
    tcase_add_test(tc, test_unmerge);
    tcase_add_test(tc, test_apply_exact);
    tcase_add_test(tc, test_empty);
    tcase_add_test(tc, test_finish_refuses);
    tcase_add_test(tc, test_check_catches);
    suite_add_tcase(s, tc);
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    pare__arena_fini(&arena);
    return failed ? 1 : 0;
}
