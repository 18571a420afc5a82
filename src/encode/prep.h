/* SPDX-License-Identifier: MIT */
/* Preprocessing: from an upright RGB frame to the u8 picture whose patches are the grid. PIL-exact, because accuracy
 * depends on it. */
#ifndef PARE_ENCODE_PREP_H
#define PARE_ENCODE_PREP_H

#include <pare/pare.h>

#include "core/fit.h"
#include "core/mem.h"
#include "core/pool.h"
#include "model/model.h"

/* Target geometry as pare_model_fit describes it. width/height/max_side as in pare_reducer_opts. */
int pare__prep_fit(const pare_model *m, int32_t src_width, int32_t src_height, int32_t video, int32_t width,
                   int32_t height, int32_t max_side, pare__fit *fit, pare_error *err);
/* What the checkpoint's own rule makes of every frame of a clip of n_frames, where it has one for clips (SMART); else as
 * pare__prep_fit of a video. `width`, `height`: 0 = by the rule. */
int pare__prep_clip(const pare_model *m, int32_t src_width, int32_t src_height, int64_t n_frames, int32_t width,
                    int32_t height, pare__fit *fit, pare_error *err);
/* The same size, but with the whole picture inside, letterboxed: what the size leaves over is the mean colour of the
 * checkpoint's rule, as LLaVA pads (transformers LlavaImageProcessor.pad_to_square, there int(255 mean); pare
 * resizes first, so no padding mixes into the picture's border). */
int pare__prep_letterbox(const pare_model *m, int32_t src_width, int32_t src_height, int32_t video, int32_t width,
                         int32_t height, int32_t max_side, pare__fit *fit, pare_error *err);
/* Resize (u8 to u8, 22-bit fixed point, horizontal then vertical, as Pillow) and crop into out [fit->height,
 * fit->width, 3]. Scratch from `arena`. `pool` may be NULL. Outside the picture is fit->pad. */
int pare__prep_frame(const pare_frame *frame, const pare__fit *fit, pare__resample resample, uint8_t *out,
                     pare__arena *arena, pare__pool *pool, pare_error *err);
/* A rectangle of pixels, half open. */
typedef struct pare__area {
    int32_t x0, y0, x1, y1;
} pare__area;
/* Square blocks of a source, and which of them are not as they were. */
typedef struct pare__changed {
    const uint8_t *is_new; /* [rows, cols] */
    int32_t rows, cols, block;
    int32_t is_all; /* nothing is known of the picture before: all of is_new is set */
} pare__changed;
/* pare__prep_frame of a frame of which only some blocks differ from the one before: `out` holds what became of that one, unless
 * is_all. `between` [src_height, resized_width, 3] is kept by the caller from frame to frame: the picture after the first
 * pass, where pare__prep_keeps; else it is not touched and all is made anew. */
int pare__prep_changed(const pare_frame *frame, const pare__fit *fit, pare__resample resample,
                       const pare__changed *changed, uint8_t *between, uint8_t *out, pare__arena *arena,
                       pare__pool *pool, pare_error *err);
int pare__prep_keeps(const pare__fit *fit, pare__resample resample);
/* How this rule resamples photos (video = 0) or frames of a clip. */
static inline pare__resample pare__prep_resample(const pare__prep_rule *rule, int32_t video)
{
    return video && rule->clip_resample ? rule->clip_resample : rule->resample;
}
/* Plain resize of dense RGB, the kernel of the above. */
int pare__resize_u8(const uint8_t *src, int64_t stride, int32_t sw, int32_t sh, uint8_t *dst, int32_t dw, int32_t dh,
                    pare__resample resample, pare__arena *arena, pare__pool *pool, pare_error *err);
/* A part of a resized picture of width x height; its rows are `stride` bytes apart. */
typedef struct pare__target {
    uint8_t *rgb; /* pixel (part.x0, part.y0) */
    int64_t stride;
    int32_t width, height;
    pare__area part;
} pare__target;
/* Does the resize go over the width first and then over the height, so that what lies between can be kept? */
int pare__resize_keeps(pare__resample resample, int32_t sw, int32_t sh, int32_t dw, int32_t dh);
/* What pare__resize_u8 makes of a source of which only some blocks changed, where pare__resize_keeps. `between` [source
 * height, to->width, 3] and what `to` shows are those of the source before, and are brought up to date. */
int pare__resize_changed(const pare_frame *src, const pare__changed *changed, const pare__target *to,
                         pare__resample resample, uint8_t *between, pare__arena *arena, pare__pool *pool,
                         pare_error *err);
/* value[3, 256] = ((float)(u8 * rescale) - mean) / std in f32: what the network sees of every u8 value. */
void pare__prep_values(const pare__prep_rule *rule, float *value);
/* One channel value as the network sees it: (u8 * rescale - mean) / std in f32. out [3, h, w]. */
void pare__prep_normalise(const pare__prep_rule *rule, const uint8_t *rgb, int32_t w, int32_t h, float *out);

#endif
