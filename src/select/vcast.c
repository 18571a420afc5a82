/* SPDX-License-Identifier: MIT */
/* V-CAST's measures, in double.
 *
 *     r_t = mean of the frame's tokens, scaled to length 1 [n_frame, d]
 *     curvature_t = 1 - cos(r_t - r_{t-1}, r_{t+1} - r_t); 1 at both ends and where nothing moves
 *     weight = softmax(curvature / temperature) */
#include "select/vcast.h"

#include <math.h>
#include <string.h>

#include "select/pick.h"

static double dot(const double *a, const double *b, int64_t d)
{
    double sum = 0;
    for (int64_t c = 0; c < d; c++) sum += a[c] * b[c];
    return sum;
}

/* Zero for a frame without tokens. */
static void direction_of(const pare__view *v, const float *x, int64_t d, int32_t t, double *r)
{
    memset(r, 0, (size_t)d * sizeof *r);
    for (int64_t i = v->frame_start[t]; i < v->frame_start[t + 1]; i++)
        for (int64_t c = 0; c < d; c++) r[c] += (double)x[i * d + c];
    const double square = dot(r, r, d), scale = square > 0 ? 1 / sqrt(square) : 0;
    for (int64_t c = 0; c < d; c++) r[c] *= scale;
}

/* [n_frame, d], or NULL: no memory. */
static double *directions(const pare__view *v, const float *x, int64_t d)
{
    double *r = PARE__ARENA(v->arena, double, v->n_frame *d);
    for (int32_t t = 0; r && t < v->n_frame; t++) direction_of(v, x, d, t, r + t * d);
    return r;
}

/* Of the turn at r + d, between r and r + 2 d. */
static double curvature_at(const double *r, int64_t d)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t c = 0; c < d; c++) {
        const double a = r[d + c] - r[c], b = r[2 * d + c] - r[d + c];
        ab += a * b;
        aa += a * a;
        bb += b * b;
    }
    return aa > 0 && bb > 0 ? 1 - ab / sqrt(aa * bb) : 1;
}

int pare__vcast_weigh(const pare__view *v, double temperature, const char *owner, double *curvature, double *weight,
                      pare_error *err)
{
    int32_t d;
    const float *x = pare__require(v, owner, PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    const double *r = directions(v, x, d);
    double sum = 0;
    for (int32_t t = 0; r && t < v->n_frame; t++) {
        const int is_end = t == 0 || t == v->n_frame - 1;
        const double turn = is_end ? 1 : curvature_at(r + (int64_t)(t - 1) * d, d);
        if (curvature) curvature[t] = turn;
        weight[t] = v->frame_start[t] < v->frame_start[t + 1] ? exp(turn / temperature) : 0;
        sum += weight[t];
    }
    for (int32_t t = 0; r && t < v->n_frame; t++) weight[t] = sum > 0 ? weight[t] / sum : 0;
    return r ? 0 : PARE_E_NOMEM;
}

/* ---- score --------------------------------------------------------------------------------------------------------- */

/* Rows [first, end) of one frame of direction r. */
static void score_frame(const float *x, int64_t d, int64_t first, int64_t end, const double *r, double *length,
                        float *out)
{
    double low = INFINITY, high = 0;
    for (int64_t i = first; i < end; i++) {
        double square = 0, along = 0;
        for (int64_t c = 0; c < d; c++) {
            const double e = (double)x[i * d + c];
            square += e * e;
            along += e * r[c];
        }
        length[i] = sqrt(square);
        out[i] = (float)(length[i] > 0 ? 1 - along / length[i] : 1);
        low = fmin(low, length[i]);
        high = fmax(high, length[i]);
    }
    for (int64_t i = first; high > low && i < end; i++) out[i] += (float)((length[i] - low) / (high - low));
}

int pare__vcast_score(const pare__view *v, const char *owner, float *out, pare_error *err)
{
    int32_t d;
    const float *x = pare__require(v, owner, PARE__ARRAY_TOKENS, PARE__LAYER_HERE, &d, err);
    if (!x) return PARE_E_INVALID;
    double *length = PARE__ARENA(v->arena, double, v->n), *r = PARE__ARENA(v->arena, double, d);
    const int rc = length && r ? 0 : PARE_E_NOMEM;
    for (int32_t t = 0; !rc && t < v->n_frame; t++) {
        direction_of(v, x, d, t, r);
        score_frame(x, d, v->frame_start[t], v->frame_start[t + 1], r, length, out);
    }
    return rc;
}

/* ---- budget -------------------------------------------------------------------------------------------------------- */

static int64_t rows_of(const pare__view *v, int32_t t) { return v->frame_start[t + 1] - v->frame_start[t]; }

/* Hands out `left` rows to the frames in `order`, one each per round, or as many as fit. */
static void hand_out(const pare__view *v, const int32_t *order, int64_t left, int greedy, int64_t *count)
{
    for (int given = 1; left > 0 && given;) {
        given = 0;
        for (int32_t j = 0; j < v->n_frame && left > 0; j++) {
            const int32_t t = order[j];
            const int64_t room = rows_of(v, t) - count[t], most = greedy ? left : 1, m = room < most ? room : most;
            count[t] += m;
            left -= m;
            given |= m > 0;
        }
    }
}

int pare__vcast_split(const pare__view *v, const double *weight, int64_t total, int64_t least, int greedy,
                      int64_t *count)
{
    float *fraction = PARE__ARENA(v->arena, float, v->n_frame);
    int32_t *order = PARE__ARENA(v->arena, int32_t, v->n_frame);
    int rc = fraction && order ? 0 : PARE_E_NOMEM;
    int64_t n_filled = 0, left = total;
    for (int32_t t = 0; t < v->n_frame; t++) n_filled += rows_of(v, t) > 0;
    if (n_filled && least > total / n_filled) least = total / n_filled;
    for (int32_t t = 0; !rc && t < v->n_frame; t++) {
        const double share = (double)(total - least * n_filled) * weight[t] + (double)least;
        const int64_t whole = (int64_t)share, room = rows_of(v, t);
        fraction[t] = (float)(share - (double)whole);
        count[t] = whole < room ? whole : room;
        left -= count[t];
    }
    if (!rc) rc = pare__argsort_desc(fraction, v->n_frame, order, v->arena);
    if (!rc) hand_out(v, order, left, greedy, count);
    return rc;
}
