/* SPDX-License-Identifier: MIT */
#include "core/frame_copy.h"

#include <string.h>

#include "core/error.h"
#include "core/mem.h"
#include "core/pixels_in.h"

static int64_t lines(int64_t bytes) { return (bytes + PARE__ALIGN - 1) / PARE__ALIGN * PARE__ALIGN; }

static int64_t mask_bytes(const pare_frame *f) { return f->mask ? (int64_t)f->mask_width * f->mask_height : 0; }

static int64_t score_bytes(const pare_frame *f)
{
    return f->scores ? (int64_t)f->scores_width * f->scores_height * (int64_t)sizeof(float) : 0;
}

static int64_t blocks(const pare_frame *f) { return f->motion ? (int64_t)f->motion->rows * f->motion->cols : 0; }

static uint8_t *put(uint8_t **at, const void *from, int64_t bytes)
{
    uint8_t *to = *at;
    if (!from) return NULL;
    memcpy(to, from, (size_t)bytes);
    *at += lines(bytes);
    return to;
}

static void put_planes(pare__frame_copy *to, const pare__plane *plane, int32_t n, uint8_t **at)
{
    for (int32_t i = 0; i < n; i++) {
        uint8_t *out = *at;
        for (int64_t y = 0; y < plane[i].rows; y++)
            memcpy(out + y * plane[i].bytes, plane[i].data + y * plane[i].stride, (size_t)plane[i].bytes);
        *(i ? &to->frame.plane[i - 1] : &to->frame.rgb) = out;
        *(i ? &to->frame.plane_stride[i - 1] : &to->frame.stride) = plane[i].bytes;
        *at += lines(plane[i].bytes * plane[i].rows);
    }
}

static void put_rest(pare__frame_copy *to, const pare_frame *f, uint8_t *at)
{
    to->frame.mask = put(&at, f->mask, mask_bytes(f));
    to->frame.scores = (const float *)(const void *)put(&at, f->scores, score_bytes(f));
    if (!f->motion) return;
    to->motion = *f->motion;
    to->motion.vector =
        (const int16_t *)(const void *)put(&at, f->motion->vector, 2 * blocks(f) * (int64_t)sizeof(int16_t));
    to->motion.kind = put(&at, f->motion->kind, blocks(f));
    to->frame.motion = &to->motion;
}

int pare__frame_copy_take(pare__frame_copy *to, const pare_frame *f, pare_error *err)
{
    pare__plane plane[PARE__MAX_PLANES];
    const int32_t n = pare__pixels_planes(f, plane);
    int64_t bytes = lines(mask_bytes(f)) + lines(score_bytes(f)) + lines(4 * blocks(f)) + lines(blocks(f));
    for (int32_t i = 0; i < n; i++) bytes += lines(plane[i].bytes * plane[i].rows);
    if (bytes > to->cap) {
        pare__free(to->data);
        to->data = pare__malloc(bytes, 1);
        to->cap = to->data ? bytes : 0;
        if (!to->data) return pare_fail(err, PARE_E_NOMEM, "no memory for a frame of %d x %d", f->width, f->height);
    }
    uint8_t *at = to->data;
    to->frame = *f;
    put_planes(to, plane, n, &at);
    put_rest(to, f, at);
    return 0;
}

void pare__frame_copy_fini(pare__frame_copy *copy)
{
    pare__free(copy->data);
    *copy = (pare__frame_copy){.cap = 0};
}
