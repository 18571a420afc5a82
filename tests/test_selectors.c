/* SPDX-License-Identifier: MIT */
/* Every selector over many shapes, property style. What each one promises by itself is in the other files of this binary. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "select/allocator.h"
#include "select_scene.h"

typedef struct shape {
    int32_t t, h, w;
} shape;

static const shape shapes[] = {{1, 1, 1}, {1, 1, 7},   {2, 2, 1}, {1, 5, 5},  {3, 7, 9},
                               {8, 4, 6}, {1, 13, 17}, {5, 3, 3}, {1, 24, 32}};

enum { N_SHAPE = sizeof shapes / sizeof *shapes };

static const int32_t all_sites[] = {PARE__SITE_PATCHES, PARE__SITE_BLOCK, PARE__SITE_OUTPUT};

static int64_t least(const step *s, int64_t n) { return s->sel->least ? s->sel->least(s->priv, n) : 1; }

/* ---- over the whole table ---------------------------------------------------------------------------------------- */

/* What a property is checked on: one selector at one site on one view with one budget. */
typedef struct trial {
    const step *step;
    scene *scene;
    scene_view *look;
    pare__map *map;
    const char *name;
} trial;

typedef void (*property)(trial *t);

static void run_ok(trial *t)
{
    pare_error err = {0};
    scene_rewind(t->scene);
    const int rc = step_run(t->step, t->scene, &t->look->view, t->map, &err);
    ck_assert_msg(rc == 0, "%s at site %d, %d x %d x %d, n %lld, k %lld, prefix %d: %s", t->name, t->look->view.site,
                  t->look->view.n_frame, t->look->view.grid_h, t->look->view.grid_w, (long long)t->look->view.n,
                  (long long)t->look->view.k, t->look->view.n_prefix, err.text);
}

static void over_budgets(trial *t, property check)
{
    pare__view *v = &t->look->view;
    const int64_t n = v->n, lo = least(t->step, n);
    const int64_t budgets[] = {lo, lo + 1, n / 4, n / 2, (3 * n + 3) / 5, n - 1, n};
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        if (budgets[i] < lo || budgets[i] < 1 || budgets[i] > n) continue;
        if (!strcmp(t->name, "none") && budgets[i] != n) continue;
        v->k = budgets[i];
        v->score = t->scene->score;
        check(t);
    }
}

enum { MOST_PREFIX = 5 };

/* Arrays that the step needs at the site and the scene does not have: noise, with rows of prefix tokens. */
static void offer(const step *s, scene *sc, int32_t site)
{
    pare__need need[PARE__MAX_NEEDS];
    const int n = s->sel->needs ? s->sel->needs(s->priv, site, need) : 0;
    sc->given = sc->score;
    for (int i = 0; i < n; i++) {
        scene_view look;
        scene_look(sc, site, 0, sc->n_frame, 1, &look);
        const pare__array kind = need[i].array;
        const int is_row = kind == PARE__ARRAY_CLS_ROW || kind == PARE__ARRAY_COL_MEAN;
        if (kind < PARE__ARRAY_TOKENS || kind >= PARE__ARRAY_GIVEN) continue;
        if (pare__view_get(&look.view, kind, need[i].layer, NULL)) continue;
        const int32_t here = need[i].layer == PARE__LAYER_HERE ? look.view.block : need[i].layer;
        const int32_t layer = here < 0 ? here + look.view.n_layer : here, width = is_row ? 1 : sc->d;
        const pare__view_array *a = scene_add(sc, kind, layer, width, MOST_PREFIX);
        pare__rng rng = pare__rng_make(5, (uint64_t)kind, (uint64_t)layer);
        float *data = (float *)(uintptr_t)a->data, *first = (float *)(uintptr_t)a->prefix;
        for (int64_t j = 0; j < sc->n * width; j++) data[j] = (float)pare__rng_unit(&rng);
        for (int64_t j = 0; j < (int64_t)sc->n_frame * MOST_PREFIX * width; j++) first[j] = (float)pare__rng_unit(&rng);
    }
}

