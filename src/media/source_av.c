/* SPDX-License-Identifier: MIT */
/* Any file, camera or URL that libav opens: frames in presentation order with their real stamps (demuxing: av_demux.c).
 *
 * A frame's time is its best-effort stamp times the stream's time base, as the file has it; a stream without stamps
 * continues by frame durations. A packet or frame that the decoder reports as damaged is counted and skipped; what it
 * conceals is delivered. A file that breaks off in its middle ends there, a live input that does is an error, after the
 * frames that came before it. A network input may be opened again: a file goes on behind its last frame, a broadcast at
 * the next key frame, its stamps shifted so that they go on by the time that passed meanwhile.
 * After a seek and in the middle of a broadcast decoding begins at a key frame. Pictures that are shown before it but
 * stored behind it (open GOP) refer to what was not read: they are neither delivered nor counted as damaged.
 * FFmpeg logs to stderr by default; the first open silences it, unless the host has set a level of its own. */
#include "media/av_demux.h"
#include "media/av_motion.h"
#include "media/av_picture.h"
#include "media/source.h"

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/time.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
#define FRAME_DURATION(f) ((f)->duration)
#else
#define FRAME_DURATION(f) ((f)->pkt_duration)
#endif
#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(58, 7, 100)
#define IS_INTERLACED(f) (((f)->flags & AV_FRAME_FLAG_INTERLACED) != 0)
#else
#define IS_INTERLACED(f) ((f)->interlaced_frame != 0)
#endif

enum {
    MAX_FAILURES = 64,
    MAX_BEFORE_KEY = 1000, /* packets; then there are no key frames */
    SLICE_US = 20000,      /* of a wait that sees the stop flag */
    FIRST_PAUSE_US = 250000,
    MAX_PAUSE_US = 8000000
};

typedef struct av_source {
    const pare__input *input; /* borrowed from pare_source, like path, opts and info */
    const char *path;
    const pare_source_opts *opts;
    pare_source_info *info;
    pare__av_demux demux;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *picture;
    pare__av_picture rgb;
    pare__turn turn;    /* of the stream */
    int has_packet;     /* `packet` was read and waits for the decoder */
    int drained;        /* the decoder has been told that nothing follows */
    int n_failures;     /* in a row */
    int awaits_key;     /* decoding begins at a key frame, which has not come yet */
    int64_t first_tick; /* frames before it cannot be decoded or were delivered already; INT64_MIN = all are wanted */

    /* stamps as in the file */
    double stamp, step; /* the last one; its distance from the one before, 0 = unknown */
    double next_stamp;  /* of a frame that has none */
    int has_stamp;

    /* of network inputs */
    pare_error broken; /* why the input broke off; code 0 = it did not */
    int n_tries;       /* to open it again, since the last frame */
    int is_rejoined;   /* the next frame is the first behind a gap */
    double shift;      /* of the stamps of a broadcast */
    double last_pts;   /* of the last frame, shifted */
    int64_t last_at;   /* microseconds of the monotonic clock, when it was decoded */
} av_source;

static double seconds(int64_t ticks, AVRational base) { return (double)ticks * base.num / base.den; }

/* ---- open ------------------------------------------------------------------------------------------------------ */

static int open_decoder(av_source *s, pare_error *err)
{
    const AVCodecParameters *par = s->demux.stream->codecpar;
    const AVCodec *codec = avcodec_find_decoder(par->codec_id);
    if (!codec)
        return pare_fail(err, PARE_E_UNSUPPORTED, "'%.120s': this FFmpeg has no decoder for %s", s->path,
                         avcodec_get_name(par->codec_id));
    s->decoder = avcodec_alloc_context3(codec);
    if (!s->decoder) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    int av = avcodec_parameters_to_context(s->decoder, par);
    s->decoder->pkt_timebase = s->demux.stream->time_base;
    s->decoder->thread_count = s->opts->n_threads;
    /* vectors are read off a picture before the thread that decodes it has finished: no frames at a time then */
    const int tells = s->opts->motion && pare__av_has_motion(par->codec_id);
    s->decoder->thread_type = tells ? FF_THREAD_SLICE : FF_THREAD_FRAME | FF_THREAD_SLICE;
    if (tells) s->decoder->export_side_data |= AV_CODEC_EXPORT_DATA_MVS;
    if (av >= 0) av = avcodec_open2(s->decoder, codec, NULL);
    return av < 0 ? pare__av_fail(PARE_E_EXTERNAL, s->path, "cannot open the decoder", av, err) : 0;
}

