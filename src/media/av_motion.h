/* SPDX-License-Identifier: MIT */
/* What a decoder predicted a frame from: libav's motion vectors as blocks of the upright picture. Private to
 * source_av.c and av_codecs.c. */
#ifndef PARE_MEDIA_AV_MOTION_H
#define PARE_MEDIA_AV_MOTION_H

#include "media/source.h"

struct AVFrame;

/* Does this decoder of libav tell its vectors? `id` is an AVCodecID. */
int pare__av_has_motion(int id);

/* Fills `to` with what `from` tells, mirrored and turned as out->mirrored and out->rotation say, and points out->motion
 * at it. A frame without vectors is all intra. */
int pare__av_motion_take(pare__motion_room *to, const struct AVFrame *from, pare_frame *out, pare_error *err);

#endif
