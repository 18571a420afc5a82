/* SPDX-License-Identifier: MIT */
/* What pare bench --random prints (random.h). */
#include <math.h>

#include "../json_line.h"
#include "random.h"

/* GFLOP/s from operations and milliseconds per image. */
static double rate(const bench_random_speed *s) { return s->flops / (s->mean * 1e6); }

static double realised(const bench_random_figures *f) { return f->none.p50 / f->own.p50; }
static double ideal(const bench_random_figures *f) { return f->none.flops / f->own.flops; }

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

static void set_speed(json_t *o, const bench_random_speed *s)
{
    cli_json_real(o, "ms_per_image_p50", s->p50, 4);
    cli_json_real(o, "ms_per_image_p95", s->p95, 4);
    cli_json_real(o, "ms_per_image_mean", s->mean, 4);
    cli_json_real(o, "gflops", rate(s), 2);
    cli_json_real(o, "gflop_per_image", s->flops * 1e-9, 4);
}

/* Whoever holds the process against a clock outside must know that it ran both. */
static void set_none(json_t *o, const bench_random_figures *f)
{
    json_t *ran = json_array(), *none = f->has_none ? json_object() : json_null();
    json_array_append_new(ran, json_string(f->recipe));
    if (f->has_none) json_array_append_new(ran, json_string("none"));
    if (f->has_none) set_speed(none, &f->none);
    json_object_set_new(o, "recipes_run", ran);
    json_object_set_new(o, "none", none);
    cli_json_real(o, "realised_speed_up", f->has_none ? realised(f) : NAN, 4);
    cli_json_real(o, "ideal_speed_up", f->has_none ? ideal(f) : NAN, 4);
    cli_json_real(o, "realised_over_ideal", f->has_none ? realised(f) / ideal(f) : NAN, 4);
}

static void print_json(const bench_random_figures *f)
{
    json_t *o = json_object();
    const int64_t size[] = {f->width, f->height};
    cli_json_int(o, "schema_version", CLI_SCHEMA_VERSION);
    cli_json_text(o, "model", f->model);
    cli_json_int(o, "images", f->images);
    cli_json_size(o, "size", size, 2);
    cli_json_int(o, "batch", f->batch);
    cli_json_int(o, "threads", f->threads);
    cli_json_text(o, "backend", f->backend);
    cli_json_text(o, "precision", f->precision);
    cli_json_text(o, "recipe", f->recipe);
    cli_json_real(o, "keep", f->keep, 9);
    cli_json_int(o, "seed", f->seed);
    cli_json_real(o, "units_per_image", f->units, 3);
    cli_json_real(o, "tokens_per_image", f->rows, 3);
    set_speed(o, &f->own);
    set_none(o, f);
    cli_json_text(o, "output_xxh64", f->output_xxh64);
    cli_json_real(o, "load_ms", f->load_ms, 1);
    cli_json_real(o, "first_token_ms", f->first_token_ms, 1);
    cli_json_real(o, "peak_rss_mib", cli_peak_rss_mb(), 1);
    cli_json_print(o, 0, stdout);
}

/* ---- text ----------------------------------------------------------------------------------------------------- */

static void print_speed(const char *name, const bench_random_speed *s)
{
    printf("  %-9s %10.3f %10.3f %10.3f %12.1f %13.3f\n", name, s->p50, s->p95, s->mean, rate(s), s->flops * 1e-9);
}

static void print_text(const bench_random_figures *f)
{
    printf("%s: %lld images of %dx%d, batch %lld, %lld thread%s, %s %s\n", f->model, (long long)f->images, f->width,
           f->height, (long long)f->batch, (long long)f->threads, f->threads == 1 ? "" : "s", f->backend, f->precision);
    printf("  recipe    %s: %.4g of %.4g units per image\n", f->recipe, f->rows, f->units);
    printf("  ms/image  %10s %10s %10s %12s %13s\n", "p50", "p95", "mean", "GFLOP/s", "GFLOP/image");
    print_speed(f->has_none ? "recipe" : "", &f->own);
    if (f->has_none) {
        print_speed("none", &f->none);
        printf("  speed-up  %.3f of %.3f by operations: %.3f; none ran in alternating batches\n", realised(f), ideal(f),
               realised(f) / ideal(f));
    }
    printf("  start     load %.0f ms", f->load_ms);
    if (isfinite(f->first_token_ms)) printf(", first result %.0f ms after the start", f->first_token_ms);
    printf(", peak %.0f MiB\n  output    xxh64 %s\n", cli_peak_rss_mb(), f->output_xxh64);
}

void bench_random_print(const bench_random_figures *f, int json)
{
    if (json)
        print_json(f);
    else
        print_text(f);
}
