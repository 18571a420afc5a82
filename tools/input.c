/* SPDX-License-Identifier: MIT */
/* Sources, models and reducer options from parsed options (input.h). */
#include "input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#define MANY 1e15

const cli_option cli_pick_options[] = {
    {"fps", 0, CLI_REAL, offsetof(cli_pick, fps), "F|auto", 1e-6, 1e6,
     "sample at this rate; auto (pare reduce --tokens): weighed against size and tokens per frame"},
    {"frames", 0, CLI_INT, offsetof(cli_pick, frames), "N", 1, 1e9, "sample N frames, uniformly"},
    {"every", 0, CLI_INT, offsetof(cli_pick, every), "N", 1, 1e9, "sample every N-th frame"},
    {"start", 0, CLI_REAL, offsetof(cli_pick, start), "SECONDS", 0, 1e9, "first moment"},
    {"end", 0, CLI_REAL, offsetof(cli_pick, end), "SECONDS", 0, 1e9, "last moment (default: the end)"},
    {"format", 0, CLI_TEXT, offsetof(cli_pick, format), "NAME", 0, 0,
     "y4m, rgb24, image or a libav demuxer (default: by content)"},
    {"source-size", 0, CLI_SIZE, offsetof(cli_pick, source_size), "WxH", 0, 0, "picture size of rgb24 input"},
    {"rate", 0, CLI_REAL, offsetof(cli_pick, rate), "F", 1e-6, 1e6, "frame rate of rgb24 input or of a camera"},
    {"stream", 0, CLI_INT, offsetof(cli_pick, stream), "N", 1, 1024,
     "N-th video stream of the file, from 1 (default: the best)"},
    {"timeout", 0, CLI_REAL, offsetof(cli_pick, timeout), "SECONDS", 1e-3, 86400,
     "silence after which a live input is given up (default 10; a pipe: never)"},
    {"reconnects", 0, CLI_INT, offsetof(cli_pick, reconnects), "N", 0, 1e9,
     "how often in a row a network input that breaks off is opened again (default 0)"},
    {"exif", 0, CLI_FLAG, offsetof(cli_pick, exif), NULL, 0, 0, "turn photos upright as their EXIF orientation says"},
    {"ignore-alpha", 0, CLI_FLAG, offsetof(cli_pick, ignore_alpha), NULL, 0, 0,
     "colours as stored, where transparent pixels otherwise come out on white"},
    {"motion", 0, CLI_FLAG, offsetof(cli_pick, motion), NULL, 0, 0,
     "take what the codec tells of motion: still blocks are not resized again, score=codec reads it"},
    {0},
};

const cli_option cli_budget_options[] = {
    /* --recipe stands first: compare takes those behind it */
    {"recipe", 'r', CLI_TEXT, offsetof(cli_budget, recipe), "STEPS", 0, 0,
     "step{,step}, step = name{:key=value}[@site] (default: " CLI_RECIPE_VIDEO ", photos " CLI_RECIPE_PHOTO ")"},
    {"keep", 'k', CLI_REAL, offsetof(cli_budget, keep), "SHARE", 1e-9, 1,
     "share of the units that remains (default 0.25)"},
    {"tokens", 0, CLI_INT, offsetof(cli_budget, tokens), "N", 1, MANY, "units that remain of the whole input, exactly"},
    {"tokens-per-frame", 0, CLI_INT, offsetof(cli_budget, tokens_per_frame), "N", 1, 65536,
     "units that remain of every frame"},
    {"min-per-frame", 0, CLI_INT, offsetof(cli_budget, min_per_frame), "N", 0, 65536, "floor of every frame"},
    {"max-per-frame", 0, CLI_INT, offsetof(cli_budget, max_per_frame), "N", 1, 65536,
     "cap of every frame; what it takes away goes to other frames of the window"},
    {"quality", 0, CLI_REAL, offsetof(cli_budget, quality), "Q", 1e-9, 1,
     "drop only what differs by at most 1 - Q from the unit that stands for it; the count varies"},
    {0},
};