/* Who joins a live stream comes into the middle of it. */
static int open_stream(av_source *s, pare_error *err)
{
    int rc = pare__av_demux_open(&s->demux, s->input, err);
    if (!rc) rc = open_decoder(s, err);
    if (rc) return rc;
    AVStream *stream = s->demux.stream;
    s->turn = pare__av_turn((const int32_t *)av_stream_get_side_data(stream, AV_PKT_DATA_DISPLAYMATRIX, NULL));
    s->drained = s->n_failures = s->has_packet = 0;
    s->awaits_key = s->demux.is_live;
    s->first_tick = INT64_MIN;
    s->has_stamp = 0;
    return 0;
}

static void close_stream(av_source *s)
{
    avcodec_free_context(&s->decoder);
    pare__av_demux_close(&s->demux);
}

static int is_still(const AVFormatContext *demux)
{
    const char *name = demux->iformat->name, *pipe = strstr(name, "_pipe");
    return (pipe && !pipe[5]) || !strcmp(name, "image2");
}

static int is_field_order_interlaced(enum AVFieldOrder order)
{
    return order != AV_FIELD_UNKNOWN && order != AV_FIELD_PROGRESSIVE;
}

static void describe_size(av_source *s, int width, int height, AVRational aspect)
{
    const int turned = s->turn.rotation % 180 != 0;
    s->info->width = turned ? height : width;
    s->info->height = turned ? width : height;
    if (aspect.num > 0 && aspect.den > 0) s->info->pixel_aspect = turned ? 1 / av_q2d(aspect) : av_q2d(aspect);
}

static void describe(av_source *s)
{
    pare_source_info *info = s->info;
    AVFormatContext *demux = s->demux.context;
    AVStream *stream = s->demux.stream;
    const AVCodecParameters *par = stream->codecpar;
    AVRational rate = av_guess_frame_rate(demux, stream, NULL);
    if (stream->avg_frame_rate.num > 0) rate = stream->avg_frame_rate;
    describe_size(s, par->width, par->height, av_guess_sample_aspect_ratio(demux, stream, NULL));
    info->codec = avcodec_get_name(par->codec_id);
    info->has_motion = pare__av_has_motion(par->codec_id);
    info->rotation = s->turn.rotation;
    info->mirrored = s->turn.mirrored;
    info->is_image = is_still(demux);
    info->is_live = s->demux.is_live;
    info->is_interlaced = is_field_order_interlaced(par->field_order);
    info->n_streams = s->demux.n_streams;
    info->stream = s->demux.index;
    info->rate = rate.num > 0 && rate.den > 0 && !info->is_image ? av_q2d(rate) : 0;
    if (stream->duration > 0)
        info->duration = seconds(stream->duration, stream->time_base);
    else if (demux->duration > 0)
        info->duration = seconds(demux->duration, AV_TIME_BASE_Q);
}

static void close_av(void *self)
{
    av_source *s = self;
    close_stream(s);
    av_packet_free(&s->packet);
    av_frame_free(&s->picture);
    pare__av_picture_free(&s->rgb);
    free(s);
}

/* NULL when memory is short. */
static av_source *new_source(const pare__input *input, pare_source_info *info)
{
    av_source *s = calloc(1, sizeof *s);
    if (!s) return NULL;
    *s = (av_source){.input = input, .path = input->path, .opts = input->opts, .info = info};
    s->packet = av_packet_alloc();
    s->picture = av_frame_alloc();
    if (s->packet && s->picture) return s;
    close_av(s);
    return NULL;
}

static int open_av(void **self, const pare__input *input, pare_source_info *info, pare_error *err)
{
    if (av_log_get_level() == AV_LOG_INFO) av_log_set_level(AV_LOG_QUIET);
    av_source *s = new_source(input, info);
    if (!s) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    int rc = open_stream(s, err);
    if (rc) goto fail;
    describe(s);
    if (info->width > 0) rc = pare__picture_check(s->path, info->width, info->height, err);
    if (rc) goto fail;
    *self = s;
    return 0;
fail:
    close_av(s);
    return rc;
}

