/* SPDX-License-Identifier: MIT */
/* Plans on the command line (plan.h). */
#include "plan.h"

#include "json_line.h"
#include "trade.h"

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int push_frame(cli_reduce_job *j, pare_plan *plan, pare_frame *frame, int with_own)
{
    pare_error err = {0};
    const int rc = with_own ? cli_own_frame(j->own, frame) : CLI_OK;
    if (rc != CLI_OK) return rc;
    return pare_plan_push(plan, frame, &err) == 0 ? CLI_OK : cli_fail_input(&j->o->common, j->input, &err, CLI_FAILED);
}

/* To the end; a signal ends without a plan, and so does a list of frames that lied. */
static int push_all(cli_reduce_job *j, pare_plan *plan, int with_own)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    int got = 0, rc = CLI_OK;
    int64_t n = 0;
    while (rc == CLI_OK) {
        pare_frame frame = {.struct_size = sizeof frame};
        got = pare_source_read(j->source, &frame, &err);
        if (got != 0) break;
        rc = push_frame(j, plan, &frame, with_own);
        cli_progress_step(&c->bar, ++n);
    }
    if (rc != CLI_OK) return rc;
    if (*cli_stop_flag()) return CLI_STOPPED;
    if (got < 0) return cli_fail_read(c, &err);
    if (n == 0) {
        cli_say(c, "%s: no frame in the range asked for", j->input);
        return CLI_UNREADABLE;
    }
    if (cli_reduce_recount(j, n)) return CLI_OK;
    if (pare_plan_finish(plan, &err) != 0) return cli_fail_input(c, j->input, &err, CLI_FAILED);
    return with_own ? cli_own_end(j->own) : CLI_OK;
}

/* The options as the reducer takes them: a reducer that never sees a frame says which amount is needed. */
static int settle_opts(cli_reduce_job *j, int32_t kind)
{
    cli_common *c = &j->o->common;
    pare_reducer *probe = NULL;
    if (kind == PARE_PLAN_TWO_PASS) {
        if (!(j->opts.keep > 0) && j->opts.tokens <= 0) j->opts.keep = CLI_DEFAULT_KEEP;
        return CLI_OK;
    }
    int rc = cli_reduce_count(j);
    if (rc == CLI_OK) rc = cli_own_begin(j->own, j->model, j->model_info, &j->opts, &j->info);
    if (rc == CLI_OK)
        rc = cli_reducer_create(c, j->model, j->input, j->o->own.map != NULL || j->plan != NULL, &j->opts, &probe);
    pare_reducer_close(&probe);
    return rc;
}

static int refuse_live(cli_reduce_job *j, int32_t kind)
{
    if (kind != PARE_PLAN_TWO_PASS) return CLI_OK;
    if (j->info.is_live)
        return cli_usage(&j->o->common, "--two-pass: %s cannot be read twice; use --keep or --tokens-per-second",
                         j->input);
    if (j->info.is_image) return cli_usage(&j->o->common, "--two-pass: %s is a photo, not a clip", j->input);
    return CLI_OK;
}

void cli_plan_spend(cli_reduce_job *j)
{
    j->opts.plan = j->plan;
    j->opts.keep = 0;
    j->opts.tokens = 0;
}

static int read_once(cli_reduce_job *j, int32_t window, int32_t kind, pare_plan **out)
{
    cli_common *c = &j->o->common;
    pare_error err = {0};
    *out = NULL;
    j->pick.read_ahead = CLI_READ_AHEAD;
    int rc = cli_source_open(c, &j->pick, j->input, &j->source, &j->info);
    if (rc == CLI_OK) rc = refuse_live(j, kind);
    if (rc != CLI_OK) goto done;
    j->opts = cli_reducer_opts(c, &j->o->budget, &j->layout, j->info.is_image);
    j->opts.window = window;
    j->opts.custom = cli_own_custom(j->own);
    if (kind == PARE_PLAN_ONE_PASS && j->plan != NULL) cli_plan_spend(j);
    rc = settle_opts(j, kind);
    if (rc != CLI_OK) goto done;
    if (pare_plan_create(out, j->model, &j->opts, kind, &err) != 0) {
        rc = cli_fail_input(c, j->input, &err, CLI_FAILED);
        goto done;
    }
    cli_progress_begin(&c->bar, c->quiet ? CLI_PROGRESS_NONE : c->progress, "frames planned",
                       cli_pick_estimate(&j->pick, &j->info));
    rc = push_all(j, *out, kind == PARE_PLAN_ONE_PASS);
    cli_progress_end(&c->bar);
done:
    pare_source_get(j->source, &j->info, NULL);
    pare_source_close(&j->source);
    if (rc != CLI_OK) pare_plan_close(out);
    return rc;
}

