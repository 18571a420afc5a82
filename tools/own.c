/* SPDX-License-Identifier: MIT */
/* --scores, --mask, --map and --selector-cmd (own.h). */
#include "own.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_TIMEOUT 60.0

const cli_option cli_own_options[] = {
    {"scores", 0, CLI_TEXT, offsetof(cli_own_opts, scores), "FILE.npy", 0, 0,
     "score of every unit, higher = keep: [T,h,w], [h,w] or [n]; read by score=given"},
    {"mask", 0, CLI_TEXT, offsetof(cli_own_opts, mask), "FILE", 0, 0,
     "png (mask-%04d.png: one per frame) or npy: white = keep, black = ignore, else free"},
    {0},
};

const cli_option cli_selector_options[] = {
    {"map", 0, CLI_TEXT, offsetof(cli_own_opts, map), "FILE", 0, 0,
     "a reduction for the step custom[-window]: map.*, R [K,N] or keep [K] (.safetensors)"},
    {"selector-cmd", 0, CLI_TEXT, offsetof(cli_own_opts, selector), "PROG", 0, 0,
     "a program that decides for the step custom[-window], run by the shell"},
    {"selector-timeout", 0, CLI_REAL, offsetof(cli_own_opts, timeout), "SECONDS", 0.001, 1e6,
     "for one answer of the program (default 60)"},
    {0},
};

/* ---- life ------------------------------------------------------------------------------------------------------ */

const char *cli_own_recipe(const cli_own_opts *o)
{
    if (o->selector != NULL) return "custom";
    if (o->map != NULL) return "custom-window@output";
    return o->scores != NULL ? "topk:score=given@patches" : NULL;
}

int cli_own_check(cli_common *c, const cli_own_opts *o, const char *recipe)
{
    if (recipe == NULL) return CLI_OK;
    if ((o->map != NULL || o->selector != NULL) && strstr(recipe, "custom") == NULL)
        return cli_usage(c, "--%s is for a step custom or custom-window, which --recipe %s lacks",
                         o->map != NULL ? "map" : "selector-cmd", recipe);
    if (o->scores != NULL && strstr(recipe, "score=given") == NULL && strstr(recipe, "custom") == NULL)
        return cli_usage(c, "--scores is for a step with score=given, which --recipe %s lacks", recipe);
    return CLI_OK;
}

static int check_scores(const cli_own *own, pare_error *err)
{
    char shape[96];
    const pare_tensor *t = &own->scores.t;
    if (t->n_dim >= 1 && t->n_dim <= 3 && pare_tensor_count(t) > 0) return 0;
    return pare_fail(err, PARE_E_INVALID, "%.120s: scores are [T,h,w], [h,w] or [n], not %s", own->o->scores,
                     cli_shape_text(t, shape, sizeof shape));
}

int cli_own_open(cli_own *own, cli_common *c, const cli_own_opts *o, int hold)
{
    pare_error err = {0};
    const double timeout = o->timeout > 0 ? o->timeout : DEFAULT_TIMEOUT;
    int rc = 0;
    *own = (cli_own){.c = c, .o = o};
    if (o->map != NULL && o->selector != NULL) return cli_usage(c, "--map and --selector-cmd exclude each other");
    if (o->timeout > 0 && o->selector == NULL) return cli_usage(c, "--selector-timeout is for --selector-cmd");
    if (o->scores != NULL) rc = cli_npy_read(o->scores, &own->scores, &err);
    if (rc == 0 && o->scores != NULL) rc = check_scores(own, &err);
    if (rc == 0 && o->mask != NULL) rc = cli_mask_open(&own->mask, o->mask, hold, &err);
    if (rc == 0 && o->map != NULL) rc = cli_map_open(&own->map, o->map, &err);
    if (rc == 0 && o->selector != NULL)
        rc = cli_selector_open(&own->selector, o->selector, timeout, cli_stop_flag(), &err);
    own->custom = (pare_custom){.struct_size = sizeof own->custom,
                                .select = own->map != NULL ? cli_map_select : cli_selector_select,
                                .user = own->map != NULL ? (void *)own->map : (void *)own->selector};
    return rc == 0 ? CLI_OK : cli_fail(c, &err, CLI_UNREADABLE);
}

void cli_own_close(cli_own *own)
{
    pare_error err = {0};
    if (cli_selector_close(&own->selector, &err) != 0) cli_log(own->c, PARE_LOG_WARN, err.text);
    cli_map_close(&own->map);
    cli_mask_close(&own->mask);
    cli_npy_free(&own->scores);
    free(own->score);
    own->score = NULL;
}

const pare_custom *cli_own_custom(const cli_own *own) { return own->custom.user != NULL ? &own->custom : NULL; }

/* ---- scores ---------------------------------------------------------------------------------------------------- */

/* The grid of one frame in units, as the reducer will have it. */
static int find_grid(cli_own *own, const pare_model *model, const pare_model_info *info, const pare_reducer_opts *opts,
                     const pare_source_info *source, pare_error *err)
{
    const int32_t side = info->patch * (info->unit > 1 ? info->unit : 1);
    int32_t w = opts->width > 0 ? opts->width : info->image_width;
    int32_t h = opts->height > 0 ? opts->height : info->image_height;
    int rc = 0;
    if (!opts->letterbox)
        rc = pare_model_fit(model, source->width, source->height, opts->video, opts->width, opts->height,
                            opts->max_side, &w, &h, err);
    own->grid_w = w / side;
    own->grid_h = h / side;
    return rc;
}

