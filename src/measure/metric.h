/* SPDX-License-Identifier: MIT */
/* Metrics: numbers about a reduction, from the map and the features alone; labels and clocks are the caller's business.
 * A metric is one function over a scene; metrics that share work (distances, similarities) find it in the scene, where
 * it is computed once. Everything is double precision and cut by shape, never by threads.
 * How to add one: a function in met_*.c, a row of that file's table; the tables are joined in metrics.c. */
#ifndef PARE_MEASURE_METRIC_H
#define PARE_MEASURE_METRIC_H

#include <pare/pare.h>

#include "core/dense.h"

/* What a metric reads beyond the kept places. */
enum {
    PARE__READS_REFERENCE = 1, /* scene->other is the run without reduction */
    PARE__READS_OTHER = 2,     /* scene->other is another reduction of the same units */
    PARE__READS_SCORES = 4,    /* scores of the result(s) */
    PARE__READS_STEPS = 8,     /* several temporal steps */
    PARE__READS_CLS = 16,      /* prefix rows, pooled features */
    PARE__READS_LOGITS = 32
};

/* One result to be measured and what it is compared with. Lazy parts are NULL until a metric asks for them through the
 * functions of scene.h. */
typedef struct pare__scene pare__scene;

typedef struct pare__metric {
    const char *name;    /* ends in its unit: "cover_chebyshev_max_patches" */
    const char *unit;    /* "patches", "ratio", "cosine", "nats", "share", "steps", "rho", "tokens" */
    const char *summary; /* one line */
    const char *formula;
    const char *cite;
    unsigned reads;
    int32_t better; /* 1 higher, -1 lower, 0 neither */
    /* The value, NaN where it is not defined for this scene. 0, NOMEM, or INVALID with a text. */
    int (*compute)(pare__scene *s, double *out, pare_error *err);
} pare__metric;

/* i-th of all metrics, in the order of `pare list metrics`; NULL past the end. */
const pare__metric *pare__metric_at(int32_t i);
const pare__metric *pare__metric_find(const char *name); /* NULL: no such metric */

/* The tables that metrics.c joins; each ends with name == NULL. */
extern const pare__metric pare__met_fidelity[], pare__met_coverage[], pare__met_uniform[], pare__met_steps[],
    pare__met_bias[], pare__met_agreement[];

/* pare_measure without its argument checks: gemm_f64 and singular values come from the caller. */
int pare__measure(const pare_result_view *v, const pare_result_view *other, const pare__dense *dense,
                  const char *const *names, int32_t n, double *values, pare_error *err);

#endif
