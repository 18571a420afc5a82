/* SPDX-License-Identifier: MIT */
/* Counting where two reductions differ (compare.h). The IoU is that of all units together; NMI and rank
 * correlation are the library's (pare_measure), means over windows weighted by their units. */
#include "compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const metrics[] = {"grouping_nmi_ratio", "score_spearman_rho"};
enum { N_METRIC = sizeof metrics / sizeof *metrics };

int cli_side_add(cli_side *s, pare_result *result)
{
    const pare_result_view *v = pare_result_get(result);
    if (s->n == s->cap) {
        const int64_t cap = s->cap > 0 ? 2 * s->cap : 4;
        pare_result **grown = realloc(s->result, (size_t)cap * sizeof *grown);
        if (grown == NULL) {
            pare_result_free(&result);
            return -1;
        }
        s->result = grown;
        s->cap = cap;
    }
    s->result[s->n++] = result;
    s->n_unit += v->n;
    s->n_row += v->k;
    return 0;
}

static void free_side(cli_side *s)
{
    for (int64_t i = 0; i < s->n; i++) pare_result_free(&s->result[i]);
    free(s->result);
}

void cli_compare_free(cli_compare *m)
{
    free_side(&m->a);
    free_side(&m->b);
    free(m->step);
    *m = (cli_compare){0};
}

/* ---- the same units? ------------------------------------------------------------------------------------------ */

static int other_grids(cli_common *c, const cli_compare *m, const pare_slot *a, const pare_slot *b)
{
    return cli_usage(
        c,
        "compare: %s has a grid of %dx%d units (rows x columns), %s one of %dx%d: what they keep cannot be "
        "laid side by side",
        m->a.name, a->grid_h, a->grid_w, m->b.name, b->grid_h, b->grid_w);
}

