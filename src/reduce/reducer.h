/* SPDX-License-Identifier: MIT */
/* The reducer: one timeline. Frames fill a window of u8 pictures at grid size; a full window is decided, encoded in
 * packs, decided again at the output, and queued as a result.
 *
 *     push -> window.c(patches) -> packs.c(embed, blocks with sites) -> clip_pool.c -> window.c(output) -> result.c -> pull */
#ifndef PARE_REDUCE_REDUCER_H
#define PARE_REDUCE_REDUCER_H

#include <pare/pare.h>

#include "core/fit.h"
#include "core/slot.h"
#include "encode/encoder.h"
#include "encode/tiles.h"
#include "reduce/kept.h"
#include "reduce/pace.h"
#include "reduce/plan.h"
#include "reduce/pulse.h"
#include "reduce/rate.h"
#include "reduce/recycler.h"
#include "reduce/result.h"
#include "reduce/still.h"
#include "reduce/reuse.h"
#include "reduce/window.h"

/* Per frame of the window, while block sites run. */
typedef struct pare__goal {
    int64_t entry[PARE__MAX_STEPS]; /* candidates when a step's first block came */
    int64_t final;                  /* rows that the final step's last block must leave; -1 = it is no block step */
} pare__goal;

enum { PARE__SLOT_ARRAYS = 17 }; /* pixels, and those listed in grow_window() */

struct pare_reducer {
    const pare_model *model;
    pare_reducer_opts opts;
    pare_custom custom; /* copied: opts.custom points here, or is NULL */
    pare__recipe recipe;
    pare__plan plan;
    pare__kept kept;
    pare__rate rate;
    pare__pace pace;  /* of a clip's temporal steps */
    double share;     /* of its budget that a window gets: the deadline's */
    int64_t n_extra;  /* rows of the window that fine detail gets beyond the budget */
    double ms_before; /* measured until the last window was decided */
    char *recipe_text;
    pare__pool *pool;
    pare__encoder *encoder;
    int64_t encoder_rows; /* largest segment it was made for */
    pare__arena arena;
    pare__context ctx;
    pare__maps maps;
    pare_error error; /* first failure; every later call repeats it */
    int32_t is_flushed;

    /* geometry, known with the first frame; the grid in units is ctx.grid_h, ctx.grid_w */
    int32_t width, height; /* pixels of the grid */
    int32_t is_resized;    /* a `resize` step chose the grid */
    int64_t full_units;    /* of a slot before `frames` made the grid smaller; 0 = it did not */

    /* the window being filled */
    int32_t window, cap;      /* slots decided together, slots allocated */
    pare__tiling tiling;      /* of the last picture */
    int32_t per_picture;      /* slots of a picture: 1, or its tiles and, mostly, the whole */
    int32_t n_slot;           /* slots begun */
    int32_t n_held;           /* frames of the last temporal step so far; fewer than `temporal`: it is being filled */
    int32_t t0;               /* clip index of slot 0 */
    int64_t n_pushed, n_step; /* frames; temporal steps begun before the window */
    uint8_t *pixels;          /* [cap + 1, temporal, height, width, 3]; the last holds the frame before the window */
    int64_t bytes[PARE__SLOT_ARRAYS]; /* allocated behind each array that has one entry per slot */
    int32_t has_previous;
    pare__still still;             /* what need not be resized again */
    double media_start;            /* pts of the medium's first frame */
    pare_slot *slot;               /* [cap] */
    int32_t *held;                 /* [cap] frames of the slot */
    pare_step *step;               /* [cap] of a picture: at its first slot; tokens are the result's */
    pare__pulse_past past;         /* of the steps before */
    double *pts;                   /* [cap, 2] */
    pare__fit *fit;                /* [cap] */
    uint8_t *mask;                 /* [cap, units] PARE_MASK_* */
    float *given;                  /* [cap, units] */
    float *motion;                 /* [cap, units] as pare__view.motion */
    float *change;                 /* [cap, units] mean |difference| to the step before, 0..255; -1: there is none */
    int32_t has_mask, n_given;     /* some unit is not free; slots with the caller's scores */
    int32_t wants_motion, n_moved; /* some step reads it; frames of the window with vectors */
    pare__pixels px;               /* of the window, while it is decided */
    int64_t final_left;            /* rows that the final step left in the window */
    int32_t is_unsure;             /* dry: what earlier windows spent is not known */

