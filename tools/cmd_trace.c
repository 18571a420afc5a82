/* SPDX-License-Identifier: MIT */
/* pare trace: every stage of the encoder, all tokens, f32, for parity checks. Input is either pixel_values from a file
 * ([B,3,H,W], tiles [B,tiles,3,H,W] with image_sizes, patches with their grid_thw, padded rows of patches with
 * spatial_shapes) or pictures through the model's own preprocessing; the latter also writes pixel_values. A file with
 * mrope.token_type [n] is a prompt too: its M-RoPE ids are written, with --fps once per rate. Models without such positions
 * have no use for --fps. */
#include <stdlib.h>
#include <string.h>

#include "frames.h"
#include "json_line.h"
#include "publish.h"

typedef struct trace_opts {
    cli_common common;
    cli_list images, fps;
    const char *inputs, *output;
    cli_size size;
    int32_t interpolate, video;
} trace_opts;

/* Integers that a file may have beside pixel_values. */
enum { GRIDS, TOKEN_TYPE, MASK, SHAPES, SIZES, N_INTEGERS };

static const struct {
    const char *name;
    int32_t n_dim; /* 0 = several */
    int64_t width; /* of the last axis; 0 = any */
} integers[N_INTEGERS] = {{"grid_thw", 2, 3},
                          {"mrope.token_type", 1, 0},
                          {"pixel_attention_mask", 0, 0},
                          {"spatial_shapes", 2, 2},
                          {"image_sizes", 2, 2}};

/* Stages and frames, owned copies. */
typedef struct tape {
    cli_common *c;
    pare_tensor *stage;
    int64_t n, cap;
    int keep_pixels; /* pixel_values is ours to write */
    cli_frames frames;
    pare_tensor pixels;               /* from --inputs, f32, owned data */
    pare_tensor integers[N_INTEGERS]; /* from --inputs, i32, owned data; no data if the file has none */
} tape;

static const cli_option own_options[] = {
    {"image", 'i', CLI_LIST, offsetof(trace_opts, images), "FILE", 0, 0,
     "picture (repeatable: a batch), or a pattern like frame_%03d.png: a video"},
    {"inputs", 0, CLI_TEXT, offsetof(trace_opts, inputs), "FILE", 0, 0,
     "safetensors with pixel_values and what belongs to them: grid_thw, image_sizes, ..."},
    {"output", 'o', CLI_TEXT, offsetof(trace_opts, output), "FILE", 0, 0, "safetensors with every stage (- = stdout)"},
    {"size", 's', CLI_SIZE, offsetof(trace_opts, size), "WxH", 0, 0, "pixels of the grid (default: the model's rule)"},
    {"fps", 0, CLI_LIST, offsetof(trace_opts, fps), "F", 0, 0, "rate for time-dependent tensors (repeatable)"},
    {"interpolate", 0, CLI_FLAG, offsetof(trace_opts, interpolate), NULL, 0, 0, "interpolate positions to the size"},
    {"video", 0, CLI_FLAG, offsetof(trace_opts, video), NULL, 0, 0, "the pictures are frames of one video"},
    {0},
};

static const cli_group groups[] = {{"Trace:", own_options, 0}, {"Common:", cli_common_options, 0}, {0}};

/* ---- stages --------------------------------------------------------------------------------------------------- */

static int is_float(int32_t dtype)
{
    return dtype == PARE_F32 || dtype == PARE_F16 || dtype == PARE_BF16 || dtype == PARE_F64;
}

static void to_i32(const pare_tensor *t, int64_t n, int32_t *out)
{
    const uint8_t *bytes = t->data;
    for (int64_t i = 0; i < n; i++) {
        int64_t wide = 0;
        if (t->dtype == PARE_I64)
            memcpy(&wide, bytes + i * 8, 8);
        else if (t->dtype == PARE_I32)
            memcpy(&out[i], bytes + i * 4, 4);
        else
            wide = t->dtype == PARE_I8 ? (int8_t)bytes[i] : bytes[i];
        if (t->dtype != PARE_I32) out[i] = (int32_t)wide;
    }
}

