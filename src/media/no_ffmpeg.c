/* SPDX-License-Identifier: MIT */
/* Stands in for source_av.c and wr_video.c in a build without FFmpeg: y4m, raw RGB and stills still work, everything
 * else says why it does not. */
#include "media/source.h"

static int probe(const pare__input *p)
{
    (void)p;
    return 1;
}

static int open_av(void **self, const pare__input *input, pare_source_info *info, pare_error *err)
{
    (void)self, (void)info;
    return pare_fail(err, PARE_E_UNSUPPORTED,
                     "cannot open '%.120s': this pare was built without FFmpeg and reads y4m, rgb24 and stills only",
                     input->path);
}

int pare_codec_get(int32_t i, pare_codec_info *out)
{
    (void)i;
    return out && out->struct_size >= sizeof out->struct_size ? PARE_E_NOTFOUND : PARE_E_INVALID;
}

int pare_video_writer_open(pare_video_writer **out, const char *path, int32_t width, int32_t height, double rate,
                           pare_error *err)
{
    (void)width, (void)height, (void)rate;
    *out = NULL;
    return pare_fail(err, PARE_E_UNSUPPORTED, "cannot write '%.160s': this pare was built without FFmpeg", path);
}

int pare_video_writer_append(pare_video_writer *w, const uint8_t *rgb, double pts, pare_error *err)
{
    (void)w, (void)rgb, (void)pts;
    return pare_fail(err, PARE_E_UNSUPPORTED, "video writer: this pare was built without FFmpeg");
}

int pare_video_writer_finish(pare_video_writer *w, pare_error *err)
{
    (void)w;
    return pare_fail(err, PARE_E_UNSUPPORTED, "video writer: this pare was built without FFmpeg");
}

void pare_video_writer_close(pare_video_writer **w)
{
    if (w) *w = NULL;
}

/* Only open is reached: it never succeeds. */
const pare__source_driver pare__source_av = {.name = "libav", .probe = probe, .open = open_av};
