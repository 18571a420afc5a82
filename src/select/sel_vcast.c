/* SPDX-License-Identifier: MIT */
/* V-CAST: the budget goes to frames by softmax(curvature / temperature) over a floor of min rows each, a frame keeps the
 * tokens with the highest score. tokens [n, d] -> exactly k rows. compat=1 hands the rows that rounding leaves to one
 * frame until it is full, as the authors' loop does, instead of one to each. */
#include "select/pick.h"
#include "select/selector.h"
#include "select/vcast.h"

typedef struct vcast {
    double temperature;
    int64_t min;
    int32_t compat;
} vcast;

static const pare__option options[] = {
    PARE__OPTION_FLOAT(vcast, temperature, "of the softmax over frames: the lower, the more the sharpest turns take",
                       PARE__VCAST_TEMPERATURE, 1e-2, 100),
    PARE__OPTION_INT(vcast, min, "tokens that every frame keeps at least", 1, 0, 65536),
    PARE__OPTION_BOOL(vcast, compat,
                      "hand out what rounding leaves as the authors' code does: all to one frame until it is full", 0),
    {0},
};

static int keep_frames(const pare__view *v, const float *score, const int64_t *count, pare__map *map)
{
    int rc = 0;
    for (int32_t t = 0; !rc && t < v->n_frame; t++) {
        const int64_t first = v->frame_start[t];
        const pare__mark mark = pare__arena_mark(v->arena);
        int32_t *row = PARE__ARENA(v->arena, int32_t, count[t] + 1);
        rc = row ? pare__topk(score + first, v->frame_start[t + 1] - first, count[t], row, v->arena) : PARE_E_NOMEM;
        for (int64_t i = 0; !rc && i < count[t]; i++) rc = pare__map_keep(map, first + row[i]);
        pare__arena_reset(v->arena, mark);
    }
    return rc;
}

static int select_rows(const void *priv, const pare__view *v, pare__map *map, pare_error *err)
{
    const vcast *p = priv;
    double *weight = PARE__ARENA(v->arena, double, v->n_frame);
    int64_t *count = PARE__ARENA(v->arena, int64_t, v->n_frame);
    float *score = PARE__ARENA(v->arena, float, v->n);
    if (!weight || !count || !score) return PARE_E_NOMEM;
    const int64_t least = p->min > v->floor ? p->min : v->floor;
    int rc = pare__vcast_weigh(v, p->temperature, "vcast", NULL, weight, err);
    if (!rc) rc = pare__vcast_score(v, "vcast", score, err);
    if (!rc) rc = pare__vcast_split(v, weight, pare__budget(v), least, p->compat, count);
    if (!rc) rc = keep_frames(v, score, count, map);
    for (int64_t i = 0; !rc && v->score_out && i < v->n; i++) v->score_out[i] = score[i];
    return rc;
}

const pare__selector pare__sel_vcast = {
    .name = "vcast",
    .summary = "V-CAST: more where the clip turns, and the tokens least like their frame's mean",
    .cite = "V-CAST, arXiv 2603.27650; xinyouu/V-CAST compressor/v_cast/modeling_qwen3_vl_v_cast.py",
    .sites = PARE__SITE_OUTPUT,
    .flags = PARE__SCOPE_WINDOW,
    .default_site = PARE__SITE_OUTPUT,
    .options = options,
    .priv_size = sizeof(vcast),
    .needs = pare__need_tokens,
    .select = select_rows,
};