/* Owned copy: floats as f32, integers as i32. 0 or -1. */
static int copy_tensor(const pare_tensor *t, const char *name, pare_tensor *out)
{
    int64_t n = pare_tensor_count(t);
    char *own_name = strdup(name);
    void *data = malloc((size_t)(n > 0 ? n : 1) * 4);
    if (own_name == NULL || data == NULL) {
        free(own_name);
        free(data);
        return -1;
    }
    *out = *t;
    out->name = own_name;
    out->data = data;
    out->dtype = is_float(t->dtype) ? PARE_F32 : PARE_I32;
    if (out->dtype == PARE_F32)
        pare_tensor_to_f32(t, data);
    else
        to_i32(t, n, data);
    return 0;
}

static void free_tensor(pare_tensor *t)
{
    free((void *)(uintptr_t)t->name);
    free((void *)(uintptr_t)t->data);
    *t = (pare_tensor){0};
}

static int add_stage(tape *p, const pare_tensor *stage)
{
    if (p->n == p->cap) {
        int64_t cap = p->cap > 0 ? 2 * p->cap : 64;
        pare_tensor *grown = realloc(p->stage, (size_t)cap * sizeof *grown);
        if (grown == NULL) return 1;
        p->stage = grown;
        p->cap = cap;
    }
    if (copy_tensor(stage, stage->name, &p->stage[p->n]) != 0) return 1;
    p->n++;
    return 0;
}

static int on_stage(void *user, const pare_tensor *stage)
{
    tape *p = user;
    if (*cli_stop_flag()) return 1;
    if (strcmp(stage->name, "pixel_values") == 0 && !p->keep_pixels) return 0;
    return add_stage(p, stage);
}

/* ---- inputs --------------------------------------------------------------------------------------------------- */

/* "i64 [2,3]" */
static const char *describe(const pare_tensor *t, char *out, size_t size)
{
    static const char *const names[PARE_DTYPE_COUNT] = {"f32", "f16", "bf16", "f64", "i32", "i64", "u8", "i8", "bool"};
    size_t n = (size_t)snprintf(out, size, "%s [", t->dtype < PARE_DTYPE_COUNT ? names[t->dtype] : "?");
    for (int32_t i = 0; i < t->n_dim && n + 24 < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i > 0 ? "," : "", (long long)t->shape[i]);
    snprintf(out + n, size - n, "]");
    return out;
}

/* An integer tensor that may be there. */
static int read_integers(tape *p, const pare_tensors *file, const char *path, int which)
{
    char text[256];
    const char *name = integers[which].name;
    const int32_t n_dim = integers[which].n_dim;
    const int64_t width = integers[which].width;
    const pare_tensor *t = pare_tensors_find(file, name);
    if (t == NULL) return CLI_OK;
    if (is_float(t->dtype) || (n_dim > 0 && t->n_dim != n_dim) || (width > 0 && t->shape[1] != width)) {
        cli_say(p->c, "%s: %s must be integers%s%s, not %s", path, name, n_dim > 0 ? " [n" : "",
                width == 3   ? ",3]"
                : width == 2 ? ",2]"
                : n_dim > 0  ? "]"
                             : "",
                describe(t, text, sizeof text));
        return CLI_UNREADABLE;
    }
    if (copy_tensor(t, name, &p->integers[which]) == 0) return CLI_OK;
    cli_say(p->c, "%s: out of memory for %s", path, name);
    return CLI_FAILED;
}

/* A layout that the file has all parts of; whether it is the model's is for the library to say. */
static int is_layout(const tape *p, const pare_tensor *t)
{
    if (!is_float(t->dtype)) return 0;
    if (t->n_dim == 2) return p->integers[GRIDS].data != NULL;
    if (t->n_dim == 3) return p->integers[SHAPES].data != NULL;
    return (t->n_dim == 4 || t->n_dim == 5) && t->shape[t->n_dim - 3] == 3;
}

