/* SPDX-License-Identifier: MIT */
/* Two steps as one: R = R2 . R1, so that provenance always speaks of the original columns. */
#include "core/map.h"

/* Gains of the rows of `first` do not commute with the weights of a merging row: coefficients are w2 g1 w1, their sum
 * sum(w2 g1) goes into the gain and the row keeps weights that sum to 1. */
static double inner_gain(const pare_map *first, const pare_map *second, int64_t r)
{
    double sum = 0;

    if (!first->gain) return 1;
    for (int64_t i = second->row_start[r]; i < second->row_start[r + 1]; i++)
        sum += (double)second->weight[i] * first->gain[second->index[i]];
    return sum;
}

static int add_columns(const pare_map *first, const pare_map *second, int64_t r, double inner, pare__map *out)
{
    for (int64_t i = second->row_start[r]; i < second->row_start[r + 1]; i++) {
        int32_t j = second->index[i];
        double w = second->weight[i];
        if (first->gain && inner > 0) w *= first->gain[j] / inner;
        for (int64_t c = first->row_start[j]; c < first->row_start[j + 1] && w > 0; c++)
            if (pare__map_add(out, first->index[c], w * first->weight[c])) return PARE_E_NOMEM;
    }
    return 0;
}

/* Members of row j of first are those of row r of second's member j; the columns themselves join in finish. */
static int add_members_of(const pare_map *first, int32_t j, pare__map *out)
{
    const int64_t *start = first->member_start ? first->member_start : first->row_start;
    const int32_t *member = first->member_start ? first->member : first->index;

    for (int64_t i = start[j]; i < start[j + 1]; i++)
        if (pare__map_member(out, member[i])) return PARE_E_NOMEM;
    return 0;
}

static int add_members(const pare_map *first, const pare_map *second, int64_t r, pare__map *out)
{
    const int64_t *start = second->member_start ? second->member_start : second->row_start;
    const int32_t *member = second->member_start ? second->member : second->index;

    if (!first->member_start && !second->member_start) return 0;
    for (int64_t i = start[r]; i < start[r + 1]; i++)
        if (add_members_of(first, member[i], out)) return PARE_E_NOMEM;
    return 0;
}

static int add_row(const pare_map *first, const pare_map *second, int64_t r, pare__map *out)
{
    double inner = inner_gain(first, second, r);
    double gain = inner * (second->gain ? second->gain[r] : 1);

    if (pare__map_row(out, first->anchor[second->anchor[r]])) return PARE_E_NOMEM;
    if (pare__map_size(out, second->size[r])) return PARE_E_NOMEM;
    if ((first->gain || second->gain) && pare__map_gain(out, gain)) return PARE_E_NOMEM;
    if (add_columns(first, second, r, inner, out)) return PARE_E_NOMEM;
    return add_members(first, second, r, out);
}

int pare__map_compose(const pare_map *first, const pare_map *second, pare__map *out)
{
    if (second->n_in != first->n_out) return PARE_E_INVALID;
    pare__map_begin(out, first->n_in);
    for (int64_t r = 0; r < second->n_out; r++)
        if (add_row(first, second, r, out)) return PARE_E_NOMEM;
    return pare__map_finish(out, NULL, 0, NULL);
}
