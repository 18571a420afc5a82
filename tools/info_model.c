/* SPDX-License-Identifier: MIT */
/* pare info MODEL: what a checkpoint is, and how many tokens it makes of a photo or clip of a given size: its own rule,
 * no pixels. */
#include "info.h"

#include <string.h>

#include "json_line.h"

#define EXAMPLE_PHOTO ((cli_size){640, 480})
#define EXAMPLE_CLIP ((cli_size){768, 576})
enum { EXAMPLE_FRAMES = 16 };

const cli_option cli_info_model_options[] = {
    {"source", 0, CLI_LIST, offsetof(cli_info_opts, source), "WxH", 0, 0,
     "tokens of a photo of this size, or of --frames N of a clip, by the model's own rule; may be repeated"},
    {"tiles", 0, CLI_TILES, offsetof(cli_info_opts, tiles), "none|auto|RxC", 0, 0,
     "how photos are tiled (default: auto, the model's own rule)"},
    {0},
};

int cli_info_check(cli_info_opts *o)
{
    cli_size size;
    for (int32_t i = 0; i < o->source.n; i++)
        if (cli_parse_size(o->source.item[i], &size) != 0)
            return cli_usage(&o->common, "--source: '%s' is not a size like 640x480, within 1x1 and 16384x16384",
                             o->source.item[i]);
    return CLI_OK;
}

/* ---- facts ---------------------------------------------------------------------------------------------------- */

/* Counts that most families have none of: always in JSON, else where there is something to say. */
static void add_count(const cli_common *c, json_t *o, const char *key, int64_t value, int64_t usual)
{
    if (c->json || value != usual) cli_json_int(o, key, value);
}

static const char *text_or_null(const char *text) { return text != NULL && text[0] != '\0' ? text : NULL; }

static void add_dims(const cli_common *c, json_t *o, const pare_model_info *info)
{
    cli_json_text(o, "model", info->name);
    cli_json_text(o, "family", info->family);
    cli_json_text(o, "path", info->path);
    cli_json_int(o, "parameters", info->n_params);
    cli_json_int(o, "dim", info->dim);
    cli_json_int(o, "layers", info->n_layer);
    add_count(c, o, "layers_run", info->tap, info->n_layer);
    cli_json_int(o, "heads", info->n_head);
    cli_json_int(o, "mlp_dim", info->mlp_dim);
    cli_json_int(o, "patch", info->patch);
}

/* What decides where a token may look and where it will stand. */
static void add_places(const cli_common *c, json_t *o, const pare_model_info *info)
{
    char text[64];
    cli_json_int(o, "unit", info->unit);
    cli_json_int(o, "temporal", info->temporal);
    add_count(c, o, "joint_steps", info->steps, 1);
    cli_json_int(o, "window", info->window);
    cli_json_int(o, "full_layers", info->n_full);
    cli_json_text(o, "positions", info->has_rope ? "rotary (row, col)" : "learned table");
    cli_json_bool(o, "merger", info->has_merger);
    cli_json_int(o, "dim_out", info->dim_out);
    add_count(c, o, "deepstack", info->n_deepstack, 0);
    if (info->mrope_per_second > 0)
        snprintf(text, sizeof text, "(t, row, col), %.6g per second", info->mrope_per_second);
    else
        snprintf(text, sizeof text, "(t, row, col), one per step");
    cli_json_text(o, "mrope", info->has_mrope ? text : NULL);
}

static void add_outputs(const cli_common *c, json_t *o, const pare_model_info *info)
{
    cli_json_int(o, "prefix_tokens", info->n_prefix);
    cli_json_bool(o, "cls", info->has_cls);
    cli_json_int(o, "classes", info->n_class);
    add_count(c, o, "embed_dim", info->n_embed, 0);
    cli_json_text(o, "preprocess", text_or_null(info->preprocess));
    cli_json_text(o, "sites", text_or_null(info->sites));
    cli_json_text(o, "missing", text_or_null(info->missing));
}

/* ---- tokens of a source --------------------------------------------------------------------------------------- */

/* What is asked of a source: its size, and how many frames; 0 = a photo. */
typedef struct question {
    cli_size size;
    int64_t frames;
} question;