/* A size that was asked for must be the one the file has. */
static int read_pixels(tape *p, const pare_tensors *file, const char *path, cli_size size)
{
    char text[256];
    const pare_tensor *t = pare_tensors_find(file, "pixel_values");
    if (t == NULL)
        cli_say(p->c, "%s: no tensor pixel_values", path);
    else if (!is_layout(p, t))
        cli_say(p->c,
                "%s: pixel_values must be floats [B,3,H,W], [B,tiles,3,H,W], [patches,values] beside grid_thw or "
                "[B,patches,values] beside spatial_shapes, not %s",
                path, describe(t, text, sizeof text));
    else if (size.width > 0 &&
             (t->n_dim < 4 || t->shape[t->n_dim - 1] != size.width || t->shape[t->n_dim - 2] != size.height)) {
        cli_say(p->c, "--size %dx%d, but pixel_values of %s are %s; leave --size out", size.width, size.height, path,
                describe(t, text, sizeof text));
        return CLI_USAGE;
    } else if (copy_tensor(t, "pixel_values", &p->pixels) != 0)
        cli_say(p->c, "%s: out of memory for pixel_values", path);
    else
        return CLI_OK;
    return CLI_UNREADABLE;
}

static int read_inputs(tape *p, const char *path, cli_size size)
{
    pare_tensors *file = NULL;
    pare_error err = {0};
    int rc = CLI_OK;
    if (pare_tensors_open(&file, path, &err) != 0) return cli_fail(p->c, &err, CLI_UNREADABLE);
    for (int i = 0; i < N_INTEGERS && rc == CLI_OK; i++) rc = read_integers(p, file, path, i);
    if (rc == CLI_OK) rc = read_pixels(p, file, path, size);
    pare_tensors_close(&file);
    return rc;
}

static int read_images(tape *p, const cli_list *images, int *video)
{
    cli_pick pick = {0};
    pare_source_info info;
    int rc = CLI_OK;
    for (int32_t i = 0; i < images->n && rc == CLI_OK; i++) {
        if (strchr(images->item[i], '%') != NULL) *video = 1;
        rc = cli_frames_read(p->c, &pick, images->item[i], &p->frames, &info);
    }
    return rc;
}

/* ---- the prompt ----------------------------------------------------------------------------------------------- */

/* One set of M-RoPE ids: room for them, and how its tensors end (".fps1.0", or nothing). */
typedef struct prompt {
    tape *p;
    const pare_model_info *info;
    int64_t *grid_thw;       /* [n_grid, 3] */
    double *second_per_grid; /* [n_grid], all the same */
    int32_t n_grid;
    int32_t *ids; /* [3, n] */
    char suffix[64];
} prompt;

static int add_named(const prompt *q, const char *name, int32_t dtype, const void *data, int64_t rows, int64_t cols)
{
    char text[128];
    snprintf(text, sizeof text, "%s%s", name, q->suffix);
    const pare_tensor t = {
        .name = text, .dtype = dtype, .n_dim = cols > 0 ? 2 : 1, .shape = {rows, cols}, .data = data};
    if (add_stage(q->p, &t) == 0) return CLI_OK;
    cli_say(q->p->c, "out of memory for %s", text);
    return CLI_FAILED;
}

static int place(const prompt *q, const char *name, int max_plus_1)
{
    pare_error err = {0};
    int32_t delta;
    const int64_t n = q->p->integers[TOKEN_TYPE].shape[0];
    const pare_mrope_opts opts = {.struct_size = sizeof opts,
                                  .unit = q->info->unit,
                                  .per_second = q->info->mrope_per_second,
                                  .second_per_grid = q->second_per_grid,
                                  .max_plus_1 = max_plus_1};
    int rc = pare_mrope(&opts, q->p->integers[TOKEN_TYPE].data, n, q->grid_thw, q->n_grid, q->ids, &delta, &err);
    if (rc != 0) return cli_fail(q->p->c, &err, CLI_FAILED);
    rc = add_named(q, name, PARE_I32, q->ids, 3, n);
    return rc != CLI_OK || max_plus_1 ? rc : add_named(q, "mrope.delta", PARE_I32, &delta, 1, 0);
}

