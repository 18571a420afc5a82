/* SPDX-License-Identifier: MIT */
/* Writes RGB frames as video: H.264 (libx264, else MPEG-4 part 2, else the container's own codec) in MP4, MOV, MKV, TS
 * or WebM: containers that keep any time stamps. yuv420p, BT.709, limited range, tagged as such; odd sides
 * are padded by repeating the last column or row. Stamps are kept, in units of 1 / 90000 s (1 / 30000 s for MPEG-4).
 * The file grows without a name in the folder of the target, is named and renamed when finished; where the file system
 * knows no such files it grows under the temporary name. */
#include "media/source.h"
#include "media/wr_video.h"

#include <errno.h>
#include <fcntl.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_RATE 25.0
#define MAX_SECONDS 1e9
enum { MAX_TRIES = 100, FD_NAME = 40, PIXEL_GROUP = 64 }; /* rows of whole groups, for swscale's vector code */

struct pare_video_writer {
    char *path;   /* as the caller named it */
    char *target; /* the file it means: links followed, so that renaming replaces the file and not the link */
    char *tmp;    /* its name on disk, while it has one that has to go */
    int fd;       /* the file that grows; -1 = none */
    AVFormatContext *mux;
    AVStream *stream;
    AVCodecContext *encoder;
    struct SwsContext *sws;
    AVFrame *picture;
    AVPacket *packet;
    uint8_t *padded; /* [encoder height, stride] RGB */
    int64_t stride;
    int32_t width, height; /* of the frames that come in */
    double rate;
    int64_t last_tick, n_frames;
    int failed, finished;
};

static int fail_av(const pare_video_writer *w, const char *what, int av, pare_error *err)
{
    char text[AV_ERROR_MAX_STRING_SIZE] = "";
    av_strerror(av, text, sizeof text);
    return pare_fail(err, av == AVERROR(ENOMEM) ? PARE_E_NOMEM : PARE_E_IO, "'%.120s': %s: %s", w->path, what, text);
}

/* ---- the temporary file ---------------------------------------------------------------------------------------- */

/* Renaming over a device would replace it, and containers want to seek: only regular files are targets. */
static int check_target(const char *path, pare_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))
        return pare_fail(err, PARE_E_IO, "cannot write '%.160s': it is not a regular file", path);
    return 0;
}

/* The folder of the target; caller frees. */
static char *folder_of(const char *target)
{
    const char *slash = strrchr(target, '/');
    if (!slash) return strdup(".");
    return strndup(target, slash > target ? (size_t)(slash - target) : 1);
}

/* A file without a name, which a process that is killed leaves nothing of. -1 where the file system has none. */
static int open_unnamed(const char *target)
{
    char *folder = access("/proc/self/fd", X_OK) ? NULL : folder_of(target);
    int fd = folder ? open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666) : -1;
    free(folder);
    return fd;
}

static int create_file(const pare_video_writer *w, const char *name)
{
    (void)w;
    return open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
}