static int check_windows(cli_common *c, cli_compare *m)
{
    int64_t n_step = 0;
    for (int64_t i = 0; i < m->a.n && i < m->b.n; i++) {
        const pare_result_view *a = pare_result_get(m->a.result[i]), *b = pare_result_get(m->b.result[i]);
        for (int32_t t = 0; t < a->grid[0] && t < b->grid[0]; t++)
            if (a->slot[t].grid_h != b->slot[t].grid_h || a->slot[t].grid_w != b->slot[t].grid_w)
                return other_grids(c, m, &a->slot[t], &b->slot[t]);
        if (a->grid[0] != b->grid[0])
            return cli_usage(c, "compare: %s has %d steps where %s has %d", m->a.name, a->grid[0], m->b.name,
                             b->grid[0]);
        n_step += a->grid[0];
    }
    if (m->a.n != m->b.n || m->a.n_unit != m->b.n_unit)
        return cli_usage(c, "compare: %s is of %lld units, %s of %lld", m->a.name, (long long)m->a.n_unit, m->b.name,
                         (long long)m->b.n_unit);
    m->step = calloc((size_t)n_step + 1, sizeof *m->step);
    if (m->step != NULL) return CLI_OK;
    cli_say(c, "out of memory for %lld steps", (long long)n_step);
    return CLI_FAILED;
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

/* kept [units of slot t]: 1 where a row of the slot has its anchor. */
static void mark_kept(const pare_result_view *v, int32_t t, uint8_t *kept)
{
    const int64_t first = v->unit_start[t];
    memset(kept, 0, (size_t)(v->unit_start[t + 1] - first));
    for (int64_t i = v->row_start[t]; i < v->row_start[t + 1]; i++) kept[v->map.anchor[i] - first] = 1;
}

/* Sum over units in `from` alone of the distance to the nearest unit of `to` on a grid of w columns, in units. Nowhere to
 * go: they are not counted. */
static void add_distances(const uint8_t *from, const uint8_t *to, int64_t n, int32_t w, double *sum, int64_t *count)
{
    for (int64_t i = 0; i < n; i++) {
        double nearest = INFINITY;
        for (int64_t j = 0; from[i] && !to[i] && j < n; j++) {
            const double dy = (double)(i / w - j / w), dx = (double)(i % w - j % w);
            if (to[j]) nearest = fmin(nearest, dy * dy + dx * dx);
        }
        if (isinf(nearest)) continue;
        *sum += sqrt(nearest);
        ++*count;
    }
}

static void measure_step(const pare_result_view *a, const pare_result_view *b, int32_t t, uint8_t *kept, cli_step *out)
{
    const int64_t n = a->unit_start[t + 1] - a->unit_start[t];
    uint8_t *in_a = kept, *in_b = kept + n;
    mark_kept(a, t, in_a);
    mark_kept(b, t, in_b);
    *out = (cli_step){.slot = a->slot[t], .pts = a->pts != NULL ? a->pts[2 * t] : NAN};
    for (int64_t i = 0; i < n; i++) {
        out->both += in_a[i] && in_b[i];
        out->only_a += in_a[i] && !in_b[i];
        out->only_b += !in_a[i] && in_b[i];
        out->neither += !in_a[i] && !in_b[i];
    }
    add_distances(in_a, in_b, n, a->slot[t].grid_w, &out->far_a, &out->n_far_a);
    add_distances(in_b, in_a, n, a->slot[t].grid_w, &out->far_b, &out->n_far_b);
}

static void add_step(cli_step *sum, const cli_step *s)
{
    sum->both += s->both;
    sum->only_a += s->only_a;
    sum->only_b += s->only_b;
    sum->neither += s->neither;
    sum->far_a += s->far_a;
    sum->far_b += s->far_b;
    sum->n_far_a += s->n_far_a;
    sum->n_far_b += s->n_far_b;
}

static int measure_window(cli_common *c, cli_compare *m, int64_t i)
{
    const pare_result_view *a = pare_result_get(m->a.result[i]), *b = pare_result_get(m->b.result[i]);
    uint8_t *kept = malloc(2 * (size_t)a->n + 1);
    if (kept == NULL) {
        cli_say(c, "out of memory for %lld units", (long long)a->n);
        return CLI_FAILED;
    }
    for (int32_t t = 0; t < a->grid[0]; t++) {
        cli_step *s = &m->step[m->n_step++];
        measure_step(a, b, t, kept, s);
        add_step(&m->sum, s);
    }
    free(kept);
    return CLI_OK;
}

/* ---- agreement ------------------------------------------------------------------------------------------------ */

/* Means over the windows in which a metric is defined. */
static int measure_agreement(cli_common *c, cli_compare *m)
{
    double sum[N_METRIC] = {0}, weight[N_METRIC] = {0}, value[N_METRIC], *const out[] = {&m->nmi, &m->spearman};
    pare_error err = {0};
    for (int64_t i = 0; i < m->a.n; i++) {
        const double n = (double)pare_result_get(m->a.result[i])->n;
        if (pare_measure(m->a.result[i], m->b.result[i], metrics, N_METRIC, value, &err) != 0)
            return cli_fail(c, &err, CLI_FAILED);
        for (int j = 0; j < N_METRIC; j++) {
            if (isnan(value[j])) continue;
            sum[j] += n * value[j];
            weight[j] += n;
        }
    }
    for (int j = 0; j < N_METRIC; j++) *out[j] = weight[j] > 0 ? sum[j] / weight[j] : NAN;
    return CLI_OK;
}

double cli_step_iou(const cli_step *s)
{
    const int64_t any = s->both + s->only_a + s->only_b;
    return any > 0 ? (double)s->both / (double)any : NAN;
}

int64_t cli_compare_worst(const cli_compare *m)
{
    int64_t worst = -1, most = -1;
    for (int64_t i = 0; i < m->n_step; i++) {
        const int64_t n = m->step[i].only_a + m->step[i].only_b;
        if (n <= most) continue;
        most = n;
        worst = i;
    }
    return worst;
}

int cli_compare_measure(cli_common *c, cli_compare *m)
{
    int rc = check_windows(c, m);
    for (int64_t i = 0; rc == CLI_OK && i < m->a.n; i++) rc = measure_window(c, m, i);
    return rc == CLI_OK ? measure_agreement(c, m) : rc;
}
