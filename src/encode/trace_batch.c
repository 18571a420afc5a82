/* SPDX-License-Identifier: MIT */
/* What a trace is given: pixel_values as the processors make them, with the tensors that say how to read them.
 * Sources of the layouts: transformers' LlavaOnevision (tiles of photos are padded to the most of the batch, clips are
 * frames), Siglip2 (rows of patches), VideoMAE (frames before channels). */
#include "encode/trace_batch.h"

#include <string.h>

#include "core/limits.h"
#include "model/tensorfile.h"

/* ---- room -------------------------------------------------------------------------------------------------------- */

int pare__batch_reserve(pare__batch *b, pare_error *err)
{
    int64_t n = 1;
    for (int32_t i = 1; i < b->n_dim; i++) n *= b->shape[i];
    b->values = (float *)pare__calloc(b->shape[0], n * (int64_t)sizeof(float));
    if (b->values) return 0;
    return pare_fail(err, PARE_E_NOMEM, "out of memory for pixel_values: %lld times %lld numbers",
                     (long long)b->shape[0], (long long)n);
}

int pare__batch_integers(pare_tensor *t, const char *name, const int64_t *shape, int32_t n_dim, pare_error *err)
{
    *t = (pare_tensor){.name = name, .dtype = PARE_I32, .n_dim = n_dim};
    memcpy(t->shape, shape, (size_t)n_dim * sizeof *shape);
    t->data = PARE__NEW(int32_t, pare__tensor_count(t) + 1);
    if (t->data) return 0;
    return pare_fail(err, PARE_E_NOMEM, "out of memory for %s of %lld numbers", name, (long long)pare__tensor_count(t));
}

static int32_t *numbers(const pare_tensor *t) { return (int32_t *)(uintptr_t)t->data; }

static int is_integer(int32_t dtype)
{
    return dtype == PARE_I32 || dtype == PARE_I64 || dtype == PARE_U8 || dtype == PARE_I8 || dtype == PARE_BOOL;
}

/* A tensor of the caller as i32 of that shape. What is out of range there is out of every range that is checked later. */
static int take_integers(const pare_tensor *from, const char *name, const int64_t *shape, int32_t n_dim, pare_tensor *t,
                         pare_error *err)
{
    if (!is_integer(from->dtype) || from->n_dim != n_dim || memcmp(from->shape, shape, (size_t)n_dim * sizeof *shape))
        return pare_fail(err, PARE_E_INVALID,
                         "%s does not fit pixel_values: integers in %d dimensions, from %lld to %lld, "
                         "are needed",
                         name, n_dim, (long long)shape[0], (long long)shape[n_dim - 1]);
    int rc = pare__batch_integers(t, name, shape, n_dim, err);
    const int64_t n = rc ? 0 : pare__tensor_count(t);
    float value;
    for (int64_t i = 0; i < n; i++) {
        pare__tensor_f32_part(from, i, 1, &value);
        numbers(t)[i] = value >= 1e9f ? INT32_MAX : value <= -1e9f ? INT32_MIN : (int32_t)value;
    }
    return rc;
}

void pare__batch_fini(pare__batch *b)
{
    pare__free(b->values);
    pare__free(b->at);
    pare__free(b->pixels);
    pare__free(b->seg);
    pare__free(b->tiling);
    pare__free(numbers(&b->mask));
    pare__free(numbers(&b->pairs));
    *b = (pare__batch){0};
}

/* ---- items ------------------------------------------------------------------------------------------------------- */

static int list_clips(pare__batch *b, pare_error *err)
{
    const pare__hparams *hp = &b->m->hp;
    const int64_t frames = b->shape[1];
    b->n = (int32_t)b->shape[0];
    b->n_step = (int32_t)(frames / hp->temporal);
    for (int32_t i = 0; i < b->n; i++) b->at[i] = (int32_t)(i * frames);
    if (frames % hp->temporal == 0 && b->n_step <= hp->steps) return 0;
    return pare_fail(err, PARE_E_INVALID, "clips of %lld frames; the model sees %d steps of %d frames",
                     (long long)frames, hp->steps, hp->temporal);
}

