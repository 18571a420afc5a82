/* SPDX-License-Identifier: MIT */
/* A canvas: the last known token at every place of a clip. Steps that drop what did not change leave holes; here who stands
 * still stays represented, by the token that he was last given.
 *
 *     pare_canvas_create(&canvas, result, &err);                    // of the first window
 *     for (int32_t t = 0; t < pare_result_get(result)->grid[0]; t++) {
 *         pare_canvas_update(canvas, result, t, &err);              // or t = -1: the whole window at once
 *         const pare_canvas_view *now = pare_canvas_get(canvas);    // embeds [rows * cols, d], age [rows * cols]
 *     }
 */
#ifndef PARE_CANVAS_H
#define PARE_CANVAS_H

#include <pare/pare.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One thread at a time; independent of reducer and model. */
typedef struct pare_canvas pare_canvas;

typedef struct pare_canvas_view {
    uint32_t struct_size;
    int32_t rows, cols, d; /* units of a temporal step, width of a token */
    int64_t n_step;        /* temporal steps that were taken in */
    int64_t n_known;       /* places that have a token */
    const float *embeds;   /* [rows * cols, d] 0 where nothing is known yet */
    const float *box;      /* [rows * cols, 4] of the row that the token comes from, as in pare_result_view; or 0 */
    const int64_t *step;   /* [rows * cols] step of the clip in which the token was computed; -1 = nothing is known */
    const int64_t *age;    /* [rows * cols] steps since then, 0 = in this one; -1 = nothing is known */
} pare_canvas_view;

/* An empty canvas of the grid and width of `r`, which is not taken in. Errors: INVALID (a result without tokens, of photos
 * or of tiles), NOMEM. */
PARE_API int pare_canvas_create(pare_canvas **out, const pare_result *r, pare_error *err);
/* Takes in temporal step `t` of a result (0-based within it), or with -1 all of them in order: every row goes to all units
 * of that step which it stands for. Rows of an earlier step (pare_result_view.fresh) fill empty places only. Allocates
 * nothing. Steps may be left out, and must not go back. Errors: INVALID (t; another grid or width; a step that is not after
 * the last one): the canvas is as it was. */
PARE_API int pare_canvas_update(pare_canvas *canvas, const pare_result *r, int32_t t, pare_error *err);
/* Lives as long as the canvas, its values until the next update; NULL of NULL. */
PARE_API const pare_canvas_view *pare_canvas_get(const pare_canvas *canvas);
/* Forgets everything, for another clip of the same grid. */
PARE_API void pare_canvas_reset(pare_canvas *canvas);
PARE_API void pare_canvas_close(pare_canvas **canvas);

#ifdef __cplusplus
}
#endif

#endif
