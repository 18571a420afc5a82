/* SPDX-License-Identifier: MIT */
/* A self-contained window of located tokens. */
#ifndef PARE_REDUCE_RESULT_H
#define PARE_REDUCE_RESULT_H

#include <pare/pare.h>

#include "core/fit.h"
#include "core/map.h"
#include "reduce/window.h"

struct pare__recycler;

struct pare_result {
    pare_result_view view; /* pointers into the arrays below */
    pare__map map;
    pare__arena mem;             /* of all arrays but those of the map and of features */
    struct pare__recycler *home; /* where it goes when it is freed, or NULL */
    float *embeds, *box, *sizes, *prefix, *pooled, *logits, *scores, *deepstack, *image_embeds, *newline;
    int32_t *place, *mrope;
    pare_slot *slot;
    int64_t *unit_start;
    uint8_t *kind, *fresh;
    int64_t *index, *frame_start;
    double *pts;
    pare_step *step;          /* [t / per_picture] */
    pare__fit *fit;           /* [t] */
    int32_t unit_px;          /* pixels of a unit side on the grid */
    pare_tensor *feature;     /* one block with its names and data, or NULL */
    struct pare_result *next; /* queue of the reducer, list of the recycler */
};

/* What is known of a window's rows without the encoder. */
typedef struct pare__dry {
    int64_t *tokens;    /* [pictures] rows of each; -1 = unknown */
    int64_t total;      /* rows of the window; -1 = unknown */
    int64_t final_left; /* rows that the final step leaves; -1 = unknown */
    int32_t has_places; /* the rows themselves are known */
} pare__dry;

/* What a finished window hands over; everything is copied except `score`. */
typedef struct pare__window_out {
    const pare__rows *rows; /* sorted by anchor */
    int32_t t0, grid_h, grid_w, unit, unit_px;
    int64_t origin0;       /* number in the clip of the first candidate */
    const pare_slot *slot; /* [t] */
    int32_t has_mrope;
    double mrope_per_second,
        media_start;      /* t of M-RoPE per second, 0 = one per step; pts of the medium's first frame */
    int32_t mrope_stamps; /* every step of a clip is placed like a picture: t of M-RoPE is 0 */
    int32_t n_prefix, n_class, n_embed;
    const float *prefix;         /* [t, n_prefix, d] or NULL */
    const float *pooled;         /* [t, d] or NULL */
    const float *logits;         /* [t, n_class] or NULL */
    const float *image_embeds;   /* [t, n_embed] or NULL */
    const float *newline;        /* [d] or NULL */
    const float *score;          /* [n] or NULL */
    const uint8_t *fresh;        /* [n] or NULL: all are */
    const double *pts;           /* [t, 2] or NULL */
    const pare_step *step;       /* [t] of a picture: at its first slot; or NULL */
    int32_t per_picture;         /* slots of a picture */
    const pare__dry *dry;        /* nothing was encoded; or NULL */
    const pare__fit *fit;        /* [t] or NULL */
    struct pare__recycler *home; /* whose memory it uses, or NULL */
} pare__window_out;

int pare__result_make(pare_result **out, const pare__window_out *w);
/* Gives it to its home, if that is open, or destroys it. Any thread. */
void pare__result_free(pare_result **r);
void pare__result_destroy(pare_result *r);

#endif