    /* the window being decided */
    pare__rows rows;      /* candidates before embedding, then of the packs */
    pare__rows encoded;   /* rows after the encoder */
    pare__map pack_total; /* [pack rows, pack candidates] */
    int32_t *pack_origin; /* [pack candidates] candidate of the window */
    int64_t cap_origin;
    int32_t pack_first; /* first frame of the pack */
    pare__goal *goal;   /* [cap] */
    float *score;       /* [cap * units] */
    float *prefix, *pooled, *logits, *image_embeds;
    int32_t *unit_index; /* raster index of every surviving unit */
    int64_t cap_unit_index;
    pare__segment *segment; /* [cap] */

    pare__reuse reuse;            /* of windows before, and of this one */
    pare__kept_features features; /* what captured recipes read of the window, until its result takes it */
    /* Two passes: called with every step that is complete; windows then pass undecided. Or NULL. */
    int (*watch)(void *user, const struct pare_reducer *r, int32_t first);
    void *watch_user;
    pare_result *head, *tail; /* results waiting to be pulled */
    pare__recycler *recycler; /* memory of results that were freed */
    pare_reducer_stats stats;
    double encode_ms[2], flops;
    int64_t n_counted;         /* frames of this timeline that the statistics hold */
    int64_t clip_in, clip_out; /* of this timeline: candidates, rows */
};

int pare__reducer_create(pare_reducer **out, const pare_model *model, const pare_reducer_opts *opts, pare_error *err);
void pare__reducer_free(pare_reducer **r);
int pare__reducer_push(pare_reducer *r, const pare_frame *frame, pare_error *err);
int pare__reducer_flush(pare_reducer *r, pare_error *err);
int pare__reducer_pull(pare_reducer *r, pare_result **out, pare_error *err);
int pare__reducer_reset(pare_reducer *r, uint64_t seed, pare_error *err);

/* Temporal steps of a clip that attend to each other. */
static inline int32_t pare__reducer_steps(const pare_reducer *r)
{
    return r->opts.video && r->model->hp.steps > 1 ? r->model->hp.steps : 1;
}
/* What the budget counts of a slot of this grid: its units, or, where frames are pooled before the step that takes the
 * budget, what is left of them then. */
int64_t pare__reducer_budget_units(const pare_reducer *r, int32_t grid_h, int32_t grid_w);

/* intake.c: makes room for the frame: the window's geometry with its first frame, more slots, or a window decided. */
int pare__reducer_room(pare_reducer *r, const pare_frame *frame, pare_error *err);
/* intake.c: the frame's pixels, mask and scores into its slots. */
int pare__reducer_store(pare_reducer *r, const pare_frame *frame, pare_error *err);
/* moves.c: what the decoder tells of a frame's motion into that of its slot, before held[slot] counts it. 0 or NOMEM. */
int pare__reducer_moves(pare_reducer *r, const pare_frame *frame, int32_t slot);
/* marks.c: mask and scores of a frame into those of its slot. */
int pare__reducer_mark(pare_reducer *r, const pare_frame *frame, int32_t slot, pare_error *err);
/* intake.c: frame j of a slot at grid size; past the frames it holds, the last. slot = cap: the one before the window. */
uint8_t *pare__reducer_pixels(const pare_reducer *r, int32_t slot, int32_t j);
/* steps.c: a frame has entered the step (or photo) whose first slot this is. */
void pare__reducer_step_frame(pare_reducer *r, const pare_frame *frame, int32_t first);
/* steps.c: all of its frames are there: change, detail, cut. Errors: those of r->watch. */
int pare__reducer_step_take(pare_reducer *r, int32_t first);
/* Decides the window and queues its result. `next`: the frame that comes after it; NULL = none, or nobody knows it. */
int pare__reducer_window(pare_reducer *r, const pare_frame *next, int is_last, pare_error *err);
/* budget.c: what the window may keep: rows (-1: its steps decide), and into r->ctx what each slot keeps at least and at
 * most. Errors: NOMEM. */