/* At a rate of `fps` pictures per second; both rules for what follows the vision part, which differ for clips only. */
static int place_at(prompt *q, double fps)
{
    const float seconds = (float)(q->info->temporal / fps);
    char number[32];
    snprintf(number, sizeof number, "%.15g", fps);
    snprintf(q->suffix, sizeof q->suffix, ".fps%s%s", number, strpbrk(number, ".e") != NULL ? "" : ".0");
    for (int32_t i = 0; i < q->n_grid; i++) q->second_per_grid[i] = (double)seconds;
    int rc = add_named(q, "second_per_grid", PARE_F32, &seconds, 1, 0);
    if (rc == CLI_OK) rc = place(q, "mrope.position_ids", 0);
    return rc == CLI_OK ? place(q, "mrope.position_ids_max_plus_1", 1) : rc;
}

static int place_all(const trace_opts *o, prompt *q)
{
    int rc = CLI_OK;
    double fps;
    if (o->fps.n == 0) {
        for (int32_t i = 0; i < q->n_grid; i++) q->second_per_grid[i] = 1;
        return place(q, "mrope.position_ids", 0);
    }
    for (int32_t i = 0; i < o->fps.n && rc == CLI_OK; i++)
        rc = cli_parse_real(o->fps.item[i], &fps) == 0 ? place_at(q, fps) : CLI_USAGE;
    return rc;
}

