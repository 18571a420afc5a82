/* SPDX-License-Identifier: MIT */
/* Decoded libav pictures as upright RGB. Private to source_av.c. */
#ifndef PARE_MEDIA_AV_PICTURE_H
#define PARE_MEDIA_AV_PICTURE_H

#include <pare/pare.h>

struct AVFrame;
struct SwsContext;

/* What a conversion context was made for. */
typedef struct pare__av_key {
    int width, height, format, space, range;
} pare__av_key;

/* Zeroed at the beginning. */
typedef struct pare__av_picture {
    struct SwsContext *sws;
    pare__av_key key;
    uint8_t *rgb, *upright; /* as stored [h, stride], and turned [h', w', 3] */
    size_t n_rgb, n_upright;
} pare__av_picture;

/* Degrees clockwise (0, 90, 180, 270) that make a picture with this display matrix [3, 3] upright; NULL: 0. */
int pare__av_rotation(const int32_t *matrix);

/* Fills rgb, stride, width, height and rotation of `out`, which borrows from `p` until the next call. `stream_rotation`
 * holds unless the frame says otherwise. */
int pare__av_picture_convert(pare__av_picture *p, const struct AVFrame *from, int stream_rotation, const char *path,
                             pare_frame *out, pare_error *err);
void pare__av_picture_free(pare__av_picture *p);

#endif
