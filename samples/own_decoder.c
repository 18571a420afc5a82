/* SPDX-License-Identifier: MIT */
/* own_decoder CLIP: a decoder of one's own (here libav). Planes go straight from its frames into the reducer, with the
 * motion vectors that it knows anyway: blocks that stand still are not resized again. Links pare and libav. */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/motion_vector.h>
#include <pare/pare.h>
#include <stdio.h>

enum { BLOCK = 16, MOST = 1 << 16 };
static int16_t vector[MOST][2];
static uint8_t kind[MOST];

/* Blocks without a vector are intra, and still where every vector is zero; vectors become quarter pixels. */
static void read_motion(const AVFrame *f, pare_motion *m)
{
    const AVFrameSideData *side = av_frame_get_side_data(f, AV_FRAME_DATA_MOTION_VECTORS);
    m->rows = (f->height + BLOCK - 1) / BLOCK, m->cols = (f->width + BLOCK - 1) / BLOCK;
    for (int i = 0; i < MOST; i++) kind[i] = PARE_BLOCK_INTRA, vector[i][0] = vector[i][1] = 0;
    for (size_t n = side ? side->size / sizeof(AVMotionVector) : 0; n > 0; n--) {
        const AVMotionVector *mv = (const AVMotionVector *)side->data + n - 1;
        const int x = mv->dst_x / BLOCK, y = mv->dst_y / BLOCK, i = y * m->cols + x;
        if (mv->dst_x < 0 || mv->dst_y < 0 || x >= m->cols || y >= m->rows) continue;
        const int v[2] = {4 * mv->motion_x / mv->motion_scale, 4 * mv->motion_y / mv->motion_scale};
        if (v[0] * v[0] + v[1] * v[1] > vector[i][0] * vector[i][0] + vector[i][1] * vector[i][1])
            vector[i][0] = (int16_t)v[0], vector[i][1] = (int16_t)v[1];
        kind[i] = mv->motion_x || mv->motion_y || kind[i] == PARE_BLOCK_MOVED ? PARE_BLOCK_MOVED : PARE_BLOCK_STILL;
    }
}

static int push(pare_reducer *r, const AVFrame *f, AVRational unit, pare_error *err)
{
    pare_motion motion = {.struct_size = sizeof motion, .block = BLOCK, .vector = vector[0], .kind = kind};
    pare_frame frame = {.struct_size = sizeof frame, .pixels = PARE_PIXELS_I420, .motion = &motion};
    if (f->format != AV_PIX_FMT_YUV420P || (int64_t)f->width * f->height > (int64_t)MOST * BLOCK * BLOCK / 2)
        return pare_fail(err, PARE_E_UNSUPPORTED, "format %d of %d x %d", f->format, f->width, f->height);
    read_motion(f, &motion);
    frame.rgb = f->data[0], frame.stride = f->linesize[0], frame.width = f->width, frame.height = f->height;
    for (int i = 0; i < 2; i++) frame.plane[i] = f->data[1 + i], frame.plane_stride[i] = f->linesize[1 + i];
    frame.color = (f->colorspace == AVCOL_SPC_BT709) | (f->color_range == AVCOL_RANGE_JPEG ? PARE_COLOR_FULL : 0);
    frame.pts = (double)f->best_effort_timestamp * av_q2d(unit);
    return pare_reducer_push(r, &frame, err);
}

int main(int argc, char **argv)
{
    const pare_reducer_opts opts = {
        .struct_size = sizeof opts, .recipe = "rlt@patches", .keep = 0.25, .video = 1, .max_side = 336};
    pare_error err = {.text = "usage: own_decoder CLIP, which libav can read"};
    pare_model *model = NULL;
    pare_reducer *reducer = NULL;
    AVFormatContext *in = NULL;
    AVCodecContext *dec = avcodec_alloc_context3(NULL);
    AVPacket *packet = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    int rc = argc == 2 ? avformat_open_input(&in, argv[1], NULL, NULL) : -1, stream = rc;
    if (rc == 0) rc = stream = av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (rc >= 0) rc = avcodec_parameters_to_context(dec, in->streams[stream]->codecpar);
    dec->flags2 |= AV_CODEC_FLAG2_EXPORT_MVS;
    if (rc >= 0) rc = avcodec_open2(dec, avcodec_find_decoder(dec->codec_id), NULL);
    if (rc >= 0) rc = pare_runtime_init(NULL, &err);
    if (rc == 0) rc = pare_model_open(&model, pare_model_default_path(), &err);
    if (rc == 0) rc = pare_reducer_create(&reducer, model, &opts, &err);
    for (int more = 1; rc == 0 && more; av_packet_unref(packet)) {
        more = av_read_frame(in, packet) == 0;
        if (!more || packet->stream_index == stream) avcodec_send_packet(dec, more ? packet : NULL); /* NULL: drain */
        while (!rc && !avcodec_receive_frame(dec, f)) rc = push(reducer, f, in->streams[stream]->time_base, &err);
        if (rc == 0 && !more) rc = pare_reducer_flush(reducer, &err);
        for (pare_result *x; pare_reducer_pull(reducer, &x, NULL) == 0; pare_result_free(&x))
            printf("t=%.2f s: %lld tokens\n", pare_result_get(x)->pts[0], (long long)pare_result_get(x)->k);
    }
    if (rc) fprintf(stderr, "own_decoder: %s\n", err.text);
    pare_reducer_close(&reducer);
    pare_model_close(&model);
    av_frame_free(&f);
    av_packet_free(&packet);
    avcodec_free_context(&dec);
    avformat_close_input(&in);
    return rc != 0;
}