static int list_tiles(pare__batch *b, pare_error *err)
{
    for (int32_t i = 0; i < b->n_medium; i++) {
        const int32_t slots = pare__tiling_slots(&b->tiling[i]), room = (int32_t)b->shape[1];
        if (slots > room)
            return pare_fail(err, PARE_E_INVALID, "photo %d of %d x %d has %d tiles, pixel_values has room for %d", i,
                             b->tiling[i].whole.src_width, b->tiling[i].whole.src_height, slots, room);
        for (int32_t s = 0; s < slots; s++) b->at[b->n++] = i * room + s;
    }
    return 0;
}

int pare__batch_list(pare__batch *b, pare_error *err)
{
    const int32_t n = (int32_t)(b->shape[0] * (b->n_dim == 5 ? b->shape[1] : 1));
    b->n_step = 1;
    b->at = PARE__NEW(int32_t, n + 1);
    if (!b->at) return pare_fail(err, PARE_E_NOMEM, "out of memory for %d pictures", n);
    if (pare__batch_is_clip(&b->m->hp)) return list_clips(b, err);
    if (b->n_dim == 5 && b->tiling && b->n_frames == 0) return list_tiles(b, err);
    for (b->n = 0; b->n < n; b->n++) b->at[b->n] = b->n;
    return 0;
}

/* ---- from tensors ------------------------------------------------------------------------------------------------ */

static int take_values(pare__batch *b, const pare_tensor *p, pare_error *err)
{
    b->n_dim = p->n_dim;
    memcpy(b->shape, p->shape, (size_t)p->n_dim * sizeof *b->shape);
    int rc = pare__batch_reserve(b, err);
    if (!rc) pare__tensor_f32(p, b->values);
    return rc;
}

static int take_rows(pare__batch *b, const pare_trace_opts *opts, const pare_tensor *p, pare_error *err)
{
    const pare__hparams *hp = &b->m->hp;
    const int64_t width = (int64_t)3 * hp->patch * hp->patch;
    if (hp->unit > 1 || pare__batch_is_clip(hp) || p->shape[0] < 1 || p->shape[0] > PARE__MAX_WINDOW ||
        p->shape[1] < 1 || p->shape[1] > PARE__MAX_UNITS_PER_FRAME || p->shape[2] != width)
        return pare_fail(err, PARE_E_INVALID,
                         "pixel_values is [%lld, %lld, %lld]: not patches of %lld values, or of a family "
                         "that does not take them one by one",
                         (long long)p->shape[0], (long long)p->shape[1], (long long)p->shape[2], (long long)width);
    if (!opts->spatial_shapes)
        return pare_fail(err, PARE_E_INVALID, "pixel_values [pictures, patches, %lld] need spatial_shapes [%lld, 2]",
                         (long long)width, (long long)p->shape[0]);
    int rc = take_values(b, p, err);
    const int64_t pairs[] = {p->shape[0], 2};
    if (!rc) rc = take_integers(opts->spatial_shapes, "spatial_shapes", pairs, 2, &b->pairs, err);
    if (!rc && opts->pixel_attention_mask)
        rc = take_integers(opts->pixel_attention_mask, "pixel_attention_mask", p->shape, 2, &b->mask, err);
    b->n = (int32_t)p->shape[0];
    b->n_step = 1;
    return rc;
}

