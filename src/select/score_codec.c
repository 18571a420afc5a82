/* SPDX-License-Identifier: MIT */
/* How far a unit moved against the rest of its frame, by the vectors that the codec coded it with: |vector - median of the
 * frame|, blocks without a prediction like a block's width; view->motion -> [n]. Nothing is decoded or searched for it.
 * Codecs send vectors where they save bits, and none in frames that stand alone: the change of the pixels, which has been
 * measured as the frame came, is added in levels / LEVELS, which orders what the vectors leave equal, and is all there is where the codec tells nothing.
 * Source: motion magnitude less the frame's median as in OneVision-Encoder (EvolvingLMMs-Lab) without its
 * normalisation and without residuals, which FFmpeg does not export. */
#include "core/error.h"
#include "select/pick.h"
#include "select/pixels.h"
#include "select/score.h"

#define LEVELS 0.5f /* of change that count like a pixel of motion */

static int needs(const void *priv, int32_t site, pare__need *need)
{
    (void)priv, (void)site;
    need[0] = (pare__need){PARE__ARRAY_PIXELS, PARE__LAYER_HERE};
    need[1] = (pare__need){PARE__ARRAY_MOTION, PARE__LAYER_HERE};
    return 2;
}

static float of_unit(const pare__view *v, int32_t step, int64_t i, int is_first)
{
    const int64_t cell = (int64_t)v->thw[3 * i + 1] * v->grid_w + v->thw[3 * i + 2];
    const float change = is_first ? PARE__FIRST_CHANGE : pare__unit_change(v, step, cell);
    const float motion = v->motion && v->origin ? v->motion[v->origin[i]] : -1;
    return change / LEVELS + (motion > 0 ? motion : 0);
}

static int compute(const void *priv, const pare__view *v, float *out, pare_error *err)
{
    (void)priv;
    if (!v->pixels) return pare_fail(err, PARE_E_INVALID, "score 'codec' needs pixels");
    if (v->is_first && !v->motion)
        pare__log(PARE_LOG_WARN, "score 'codec': the frames tell no motion, only their pixels are compared");
    for (int32_t s = 0; s < v->n_frame; s++) {
        const int is_first = !pare__picture_before(v, (int64_t)s * v->pixels->temporal);
        for (int64_t i = v->frame_start[s]; i < v->frame_start[s + 1]; i++) out[i] = of_unit(v, s, i, is_first);
    }
    return 0;
}

const pare__score pare__score_codec = {
    .name = "codec",
    .summary = "motion against the frame's median by the codec's vectors, and the change of pixels",
    .cite = "ours; after OneVision-Encoder, EvolvingLMMs-Lab/OneVision-Encoder (motion vectors less their median)",
    .sites = PARE__SITE_PATCHES,
    .needs = needs,
    .compute = compute,
};