static void describe_plan(const pare_model_plan *p, const question *q, char *out, size_t size)
{
    char tiles[48] = "", frames[32] = "";
    if (q->frames > 0) snprintf(frames, sizeof frames, "%lld frames: ", (long long)q->frames);
    if (p->tile_rows * p->tile_cols > 1 || p->has_whole)
        snprintf(tiles, sizeof tiles, "%dx%d tiles%s of ", p->tile_rows, p->tile_cols,
                 p->has_whole ? " and the whole" : "");
    snprintf(out, size, "%s%s%dx%d px, %dx%d units%s, %lld units, %lld tokens", frames, tiles, p->width, p->height,
             p->grid_w, p->grid_h, p->n_slot > 1 ? " each" : "", (long long)p->n_units, (long long)p->n_tokens);
}

/* An object, or, where the model cannot take such a source, why. */
static json_t *plan_json(const pare_model_plan *p, const question *q, const char *why)
{
    json_t *o = json_object();
    const int64_t source[2] = {q->size.width, q->size.height}, pixels[2] = {p->width, p->height};
    const int64_t grid[2] = {p->grid_h, p->grid_w}, tiles[2] = {p->tile_rows, p->tile_cols};
    cli_json_size(o, "source", source, 2);
    cli_json_int(o, "frames", q->frames);
    cli_json_text(o, "error", why);
    if (why != NULL) return o;
    cli_json_size(o, "pixels", pixels, 2);
    cli_json_size(o, "grid", grid, 2);
    cli_json_size(o, "tiles", tiles, 2);
    cli_json_bool(o, "whole", p->has_whole);
    cli_json_int(o, "slots", p->n_slot);
    cli_json_int(o, "units", p->n_units);
    cli_json_int(o, "tokens", p->n_tokens);
    return o;
}

/* A line of `o`, or, for JSON, an element of `plans`. */
static void add_plan(const cli_info_opts *opts, const pare_model *m, const question *q, json_t *o, json_t *plans)
{
    char key[64], text[256];
    pare_model_plan plan = {.struct_size = sizeof plan};
    pare_error err = {0};
    const int rc = pare_model_plan_get(m, q->size.width, q->size.height, q->frames, opts->tiles.width,
                                       opts->tiles.height, &plan, &err);
    if (opts->common.json) {
        json_array_append_new(plans, plan_json(&plan, q, rc != 0 ? err.text : NULL));
        return;
    }
    snprintf(key, sizeof key, "%s %dx%d", q->frames > 0 ? "clip" : "photo", q->size.width, q->size.height);
    if (rc == 0)
        describe_plan(&plan, q, text, sizeof text);
    else
        snprintf(text, sizeof text, "%.250s", err.text);
    cli_json_text(o, key, text);
}

/* The sizes asked for, or an example of either kind. */
static void add_plans(const cli_info_opts *opts, const pare_model *m, json_t *o)
{
    json_t *plans = json_array();
    question q = {.frames = opts->pick.frames};
    for (int32_t i = 0; i < opts->source.n; i++) {
        cli_parse_size(opts->source.item[i], &q.size);
        add_plan(opts, m, &q, o, plans);
    }
    if (opts->source.n == 0) {
        if (q.frames == 0) add_plan(opts, m, &(question){EXAMPLE_PHOTO, 0}, o, plans);
        add_plan(opts, m, &(question){EXAMPLE_CLIP, q.frames > 0 ? q.frames : EXAMPLE_FRAMES}, o, plans);
    }
    if (opts->common.json)
        json_object_set_new(o, "plans", plans);
    else
        json_decref(plans);
}

/* ---- the model ------------------------------------------------------------------------------------------------ */

int cli_info_model(cli_info_opts *opts, const char *path)
{
    cli_common *c = &opts->common;
    cli_engines engines;
    pare_model *m = NULL;
    pare_model_info info;
    c->model = path;
    int rc = cli_engines_read(c, opts->measure, &engines);
    if (rc == CLI_OK) rc = cli_model_open(c, &m, &info);
    if (rc != CLI_OK) return rc;
    json_t *o = json_object();
    add_dims(c, o, &info);
    add_places(c, o, &info);
    add_outputs(c, o, &info);
    add_plans(opts, m, o);
    cli_info_show_engines(c, o, &engines);
    pare_model_close(&m);
    return CLI_OK;
}
