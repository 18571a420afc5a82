/* SPDX-License-Identifier: MIT */
/* Frames of a trace become pixel_values in the layout of the family's own processor: pictures [B, 3, H, W], tiles side by
 * side or photo by photo [M, S, 3, H, W], clips [M, frames, 3, H, W], padded rows of patches [B, patches, P P 3]. */
#include <string.h>

#include "core/limits.h"
#include "encode/cut.h"
#include "encode/prep.h"
#include "encode/trace_batch.h"

typedef struct maker {
    pare__batch *b;
    const pare_trace_opts *opts;
    const pare_frame *frame; /* [n] */
    int32_t n;
    int is_tiled; /* b->tiling is one per frame */
    pare__resample resample;
    pare__pool *pool;
    pare__arena arena;
} maker;

static int32_t *numbers(const pare_tensor *t) { return (int32_t *)(uintptr_t)t->data; }

/* ---- geometry ---------------------------------------------------------------------------------------------------- */

/* Processors do not cut to whole patches: the convolution does. */
static void uncut(const maker *k, pare__fit *fit)
{
    const pare__prep_rule *r = &k->b->m->prep;
    if (k->opts->width || (k->opts->video && !k->b->m->hp.fixed_grid)) return;
    const int32_t width = r->crop ? r->crop_width : fit->resized_width;
    const int32_t height = r->crop ? r->crop_height : fit->resized_height;
    const int32_t unit = k->b->m->hp.patch * k->b->m->hp.unit;
    if (width > fit->width && width - fit->width < unit) fit->width = width;
    if (height > fit->height && height - fit->height < unit) fit->height = height;
}

/* The fit of a slot of frame i. */
static int find_fit(const maker *k, int32_t i, int32_t slot, pare__fit *fit, pare_error *err)
{
    const pare_trace_opts *o = k->opts;
    int rc = 0;
    if (k->is_tiled)
        pare__tiling_fit(&k->b->tiling[i], slot, fit);
    else
        rc = pare__prep_fit(k->b->m, k->frame[i].width, k->frame[i].height, o->video, o->width, o->height, 0, fit, err);
    if (!rc && !k->is_tiled) uncut(k, fit);
    return rc;
}

/* Photos are encoded as lists of tiles, clips as lists of frames. */
static int is_anyres(const maker *k)
{
    const pare__prep_rule *r = &k->b->m->prep;
    return r->tiles == PARE__TILES_PINPOINTS || r->clip_pool;
}

static int find_tilings(maker *k, pare_error *err)
{
    pare__batch *b = k->b;
    const int is_clip = k->opts->video && is_anyres(k);
    int rc = 0;
    k->is_tiled = b->m->prep.tiles && !k->opts->video && !k->opts->width;
    if (!k->is_tiled && !is_clip) return 0;
    b->tiling = PARE__NEW(pare__tiling, k->n);
    if (!b->tiling) return pare_fail(err, PARE_E_NOMEM, "out of memory for %d photos", k->n);
    for (int32_t i = 0; i < (is_clip ? 1 : k->n) && !rc; i++) {
        const int32_t tiles = is_clip ? -1 : 0;
        rc = pare__tiling_find(b->m, k->frame[i].width, k->frame[i].height, tiles, tiles, &b->tiling[i], err);
        if (!rc && b->m->prep.resize == PARE__RESIZE_EXACT) uncut(k, &b->tiling[i].whole);
    }
    b->n_frames = is_clip ? k->n : 0;
    b->n_medium = is_clip ? 1 : is_anyres(k) ? k->n : 0;
    return rc;
}

static int32_t slots_of(const maker *k, int32_t i) { return k->is_tiled ? pare__tiling_slots(&k->b->tiling[i]) : 1; }

/* Frames of a clip are filled up to whole steps by their last one. */
static int shape_clip(maker *k, pare_error *err)
{
    const pare__hparams *hp = &k->b->m->hp;
    const int32_t whole = hp->steps * hp->temporal;
    k->b->shape[0] = k->n > whole ? k->n / whole : 1;
    k->b->shape[1] = k->n > whole ? whole : (k->n + hp->temporal - 1) / hp->temporal * hp->temporal;
    if (k->n <= whole || k->n % whole == 0) return 0;
    return pare_fail(err, PARE_E_INVALID, "%d frames are no whole number of clips of %d", k->n, whole);
}

