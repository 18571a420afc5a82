/* SPDX-License-Identifier: MIT */
/* The user's own method on the command line: scores, masks, a map or a program, from options to the fields of frames and
 * of reducers. Functions that return `int` return an exit code and have said on stderr what went wrong. */
#ifndef PARE_TOOLS_OWN_H
#define PARE_TOOLS_OWN_H

#include "input.h"
#include "map_file.h"
#include "mask.h"
#include "npy.h"
#include "selector_cmd.h"

typedef struct cli_own_opts {
    const char *scores, *mask, *map, *selector;
    double timeout;
} cli_own_opts;

extern const cli_option cli_own_options[];      /* of frames: scores, mask */
extern const cli_option cli_selector_options[]; /* map, selector-cmd, selector-timeout */

typedef struct cli_own {
    cli_common *c;
    const cli_own_opts *o;
    cli_npy scores;
    float *score; /* [n_step, grid_h, grid_w] once the grid is known */
    int64_t n_step, n_frame;
    int32_t grid_h, grid_w, temporal;
    cli_mask *mask;
    cli_map *map;
    cli_selector *selector;
    pare_custom custom;
} cli_own;

/* The recipe of what was given, or NULL: used where --recipe is missing. */
const char *cli_own_recipe(const cli_own_opts *o);
/* CLI_USAGE when no step of the recipe (NULL = the default one) reads what was given. */
int cli_own_check(cli_common *c, const cli_own_opts *o, const char *recipe);
/* Reads the files and prepares the program. `hold`: masks live as long as an input. cli_own_close accepts a zeroed or
 * half-built one; it warns of a program that did not end well. */
int cli_own_open(cli_own *own, cli_common *c, const cli_own_opts *o, int hold);
void cli_own_close(cli_own *own);
/* What pare_reducer_opts.custom takes, or NULL. */
const pare_custom *cli_own_custom(const cli_own *own);

/* One input: begin with the reducer's options and the source's size, frame for every frame that is pushed, end after the
 * last one, unless the run was cut short. */
int cli_own_begin(cli_own *own, const pare_model *model, const pare_model_info *info, const pare_reducer_opts *opts,
                  const pare_source_info *source);
int cli_own_frame(cli_own *own, pare_frame *frame);
int cli_own_end(cli_own *own);

#endif
