/* SPDX-License-Identifier: MIT */
/* pare tokens: features in, fewer features out, no encoder. Every tensor of the input file is handed to the recipe
 * under its name: tokens [n,d], q, k, v, cls_row[.N], col_mean[.N], pixels u8 [T,H,W,3], grid_thw [3]. */
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "json_line.h"
#include "publish.h"

typedef struct tokens_opts {
    cli_common common;
    cli_budget budget;
    int64_t seed;
    const char *output, *writer;
} tokens_opts;

/* The file's tensors, aligned and in the types that the library takes. */
typedef struct arrays {
    pare_tensor *t; /* [n] */
    int32_t n;
} arrays;

static const cli_option own_options[] = {
    {"output", 'o', CLI_TEXT, offsetof(tokens_opts, output), "FILE", 0, 0, "result (.safetensors, .npz, - = stdout)"},
    {"writer", 0, CLI_TEXT, offsetof(tokens_opts, writer), "NAME", 0, 0, "result format (default: by suffix)"},
    {"seed", 0, CLI_INT, offsetof(tokens_opts, seed), "N", 0, 1e15, "seed of everything random (default 0)"},
    {0},
};

static const cli_group groups[] = {
    {"Output:", own_options, 0},
    {"Budget:", cli_budget_options, offsetof(tokens_opts, budget)},
    {"Common:", cli_common_options, 0},
    {0},
};

/* ---- arrays --------------------------------------------------------------------------------------------------- */

static size_t dtype_size(int32_t dtype)
{
    static const size_t size[PARE_DTYPE_COUNT] = {4, 2, 2, 8, 4, 8, 1, 1, 1};
    return size[dtype];
}

/* Floats become f32; integers stay what they are. 0 or -1. */
static int take_array(const pare_tensor *t, pare_tensor *out)
{
    int64_t n = pare_tensor_count(t);
    int whole = t->dtype != PARE_F16 && t->dtype != PARE_BF16 && t->dtype != PARE_F64;
    size_t bytes = (size_t)n * (whole ? dtype_size(t->dtype) : sizeof(float));
    void *data = malloc(bytes > 0 ? bytes : 1);
    if (data == NULL) return -1;
    *out = *t;
    out->data = data;
    if (whole) {
        memcpy(data, t->data, bytes);
        return 0;
    }
    out->dtype = PARE_F32;
    pare_tensor_to_f32(t, data);
    return 0;
}

static void arrays_free(arrays *a)
{
    for (int32_t i = 0; i < a->n; i++) free((void *)(uintptr_t)a->t[i].data);
    free(a->t);
}

/* Names stay borrowed from `file`. */
static int arrays_take(cli_common *c, const pare_tensors *file, const char *path, arrays *a)
{
    int64_t n = pare_tensors_count(file);
    a->t = calloc((size_t)n + 1, sizeof *a->t);
    for (int64_t i = 0; a->t != NULL && i < n; i++, a->n++)
        if (take_array(pare_tensors_at(file, i), &a->t[i]) != 0) break;
    if (a->t != NULL && a->n == n) return CLI_OK;
    cli_say(c, "%s: out of memory for its %lld tensors", path, (long long)n);
    return CLI_FAILED;
}

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

static int reduce_tokens(tokens_opts *o, const arrays *a, pare_result **result)
{
    pare_error err = {0};
    pare_reducer_opts opts = {.struct_size = sizeof opts,
                              .recipe = o->budget.recipe,
                              .keep = o->budget.keep,
                              .tokens = o->budget.tokens,
                              .tokens_per_frame = o->budget.tokens_per_frame,
                              .min_per_frame = (int32_t)o->budget.min_per_frame,
                              .seed = (uint64_t)o->seed,
                              .n_threads = (int32_t)o->common.threads};
    if (pare_reduce_tokens(a->t, a->n, &opts, result, &err) == 0) return CLI_OK;
    return cli_fail(&o->common, &err, CLI_FAILED);
}

static int run(void *opts, const cli_list *inputs)
{
    tokens_opts *o = opts;
    cli_common *c = &o->common;
    pare_tensors *file = NULL;
    pare_result *result = NULL;
    pare_error err = {0};
    arrays a = {0};
    char hash[17];
    if (inputs->n != 1) return cli_usage(c, "tokens takes one input, not %d", inputs->n);
    if (o->budget.recipe == NULL) return cli_usage(c, "tokens: --recipe is missing; pare list selectors");
    int rc = cli_budget_check(c, &o->budget);
    if (rc == CLI_OK) rc = cli_output_check(c, o->output, inputs);
    if (rc != CLI_OK) return rc;
    if (pare_tensors_open(&file, inputs->item[0], &err) != 0) return cli_fail(c, &err, CLI_UNREADABLE);
    cli_hash_file(inputs->item[0], hash);
    rc = arrays_take(c, file, inputs->item[0], &a);
    if (rc == CLI_OK) rc = reduce_tokens(o, &a, &result);
    if (rc == CLI_OK && o->output != NULL) rc = write_result(o, inputs->item[0], hash, result);
    if (rc == CLI_OK && !cli_is_stdout(o->output)) print_summary(o, inputs->item[0], pare_result_get(result));
    pare_result_free(&result);
    arrays_free(&a);
    pare_tensors_close(&file);
    return rc;
}

const cli_command cli_cmd_tokens = {
    "tokens",
    "[OPTIONS] FEATURES.safetensors --recipe STEPS [-o FILE]",
    "features in, fewer features out; no encoder",
    groups,
    sizeof(tokens_opts),
    run,
};
