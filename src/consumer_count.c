/* SPDX-License-Identifier: MIT */
/* pare_consumer_get and pare_consumer_count_get; counts of open models: the family reads the published configuration and
 * the geometry of tiles, units and pools is the encoder's own, over a model without weights. */
#include <pare/consumer.h>
#include <pare/pare.h>

#include <string.h>

#include "api.h"
#include "consumers.h"
#include "core/limits.h"
#include "core/mrope.h"
#include "core/option.h"
#include "encode/prep.h"
#include "encode/tiles.h"
#include "model/family.h"

#define MAX_FRAMES ((int64_t)1 << 40) /* counts whose products fit 64 bits */
#define DEFAULT_RATE 2.0              /* frames a second that Qwen's processors assume */

/* ---- a model without weights ------------------------------------------------------------------------------------- */

static int open_model(const pare__consumer *c, pare_model *m, pare_error *err)
{
    pare__config config;
    json_error_t at;
    *m = (pare_model){0};
    int rc = pare__config_parse(&config, (const uint8_t *)c->config, strlen(c->config), (const uint8_t *)c->photo,
                                strlen(c->photo), err);
    if (rc == 0 && c->clip && !(config.clip = json_loads(c->clip, 0, &at)))
        rc = pare_fail(err, PARE_E_NOMEM, "no memory for the rules of %s", c->info.name);
    if (rc == 0) rc = pare__family_find(&m->family, &config, err);
    if (rc == 0) rc = pare__family_configure(m->family, &config, &m->hp, &m->prep);
    pare__config_fini(&config);
    return rc;
}

/* The slots of a photo, or of one step of a clip. What is cropped has one size, however long the picture. */
static int find_slots(const pare__consumer *c, const pare_model *m, const pare_consumer_ask *ask, pare__tiling *t,
                      pare_error *err)
{
    const int is_cropped = m->prep.tiles == PARE__TILES_NONE && m->prep.crop != PARE__CROP_NONE;
    if (is_cropped) return pare__tiling_find(m, m->prep.crop_width, m->prep.crop_height, 0, 0, t, err);
    if (!ask->n_frames) return pare__tiling_find(m, ask->width, ask->height, 0, 0, t, err);
    if (c->clip_is_photos) return pare__tiling_find(m, ask->width, ask->height, -1, -1, t, err);
    *t = (pare__tiling){.rows = 1, .cols = 1};
    return pare__prep_clip(m, ask->width, ask->height, ask->n_frames, 0, 0, &t->whole, err);
}

/* Positions of steps of a grid: time, rows and columns count side by side; where stamps stand between the steps, each is
 * a picture of its own. */
static int64_t positions(const pare_model *m, const pare_consumer_ask *ask, const pare_consumer_count *n)
{
    const int64_t side = n->grid_h > n->grid_w ? n->grid_h : n->grid_w;
    if (!m->hp.has_mrope) return n->n_tokens;
    if (m->hp.mrope_stamps) return n->n_steps * side;
    const double seconds = m->hp.temporal / (ask->rate > 0 ? ask->rate : DEFAULT_RATE);
    const int64_t time = (int64_t)pare__mrope_time(m->hp.mrope_per_second, seconds, n->n_steps - 1) + 1;
    return time > side ? time : side;
}

int pare__consumer_count_model(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                               pare_error *err)
{
    pare_model m;
    pare__tiling t;
    int rc = open_model(c, &m, err);
    if (rc == 0) rc = find_slots(c, &m, ask, &t, err);
    if (rc) return rc;
    pare__fit slot;
    pare__tiling_fit(&t, 0, &slot);
    const int32_t unit = m.hp.patch * m.hp.unit, temporal = ask->n_frames ? m.hp.temporal : 1;
    out->width = slot.width;
    out->height = slot.height;
    out->grid_h = slot.height / unit;
    out->grid_w = slot.width / unit;
    out->tile_rows = t.rows;
    out->tile_cols = t.cols;
    out->has_whole = t.has_whole;
    out->n_steps = ask->n_frames ? (ask->n_frames + temporal - 1) / temporal : 1;
    out->n_tokens = ask->n_frames ? pare__tiling_clip_tokens(&m, &t, out->n_steps) : pare__tiling_tokens(&m, &t);
    out->n_positions = positions(&m, ask, out);
    return 0;
}

/* ---- public ------------------------------------------------------------------------------------------------------ */

