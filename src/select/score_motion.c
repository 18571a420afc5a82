/* SPDX-License-Identifier: MIT */
/* Mean absolute pixel difference (0..255) of a unit to the same place one frame earlier; 255 in the clip's first step,
 * where everything is new. Pixels of the view -> [n]. */
#include "select/pick.h"
#include "select/pixels.h"
#include "select/score.h"

static int compute(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    (void)priv;
    if (!v->pixels) return pare_fail(err, PARE_E_INVALID, "score 'motion' needs pixels");
    for (int32_t s = 0; s < v->n_frame; s++) {
        const int is_first = !pare__picture_before(v, (int64_t)s * v->pixels->temporal);
        for (int64_t i = v->frame_start[s]; i < v->frame_start[s + 1]; i++) {
            const int64_t cell = (int64_t)v->thw[3 * i + 1] * v->grid_w + v->thw[3 * i + 2];
            out[i] = is_first ? PARE__FIRST_CHANGE : pare__unit_change(v, s, cell);
        }
    }
    return 0;
}

const pare__score pare__score_motion = {
    .name = "motion",
    .summary = "mean pixel difference to the same place one frame earlier, 0..255",
    .cite = "frame differencing; as in Choudhury et al., RLT, NeurIPS 2024, arXiv 2411.05222",
    .sites = PARE__SITE_PATCHES,
    .needs = pare__need_pixels,
    .compute = compute,
};
