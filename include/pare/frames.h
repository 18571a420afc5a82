/* SPDX-License-Identifier: MIT */
/* Key frames: a survey of a clip, the choice of frames by what happens in it, and pictures of another size. What
 * `pare frames` is made of. Conventions as in pare.h. */
#ifndef PARE_FRAMES_H
#define PARE_FRAMES_H

#include <stdint.h>

#include <pare/frame.h>
#include <pare/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- pictures of another size ------------------------------------------------------------------------------------ */

enum { PARE_RESIZE_NEAREST, PARE_RESIZE_BOX, PARE_RESIZE_BILINEAR, PARE_RESIZE_BICUBIC, PARE_RESIZE_LANCZOS };

/* Resizes the whole picture to RGB out [height, width, 3], dense, as Pillow does, to the bit; `frame` in any layout. Any
 * thread. Errors: INVALID (no pixels, sizes, filter), LIMIT, NOMEM. */
PARE_API int pare_frame_resize(const pare_frame *frame, int32_t filter, uint8_t *out, int32_t width, int32_t height,
                               pare_error *err);

/* ---- the survey -------------------------------------------------------------------------------------------------- */

/* What is remembered of a clip: some 200 bytes of every frame, at most 2^20 frames. One thread at a time. */
typedef struct pare_survey pare_survey;

typedef struct pare_survey_opts {
    uint32_t struct_size;
    int32_t with_sizes; /* 1: also how much of the detail smaller sizes keep (pare_survey_detail) */
} pare_survey_opts;

typedef struct pare_survey_view {
    uint32_t struct_size;
    int64_t n;             /* frames so far */
    int64_t n_cuts;        /* scenes begin at so many of them, the first frame aside */
    const double *pts;     /* [n] seconds */
    const float *change;   /* [n] mean |difference| to the frame before, 0..255; 0 for the first */
    const uint8_t *is_cut; /* [n] 1: a scene begins */
    int32_t width, height; /* of the largest frame, pixels */
} pare_survey_view;

/* opts may be NULL. Errors: NOMEM. */
PARE_API int pare_survey_create(pare_survey **out, const pare_survey_opts *opts, pare_error *err);
/* The next frame, in any layout; copied as far as it is remembered. Errors: INVALID (no pixels; pts before the last one's
 * or not finite), LIMIT, NOMEM. */
PARE_API int pare_survey_push(pare_survey *s, const pare_frame *frame, pare_error *err);
/* Arrays are borrowed until the next push or close. `view->struct_size` must be set. Errors: INVALID. */
PARE_API int pare_survey_get(const pare_survey *s, pare_survey_view *view, pare_error *err);

typedef struct pare_choice {
    uint32_t struct_size;
    int64_t n; /* frames wanted, at least 1; all where there are fewer */
    double
        evenness;   /* 0..1: 0 = by change alone, 1 = by time alone; what stands still is shown, too, from above 0 on */
    double min_gap; /* seconds between chosen frames at least; 0 = none. Then there may be fewer than n */
    int32_t uniform; /* 1: evenly over the frames, whatever happens: the baseline */
} pare_choice;

/* Indices [n] of the chosen frames, ascending, into `index`; `n_chosen` of them. Every scene has one while n suffices, else
 * the scenes with most in them; the others are shared out by what accumulates in a scene (change and time, by evenness)
 * and stand in the middle of equal shares of it, each moved to where it stands best for the frames around it.
 * The same survey and choice give the same frames. Errors: INVALID (an empty survey, options), NOMEM. */
PARE_API int pare_survey_choose(const pare_survey *s, const pare_choice *choice, int64_t *index, int64_t *n_chosen,
                                pare_error *err);
/* How well frames stand for the clip, 0..1: 1 - d / d0, d the mean difference of every frame to the nearer of the chosen
 * ones before and behind it, d0 that to the clip's mean picture; thumbnails of 16 x 12 levels of grey. 1 for a clip in
 * which nothing moves. `index` [n] ascending. Errors: INVALID. */
PARE_API int pare_survey_coverage(const pare_survey *s, const int64_t *index, int64_t n, double *coverage,
                                  pare_error *err);
/* Share of the detail, 0..1, that frames keep which are sent at `scale` (0..1] of their sides: 1 - e / e0, e the mean
 * error of brightness after going down to it and up again, e0 that of 1/16; measured on a few frames, in between
 * interpolated. Errors: INVALID (scale; a survey without with_sizes). */
PARE_API int pare_survey_detail(const pare_survey *s, double scale, double *detail, pare_error *err);
PARE_API void pare_survey_close(pare_survey **s);

#ifdef __cplusplus
}
#endif
#endif
