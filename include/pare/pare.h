/* SPDX-License-Identifier: MIT */
/* libpare: give the visual part of a ViT or of a multimodal LLM fewer tokens.
 *
 *     pare_runtime_init(NULL, &err);                          // once, before the first BLAS call of the process
 *     pare_model_open(&model, "dinov2-small-q8_0.gguf", &err);
 *     pare_reducer_create(&red, model, &(pare_reducer_opts){.struct_size = sizeof(pare_reducer_opts),
 *                                                           .recipe = "temporal-redundancy@patches", .keep = 0.25,
 *                                                           .video = 1}, &err);
 *     while (have_frame) {
 *         pare_reducer_push(red, &frame, &err);
 *         while (pare_reducer_pull(red, &result, &err) == 0) { use(pare_result_get(result)); pare_result_free(&result); }
 *     }
 *     pare_reducer_flush(red, &err);                          // then pull until PARE_EOF
 *
 * Conventions, valid for every function of this header:
 *   - `int` results are 0 or a negative PARE_E_* (PARE_AGAIN and PARE_EOF are positive and no errors);
 *   - `pare_error *` may be NULL; it is written only on failure, by whoever detected the error;
 *   - option structs start with `uint32_t struct_size`; every other field may be 0 = default;
 *   - on failure out-parameters of handle type are NULL, others are untouched;
 *   - `*_close` and `*_free` take the address of the handle, accept NULL, and set the handle to NULL;
 *   - strings are UTF-8 and borrowed for the duration of the call; returned strings live as long as their owner;
 *   - arrays are dense and row-major; `[n, d]` in a comment is a shape. */
#ifndef PARE_PARE_H
#define PARE_PARE_H

#include <pare/frame.h>
#include <pare/runtime.h>
#include <pare/tensor.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- model -------------------------------------------------------------------------------------------------- */

/* Immutable weights and family; shared by any number of threads; must outlive its reducers. */
typedef struct pare_model pare_model;

typedef struct pare_model_info {
    uint32_t struct_size;
    const char *family; /* "dinov2" */
    const char *name;   /* from the file, or its base name */
    const char *path;
    int32_t dim, n_layer, n_head, mlp_dim;
    int32_t patch;    /* pixels per patch side */
    int32_t n_prefix; /* CLS + registers + distillation */
    int32_t has_cls;
    int32_t unit;                      /* patches per unit side: tokens that live or die together */
    int32_t temporal;                  /* frames per temporal step */
    int32_t n_class;                   /* classifier outputs; 0 = no head */
    int32_t image_width, image_height; /* pixels after the checkpoint's own preprocessing of a photo; 0 = as it comes */
    int32_t video_units;               /* units per frame that the default video size aims at */
    int64_t n_params;
    int32_t dim_out;         /* width of a token that leaves the encoder */
    int32_t window;          /* units per side of an attention window; 0 = every block sees the whole grid */
    int32_t n_full;          /* blocks that see the whole grid */
    int32_t has_rope;        /* positions turn queries and keys by (row, col); 0 = a learned table */
    int32_t has_merger;      /* the patches of a unit leave as one token */
    int32_t has_mrope;       /* the language model behind it places tokens by (t, y, x): pare_mrope */
    double mrope_per_second; /* t per second of video; 0 = one per temporal step */
    int32_t tap;             /* blocks that are run; the rest of n_layer is for traces only */
    int32_t n_deepstack;     /* further rows per token, from earlier blocks */
    int32_t n_embed;         /* width of the joint embedding with a text tower; 0 = none */
    int32_t steps;           /* temporal steps that attend to each other; 1 = every step on its own */
    const char *preprocess;  /* one line: resize, crop, resampling, mean and std, tiles */
    const char *sites;       /* at which steps can act: "frames,patches,block,output" */
    const char *missing;     /* parts that the checkpoint lacks or that are not read, or "" */
} pare_model_info;

/* Opens a checkpoint: a directory as the hub publishes it (config.json, *.safetensors or shards with an index,
 * preprocessor_config.json), one .safetensors file beside its config.json, or a .gguf file.
 * Errors: IO, FORMAT, UNSUPPORTED, NOTFOUND (all missing tensors are named), LIMIT. */
PARE_API int pare_model_open(pare_model **out, const char *path, pare_error *err);
PARE_API void pare_model_close(pare_model **m);
/* `info->struct_size` must be set; texts live as long as the model. Errors: INVALID. */
PARE_API int pare_model_get(const pare_model *m, pare_model_info *info, pare_error *err);
/* Label of class i, or NULL. */
PARE_API const char *pare_model_label(const pare_model *m, int32_t i);
/* Path of the default model: the compiled-in data directory, then beside the sources; NULL if neither exists. */
PARE_API const char *pare_model_default_path(void);

