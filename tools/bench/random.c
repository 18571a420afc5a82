/* SPDX-License-Identifier: MIT */
/* Batches of noise through one reducer, or through two in turn (random.h). A batch is timed from its first push to its
 * last pull. Its pixels are made before, its tokens hashed after: together well below 1 % of encoding it, so that 2 N
 * images take N x ms_per_image_mean longer than N. The first batch warms up and is repeated.
 *
 * Letterboxing into the pictures' own size leaves them as they are, whatever the model's rule for photos: a reference
 * encoder gets the same pixels without resampling or cropping. */
#include "random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "../input.h"
#include "stats.h"

/* Where a model takes pictures as they come. */
enum { ANY_SIDE = 448 };

/* A recipe on its way. */
typedef struct side {
    pare_reducer *reducer;
    pare_reducer_opts opts;
    pare_reducer_stats before; /* what the warm-up has added up */
    double *ms;                /* [n_ms] per image, of whole batches */
    int64_t n_ms;
    double wall_ms; /* of all images */
} side;

/* Images first .. first + n of the run. */
typedef struct span {
    int64_t first, n;
    int is_last, is_counted;
} span;

typedef struct job {
    const bench_random_ask *ask;
    cli_common *c;
    pare_model *model;
    pare_model_info info;
    side side[2]; /* the recipe; none, where the recipe is another */
    int n_side;
    int32_t width, height;
    uint8_t *pixels;      /* [batch, height, width, 3] */
    pare_result **result; /* [batch] of the batch at hand */
    int64_t n_result;
    XXH64_state_t *hash;
    bench_tape *tape; /* NULL: nothing is saved */
    double load_ms, first_token_ms;
} job;

/* ---- images --------------------------------------------------------------------------------------------------- */

#define GOLDEN UINT64_C(0x9E3779B97F4A7C15)

/* The finaliser of splitmix64. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* Word w of an image depends on seed, image and w alone: no image needs the one before it. */
static void fill_image(uint64_t seed, int64_t image, uint8_t *rgb, int64_t n_byte)
{
    const uint64_t key = mix(mix(seed + GOLDEN) + (uint64_t)image * GOLDEN);
    uint64_t word;
    for (int64_t w = 0; w < n_byte / 8; w++) {
        word = mix(key + (uint64_t)(w + 1) * GOLDEN);
        memcpy(rgb + 8 * w, &word, sizeof word);
    }
    word = mix(key);
    memcpy(rgb + n_byte / 8 * 8, &word, (size_t)(n_byte % 8));
}

static int64_t image_bytes(const job *j) { return (int64_t)j->width * j->height * 3; }

static void fill_batch(job *j, const span *b)
{
    for (int64_t i = 0; i < b->n; i++)
        fill_image((uint64_t)j->ask->seed, b->first + i, j->pixels + i * image_bytes(j), image_bytes(j));
}

/* ---- a batch -------------------------------------------------------------------------------------------------- */

static int pull_all(job *j, pare_reducer *reducer, pare_error *err)
{
    for (;;) {
        pare_result *result = NULL;
        const int rc = pare_reducer_pull(reducer, &result, err);
        if (rc != 0) return rc < 0 ? rc : 0;
        if (j->n_result == j->ask->batch) {
            pare_result_free(&result);
            return pare_fail(err, PARE_E_STATE, "more than %lld results of a batch", (long long)j->n_result);
        }
        j->result[j->n_result++] = result;
    }
}

static int push_batch(job *j, pare_reducer *reducer, const span *b, pare_error *err)
{
    int rc = 0;
    for (int64_t i = 0; i < b->n && rc == 0; i++) {
        const pare_frame frame = {.struct_size = sizeof frame,
                                  .rgb = j->pixels + i * image_bytes(j),
                                  .stride = 3 * (int64_t)j->width,
                                  .width = j->width,
                                  .height = j->height,
                                  .pts = (double)(b->first + i)};
        rc = pare_reducer_push(reducer, &frame, err);
    }
    if (rc == 0 && b->is_last) rc = pare_reducer_flush(reducer, err);
    return rc == 0 ? pull_all(j, reducer, err) : rc;
}

/* What is timed as a batch must be one. */
static int check_batch(const job *j, const span *b, pare_error *err)
{
    int64_t n = 0;
    for (int64_t i = 0; i < j->n_result; i++) n += pare_result_get(j->result[i])->grid[0];
    if (n == b->n) return 0;
    return pare_fail(err, PARE_E_STATE, "a batch of %lld images gave results of %lld", (long long)b->n, (long long)n);
}

/* Tokens of the recipe: into the hash, and to be saved. */
static int take_tokens(job *j, pare_error *err)
{
    int rc = 0;
    for (int64_t i = 0; i < j->n_result && rc == 0; i++) {
        const pare_result_view *v = pare_result_get(j->result[i]);
        XXH64_update(j->hash, v->embeds, (size_t)v->k * (size_t)v->d * sizeof *v->embeds);
        if (j->tape != NULL) rc = bench_tape_add_result(j->tape, v, err);
    }
    return rc;
}

