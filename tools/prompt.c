/* SPDX-License-Identifier: MIT */
/* The prompt document (prompt.h): messages in the words of each consumer's interface. Names of files stand where an address
 * or the bytes go; the question is the caller's. */
#include "prompt.h"

#include <stdio.h>

#include "json_line.h"

#define QUESTION "{question}"
enum { TIME = 48, MILLISECONDS = 3 };

/* ---- parts of messages ------------------------------------------------------------------------------------------- */

static double seconds_of(const cli_prompt *p, int64_t i) { return p->survey->pts[p->plan->index[i]] - p->info->origin; }

/* Frames a second that the chosen ones amount to; 0 = one frame. */
static double rate_of(const cli_prompt *p)
{
    const int64_t n = p->plan->n;
    const double time = n > 1 ? seconds_of(p, n - 1) - seconds_of(p, 0) : 0;
    return time > 0 ? (double)(n - 1) / time : 0;
}

static json_t *stamp(const cli_prompt *p, int64_t i)
{
    char text[TIME];
    snprintf(text, sizeof text, "%.3f s:", seconds_of(p, i));
    return json_string(text);
}

static json_t *text_part(json_t *text) { return json_pack("{s:s, s:o}", "type", "text", "text", text); }

static json_t *question_part(void) { return text_part(json_string(QUESTION)); }

static json_t *picture_openai(const cli_prompt *p, const char *file)
{
    (void)p;
    return json_pack("{s:s, s:{s:s, s:s}}", "type", "image_url", "image_url", "url", file, "detail", "high");
}

static json_t *picture_anthropic(const cli_prompt *p, const char *file)
{
    return json_pack("{s:s, s:{s:s, s:s, s:s}}", "type", "image", "source", "type", "base64", "media_type",
                     p->media_type, "data", file);
}

static json_t *picture_plain(const cli_prompt *p, const char *file)
{
    (void)p;
    return json_pack("{s:s, s:s}", "type", "image", "image", file);
}

/* [time, picture, time, picture, ..., question]; a photo has no time. */
static json_t *pictures(const cli_prompt *p, json_t *(*picture)(const cli_prompt *, const char *))
{
    json_t *parts = json_array();
    for (int64_t i = 0; i < p->plan->n; i++) {
        if (!p->is_photo) json_array_append_new(parts, text_part(stamp(p, i)));
        json_array_append_new(parts, picture(p, p->file[i]));
    }
    json_array_append_new(parts, question_part());
    return parts;
}

/* One video: a file, or the list of its frames. */
static json_t *clip_plain(const cli_prompt *p, int with_rate)
{
    json_t *frames = p->video != NULL ? json_string(p->video) : json_array(), *parts = json_array();
    for (int64_t i = 0; p->video == NULL && i < p->plan->n; i++) json_array_append_new(frames, json_string(p->file[i]));
    json_t *clip = json_pack("{s:s, s:o}", "type", "video", "video", frames);
    if (with_rate) cli_json_real(clip, p->video != NULL ? "fps" : "sample_fps", rate_of(p), MILLISECONDS);
    json_array_append_new(parts, clip);
    json_array_append_new(parts, question_part());
    return parts;
}

static json_t *gemini_bytes(const cli_prompt *p, const char *file)
{
    return json_pack("{s:{s:s, s:s}}", "inline_data", "mime_type", p->media_type, "data", file);
}

/* Of a video the rate is told: left alone, the service takes a frame a second. */
static json_t *parts_gemini(const cli_prompt *p)
{
    json_t *parts = json_array();
    if (p->video != NULL) {
        json_t *clip = gemini_bytes(p, p->video), *data = json_object();
        cli_json_real(data, "fps", rate_of(p), MILLISECONDS);
        json_object_set_new(clip, "video_metadata", data);
        json_array_append_new(parts, clip);
    }
    for (int64_t i = 0; p->video == NULL && i < p->plan->n; i++) {
        if (!p->is_photo) json_array_append_new(parts, json_pack("{s:o}", "text", stamp(p, i)));
        json_array_append_new(parts, gemini_bytes(p, p->file[i]));
    }
    json_array_append_new(parts, json_pack("{s:s}", "text", QUESTION));
    return parts;
}

static json_t *message(const cli_prompt *p, const cli_key_consumer *k)
{
    switch (k->info.message) {
    case PARE_MESSAGE_OPENAI:
        return json_pack("{s:s, s:o}", "role", "user", "content", pictures(p, picture_openai));
    case PARE_MESSAGE_ANTHROPIC:
        return json_pack("{s:s, s:o}", "role", "user", "content", pictures(p, picture_anthropic));
    case PARE_MESSAGE_GEMINI:
        return json_pack("{s:s, s:o}", "role", "user", "parts", parts_gemini(p));
    default:
        return json_pack("{s:s, s:o}", "role", "user", "content",
                         k->is_clip ? clip_plain(p, k->info.message == PARE_MESSAGE_QWEN) : pictures(p, picture_plain));
    }
}

