/* SPDX-License-Identifier: MIT */
/* pare tokens: features in, fewer features out, no encoder. Every array of the input file is handed to the recipe under
 * its name (pare_reduce_tokens): tokens [n,d], q, k, v, cls_row[.N], col_mean[.N], prefix.NAME, pixels u8 [T,H,W,3],
 * scores [n], mask u8 [n], text_query [m,d], grid_thw [3] or [media,3], tiles [2]. */
#include <stdlib.h>
#include <string.h>

#include "arrays.h"
#include "json_line.h"
#include "own.h"
#include "publish.h"

typedef struct tokens_opts {
    cli_common common;
    cli_budget budget;
    cli_own_opts own;
    int64_t seed;
    const char *output, *writer;
} tokens_opts;

static const cli_option own_options[] = {
    {"output", 'o', CLI_TEXT, offsetof(tokens_opts, output), "FILE", 0, 0, "result (.safetensors, .npz, - = stdout)"},
    {"writer", 0, CLI_TEXT, offsetof(tokens_opts, writer), "NAME", 0, 0, "result format (default: by suffix)"},
    {"seed", 0, CLI_INT, offsetof(tokens_opts, seed), "N", 0, 1e15, "seed of everything random (default 0)"},
    {0},
};

static const cli_group groups[] = {
    {"Output:", own_options, 0},
    {"Budget:", cli_budget_options, offsetof(tokens_opts, budget)},
    {"A selector of your own:", cli_selector_options, offsetof(tokens_opts, own)},
    {"Common:", cli_common_options, 0},
    {0},
};

/* ---- output --------------------------------------------------------------------------------------------------- */

static int write_result(tokens_opts *o, const char *input, const char *hash, const pare_result *result)
{
    cli_common *c = &o->common;
    pare_writer *writer = NULL;
    pare_error err = {0};
    char seed[24];
    snprintf(seed, sizeof seed, "%lld", (long long)o->seed);
    const char *const meta[][2] = {{"recipe", o->budget.recipe},
                                   {"seed", seed},
                                   {"version", pare_version()},
                                   {"input", cli_base_name(input)},
                                   {"input_hash", hash}};
    pare_writer_opts opts = {
        .struct_size = sizeof opts, .format = o->writer, .meta = meta, .n_meta = (int64_t)(sizeof meta / sizeof *meta)};
    int rc = pare_writer_open(&writer, o->output, &opts, &err);
    if (rc == 0) rc = pare_writer_append(writer, result, &err);
    if (rc == 0) rc = pare_writer_finish(writer, 1, &err);
    pare_writer_close(&writer);
    return rc == 0 ? CLI_OK : cli_fail(c, &err, CLI_FAILED);
}

static void print_summary(const tokens_opts *o, const char *input, const pare_result_view *v)
{
    if (!o->common.json) {
        printf("%s: %lld tokens of width %d -> %lld (%.2f %%)\n", input, (long long)v->n, v->d, (long long)v->k,
               100.0 * (double)v->k / (double)v->n);
        printf("  recipe  %s\n", o->budget.recipe);
        if (o->output != NULL) printf("  wrote   %s\n", o->output);
        return;
    }
    json_t *line = json_object();
    const int64_t grid[3] = {v->grid[0], v->grid[1], v->grid[2]};
    cli_json_int(line, "schema_version", CLI_SCHEMA_VERSION);
    cli_json_text(line, "input", input);
    cli_json_size(line, "grid", grid, 3);
    cli_json_int(line, "units_in", v->n);
    cli_json_int(line, "units_out", v->k);
    cli_json_real(line, "keep", (double)v->k / (double)v->n, 6);
    cli_json_text(line, "recipe", o->budget.recipe);
    cli_json_int(line, "seed", o->seed);
    cli_json_text(line, "output", o->output);
    cli_json_print(line, 0, stdout);
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static int reduce_tokens(tokens_opts *o, const char *input, cli_own *own, const cli_arrays *a, pare_result **result)
{
    pare_error err = {0};
    pare_reducer_opts opts = {.struct_size = sizeof opts,
                              .recipe = o->budget.recipe,
                              .keep = o->budget.keep,
                              .tokens = o->budget.tokens,
                              .tokens_per_frame = o->budget.tokens_per_frame,
                              .min_per_frame = (int32_t)o->budget.min_per_frame,
                              .max_per_frame = (int32_t)o->budget.max_per_frame,
                              .quality = o->budget.quality,
                              .seed = (uint64_t)o->seed,
                              .n_threads = (int32_t)o->common.threads,
                              .custom = cli_own_custom(own)};
    if (pare_reduce_tokens(a->t, a->n, &opts, result, &err) == 0) return cli_own_end(own);
    return cli_fail_input(&o->common, input, &err, CLI_FAILED);
}

static int run(void *opts, const cli_list *inputs)
{
    tokens_opts *o = opts;
    cli_common *c = &o->common;
    pare_result *result = NULL;
    cli_arrays a = {0};
    cli_own own = {0};
    char hash[17];
    if (inputs->n != 1) return cli_usage(c, "tokens takes one input, not %d", inputs->n);
    if (o->budget.recipe == NULL) o->budget.recipe = cli_own_recipe(&o->own);
    if (o->budget.recipe == NULL) return cli_usage(c, "tokens: --recipe is missing; pare list selectors");
    int rc = cli_budget_check(c, &o->budget);
    if (rc == CLI_OK) rc = cli_own_check(c, &o->own, o->budget.recipe);
    if (rc == CLI_OK) rc = cli_output_check(c, o->output, inputs);
    if (rc == CLI_OK) rc = cli_own_open(&own, c, &o->own, 0);
    if (rc == CLI_OK) rc = cli_arrays_read(c, inputs->item[0], &a);
    cli_hash_file(inputs->item[0], hash);
    if (rc == CLI_OK) rc = reduce_tokens(o, inputs->item[0], &own, &a, &result);
    if (rc == CLI_OK && o->output != NULL) rc = write_result(o, inputs->item[0], hash, result);
    if (rc == CLI_OK && !cli_is_stdout(o->output)) print_summary(o, inputs->item[0], pare_result_get(result));
    pare_result_free(&result);
    cli_arrays_free(&a);
    cli_own_close(&own);
    return rc;
}

const cli_command cli_cmd_tokens = {
    "tokens",
    "[OPTIONS] FEATURES.safetensors|.npz --recipe STEPS [-o FILE]\n\n"
    "FEATURES holds tokens [n,d] and what the recipe needs of q, k, v [n,d], cls_row, col_mean [n] (each also as\n"
    "NAME.LAYER), scores [n], mask u8 [n], text_query [m,d], pixels u8 [T,H,W,3], prefix.NAME [slots,p,...] (the CLS\n"
    "token's part of an array) and grid_thw [3] (without it the n tokens are one row)",
    "features in, fewer features out; no encoder",
    groups,
    sizeof(tokens_opts),
    run,
};
