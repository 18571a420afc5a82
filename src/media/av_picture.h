/* SPDX-License-Identifier: MIT */
/* Decoded libav pictures as upright RGB. Private to source_av.c. */
#ifndef PARE_MEDIA_AV_PICTURE_H
#define PARE_MEDIA_AV_PICTURE_H

#include "media/exif.h"
#include "media/source.h"

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
    pare__picture stored; /* as it lies in the file [h, stride], where it has to be turned */
} pare__av_picture;

/* What makes a picture with this display matrix [3, 3] upright, to the next quarter turn; NULL: nothing. */
pare__turn pare__av_turn(const int32_t *matrix);

/* Converts `from` into `to`, upright, and fills rgb, stride, width, height, rotation and mirrored of `out`. The turn of the
 * stream holds unless the frame says otherwise. */
int pare__av_picture_convert(pare__av_picture *p, const struct AVFrame *from, pare__turn of_stream, const char *path,
                             pare__picture *to, pare_frame *out, pare_error *err);
void pare__av_picture_free(pare__av_picture *p);

#endif
