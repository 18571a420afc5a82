/* SPDX-License-Identifier: MIT */
/* What a selector, score or allocator sees: candidates only (prefix tokens are never candidates and never appear among
 * the n rows; what they offer is in `prefix`), one row per unit. Rows that a mask keeps or ignores never get here: the
 * framework sets them aside, so no selector can drop, merge or read them. Arrays are borrowed and valid during the call;
 * scratch comes from `arena` only. */
#ifndef PARE_SELECT_VIEW_H
#define PARE_SELECT_VIEW_H

#include <pare/pare.h>

#include "core/gemm.h"
#include "core/map.h"
#include "core/mem.h"
#include "core/option.h"
#include "core/rank.h"
#include "core/slot.h"
#include "core/vec.h"

enum { PARE__SITE_FRAMES = 1, PARE__SITE_PATCHES = 2, PARE__SITE_BLOCK = 4, PARE__SITE_OUTPUT = 8 };

typedef enum {
    PARE__ARRAY_PIXELS, /* view->pixels: scores and selectors at patches, allocators at every site */
    PARE__ARRAY_TOKENS, /* [n, d] hidden state at the site (final or projected tokens at output); layer HERE. A layer
                         * l >= 0 means the tokens entering block l */
    PARE__ARRAY_Q,      /* [n, n_head * head_dim] after RoPE, if any */
    PARE__ARRAY_K,      /* [n, n_head * head_dim] */
    PARE__ARRAY_V,
    PARE__ARRAY_K_MEAN,     /* [n, head_dim] mean over heads */
    PARE__ARRAY_CLS_ROW,    /* [n] attention of the CLS query, mean over heads; of a family without CLS it is
                             * COL_MEAN */
    PARE__ARRAY_COL_MEAN,   /* [n] attention received, mean over heads and over all queries of the segment */
    PARE__ARRAY_GIVEN,      /* view->given: the caller's score (--scores) */
    PARE__ARRAY_TEXT_QUERY, /* view->text: embedded text (text_query) */
    PARE__ARRAY_MOTION,     /* view->motion: what the codec tells of motion, where it does: may be NULL */
    PARE__ARRAY_COUNT
} pare__array;

#define PARE__LAYER_HERE INT32_MIN /* the block of the site */

/* `layer` counts blocks: 0 .. n_layer-1, negatives from the end (-1 = last), PARE__LAYER_HERE at a block site. A layer
 * after the site is an error of the recipe. */
typedef struct pare__need {
    pare__array array;
    int32_t layer;
} pare__need;

#define PARE__MAX_NEEDS 8

/* Pictures of the slots, after resize and crop: what the patches are cut from. */
typedef struct pare__pixels {
    const uint8_t *const *frame; /* [n_frame * temporal] each [grid_h * patch, grid_w * patch, 3] dense */
    const uint8_t *previous;     /* last frame of the window before, or NULL at the start */
    /* Cached recompute: what is dropped of a slot will look as in the last reference before it, and that is what a slot is
     * compared with, not the one before. [n_frame] 1: a reference, whole whatever is dropped; NULL = there are none. */
    const uint8_t *is_reference;
    const uint8_t *reference; /* last picture of the last reference before the view, or NULL */
    /* [n_frame, grid_h * grid_w] mean |difference| of every unit to the picture before, 0..255, where that has been
     * measured anyway; NULL: it has not. Means nothing where the picture before is NULL or that of a reference. */
    const float *change;
    int32_t patch;         /* pixels per unit side */
    int32_t temporal;      /* frames per temporal step */
    float mean[3], std[3]; /* of value / 255 */
} pare__pixels;

typedef struct pare__view_array {
    pare__need need; /* layer resolved to 0..n_layer-1 */
    int32_t width;
    const float *data;   /* [n, width] */
    const float *prefix; /* [n_frame, n_prefix, width] the same of the prefix tokens (CLS first, if any), or NULL */
} pare__view_array;

