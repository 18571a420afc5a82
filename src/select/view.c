/* SPDX-License-Identifier: MIT */
/* Looking up the arrays of a view. */
#include "select/view.h"

#include <string.h>

/* What the encoder stored for `layer`; negatives and HERE resolved. */
static int32_t resolve(const pare__view *v, int32_t layer)
{
    if (layer == PARE__LAYER_HERE && v->block >= 0) return v->block;
    if (layer < 0 && layer != PARE__LAYER_HERE && v->n_layer > 0) return layer + v->n_layer;
    return layer;
}

static const pare__view_array *find(const pare__view *v, pare__array array, int32_t layer)
{
    const pare__view_array *only = NULL;
    int32_t n = 0;
    for (int32_t i = 0; i < v->n_array; i++) {
        const pare__view_array *a = &v->array[i];
        if (a->need.array != array) continue;
        if (a->need.layer == layer || resolve(v, a->need.layer) == resolve(v, layer)) return a;
        only = a;
        n++;
    }
    return n == 1 && v->n_layer == 0 ? only : NULL;
}

const float *pare__view_get(const pare__view *v, pare__array array, int32_t layer, int32_t *width)
{
    const pare__view_array *a = find(v, array, layer);
    if (!a) return NULL;
    if (width) *width = a->width;
    return a->data;
}

const float *pare__view_prefix(const pare__view *v, pare__array array, int32_t layer)
{
    const pare__view_array *a = find(v, array, layer);
    return a ? a->prefix : NULL;
}

const float *pare__mean_row(const pare__view *v, const float *x, int64_t width)
{
    float *mean = PARE__ARENA(v->arena, float, width + 1);
    if (!mean) return NULL;
    memset(mean, 0, (size_t)width * sizeof *mean);
    for (int64_t i = 0; i < v->n; i++) v->vec->axpy(mean, 1.0F / (float)v->n, x + i * width, width);
    return mean;
}

const char *pare__array_name(pare__array array)
{
    static const char *const name[PARE__ARRAY_COUNT] = {[PARE__ARRAY_PIXELS] = "pixels",
                                                        [PARE__ARRAY_TOKENS] = "tokens",
                                                        [PARE__ARRAY_Q] = "q",
                                                        [PARE__ARRAY_K] = "k",
                                                        [PARE__ARRAY_V] = "v",
                                                        [PARE__ARRAY_K_MEAN] = "k_mean",
                                                        [PARE__ARRAY_CLS_ROW] = "cls_row",
                                                        [PARE__ARRAY_COL_MEAN] = "col_mean",
                                                        [PARE__ARRAY_GIVEN] = "scores",
                                                        [PARE__ARRAY_TEXT_QUERY] = "text_query",
                                                        [PARE__ARRAY_MOTION] = "motion"};
    return name[array];
}