const cli_option cli_stream_options[] = {
    {"tokens-per-second", 0, CLI_REAL, offsetof(cli_budget, tokens_per_second), "R", 1e-6, 1e9,
     "units that remain of every second, as they come"},
    {"max-delay", 0, CLI_REAL, offsetof(cli_budget, max_delay), "SECONDS", 1e-3, 3600,
     "frames wait no longer for each other (default 0.25 with --tokens-per-second, which keeps to R within as much)"},
    {"quality-floor", 0, CLI_REAL, offsetof(cli_budget, quality_floor), "SHARE", 0, 1,
     "share of the units with fine detail (text) that every frame keeps at least; mostly such: all"},
    {"max-ms", 0, CLI_REAL, offsetof(cli_budget, max_ms), "MS", 1e-3, 1e6,
     "the budget shrinks until a frame takes no longer"},
    {0},
};

const cli_option cli_layout_options[] = {
    {"window", 0, CLI_TEXT, offsetof(cli_layout, window), "N|all", 0, 0,
     "temporal steps decided together (default 32)"},
    {"seed", 0, CLI_INT, offsetof(cli_layout, seed), "N", 0, MANY, "seed of everything random (default 0)"},
    {"size", 's', CLI_SIZE, offsetof(cli_layout, size), "WxH|auto", 0, 0,
     "pixels of the grid (default: the model's rule); auto: see --fps"},
    {"max-side", 0, CLI_INT, offsetof(cli_layout, max_side), "N", 1, 16384, "upper bound of the grid's longer side"},
    {"reuse", 0, CLI_TEXT, offsetof(cli_layout, reuse), "none|context|complete", 0, 0,
     "units dropped at patches: gone; attended to as a whole step before left them; or leaving its row, too (budgets "
     "then speak of what is computed)"},
    {"reference", 0, CLI_INT, offsetof(cli_layout, reference), "N", 1, 1e9,
     "with --reuse: every N-th step is encoded whole (default 32)"},
    {0},
};

const cli_option cli_tiles_options[] = {
    {"letterbox", 0, CLI_FLAG, offsetof(cli_layout, letterbox), NULL, 0, 0,
     "the whole picture inside the grid, padded, aspect kept"},
    {"tiles", 0, CLI_TILES, offsetof(cli_layout, tiles), "none|auto|RxC", 0, 0,
     "every picture becomes itself and its R x C tiles, each of the photo size (default: photos by the model's rule)"},
    {0},
};

/* ---- checks --------------------------------------------------------------------------------------------------- */

int cli_pick_check(cli_common *c, const cli_pick *pick)
{
    int ways = (pick->fps != 0) + (pick->frames > 0) + (pick->every > 0);
    if (ways > 1) return cli_usage(c, "--fps, --frames and --every exclude each other");
    if (pick->fps < 0) return cli_usage(c, "--fps auto goes with pare reduce alone");
    if (pick->format != NULL && strcmp(pick->format, "rgb24") == 0 &&
        (pick->source_size.width == 0 || !(pick->rate > 0)))
        return cli_usage(c, "--format rgb24 needs --source-size WxH and --rate F");
    if (pick->end > 0 && pick->end < pick->start)
        return cli_usage(c, "--end %.10g lies before --start %.10g", pick->end, pick->start);
    return CLI_OK;
}

int cli_budget_check(cli_common *c, const cli_budget *budget)
{
    int ways = (budget->keep > 0) + (budget->tokens > 0) + (budget->tokens_per_frame > 0) +
               (budget->tokens_per_second > 0) + (budget->quality > 0);
    if (ways > 1)
        return cli_usage(c,
                         "--keep, --tokens, --tokens-per-frame, --tokens-per-second and --quality exclude each other");
    if (budget->max_per_frame > 0 && budget->min_per_frame > budget->max_per_frame)
        return cli_usage(c, "--min-per-frame %lld exceeds --max-per-frame %lld", (long long)budget->min_per_frame,
                         (long long)budget->max_per_frame);
    if (budget->tokens_per_frame > 0 && budget->min_per_frame > budget->tokens_per_frame)
        return cli_usage(c, "--min-per-frame %lld exceeds --tokens-per-frame %lld", (long long)budget->min_per_frame,
                         (long long)budget->tokens_per_frame);
    return CLI_OK;
}