int pare__reducer_budget(pare_reducer *r, const pare_frame *next, int is_last, int64_t *k, pare_error *err);
/* budget.c: charges what the window left of k, and measures how long it took. */
void pare__reducer_charge(pare_reducer *r, int64_t k);
/* budget.c: a temporal step begins with the frame. */
void pare__reducer_time(pare_reducer *r, const pare_frame *frame);
/* budget.c: must the window be decided before a step that begins with the frame, or now that its last step is complete,
 * so that nothing waits longer than asked? */
int pare__reducer_is_over(const pare_reducer *r, const pare_frame *frame);
int pare__reducer_is_full(const pare_reducer *r);
/* budget.c: the first window is to come. */
void pare__reducer_budget_begin(pare_reducer *r);
/* budget.c: options of budgets that the recipe and the input cannot do with. Errors: INVALID. */
int pare__reducer_budget_check(const pare_reducer *r, pare_error *err);

/* packs.c: embeds and encodes the surviving units of the window (r->rows), block sites included, into r->encoded,
 * r->prefix. k: rows that the final step leaves in the window, if it is a block step. */
int pare__reducer_encode(pare_reducer *r, int64_t k, pare_error *err);
/* packs.c: one array per capture, named by its resolved block, with room for so many rows; made with the first pack. */
int pare__packs_arrays(pare__rows *e, const pare__pack *pack, int64_t room);
/* packs.c: unit `from` of a pack behind the rows gathered so far. */
void pare__packs_row(pare__rows *e, const pare__pack *pack, int64_t from);
/* packs.c: prefix rows of slot t, segment `seg` of a pack: of the hidden state and of every capture. */
void pare__packs_prefix(pare_reducer *r, const pare__pack *pack, int32_t seg, int32_t t);
/* packs.c: segments of the rows in r->rows. */
int pare__reducer_segments(pare_reducer *r);
/* packs.c: cuts the k rows of the final step over the slots, if it acts inside blocks. */
int pare__reducer_goals(pare_reducer *r, int64_t k, pare_error *err);
/* Rows of one slot around one application of a step at a block. */
typedef struct pare__block_rows {
    int64_t n, must; /* before; of them those that the mask keeps */
    int32_t i_block; /* which of the step's blocks */
    int64_t k_final; /* out: rows that its last block must leave; -1 = nobody said */
    int64_t k;       /* out: rows that this one leaves; -1 = the selector decides */
} pare__block_rows;
int pare__reducer_block_rows(pare_reducer *r, int32_t i_step, int32_t slot, pare__block_rows *b, pare_error *err);
/* packs.c: the step that acts in this block and phase or -1, and which of its blocks this is. */
int32_t pare__plan_step_at(const pare__plan *plan, int32_t block, pare__phase phase, int32_t *i_block);

/* dry.c: what is known of the window's rows without the encoder, after the steps at `patches`; k as for pare__reducer_encode. Errors: NOMEM, and what the steps themselves refuse. */
int pare__reducer_dry(pare_reducer *r, int64_t k, pare__dry *out, pare_error *err);

/* packs.c: the encoder's callback. */
int pare__reducer_on_site(void *user, const pare__pack *pack, int32_t block, pare__phase phase, pare__map *map,
                          int64_t *n_out, pare_error *err);

#endif