/* Pixels (width, height) to which a source of src_width x src_height is brought: photos by the checkpoint's rule
 * (video = 0), video frames whole, aspect kept, sides rounded to whole units (video = 1). `width`, `height`,
 * `max_side` as in pare_reducer_opts. Errors: INVALID, LIMIT. */
PARE_API int pare_model_fit(const pare_model *m, int32_t src_width, int32_t src_height, int32_t video, int32_t width,
                            int32_t height, int32_t max_side, int32_t *out_width, int32_t *out_height, pare_error *err);

/* What the checkpoint's own rule makes of a photo, or of a clip: counts without pixels. */
typedef struct pare_model_plan {
    uint32_t struct_size;
    int32_t width, height;        /* pixels of a slot */
    int32_t grid_h, grid_w;       /* units of a slot */
    int32_t tile_rows, tile_cols; /* 1, 1 = not tiled */
    int32_t has_whole;            /* the whole picture is a slot beside its tiles */
    int64_t n_slot;               /* grids that are encoded */
    int64_t n_units;              /* of all slots: what budgets count */
    /* What the language model behind it receives without a reduction: separators included, padding and
     * what is pooled not. */
    int64_t n_tokens;
} pare_model_plan;

/* n_frames = 0: a photo, else a clip of so many frames. A clip is planned by the checkpoint's own rule for clips (Qwen's
 * areas); a reducer with opts.video brings frames to the size of pare_model_fit instead, about video_units units a step,
 * unless it is given the plan's width and height. `tile_rows`, `tile_cols` as in pare_reducer_opts;
 * `plan->struct_size` must be set. Any thread. Errors: INVALID, LIMIT. */
PARE_API int pare_model_plan_get(const pare_model *m, int32_t src_width, int32_t src_height, int64_t n_frames,
                                 int32_t tile_rows, int32_t tile_cols, pare_model_plan *plan, pare_error *err);

/* ---- positions in the language model ------------------------------------------------------------------------- */

typedef struct pare_mrope_opts {
    uint32_t struct_size;
    int32_t unit;                  /* patches per unit side; 0 = 1 */
    double per_second;             /* pare_model_info.mrope_per_second */
    const double *second_per_grid; /* [n_grid] seconds per temporal step of every medium (of videos), or NULL = 1 */
    int32_t max_plus_1;            /* what follows a medium continues at its base + max(rows, cols) in units (0, as in
                                    * transformers 5), or at its largest id + 1 (1, transformers 4 and the Qwen code) */
} pare_mrope_opts;

/* M-RoPE position ids [3, n] (t, y, x) of a prompt: token_type [n] is 0 for text, 1 for an image, 2 for a video;
 * grid_thw [n_grid, 3] are the media in order of appearance, in patches, each of which has t h w / unit^2 tokens. Where
 * text stands between the temporal steps of a video (Qwen3-VL's time stamps), each is placed like a picture. The
 * ids of kept tokens are those of their places: take columns, renumber nothing. *delta (may be NULL) = largest id + 1
 * - n. Any thread. Errors: INVALID, LIMIT. Source: arXiv:2409.12191, arXiv:2502.13923. */
PARE_API int pare_mrope(const pare_mrope_opts *opts, const int32_t *token_type, int64_t n, const int64_t *grid_thw,
                        int32_t n_grid, int32_t *ids, int32_t *delta, pare_error *err);

/* ---- maps --------------------------------------------------------------------------------------------------- */

/* A reduction: CSR matrix R [n_out, n_in] with what R cannot say. Reduced rows = gain * (R . rows). Borrowed arrays. */
typedef struct pare_map {
    int64_t n_in, n_out;
    const int64_t *row_start;    /* [n_out + 1] */
    const int32_t *index;        /* [row_start[n_out]] columns, ascending in a row */
    const float *weight;         /* same; a row sums to 1 */
    const int32_t *anchor;       /* [n_out] column whose place the row inherits */
    const float *size;           /* [n_out] patches merged within the attention segment */
    const float *gain;           /* [n_out] factor after R, or NULL = 1 */
    const int64_t *member_start; /* [n_out + 1] or NULL: members are the columns of R */
    const int32_t *member;       /* columns that the row stands for (a temporal run) */
} pare_map;

/* ---- the caller's own selector ------------------------------------------------------------------------------- */

/* One grid of a window, whatever it shows: a temporal step of a clip, a photo, the whole picture or a tile of one. */
typedef struct pare_slot {
    int32_t media;                /* which photo or clip of the reducer */
    int32_t tile;                 /* 0 = the whole picture; 1 .. tile_rows * tile_cols = its tiles, row by row */
    int32_t t;                    /* temporal step within the medium */
    int32_t tile_rows, tile_cols; /* of the picture that the slot belongs to; 1, 1 = not tiled */
    int32_t grid_h, grid_w;       /* units */
} pare_slot;

