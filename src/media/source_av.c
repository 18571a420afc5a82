/* SPDX-License-Identifier: MIT */
/* Any file, camera or URL that libav opens: demux, decode, frames in presentation order with their real stamps.
 *
 * The best video stream is read, others are discarded by the demuxer. A frame's time is its best-effort stamp times the
 * stream's time base, as the file has it; a stream without stamps continues by frame durations. A packet or frame that
 * the decoder reports as damaged is counted and skipped; what it conceals is delivered. A file that breaks off in its
 * middle ends there, a live input that does is an error.
 * FFmpeg logs to stderr by default; the first open silences it, unless the host has set a level of its own. */
#include "media/av_pipe.h"
#include "media/av_picture.h"
#include "media/source.h"

#include <dlfcn.h>
#include <libavcodec/avcodec.h>
#include <libavdevice/avdevice.h>
#include <libavformat/avformat.h>
#include <libavutil/time.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
#define FRAME_DURATION(f) ((f)->duration)
#else
#define FRAME_DURATION(f) ((f)->pkt_duration)
#endif

enum { MAX_FAILURES = 64, RETRY_US = 2000 };

typedef struct av_source {
    const pare__input *input; /* borrowed from pare_source, like path, opts and info */
    const char *path;
    const pare_source_opts *opts;
    pare_source_info *info;
    pare__av_pipe *pipe; /* what demux reads from, or NULL: libav opens it itself */
    AVFormatContext *demux;
    AVStream *stream;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *picture;
    pare__av_picture rgb;
    int rotation;    /* of the stream */
    int drained;     /* the decoder has been told that nothing follows */
    int n_failures;  /* in a row */
    double next_pts; /* of a frame that has no stamp */
} av_source;

static int fail_av(int code, const char *path, const char *what, int av, pare_error *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(av, text, sizeof text);
    return pare_fail(err, av == AVERROR(ENOMEM) ? PARE_E_NOMEM : code, "'%.120s': %s: %s", path, what, text);
}

static double seconds(int64_t ticks, AVRational base) { return (double)ticks * base.num / base.den; }

/* ---- open ------------------------------------------------------------------------------------------------------ */

static int interrupted(void *opaque)
{
    const av_source *s = opaque;
    return pare__is_stopped(&s->input->stop);
}

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

static int find_demuxer(const char **name, const AVInputFormat **format, const char *path, pare_error *err)
{
    if (!*name && !strncmp(path, "/dev/video", 10)) *name = "v4l2";
    *format = *name ? av_find_input_format(*name) : NULL;
    if (*name && !*format) {
        add_devices();
        *format = av_find_input_format(*name);
    }
    if (*name && !*format)
        return pare_fail(err, PARE_E_UNSUPPORTED, "'%.120s': no reader is called '%.40s'", path, *name);
    return 0;
}

static int set_demuxer_options(AVDictionary **options, const pare_source_opts *opts, const char *path)
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

/* A context without input; where libav could not be interrupted while it waits, its input is ours. */
static int make_demuxer(av_source *s, pare_error *err)
{
    s->demux = avformat_alloc_context();
    if (!s->demux) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    s->demux->interrupt_callback = (AVIOInterruptCB){interrupted, s};
    if (!pare__av_is_pipe(s->path)) return 0;
    int rc = pare__av_pipe_open(&s->pipe, s->input, err);
    if (rc) return rc;
    s->demux->pb = pare__av_pipe_io(s->pipe);
    s->demux->flags |= AVFMT_FLAG_CUSTOM_IO;
    return 0;
}