static int find(const char *name, const pare__consumer **out, pare_error *err)
{
    const char *names[PARE__MAX_NAME];
    int32_t n = 0;
    for (; pare__consumers[n].info.name && n < PARE__MAX_NAME; n++) {
        names[n] = pare__consumers[n].info.name;
        if (strcmp(name, names[n])) continue;
        *out = &pare__consumers[n];
        return 0;
    }
    const char *near = pare__nearest(name, names, n);
    if (near) return pare_fail(err, PARE_E_INVALID, "unknown consumer '%.60s', did you mean '%s'?", name, near);
    return pare_fail(err, PARE_E_INVALID, "unknown consumer '%.60s'; pare list consumers shows all", name);
}

int pare_consumer_get(const char *name, pare_consumer_info *info, pare_error *err)
{
    const pare__consumer *c = NULL;
    if (!name) return pare__no_argument("pare_consumer_get", "name", err);
    const int rc = find(name, &c, err);
    return rc ? rc : pare__give_struct(info, &c->info, sizeof c->info, "pare_consumer_get", err);
}

static int check_ask(const pare_consumer_ask *a, pare_error *err)
{
    if (a->width < 1 || a->height < 1)
        return pare_fail(err, PARE_E_INVALID, "a picture of %d x %d pixels", a->width, a->height);
    if (a->width > PARE__MAX_SIDE || a->height > PARE__MAX_SIDE)
        return pare_fail(err, PARE_E_LIMIT, "a picture of %d x %d pixels, at most %d a side", a->width, a->height,
                         PARE__MAX_SIDE);
    if (a->n_frames < 0 || a->n_frames > MAX_FRAMES)
        return pare_fail(err, PARE_E_INVALID, "a clip of %lld frames", (long long)a->n_frames);
    if (!(a->rate >= 0) || a->rate > 1e6)
        return pare_fail(err, PARE_E_INVALID, "a clip of %g frames a second", a->rate);
    return 0;
}

/* What services refuse. */
static int check_photos(const pare__consumer *c, const pare_consumer_ask *ask, int64_t n, pare_error *err)
{
    const int32_t side = ask->width > ask->height ? ask->width : ask->height;
    const int is_crowd = c->crowd && n > c->crowd;
    const int32_t most = is_crowd ? c->crowd_side : c->max_side;
    if (c->info.max_photos && n > c->info.max_photos)
        return pare_fail(err, PARE_E_LIMIT, "%lld pictures in a message, at most %d are taken", (long long)n,
                         c->info.max_photos);
    if (most && side > most)
        return pare_fail(err, PARE_E_LIMIT, "a picture side of %d pixels, at most %d are taken%s", side, most,
                         is_crowd ? " where pictures are many" : "");
    return 0;
}

/* Of a consumer without clips every frame is a photo. */
static int count_all(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out, pare_error *err)
{
    pare_consumer_ask one = *ask;
    if (!c->info.has_clips || ask->apart) one.n_frames = 0;
    if (one.n_frames && one.n_frames < c->min_clip)
        return pare_fail(err, PARE_E_LIMIT, "a clip of %lld frames; it must have at least %d", (long long)one.n_frames,
                         c->min_clip);
    *out = (pare_consumer_count){.struct_size = sizeof *out, .tile_rows = 1, .tile_cols = 1, .n_steps = 1};
    int rc = one.n_frames ? 0 : check_photos(c, ask, ask->n_frames ? ask->n_frames : 1, err);
    if (rc == 0) rc = c->count(c, &one, out, err);
    if (rc) return rc;
    if (!out->n_positions) out->n_positions = out->n_tokens;
    if (ask->n_frames && !one.n_frames) {
        out->n_steps = ask->n_frames;
        out->n_tokens *= ask->n_frames;
        out->n_positions *= ask->n_frames;
    }
    out->tokens_per_frame = (double)out->n_tokens / (double)(ask->n_frames ? ask->n_frames : 1);
    return 0;
}

int pare_consumer_count_get(const char *name, const pare_consumer_ask *ask, pare_consumer_count *count, pare_error *err)
{
    const pare__consumer *c = NULL;
    pare_consumer_ask own = {0};
    pare_consumer_count out;
    if (!name || !ask) return pare__no_argument("pare_consumer_count_get", name ? "ask" : "name", err);
    int rc = find(name, &c, err);
    if (rc == 0) rc = pare__take_struct(&own, sizeof own, ask, "pare_consumer_count_get", err);
    if (rc == 0) rc = check_ask(&own, err);
    if (rc == 0) rc = count_all(c, &own, &out, err);
    return rc ? rc : pare__give_struct(count, &out, sizeof out, "pare_consumer_count_get", err);
}