/* One array of the view; stride and fields of this struct and of pare_slot never change. */
typedef struct pare_custom_array {
    const char *name; /* "tokens", "q", "k", "v", "k_mean", "cls_row", "col_mean", "scores" */
    int32_t layer;    /* block it comes from; -1 = the site itself */
    int32_t width;
    const float *data; /* [n, width] */
} pare_custom_array;

/* What the caller's selector sees: one row per unit that may still be dropped. Borrowed for the call. */
typedef struct pare_custom_view {
    uint32_t struct_size;
    const char *site;       /* "patches", "block", "output" */
    int32_t block, n_layer; /* block -1 unless the site is one */
    int64_t n, k;           /* rows now, and rows asked for; k = -1: as many as the selector likes */
    int32_t n_slot;
    const pare_slot *slot;          /* [n_slot] */
    const int64_t *row_start;       /* [n_slot + 1] rows of each slot */
    const int64_t *slot_k;          /* [n_slot] what the allocator would give each, or NULL */
    const int32_t *place;           /* [n, 3] slot, row, col */
    const int64_t *index;           /* [n] the unit's number in the clip, as in pare_result_view.index */
    const float *sizes;             /* [n] */
    const pare_custom_array *array; /* what the recipe's needs= asked for */
    int32_t n_array;
    const uint8_t *const *frame; /* [n_slot * temporal] pictures [frame_height, frame_width, 3], or NULL */
    int32_t temporal, frame_width, frame_height;
    uint64_t seed;
} pare_custom_view;

/* The rows that the caller's selector leaves; one 1 (keep), or weights that sum to 1. Each call returns 0, NOMEM or
 * INVALID. */
typedef struct pare_selection pare_selection;
PARE_API int pare_selection_keep(pare_selection *s, int64_t row);
PARE_API int pare_selection_row(pare_selection *s, int64_t anchor); /* starts a merged row that inherits this place */
PARE_API int pare_selection_add(pare_selection *s, int64_t row, double weight);
PARE_API int pare_selection_gain(pare_selection *s, double gain);   /* factor of the current row after the weights */
PARE_API int pare_selection_member(pare_selection *s, int64_t row); /* the current row also stands for this one */
/* What `row` was ranked by, for heatmaps and pare_result_view.scores; does not decide anything. */
PARE_API int pare_selection_score(pare_selection *s, int64_t row, float score);

/* Called in the thread that pushes, for every view of a step `custom` (one slot) or `custom-window` (all of a window).
 * Rows that a mask keeps or ignores are in neither view nor k. Non-zero: the reducer fails with that code (positive:
 * PARE_E_EXTERNAL) and the message in err; another number of rows than k fails too. */
typedef struct pare_custom {
    uint32_t struct_size;
    int (*select)(void *user, const pare_custom_view *view, pare_selection *out, pare_error *err);
    void *user;
} pare_custom;

/* ---- reducer ------------------------------------------------------------------------------------------------ */

/* One mutable timeline: frames of one photo set or clip in, windows of located tokens out. One thread at a time. */
typedef struct pare_reducer pare_reducer;
/* The tokens of one window; self-contained, survives the reducer and the model. One thread at a time. */
typedef struct pare_result pare_result;

