/* SPDX-License-Identifier: MIT */
/* Reading fixtures and comparing with them. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "golden.h"

/* ---- verdicts ------------------------------------------------------------------------------------------------------ */

static void keep_first(golden *g, const char *format, va_list args)
{
    if (g->err.code) return;
    g->err.code = PARE_E_STATE;
    vsnprintf(g->err.text, sizeof g->err.text, format, args);
}

int golden_fail(golden *g, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep_first(g, format, args);
    va_end(args);
    return PARE_E_STATE;
}

int golden_skip(golden *g, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    keep_first(g, format, args);
    va_end(args);
    g->skip = 1;
    return PARE_E_STATE;
}

/* ---- parameters and inputs ----------------------------------------------------------------------------------------- */

static json_t *param(golden *g, const char *key)
{
    json_t *value = json_object_get(g->params, key);
    if (!value) golden_fail(g, "no parameter '%s'", key);
    return value;
}

static int64_t whole_number(golden *g, const char *key, const json_t *value)
{
    const double x = json_number_value(value);
    if (value && (!json_is_number(value) || x != rint(x))) golden_fail(g, "parameter '%s' is no whole number", key);
    return (int64_t)x;
}

int64_t golden_int(golden *g, const char *key) { return whole_number(g, key, param(g, key)); }

double golden_number(golden *g, const char *key)
{
    const json_t *value = param(g, key);
    if (value && !json_is_number(value)) golden_fail(g, "parameter '%s' is no number", key);
    return json_number_value(value);
}

int golden_bool(golden *g, const char *key)
{
    const json_t *value = param(g, key);
    if (value && !json_is_boolean(value)) golden_fail(g, "parameter '%s' is neither true nor false", key);
    return json_is_true(value);
}

void golden_agree(golden *g, const char *key, int64_t value)
{
    const json_t *given = json_object_get(g->params, key);
    if (given && !json_is_null(given) && whole_number(g, key, given) != value)
        golden_fail(g, "parameter '%s' is %g, here it is %lld", key, json_number_value(given), (long long)value);
}

int64_t golden_int_at(golden *g, const char *key, size_t i)
{
    const json_t *value = json_array_get(param(g, key), i);
    if (!json_is_integer(value)) golden_fail(g, "parameter '%s' has no integer %zu", key, i);
    return (int64_t)json_integer_value(value);
}

const pare_tensor *golden_in(golden *g, const char *name)
{
    char full[128];
    snprintf(full, sizeof full, "in.%s", name);
    const pare_tensor *t = pare__tensors_find(g->file, full);
    if (!t) golden_fail(g, "no input '%s'", full);
    return t;
}

void golden_read(golden *g, const char *name, float *out, int64_t n)
{
    const pare_tensor *t = golden_in(g, name);
    if (!t) return;
    if (pare__tensor_count(t) == n)
        pare__tensor_f32(t, out);
    else
        golden_fail(g, "in.%s has %lld elements instead of %lld", name, (long long)pare__tensor_count(t), (long long)n);
}

/* ---- comparing ----------------------------------------------------------------------------------------------------- */

/* The tensor of that full name, noted as seen; its element count must be n. */
static const pare_tensor *expect(golden *g, const char *full, int64_t n)
{
    const pare_tensor *t = pare__tensors_find(g->file, full);
    if (!t || g->err.code) return NULL;
    g->seen[t - g->file->t] = 1;
    g->n_compared++;
    if (pare__tensor_count(t) == n) return t;
    golden_fail(g, "%s: %lld elements, %lld expected", full, (long long)n, (long long)pare__tensor_count(t));
    return NULL;
}

static void compare_i32(golden *g, const char *full, const int32_t *got, int64_t n)
{
    const pare_tensor *t = expect(g, full, n);
    if (!t) return;
    float *want = PARE__NEW(float, n + 1); /* places and counts are far below 2^24 */
    pare__tensor_f32(t, want);
    for (int64_t i = 0; i < n && !g->err.code; i++)
        if ((float)got[i] != want[i])
            golden_fail(g, "%s[%lld]: %d, %g expected", full, (long long)i, got[i], (double)want[i]);
    pare__free(want);
}

static void compare_f32(golden *g, const char *full, const float *got, int64_t n, double rel, double abs)
{
    const pare_tensor *t = expect(g, full, n);
    if (!t) return;
    float *want = PARE__NEW(float, n + 1);
    double most = 0;
    pare__tensor_f32(t, want);
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs((double)want[i]));
    for (int64_t i = 0; i < n && !g->err.code; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= rel * most + abs))
            golden_fail(g, "%s[%lld]: %.9g, %.9g expected", full, (long long)i, (double)got[i], (double)want[i]);
    pare__free(want);
}

/* "out.canonical.NAME" where match asks for it and it is there (then "out.NAME" counts as seen), else "out.NAME". */
static void full_name(golden *g, const char *name, char *full, size_t size)
{
    snprintf(full, size, "out.%s", name);
    const pare_tensor *raw = pare__tensors_find(g->file, full);
    if (!g->canonical) return;
    char canonical[160];
    snprintf(canonical, sizeof canonical, "out.canonical.%s", name);
    if (!pare__tensors_find(g->file, canonical)) return;
    if (raw) g->seen[raw - g->file->t] = 1;
    snprintf(full, size, "%s", canonical);
}