/* PARE_REUSE_*, -1 = no such name. */
static int32_t reuse_of(const cli_layout *layout)
{
    static const char *const names[PARE_REUSE_COUNT] = {"none", "context", "complete"};
    if (layout->reuse == NULL) return PARE_REUSE_NONE;
    for (int32_t i = 0; i < PARE_REUSE_COUNT; i++)
        if (strcmp(layout->reuse, names[i]) == 0) return i;
    return -1;
}

int cli_layout_check(cli_common *c, const cli_layout *layout, int32_t *window)
{
    int64_t n = 0;
    *window = 0;
    if (layout->size.width < 0) return cli_usage(c, "--size auto goes with pare reduce alone");
    if (layout->size.width > 0 && layout->max_side > 0) return cli_usage(c, "--size and --max-side exclude each other");
    if (reuse_of(layout) < 0) return cli_usage(c, "--reuse: '%s' is not none, context or complete", layout->reuse);
    if (layout->reference > 0 && reuse_of(layout) == PARE_REUSE_NONE)
        return cli_usage(c, "--reference goes with --reuse context or complete");
    if (layout->window == NULL) return CLI_OK;
    if (strcmp(layout->window, "all") == 0) {
        *window = -1;
        return CLI_OK;
    }
    if (cli_parse_int(layout->window, &n) != 0 || n < 1 || n > 16384)
        return cli_usage(c, "--window: '%s' is not 'all' or a number from 1 to 16384", layout->window);
    *window = (int32_t)n;
    return CLI_OK;
}

/* ---- handles -------------------------------------------------------------------------------------------------- */

/* Of a reducer that does nothing: only the library knows the names. */
int cli_engine_get(cli_common *c, const pare_model *model, pare_reducer_stats *stats)
{
    const pare_reducer_opts opts = {
        .struct_size = sizeof opts, .n_threads = 1, .backend = c->backend, .precision = c->precision};
    pare_reducer *reducer = NULL;
    pare_error err = {0};
    *stats = (pare_reducer_stats){.struct_size = sizeof *stats};
    int rc = pare_reducer_create(&reducer, model, &opts, &err);
    if (rc == 0) rc = pare_reducer_get(reducer, stats, &err);
    pare_reducer_close(&reducer);
    return rc == 0 ? CLI_OK : cli_fail(c, &err, CLI_FAILED);
}

/* Told before any input is opened, and once for all recipes. */
static int check_engine(cli_common *c, const pare_model *model)
{
    pare_reducer_stats stats;
    if (c->backend == NULL && c->precision == NULL) return CLI_OK;
    return cli_engine_get(c, model, &stats);
}

int cli_model_open(cli_common *c, pare_model **out, pare_model_info *info)
{
    pare_error err = {0};
    const char *path = c->model != NULL ? c->model : pare_model_default_path();
    *info = (pare_model_info){.struct_size = sizeof *info};
    *out = NULL;
    if (path == NULL) {
        cli_say(c, "the model that ships with pare is not installed; name one with -m DIR or -m FILE");
        return CLI_MODEL;
    }
    if (pare_model_open(out, path, &err) != 0 || pare_model_get(*out, info, &err) != 0) {
        cli_say(c, "%s", err.text);
        pare_model_close(out);
        return CLI_MODEL;
    }
    const int rc = check_engine(c, *out);
    if (rc != CLI_OK) pare_model_close(out);
    return rc;
}

int cli_source_try(const cli_pick *pick, const char *path, pare_source **out, pare_source_info *info, pare_error *err)
{
    pare_source_opts opts = {.struct_size = sizeof opts,
                             .format = pick->format,
                             .width = pick->source_size.width,
                             .height = pick->source_size.height,
                             .rate = pick->rate,
                             .start = pick->start,
                             .end = pick->end,
                             .fps = pick->fps,
                             .frames = pick->frames,
                             .every = pick->every,
                             .exif = pick->exif,
                             .ignore_alpha = pick->ignore_alpha,
                             .motion = pick->motion,
                             .read_ahead = pick->read_ahead,
                             .timeout = pick->timeout,
                             .reconnects = (int32_t)pick->reconnects,
                             .stream = (int32_t)pick->stream,
                             .stop = cli_stop_flag()};
    *info = (pare_source_info){.struct_size = sizeof *info};
    *out = NULL;
    int rc = pare_source_open(out, path, &opts, err);
    if (rc == 0) rc = pare_source_get(*out, info, err);
    if (rc != 0) pare_source_close(out);
    return rc;
}

