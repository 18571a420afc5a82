/* SPDX-License-Identifier: MIT */
/* pare_selection_*: the map builder as the caller's selector sees it. Nothing of the caller's is trusted: rows are within
 * the view, weights positive, gains finite. That a row sums to 1 is checked where every map is finished. */
#include "select/selection.h"

#include <math.h>

static int is_row(const pare_selection *s, int64_t row) { return s && row >= 0 && row < s->n; }

int pare_selection_keep(pare_selection *s, int64_t row)
{
    if (!is_row(s, row)) return PARE_E_INVALID;
    s->open = 0;
    return pare__map_keep(s->map, row);
}

int pare_selection_row(pare_selection *s, int64_t anchor)
{
    if (!is_row(s, anchor)) return PARE_E_INVALID;
    s->open = 1;
    return pare__map_row(s->map, anchor);
}

int pare_selection_add(pare_selection *s, int64_t row, double weight)
{
    if (!is_row(s, row) || !s->open || !(weight > 0) || !isfinite(weight)) return PARE_E_INVALID;
    return pare__map_add(s->map, row, weight);
}

int pare_selection_member(pare_selection *s, int64_t row)
{
    if (!is_row(s, row) || s->map->m.n_out == 0) return PARE_E_INVALID;
    return pare__map_member(s->map, row);
}

int pare_selection_score(pare_selection *s, int64_t row, float score)
{
    if (!is_row(s, row) || isnan(score)) return PARE_E_INVALID;
    if (s->score && isfinite(score)) s->score[row] = score;
    return 0;
}

int pare_selection_gain(pare_selection *s, double gain)
{
    if (!s || s->map->m.n_out == 0 || !(gain >= 0) || !isfinite(gain)) return PARE_E_INVALID;
    return pare__map_gain(s->map, gain);
}