/* Arrays that selectors read for the CLS token: there is at least one prefix token. */
static int needs_class(const step *s, int32_t site)
{
    pare__need need[PARE__MAX_NEEDS];
    const int n = s->sel->needs ? s->sel->needs(s->priv, site, need) : 0;
    int found = 0;
    for (int i = 0; i < n; i++)
        found |=
            need[i].array == PARE__ARRAY_CLS_ROW || need[i].array == PARE__ARRAY_Q || need[i].array == PARE__ARRAY_V;
    return found;
}

static void over_views(const step *s, scene *sc, property check)
{
    for (int i = 0; i < 3; i++) {
        if (!(s->sel->sites & (unsigned)all_sites[i])) continue;
        offer(s, sc, all_sites[i]);
        for (int32_t prefix = needs_class(s, all_sites[i]); prefix <= MOST_PREFIX; prefix = prefix ? prefix + 4 : 1) {
            scene_view look;
            pare__map map = {0};
            const int window = (s->sel->flags & PARE__SCOPE_WINDOW) != 0;
            scene_look(sc, all_sites[i], window ? 0 : sc->n_frame - 1, window ? sc->n_frame : 1, prefix, &look);
            trial t = {s, sc, &look, &map, s->sel->name};
            if (look.view.n) over_budgets(&t, check);
            pare__map_fini(&map);
        }
    }
}

static void thin_some(scene *sc)
{
    uint8_t *keep = PARE__NEW(uint8_t, sc->n);
    pare__rng rng = pare__rng_make(11, 0, 0);
    for (int64_t i = 0; i < sc->n; i++) keep[i] = pare__rng_below(&rng, 3) > 0;
    scene_thin(sc, keep);
    pare__free(keep);
}

static void over_everything(property check, int thin)
{
    for (int i = 0; pare__selectors[i]; i++) {
        if (!pare__selectors[i]->select) continue;
        step s;
        ck_assert_int_eq(step_open(&s, pare__selectors[i]->name, "", NULL), 0);
        for (int j = 0; j < N_SHAPE; j++) {
            scene sc;
            scene_make(&sc, shapes[j].t, shapes[j].h, shapes[j].w, 1 + (uint64_t)j);
            for (int64_t r = 0; r < sc.n; r++) sc.score[r] = (float)(r * 7 % 13);
            if (thin) thin_some(&sc);
            over_views(&s, &sc, check);
            scene_free(&sc);
        }
        step_close(&s);
    }
}

START_TEST(invariants_and_exact_counts) { over_everything(run_ok, 0); }
END_TEST

START_TEST(invariants_on_reduced_sets) { over_everything(run_ok, 1); }
END_TEST

static int same_map(const pare_map *a, const pare_map *b)
{
    if (a->n_out != b->n_out || !a->member_start != !b->member_start) return 0;
    const int64_t nnz = a->n_out ? a->row_start[a->n_out] : 0;
    const size_t rows = (size_t)a->n_out * sizeof *a->anchor;
    if (memcmp(a->row_start, b->row_start, (size_t)(a->n_out + 1) * sizeof *a->row_start)) return 0;
    if (memcmp(a->anchor, b->anchor, rows) || memcmp(a->size, b->size, rows)) return 0;
    if (memcmp(a->index, b->index, (size_t)nnz * 4) || memcmp(a->weight, b->weight, (size_t)nnz * 4)) return 0;
    if (!a->member_start) return 1;
    return !memcmp(a->member_start, b->member_start, (size_t)(a->n_out + 1) * sizeof *a->member_start) &&
           !memcmp(a->member, b->member, (size_t)a->member_start[a->n_out] * 4);
}

static void twice(trial *t)
{
    pare__map again = {0};
    trial other = *t;
    other.map = &again;
    run_ok(t);
    run_ok(&other);
    ck_assert_msg(same_map(&t->map->m, &again.m), "%s differs between two runs", t->name);
    pare__map_fini(&again);
}