/* ---- seek ------------------------------------------------------------------------------------------------------ */

/* The key frame that the decoder begins with; 0, or a libav error. */
static int read_key(av_source *s)
{
    for (int i = 0; i < MAX_BEFORE_KEY; i++) {
        int av = pare__av_demux_read(&s->demux, s->packet);
        if (av < 0) return av;
        if (s->packet->flags & AV_PKT_FLAG_KEY) return 0;
        av_packet_unref(s->packet);
    }
    return AVERROR_INVALIDDATA;
}

/* Does the packet let the decoder show everything from `pts` on? Without a stamp of its own it is decoded a second before,
 * so that pictures shown before it do not matter. */
static int is_before(const AVPacket *p, AVRational base, double pts)
{
    if (p->pts != AV_NOPTS_VALUE) return seconds(p->pts, base) <= pts;
    return p->dts != AV_NOPTS_VALUE && seconds(p->dts, base) + 1 <= pts;
}

/* Index and bisection may lead behind the place (a key frame is looked for from there on): then farther back. */
static int seek(void *self, double pts, pare_error *err)
{
    static const double back[] = {0, 2, 12, 60}; /* seconds */
    av_source *s = self;
    const AVRational base = s->demux.stream->time_base;
    int av = 0;
    s->drained = s->n_failures = s->has_packet = s->awaits_key = s->has_stamp = 0;
    avcodec_flush_buffers(s->decoder);
    for (size_t i = 0; i < sizeof back / sizeof back[0]; i++) {
        const int64_t ticks = (int64_t)floor((pts - back[i]) * base.den / base.num);
        av_packet_unref(s->packet);
        av = avformat_seek_file(s->demux.context, s->demux.stream->index, INT64_MIN, ticks, ticks, 0);
        if (av >= 0) av = read_key(s);
        if (av < 0) break;
        if (!is_before(s->packet, base, pts)) continue;
        s->has_packet = 1;
        s->first_tick = s->packet->pts; /* the smallest number of all where there is none */
        return 0;
    }
    if (av < 0) return pare__av_fail(PARE_E_IO, s->path, "cannot seek", av, err);
    return pare_fail(err, PARE_E_IO, "'%.160s': no key frame before %g s", s->path, pts);
}

/* ---- a network that breaks off ---------------------------------------------------------------------------------- */

/* Waits for the n-th try. 0 when stopped. */
static int pause_before(const av_source *s, int n)
{
    int64_t left = n < 5 ? (int64_t)FIRST_PAUSE_US << n : MAX_PAUSE_US;
    for (; left > 0 && !pare__is_stopped(&s->input->stop); left -= SLICE_US) av_usleep(SLICE_US);
    return !pare__is_stopped(&s->input->stop);
}

/* A file goes on behind the last frame; what cannot be sought goes on anywhere. */
static int rejoin(av_source *s, pare_error *err)
{
    int rc = open_stream(s, err);
    if (rc) return rc;
    s->info->n_reconnects++;
    if (s->demux.is_live || s->info->is_image) {
        s->is_rejoined = s->last_at != 0;
        return 0;
    }
    if (!s->last_at) return 0;
    rc = seek(s, s->last_pts, err);
    const AVRational base = s->demux.stream->time_base;
    s->first_tick = llrint(s->last_pts * base.den / base.num) + 1;
    return rc;
}

/* 0 when the input is open again, or why it broke off. */
static int open_again(av_source *s, pare_error *err)
{
    while (s->demux.is_network && s->n_tries < s->opts->reconnects && pause_before(s, s->n_tries)) {
        s->n_tries++;
        close_stream(s);
        if (rejoin(s, NULL)) continue;
        s->broken = (pare_error){0};
        return 0;
    }
    if (err) *err = s->broken;
    return s->broken.code;
}

/* ---- read ------------------------------------------------------------------------------------------------------ */

/* Remembers why nothing follows; told when the decoder is empty. */
static int break_off(av_source *s, int av)
{
    if (s->demux.is_late || av == AVERROR(ETIMEDOUT))
        pare_fail(&s->broken, PARE_E_IO, "'%.120s': no packet came for %g s", s->path,
                  s->demux.patience ? (double)s->demux.patience * 1e-6 : s->opts->timeout);
    else if (av == AVERROR_EOF)
        pare_fail(&s->broken, PARE_E_IO, "'%.120s': the sender has gone", s->path);
    else
        pare__av_fail(PARE_E_IO, s->path, "cannot read on", av, &s->broken);
    return 0;
}

