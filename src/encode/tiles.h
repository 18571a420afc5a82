/* SPDX-License-Identifier: MIT */
/* How many pictures a photo becomes, and what the language model receives of them: pure geometry over pare__prep_rule, no
 * pixels. Sources: transformers' image_processing_*.py and modeling_*.py of LLaVA-NeXT, LLaVA-OneVision (select_best_
 * resolution, unpad_image, pack_image_features), Idefics3 and SmolVLM (split_image), InternVL (dynamic_preprocess). */
#ifndef PARE_ENCODE_TILES_H
#define PARE_ENCODE_TILES_H

#include <pare/pare.h>

#include "core/fit.h"
#include "model/model.h"

typedef struct pare__tiling {
    int32_t rows, cols;      /* tiles; 1, 1: the whole picture alone */
    int32_t has_whole;       /* the whole picture is a slot of its own beside the tiles */
    int32_t whole_last;      /* it comes behind its tiles, as the language model reads it */
    pare__fit canvas;        /* of the tiles put together; tile i is pare__fit_tile of it */
    pare__fit whole;         /* of the whole picture */
    int32_t first_resize_width, first_resize_height; /* the photo is brought to this size first (Idefics3); 0 = no */
} pare__tiling;

/* Slots of a tiling. */
static inline int32_t pare__tiling_slots(const pare__tiling *t)
{
    return t->rows * t->cols == 1 ? 1 : t->rows * t->cols + (t->has_whole != 0);
}
/* What the checkpoint's rule makes of a photo of this size. `rows`, `cols`: 0 = the rule's, -1 = no tiles, else given:
 * then the whole picture is a slot, too. Errors: INVALID, LIMIT. */
int pare__tiling_find(const pare_model *m, int32_t src_width, int32_t src_height, int32_t rows, int32_t cols,
                      pare__tiling *out, pare_error *err);
/* Rows that the language model receives of it without a reduction: units of all slots, less what unpadding removes,
 * shrunk to anyres_max, with newlines. */
int64_t pare__tiling_tokens(const pare_model *m, const pare__tiling *t);

/* What the language model receives of all slots, as a sparse matrix over their units put one after the other (slots in the
 * order of the language model): rows of the slots, means of them where they are shrunk, newlines. */
typedef struct pare__packing {
    int64_t n;          /* rows */
    int64_t *row_start; /* [n + 1] */
    int32_t *source;    /* [row_start[n]] rows of the slots; an empty row is a newline */
    float *weight;      /* [row_start[n]] */
} pare__packing;
/* Of a photo, or of `n_frames` frames of a clip with their pool (then `t` tells one frame's whole only). Errors: NOMEM. */
int pare__packing_make(pare__packing *p, const pare_model *m, const pare__tiling *t, int32_t n_frames, pare_error *err);
void pare__packing_fini(pare__packing *p);

#endif