typedef struct pare_reducer_opts {
    uint32_t struct_size;
    const char *recipe; /* step{,step}, step = name{:key=value}[@site]; NULL = "none" */
    /* Budgets count units in the final result; at most one of keep, tokens, tokens_per_frame, tokens_per_second and
     * quality; none = what the recipe's own options say. They bind the last step that has no amount of its own. Units that a mask ignores count as
     * candidates, units that it keeps count as kept; a mask that keeps more than the budget is an error (INVALID).
     * Where the language model behind it is shown the frames of a clip pooled (LLaVA-OneVision: 2 x 2), that happens
     * behind the projector and before the steps at `output`: these choose among pooled rows, and a budget that binds one
     * of them counts those. A budget that binds an earlier step counts units as ever; what is left of them is pooled
     * over, so that fewer rows come out. */
    double keep;              /* share of the candidate units, 0 < keep <= 1 */
    int64_t tokens;           /* of the whole clip; needs n_frames */
    int64_t tokens_per_frame; /* of every temporal step, or of every photo with its tiles; all it has, if fewer.
                               * Where a mask keeps units, selectors that look across steps may shift some between them */
    int64_t n_frames;         /* frames that will be pushed; 0 = unknown. With tokens: an estimate is enough, the
                               * last window takes what is left, as far as it has units; frames beyond it share what
                               * remains */
    int32_t min_per_frame;    /* floor of every temporal step, or of every photo with its tiles */
    int32_t window;           /* temporal steps or photos decided together; 0 = 32 (1 in tiles), -1 = the whole clip
                               * (refused over a limit). Rounded up to whole groups where steps attend to each other. A
                               * photo of another grid, or in other tiles, ends a window */
    uint64_t seed;
    int32_t n_threads;     /* 0 = all CPUs of the process */
    int32_t video;         /* 1: keep the whole frame; 0: the checkpoint's photo rule */
    int32_t width, height; /* pixels of the grid; both or none */
    int32_t max_side;      /* upper bound of the longer side, pixels */
    int32_t letterbox;     /* 1: the whole picture inside width x height (or the photo size), padded, aspect kept */
    /* Every picture becomes itself and its tiles, each of the photo size. 0 = photos by the checkpoint's own rule, where
     * it has one and nothing is asked of their size, else no tiles; -1 = no tiles. */
    int32_t tile_rows, tile_cols;
    const pare_custom *custom; /* what the steps `custom` and `custom-window` call, or NULL; the struct is copied, what
                                * `user` points to must outlive the reducer */
    const float *text;         /* [n_text, d_text] embedded text for scores, or NULL; must outlive the reducer */
    int32_t n_text, d_text;
    /* Recipes whose steps all act at `output`: what they would read is kept in pare_result_view.features, so that one
     * encoding serves many reductions (pare_reduce_tokens). Only with a recipe that removes nothing; copied. */
    const char *const *capture; /* [n_capture] or NULL */
    int32_t n_capture;
    const char *backend;   /* who multiplies: "auto" (NULL), "openblas", "onednn", ...; PARE_LIST_BACKENDS */
    const char *precision; /* of the encoder's linear layers: "f32" (NULL), "bf16", "int8"; see pare_engine_get */
    /* Video as a stream. tokens_per_second and quality are budgets as well: at most one of the five is given. */
    double tokens_per_second; /* a leaky bucket: what a still moment saves is lost after max_delay; needs video */
    /* 0 < q <= 1: no unit is dropped that differs from the kept one that stands for it by more than 1 - q, in the final
     * step's own measure (pixels: mean |difference| in 0..1; features: 1 - cosine); the count varies. Steps that have no
     * such measure: INVALID. Floors and caps go before it. */
    double quality;
    /* Seconds: a window is decided before its frames span more; 0 = by `window` alone, with tokens_per_second 0.25. Not
     * with the whole clip as window. */
    double max_delay;
    /* Cap of every temporal step (or photo with its tiles); 0 = none. What it takes away goes to the window's other steps.
     * A budget, any of the five, stands beside it. Steps that look across frames and cannot keep it: INVALID. */
    int32_t max_per_frame;
    /* 0..1: share of the units with fine detail (text) that every temporal step or photo keeps at least; one of which more
     * than .35 is such stays whole. Comes on top of the budget, any of the five, which stands beside it; only with
     * `tokens` and a plan the other steps of the window pay for it. 0 = off. Refused as the cap is. */
    double quality_floor;
    /* Deadline in milliseconds per frame: the budget shrinks until a frame takes no longer, and grows back up to what was
     * asked; not reproducible. Only where the final step acts at `patches` or in a block: INVALID where the encoder would be
     * no faster. 0 = none. */
    double max_ms;
    const struct pare_plan *plan; /* spend what was planned (plan.h) step by step; instead of a budget; must outlive the
                                   * reducer */
    int32_t dry;   /* 1: decide without encoding: results hold counts and, where known before the encoder, places */
    int32_t reuse; /* PARE_REUSE_*: what becomes of units that steps at `patches` drop from a clip; those that compare
                        * pictures then compare with the last reference step */
    int32_t reference;        /* with reuse: every so many temporal steps one is encoded whole; 0 = 32 */
    const volatile int *stop; /* set to 1 by any thread: push and flush return CANCELLED soon; or NULL */
} pare_reducer_opts;

/* Cached recompute (as STC's cacher, CVPR 2026): units that a step at `patches` keeps are computed and attend to all units of
 * their picture, of which the others have the keys and values of the last reference step. */
enum {
    PARE_REUSE_NONE,     /* dropped units do not exist */
    PARE_REUSE_CONTEXT,  /* dropped units are attended to, and leave no row */
    PARE_REUSE_COMPLETE, /* every unit leaves a row: fresh, or that of the reference step */
    PARE_REUSE_COUNT
};

/* Sums since creation, over the windows that are decided. Times in milliseconds. */
typedef struct pare_reducer_stats {
    uint32_t struct_size;
    int64_t n_frames;    /* pushed until the last window was decided */
    int64_t n_in, n_out; /* candidate units before (and before the grid was made smaller), rows after */
    double prep_ms, embed_ms, encode_ms, select_ms;
    double flops; /* of the encoder as run: linears from patches to merger, attention, passes ahead; multiply-add = 2 */
    const char *backend, *precision; /* what `auto` and NULL became; static */
    int64_t n_raised,
        n_whole;    /* temporal steps that quality_floor gave more than the budget; of them those left whole */
    int64_t n_late; /* frames that took longer than max_ms */
    int64_t n_reference,
        n_fresh;              /* with reuse: steps encoded whole; units computed, those of reference steps included */
    int64_t n_block, n_still; /* blocks of frames with motion; of them those that kept the pixels of the frame before */
} pare_reducer_stats;