int cli_plan_read(cli_reduce_job *j, int32_t window, int32_t kind, pare_plan **out)
{
    j->began = cli_now();
    int rc = read_once(j, window, kind, out);
    if (rc != CLI_OK || j->n_true == 0) return rc;
    pare_plan_close(out);
    return read_once(j, window, kind, out);
}

/* ---- printing ----------------------------------------------------------------------------------------------------- */

/* -1 becomes null. */
static void set_count(json_t *o, const char *key, int64_t value)
{
    if (value < 0)
        json_object_set_new(o, key, json_null());
    else
        cli_json_int(o, key, value);
}

static json_t *step_json(const pare_step *s)
{
    json_t *o = json_object();
    cli_json_real(o, "pts", s->pts, 6);
    cli_json_real(o, "end", s->end, 6);
    cli_json_int(o, "units", s->units);
    set_count(o, "tokens", s->tokens);
    if (s->change < 0)
        json_object_set_new(o, "change", json_null());
    else
        cli_json_real(o, "change", (double)s->change, 3);
    cli_json_real(o, "detail", (double)s->detail, 4);
    cli_json_bool(o, "cut", s->is_cut);
    return o;
}

static void print_json(const cli_reduce_job *j, const pare_plan_info *p)
{
    const int64_t grid[3] = {p->n_step, p->grid_h, p->grid_w};
    json_t *o = json_object(), *steps = json_array();
    cli_json_int(o, "schema_version", CLI_SCHEMA_VERSION);
    cli_json_text(o, "input", j->input);
    cli_json_text(o, "plan", p->kind == PARE_PLAN_TWO_PASS ? "two-pass" : "one-pass");
    cli_json_text(o, "recipe", j->opts.recipe);
    cli_json_text(o, "model", j->model_info->name);
    cli_json_size(o, "grid", grid, 3);
    cli_json_int(o, "units", p->n_units);
    set_count(o, "tokens", p->n_tokens);
    set_count(o, "position_ids", p->n_positions);
    set_count(o, "kv_cells", p->n_cells);
    cli_json_int(o, "cuts", p->n_cut);
    if (j->trade != NULL) json_object_set_new(o, "trade", cli_trade_json(j->trade));
    if (p->kind == PARE_PLAN_TWO_PASS) cli_json_real(o, "threshold", p->threshold, 4);
    for (int64_t i = 0; i < p->n_step; i++) json_array_append_new(steps, step_json(&p->step[i]));
    json_object_set_new(o, "steps", steps);
    cli_json_print(o, 0, stdout);
}

static void print_count(const char *label, int64_t value)
{
    if (value < 0)
        printf("  %-12s unknown before the encoder\n", label);
    else
        printf("  %-12s %lld\n", label, (long long)value);
}

static void print_step(int64_t i, const pare_step *s)
{
    char tokens[24] = "-", change[24] = "-";
    if (s->tokens >= 0) snprintf(tokens, sizeof tokens, "%lld", (long long)s->tokens);
    if (s->change >= 0) snprintf(change, sizeof change, "%.2f", (double)s->change);
    printf("%6lld %10.3f %7lld %7s %8s %7.3f%s\n", (long long)i, s->pts, (long long)s->units, tokens, change,
           (double)s->detail, s->is_cut ? "  cut" : "");
}

static void print_table(const cli_reduce_job *j, const pare_plan_info *p)
{
    printf("%s: plan in %s, grid %lldx%dx%d, recipe %s\n", j->input,
           p->kind == PARE_PLAN_TWO_PASS ? "two passes" : "one pass", (long long)p->n_step, p->grid_h, p->grid_w,
           j->opts.recipe);
    printf("%6s %10s %7s %7s %8s %7s\n", "step", "seconds", "units", "tokens", "change", "detail");
    for (int64_t i = 0; i < p->n_step; i++) print_step(i, &p->step[i]);
    print_count("units", p->n_units);
    print_count("tokens", p->n_tokens);
    print_count("position ids", p->n_positions);
    print_count("KV cells", p->n_cells);
    if (p->kind == PARE_PLAN_TWO_PASS) printf("  %-12s %.2f of 255\n", "threshold", p->threshold);
}

void cli_plan_print(const cli_reduce_job *j, const pare_plan *plan)
{
    pare_plan_info info = {.struct_size = sizeof info};
    pare_plan_info meant = {.struct_size = sizeof meant};
    pare_plan_get(plan, &info, NULL);
    pare_plan_get(j->plan, &meant, NULL);
    info.kind = meant.kind;
    info.threshold = meant.threshold;
    if (j->o->common.json)
        print_json(j, &info);
    else
        print_table(j, &info);
}
