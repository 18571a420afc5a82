/* SPDX-License-Identifier: MIT */
/* Frames per second, grid and tokens per frame of one input, weighed by its first pass (trade.h). */
#include "trade.h"

#include "json_line.h"

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int refuse(cli_reduce_job *j)
{
    cli_common *c = &j->o->common;
    if (j->info.is_image) return cli_usage(c, "--fps auto and --size auto: %s is a photo, not a clip", j->input);
    if (j->info.is_live) return cli_usage(c, "--fps auto and --size auto: %s cannot be read twice", j->input);
    return CLI_OK;
}

/* To the end; a signal ends without a choice. */
static int push_all(cli_reduce_job *j)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    int got = 0;
    for (int64_t n = 0; got == 0; n++) {
        pare_frame frame = {.struct_size = sizeof frame};
        got = pare_source_read(j->source, &frame, &err);
        if (got == 0 && pare_trade_push(j->trade, &frame, &err) != 0)
            return cli_fail_input(c, j->input, &err, CLI_FAILED);
        if (got == 0) cli_progress_step(&c->bar, n + 1);
    }
    if (*cli_stop_flag()) return CLI_STOPPED;
    if (got < 0) return cli_fail_read(c, &err);
    return pare_trade_finish(j->trade, &err) == 0 ? CLI_OK : cli_fail_input(c, j->input, &err, CLI_FAILED);
}

static int watch(cli_reduce_job *j)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    pare_reducer_opts opts = cli_reducer_opts(c, &j->o->budget, &j->layout, j->info.is_image);
    opts.custom = cli_own_custom(j->own);
    if (pare_trade_create(&j->trade, j->model, &opts, j->o->free_sides, &err) != 0)
        return cli_fail_input(c, j->input, &err, CLI_FAILED);
    cli_progress_begin(&c->bar, c->quiet ? CLI_PROGRESS_NONE : c->progress, "frames weighed",
                       cli_pick_estimate(&j->pick, &j->info));
    const int rc = push_all(j);
    cli_progress_end(&c->bar);
    return rc;
}

static void take_choice(cli_reduce_job *j)
{
    pare_trade_view v = {.struct_size = sizeof v};
    pare_trade_get(j->trade, &v, NULL);
    const pare_trade_candidate *c = &v.candidate[v.chosen];
    if (c->every > 1) j->pick.every = c->every;
    if (j->o->free_sides & PARE_TRADE_SIZE) j->layout.size = (cli_size){c->width, c->height};
    if (j->o->common.quiet) return;
    cli_say(&j->o->common,
            "%s: %.3g frames/s of %dx%d, %.1f of %lld units each: covers %.1f %% (best of %d ways: %.1f %%)", j->input,
            c->fps, c->width, c->height, c->tokens_per_step, (long long)c->units, 100 * c->coverage, v.n,
            100 * v.candidate[v.best].coverage);
}

int cli_trade_read(cli_reduce_job *j)
{
    j->pick.read_ahead = CLI_READ_AHEAD;
    int rc = cli_source_open(&j->o->common, &j->pick, j->input, &j->source, &j->info);
    if (rc == CLI_OK) rc = refuse(j);
    if (rc == CLI_OK) rc = watch(j);
    if (rc == CLI_OK) take_choice(j);
    pare_source_close(&j->source);
    return rc;
}

/* ---- printing ----------------------------------------------------------------------------------------------------- */

static json_t *candidate_json(const pare_trade_candidate *c)
{
    const int64_t size[2] = {c->width, c->height}, grid[3] = {c->n_step, c->grid_h, c->grid_w};
    json_t *o = json_object();
    cli_json_real(o, "fps", c->fps > 0 ? c->fps : 0, 6);
    cli_json_int(o, "every", c->every);
    cli_json_size(o, "size", size, 2);
    cli_json_size(o, "grid", grid, 3);
    cli_json_int(o, "units", c->n_step * c->units);
    cli_json_real(o, "tokens_per_step", c->tokens_per_step, 3);
    cli_json_real(o, "hold", c->hold, 4);
    cli_json_real(o, "blur", c->blur, 4);
    cli_json_real(o, "coverage", c->coverage, 6);
    cli_json_bool(o, "possible", c->is_possible);
    return o;
}

json_t *cli_trade_json(const pare_trade *trade)
{
    pare_trade_view v = {.struct_size = sizeof v};
    json_t *o = json_object(), *all = json_array();
    pare_trade_get(trade, &v, NULL);
    cli_json_int(o, "frames", v.n_frames);
    cli_json_int(o, "tokens", v.tokens);
    cli_json_real(o, "flat", v.flat, 4);
    json_object_set_new(o, "chosen", candidate_json(&v.candidate[v.chosen]));
    json_object_set_new(o, "best", candidate_json(&v.candidate[v.best]));
    cli_json_text(o, "why",
                  v.chosen == v.best ? "of the highest coverage"
                                     : "the fewest units within 0.005 of the highest coverage");
    for (int32_t i = 0; i < v.n; i++) json_array_append_new(all, candidate_json(&v.candidate[i]));
    json_object_set_new(o, "candidates", all);
    return o;
}
