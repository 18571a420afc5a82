/* SPDX-License-Identifier: MIT */
/* Pipes as input for libav. libav itself waits for them inside read(), which nothing but a signal in that very thread
 * ends; here a wait sees the stop flag. Private to source_av.c. */
#ifndef PARE_MEDIA_AV_PIPE_H
#define PARE_MEDIA_AV_PIPE_H

#include "media/source.h"

struct AVIOContext;
typedef struct pare__av_pipe pare__av_pipe;

/* Standard input ("-") and named pipes. */
int pare__av_is_pipe(const char *path);

int pare__av_pipe_open(pare__av_pipe **out, const pare__input *input, pare_error *err);
/* What a demuxer reads from; borrowed. */
struct AVIOContext *pare__av_pipe_io(const pare__av_pipe *p);
/* After the demuxer. NULL inside is allowed. */
void pare__av_pipe_close(pare__av_pipe **p);

#endif
