/* SPDX-License-Identifier: MIT */
/* What a reduction will spend, before it is encoded: step by step and in all, in tokens, position ids and KV cells. Either
 * what a reducer spends as it goes (one pass), or what it should spend after the whole clip has been seen (two passes):
 *
 *     pare_plan_create(&plan, model, &opts, PARE_PLAN_TWO_PASS, &err);      // opts of the reducer to come, keep or tokens
 *     while (have_frame) pare_plan_push(plan, &frame, &err);                // pixels only, a few milliseconds each
 *     pare_plan_finish(plan, &err);
 *     opts.keep = 0, opts.tokens = 0, opts.plan = plan;                     // the plan is the budget now
 *     pare_reducer_create(&red, model, &opts, &err);                        // push the same frames again
 *
 * Conventions as in pare.h. */
#ifndef PARE_PLAN_H
#define PARE_PLAN_H

#include <pare/pare.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One clip or set of photos that is being counted. One thread at a time; finished, any number of reducers may spend it. */
typedef struct pare_plan pare_plan;

enum {
    /* What a reducer with these options spends: steps at `patches` run, the encoder does not. The options may spend
     * another plan, which must outlive this one: what comes of it, step by step. */
    PARE_PLAN_ONE_PASS,
    PARE_PLAN_TWO_PASS /* exact allocation of keep or tokens over a whole clip: one threshold of change for all of it */
};

typedef struct pare_plan_info {
    uint32_t struct_size;
    int32_t kind; /* PARE_PLAN_* */
    /* [n_step] temporal steps or photos; tokens -1: only the window's sum is known. TWO_PASS: what is meant for each; of
     * steps that look across a window its sum, of which they may shift some */
    const pare_step *step;
    int64_t n_step;         /* so far */
    int64_t n_units;        /* candidates of all steps */
    int32_t grid_h, grid_w; /* units of a slot; of photos of several sizes those of the last */
    int64_t n_tokens;       /* rows that will leave; -1: the encoder decides */
    /* What comes after the medium in the language model's prompt starts so many positions later: the largest M-RoPE id of
     * the grids + 1, which dropping does not change; where positions are plain numbers, n_tokens. -1 = unknown */
    int64_t n_positions;
    int64_t n_cells;  /* KV cells: one per token, whatever its position */
    int64_t n_cut;    /* steps that begin a scene */
    double threshold; /* TWO_PASS: mean |difference|, 0..255, to what stands for it, below which a unit is dropped */
} pare_plan_info;

/* `opts`: those of the reducer to come. TWO_PASS: opts.video, and keep or tokens (n_frames is not read) with floors
 * (min_per_frame) and caps (max_per_frame) of every step; the recipe's final step must not act at `frames`. Copied as in
 * pare_reducer_create. Errors: those of pare_reducer_create; INVALID (no such kind, no amount). */
PARE_API int pare_plan_create(pare_plan **out, const pare_model *model, const pare_reducer_opts *opts, int32_t kind,
                              pare_error *err);
/* As pare_reducer_push. TWO_PASS keeps a histogram of changes of every step, 16 numbers, and no pixels of past steps but
 * those that units are compared with. Errors: those of pare_reducer_push; LIMIT (steps). */
PARE_API int pare_plan_push(pare_plan *p, const pare_frame *frame, pare_error *err);
/* No more frames: the allocation. A second call does nothing. Errors: those of pare_reducer_flush; INVALID (more tokens
 * than units, or than caps let through, or fewer than floors ask for), STATE (after an error). */
PARE_API int pare_plan_finish(pare_plan *p, pare_error *err);
/* `info->struct_size` must be set; `step` lives until the next push, finish or close. Before finish a TWO_PASS plan knows
 * no tokens. Errors: INVALID. */
PARE_API int pare_plan_get(const pare_plan *p, pare_plan_info *info, pare_error *err);
/* Reducers that spend it must be closed before. */
PARE_API void pare_plan_close(pare_plan **p);

/* ---- frames against size against tokens per frame --------------------------------------------------------------- */

/* A clip is watched once at its full rate, in pixels: how far it moves while parts of it are held, and what smaller grids
 * blur. Then every rate and grid is weighed at the same number of tokens. One thread at a time. */
typedef struct pare_trade pare_trade;

enum { PARE_TRADE_RATE = 1, PARE_TRADE_SIZE = 2 }; /* what is free; the other stays as it is pushed, or as opts say */

/* Fields and stride of this struct never change. Errors are mean |differences|, 0..255, over all frames pushed. */
typedef struct pare_trade_candidate {
    int32_t every;          /* 1, 2, 4, ...: takes every so-many-th frame of those pushed */
    int32_t width, height;  /* pixels of the grid */
    int32_t grid_h, grid_w; /* units of a step, as budgets count them in `units` */
    int32_t is_possible;    /* exactly so many tokens can be kept: units and floors and caps of the steps let it */
    double fps;             /* that makes so many frames a second */
    int64_t units;          /* of a step */
    int64_t n_step;
    double tokens_per_step;
    double hold; /* error where a place shows the step that it was last kept in; what was never kept: one flat colour */
    double blur; /* error of going down to the grid's pixels and up again, where something was kept */
    double coverage; /* 0..1: 1 - (hold + blur) / flat */
} pare_trade_candidate;

typedef struct pare_trade_view {
    uint32_t struct_size;
    int32_t n;                             /* 0 before finish */
    const pare_trade_candidate *candidate; /* [n] by rate, fastest first, then by size, smallest first */
    int32_t best, chosen; /* of the highest coverage; of at most 0.005 less, that with the fewest units */
    double flat;          /* error of one flat colour for the whole clip: all there is to show */
    int64_t tokens, n_frames;
} pare_trade_view;

/* `opts`: those of the reducer to come: opts.video, tokens, a recipe whose final step takes a budget, not at `frames`;
 * n_frames is not read. `free_sides`: PARE_TRADE_*, ored; SIZE: neither width, height nor max_side in opts. The model must
 * outlive it, and what opts point to the first frame. Errors: those of pare_reducer_create; INVALID. */
PARE_API int pare_trade_create(pare_trade **out, const pare_model *model, const pare_reducer_opts *opts,
                               int32_t free_sides, pare_error *err);
/* Every frame of the clip (without RATE: every frame that will be reduced). About a millisecond beside the picture's
 * resizing; what is remembered is 200 bytes a frame. Errors: those of pare_survey_push and of pare_reducer_push. */
PARE_API int pare_trade_push(pare_trade *t, const pare_frame *frame, pare_error *err);
/* No more frames: the choice. Errors: INVALID (no frame; no candidate takes exactly so many tokens), STATE, NOMEM. */
PARE_API int pare_trade_finish(pare_trade *t, pare_error *err);
/* `view->struct_size` must be set; borrowed until close. Errors: INVALID. */
PARE_API int pare_trade_get(const pare_trade *t, pare_trade_view *view, pare_error *err);
PARE_API void pare_trade_close(pare_trade **t);

#ifdef __cplusplus
}
#endif
#endif
