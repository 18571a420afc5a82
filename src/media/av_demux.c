/* SPDX-License-Identifier: MIT */
/* Containers, cameras and URLs through libavformat: see av_demux.h.
 *
 * libav asks while it waits whether to go on; the answer is no when the caller says stop, and when a network or a camera
 * has been silent for too long. Pipes wait in av_pipe.c. Names are resolved by the C library, which cannot be
 * interrupted. */
#include "media/av_demux.h"

#include <dlfcn.h>
#include <libavcodec/avcodec.h>
#include <libavdevice/avdevice.h>
#include <libavformat/avformat.h>
#include <libavutil/time.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_PATIENCE 10.0 /* seconds */
enum { RETRY_US = 2000, SECOND_US = 1000000 };

int pare__av_fail(int code, const char *path, const char *what, int av, pare_error *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(av, text, sizeof text);
    return pare_fail(err, av == AVERROR(ENOMEM) ? PARE_E_NOMEM : code, "'%.120s': %s: %s", path, what, text);
}

/* ---- waiting --------------------------------------------------------------------------------------------------- */

static int interrupted(void *opaque)
{
    pare__av_demux *d = opaque;
    if (d->deadline && av_gettime_relative() > d->deadline) d->is_late = 1;
    return d->is_late || pare__is_stopped(&d->input->stop);
}

static void begin_wait(pare__av_demux *d) { d->deadline = d->patience ? av_gettime_relative() + d->patience : 0; }

/* A file whose name looks like a URL is a file. */
static int is_network(const char *path)
{
    return strstr(path, "://") && strncmp(path, "file:", 5) && access(path, F_OK) != 0;
}

/* Sets how long the demuxer waits, and how much of that libav may spend on guessing. */
static void set_patience(pare__av_demux *d, const AVInputFormat *format)
{
    const double asked = d->input->opts->timeout;
    const int is_device = format && format->flags & AVFMT_NOFILE;
    d->is_network = is_network(d->input->path);
    if (!d->is_network && !is_device) return;
    d->patience = (int64_t)((asked > 0 ? asked : DEFAULT_PATIENCE) * SECOND_US);
    if (is_device) d->context->flags |= AVFMT_FLAG_NONBLOCK; /* a camera waits where nothing interrupts it */
    if (asked > 0 && asked < DEFAULT_PATIENCE) d->context->max_analyze_duration = d->patience / 2;
}

/* ---- options --------------------------------------------------------------------------------------------------- */

/* "-" is stdin; an existing file is named as such, because its name may contain a colon. Caller frees. */
static char *url_of(const char *path)
{
    if (!strcmp(path, "-")) return strdup("pipe:0");
    const char *prefix = access(path, F_OK) ? "" : "file:";
    size_t n = strlen(prefix) + strlen(path) + 1;
    char *url = malloc(n);
    if (url) snprintf(url, n, "%s%s", prefix, path);
    return url;
}

/* Cameras and screens are in a library of their own that brings a hundred others along: it is loaded when a reader is asked
 * for that libavformat does not know, and stays. */
static void add_devices(void)
{
    void *lib = dlopen("libavdevice.so." AV_STRINGIFY(LIBAVDEVICE_VERSION_MAJOR), RTLD_NOW | RTLD_LOCAL);
    void (*register_all)(void) = lib ? (void (*)(void))dlsym(lib, "avdevice_register_all") : NULL;
    if (register_all) register_all();
}

static int find_format(const AVInputFormat **format, const pare__input *input, pare_error *err)
{
    const char *name = input->opts->format;
    if (!name && !strncmp(input->path, "/dev/video", 10)) name = "v4l2";
    *format = name ? av_find_input_format(name) : NULL;
    if (name && !*format) {
        add_devices();
        *format = av_find_input_format(name);
    }
    if (name && !*format)
        return pare_fail(err, PARE_E_UNSUPPORTED, "'%.120s': no reader is called '%.40s'", input->path, name);
    return 0;
}

static int set_options(AVDictionary **options, const pare_source_opts *opts, const char *path)
{
    int rc = 0;
    if (opts->width > 0 && opts->height > 0) {
        char size[32];
        snprintf(size, sizeof size, "%dx%d", opts->width, opts->height);
        rc |= av_dict_set(options, "video_size", size, 0);
    }
    if (opts->rate > 0) {
        char rate[32];
        snprintf(rate, sizeof rate, "%.6f", opts->rate);
        rc |= av_dict_set(options, "framerate", rate, 0);
    }
    if (!strncmp(path, "rtsp:", 5)) rc |= av_dict_set(options, "rtsp_transport", "tcp", 0);
    return rc < 0 ? AVERROR(ENOMEM) : 0;
}

/* ---- the video stream ------------------------------------------------------------------------------------------ */

static int is_video(const AVStream *s)
{
    return s->codecpar->codec_type == AVMEDIA_TYPE_VIDEO && !(s->disposition & AV_DISPOSITION_ATTACHED_PIC);
}

/* Position in the file of the n-th video stream, from 1; -1. */
static int find_video(const AVFormatContext *c, int32_t n)
{
    for (unsigned i = 0; i < c->nb_streams; i++)
        if (is_video(c->streams[i]) && !--n) return (int)i;
    return -1;
}