static void warn_no_motion(cli_common *c, const cli_pick *pick, const char *path, const pare_source_info *info)
{
    char text[256];
    if (!pick->motion || info->has_motion) return;
    snprintf(text, sizeof text, "%.120s: %.40s tells no motion, pixels are compared instead", path,
             info->codec[0] ? info->codec : info->driver);
    cli_log(c, PARE_LOG_WARN, text);
}

int cli_source_open(cli_common *c, const cli_pick *pick, const char *path, pare_source **out, pare_source_info *info)
{
    pare_error err = {0};
    int is_raw = pick->format == NULL && (cli_has_suffix(path, ".rgb") || cli_has_suffix(path, ".rgb24"));
    if (path[0] == '\0') return cli_usage(c, "an input named '' (empty)");
    if (cli_source_try(pick, path, out, info, &err) == 0) {
        warn_no_motion(c, pick, path, info);
        return CLI_OK;
    }
    if (is_raw && err.code == PARE_E_INVALID) return cli_usage(c, "%s needs --source-size WxH and --rate F", path);
    return cli_fail(c, &err, CLI_UNREADABLE);
}

static void warn_short(cli_common *c, const char *path, const cli_pick *pick, const pare_source_info *info,
                       const cli_taken *taken)
{
    char text[256];
    double step = pick->fps > 0                       ? 1 / pick->fps
                  : pick->every > 0 && info->rate > 0 ? (double)pick->every / info->rate
                                                      : 0;
    double end = pick->end > 0 && pick->end < info->duration ? pick->end : info->duration;
    double reached = taken->end - info->origin, slack = fmax(1, 0.05 * end) + step; /* sound may go on for a while */
    if (info->is_live || info->is_image) return;
    if (info->n_damaged > 0)
        snprintf(text, sizeof text, "%.120s: damaged frames or packets skipped: %lld", path,
                 (long long)info->n_damaged);
    else if (taken->n < taken->listed)
        snprintf(text, sizeof text, "%.120s: %lld frames came where %lld are listed", path, (long long)taken->n,
                 (long long)taken->listed);
    else if (pick->frames == 0 && reached + slack < end)
        snprintf(text, sizeof text, "%.120s: the last frame taken ends at %.2f s of %.2f s", path, reached, end);
    else
        return;
    cli_log(c, PARE_LOG_WARN, text);
}

/* What moves has combs, which a selector takes for fine detail. */
static void warn_interlaced(cli_common *c, const char *path, const pare_source_info *info)
{
    char text[256];
    if (!info->is_interlaced) return;
    snprintf(text, sizeof text,
             "%.120s is interlaced and read as stored, both fields woven; ffmpeg -vf bwdif makes frames of them", path);
    cli_log(c, PARE_LOG_WARN, text);
}

static void warn_changes(cli_common *c, const char *path, const pare_source_info *info)
{
    char text[256];
    if (info->n_flawed > 0) {
        snprintf(text, sizeof text, "%.120s: packets or frames with damage inside, used all the same: %d", path,
                 info->n_flawed);
        cli_log(c, PARE_LOG_WARN, text);
    }
    if (info->n_size_changes > 0) {
        snprintf(text, sizeof text, "%.120s: changes of the picture's size: %d", path, info->n_size_changes);
        cli_log(c, PARE_LOG_WARN, text);
    }
    if (info->n_reconnects > 0) {
        snprintf(text, sizeof text, "%.120s: opened again after it had broken off: %d", path, info->n_reconnects);
        cli_log(c, PARE_LOG_WARN, text);
    }
}

