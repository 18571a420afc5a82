/* SPDX-License-Identifier: MIT */
/* An edge device with a camera of its own: NV12 frames go into pare_live as they come, tokens and a map of the motion come
 * out in another thread; the oldest waiting frame is dropped when the encoder is too slow. Links pare only.
 *     edge_camera WIDTH HEIGHT FRAMES_PER_SECOND < frames.nv12 */
#include <pare/live.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>

/* One character per unit, by its score: how much it changed. */
static void draw(const pare_result_view *v, int32_t t)
{
    const pare_slot *s = &v->slot[t];
    printf("t=%.2f s: %lld of %d tokens\n", v->pts[2 * t], (long long)(v->row_start[t + 1] - v->row_start[t]),
           s->grid_h * s->grid_w);
    for (int32_t i = 0; v->scores && i < s->grid_h * s->grid_w; i++) {
        const float score = v->scores[v->unit_start[t] + i];
        putchar(" .:*#"[score > 32 ? 4 : score > 16 ? 3 : score > 8 ? 2 : score > 4]);
        if (i % s->grid_w == s->grid_w - 1) putchar('\n');
    }
}

/* The consumer: a socket, an index, a language model. v->embeds [v->k, v->d] are the tokens, v->place says where. */
static int consume(void *arg)
{
    pare_result *result;
    pare_error err = {0};
    int rc;
    while ((rc = pare_live_pull(arg, -1, &result, &err)) == 0) {
        draw(pare_result_get(result), pare_result_get(result)->grid[0] - 1);
        pare_result_free(&result);
    }
    return rc;
}

/* The camera: replace it by your driver. 0 behind the last frame. */
static int capture(uint8_t *nv12, size_t bytes, double fps)
{
    thrd_sleep(&(struct timespec){.tv_nsec = (long)(1e9 / fps)}, NULL);
    return fread(nv12, 1, bytes, stdin) == bytes;
}

int main(int argc, char **argv)
{
    const int w = argc > 3 ? atoi(argv[1]) : 0, h = argc > 3 ? atoi(argv[2]) : 0;
    const double fps = argc > 3 ? atof(argv[3]) : 0;
    if (w < 2 || h < 2 || w % 2 || h % 2 || fps <= 1)
        return fprintf(stderr, "usage: edge_camera WIDTH HEIGHT FPS\n"), 2;
    const pare_reducer_opts reducer = {
        .struct_size = sizeof reducer, .recipe = "topk:score=motion@patches", .keep = 0.25, .window = 2, .video = 1};
    const pare_live_opts opts = {.struct_size = sizeof opts, .reducer = &reducer, .queue = 8, .drop = PARE_DROP_OLDEST};
    pare_error err = {0};
    pare_model *model = NULL;
    pare_live *live = NULL;
    thrd_t consumer;
    const size_t luma = (size_t)w * (size_t)h, bytes = luma + luma / 2;
    uint8_t *nv12 = malloc(bytes);
    int rc = nv12 ? pare_runtime_init(NULL, &err) : pare_fail(&err, PARE_E_NOMEM, "out of memory for a frame");
    if (rc == 0) rc = pare_model_open(&model, pare_model_default_path(), &err);
    if (rc == 0) rc = pare_live_open(&live, model, &opts, &err);
    const int has_consumer = rc == 0 && thrd_create(&consumer, consume, live) == thrd_success;
    pare_frame frame = {.struct_size = sizeof frame, .rgb = nv12, .stride = w, .width = w, .height = h};
    frame.pixels = PARE_PIXELS_NV12;
    if (nv12) frame.plane[0] = nv12 + luma;
    frame.plane_stride[0] = w;
    for (int i = 0; has_consumer && rc == 0 && capture(nv12, bytes, fps); i++) {
        frame.pts = i / fps; /* or what the driver's clock said */
        rc = pare_live_push(live, &frame, &err);
    }
    if (rc == 0) rc = pare_live_flush(live, &err);
    if (has_consumer) thrd_join(consumer, NULL);
    pare_live_stats s = {.struct_size = sizeof s};
    if (rc == 0) rc = pare_live_get(live, &s, &err);
    printf("%lld frames, %lld dropped, p95 %.0f ms\n", (long long)s.n_pushed, (long long)s.n_dropped, s.latency_p95);
    if (rc != 0) fprintf(stderr, "edge_camera: %s\n", err.text);
    pare_live_close(&live);
    pare_model_close(&model);
    free(nv12);
    return rc != 0;
}
