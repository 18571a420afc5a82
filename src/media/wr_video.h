/* SPDX-License-Identifier: MIT */
/* The encoders that the video writer tries, for tests: the public entry passes them all. */
#ifndef PARE_MEDIA_WR_VIDEO_H
#define PARE_MEDIA_WR_VIDEO_H

#include <pare/media.h>

/* pare_video_writer_open with a NULL-terminated list of encoder names in order of preference. */
int pare__video_writer_open_with(pare_video_writer **out, const char *path, int32_t width, int32_t height, double rate,
                                 const char *const *encoders, pare_error *err);

#endif