static void drop_results(job *j)
{
    for (int64_t i = 0; i < j->n_result; i++) pare_result_free(&j->result[i]);
    j->n_result = 0;
}

static int run_side(job *j, int which, const span *b, pare_error *err)
{
    side *s = &j->side[which];
    const double began = cli_now();
    int rc = push_batch(j, s->reducer, b, err);
    const double ms = (cli_now() - began) * 1e3;
    if (isnan(j->first_token_ms)) j->first_token_ms = cli_process_age_ms();
    if (rc == 0) rc = check_batch(j, b, err);
    if (rc == 0 && b->is_counted) {
        s->wall_ms += ms;
        if (b->n == j->ask->batch) s->ms[s->n_ms++] = ms / (double)b->n;
        if (which == 0) rc = take_tokens(j, err);
    }
    drop_results(j);
    return rc;
}

/* Both recipes take turns in going first: what the other leaves in the caches favours neither. */
static int run_batch(job *j, const span *b, pare_error *err)
{
    const int turn = (int)(b->first / j->ask->batch % 2);
    int rc = 0;
    fill_batch(j, b);
    if (j->tape != NULL && b->is_counted) rc = bench_tape_add_images(j->tape, j->pixels, b->n, err);
    for (int i = 0; i < j->n_side && rc == 0; i++) rc = run_side(j, (i + turn) % j->n_side, b, err);
    return rc;
}

/* ---- the run -------------------------------------------------------------------------------------------------- */

/* The timelines begin anew afterwards. */
static int warm_up(job *j, pare_error *err)
{
    const span first = {.n = j->ask->batch};
    int rc = run_batch(j, &first, err);
    for (int i = 0; i < j->n_side && rc == 0; i++) {
        side *s = &j->side[i];
        rc = pare_reducer_reset(s->reducer, s->opts.seed, err);
        s->before = (pare_reducer_stats){.struct_size = sizeof s->before};
        if (rc == 0) rc = pare_reducer_get(s->reducer, &s->before, err);
    }
    return rc;
}

static int run_all(job *j)
{
    const bench_random_ask *ask = j->ask;
    pare_error err = {0};
    int rc = warm_up(j, &err);
    cli_progress_begin(&j->c->bar, j->c->quiet ? CLI_PROGRESS_NONE : j->c->progress, "images", ask->n);
    for (int64_t at = 0; at < ask->n && rc == 0; at += ask->batch) {
        const int64_t left = ask->n - at;
        const span b = {
            .first = at, .n = left < ask->batch ? left : ask->batch, .is_last = left <= ask->batch, .is_counted = 1};
        if (*cli_stop_flag()) break;
        rc = run_batch(j, &b, &err);
        cli_progress_step(&j->c->bar, at + b.n);
    }
    cli_progress_end(&j->c->bar);
    if (*cli_stop_flag()) return CLI_STOPPED;
    return rc == 0 ? CLI_OK : cli_fail(j->c, &err, CLI_FAILED);
}

/* ---- begin ---------------------------------------------------------------------------------------------------- */

static int choose_size(job *j)
{
    const cli_size *asked = &j->ask->size;
    int32_t w = asked->width > 0 ? asked->width : j->info.image_width;
    int32_t h = asked->width > 0 ? asked->height : j->info.image_height;
    pare_error err = {0};
    int rc = 0;
    if (w <= 0 || h <= 0) rc = pare_model_fit(j->model, ANY_SIDE, ANY_SIDE, 0, 0, 0, 0, &w, &h, &err);
    if (rc == 0) rc = pare_model_fit(j->model, w, h, 0, w, h, 0, &j->width, &j->height, &err);
    return rc == 0 ? CLI_OK : cli_fail(j->c, &err, CLI_FAILED);
}

static int open_side(job *j, const char *recipe, double keep)
{
    const bench_random_ask *ask = j->ask;
    const cli_budget budget = {.recipe = recipe, .keep = keep};
    const cli_layout layout = {.seed = ask->seed, .size = {j->width, j->height}, .letterbox = 1};
    side *s = &j->side[j->n_side++];
    s->opts = cli_reducer_opts(j->c, &budget, &layout, 1);
    cli_one_grid(&s->opts);
    s->opts.window = (int32_t)ask->batch;
    s->ms = malloc((size_t)(ask->n / ask->batch) * sizeof *s->ms);
    if (s->ms == NULL) {
        cli_say(j->c, "out of memory for the times of %lld batches", (long long)(ask->n / ask->batch));
        return CLI_FAILED;
    }
    return cli_reducer_create(j->c, j->model, "random images", 0, &s->opts, &s->reducer);
}