/* ---- the document ------------------------------------------------------------------------------------------------ */

static json_t *consumer_json(const cli_prompt *p, const cli_key_consumer *k)
{
    json_t *j = json_object();
    cli_json_text(j, "name", k->info.name);
    cli_json_text(j, "source", k->info.source);
    cli_json_text(j, "read", k->info.date);
    cli_json_bool(j, "hosted", k->info.is_hosted);
    cli_json_text(j, "refuses", k->refusal.code != 0 ? k->refusal.text : NULL);
    if (k->refusal.code != 0) return j;
    cli_json_text(j, "input", k->is_clip ? "clip" : "pictures");
    cli_json_int(j, "tokens", k->count.n_tokens);
    cli_json_real(j, "tokens_per_frame", (double)k->count.n_tokens / (double)p->plan->n, MILLISECONDS);
    cli_json_int(j, "positions", k->count.n_positions);
    cli_json_int(j, "steps", k->count.n_steps);
    json_object_set_new(j, "sees", json_pack("[ii]", k->count.width, k->count.height));
    json_object_set_new(j, "tiles", json_pack("[ii]", k->count.tile_rows, k->count.tile_cols));
    json_object_set_new(j, "grid",
                        k->count.grid_h > 0 ? json_pack("[ii]", k->count.grid_h, k->count.grid_w) : json_null());
    json_object_set_new(j, "message", message(p, k));
    return j;
}

static json_t *source_json(const cli_prompt *p)
{
    json_t *j = json_object();
    cli_json_int(j, "width", p->survey->width);
    cli_json_int(j, "height", p->survey->height);
    cli_json_int(j, "frames", p->survey->n);
    cli_json_int(j, "scenes", p->survey->n_cuts + 1);
    cli_json_real(j, "seconds", p->survey->pts[p->survey->n - 1] - p->info->origin, MILLISECONDS);
    return j;
}

static json_t *choice_json(const cli_prompt *p)
{
    const cli_key_plan *plan = p->plan;
    const cli_key_size *s = &plan->size[plan->chosen];
    json_t *j = json_object(), *weighed = json_array();
    cli_json_text(j, "by", p->budget->uniform ? "time" : "change");
    cli_json_real(j, "evenness", p->budget->evenness, MILLISECONDS);
    cli_json_int(j, "frames", plan->n);
    cli_json_int(j, "width", s->width);
    cli_json_int(j, "height", s->height);
    cli_json_real(j, "coverage", s->coverage, 4);
    cli_json_real(j, "coverage_uniform", plan->coverage_uniform, 4);
    cli_json_real(j, "detail", s->detail, 4);
    for (int32_t i = 0; i < plan->n_size; i++) {
        const cli_key_size *w = &plan->size[i];
        json_t *o = json_object();
        cli_json_int(o, "width", w->width);
        cli_json_int(o, "height", w->height);
        cli_json_int(o, "frames", w->frames);
        cli_json_int(o, "tokens", w->tokens);
        cli_json_real(o, "coverage", w->coverage, 4);
        cli_json_real(o, "detail", w->detail, 4);
        json_array_append_new(weighed, o);
    }
    json_object_set_new(j, "weighed", weighed);
    return j;
}

json_t *cli_prompt_json(const cli_prompt *p)
{
    json_t *j = json_object(), *frames = json_array(), *consumers = json_array();
    cli_json_int(j, "schema_version", CLI_SCHEMA_VERSION);
    cli_json_text(j, "input", p->input);
    json_object_set_new(j, "source", source_json(p));
    json_object_set_new(j, "choice", choice_json(p));
    cli_json_text(j, "video", p->video);
    for (int64_t i = 0; i < p->plan->n; i++) {
        json_t *f = json_object();
        cli_json_text(f, "file", p->video != NULL ? NULL : p->file[i]);
        cli_json_int(f, "index", p->plan->index[i]);
        cli_json_real(f, "seconds", seconds_of(p, i), MILLISECONDS);
        json_array_append_new(frames, f);
    }
    json_object_set_new(j, "frames", frames);
    for (int32_t i = 0; i < p->plan->n_consumer; i++)
        json_array_append_new(consumers, consumer_json(p, &p->plan->consumer[i]));
    json_object_set_new(j, "consumers", consumers);
    return j;
}