typedef struct pare__view {
    int32_t site;               /* one PARE__SITE_* bit */
    int32_t block, n_block;     /* block of a block site, else -1; n_block = blocks that this step acts at */
    int32_t i_block;            /* which of them this is, 0-based */
    int64_t n;                  /* candidates */
    int32_t d;                  /* width of tokens */
    int32_t n_head;             /* heads of q, k, v; 1 if unknown */
    int32_t n_frame;            /* slots in the view: 1 for FRAME scope, else temporal steps or tiles */
    const int64_t *frame_start; /* [n_frame + 1] rows of each slot */
    const pare_slot *slot;      /* [n_frame] what each slot shows; NULL in views made by hand: steps of one clip */
    int32_t grid_h, grid_w;     /* units of a slot before any reduction; the largest where slots differ */
    int32_t t0;                 /* index in the clip of the first slot of the view */
    int32_t is_first;           /* its first slot begins a clip, photo or tile: nothing came before */
    int32_t n_prefix;           /* prefix rows that stand before the candidates of every slot in the sequence */
    int32_t no_cls;             /* 1: the first of them is no CLS token, all are registers */
    const int32_t *thw;         /* [n, 3] place of the anchor: slot (counted from the view's first), row, col */
    const float *size;          /* [n] */
    const int32_t *origin;      /* [n] candidate of the window that each row stands at, or NULL */
    int64_t origin0;            /* number in the clip of the window's first candidate */
    int64_t k;                  /* rows that may remain in the whole view; -1 = the selector decides (VARIABLE_COUNT) */
    const int64_t *k_frame;     /* [n_frame] the same per slot (sums to k); NULL when k = -1, and in views made
                                 * by hand: `k` alone binds */
    int64_t k_final;            /* OWN_SCHEDULE at a block site: rows that the step's last block must leave; else k */
    int64_t budget_left;        /* rows of the whole clip that this window and later ones may still keep, */
    int64_t units_left;         /* of so many candidates; 0 = not known, or k is no share of such a budget */
    int64_t floor;              /* WINDOW scope: rows that every slot keeps at least (or all it has); 0 = none */
    /* BOUNDED: [n_frame] rows that each slot keeps at least, and at most; NULL = `floor`, and all it has */
    const int64_t *low, *cap;
    const pare__view_array *array;
    int32_t n_array;
    const pare__pixels *pixels; /* NULL unless asked for */
    const float *score;         /* [n] of the step's score, or NULL */
    const float *given;         /* [n] the caller's own score, or NULL */
    /* By candidate of the window (origin): how far a unit moved against the rest of its frame, pixels of the source; -1
     * where the codec told nothing of its slot. NULL: of no slot, or nobody asked. */
    const float *motion;
    const float *text; /* [n_text, d_text] embedded text of the caller, or NULL */
    int32_t n_text, d_text;
    const pare_custom *custom; /* the caller's own selector, or NULL */
    uint64_t seed;
    pare__arena *arena;
    const pare__gemm *gemm;
    const pare__vec *vec;
    void *carry;  /* selector's `carry` bytes, kept from window to window, zeroed at the clip's start */
    float *state; /* [n, state_width] of the selector, kept from block to block: 0 at the step's first block, follows R
                       * like the tokens (weighted means); NULL if it asked for none */
    int32_t state_width;
    int32_t n_layer;  /* blocks of the encoder; 0 = features without an encoder */
    float *score_out; /* [n] what a selector without a framework score ranked by, for heatmaps and result.scores; NaN:
                       * nothing to show */
} pare__view;

/* The array, or NULL if the step did not ask for it. layer as `needs` returned it: HERE is view->block, negatives count
 * from view->n_layer. Features without layers (n_layer = 0) match by kind alone where that is unambiguous. Width through
 * `width` (may be NULL). */
const float *pare__view_get(const pare__view *v, pare__array array, int32_t layer, int32_t *width);
/* The rows of the prefix tokens in that array [n_frame, n_prefix, width], or NULL. */
const float *pare__view_prefix(const pare__view *v, pare__array array, int32_t layer);
/* A CLS token leads the prefix rows. */
static inline int pare__view_has_cls(const pare__view *v) { return v->n_prefix > 0 && !v->no_cls; }
/* Mean of the rows x [n, width] -> [width] of the arena: what stands in for a row of the CLS token where a family has none.
 * NULL: no memory. */
const float *pare__mean_row(const pare__view *v, const float *x, int64_t width);
/* "cls_row": the name under which files and messages know an array. */
const char *pare__array_name(pare__array array);

#endif
