/* SPDX-License-Identifier: MIT */
/* See cut.h.   photo --(first resize)--> canvas [rows h, cols w, 3] --cut--> tiles [h, w, 3];   photo --> whole [h, w, 3] */
#include "encode/cut.h"

#include <string.h>

#include "encode/prep.h"

typedef struct job {
    const pare__tiling *t;
    pare__resample resample;
    pare__arena *arena;
    pare__pool *pool;
} job;

/* The picture through a fit that counts from the photo, whatever size the picture has by now. */
static int bring(const job *j, const pare_frame *picture, const pare__fit *from_photo, uint8_t *out, pare_error *err)
{
    pare__fit fit = *from_photo;
    fit.src_width = picture->width;
    fit.src_height = picture->height;
    return pare__prep_frame(picture, &fit, j->resample, out, j->arena, j->pool, err);
}

static pare_frame dense(const uint8_t *rgb, int32_t width, int32_t height)
{
    return (pare_frame){
        .struct_size = sizeof(pare_frame), .rgb = rgb, .stride = 3 * (int64_t)width, .width = width, .height = height};
}

static uint8_t *room(const job *j, int32_t width, int32_t height, pare_error *err)
{
    uint8_t *rgb = pare__arena_alloc(j->arena, (int64_t)width * height, 3);
    if (!rgb) pare_fail(err, PARE_E_NOMEM, "out of memory for a picture of %d x %d", width, height);
    return rgb;
}

/* Replaces the picture by its first size, if there is one. */
static int first_size(const job *j, pare_frame *picture, pare_error *err)
{
    const int32_t width = j->t->first_resize_width, height = j->t->first_resize_height;
    if (!width) return 0;
    uint8_t *rgb = room(j, width, height, err);
    if (!rgb) return PARE_E_NOMEM;
    const int rc = pare__resize_u8(picture->rgb, picture->stride, picture->width, picture->height, rgb, width, height,
                                   j->resample, j->arena, j->pool, err);
    *picture = dense(rgb, width, height);
    return rc;
}

/* Tile 1 .. of the canvas [canvas->height, canvas->width, 3] -> to [tile->height, tile->width, 3]. */
static void cut_tile(const uint8_t *all, const pare__fit *canvas, const pare__fit *tile, uint8_t *to)
{
    const int64_t x = tile->crop_x - canvas->crop_x, y = tile->crop_y - canvas->crop_y;
    for (int64_t row = 0; row < tile->height; row++)
        memcpy(to + row * tile->width * 3, all + ((y + row) * canvas->width + x) * 3, (size_t)tile->width * 3);
}

static int make_tiles(const job *j, const pare_frame *picture, uint8_t *const *slot, pare_error *err)
{
    const pare__tiling *t = j->t;
    pare_frame whole = *picture;
    uint8_t *all = room(j, t->canvas.width, t->canvas.height, err);
    int rc = all ? bring(j, picture, &t->canvas, all, err) : PARE_E_NOMEM;
    if (!rc && t->whole_of_canvas) whole = dense(all, t->canvas.width, t->canvas.height);
    for (int32_t i = 0; !rc && i < pare__tiling_slots(t); i++) {
        pare__fit fit;
        pare__tiling_fit(t, i, &fit);
        if (pare__tiling_tile(t, i))
            cut_tile(all, &t->canvas, &fit, slot[i]);
        else
            rc = bring(j, &whole, &t->whole, slot[i], err);
    }
    return rc;
}

int pare__tiling_pixels(const pare__tiling *t, const pare_frame *frame, pare__resample resample, uint8_t *const *slot,
                        pare__arena *arena, pare__pool *pool, pare_error *err)
{
    const job j = {t, resample, arena, pool};
    const pare__mark mark = pare__arena_mark(arena);
    pare_frame picture = *frame;
    int rc = first_size(&j, &picture, err);
    if (!rc)
        rc = pare__tiling_slots(t) > 1 ? make_tiles(&j, &picture, slot, err)
                                       : bring(&j, &picture, &t->whole, slot[0], err);
    pare__arena_reset(arena, mark);
    return rc;
}