/* How many video streams there are up to position `at`. */
static int32_t count_video(const AVFormatContext *c, int at)
{
    int32_t n = 0;
    for (int i = 0; i <= at; i++) n += is_video(c->streams[i]);
    return n;
}

/* libav's best one by resolution and frames, unless that is a cover. */
static int find_best(const AVFormatContext *c)
{
    AVFormatContext *own = (AVFormatContext *)(uintptr_t)c; /* older versions ask for a mutable one */
    const int best = av_find_best_stream(own, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    return best >= 0 && is_video(c->streams[best]) ? best : find_video(c, 1);
}

static int choose_stream(pare__av_demux *d, pare_error *err)
{
    const AVFormatContext *c = d->context;
    const char *path = d->input->path;
    const int32_t asked = d->input->opts->stream;
    d->n_streams = count_video(c, (int)c->nb_streams - 1);
    if (!d->n_streams) return pare_fail(err, PARE_E_FORMAT, "'%.160s' has no video stream", path);
    const int chosen = asked > 0 ? find_video(c, asked) : find_best(c);
    if (chosen < 0)
        return pare_fail(err, PARE_E_INVALID, "'%.120s': video stream %d was asked for, there are %d", path, asked,
                         d->n_streams);
    d->stream = c->streams[chosen];
    d->index = count_video(c, chosen);
    for (unsigned i = 0; i < c->nb_streams; i++)
        if ((int)i != chosen) c->streams[i]->discard = AVDISCARD_ALL;
    return 0;
}

/* ---- open and close -------------------------------------------------------------------------------------------- */

/* A context without input; where libav could not be interrupted while it waits, its input is ours. */
static int make_context(pare__av_demux *d, pare_error *err)
{
    d->context = avformat_alloc_context();
    if (!d->context) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    d->context->interrupt_callback = (AVIOInterruptCB){interrupted, d};
    if (!pare__av_is_pipe(d->input->path)) return 0;
    int rc = pare__av_pipe_open(&d->pipe, d->input, err);
    if (rc) return rc;
    d->context->pb = pare__av_pipe_io(d->pipe);
    d->context->flags |= AVFMT_FLAG_CUSTOM_IO;
    return 0;
}

static int fail_open(const pare__av_demux *d, int code, int av, pare_error *err)
{
    if (d->is_late)
        return pare_fail(err, PARE_E_IO, "'%.120s': cannot open: nothing came for %g s", d->input->path,
                         (double)d->patience / SECOND_US);
    return pare__av_fail(code, d->input->path, "cannot open", av, err);
}

static int open_context(pare__av_demux *d, const AVInputFormat *format, pare_error *err)
{
    AVDictionary *options = NULL;
    char *url = url_of(d->input->path);
    int av = url ? set_options(&options, d->input->opts, d->input->path) : AVERROR(ENOMEM);
    begin_wait(d);
    if (!av) av = avformat_open_input(&d->context, url, format, &options);
    int code = av == AVERROR_INVALIDDATA || av == AVERROR_EOF ? PARE_E_FORMAT : PARE_E_IO;
    free(url);
    av_dict_free(&options);
    if (!av) {
        begin_wait(d);
        av = avformat_find_stream_info(d->context, NULL);
        code = PARE_E_FORMAT;
    }
    if (av < 0 || d->is_late) return fail_open(d, code, av, err);
    return 0;
}

int pare__av_demux_open(pare__av_demux *d, const pare__input *input, pare_error *err)
{
    const AVInputFormat *format;
    *d = (pare__av_demux){.input = input};
    int rc = find_format(&format, input, err);
    if (!rc) rc = make_context(d, err);
    if (rc) return rc;
    set_patience(d, format);
    rc = open_context(d, format, err);
    if (rc) return rc;
    if (!input->opts->format && !strcmp(d->context->iformat->name, "tty"))
        return pare_fail(err, PARE_E_FORMAT, "'%.160s' is text; only format tty asks for a picture of it", input->path);
    d->is_live = !d->context->pb || !(d->context->pb->seekable & AVIO_SEEKABLE_NORMAL);
    return choose_stream(d, err);
}

void pare__av_demux_close(pare__av_demux *d)
{
    avformat_close_input(&d->context);
    pare__av_pipe_close(&d->pipe);
    d->stream = NULL;
}

/* ---- read ------------------------------------------------------------------------------------------------------ */

int pare__av_demux_read(pare__av_demux *d, AVPacket *packet)
{
    begin_wait(d);
    for (;;) {
        int av = av_read_frame(d->context, packet);
        if (av == AVERROR(EAGAIN) && !interrupted(d)) {
            av_usleep(RETRY_US);
            continue;
        }
        if (av < 0) return d->is_late || pare__is_stopped(&d->input->stop) ? AVERROR_EXIT : av;
        if (packet->stream_index == d->stream->index) return 0;
        av_packet_unref(packet);
    }
}

int pare__av_demux_can_end(const pare__av_demux *d)
{
    const AVFormatContext *c = d->context;
    return !d->is_network || c->duration > 0 || (c->pb && avio_size(c->pb) > 0);
}