static int open_sides(job *j)
{
    const char *recipe = j->ask->recipe != NULL ? j->ask->recipe : "none";
    int rc = open_side(j, recipe, j->ask->keep);
    if (rc == CLI_OK && strcmp(recipe, "none") != 0) rc = open_side(j, "none", 0);
    return rc;
}

static int allocate(job *j)
{
    pare_error err = {0};
    j->pixels = malloc((size_t)j->ask->batch * (size_t)image_bytes(j));
    j->result = calloc((size_t)j->ask->batch, sizeof *j->result);
    j->hash = XXH64_createState();
    int rc = 0;
    if (j->pixels == NULL || j->result == NULL || j->hash == NULL)
        rc = pare_fail(&err, PARE_E_NOMEM, "out of memory for a batch of %lld images of %dx%d",
                       (long long)j->ask->batch, j->width, j->height);
    else
        XXH64_reset(j->hash, 0);
    if (rc == 0 && j->ask->save != NULL) rc = bench_tape_open(&j->tape, j->ask->n, j->width, j->height, &err);
    return rc == 0 ? CLI_OK : cli_fail(j->c, &err, CLI_FAILED);
}

static int begin(job *j)
{
    const double began = cli_now();
    int rc = cli_model_open(j->c, &j->model, &j->info);
    if (rc == CLI_OK) rc = choose_size(j);
    if (rc == CLI_OK) rc = open_sides(j);
    j->load_ms = (cli_now() - began) * 1e3;
    return rc == CLI_OK ? allocate(j) : rc;
}

/* ---- figures -------------------------------------------------------------------------------------------------- */

static int speed_of(const job *j, const side *s, bench_random_speed *out, pare_reducer_stats *now)
{
    const double n = (double)j->ask->n;
    *now = (pare_reducer_stats){.struct_size = sizeof *now};
    if (pare_reducer_get(s->reducer, now, NULL) != 0 || bench_quantile(s->ms, s->n_ms, 0.5, &out->p50) != 0 ||
        bench_quantile(s->ms, s->n_ms, 0.95, &out->p95) != 0) {
        cli_say(j->c, "out of memory for the times of %lld batches", (long long)s->n_ms);
        return CLI_FAILED;
    }
    out->mean = s->wall_ms / n;
    out->flops = (now->flops - s->before.flops) / n;
    return CLI_OK;
}

static int64_t thread_count(const cli_common *c)
{
    pare_runtime_info run = {.struct_size = sizeof run};
    pare_runtime_get(&run, NULL);
    return c->threads > 0 ? c->threads : run.n_cpu;
}

static int make_figures(const job *j, bench_random_figures *f)
{
    const bench_random_ask *ask = j->ask;
    const side *s = &j->side[0];
    pare_reducer_stats now, none;
    *f = (bench_random_figures){.model = j->info.name,
                                .recipe = j->n_side > 1 ? pare_reducer_recipe(s->reducer) : "none",
                                .keep = s->opts.keep > 0 ? s->opts.keep : NAN,
                                .images = ask->n,
                                .batch = ask->batch,
                                .threads = thread_count(j->c),
                                .seed = ask->seed,
                                .width = j->width,
                                .height = j->height,
                                .has_none = j->n_side > 1,
                                .load_ms = j->load_ms,
                                .first_token_ms = j->first_token_ms};
    int rc = speed_of(j, s, &f->own, &now);
    if (rc == CLI_OK && f->has_none) rc = speed_of(j, &j->side[1], &f->none, &none);
    if (rc != CLI_OK) return rc;
    f->backend = now.backend;
    f->precision = now.precision;
    f->units = (double)(now.n_in - s->before.n_in) / (double)ask->n;
    f->rows = (double)(now.n_out - s->before.n_out) / (double)ask->n;
    snprintf(f->output_xxh64, sizeof f->output_xxh64, "%016llx", (unsigned long long)XXH64_digest(j->hash));
    return CLI_OK;
}

static int finish(const job *j)
{
    bench_random_figures f;
    pare_error err = {0};
    const int rc = make_figures(j, &f);
    if (rc != CLI_OK) return rc;
    if (j->tape != NULL && bench_tape_save(j->tape, j->ask->save, &f, &err) != 0)
        return cli_fail(j->c, &err, CLI_FAILED);
    bench_random_print(&f, j->c->json);
    return CLI_OK;
}

static void job_close(job *j)
{
    drop_results(j);
    for (int i = 0; i < j->n_side; i++) {
        pare_reducer_close(&j->side[i].reducer);
        free(j->side[i].ms);
    }
    bench_tape_close(&j->tape);
    XXH64_freeState(j->hash);
    free(j->pixels);
    free(j->result);
    pare_model_close(&j->model);
}

int bench_random(const bench_random_ask *ask)
{
    job j = {.ask = ask, .c = ask->c, .first_token_ms = NAN};
    int rc = begin(&j);
    if (rc == CLI_OK) rc = run_all(&j);
    if (rc == CLI_OK) rc = finish(&j);
    job_close(&j);
    return rc;
}