void cli_warn_input(cli_common *c, const char *path, const cli_pick *pick, const pare_source_info *info,
                    const cli_taken *taken)
{
    warn_short(c, path, pick, info, taken);
    warn_interlaced(c, path, info);
    warn_changes(c, path, info);
}

int64_t cli_pick_estimate(const cli_pick *pick, const pare_source_info *info)
{
    double end = pick->end > 0 && (info->duration <= 0 || pick->end < info->duration) ? pick->end : info->duration;
    double rate = pick->fps > 0 ? pick->fps : pick->every > 0 ? info->rate / (double)pick->every : info->rate;
    if (info->is_image) return 1;
    if (pick->frames > 0) return pick->frames;
    return end > pick->start ? (int64_t)((end - pick->start) * rate + 0.5) : 0;
}

/* ---- reducers -------------------------------------------------------------------------------------------------- */

pare_reducer_opts cli_reducer_opts(const cli_common *c, const cli_budget *budget, const cli_layout *layout,
                                   int32_t is_image)
{
    return (pare_reducer_opts){
        .struct_size = sizeof(pare_reducer_opts),
        .recipe = budget->recipe != NULL ? budget->recipe
                  : is_image             ? CLI_RECIPE_PHOTO
                                         : CLI_RECIPE_VIDEO,
        .keep = budget->keep,
        .tokens = budget->tokens,
        .tokens_per_frame = budget->tokens_per_frame,
        .min_per_frame = (int32_t)budget->min_per_frame,
        .max_per_frame = (int32_t)budget->max_per_frame,
        .tokens_per_second = budget->tokens_per_second,
        .quality = budget->quality,
        .quality_floor = budget->quality_floor,
        .max_delay = budget->max_delay,
        .max_ms = budget->max_ms,
        .seed = (uint64_t)layout->seed,
        .n_threads = (int32_t)c->threads,
        .video = !is_image,
        .width = layout->size.width,
        .height = layout->size.height,
        .max_side = (int32_t)layout->max_side,
        .letterbox = layout->letterbox,
        .tile_rows = layout->tiles.width,
        .tile_cols = layout->tiles.height,
        .backend = c->backend,
        .precision = c->precision,
        .reuse = reuse_of(layout),
        .reference = (int32_t)layout->reference,
    };
}

void cli_one_grid(pare_reducer_opts *opts)
{
    if (opts->tile_rows == 0) opts->tile_rows = opts->tile_cols = -1;
}

/* Only the library knows whether a recipe leaves an amount open: the default share is offered first, and taken back
 * when the recipe has no use for it. */
int cli_reducer_create(cli_common *c, const pare_model *model, const char *input, int decided, pare_reducer_opts *opts,
                       pare_reducer **out)
{
    pare_error err = {0}, second = {0};
    int open = opts->tokens <= 0 && opts->tokens_per_frame <= 0 && !(opts->keep > 0) &&
               !(opts->tokens_per_second > 0) && !(opts->quality > 0);
    if (open) opts->keep = decided ? 0 : CLI_DEFAULT_KEEP;
    int rc = pare_reducer_create(out, model, opts, &err);
    if (rc == PARE_E_INVALID && open) {
        opts->keep = decided ? CLI_DEFAULT_KEEP : 0;
        rc = pare_reducer_create(out, model, opts, &second);
    }
    return rc == 0 ? CLI_OK : cli_fail_input(c, input, &err, CLI_FAILED);
}

/* ---- hash ------------------------------------------------------------------------------------------------------ */

void cli_hash_file(const char *path, char out[17])
{
    char buffer[1 << 16];
    struct stat st;
    out[0] = '\0';
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return;
    FILE *f = fopen(path, "rb");
    XXH3_state_t *state = XXH3_createState();
    if (f == NULL || state == NULL) goto done;
    XXH3_64bits_reset(state);
    for (size_t n; !*cli_stop_flag() && (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        XXH3_64bits_update(state, buffer, n);
    if (!ferror(f) && !*cli_stop_flag()) snprintf(out, 17, "%016llx", (unsigned long long)XXH3_64bits_digest(state));
done:
    XXH3_freeState(state);
    if (f != NULL) fclose(f);
}