/* What is known of a temporal step (or photo) before it is encoded. Fields and stride of this struct never change. */
typedef struct pare_step {
    double pts, end;      /* seconds: first frame, end of the last */
    int64_t units;        /* candidates */
    int64_t tokens;       /* rows that leave; -1: only the window's sum is known */
    float change;         /* mean |difference| of pixels to the step before, 0..255; -1 = nothing came before */
    float detail;         /* share of units with fine detail, 0..1 */
    int32_t is_cut;       /* a scene begins */
    int32_t is_reference; /* encoded whole for reuse */
} pare_step;

/* What a row stands for. */
enum {
    PARE_KIND_PATCH,   /* pixels of the picture */
    PARE_KIND_PADDING, /* only pixels that letterboxing added: its box is empty */
    PARE_KIND_NEWLINE  /* a learned row or picture separator */
};

/* A result as arrays, all borrowed from it. Rows ascend by slot, row and col of their anchor; slots stand in the order in
 * which the language model reads them. */
typedef struct pare_result_view {
    uint32_t struct_size;
    int32_t first_slot;           /* number of the first slot, counted over all windows */
    int32_t grid[3];              /* slots, h, w in units, before any reduction; the largest where slots differ */
    const pare_slot *slot;        /* [grid[0]] what each slot shows */
    const int64_t *unit_start;    /* [grid[0] + 1] candidates of each slot */
    int32_t n_prefix, d, n_class; /* d: width of a token */
    int64_t n, k;                 /* candidate units before and rows after */
    const float *embeds;          /* [k, d] */
    const int32_t *place; /* [k, 6] media, tile, t, row, col, level of the anchor; t counts from the medium's start.
                           * level 0: one unit; l: the row stands for a rectangle of up to 2^l units a side */
    const float *box;     /* [k, 4] x0, y0, x1, y1 in pixels of the stored source frame (crop, resize, rotation undone):
                           * the rectangle of units that the row stands for in its own slot, if they fill one, else the
                           * anchor's unit; 0 for bare features */
    const uint8_t *kind;  /* [k] PARE_KIND_* */
    const int64_t *index; /* [k] anchor among all candidates of the clip */
    const float *sizes;   /* [k] patches represented, temporal runs included */
    const double *pts;    /* [slots, 2] pts of the first and last frame of each, seconds; NULL for bare features */
    const int64_t *row_start; /* [slots + 1] rows of each slot (unit_start counts its candidates) */
    /* [k, 3] t, y, x position ids of M-RoPE, counted from the first token of the medium (in tiles: of the tile; where
     * every step of a clip stands behind a time stamp of its own, Qwen3-VL: of the step); NULL where the family has none */
    const int32_t *mrope;
    const float *prefix; /* [slots, n_prefix, d] CLS first, after the final norm; NULL without, for bare features, and
                          * where a projector follows, which drops them (n_prefix = 0) */
    /* [slots, d] what the family's head makes of a slot (of the steps that attend to each other: the same for each); NULL
     * for bare features */
    const float *pooled;
    const float *logits; /* [slots, n_class] or NULL */
    const float *scores; /* [n] last score of every candidate (NaN: none), or NULL */
    pare_map map;        /* [k, n] */
    int32_t unit;        /* patches per unit side; 0 is read as 1 */
    /* What the captured recipes read of this window, for pare_reduce_tokens, which makes of it what a reducer makes of
     * its first window. Units that a mask ignores were never encoded: their rows are 0. */
    const pare_tensor *features; /* [n_features] or NULL */
    int32_t n_features;
    /* [n_deepstack, k, d] rows for the language model's first layers, under the same map; or NULL */
    const float *deepstack;
    int32_t n_deepstack;
    const float *image_embeds; /* [slots, n_embed] joint embedding with the text tower, not normalised; or NULL */
    int32_t n_embed;
    /* [d] what the language model's input has behind every row of the picture (LLaVA-NeXT), or NULL */
    const float *newline;
    const pare_step *step; /* [steps or photos of the window]; NULL for bare features */
    int32_t n_step;
    const uint8_t *fresh; /* [k] 0: the row is that of an earlier step (PARE_REUSE_COMPLETE); NULL = all are fresh */
    int32_t is_dry;       /* nothing was encoded: no embeds, and no places where a later step would have chosen them */
} pare_result_view;

/* Errors: INVALID (recipe, budget, geometry: the text names the step or option and offers the nearest name),
 * UNSUPPORTED (the family lacks what a step needs), NOMEM. The model must outlive the reducer. */
PARE_API int pare_reducer_create(pare_reducer **out, const pare_model *model, const pare_reducer_opts *opts,
                                 pare_error *err);
