/* SPDX-License-Identifier: MIT */
/* See select_table.h. */
#include "select_table.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct shape {
    int32_t t, h, w;
} shape;

static const shape shapes[] = {{1, 1, 1}, {1, 1, 7},   {2, 2, 1}, {1, 5, 5},  {3, 7, 9},
                               {8, 4, 6}, {1, 13, 17}, {5, 3, 3}, {1, 24, 32}};

enum { N_SHAPE = sizeof shapes / sizeof *shapes };

static const int32_t all_sites[] = {PARE__SITE_PATCHES, PARE__SITE_BLOCK, PARE__SITE_OUTPUT};

static int64_t least(const step *s, int64_t n) { return s->sel->least ? s->sel->least(s->priv, n) : 1; }

/* ---- contents ---------------------------------------------------------------------------------------------------- */

/* x [n, width] becomes what the content says. */
static void fill(float *x, int64_t n, int32_t width, content what)
{
    const size_t bytes = (size_t)width * sizeof *x;
    for (int64_t i = 0; i < n; i++) {
        float *row = x + i * width;
        if (what == ZEROS || (what == SOME_ZEROS && i % 3 == 0)) memset(row, 0, bytes);
        if (what == CONSTANT) memcpy(row, x, bytes);
        if (what == DUPLICATES && i % 2) memcpy(row, row - width, bytes);
    }
}

static void fill_scene(scene *s, content what)
{
    const size_t bytes = 3 * (size_t)(s->grid_h * s->patch) * (size_t)(s->grid_w * s->patch);
    fill(s->token, s->n, s->d, what);
    fill(s->k_mean, s->n, s->d, what);
    fill(s->attention, s->n, 1, what);
    fill(s->score, s->n, 1, what);
    for (int32_t f = 0; f < s->n_frame * s->temporal; f++) {
        if (what == CONSTANT || what == ZEROS) memset(s->frame[f], what == ZEROS ? 0 : 99, bytes);
        if (what == DUPLICATES && f % 2) memcpy(s->frame[f], s->frame[f - 1], bytes);
    }
}

/* ---- over the whole table ---------------------------------------------------------------------------------------- */

void run_ok(trial *t)
{
    pare_error err = {0};
    scene_rewind(t->scene);
    const int rc = step_run(t->step, t->scene, &t->look->view, t->map, &err);
    ck_assert_msg(rc == 0, "%s at site %d, %d x %d x %d, n %lld, k %lld, prefix %d: %s", t->name, t->look->view.site,
                  t->look->view.n_frame, t->look->view.grid_h, t->look->view.grid_w, (long long)t->look->view.n,
                  (long long)t->look->view.k, t->look->view.n_prefix, err.text);
}

static void over_budgets(trial *t, property check, unsigned flags)
{
    pare__view *v = &t->look->view;
    v->score = t->scene->score;
    if (flags & UNBOUND) {
        if (t->step->sel->flags & PARE__VARIABLE_COUNT) check(t);
        return;
    }
    const int64_t n = v->n, lo = least(t->step, n);
    const int64_t budgets[] = {lo, lo + 1, n / 4, n / 2, (3 * n + 3) / 5, n - 1, n};
    for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
        if (budgets[i] < lo || budgets[i] < 1 || budgets[i] > n) continue;
        if (!strcmp(t->name, "none") && budgets[i] != n) continue;
        v->k = budgets[i];
        check(t);
    }
}

enum { MOST_PREFIX = 5, MOST_SMALL = 100 };

/* Arrays that the step needs at the site and the scene does not have: noise, with rows of prefix tokens. */
static void offer(const step *s, scene *sc, int32_t site, content what)
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
        fill(data, sc->n, width, what);
        fill(first, (int64_t)sc->n_frame * MOST_PREFIX, width, what);
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

static void over_views(const step *s, scene *sc, property check, content what, unsigned flags)
{
    for (int i = 0; i < 3; i++) {
        if (!(s->sel->sites & (unsigned)all_sites[i])) continue;
        offer(s, sc, all_sites[i], what);
        for (int32_t prefix = needs_class(s, all_sites[i]); prefix <= MOST_PREFIX; prefix = prefix ? prefix + 4 : 1) {
            scene_view look;
            pare__map map = {0};
            const int window = (s->sel->flags & PARE__SCOPE_WINDOW) != 0;
            scene_look(sc, all_sites[i], window ? 0 : sc->n_frame - 1, window ? sc->n_frame : 1, prefix, &look);
            trial t = {s, sc, &look, &map, s->sel->name};
            if (look.view.n) over_budgets(&t, check, flags);
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

void over_selector(int i, property check, content what, unsigned flags)
{
    step s;
    if (!pare__selectors[i]->select) return;
    ck_assert_int_eq(step_open(&s, pare__selectors[i]->name, "", NULL), 0);
    for (int j = 0; j < N_SHAPE; j++) {
        scene sc;
        if ((flags & SMALL) && shapes[j].t * shapes[j].h * shapes[j].w > MOST_SMALL) continue;
        scene_make(&sc, shapes[j].t, shapes[j].h, shapes[j].w, 1 + (uint64_t)j);
        for (int64_t r = 0; r < sc.n; r++) sc.score[r] = (float)(r * 7 % 13);
        if (flags & THINNED) thin_some(&sc);
        fill_scene(&sc, what);
        over_views(&s, &sc, check, what, flags);
        scene_free(&sc);
    }
    step_close(&s);
}

void over_table(property check, content what, unsigned flags)
{
    for (int i = 0; pare__selectors[i]; i++) over_selector(i, check, what, flags);
}

int selector_count(void)
{
    int n = 0;
    while (pare__selectors[n]) n++;
    return n;
}