/* Opens the container and finds its video stream; used for reading and, a second time, for listing stamps. */
static int open_demuxer(av_source *s, pare_error *err)
{
    const char *name = s->opts->format;
    const AVInputFormat *format;
    AVDictionary *options = NULL;
    int rc = find_demuxer(&name, &format, s->path, err);
    if (!rc) rc = make_demuxer(s, err);
    if (rc) return rc;
    char *url = url_of(s->path);
    int av = url ? set_demuxer_options(&options, s->opts, s->path) : AVERROR(ENOMEM);
    if (!av) av = avformat_open_input(&s->demux, url, format, &options);
    int code = av == AVERROR_INVALIDDATA || av == AVERROR_EOF ? PARE_E_FORMAT : PARE_E_IO;
    if (!av) av = avformat_find_stream_info(s->demux, NULL), code = PARE_E_FORMAT;
    free(url);
    av_dict_free(&options);
    if (av < 0) return fail_av(code, s->path, "cannot open", av, err);
    if (!s->opts->format && !strcmp(s->demux->iformat->name, "tty"))
        return pare_fail(err, PARE_E_FORMAT, "'%.160s' is text; only format tty asks for a picture of it", s->path);
    int best = av_find_best_stream(s->demux, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (best < 0) return pare_fail(err, PARE_E_FORMAT, "'%.160s' has no video stream", s->path);
    s->stream = s->demux->streams[best];
    for (unsigned i = 0; i < s->demux->nb_streams; i++)
        if ((int)i != best) s->demux->streams[i]->discard = AVDISCARD_ALL;
    return 0;
}

static int open_decoder(av_source *s, pare_error *err)
{
    const AVCodecParameters *par = s->stream->codecpar;
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (!codec)
        return pare_fail(err, PARE_E_UNSUPPORTED, "'%.120s': this FFmpeg has no decoder for %s", s->path,
                         avcodec_get_name(par->codec_id));
    s->decoder = avcodec_alloc_context3(codec);
    s->packet = av_packet_alloc();
    s->picture = av_frame_alloc();
    if (!s->decoder || !s->packet || !s->picture) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    int av = avcodec_parameters_to_context(s->decoder, par);
    s->decoder->pkt_timebase = s->stream->time_base;
    s->decoder->thread_count = s->opts->n_threads;
    s->decoder->thread_type = FF_THREAD_FRAME | FF_THREAD_SLICE;
    if (av >= 0) av = avcodec_open2(s->decoder, codec, NULL);
    return av < 0 ? fail_av(PARE_E_EXTERNAL, s->path, "cannot open the decoder", av, err) : 0;
}

static int is_still(const AVFormatContext *demux)
{
    const char *name = demux->iformat->name, *pipe = strstr(name, "_pipe");
    return (pipe && !pipe[5]) || !strcmp(name, "image2");
}

static void describe(av_source *s)
{
    pare_source_info *info = s->info;
    const AVCodecParameters *par = s->stream->codecpar;
    int turned = s->rotation == 90 || s->rotation == 270;
    AVRational rate = av_guess_frame_rate(s->demux, s->stream, NULL);
    if (s->stream->avg_frame_rate.num > 0) rate = s->stream->avg_frame_rate;
    info->codec = avcodec_get_name(par->codec_id);
    info->width = turned ? par->height : par->width;
    info->height = turned ? par->width : par->height;
    info->rotation = s->rotation;
    info->is_image = is_still(s->demux);
    info->is_live = !s->demux->pb || !(s->demux->pb->seekable & AVIO_SEEKABLE_NORMAL);
    info->rate = rate.num > 0 && rate.den > 0 && !info->is_image ? av_q2d(rate) : 0;
    if (s->stream->duration > 0)
        info->duration = seconds(s->stream->duration, s->stream->time_base);
    else if (s->demux->duration > 0)
        info->duration = seconds(s->demux->duration, AV_TIME_BASE_Q);
}

static void close_av(void *self)
{
    av_source *s = self;
    avcodec_free_context(&s->decoder);
    avformat_close_input(&s->demux);
    pare__av_pipe_close(&s->pipe);
    av_packet_free(&s->packet);
    av_frame_free(&s->picture);
    pare__av_picture_free(&s->rgb);
    free(s);
}

static int open_av(void **self, const pare__input *input, pare_source_info *info, pare_error *err)
{
    av_source *s = calloc(1, sizeof *s);
    if (!s) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    if (av_log_get_level() == AV_LOG_INFO) av_log_set_level(AV_LOG_QUIET);
    *s = (av_source){.input = input, .path = input->path, .opts = input->opts, .info = info};
    int rc = open_demuxer(s, err);
    if (rc) goto fail;
    rc = open_decoder(s, err);
    if (rc) goto fail;
    s->rotation =
        pare__av_rotation((const int32_t *)av_stream_get_side_data(s->stream, AV_PKT_DATA_DISPLAYMATRIX, NULL));
    describe(s);
    if (info->width > 0) rc = pare__picture_check(s->path, info->width, info->height, err);
    if (rc) goto fail;
    *self = s;
    return 0;
fail:
    close_av(s);
    return rc;
}

/* ---- read ------------------------------------------------------------------------------------------------------ */

/* The next packet of the video stream: 0, or a libav error. */
static int read_packet(av_source *s)
{
    for (;;) {
        int av = av_read_frame(s->demux, s->packet);
        if (av == AVERROR(EAGAIN) && !interrupted(s)) {
            av_usleep(RETRY_US);
            continue;
        }
        if (av < 0 || s->packet->stream_index == s->stream->index) return av;
        av_packet_unref(s->packet);
    }
}

/* What a failure to read means: 1 = try the next packet, 0 = the stream ends here, or an error. */
static int judge_read(av_source *s, int av, pare_error *err)
{
    if (av == AVERROR_EOF) return 0;
    if (av == AVERROR(ENOMEM) || av == AVERROR_EXIT || s->info->is_live)
        return fail_av(PARE_E_IO, s->path, "cannot read on", av, err);
    s->info->n_damaged++;
    return av == AVERROR_INVALIDDATA && ++s->n_failures < MAX_FAILURES;
}

static int count_damage(av_source *s, int av, pare_error *err)
{
    if (av == AVERROR(ENOMEM)) return fail_av(PARE_E_NOMEM, s->path, "cannot decode", av, err);
    s->info->n_damaged++;
    return 0;
}

/* Gives the decoder one more packet, or tells it that there are none. */
static int feed(av_source *s, pare_error *err)
{
    int av = read_packet(s), again = av < 0 ? judge_read(s, av, err) : 0;
    if (again < 0) return again;
    if (again) return 0;
    s->drained = av < 0;
    av = avcodec_send_packet(s->decoder, s->drained ? NULL : s->packet);
    av_packet_unref(s->packet);
    return av < 0 ? count_damage(s, av, err) : 0;
}

/* 0 and a picture, PARE_EOF, or an error. */
static int decode(av_source *s, pare_error *err)
{
    for (;;) {
        int av = avcodec_receive_frame(s->decoder, s->picture), rc = 0;
        if (!av && !(s->picture->flags & AV_FRAME_FLAG_CORRUPT)) return 0;
        if (av == AVERROR_EOF || (s->drained && ++s->n_failures > MAX_FAILURES)) return PARE_EOF;
        if (av == AVERROR(EAGAIN))
            rc = feed(s, err);
        else
            rc = count_damage(s, av, err);
        if (rc) return rc;
    }
}

static int next(void *self, pare_frame *frame, pare_error *err)
{
    av_source *s = self;
    int rc = decode(s, err);
    if (rc) return rc;
    *frame = (pare_frame){.struct_size = sizeof *frame};
    const AVFrame *f = s->picture;
    AVRational base = s->stream->time_base;
    frame->duration = FRAME_DURATION(f) > 0 ? seconds(FRAME_DURATION(f), base)
                      : s->info->rate > 0   ? 1 / s->info->rate
                                            : 0;
    frame->pts = f->best_effort_timestamp == AV_NOPTS_VALUE ? s->next_pts : seconds(f->best_effort_timestamp, base);
    s->next_pts = frame->pts + frame->duration;
    s->n_failures = 0;
    return 0;
}

static int pixels(void *self, pare__picture *to, pare_frame *frame, pare_error *err)
{
    av_source *s = self;
    return pare__av_picture_convert(&s->rgb, s->picture, s->rotation, s->path, to, frame, err);
}

static int seek(void *self, double pts, pare_error *err)
{
    av_source *s = self;
    int64_t ticks = (int64_t)floor(pts * s->stream->time_base.den / s->stream->time_base.num);
    int av = avformat_seek_file(s->demux, s->stream->index, INT64_MIN, ticks, ticks, 0);
    if (av < 0) return fail_av(PARE_E_IO, s->path, "cannot seek", av, err);
    avcodec_flush_buffers(s->decoder);
    s->drained = s->n_failures = 0;
    return 0;
}

/* ---- stamps ---------------------------------------------------------------------------------------------------- */

/* Packets instead of frames: nothing is decoded. Hidden and damaged frames make this an estimate. */
static int add_packets(av_source *s, pare__stamps *out, pare_error *err)
{
    AVRational base = s->stream->time_base;
    for (;;) {
        int av = read_packet(s), again = av < 0 ? judge_read(s, av, err) : 0;
        if (again < 0) return again;
        if (again) continue;
        if (av < 0) return 0;
        const AVPacket *p = s->packet;
        int64_t ticks = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;
        double pts = ticks != AV_NOPTS_VALUE ? seconds(ticks, base) : s->next_pts;
        int rc = p->flags & AV_PKT_FLAG_DISCARD ? 0 : pare__stamps_add(out, pts, err);
        double step = p->duration > 0 ? seconds(p->duration, base) : s->info->rate > 0 ? 1 / s->info->rate : 0;
        s->next_pts = pts + step;
        av_packet_unref(s->packet);
        if (rc) return rc;
    }
}

static int stamps(void *self, pare__stamps *out, pare_error *err)
{
    const av_source *s = self;
    pare_source_info info = *s->info;
    av_source *second = calloc(1, sizeof *second);
    if (!second) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    *second = (av_source){.input = s->input, .path = s->path, .opts = s->opts, .info = &info};
    second->packet = av_packet_alloc();
    int rc = second->packet ? open_demuxer(second, err) : pare_fail(err, PARE_E_NOMEM, "out of memory");
    if (!rc) rc = add_packets(second, out, err);
    close_av(second);
    return rc;
}

/* The reader of last resort: its own probing is the best there is. */
static int probe(const pare__probe *p)
{
    (void)p;
    return 2;
}

const pare__source_driver pare__source_av = {
    .name = "libav",
    .probe = probe,
    .open = open_av,
    .next = next,
    .pixels = pixels,
    .seek = seek,
    .stamps = stamps,
    .close = close_av,
};
