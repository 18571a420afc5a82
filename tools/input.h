/* SPDX-License-Identifier: MIT */
/* From options to handles: sources, models, reducer options, input hashes. Functions that return `int` return an exit
 * code and have said on stderr what went wrong. */
#ifndef PARE_TOOLS_INPUT_H
#define PARE_TOOLS_INPUT_H

#include <pare/media.h>

#include "session.h"

/* Defaults of --recipe, the one place where they stand. */
#define CLI_RECIPE_VIDEO "temporal-redundancy@patches"
#define CLI_RECIPE_PHOTO "resize@frames"      /* the suite says so: at equal milliseconds nothing is ahead of it */
#define CLI_RECIPE_PHOTO_HEATMAP "tome@block" /* of a resized photo there is nothing to paint */
#define CLI_DEFAULT_KEEP 0.25
#define CLI_READ_AHEAD 8 /* frames of a clip that is read from end to end */

/* Which frames of an input. */
typedef struct cli_pick {
    const char *format;
    cli_size source_size;
    double rate, start, end, fps;
    int64_t frames, every, stream, reconnects;
    double timeout;
    int32_t exif, ignore_alpha, motion;
    int32_t read_ahead; /* no option: set by who reads whole clips */
} cli_pick;
extern const cli_option cli_pick_options[];

/* How many units remain, and by which recipe. */
typedef struct cli_budget {
    const char *recipe;
    double keep;
    int64_t tokens, tokens_per_frame, min_per_frame, max_per_frame;
    double quality, quality_floor, tokens_per_second, max_delay, max_ms;
} cli_budget;
extern const cli_option cli_budget_options[], cli_stream_options[]; /* the latter need time or an encoder */

/* How frames become grids and windows. */
typedef struct cli_layout {
    const char *window, *reuse;
    int64_t seed, max_side, reference;
    cli_size size, tiles; /* tiles: rows, columns; 0, 0 = the model's rule, -1, -1 = none */
    int32_t letterbox;
} cli_layout;
extern const cli_option cli_layout_options[], cli_tiles_options[];

/* Also refuses a --backend or --precision that the library does not know or this CPU cannot run. */
int cli_model_open(cli_common *c, pare_model **out, pare_model_info *info);
/* stats->backend, precision: what --backend and --precision become, without any frame. */
int cli_engine_get(cli_common *c, const pare_model *model, pare_reducer_stats *stats);
int cli_source_open(cli_common *c, const cli_pick *pick, const char *path, pare_source **out, pare_source_info *info);
/* The same without a word: library code. */
int cli_source_try(const cli_pick *pick, const char *path, pare_source **out, pare_source_info *info, pare_error *err);
/* The pick's own contradictions, before anything is opened. */
int cli_pick_check(cli_common *c, const cli_pick *pick);
/* What was read of a source: frames, of how many that were counted before (0 = not counted), and where they end. */
typedef struct cli_taken {
    int64_t n, listed;
    double end; /* seconds, as stamped */
} cli_taken;
/* Says on stderr what a reader of the result should know of the input: a recorded clip gave less than it announced, fields
 * are woven, the picture's size changed, the network broke off. */
void cli_warn_input(cli_common *c, const char *path, const cli_pick *pick, const pare_source_info *info,
                    const cli_taken *taken);
/* Frames that will probably be read; 0 = unknown. */
int64_t cli_pick_estimate(const cli_pick *pick, const pare_source_info *info);

/* Contradictions of a budget and a layout, before anything is opened. */
int cli_budget_check(cli_common *c, const cli_budget *budget);
int cli_layout_check(cli_common *c, const cli_layout *layout, int32_t *window);
/* Reducer options for one input; window and n_frames are the caller's. */
pare_reducer_opts cli_reducer_opts(const cli_common *c, const cli_budget *budget, const cli_layout *layout,
                                   int32_t is_image);
/* One grid for every picture, whatever the model's own rule: where results are held against each other place by place. */
void cli_one_grid(pare_reducer_opts *opts);
/* Creates the reducer; without any amount in `opts` and an open one in the recipe, keep becomes CLI_DEFAULT_KEEP.
 * `decided`: the user's own map says what is left, so no amount is offered where none is needed. */
int cli_reducer_create(cli_common *c, const pare_model *model, const char *input, int decided, pare_reducer_opts *opts,
                       pare_reducer **out);

/* xxh3-64 of a regular file as 16 hex digits; "" for anything else (stdin, URLs, cameras, patterns). */
void cli_hash_file(const char *path, char out[17]);

#endif