void golden_i32(golden *g, const char *name, const int32_t *got, int64_t n)
{
    char full[160];
    full_name(g, name, full, sizeof full);
    compare_i32(g, full, got, n);
}

void golden_f32(golden *g, const char *name, const float *got, int64_t n, double rel, double abs)
{
    char full[160];
    full_name(g, name, full, sizeof full);
    compare_f32(g, full, got, n, rel, abs);
}

void golden_raw_i32(golden *g, const char *name, const int32_t *got, int64_t n)
{
    char full[160];
    snprintf(full, sizeof full, "out.%s", name);
    compare_i32(g, full, got, n);
}

void golden_raw_f32(golden *g, const char *name, const float *got, int64_t n, double rel, double abs)
{
    char full[160];
    snprintf(full, sizeof full, "out.%s", name);
    compare_f32(g, full, got, n, rel, abs);
}

void golden_f64(golden *g, const char *name, const double *got, int64_t n, double rel, double abs)
{
    char full[160];
    snprintf(full, sizeof full, "out.%s", name);
    const pare_tensor *t = expect(g, full, n);
    if (!t) return;
    if (t->dtype != PARE_F64) {
        golden_fail(g, "%s is not f64", full);
        return;
    }
    double *want = PARE__NEW(double, n + 1), most = 0;
    memcpy(want, t->data, (size_t)n * sizeof *want);
    for (int64_t i = 0; i < n; i++) most = fmax(most, fabs(want[i]));
    for (int64_t i = 0; i < n && !g->err.code; i++)
        if (!(fabs(got[i] - want[i]) <= rel * most + abs))
            golden_fail(g, "%s[%lld]: %.17g, %.17g expected", full, (long long)i, got[i], want[i]);
    pare__free(want);
}

void golden_choice(golden *g, const char *name, const int32_t *got, int64_t n, const float *score)
{
    char full[160];
    snprintf(full, sizeof full, "out.%s", name);
    const pare_tensor *t = expect(g, full, n);
    if (!t) return;
    float *want = PARE__NEW(float, n + 1);
    pare__tensor_f32(t, want);
    for (int64_t i = 0; i < n && !g->err.code; i++) {
        const double a = (double)score[got[i]], b = (double)score[(int64_t)want[i]];
        if ((float)got[i] != want[i] && !(fabs(a - b) < 1e-6 * fabs(b)))
            golden_fail(g, "%s[%lld]: %d with score %.9g, %g with %.9g expected", full, (long long)i, got[i], a,
                        (double)want[i], b);
    }
    pare__free(want);
}

void golden_cosine(golden *g, const char *name, const float *got, int64_t n, double least)
{
    char full[160];
    snprintf(full, sizeof full, "out.%s", name);
    const pare_tensor *t = expect(g, full, n);
    if (!t) return;
    float *want = PARE__NEW(float, n);
    double ab = 0, aa = 0, bb = 0;
    pare__tensor_f32(t, want);
    for (int64_t i = 0; i < n; i++) {
        ab += (double)got[i] * (double)want[i];
        aa += (double)got[i] * (double)got[i];
        bb += (double)want[i] * (double)want[i];
    }
    if (!(ab > least * sqrt(aa * bb))) golden_fail(g, "%s: cosine %.7f", full, ab / sqrt(aa * bb));
    pare__free(want);
}

/* ---- running ------------------------------------------------------------------------------------------------------- */

int golden_select(golden *g, scene *sc, int32_t site, int32_t prefix, const char *name, const char *options, int64_t k,
                  pare__map *map)
{
    step s;
    scene_view look;
    int rc = step_open(&s, name, options, &g->err);
    if (!rc) {
        scene_look(sc, site, 0, sc->n_frame, prefix, &look);
        look.view.k = k;
        look.view.score = sc->score;
        if (k < 0 && s.sel->amount) look.view.k = s.sel->amount(s.priv, sc->n, sc->grid_h, sc->grid_w, 0, 1);
        if (look.view.k < 0) look.view.k = -1;
        rc = step_run(&s, sc, &look.view, map, &g->err);
    }
    step_close(&s);
    return rc;
}

void golden_rows(const pare_map *map, int32_t *row)
{
    for (int64_t c = 0; c < map->n_in; c++) row[c] = -1;
    for (int64_t r = 0; r < map->n_out; r++)
        for (int64_t i = map->row_start[r]; i < map->row_start[r + 1]; i++) row[map->index[i]] = (int32_t)r;
}

void golden_counts(const scene *sc, const pare_map *map, int32_t *count)
{
    for (int32_t t = 0; t < sc->n_frame; t++) count[t] = 0;
    for (int64_t r = 0; r < map->n_out; r++) count[sc->thw[3 * (int64_t)map->anchor[r]]]++;
}

void golden_pruned(golden *g, const scene *sc, const pare_map *map)
{
    int32_t *row = PARE__NEW(int32_t, map->n_in + 1), *count = PARE__NEW(int32_t, sc->n_frame);
    golden_rows(map, row);
    golden_counts(sc, map, count);
    golden_i32(g, "keep", map->anchor, map->n_out);
    golden_i32(g, "map", row, map->n_in);
    golden_i32(g, "counts", count, sc->n_frame);
    pare__free(row);
    pare__free(count);
}