static int check_pictures(const pare__hparams *hp, const pare_tensor *p, pare_error *err)
{
    const char *need = hp->steps > 1      ? "[clips, frames, 3, height, width]"
                       : hp->temporal > 1 ? "[patches, values] with grid_thw"
                                          : "[n, 3, height, width] or [n, tiles, 3, height, width]";
    const int is_clip = pare__batch_is_clip(hp), least = hp->patch * hp->unit;
    if ((p->n_dim != 5 && (p->n_dim != 4 || is_clip)) || (is_clip && hp->steps <= 1) || p->shape[p->n_dim - 3] != 3)
        return pare_fail(err, PARE_E_INVALID, "pixel_values has %d dimensions; %s is needed", p->n_dim, need);
    for (int32_t i = 0; i < p->n_dim - 3; i++)
        if (p->shape[i] < 1 || p->shape[i] > PARE__MAX_WINDOW)
            return pare_fail(err, PARE_E_INVALID, "pixel_values has %lld pictures or tiles; 1 to %d are possible",
                             (long long)p->shape[i], PARE__MAX_WINDOW);
    const int64_t height = p->shape[p->n_dim - 2], width = p->shape[p->n_dim - 1];
    if (height >= least && width >= least && height <= PARE__MAX_SIDE && width <= PARE__MAX_SIDE) return 0;
    return pare_fail(err, PARE_E_INVALID, "pixel_values of %lld x %lld: sides from %d to %d are possible",
                     (long long)width, (long long)height, least, PARE__MAX_SIDE);
}

/* Geometry of photos in tiles, or of clips, that `projected` is packed by. */
static int take_tilings(pare__batch *b, const pare_trace_opts *opts, pare_error *err)
{
    const int64_t pairs[] = {b->shape[0], 2};
    if (b->n_dim != 5 || pare__batch_is_clip(&b->m->hp)) return 0;
    if (!opts->video && b->m->prep.tiles != PARE__TILES_PINPOINTS) return 0;
    if (!opts->video && !opts->image_sizes)
        return pare_fail(err, PARE_E_INVALID,
                         "tiles of %lld photos need image_sizes [%lld, 2], or are frames of a video",
                         (long long)b->shape[0], (long long)b->shape[0]);
    b->n_medium = (int32_t)b->shape[0];
    b->n_frames = opts->video ? (int32_t)b->shape[1] : 0;
    b->tiling = PARE__NEW(pare__tiling, b->n_medium);
    if (!b->tiling) return pare_fail(err, PARE_E_NOMEM, "out of memory for %d photos", b->n_medium);
    if (opts->video) return pare__tiling_find(b->m, b->width, b->height, -1, -1, &b->tiling[0], err);
    int rc = take_integers(opts->image_sizes, "image_sizes", pairs, 2, &b->pairs, err);
    for (int32_t i = 0; i < b->n_medium && !rc; i++) {
        const int32_t *size = numbers(&b->pairs) + 2 * (int64_t)i;
        rc = pare__tiling_find(b->m, size[1], size[0], 0, 0, &b->tiling[i], err);
    }
    return rc;
}

static int take_pictures(pare__batch *b, const pare_trace_opts *opts, const pare_tensor *p, pare_error *err)
{
    int rc = check_pictures(&b->m->hp, p, err);
    if (!rc) rc = take_values(b, p, err);
    if (rc) return rc;
    b->height = (int32_t)p->shape[p->n_dim - 2];
    b->width = (int32_t)p->shape[p->n_dim - 1];
    rc = take_tilings(b, opts, err);
    if (!rc && (int64_t)b->shape[0] * (b->n_dim == 5 ? b->shape[1] : 1) > PARE__MAX_WINDOW)
        return pare_fail(err, PARE_E_LIMIT, "pixel_values has more than %d pictures", PARE__MAX_WINDOW);
    if (!rc && opts->pixel_attention_mask && pare__batch_is_clip(&b->m->hp))
        return pare_fail(err, PARE_E_INVALID, "pixel_attention_mask: frames of clips have no padding");
    if (!rc && opts->pixel_attention_mask) {
        int64_t shape[4];
        for (int32_t i = 0; i < p->n_dim - 1; i++) shape[i] = p->shape[i < p->n_dim - 3 ? i : i + 1];
        rc = take_integers(opts->pixel_attention_mask, "pixel_attention_mask", shape, p->n_dim - 1, &b->mask, err);
    }
    return rc ? rc : pare__batch_list(b, err);
}

int pare__batch_take(pare__batch *b, const pare_model *m, const pare_trace_opts *opts, const pare_tensor *pixels,
                     pare_error *err)
{
    b->m = m;
    int rc = pixels->n_dim == 3 ? take_rows(b, opts, pixels, err) : take_pictures(b, opts, pixels, err);
    return rc ? rc : pare__batch_lay(b, err);
}