static int link_file(const pare_video_writer *w, const char *name)
{
    char from[FD_NAME];
    snprintf(from, sizeof from, "/proc/self/fd/%d", w->fd);
    return linkat(AT_FDCWD, from, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

/* Calls `make` with names beside the target until one is free: that is w->tmp then. What `make` returned, or -1 and errno. */
static int name_tmp(pare_video_writer *w, int (*make)(const pare_video_writer *w, const char *name))
{
    const size_t n = strlen(w->target) + 40;
    char *tmp = malloc(n);
    int made = -1;
    errno = ENOMEM;
    for (int i = 0; tmp && i < MAX_TRIES; i++) {
        snprintf(tmp, n, "%s.%ld-%d.tmp", w->target, (long)getpid(), i);
        made = make(w, tmp);
        if (made >= 0 || errno != EEXIST) break;
    }
    if (made >= 0) {
        w->tmp = tmp;
        return made;
    }
    const int why = errno;
    free(tmp);
    errno = why;
    return -1;
}

static int create_output(pare_video_writer *w, pare_error *err)
{
    struct stat old;
    char *real = realpath(w->path, NULL);
    w->target = real ? real : strdup(w->path);
    if (!w->target) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    w->fd = open_unnamed(w->target);
    if (w->fd < 0) w->fd = name_tmp(w, create_file);
    if (w->fd < 0) return pare_fail(err, PARE_E_IO, "cannot write '%.160s': %s", w->path, strerror(errno));
    /* Not every file system has permissions; the default ones do then. */
    if (!stat(w->target, &old) && fchmod(w->fd, old.st_mode & 07777)) errno = 0;
    return 0;
}

/* libav opens what the descriptor stands for, or the name. */
static int open_output(pare_video_writer *w, pare_error *err)
{
    int rc = create_output(w, err);
    if (rc) return rc;
    size_t n = (w->tmp ? strlen(w->tmp) : FD_NAME) + sizeof "file:";
    char *url = malloc(n);
    if (!url) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    if (w->tmp)
        snprintf(url, n, "file:%s", w->tmp);
    else
        snprintf(url, n, "file:/proc/self/fd/%d", w->fd);
    int av = avio_open(&w->mux->pb, url, AVIO_FLAG_WRITE);
    free(url);
    return av < 0 ? fail_av(w, "cannot write", av, err) : 0;
}

static void remove_tmp(pare_video_writer *w)
{
    if (w->tmp) unlink(w->tmp);
    free(w->tmp);
    w->tmp = NULL;
}

static int publish(pare_video_writer *w, pare_error *err)
{
    int bad = fsync(w->fd) || (!w->tmp && name_tmp(w, link_file) < 0);
    int code = errno;
    if (close(w->fd) && !bad) bad = 1, code = errno;
    w->fd = -1;
    if (!bad && rename(w->tmp, w->target)) bad = 1, code = errno;
    if (bad) return pare_fail(err, PARE_E_IO, "cannot write '%.160s': %s", w->path, strerror(code));
    free(w->tmp);
    w->tmp = NULL;
    return 0;
}

/* ---- encoder --------------------------------------------------------------------------------------------------- */

/* The first of the named encoders that exists and fits the container (as far as it knows), else its default. */
static const AVCodec *choose_encoder(const AVOutputFormat *format, const char *const *names)
{
    for (; *names; names++) {
        const AVCodec *codec = avcodec_find_encoder_by_name(*names);
        if (codec && avformat_query_codec(format, codec->id, FF_COMPLIANCE_NORMAL) != 0) return codec;
    }
    return avcodec_find_encoder(format->video_codec);
}

static void set_quality(AVCodecContext *c)
{
    if (c->codec_id == AV_CODEC_ID_H264) {
        av_opt_set(c->priv_data, "preset", "veryfast", 0);
        av_opt_set(c->priv_data, "crf", "20", 0);
    } else if (c->codec_id == AV_CODEC_ID_MPEG4) {
        c->flags |= AV_CODEC_FLAG_QSCALE;
        c->global_quality = FF_QP2LAMBDA * 3;
    } else {
        c->bit_rate = (int64_t)c->width * c->height * 4;
    }
}

static int open_encoder(pare_video_writer *w, const AVCodec *codec, pare_error *err)
{
    AVCodecContext *c = w->encoder = avcodec_alloc_context3(codec);
    if (!c) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    c->width = (w->width + 1) & ~1;
    c->height = (w->height + 1) & ~1;
    c->pix_fmt = AV_PIX_FMT_YUV420P;
    c->time_base = (AVRational){1, codec->id == AV_CODEC_ID_MPEG4 ? 30000 : 90000}; /* its limit is 65535 */
    c->framerate = av_d2q(w->rate, 1000000);
    c->colorspace = AVCOL_SPC_BT709;
    c->color_primaries = AVCOL_PRI_BT709;
    c->color_trc = AVCOL_TRC_BT709;
    c->color_range = AVCOL_RANGE_MPEG;
    if (w->mux->oformat->flags & AVFMT_GLOBALHEADER) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    set_quality(c);
    int av = avcodec_open2(c, codec, NULL);
    return av < 0 ? fail_av(w, codec->name, av, err) : 0;
}

static int open_container(pare_video_writer *w, const char *const *encoders, pare_error *err)
{
    static const char *const suffix[] = {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".ts"};
    int known = pare__has_suffix(w->path, suffix, sizeof suffix / sizeof suffix[0]);
    const AVOutputFormat *format = known ? av_guess_format(NULL, w->path, NULL) : NULL;
    const AVCodec *codec = format ? choose_encoder(format, encoders) : NULL;
    if (!codec)
        return pare_fail(err, PARE_E_UNSUPPORTED,
                         "'%.140s': cannot write this kind of video (.mp4 .mov .mkv .webm .ts)", w->path);
    int av = avformat_alloc_output_context2(&w->mux, format, NULL, NULL);
    if (av < 0) return fail_av(w, "cannot write", av, err);
    int rc = open_encoder(w, codec, err);
    if (rc) return rc;
    w->stream = avformat_new_stream(w->mux, NULL);
    if (!w->stream) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    w->stream->time_base = w->encoder->time_base;
    w->stream->avg_frame_rate = w->encoder->framerate;
    av = avcodec_parameters_from_context(w->stream->codecpar, w->encoder);
    if (av < 0) return fail_av(w, "cannot write", av, err);
    rc = open_output(w, err);
    if (rc) return rc;
    av = avformat_write_header(w->mux, NULL);
    return av < 0 ? fail_av(w, "cannot write", av, err) : 0;
}

static int open_picture(pare_video_writer *w, pare_error *err)
{
    AVCodecContext *c = w->encoder;
    w->stride = ((int64_t)c->width + PIXEL_GROUP - 1) / PIXEL_GROUP * PIXEL_GROUP * 3;
    w->padded = av_mallocz((size_t)(w->stride * c->height) + PIXEL_GROUP);
    w->packet = av_packet_alloc();
    AVFrame *f = w->picture = av_frame_alloc();
    w->sws = sws_getContext(c->width, c->height, AV_PIX_FMT_RGB24, c->width, c->height, c->pix_fmt,
                            SWS_BICUBIC | SWS_ACCURATE_RND, NULL, NULL, NULL);
    if (!w->padded || !w->packet || !f || !w->sws) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    const int *matrix = sws_getCoefficients(SWS_CS_ITU709);
    sws_setColorspaceDetails(w->sws, matrix, 1, matrix, 0, 0, 1 << 16, 1 << 16);
    f->format = c->pix_fmt;
    f->width = c->width;
    f->height = c->height;
    f->colorspace = c->colorspace;
    f->color_range = c->color_range;
    int av = av_frame_get_buffer(f, 0);
    return av < 0 ? fail_av(w, "cannot encode", av, err) : 0;
}

/* ---- append ---------------------------------------------------------------------------------------------------- */

/* Copies RGB [height, width, 3] into the padded buffer, repeating the last column and row of odd sizes. */
static void pad(pare_video_writer *w, const uint8_t *rgb)
{
    int64_t row = (int64_t)w->width * 3;
    for (int32_t y = 0; y < w->encoder->height; y++) {
        const uint8_t *from = rgb + (y < w->height ? y : w->height - 1) * row;
        uint8_t *to = w->padded + y * w->stride;
        memcpy(to, from, (size_t)row);
        if (w->encoder->width > w->width) memcpy(to + row, from + row - 3, 3);
    }
}

/* Sends one picture, or NULL to drain, and writes every packet that is ready. */
static int encode(pare_video_writer *w, const AVFrame *picture, pare_error *err)
{
    int64_t step = llrint(w->encoder->time_base.den / w->rate);
    int av = avcodec_send_frame(w->encoder, picture);
    while (av >= 0) {
        av = avcodec_receive_packet(w->encoder, w->packet);
        if (av == AVERROR(EAGAIN) || av == AVERROR_EOF) return 0;
        if (av < 0) break;
        w->packet->duration = step;
        w->packet->stream_index = w->stream->index;
        av_packet_rescale_ts(w->packet, w->encoder->time_base, w->stream->time_base);
        av = av_interleaved_write_frame(w->mux, w->packet);
        if (av >= 0) av = w->mux->pb->error;
    }
    return fail_av(w, "cannot write", av, err);
}

/* Damaged clips repeat stamps or step back; a stamp that is not after the previous one moves just behind it. */
static int next_tick(const pare_video_writer *w, double pts, int64_t *tick, pare_error *err)
{
    if (!(fabs(pts) <= MAX_SECONDS))
        return pare_fail(err, PARE_E_INVALID, "'%.120s': frame %lld has the time %g s", w->path, (long long)w->n_frames,
                         pts);
    *tick = llrint(pts * w->encoder->time_base.den);
    if (w->n_frames && *tick <= w->last_tick) *tick = w->last_tick + 1;
    return 0;
}

static int append(pare_video_writer *w, const uint8_t *rgb, int64_t tick, pare_error *err)
{
    int av = av_frame_make_writable(w->picture);
    if (av < 0) return fail_av(w, "cannot encode", av, err);
    pad(w, rgb);
    const uint8_t *planes[4] = {w->padded};
    int strides[4] = {(int)w->stride};
    if (sws_scale(w->sws, planes, strides, 0, w->encoder->height, w->picture->data, w->picture->linesize) < 1)
        return pare_fail(err, PARE_E_EXTERNAL, "'%.160s': swscale failed", w->path);
    w->picture->pts = w->last_tick = tick;
    w->n_frames++;
    return encode(w, w->picture, err);
}

int pare_video_writer_append(pare_video_writer *w, const uint8_t *rgb, double pts, pare_error *err)
{
    if (!w || !rgb) return pare_fail(err, PARE_E_INVALID, "pare_video_writer_append: %s is NULL", w ? "rgb" : "writer");
    if (w->finished || w->failed)
        return pare_fail(err, PARE_E_STATE, "'%.120s': append after %s", w->path, w->finished ? "finish" : "a failure");
    int64_t tick = 0;
    int rc = next_tick(w, pts, &tick, err);
    if (rc) return rc;
    rc = append(w, rgb, tick, err);
    w->failed = rc != 0;
    return rc;
}

/* ---- open, finish, close --------------------------------------------------------------------------------------- */

static int check_shape(const char *path, int32_t width, int32_t height, double rate, pare_error *err)
{
    if (!path || !*path) return pare_fail(err, PARE_E_INVALID, "pare_video_writer_open: no path");
    if (width < 1 || height < 1)
        return pare_fail(err, PARE_E_INVALID, "'%.120s': frames of %d x %d pixels", path, width, height);
    if (!(rate >= 0 && rate <= 1e4))
        return pare_fail(err, PARE_E_INVALID, "'%.120s': rate is %g, must be between 0 and 10000", path, rate);
    int rc = pare__picture_check(path, width, height, err);
    return rc ? rc : check_target(path, err);
}

int pare__video_writer_open_with(pare_video_writer **out, const char *path, int32_t width, int32_t height, double rate,
                                 const char *const *encoders, pare_error *err)
{
    if (!out) return pare_fail(err, PARE_E_INVALID, "pare_video_writer_open: out is NULL");
    *out = NULL;
    int rc = check_shape(path, width, height, rate, err);
    if (rc) return rc;
    if (av_log_get_level() == AV_LOG_INFO) av_log_set_level(AV_LOG_QUIET);
    pare_video_writer *w = calloc(1, sizeof *w);
    if (!w) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    w->fd = -1;
    w->path = strdup(path);
    w->width = width;
    w->height = height;
    w->rate = rate > 0 ? rate : DEFAULT_RATE;
    rc = w->path ? open_container(w, encoders, err) : pare_fail(err, PARE_E_NOMEM, "out of memory");
    if (!rc) rc = open_picture(w, err);
    if (rc)
        pare_video_writer_close(&w);
    else
        *out = w;
    return rc;
}

int pare_video_writer_open(pare_video_writer **out, const char *path, int32_t width, int32_t height, double rate,
                           pare_error *err)
{
    static const char *const encoders[] = {"libx264", "mpeg4", NULL};
    return pare__video_writer_open_with(out, path, width, height, rate, encoders, err);
}

/* The trailer is written even if nothing was appended: a video without frames is a valid file. */
static int finish(pare_video_writer *w, pare_error *err)
{
    int rc = encode(w, NULL, err);
    if (rc) return rc;
    int av = av_write_trailer(w->mux);
    if (av >= 0) av = w->mux->pb->error;
    int closed = avio_closep(&w->mux->pb);
    if (av >= 0) av = closed;
    return av < 0 ? fail_av(w, "cannot write", av, err) : publish(w, err);
}

int pare_video_writer_finish(pare_video_writer *w, pare_error *err)
{
    if (!w) return pare_fail(err, PARE_E_INVALID, "pare_video_writer_finish: writer is NULL");
    if (w->finished || w->failed)
        return pare_fail(err, PARE_E_STATE, "'%.120s': finish after %s", w->path, w->finished ? "finish" : "a failure");
    int rc = finish(w, err);
    w->finished = !rc;
    w->failed = rc != 0;
    return rc;
}

void pare_video_writer_close(pare_video_writer **writer)
{
    if (!writer || !*writer) return;
    pare_video_writer *w = *writer;
    if (w->mux) avio_closep(&w->mux->pb);
    avformat_free_context(w->mux);
    avcodec_free_context(&w->encoder);
    sws_freeContext(w->sws);
    av_frame_free(&w->picture);
    av_packet_free(&w->packet);
    av_freep(&w->padded);
    if (w->fd >= 0) close(w->fd);
    remove_tmp(w);
    free(w->target);
    free(w->path);
    free(w);
    *writer = NULL;
}
