/* SPDX-License-Identifier: MIT */
/* The feature parts of a scene, each made when first asked for: the reference's features, the most similar kept unit of
 * every unit, the un-merged features. */
#include <string.h>

#include "core/limits.h"
#include "measure/features.h"
#include "measure/scene.h"

static int no_memory(const pare__scene *s, const char *what, pare_error *err)
{
    return pare_fail(err, PARE_E_NOMEM, "out of memory for the %s of %lld units", what, (long long)s->n);
}

static void widen(const float *x, int64_t n, double *out)
{
    for (int64_t i = 0; i < n; i++) out[i] = (double)x[i];
}

/* The unit that is looked at as the i-th. */
static int64_t unit_of(const pare__scene *s, int64_t i) { return pare__seen(i, s->n_seen, s->n); }

/* ---- features of the reference ------------------------------------------------------------------------------------- */

static int check_reference(const pare__scene *s, pare_error *err)
{
    const pare_result_view *ref = s->other;
    if (!ref) return pare_fail(err, PARE_E_INVALID, "no result of recipe \"none\" is given to compare features with");
    if (ref->k != ref->n) {
        return pare_fail(
            err, PARE_E_INVALID,
            "the other result keeps %lld of %lld units; features are compared with those of recipe \"none\"",
            (long long)ref->k, (long long)ref->n);
    }
    for (int64_t i = 0; i < ref->n; i++)
        if (ref->map.anchor[i] != i)
            return pare_fail(err, PARE_E_INVALID,
                             "row %lld of the other result is unit %d: it is not of recipe \"none\"", (long long)i,
                             ref->map.anchor[i]);
    return 0;
}

int pare__scene_units(pare__scene *s, pare_error *err)
{
    if (s->unit) return 0;
    const int rc = check_reference(s, err);
    const int64_t d = s->v->d;
    if (rc) return rc;
    s->n_seen = s->n < PARE__MAX_MEASURED ? s->n : PARE__MAX_MEASURED;
    double *unit = PARE__ARENA(&s->arena, double, s->n_seen *d);
    if (!unit) return no_memory(s, "features", err);
    for (int64_t i = 0; i < s->n_seen; i++) widen(s->other->embeds + unit_of(s, i) * d, d, unit + i * d);
    s->unit = unit;
    return 0;
}

/* ---- most similar kept unit ---------------------------------------------------------------------------------------- */

/* Among the reference's features at the kept anchors; a reduction with a grid of its own has none there and is seen
 * through its own rows. */
static int find_nearest(const pare__scene *s, double *cosine, int32_t *nearest)
{
    const pare_result_view *v = s->v;
    const int same = pare__scene_same_grid(s);
    const int64_t d = v->d;
    double *row = pare__malloc(v->k * d, (int64_t)sizeof *row);
    if (!row) return PARE_E_NOMEM;
    for (int64_t j = 0; j < v->k; j++)
        widen(same ? s->other->embeds + v->map.anchor[j] * d : v->embeds + j * d, d, row + j * d);
    const int rc = pare__nearest_among(s->dense, s->unit, s->n_seen, d, row, v->k, cosine, nearest);
    pare__free(row);
    return rc;
}

int pare__scene_nearest(pare__scene *s, pare_error *err)
{
    if (s->nearest) return 0;
    const int rc = pare__scene_units(s, err);
    if (rc) return rc;
    double *cosine = PARE__ARENA(&s->arena, double, s->n_seen);
    int32_t *nearest = PARE__ARENA(&s->arena, int32_t, s->n_seen);
    if (!cosine || !nearest || find_nearest(s, cosine, nearest)) return no_memory(s, "similarities", err);
    s->cosine = cosine;
    s->nearest = nearest;
    return 0;
}

/* ---- un-merged ----------------------------------------------------------------------------------------------------- */

/* Units looked at that no row stands for. */
static int64_t count_lost(const pare__scene *s)
{
    int64_t lost = 0;
    for (int64_t i = 0; i < s->n_seen; i++) lost += s->owner[unit_of(s, i)] < 0;
    return lost;
}

int pare__scene_rebuilt(pare__scene *s, pare_error *err)
{
    if (s->rebuilt) return 0;
    int rc = pare__scene_units(s, err);
    if (!rc) rc = pare__scene_owner(s, err);
    if (!rc && count_lost(s) > 0) rc = pare__scene_nearest(s, err);
    if (rc) return rc;
    const int64_t d = s->v->d;
    double *rebuilt = PARE__ARENA(&s->arena, double, s->n_seen *d);
    if (!rebuilt) return no_memory(s, "un-merged features", err);
    for (int64_t i = 0; i < s->n_seen; i++) {
        const int32_t owner = s->owner[unit_of(s, i)], row = owner >= 0 ? owner : s->nearest[i];
        widen(s->v->embeds + row * d, d, rebuilt + i * d);
    }
    s->rebuilt = rebuilt;
    return 0;
}