/* An MP4 whose index is written behind the pictures: a pipe comes to it when these are gone. */
static int is_index_missed(const av_source *s)
{
    return s->demux.pipe && !s->last_at && !strncmp(s->demux.context->iformat->name, "mov,", 4);
}

/* What a failure to read means: 1 = try the next packet, 0 = the stream ends here (or broke off), or an error. */
static int judge_read(av_source *s, int av, pare_error *err)
{
    if (av == AVERROR(ENOMEM) || pare__is_stopped(&s->input->stop))
        return pare__av_fail(PARE_E_IO, s->path, "cannot read on", av, err);
    if (av == AVERROR_EOF) return pare__av_demux_can_end(&s->demux) ? 0 : break_off(s, av);
    if (av == AVERROR_INVALIDDATA && is_index_missed(s))
        return pare_fail(
            err, PARE_E_FORMAT,
            "'%.80s': its index lies behind its pictures, where a pipe cannot go back; give the file itself, "
            "or write it with -movflags +faststart",
            s->path);
    if (av == AVERROR_INVALIDDATA && s->n_failures++ < MAX_FAILURES) {
        s->info->n_damaged++;
        return 1;
    }
    if (s->demux.is_live || s->demux.is_network) return break_off(s, av);
    s->info->n_damaged++;
    return 0;
}

/* Before the first frame that can be decoded nothing counts as damaged. */
static int count_damage(av_source *s, int av, pare_error *err)
{
    if (av == AVERROR(ENOMEM)) return pare__av_fail(PARE_E_NOMEM, s->path, "cannot decode", av, err);
    s->info->n_damaged += s->first_tick == INT64_MIN;
    return 0;
}

/* Passes over packets before the first key frame. A stream without any is decoded after a while as it comes. */
static int is_before_key(av_source *s)
{
    if (!s->awaits_key) return 0;
    if (s->packet->flags & AV_PKT_FLAG_KEY && s->packet->pts != AV_NOPTS_VALUE) s->first_tick = s->packet->pts;
    s->awaits_key = s->packet->flags & AV_PKT_FLAG_KEY || s->awaits_key > MAX_BEFORE_KEY ? 0 : s->awaits_key + 1;
    return s->awaits_key != 0;
}

/* Gives the decoder one more packet, or tells it that there are none. */
static int feed(av_source *s, pare_error *err)
{
    int av = s->has_packet ? 0 : pare__av_demux_read(&s->demux, s->packet);
    int again = av < 0 ? judge_read(s, av, err) : 0;
    if (again) return again < 0 ? again : 0;
    s->has_packet = 0;
    if (av < 0 || !is_before_key(s)) {
        s->info->n_flawed += av >= 0 && s->packet->flags & AV_PKT_FLAG_CORRUPT;
        s->drained = av < 0;
        av = avcodec_send_packet(s->decoder, s->drained ? NULL : s->packet);
    }
    av_packet_unref(s->packet);
    return av < 0 ? count_damage(s, av, err) : 0;
}

/* Frames that were asked for and can be trusted. */
static int is_wanted(av_source *s)
{
    const AVFrame *f = s->picture;
    if (f->best_effort_timestamp != AV_NOPTS_VALUE && f->best_effort_timestamp < s->first_tick) return 0;
    if (f->flags & AV_FRAME_FLAG_CORRUPT) {
        s->info->n_damaged++;
        return 0;
    }
    s->info->n_flawed += f->decode_error_flags != 0;
    s->first_tick = INT64_MIN;
    return 1;
}

/* 0 and a picture, PARE_EOF, or an error. */
static int decode(av_source *s, pare_error *err)
{
    for (;;) {
        int av = avcodec_receive_frame(s->decoder, s->picture), rc = 0;
        if (!av && is_wanted(s)) return 0;
        if (!av) continue;
        if (av == AVERROR_EOF || (s->drained && ++s->n_failures > MAX_FAILURES)) {
            if (!s->broken.code) return PARE_EOF;
            rc = open_again(s, err);
        } else if (av == AVERROR(EAGAIN))
            rc = feed(s, err);
        else
            rc = count_damage(s, av, err);
        if (rc) return rc;
    }
}

