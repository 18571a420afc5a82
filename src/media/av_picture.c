/* SPDX-License-Identifier: MIT */
/* libav picture -> upright RGB [h, w, 3] through swscale.
 *
 * Matrix and range are the frame's own; what it leaves unspecified is what the ffmpeg command assumes: BT.601, limited
 * (full for yuvj formats and grey). The flags are ffmpeg's default, bicubic, without accurate rounding: the results are
 * then bit-identical with torchcodec's reference frames. */
#include "media/av_picture.h"

#include <libavutil/display.h>
#include <libavutil/frame.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <string.h>

/* swscale's vector code works on whole groups of pixels: it writes past a row, and where the stride leaves no room for
 * the last group of a row (18 pixels, stride 64) it silently leaves those pixels out. */
enum { PIXEL_GROUP = 64 };

static const struct {
    enum AVPixelFormat full, plain;
} full_range_formats[] = {
    {AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUV420P}, {AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUV422P},
    {AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUV444P}, {AV_PIX_FMT_YUVJ440P, AV_PIX_FMT_YUV440P},
    {AV_PIX_FMT_YUVJ411P, AV_PIX_FMT_YUV411P},
};

static pare__av_key key_of(const AVFrame *f)
{
    pare__av_key key = {f->width, f->height, f->format, f->colorspace, f->color_range};
    for (size_t i = 0; i < sizeof full_range_formats / sizeof full_range_formats[0]; i++)
        if (key.format == full_range_formats[i].full) {
            key.format = full_range_formats[i].plain;
            key.range = AVCOL_RANGE_JPEG;
        }
    return key;
}

/* RGB sources have no matrix: swscale then refuses the question, which is no error. */
static void set_colours(struct SwsContext *sws, const pare__av_key *key)
{
    int *matrix, *to_matrix, range, to_range, brightness, contrast, saturation;
    if (sws_getColorspaceDetails(sws, &matrix, &range, &to_matrix, &to_range, &brightness, &contrast, &saturation) < 0)
        return;
    int space = key->space == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT : key->space;
    if (key->range == AVCOL_RANGE_JPEG) range = 1;
    if (key->range == AVCOL_RANGE_MPEG) range = 0;
    sws_setColorspaceDetails(sws, sws_getCoefficients(space), range, to_matrix, to_range, brightness, contrast,
                             saturation);
}

/* The stream may change its size or format at any frame. */
static int prepare(pare__av_picture *p, const AVFrame *f, const char *path, pare_error *err)
{
    pare__av_key key = key_of(f);
    if (p->sws && !memcmp(&key, &p->key, sizeof key)) return 0;
    int rc = pare__picture_check(path, f->width, f->height, err);
    if (rc) return rc;
    sws_freeContext(p->sws);
    p->key = key;
    p->sws = sws_getContext(f->width, f->height, key.format, f->width, f->height, AV_PIX_FMT_RGB24, SWS_BICUBIC, NULL,
                            NULL, NULL);
    if (!p->sws) {
        const char *name = av_get_pix_fmt_name(f->format);
        return pare_fail(err, PARE_E_UNSUPPORTED, "'%.120s': pixel format %s of %d x %d cannot be converted", path,
                         name ? name : "?", f->width, f->height);
    }
    set_colours(p->sws, &p->key);
    return 0;
}

/* A matrix of negative determinant mirrors: taken out left to right, what remains is a turn. */
pare__turn pare__av_turn(const int32_t *matrix)
{
    pare__turn turn = {0, 0};
    int32_t m[9];
    if (!matrix) return turn;
    memcpy(m, matrix, sizeof m);
    turn.mirrored = (double)m[0] * m[4] < (double)m[1] * m[3];
    if (turn.mirrored) m[0] = -m[0], m[1] = -m[1];
    const double degrees = -av_display_rotation_get(m);
    if (isnan(degrees)) return (pare__turn){0, 0};
    turn.rotation = (int)((lrint(degrees / 90) % 4 + 4) % 4) * 90;
    return turn;
}

static int make_upright(pare__turn turn, pare__picture *to, pare_frame *out, pare_error *err)
{
    int rc = pare__picture_reserve(to, (size_t)out->width * (size_t)out->height * 3, err);
    if (rc) return rc;
    pare__turn_pixels(out->rgb, out->stride, out->width, out->height, turn, to->rgb);
    const int is_quarter = turn.rotation % 180 != 0;
    const int32_t width = is_quarter ? out->height : out->width, height = is_quarter ? out->width : out->height;
    out->rgb = to->rgb;
    out->stride = (int64_t)width * 3;
    out->width = width;
    out->height = height;
    return 0;
}

int pare__av_picture_convert(pare__av_picture *p, const AVFrame *from, pare__turn of_stream, const char *path,
                             pare__picture *to, pare_frame *out, pare_error *err)
{
    int rc = prepare(p, from, path, err);
    if (rc) return rc;
    const AVFrameSideData *side = av_frame_get_side_data(from, AV_FRAME_DATA_DISPLAYMATRIX);
    const pare__turn turn = side ? pare__av_turn((const int32_t *)side->data) : of_stream;
    const int is_stored_upright = !turn.rotation && !turn.mirrored;
    pare__picture *rgb = is_stored_upright ? to : &p->stored;
    int64_t stride = ((int64_t)from->width + PIXEL_GROUP - 1) / PIXEL_GROUP * PIXEL_GROUP * 3;
    rc = pare__picture_reserve(rgb, (size_t)(stride * from->height) + PIXEL_GROUP, err);
    if (rc) return rc;
    uint8_t *planes[4] = {rgb->rgb};
    int strides[4] = {(int)stride};
    if (sws_scale(p->sws, (const uint8_t *const *)from->data, from->linesize, 0, from->height, planes, strides) < 1)
        return pare_fail(err, PARE_E_EXTERNAL, "'%.160s': swscale failed", path);
    out->rgb = rgb->rgb;
    out->stride = stride;
    out->width = from->width;
    out->height = from->height;
    out->rotation = turn.rotation;
    out->mirrored = turn.mirrored;
    return is_stored_upright ? 0 : make_upright(turn, to, out, err);
}

void pare__av_picture_free(pare__av_picture *p)
{
    sws_freeContext(p->sws);
    pare__picture_free(&p->stored);
    *p = (pare__av_picture){0};
}
