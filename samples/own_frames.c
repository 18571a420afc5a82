/* SPDX-License-Identifier: MIT */
/* An edge device with its own camera driver: frames come from memory, live, and results are used as they fall due.
 * Links pare only: no FFmpeg anywhere.
 *
 *     own_frames [N_FRAMES] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

enum { WIDTH = 320, HEIGHT = 240, SIDE = 48, WINDOW = 4 };

/* The camera: grey ground, one bright square that moves to the right. Replace it by your driver. */
static void capture(uint8_t *rgb /* [HEIGHT, WIDTH, 3] */, int i, pare_frame *frame)
{
    memset(rgb, 90, (size_t)WIDTH * HEIGHT * 3);
    const int left = i * 12 % (WIDTH - SIDE);
    for (int y = 96; y < 96 + SIDE; y++) memset(rgb + ((size_t)y * WIDTH + (size_t)left) * 3, 230, (size_t)SIDE * 3);
    *frame = (pare_frame){.struct_size = sizeof *frame,
                          .rgb = rgb,
                          .stride = (int64_t)WIDTH * 3,
                          .width = WIDTH,
                          .height = HEIGHT,
                          .pts = i / 30.0};
}

/* The consumer: an index, a language model, a socket. */
static void use(const pare_result_view *v)
{
    printf("t=%.2f..%.2f s: %lld of %lld tokens", v->pts[0], v->pts[2 * v->grid[0] - 1], (long long)v->k,
           (long long)v->n);
    for (int32_t t = 0; t < v->grid[0]; t++) printf(" %lld", (long long)(v->row_start[t + 1] - v->row_start[t]));
    printf("\n");
}

/* PARE_AGAIN: more frames are needed; PARE_EOF: that was the last. */
static int use_all(pare_reducer *reducer, pare_error *err)
{
    pare_result *result = NULL;
    int rc;
    while ((rc = pare_reducer_pull(reducer, &result, err)) == 0) {
        use(pare_result_get(result));
        pare_result_free(&result);
    }
    return rc;
}

int main(int argc, char **argv)
{
    pare_error err = {0};
    pare_model *model = NULL;
    pare_reducer *reducer = NULL;
    pare_frame frame;
    const int n = argc > 1 ? atoi(argv[1]) : 8;
    const pare_reducer_opts opts = {.struct_size = sizeof opts,
                                    .recipe = "temporal-redundancy@patches",
                                    .keep = 0.25,
                                    .window = WINDOW,
                                    .video = 1};
    uint8_t *rgb = malloc((size_t)WIDTH * HEIGHT * 3);
    int rc = rgb != NULL ? pare_runtime_init(NULL, &err) : pare_fail(&err, PARE_E_NOMEM, "out of memory for a frame");
    if (rc == 0) rc = pare_model_open(&model, pare_model_default_path(), &err);
    if (rc == 0) rc = pare_reducer_create(&reducer, model, &opts, &err);
    for (int i = 0; i < n && rc >= 0; i++) {
        capture(rgb, i, &frame);
        rc = pare_reducer_push(reducer, &frame, &err);
        if (rc == 0) rc = use_all(reducer, &err);
    }
    if (rc >= 0) rc = pare_reducer_flush(reducer, &err);
    if (rc == 0) rc = use_all(reducer, &err);
    if (rc < 0) fprintf(stderr, "own_frames: %s\n", err.text);
    pare_reducer_close(&reducer);
    pare_model_close(&model);
    free(rgb);
    return rc < 0;
}