/* Copies what it needs of the frame; may encode a whole window before it returns. Errors: INVALID (frame, scores, a
 * budget that the grid or the mask cannot meet), STATE (after flush), LIMIT, NOMEM, and what a caller's selector
 * returns. A frame whose own fields are wrong (size, stride, rotation, times, mask size) changes nothing; after any other
 * error results that wait may still be pulled, then only close is allowed. */
PARE_API int pare_reducer_push(pare_reducer *r, const pare_frame *frame, pare_error *err);
/* No more frames: decides the last, shorter window; a second call does nothing. Errors as push; INVALID also when
 * nothing at all is left of the clip. */
PARE_API int pare_reducer_flush(pare_reducer *r, pare_error *err);
/* 0 and a result owned by the caller, PARE_AGAIN, or PARE_EOF after flush. */
PARE_API int pare_reducer_pull(pare_reducer *r, pare_result **out, pare_error *err);
/* Begins a new timeline with another seed, as a newly created reducer would, but keeps the memory: what was pushed and
 * not pulled is forgotten, statistics go on. Also after an error or a flush. Errors: NOMEM. */
PARE_API int pare_reducer_reset(pare_reducer *r, uint64_t seed, pare_error *err);
/* `stats->struct_size` must be set. */
PARE_API int pare_reducer_get(const pare_reducer *r, pare_reducer_stats *stats, pare_error *err);
/* The recipe as understood: methods expanded, sites and every option that differs from its default; budgets of the
 * options struct are not in it. Lives as long as the reducer. */
PARE_API const char *pare_reducer_recipe(const pare_reducer *r);
PARE_API void pare_reducer_close(pare_reducer **r);

/* Lives as long as the result; NULL of NULL. */
PARE_API const pare_result_view *pare_result_get(const pare_result *r);
/* Any thread, also while the reducer is at work: as long as that lives, its next results use the memory again, so that a
 * stream whose results are freed allocates nothing once it has warmed up. */
PARE_API void pare_result_free(pare_result **r);

/* One-shot: pushes n frames, flushes, and returns the one window that holds them (window is taken as -1, n_frames as n).
 * Photos must share one grid and their tiles. Errors: those of create, push and flush. */
PARE_API int pare_reduce(const pare_model *model, const pare_reducer_opts *opts, const pare_frame *frames, int32_t n,
                         pare_result **out, pare_error *err);

/* Reduction of features that the caller already has; no encoder. Named arrays, f32 unless said otherwise:
 *   tokens [n,d]                required
 *   q, k, v [n,d'] or [n,h,d'']  with an optional .LAYER; three axes tell the heads
 *   n_layer i32/i64 [1]          blocks of the encoder: then .LAYER counts from 0 and selectors' negative layers are found
 *   n_run i32/i64 [1]            of them those that were run, if fewer: negative layers behind them mean the last one
 *   deepstack [taps,n,d]         rows of earlier blocks, reduced like tokens: pare_result_view.deepstack
 *   clip_pool i32/i64 [1]        every slot is pooled first, this many units a side (pare_reducer_opts.keep)
 *   cls_row, col_mean [n], k_mean [n,d'']  with an optional .LAYER; k_mean is computed from k where it is not given
 *   prefix.NAME [slots,p,...]    the same of the p prefix tokens of every slot, CLS first; NAME any of the above
 *   no_cls i32/i64 [1]           1: the prefix tokens are registers alone
 *   pixels u8 [T,H,W,3], scores [n] (score `given`), mask u8 [n] (PARE_MASK_*), text_query [m,d']
 *   grid_thw i32/i64 [3] or [media,3], tiles i32/i64 [2] or [3] (rows, cols, and where the whole picture stands among
 *   those of grid_thw: 0 before its tiles, 1 behind them, -1 nowhere). Without grid_thw the n tokens are one row.
 * Other names are passed over. All steps of the recipe act at their site's view of these arrays in turn; a list of
 * blocks counts as one application.
 * opts: recipe, keep, tokens, tokens_per_frame, quality, min_per_frame, max_per_frame, seed, custom; the others are not
 * read, except text, which is checked. Arrays are borrowed for the call. Errors: INVALID (the text names the array), LIMIT, NOMEM, and what a
 * caller's selector returns. Any thread. */
PARE_API int pare_reduce_tokens(const pare_tensor *arrays, int32_t n_arrays, const pare_reducer_opts *opts,
                                pare_result **out, pare_error *err);

/* What the classifier makes of tokens, logits [n_class]: `mean` [dim] their size-weighted mean after the final norm, `cls`
 * [dim] the CLS token after it, or NULL: then the mean stands in for it, and the logits speak of the tokens alone. Any
 * thread. Errors: UNSUPPORTED (no classifier, or one of the CLS token alone and no `cls`). */
PARE_API int pare_model_head(const pare_model *m, const float *cls, const float *mean, float *logits, pare_error *err);

/* ---- measures ----------------------------------------------------------------------------------------------- */

