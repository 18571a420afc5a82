/* SPDX-License-Identifier: MIT */
/* One opened container and its video stream, with a clock on it: who sends packets over a network, or from a camera, must
 * not fall silent. Private to source_av.c. */
#ifndef PARE_MEDIA_AV_DEMUX_H
#define PARE_MEDIA_AV_DEMUX_H

#include "media/av_pipe.h"

struct AVFormatContext;
struct AVStream;
struct AVPacket;

/* Zeroed at the beginning; stays where it is while it is open. */
typedef struct pare__av_demux {
    const pare__input *input; /* borrowed */
    pare__av_pipe *pipe;      /* what libav reads from, or NULL: it opens the input itself */
    struct AVFormatContext *context;
    struct AVStream *stream; /* the video stream; others are discarded by the demuxer */
    int32_t n_streams;       /* video streams, attached pictures excepted */
    int32_t index;           /* of them the one that is read, from 1 */
    int is_network, is_live; /* live: cannot be read twice */
    int64_t patience;        /* microseconds that a packet may take, 0 = any */
    int64_t deadline;        /* of the call under way, on the monotonic clock; 0 = none */
    int is_late;             /* a deadline has passed: libav gave up, though it may still hand out what it had */
} pare__av_demux;

int pare__av_demux_open(pare__av_demux *d, const pare__input *input, pare_error *err);
/* The next packet of the video stream: 0, or a libav error: AVERROR_EXIT when stopped or late. */
int pare__av_demux_read(pare__av_demux *d, struct AVPacket *packet);
/* Has the input an end, so that reaching it is no accident? */
int pare__av_demux_can_end(const pare__av_demux *d);
void pare__av_demux_close(pare__av_demux *d);

/* '`path`': `what`: the text of a libav error. NOMEM if it is that, else `code`. */
int pare__av_fail(int code, const char *path, const char *what, int av, pare_error *err);

#endif
