/* SPDX-License-Identifier: MIT */
/* AVMotionVector -> pare_motion.
 *
 *     vectors of parts (16x16 to 8x8, up to two lists) -> blocks of the stored picture -> blocks of the upright one
 *
 * libav's vector leads from a part to its reference, in 1 / motion_scale pixels; here it tells how the content moved, so
 * the sign turns over where the reference is an earlier picture. A macroblock without any vector is intra. Where the
 * stored side is no multiple of a block, the blocks of a turned picture lie across those of the stored one: each takes
 * the least predicted kind and the longest vector of what it covers.
 * Source: libavutil/motion_vector.h; which decoders tell: seen with FFmpeg 5.1 (tests/test_av_motion.c). */
#include "media/av_motion.h"

#include "media/exif.h"

#include <libavcodec/codec_id.h>
#include <libavutil/frame.h>
#include <libavutil/motion_vector.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 16, QUARTERS = 4 };

static const int told[] = {AV_CODEC_ID_H264,      AV_CODEC_ID_MPEG1VIDEO, AV_CODEC_ID_MPEG2VIDEO, AV_CODEC_ID_MPEG4,
                           AV_CODEC_ID_MSMPEG4V1, AV_CODEC_ID_MSMPEG4V2,  AV_CODEC_ID_MSMPEG4V3,  AV_CODEC_ID_WMV1,
                           AV_CODEC_ID_WMV2,      AV_CODEC_ID_H261,       AV_CODEC_ID_H263,       AV_CODEC_ID_H263P,
                           AV_CODEC_ID_FLV1,      AV_CODEC_ID_RV10,       AV_CODEC_ID_RV20};

int pare__av_has_motion(int id)
{
    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++)
        if (told[i] == id) return 1;
    return 0;
}

/* Blocks of a picture: vector [rows, cols, 2], kind [rows, cols]. */
typedef struct blocks {
    int32_t rows, cols;
    int16_t *vector;
    uint8_t *kind;
} blocks;

static int64_t length2(const int16_t v[2]) { return (int64_t)v[0] * v[0] + (int64_t)v[1] * v[1]; }

static int16_t quarters(int32_t motion, int32_t scale, int32_t source)
{
    const int64_t q = (int64_t)motion * QUARTERS / scale * (source < 0 ? -1 : 1);
    return (int16_t)(q < INT16_MIN ? INT16_MIN : q > INT16_MAX ? INT16_MAX : q);
}

/* ---- the stored picture ------------------------------------------------------------------------------------------ */

static void add_vector(const AVMotionVector *mv, blocks *b)
{
    const int32_t row = mv->dst_y / BLOCK, col = mv->dst_x / BLOCK;
    if (mv->dst_x < 0 || mv->dst_y < 0 || row >= b->rows || col >= b->cols || !mv->motion_scale) return;
    const int64_t i = (int64_t)row * b->cols + col;
    const int16_t v[2] = {quarters(mv->motion_x, mv->motion_scale, mv->source),
                          quarters(mv->motion_y, mv->motion_scale, mv->source)};
    const int moved = mv->motion_x || mv->motion_y;
    if (moved)
        b->kind[i] = PARE_BLOCK_MOVED;
    else if (b->kind[i] == PARE_BLOCK_INTRA)
        b->kind[i] = PARE_BLOCK_STILL;
    if (length2(v) > length2(b->vector + 2 * i)) memcpy(b->vector + 2 * i, v, sizeof v);
}

static void read_vectors(const AVFrame *f, blocks *b)
{
    const int64_t n_block = (int64_t)b->rows * b->cols;
    const AVFrameSideData *side = av_frame_get_side_data(f, AV_FRAME_DATA_MOTION_VECTORS);
    memset(b->vector, 0, (size_t)n_block * 2 * sizeof *b->vector);
    memset(b->kind, PARE_BLOCK_INTRA, (size_t)n_block);
    if (!side) return;
    const AVMotionVector *mv = (const AVMotionVector *)side->data;
    const size_t n = side->size / sizeof *mv;
    for (size_t i = 0; i < n; i++) add_vector(&mv[i], b);
}

/* ---- turned -------------------------------------------------------------------------------------------------------- */

/* A span [from, to) of `size` pixels, counted from the other end. */
static void count_back(int32_t span[2], int32_t size)
{
    const int32_t from = span[0];
    span[0] = size - span[1];
    span[1] = size - from;
}