/* Leading axes of pixel_values. */
static int shape_batch(maker *k, pare_error *err)
{
    pare__batch *b = k->b;
    const int by_photo = is_anyres(k) && (k->is_tiled || k->opts->video);
    int64_t total = 0, most = 0;
    b->n_dim = pare__batch_is_clip(&b->m->hp) || by_photo ? 5 : 4;
    if (pare__batch_is_clip(&b->m->hp)) return shape_clip(k, err);
    for (int32_t i = 0; i < k->n; i++) {
        const int32_t slots = slots_of(k, i);
        total += slots;
        if (slots > most) most = slots;
    }
    if (total > PARE__MAX_WINDOW)
        return pare_fail(err, PARE_E_LIMIT, "%d photos have %lld tiles, at most %d", k->n, (long long)total,
                         PARE__MAX_WINDOW);
    b->shape[0] = !by_photo ? total : k->opts->video ? 1 : k->n;
    b->shape[1] = k->opts->video ? k->n : most;
    return 0;
}

static int shape_pictures(maker *k, pare_error *err)
{
    pare__batch *b = k->b;
    pare__fit fit;
    int rc = find_tilings(k, err);
    if (!rc) rc = shape_batch(k, err);
    if (!rc) rc = find_fit(k, 0, 0, &fit, err);
    if (rc) return rc;
    b->width = fit.width;
    b->height = fit.height;
    const int64_t picture[] = {3, fit.height, fit.width};
    memcpy(b->shape + b->n_dim - 3, picture, sizeof picture);
    return pare__batch_reserve(b, err);
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

/* The pixels of all slots of frame i: slot[k] [height, width, 3] */
static int read_slots(maker *k, int32_t i, const pare__fit *fit, uint8_t *const *slot, pare_error *err)
{
    if (k->is_tiled)
        return pare__tiling_pixels(&k->b->tiling[i], &k->frame[i], k->resample, slot, &k->arena, k->pool, err);
    return pare__prep_frame(&k->frame[i], fit, k->resample, slot[0], &k->arena, k->pool, err);
}

/* out [slots, 3, height, width] of frame i; slots have the size of the batch */
static int make_frame(maker *k, int32_t i, int32_t slots, float *out, pare_error *err)
{
    const pare__batch *b = k->b;
    const int64_t size = 3 * (int64_t)b->width * b->height;
    pare__fit fit;
    uint8_t **slot = PARE__ARENA(&k->arena, uint8_t *, slots), *rgb = pare__arena_alloc(&k->arena, slots, size);
    int rc = slot && rgb
                 ? 0
                 : pare_fail(err, PARE_E_NOMEM, "out of memory for %d pictures of %d x %d", slots, b->width, b->height);
    for (int32_t s = 0; s < slots && !rc; s++) {
        slot[s] = rgb + s * size;
        rc = find_fit(k, i, s, &fit, err);
        if (!rc && (fit.width != b->width || fit.height != b->height))
            rc = pare_fail(err, PARE_E_INVALID, "picture %d becomes %d x %d, but picture 0 is %d x %d", i, fit.width,
                           fit.height, b->width, b->height);
    }
    if (!rc) rc = read_slots(k, i, &fit, slot, err);
    for (int32_t s = 0; s < slots && !rc; s++)
        pare__prep_normalise(&b->m->prep, slot[s], b->width, b->height, out + s * size);
    pare__arena_clear(&k->arena);
    return rc;
}

static int make_pictures(maker *k, pare_error *err)
{
    const pare__batch *b = k->b;
    const int64_t size = 3 * (int64_t)b->width * b->height;
    const int64_t room = b->n_dim == 5 && !k->opts->video && !pare__batch_is_clip(&b->m->hp) ? b->shape[1] : 0;
    int64_t at = 0;
    int rc = 0;
    for (int32_t i = 0; i < k->n && !rc; i++) {
        const int32_t slots = slots_of(k, i);
        if (room) at = i * room;
        rc = make_frame(k, i, slots, b->values + at * size, err);
        at += slots;
    }
    const int64_t clips = pare__batch_is_clip(&b->m->hp) ? b->shape[0] * b->shape[1] : 0;
    for (; at < clips && !rc; at++)
        memcpy(b->values + at * size, b->values + (at - 1) * size, (size_t)size * sizeof(float));
    return rc;
}

/* What the processor gives beside the pixels: sizes of photos in tiles, a mask where photos are padded. */
static int make_pairs(maker *k, pare_error *err)
{
    pare__batch *b = k->b;
    const int64_t pairs[] = {k->n, 2}, pixels[] = {b->shape[0], b->height, b->width};
    int rc = 0;
    if (k->is_tiled && is_anyres(k)) {
        rc = pare__batch_integers(&b->pairs, "image_sizes", pairs, 2, err);
        for (int32_t i = 0; i < k->n && !rc; i++) {
            numbers(&b->pairs)[2 * i] = k->frame[i].height;
            numbers(&b->pairs)[2 * i + 1] = k->frame[i].width;
        }
    } else if (k->is_tiled && b->m->prep.tiles == PARE__TILES_LONGEST) {
        rc = pare__batch_integers(&b->mask, "pixel_attention_mask", pixels, 3, err);
        for (int64_t i = 0; !rc && i < pixels[0] * pixels[1] * pixels[2]; i++) numbers(&b->mask)[i] = 1;
    }
    return rc;
}

static int prepare_pictures(maker *k, pare_error *err)
{
    int rc = shape_pictures(k, err);
    if (!rc) rc = make_pictures(k, err);
    if (!rc) rc = make_pairs(k, err);
    return rc ? rc : pare__batch_list(k->b, err);
}

/* ---- rows of patches --------------------------------------------------------------------------------------------- */

/* out [rows cols, P P 3] of dense RGB */
static void flatten(const uint8_t *rgb, const float *value, int64_t p, int64_t rows, int64_t cols, float *out)
{
    for (int64_t i = 0; i < rows * cols * p * p * 3; i++) {
        const int64_t patch = i / (p * p * 3), y = patch / cols * p + i / (p * 3) % p, x = patch % cols * p + i / 3 % p;
        out[i] = value[i % 3 * 256 + rgb[(y * cols * p + x) * 3 + i % 3]];
    }
}

static int make_rows(maker *k, int32_t i, pare_error *err)
{
    pare__batch *b = k->b;
    pare__fit fit;
    float value[3 * 256];
    const int32_t *shape = numbers(&b->pairs) + 2 * (int64_t)i;
    int rc = find_fit(k, i, 0, &fit, err);
    if (rc) return rc;
    uint8_t *rgb = (uint8_t *)pare__arena_alloc(&k->arena, (int64_t)fit.width * fit.height, 3);
    if (!rgb) return pare_fail(err, PARE_E_NOMEM, "out of memory for a picture of %d x %d", fit.width, fit.height);
    rc = pare__prep_frame(&k->frame[i], &fit, k->resample, rgb, &k->arena, k->pool, err);
    pare__prep_values(&b->m->prep, value);
    if (!rc) flatten(rgb, value, b->m->hp.patch, shape[0], shape[1], b->values + i * b->shape[1] * b->shape[2]);
    for (int64_t r = 0; !rc && r < (int64_t)shape[0] * shape[1]; r++) numbers(&b->mask)[i * b->shape[1] + r] = 1;
    pare__arena_clear(&k->arena);
    return rc;
}

/* Grids first: they say how many rows the largest has, if more than the rule pads to. */
static int shape_rows(maker *k, pare_error *err)
{
    pare__batch *b = k->b;
    const int32_t p = b->m->hp.patch;
    const int64_t pairs[] = {k->n, 2};
    int64_t most = b->m->prep.max_patches;
    int rc = pare__batch_integers(&b->pairs, "spatial_shapes", pairs, 2, err);
    for (int32_t i = 0; i < k->n && !rc; i++) {
        pare__fit fit;
        rc = find_fit(k, i, 0, &fit, err);
        if (rc) return rc;
        numbers(&b->pairs)[2 * i] = fit.height / p;
        numbers(&b->pairs)[2 * i + 1] = fit.width / p;
        if ((int64_t)(fit.height / p) * (fit.width / p) > most) most = (int64_t)(fit.height / p) * (fit.width / p);
    }
    const int64_t shape[] = {k->n, most, (int64_t)3 * p * p};
    memcpy(b->shape, shape, sizeof shape);
    b->n_dim = 3;
    b->n = k->n;
    b->n_step = 1;
    return rc ? rc : pare__batch_integers(&b->mask, "pixel_attention_mask", shape, 2, err);
}

static int prepare_rows(maker *k, pare_error *err)
{
    int rc = shape_rows(k, err);
    if (!rc) rc = pare__batch_reserve(k->b, err);
    for (int32_t i = 0; i < k->n && !rc; i++) rc = make_rows(k, i, err);
    return rc;
}

int pare__batch_prepare(pare__batch *b, const pare_model *m, const pare_trace_opts *opts, const pare_frame *frames,
                        int32_t n, pare__pool *pool, pare_error *err)
{
    maker k = {.b = b, .opts = opts, .frame = frames, .n = n, .pool = pool};
    if (n < 1 || n > PARE__MAX_WINDOW)
        return pare_fail(err, PARE_E_INVALID, "%d pictures; 1 to %d are needed", n, PARE__MAX_WINDOW);
    b->m = m;
    k.resample = pare__prep_resample(&m->prep, opts->video);
    int rc = m->prep.resize == PARE__RESIZE_PATCHES ? prepare_rows(&k, err) : prepare_pictures(&k, err);
    pare__arena_fini(&k.arena);
    return rc ? rc : pare__batch_lay(b, err);
}