/* Values [n] of the metrics names[n] (PARE_LIST_METRICS) over a result. `other`: for fidelity and coverage the run of
 * recipe "none" over the same frames and window; for agreement another reduction of the same units; NULL if no name
 * needs it. Results of pare_reduce_tokens will do where neither boxes nor prefix tokens are read. A value is NaN where
 * the metric is not defined (one kept unit has no nearest neighbour) or the results lack what it reads (no scores); it
 * is never infinite. Of a window of more than 4096 units the features of 4096 evenly spaced ones are looked at. The same input gives the same value at any thread count. Any thread.
 * Errors: INVALID (no such name: the nearest is offered; `other` missing or of other frames), NOMEM, LIMIT. */
PARE_API int pare_measure(const pare_result *r, const pare_result *other, const char *const *names, int32_t n,
                          double *values, pare_error *err);

/* What visual tokens cost the language model behind the encoder: a model of operations, not a clock. */
typedef struct pare_llm_cost {
    uint32_t struct_size;
    double prefill_flops; /* of the whole prompt: linears and causal attention, a multiply-add counted as two */
    int64_t kv_cells;     /* cache cells: one per token, whatever its position id */
    double kv_bytes;      /* keys and values of all layers in 16 bits */
} pare_llm_cost;

/* Cost of a prompt of n_visual + n_text tokens for a named shape (PARE_LIST_LLMS). `cost->struct_size` must be set. Any
 * thread. Errors: INVALID (no such name, a negative count). */
PARE_API int pare_llm_cost_get(const char *llm, int64_t n_visual, int64_t n_text, pare_llm_cost *cost, pare_error *err);

/* ---- trace: every stage of the reference arithmetic, for parity checks --------------------------------------- */

/* One stage, under the names of the fixtures: pixel_values [B,3,H,W], embeddings [B,n,d], hidden.N, keys.N,
 * attn.cls_row.N, attn.col_mean.N, last_hidden, pooled, logits. Families whose units are several patches or whose steps
 * are several frames: pixel_values [n, 3 temporal P P] with the patches of a unit side by side, grid_thw, rope_pos,
 * cu_seqlens, with windows window_index and cu_window_seqlens (then rows of embeddings, hidden, keys, attn and
 * last_hidden come in the order of windows), and projected. Further, where the family has them: image_embeds [B,e],
 * cls_logits and distillation_logits [B,classes], attn.probe [B,n], rope_cos and rope_sin [n,head_dim], selected [B,n,d],
 * shuffled [B,units,joined], projector_out [B,units,d'], projected (what the language model receives: of tiles and clips
 * one matrix [rows,d']), deepstack.N, spatial_shapes, pixel_attention_mask, image_sizes. Borrowed for the call. Non-zero
 * stops the trace. */
typedef int (*pare_stage_fn)(void *user, const pare_tensor *stage);

typedef struct pare_trace_opts {
    uint32_t struct_size;
    int32_t width, height; /* as in pare_reducer_opts */
    int32_t interpolate;   /* positions may be interpolated to the size of pixel_values */
    int32_t video;         /* frames of one video instead of a batch of photos */
    int32_t n_threads;
    const pare_tensor *grid_thw;     /* i32 or i64 [n, 3] patches of every picture or clip in flattened pixel_values */
    const char *backend, *precision; /* as in pare_reducer_opts */
    /* Given with pixel_values where the model's processor gives them: u8, bool or i32/i64 [B, H, W] or [B, patches], 0 =
     * padding, that nobody attends to; i32/i64 [B, 2] rows and columns of patches (NaFlex), or height and width of the
     * photos behind the tiles (LLaVA-NeXT, OneVision). */
    const pare_tensor *pixel_attention_mask, *spatial_shapes, *image_sizes;
} pare_trace_opts;

/* Runs all tokens, from pixel_values in the layout of the model's own processor (`pixels`): [B,3,H,W]; photos in tiles or
 * clips of frames [M,S,3,H,W], with opts.image_sizes or opts.video; patches side by side with opts.grid_thw; padded rows of
 * patches [B,n,P P 3] with opts.spatial_shapes. If `pixels` is NULL, from n frames through the model's own preprocessing.
 * Errors: INVALID (a tensor that is missing or does not fit), LIMIT, UNSUPPORTED, NOMEM, EXTERNAL (the receiver stopped). */
PARE_API int pare_trace(const pare_model *model, const pare_trace_opts *opts, const pare_tensor *pixels,
                        const pare_frame *frames, int32_t n, pare_stage_fn stage, void *user, pare_error *err);

/* ---- writers ------------------------------------------------------------------------------------------------ */

/* Append-only writer of results; one thread at a time. Tensors spool beside the target; nothing is published before
 * finish. */
typedef struct pare_writer pare_writer;

typedef struct pare_writer_opts {
    uint32_t struct_size;
    const char *format;           /* "safetensors", "npz"; NULL = from the file name */
    const char *const (*meta)[2]; /* n_meta pairs key, value for the header */
    int64_t n_meta;
} pare_writer_opts;

