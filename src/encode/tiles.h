/* SPDX-License-Identifier: MIT */
/* How many pictures a photo becomes, and what the language model receives of them: pure geometry over pare__prep_rule, no
 * pixels. Sources: transformers' image_processing_*.py and modeling_*.py of LLaVA-NeXT, LLaVA-OneVision (select_best_
 * resolution, unpad_image, pack_image_features), Idefics3 and SmolVLM (split_images), GotOcr2 and InternVL (dynamic_
 * preprocess). */
#ifndef PARE_ENCODE_TILES_H
#define PARE_ENCODE_TILES_H

#include <pare/pare.h>

#include "core/fit.h"
#include "model/model.h"

typedef struct pare__tiling {
    int32_t rows, cols; /* tiles; 1, 1 without has_whole: the whole picture alone */
    int32_t has_whole;  /* the whole picture is a slot of its own beside the tiles, even beside a single one */
    int32_t whole_last; /* it comes behind its tiles, as the language model reads it */
    pare__fit canvas;   /* of the tiles put together, from the photo; tile i is pare__fit_tile of it */
    pare__fit whole;    /* of the whole picture, from the photo */
    /* Idefics3 resizes again and again: the photo is brought to this size first (0 = no), then to the canvas, and the
     * whole picture beside tiles is made of the canvas. Places are right without it, pixels are not. */
    int32_t first_resize_width, first_resize_height;
    int32_t whole_of_canvas;
} pare__tiling;

/* Slots of a tiling. */
static inline int32_t pare__tiling_slots(const pare__tiling *t) { return t->rows * t->cols + (t->has_whole != 0); }
/* What slot 0 .. slots - 1, in the order of the language model, shows: 0 = the whole picture, else the tile, 1 .. rows *
 * cols row by row (as pare_slot.tile). */
int32_t pare__tiling_tile(const pare__tiling *t, int32_t slot);
/* The fit of that slot. */
void pare__tiling_fit(const pare__tiling *t, int32_t slot, pare__fit *out);
/* What the checkpoint's rule makes of a photo of this size. `rows`, `cols`: 0 = the rule's, -1 = no tiles, else given:
 * then the whole picture is a slot, too. Errors: INVALID, LIMIT. */
int pare__tiling_find(const pare_model *m, int32_t src_width, int32_t src_height, int32_t rows, int32_t cols,
                      pare__tiling *out, pare_error *err);
/* Rows that the language model receives of it without a reduction: units of all slots, less what unpadding removes,
 * shrunk to anyres_max, with newlines. */
int64_t pare__tiling_tokens(const pare_model *m, const pare__tiling *t);
/* The same of a clip of so many frames, each like `whole` of t: pooled where the family pools clips. */
int64_t pare__tiling_clip_tokens(const pare_model *m, const pare__tiling *t, int64_t n_frames);

/* What the language model receives of all slots, as a sparse matrix over their units put one after the other (slots in the
 * order of the language model): rows of the slots, means of them where they are shrunk, newlines. */
typedef struct pare__packing {
    int64_t n;          /* rows */
    int64_t *row_start; /* [n + 1] */
    int32_t *source;    /* [row_start[n]] rows of the slots; an empty row is a newline */
    float *weight;      /* [row_start[n]] */
} pare__packing;
/* Of a photo (n_frames = 0), or of `n_frames` frames of a clip with their pool (then `t` tells one frame's whole only).
 * Errors: LIMIT, NOMEM. */
int pare__packing_make(pare__packing *p, const pare_model *m, const pare__tiling *t, int32_t n_frames, pare_error *err);
void pare__packing_fini(pare__packing *p);

#endif