static int trace_prompt(const trace_opts *o, tape *p, const pare_model_info *info)
{
    prompt q = {.p = p, .info = info};
    if (p->integers[TOKEN_TYPE].data == NULL || p->integers[GRIDS].data == NULL || !info->has_mrope) return CLI_OK;
    q.n_grid = (int32_t)p->integers[GRIDS].shape[0];
    q.grid_thw = malloc(((size_t)q.n_grid * 3 + 1) * sizeof *q.grid_thw);
    q.second_per_grid = malloc(((size_t)q.n_grid + 1) * sizeof *q.second_per_grid);
    q.ids = malloc(((size_t)p->integers[TOKEN_TYPE].shape[0] * 3 + 1) * sizeof *q.ids);
    int rc = CLI_FAILED;
    if (q.grid_thw == NULL || q.second_per_grid == NULL || q.ids == NULL) {
        cli_say(p->c, "out of memory for a prompt of %lld tokens", (long long)p->integers[TOKEN_TYPE].shape[0]);
    } else {
        const int32_t *thw = p->integers[GRIDS].data;
        for (int32_t i = 0; i < 3 * q.n_grid; i++) q.grid_thw[i] = thw[i];
        rc = place_all(o, &q);
    }
    free(q.grid_thw);
    free(q.second_per_grid);
    free(q.ids);
    return rc;
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static const pare_tensor *given(const tape *p, int which)
{
    return p->integers[which].data != NULL ? &p->integers[which] : NULL;
}

static int trace(trace_opts *o, tape *p, const pare_model *model)
{
    pare_error err = {0};
    pare_trace_opts opts = {.struct_size = sizeof opts,
                            .width = o->size.width,
                            .height = o->size.height,
                            .interpolate = o->interpolate,
                            .video = o->video,
                            .n_threads = (int32_t)o->common.threads,
                            .grid_thw = given(p, GRIDS),
                            .pixel_attention_mask = given(p, MASK),
                            .spatial_shapes = given(p, SHAPES),
                            .image_sizes = given(p, SIZES)};
    const pare_tensor *pixels = o->inputs != NULL ? &p->pixels : NULL;
    int rc = pare_trace(model, &opts, pixels, p->frames.item, p->frames.n, on_stage, p, &err);
    if (*cli_stop_flag()) return CLI_STOPPED;
    if (rc < 0) return cli_fail(p->c, &err, CLI_FAILED);
    if (rc > 0) {
        cli_say(p->c, "out of memory after %lld stages", (long long)p->n);
        return CLI_FAILED;
    }
    return CLI_OK;
}

static int save(const trace_opts *o, const tape *p)
{
    pare_error err = {0};
    if (pare_tensors_save(o->output, p->stage, p->n, NULL, 0, &err) != 0) return cli_fail(p->c, &err, CLI_FAILED);
    return CLI_OK;
}

static void print_stages(const trace_opts *o, const tape *p)
{
    if (o->common.json) {
        json_t *line = json_object(), *stages = json_object();
        cli_json_int(line, "schema_version", CLI_SCHEMA_VERSION);
        cli_json_text(line, "output", o->output);
        for (int64_t i = 0; i < p->n; i++)
            cli_json_size(stages, p->stage[i].name, p->stage[i].shape, p->stage[i].n_dim);
        json_object_set_new(line, "stages", stages);
        cli_json_print(line, 0, stdout);
        return;
    }
    printf("wrote %s: %lld stages\n", o->output, (long long)p->n);
}

static int check_opts(trace_opts *o, const cli_list *more)
{
    cli_common *c = &o->common;
    double fps;
    if (o->output == NULL) return cli_usage(c, "trace: -o FILE.safetensors is missing");
    if ((o->inputs != NULL) == (o->images.n + more->n > 0))
        return cli_usage(c, "trace needs either --inputs FILE or -i IMAGE");
    for (int32_t i = 0; i < o->fps.n; i++)
        if (cli_parse_real(o->fps.item[i], &fps) != 0 || !(fps > 0))
            return cli_usage(c, "--fps: '%s' is not a positive number", o->fps.item[i]);
    const cli_list pixels = {.item = &o->inputs, .n = o->inputs != NULL};
    int rc = cli_output_check(c, o->output, &pixels);
    if (rc == CLI_OK) rc = cli_output_check(c, o->output, &o->images);
    return rc == CLI_OK ? cli_output_check(c, o->output, more) : rc;
}

static void tape_free(tape *p)
{
    for (int64_t i = 0; i < p->n; i++) free_tensor(&p->stage[i]);
    cli_frames_free(&p->frames);
    free_tensor(&p->pixels);
    for (int i = 0; i < N_INTEGERS; i++) free_tensor(&p->integers[i]);
    free(p->stage);
}

static int run(void *opts, const cli_list *more)
{
    trace_opts *o = opts;
    tape p = {.c = &o->common, .keep_pixels = o->inputs == NULL};
    pare_model *model = NULL;
    pare_model_info info;
    int video = o->video, rc = check_opts(o, more);
    if (rc == CLI_OK) rc = cli_model_open(&o->common, &model, &info);
    if (rc == CLI_OK && o->inputs != NULL) rc = read_inputs(&p, o->inputs, o->size);
    if (rc == CLI_OK) rc = read_images(&p, &o->images, &video);
    if (rc == CLI_OK) rc = read_images(&p, more, &video);
    o->video = video;
    if (rc == CLI_OK) rc = trace(o, &p, model);
    if (rc == CLI_OK) rc = trace_prompt(o, &p, &info);
    if (rc == CLI_OK) rc = save(o, &p);
    if (rc == CLI_OK && !cli_is_stdout(o->output)) print_stages(o, &p);
    tape_free(&p);
    pare_model_close(&model);
    return rc;
}

const cli_command cli_cmd_trace = {
    "trace",
    "-m MODEL (--inputs FILE | -i IMAGE...) [OPTIONS] -o FILE",
    "every stage of the encoder, for parity checks",
    groups,
    sizeof(trace_opts),
    run,
};