/* The frame's stamp as the file has it; without one, as far behind the one before as that was behind its own. */
static double stamp_of(av_source *s, double duration)
{
    const int64_t ticks = s->picture->best_effort_timestamp;
    double stamp = s->next_stamp;
    if (ticks != AV_NOPTS_VALUE) {
        stamp = seconds(ticks, s->demux.stream->time_base);
        s->step = s->has_stamp && stamp > s->stamp ? stamp - s->stamp : 0;
        s->has_stamp = 1;
        s->stamp = stamp;
    }
    s->next_stamp = stamp + (s->step > 0 ? s->step : duration);
    return stamp;
}

/* Behind a gap a broadcast has stamps of its own: they go on by what passed on the clock. */
static void set_time(av_source *s, pare_frame *frame)
{
    const AVFrame *f = s->picture;
    const int64_t at = av_gettime_relative();
    const double rate = s->info->rate;
    frame->duration = FRAME_DURATION(f) > 0 ? seconds(FRAME_DURATION(f), s->demux.stream->time_base)
                      : rate > 0            ? 1 / rate
                                            : 0;
    const double stamp = stamp_of(s, frame->duration);
    if (s->is_rejoined) s->shift = s->last_pts + fmax((double)(at - s->last_at) * 1e-6, frame->duration) - stamp;
    frame->pts = stamp + s->shift;
    s->last_pts = frame->pts;
    s->last_at = at;
    s->is_rejoined = 0;
}

static int next(void *self, pare_frame *frame, pare_error *err)
{
    av_source *s = self;
    int rc = decode(s, err);
    if (rc) return rc;
    *frame = (pare_frame){.struct_size = sizeof *frame};
    set_time(s, frame);
    if (!s->info->width) describe_size(s, s->picture->width, s->picture->height, s->picture->sample_aspect_ratio);
    s->info->is_interlaced |= IS_INTERLACED(s->picture);
    s->n_failures = s->n_tries = 0;
    return 0;
}

static int pixels(void *self, pare__picture *to, pare_frame *frame, pare_error *err)
{
    av_source *s = self;
    const int rc = pare__av_picture_convert(&s->rgb, s->picture, s->turn, s->path, to, frame, err);
    if (rc || !s->opts->motion || !s->info->has_motion) return rc;
    return pare__av_motion_take(&to->motion, s->picture, frame, err);
}

/* ---- stamps ---------------------------------------------------------------------------------------------------- */

/* Packets instead of frames: nothing is decoded. Hidden and damaged frames make this an estimate. */
static int add_packets(av_source *s, pare__stamps *out, pare_error *err)
{
    const AVRational base = s->demux.stream->time_base;
    double next_pts = 0;
    for (;;) {
        int av = pare__av_demux_read(&s->demux, s->packet), again = av < 0 ? judge_read(s, av, err) : 0;
        if (again < 0) return again;
        if (again) continue;
        if (av < 0) {
            if (s->broken.code && err) *err = s->broken;
            return s->broken.code;
        }
        const AVPacket *p = s->packet;
        int64_t ticks = p->pts != AV_NOPTS_VALUE ? p->pts : p->dts;
        double pts = ticks != AV_NOPTS_VALUE ? seconds(ticks, base) : next_pts;
        int rc = p->flags & AV_PKT_FLAG_DISCARD ? 0 : pare__stamps_add(out, pts, err);
        double step = p->duration > 0 ? seconds(p->duration, base) : s->info->rate > 0 ? 1 / s->info->rate : 0;
        next_pts = pts + step;
        av_packet_unref(s->packet);
        if (rc) return rc;
    }
}

static int stamps(void *self, pare__stamps *out, pare_error *err)
{
    const av_source *s = self;
    pare_source_info info = *s->info;
    av_source *second = new_source(s->input, &info);
    if (!second) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    int rc = pare__av_demux_open(&second->demux, s->input, err);
    if (!rc) rc = add_packets(second, out, err);
    close_av(second);
    return rc;
}

/* The reader of last resort: its own probing is the best there is. */
static int probe(const pare__input *p)
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