/* `path`: the file; options are copied. Errors: INVALID (format, metadata), IO (before any work), NOMEM. */
PARE_API int pare_writer_open(pare_writer **out, const char *path, const pare_writer_opts *opts, pare_error *err);
/* Results of one input in order; `r` stays the caller's. Errors: INVALID (another width, unit, classes, prefix than
 * before), IO, LIMIT, STATE (after finish); after an error only close is allowed. */
PARE_API int pare_writer_append(pare_writer *w, const pare_result *r, pare_error *err);
/* Writes header and data, fsyncs, renames. `complete` = 0 marks a valid file that holds only the first part. Errors: IO,
 * STATE (twice, after an error, or before any result). */
PARE_API int pare_writer_finish(pare_writer *w, int complete, pare_error *err);
/* Without finish: removes everything that was spooled. */
PARE_API void pare_writer_close(pare_writer **w);

/* Writes RGB [height, width, 3], dense, as PNG, atomically. Errors: INVALID, IO, NOMEM. Any thread. */
PARE_API int pare_png_save(const char *path, const uint8_t *rgb, int32_t width, int32_t height, pare_error *err);
/* The same as baseline JPEG; quality 1..100, above 90 with chroma in full. Errors: INVALID, LIMIT, IO, NOMEM. Any thread. */
PARE_API int pare_jpeg_save(const char *path, const uint8_t *rgb, int32_t width, int32_t height, int32_t quality,
                            pare_error *err);

/* ---- heatmaps ----------------------------------------------------------------------------------------------- */

enum { PARE_HEATMAP_BOTH, PARE_HEATMAP_KEPT, PARE_HEATMAP_SCORE, PARE_HEATMAP_DIFFERENCE };

typedef struct pare_heatmap_opts {
    uint32_t struct_size;
    int32_t style;            /* BOTH: score colours on what is kept, dropped dimmed */
    const char *palette;      /* "viridis" (default), "turbo", "magma", "gray" */
    double alpha;             /* opacity of the score colours; 0 = 0.55 */
    int32_t legend;           /* 1 = a strip of PARE_HEATMAP_LEGEND_HEIGHT rows below the picture */
    const pare_result *other; /* DIFFERENCE: B where the result is A, of the same units: kept by both, A, B, neither */
} pare_heatmap_opts;

#define PARE_HEATMAP_LEGEND_HEIGHT 36

/* Paints temporal step `t` of a result (0-based within the result) over its upright source frame: kept, dropped and
 * merged units (one outline colour per merged group) and the score. `rgb` holds [height (+ legend), width, 3].
 * Errors: INVALID (t, palette, size). */
PARE_API int pare_heatmap_draw(const pare_result *r, int32_t t, const pare_frame *frame, const pare_heatmap_opts *opts,
                               uint8_t *rgb, pare_error *err);

/* ---- listing: what `pare list` and --help print -------------------------------------------------------------- */

enum {
    PARE_LIST_METHODS,
    PARE_LIST_SCORES,
    PARE_LIST_ALLOCATORS,
    PARE_LIST_SELECTORS,
    PARE_LIST_FAMILIES,
    PARE_LIST_BACKENDS,
    PARE_LIST_WRITERS,
    PARE_LIST_METRICS, /* flags: "reference", "other", "scores", "steps", "cls", "logits": what they read */
    PARE_LIST_LLMS,
    PARE_LIST_CONSUMERS, /* cite: whose rule; formula: when it was read. See consumer.h */
    PARE_LIST_COUNT
};

typedef struct pare_option_info {
    uint32_t struct_size;
    const char *name, *help, *type; /* type: "int", "float", "bool", "text" */
    const char *choices;            /* "a|b|c" or NULL */
    char default_text[32];
    double min, max;
} pare_option_info;

typedef struct pare_list_entry {
    uint32_t struct_size;
    const char *name, *summary, *cite;
    const char *sites; /* "patches,block,output" or "" */
    const char *flags; /* "merges,random" or "" */
    int32_t n_options;
    const char *default_site; /* where a step acts that names no site, or "" */
    const char *formula;      /* of a metric or LLM shape, or "" */
    const char *unit;         /* of a metric: its name ends in it; or "" */
    int32_t better;           /* of a metric: 1 higher, -1 lower, 0 neither */
} pare_list_entry;

/* i-th entry of a table (`kind`: PARE_LIST_*), and one of its options; `out->struct_size` must be set. Strings are
 * static, except default_text, which is the caller's. Errors: NOTFOUND past the end, INVALID (struct_size). Any thread. */
PARE_API int pare_list(int kind, int32_t i, pare_list_entry *out);
PARE_API int pare_list_option(int kind, int32_t i, int32_t i_option, pare_option_info *out);

#ifdef __cplusplus
}
#endif
#endif
