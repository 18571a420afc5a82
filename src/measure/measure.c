/* SPDX-License-Identifier: MIT */
/* pare_measure behind its argument checks: names become metrics, two results one scene. */
#include <math.h>

#include "core/option.h"
#include "measure/scene.h"

enum { MAX_METRICS = 256 }; /* names that are searched for the nearest one */

static int unknown_metric(const char *name, pare_error *err)
{
    const char *names[MAX_METRICS];
    int32_t n = 0;
    for (const pare__metric *m; n < MAX_METRICS && (m = pare__metric_at(n)); n++) names[n] = m->name;
    const char *near = pare__nearest(name, names, n);
    if (near) return pare_fail(err, PARE_E_INVALID, "no metric is called '%s'; did you mean '%s'?", name, near);
    return pare_fail(err, PARE_E_INVALID, "no metric is called '%s'", name);
}

/* Are these results of the same frames, as far as they can tell? Their grids may differ. */
static int check_pair(const pare_result_view *v, const pare_result_view *other, pare_error *err)
{
    if (!other) return 0;
    if (v->grid[0] != other->grid[0])
        return pare_fail(err, PARE_E_INVALID, "results of other frames: %d slots against %d", v->grid[0],
                         other->grid[0]);
    if (v->d != other->d)
        return pare_fail(err, PARE_E_INVALID, "results of other models: tokens of %d elements against %d", v->d,
                         other->d);
    for (int32_t t = 0; t < v->grid[0]; t++) {
        if (v->slot[t].tile != other->slot[t].tile)
            return pare_fail(err, PARE_E_INVALID, "results of other frames: slot %d is tile %d against %d", t,
                             v->slot[t].tile, other->slot[t].tile);
        if (v->pts && other->pts && v->pts[2 * (int64_t)t] != other->pts[2 * (int64_t)t])
            return pare_fail(err, PARE_E_INVALID, "results of other frames: slot %d is at %.6f s against %.6f s", t,
                             v->pts[2 * (int64_t)t], other->pts[2 * (int64_t)t]);
    }
    return 0;
}

static int measure_one(pare__scene *s, const char *name, double *value, pare_error *err)
{
    const pare__metric *m = pare__metric_find(name);
    if (!m) return unknown_metric(name, err);
    if (!s->other && m->reads & PARE__READS_REFERENCE)
        return pare_fail(err, PARE_E_INVALID, "metric '%s' needs the result of recipe 'none' to compare with", name);
    if (!s->other && m->reads & PARE__READS_OTHER)
        return pare_fail(err, PARE_E_INVALID, "metric '%s' needs another result to compare with", name);
    *value = NAN;
    const int rc = m->compute(s, value, err);
    if (!rc && !isfinite(*value)) *value = NAN;
    return rc;
}

int pare__measure(const pare_result_view *v, const pare_result_view *other, const pare__dense *dense,
                  const char *const *names, int32_t n, double *values, pare_error *err)
{
    pare__scene s = {.v = v, .other = other, .dense = dense, .n = other ? other->n : v->n};
    int rc = check_pair(v, other, err);
    for (int32_t i = 0; !rc && i < n; i++) rc = measure_one(&s, names[i], &values[i], err);
    pare__arena_fini(&s.arena);
    return rc;
}