/* [T,h,w], [h,w] or [n] as [n_step, grid_h, grid_w]; a single grid holds for every frame. */
static int shape_scores(cli_own *own, pare_error *err)
{
    char shape[96];
    const pare_tensor *t = &own->scores.t;
    const int64_t cells = (int64_t)own->grid_h * own->grid_w, n = pare_tensor_count(t);
    const int flat = t->n_dim == 1,
              fits = flat ? n % cells == 0
                          : t->shape[t->n_dim - 2] == own->grid_h && t->shape[t->n_dim - 1] == own->grid_w;
    if (!fits)
        return pare_fail(err, PARE_E_INVALID, "%.100s: scores %s do not fit the grid [%d,%d] of a frame",
                         own->o->scores, cli_shape_text(t, shape, sizeof shape), own->grid_h, own->grid_w);
    free(own->score);
    own->score = malloc((size_t)n * sizeof *own->score);
    if (own->score == NULL) return pare_fail(err, PARE_E_NOMEM, "%.100s: out of memory", own->o->scores);
    pare_tensor_to_f32(t, own->score);
    own->n_step = n / cells;
    return 0;
}

/* One grid that is no [1,h,w] belongs to every frame. */
static int is_same_for_all(const cli_own *own) { return own->n_step == 1 && own->scores.t.n_dim < 3; }

static int score_frame(cli_own *own, pare_frame *frame, pare_error *err)
{
    const int64_t cells = (int64_t)own->grid_h * own->grid_w;
    const int64_t step = is_same_for_all(own) ? 0 : own->n_frame / own->temporal;
    if (step >= own->n_step)
        return pare_fail(err, PARE_E_INVALID, "%.120s: scores of %lld frames, the input has more", own->o->scores,
                         (long long)own->n_step);
    frame->scores = own->score + step * cells;
    frame->scores_width = own->grid_w;
    frame->scores_height = own->grid_h;
    return 0;
}

static int end_scores(const cli_own *own, pare_error *err)
{
    if (own->score == NULL || is_same_for_all(own)) return 0;
    const int64_t steps = (own->n_frame + own->temporal - 1) / own->temporal;
    if (steps >= own->n_step) return 0;
    return pare_fail(err, PARE_E_INVALID, "%.120s: scores of %lld frames, the input has %lld", own->o->scores,
                     (long long)own->n_step, (long long)steps);
}

/* ---- one input ------------------------------------------------------------------------------------------------- */

/* By the caller, or by the model's own rule for photos, which holds only where nothing is asked of their size. */
static int is_tiled(const pare_model *model, const pare_reducer_opts *opts, const pare_source_info *source)
{
    pare_model_plan plan = {.struct_size = sizeof plan};
    const int is_sized = opts->width > 0 || opts->max_side > 0 || opts->letterbox;
    if (opts->tile_rows != 0 || is_sized || !source->is_image) return opts->tile_rows > 0;
    return pare_model_plan_get(model, source->width, source->height, 0, 0, 0, &plan, NULL) == 0 && plan.n_slot > 1;
}

int cli_own_begin(cli_own *own, const pare_model *model, const pare_model_info *info, const pare_reducer_opts *opts,
                  const pare_source_info *source)
{
    pare_error err = {0};
    int rc = 0;
    own->n_frame = 0;
    own->temporal = info->temporal > 1 ? info->temporal : 1;
    if (own->o->scores != NULL && is_tiled(model, opts, source))
        return cli_usage(own->c, "--scores do not say which tile they belong to; use --tiles none");
    if (own->map != NULL) cli_map_begin(own->map);
    if (own->mask != NULL) rc = cli_mask_begin(own->mask, &err);
    if (rc == 0 && own->o->scores != NULL) rc = find_grid(own, model, info, opts, source, &err);
    if (rc == 0 && own->o->scores != NULL) rc = shape_scores(own, &err);
    return rc == 0 ? CLI_OK : cli_fail(own->c, &err, CLI_UNREADABLE);
}

int cli_own_frame(cli_own *own, pare_frame *frame)
{
    pare_error err = {0};
    int rc = own->mask != NULL ? cli_mask_next(own->mask, frame, &err) : 0;
    if (rc == 0 && own->score != NULL) rc = score_frame(own, frame, &err);
    own->n_frame++;
    return rc == 0 ? CLI_OK : cli_fail(own->c, &err, CLI_UNREADABLE);
}

int cli_own_end(cli_own *own)
{
    pare_error err = {0};
    int rc = end_scores(own, &err);
    if (rc == 0 && own->mask != NULL) rc = cli_mask_end(own->mask, &err);
    if (rc == 0 && own->map != NULL) rc = cli_map_end(own->map, &err);
    return rc == 0 ? CLI_OK : cli_fail(own->c, &err, CLI_FAILED);
}