/* The stored columns x and rows y that upright block (row, col) shows; w, h: stored pixels. */
static void stored_span(int32_t row, int32_t col, pare__turn turn, int32_t w, int32_t h, int32_t x[2], int32_t y[2])
{
    const int degrees = turn.rotation, is_quarter = degrees % 180 != 0;
    const int32_t up_w = is_quarter ? h : w, up_h = is_quarter ? w : h;
    int32_t across[2] = {col * BLOCK, col * BLOCK + BLOCK}, down[2] = {row * BLOCK, row * BLOCK + BLOCK};
    if (across[1] > up_w) across[1] = up_w;
    if (down[1] > up_h) down[1] = up_h;
    if (degrees == 90 || degrees == 180) count_back(across, up_w);
    if (degrees == 270 || degrees == 180) count_back(down, up_h);
    memcpy(x, is_quarter ? down : across, sizeof across);
    memcpy(y, is_quarter ? across : down, sizeof down);
    if (turn.mirrored) count_back(x, w);
}

static void turn_vector(int16_t v[2], pare__turn turn)
{
    const int16_t x = (int16_t)(turn.mirrored ? -v[0] : v[0]), y = v[1];
    v[0] = (int16_t)(turn.rotation == 90 ? -y : turn.rotation == 180 ? -x : turn.rotation == 270 ? y : x);
    v[1] = (int16_t)(turn.rotation == 90 ? x : turn.rotation == 180 ? -y : turn.rotation == 270 ? -x : y);
}

/* Least predicted kind and longest vector of the stored blocks under a span. */
static void gather(const blocks *from, const int32_t x[2], const int32_t y[2], uint8_t *kind, int16_t v[2])
{
    *kind = PARE_BLOCK_STILL;
    v[0] = v[1] = 0;
    for (int32_t r = y[0] / BLOCK; r * BLOCK < y[1]; r++)
        for (int32_t c = x[0] / BLOCK; c * BLOCK < x[1]; c++) {
            const int64_t i = (int64_t)r * from->cols + c;
            if (from->kind[i] < *kind) *kind = from->kind[i];
            if (length2(from->vector + 2 * i) > length2(v)) memcpy(v, from->vector + 2 * i, 2 * sizeof *v);
        }
}

static void turn_blocks(const blocks *from, pare__turn turn, int32_t w, int32_t h, const blocks *to)
{
    for (int32_t row = 0; row < to->rows; row++)
        for (int32_t col = 0; col < to->cols; col++) {
            const int64_t i = (int64_t)row * to->cols + col;
            int32_t x[2], y[2];
            stored_span(row, col, turn, w, h, x, y);
            gather(from, x, y, &to->kind[i], to->vector + 2 * i);
            if (to->kind[i] == PARE_BLOCK_INTRA) memset(to->vector + 2 * i, 0, 2 * sizeof *to->vector);
            turn_vector(to->vector + 2 * i, turn);
        }
}

/* ---- a frame ------------------------------------------------------------------------------------------------------- */

static int32_t type_of(const AVFrame *f)
{
    switch (f->pict_type) {
    case AV_PICTURE_TYPE_I:
    case AV_PICTURE_TYPE_SI:
        return 'I';
    case AV_PICTURE_TYPE_P:
    case AV_PICTURE_TYPE_S:
    case AV_PICTURE_TYPE_SP:
        return 'P';
    case AV_PICTURE_TYPE_B:
    case AV_PICTURE_TYPE_BI:
        return 'B';
    default:
        return 0;
    }
}

int pare__av_motion_take(pare__motion_room *to, const AVFrame *from, pare_frame *out, pare_error *err)
{
    const pare__turn turn = {.mirrored = out->mirrored, .rotation = out->rotation};
    const int32_t rows = (from->height + BLOCK - 1) / BLOCK, cols = (from->width + BLOCK - 1) / BLOCK;
    const int is_quarter = turn.rotation % 180 != 0, is_turned = turn.rotation || turn.mirrored;
    const size_t n = (size_t)rows * (size_t)cols;
    const int rc = pare__motion_reserve(to, n, err);
    if (rc) return rc;
    /* room for two: the blocks that are handed out, and the stored ones behind them where they are turned or mirrored */
    blocks stored = {rows, cols, is_turned ? to->vector + 2 * n : to->vector, is_turned ? to->kind + n : to->kind};
    const blocks upright = {is_quarter ? cols : rows, is_quarter ? rows : cols, to->vector, to->kind};
    read_vectors(from, &stored);
    if (is_turned) turn_blocks(&stored, turn, from->width, from->height, &upright);
    to->motion = (pare_motion){.struct_size = sizeof to->motion,
                               .frame_type = type_of(from),
                               .block = BLOCK,
                               .rows = upright.rows,
                               .cols = upright.cols,
                               .vector = to->vector,
                               .kind = to->kind};
    out->motion = &to->motion;
    return 0;
}