START_TEST(same_bytes_twice) { over_everything(twice, 0); }
END_TEST

static void other_seed(trial *t)
{
    pare__view *v = &t->look->view;
    const int random = (t->step->sel->flags & PARE__RANDOM) != 0;
    pare__map again = {0};
    trial other = *t;
    other.map = &again;
    if (random && (v->n < 60 || v->k < v->n / 4 || v->k > v->n / 2)) return;
    run_ok(t);
    v->seed++;
    run_ok(&other);
    v->seed--;
    ck_assert_msg(same_map(&t->map->m, &again.m) == !random, "%s and the seed", t->name);
    pare__map_fini(&again);
}

START_TEST(only_random_ones_use_the_seed) { over_everything(other_seed, 0); }
END_TEST

static void all_kept_is_identity(trial *t)
{
    const pare_map *m = &t->map->m;
    if (t->look->view.k != t->look->view.n) return;
    run_ok(t);
    ck_assert_int_eq(m->n_out, m->n_in);
    for (int64_t r = 0; r < m->n_out; r++) {
        ck_assert_int_eq(m->row_start[r + 1], r + 1);
        ck_assert(m->weight[r] == 1 && m->size[r] == 1 && m->index[r] == m->anchor[r]);
        ck_assert_int_eq(m->anchor[r], r);
    }
}

START_TEST(keeping_all_is_the_identity) { over_everything(all_kept_is_identity, 0); }
END_TEST

static void sizes_sum(trial *t)
{
    if (strcmp(t->name, "tome")) return;
    run_ok(t);
    double sum = 0;
    for (int64_t r = 0; r < t->map->m.n_out; r++) sum += t->map->m.size[r];
    ck_assert_double_eq(sum, (double)t->look->view.n);
    ck_assert_int_eq(pare__map_check(&t->map->m, PARE__MAP_PARTITION, NULL), 0);
}

START_TEST(merged_sizes_sum_to_n) { over_everything(sizes_sum, 0); }
END_TEST

START_TEST(tables_are_complete)
{
    for (int i = 0; pare__selectors[i]; i++) {
        const pare__selector *s = pare__selectors[i];
        ck_assert(s->name && s->summary && s->cite && s->sites && (s->sites & (unsigned)s->default_site));
        ck_assert(!s->select == (s->sites == PARE__SITE_FRAMES) && !s->select == !!s->plan_grid);
        ck_assert_ptr_eq(pare__selector_find(s->name), s);
        ck_assert(!(s->flags & PARE__USES_SCORE) || pare__score_find(s->default_score));
    }
    for (int i = 0; pare__scores[i]; i++) ck_assert_ptr_eq(pare__score_find(pare__scores[i]->name), pare__scores[i]);
    ck_assert_ptr_eq(pare__allocator_find("equal"), pare__allocators[0]);
    ck_assert_ptr_null(pare__selector_find("nonsense"));
    for (int i = 0; pare__methods[i].name; i++) {
        ck_assert(pare__methods[i].recipe && pare__methods[i].summary && pare__methods[i].cite);
        ck_assert_ptr_null(pare__selector_find(pare__methods[i].name));
    }
}
END_TEST

Suite *spread_merge_suite(void);
Suite *temporal_suite(void);
Suite *score_suite(void);

static Suite *selector_suite(void)
{
    Suite *s = suite_create("selectors");
    TCase *c = tcase_create("table");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, tables_are_complete);
    tcase_add_test(c, invariants_and_exact_counts);
    tcase_add_test(c, invariants_on_reduced_sets);
    tcase_add_test(c, same_bytes_twice);
    tcase_add_test(c, only_random_ones_use_the_seed);
    tcase_add_test(c, keeping_all_is_the_identity);
    tcase_add_test(c, merged_sizes_sum_to_n);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(selector_suite());
    srunner_add_suite(r, spread_merge_suite());
    srunner_add_suite(r, temporal_suite());
    srunner_add_suite(r, score_suite());
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
