/* SPDX-License-Identifier: MIT */
/* What pare reduce prints (reduce.h). Times stand here and never in the result file. */
#include "reduce.h"

#include <string.h>

#include "json_line.h"
#include "trade.h"

static json_t *stage_json(const cli_reduce_job *j, const pare_reducer_stats *s)
{
    json_t *ms = json_object();
    cli_json_real(ms, "decode", j->decode_ms, 2);
    cli_json_real(ms, "prep", s->prep_ms, 2);
    cli_json_real(ms, "embed", s->embed_ms, 2);
    cli_json_real(ms, "encode", s->encode_ms, 2);
    cli_json_real(ms, "select", s->select_ms, 2);
    cli_json_real(ms, "write", j->write_ms, 2);
    return ms;
}

/* The places a recipe acts at, once each, in order. */
static json_t *site_json(const char *recipe)
{
    json_t *sites = json_array();
    for (const char *at = strchr(recipe, '@'); at != NULL; at = strchr(at + 1, '@'))
        json_array_append_new(sites, json_stringn(at + 1, strcspn(at + 1, ",")));
    return sites;
}

/* Steps that were encoded whole, and units that were computed. */
static json_t *reuse_json(const cli_reduce_job *j, const pare_reducer_stats *s)
{
    json_t *reuse = json_object();
    cli_json_text(reuse, "rows", j->o->layout.reuse);
    cli_json_int(reuse, "n_reference", s->n_reference);
    cli_json_int(reuse, "n_fresh", s->n_fresh);
    return reuse;
}

/* Blocks that the decoder told of, and those that were left as they were. */
static json_t *motion_json(const pare_reducer_stats *s)
{
    json_t *motion = json_object();
    cli_json_int(motion, "n_block", s->n_block);
    cli_json_int(motion, "n_still", s->n_still);
    return motion;
}

static void print_json(const cli_reduce_job *j, const pare_reducer_stats *s, double wall_ms)
{
    pare_runtime_info run = {.struct_size = sizeof run};
    json_t *o = json_object();
    pare_runtime_get(&run, NULL);
    cli_json_int(o, "schema_version", CLI_SCHEMA_VERSION);
    cli_json_text(o, "input", j->input);
    cli_json_text(o, "input_hash", j->hash[0] != '\0' ? j->hash : NULL);
    cli_json_int(o, "frames", s->n_frames);
    cli_json_size(o, "grid", j->grid, 3);
    cli_json_int(o, "units_in", s->n_in);
    cli_json_int(o, "units_out", s->n_out);
    cli_json_real(o, "keep", (double)s->n_out / (double)s->n_in, 6);
    if (j->opts.reuse != PARE_REUSE_NONE) json_object_set_new(o, "reuse", reuse_json(j, s));
    if (s->n_block > 0) json_object_set_new(o, "motion", motion_json(s));
    cli_json_text(o, "recipe", pare_reducer_recipe(j->reducer));
    json_object_set_new(o, "sites", site_json(pare_reducer_recipe(j->reducer)));
    cli_json_text(o, "model", j->model_info->name);
    cli_json_text(o, "family", j->model_info->family);
    cli_json_int(o, "seed", (int64_t)j->opts.seed);
    json_object_set_new(o, "ms", stage_json(j, s));
    cli_json_real(o, "wall_ms", wall_ms, 2);
    cli_json_real(o, "frames_per_s", 1e3 * (double)s->n_frames / wall_ms, 2);
    cli_json_real(o, "peak_rss_mb", cli_peak_rss_mb(), 1);
    cli_json_text(o, "blas", run.blas);
    cli_json_text(o, "blas_core", run.blas_core);
    cli_json_text(o, "backend", s->backend);
    cli_json_text(o, "precision", s->precision);
    cli_json_int(o, "threads", j->opts.n_threads > 0 ? j->opts.n_threads : run.n_cpu);
    if (j->trade != NULL) json_object_set_new(o, "trade", cli_trade_json(j->trade));
    cli_json_int(o, "raised", s->n_raised);
    cli_json_int(o, "whole", s->n_whole);
    cli_json_int(o, "late", s->n_late);
    cli_json_int(o, "damaged", j->info.n_damaged);
    cli_json_int(o, "flawed", j->info.n_flawed);
    cli_json_int(o, "size_changes", j->info.n_size_changes);
    cli_json_int(o, "reconnects", j->info.n_reconnects);
    cli_json_bool(o, "complete", j->complete);
    cli_json_text(o, "output", j->output);
    cli_json_print(o, 0, stdout);
}

static void print_table(const cli_reduce_job *j, const pare_reducer_stats *s, double wall_ms)
{
    const int64_t *g = j->grid, asked = j->o->budget.tokens;
    char fewer[48] = "";
    if (asked > s->n_out) snprintf(fewer, sizeof fewer, ", %lld were asked", (long long)asked);
    printf("%s: %lld frames of %dx%d, grid %lldx%lldx%lld, %lld units -> %lld (%.2f %%)%s%s\n", j->input,
           (long long)s->n_frames, j->info.width, j->info.height, (long long)g[0], (long long)g[1], (long long)g[2],
           (long long)s->n_in, (long long)s->n_out, 100.0 * (double)s->n_out / (double)s->n_in, fewer,
           j->complete ? "" : ", INCOMPLETE");
    printf("  recipe  %s\n", pare_reducer_recipe(j->reducer));
    printf("  model   %s, %s %s, seed %llu\n", j->model_info->name, s->backend, s->precision,
           (unsigned long long)j->opts.seed);
    if (j->opts.reuse != PARE_REUSE_NONE)
        printf("  reuse   %s, %lld steps encoded whole, %lld units computed\n", j->o->layout.reuse,
               (long long)s->n_reference, (long long)s->n_fresh);
    if (s->n_block > 0)
        printf("  motion  %lld of %lld blocks were still\n", (long long)s->n_still, (long long)s->n_block);
    printf("  ms      decode %.1f  prep %.1f  embed %.1f  encode %.1f  select %.1f  write %.1f\n", j->decode_ms,
           s->prep_ms, s->embed_ms, s->encode_ms, s->select_ms, j->write_ms);
    printf("  total   %.1f ms, %.2f frames/s, peak %.0f MB\n", wall_ms, 1e3 * (double)s->n_frames / wall_ms,
           cli_peak_rss_mb());
    if (s->n_raised > 0)
        printf("  detail  %lld steps raised above the budget, %lld of them whole\n", (long long)s->n_raised,
               (long long)s->n_whole);
    if (s->n_late > 0) printf("  late    %lld frames\n", (long long)s->n_late);
    if (j->info.n_damaged > 0) printf("  damaged %lld frames skipped\n", (long long)j->info.n_damaged);
    if (j->output != NULL) printf("  wrote   %s\n", j->output);
}

void cli_reduce_print_failure(const cli_reduce_job *j, int code)
{
    json_t *o = json_object();
    cli_json_int(o, "schema_version", CLI_SCHEMA_VERSION);
    cli_json_text(o, "input", j->input);
    cli_json_int(o, "exit", code);
    cli_json_print(o, 0, stdout);
}

void cli_reduce_print(const cli_reduce_job *j, const pare_reducer_stats *s, double wall_ms)
{
    if (j->o->common.json)
        print_json(j, s, wall_ms);
    else
        print_table(j, s, wall_ms);
}
