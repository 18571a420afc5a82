/* SPDX-License-Identifier: MIT */
/* The same few frames through several recipes: what stays, and how near the pooled features are to those of all tokens.
 *
 *     compare_selectors CLIP [KEEP]
 *
 * Links pare and pare_media. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/media.h>

enum { MAX_FRAMES = 3 };

static const char *const recipes[] = {"random@patches", "spatial-uniform@patches", "temporal-redundancy@patches",
                                      "topk:score=cls-attn@block=3/6/9", "tome@block"};

/* Copies frames out of the source, which lends only one at a time. */
static int read_frames(const char *path, pare_frame *frames, int32_t *n, pare_error *err)
{
    const pare_source_opts opts = {.struct_size = sizeof opts, .frames = MAX_FRAMES};
    pare_source *source = NULL;
    int rc = pare_source_open(&source, path, &opts, err);
    frames[0].struct_size = sizeof frames[0];
    while (rc == 0 && *n < MAX_FRAMES && (rc = pare_source_read(source, &frames[*n], err)) == 0) {
        pare_frame *f = &frames[*n];
        const size_t row = (size_t)f->width * 3;
        uint8_t *rgb = malloc(row * (size_t)f->height);
        if (rgb == NULL) rc = pare_fail(err, PARE_E_NOMEM, "out of memory for a frame");
        for (int32_t y = 0; y < f->height && rc == 0; y++) memcpy(rgb + row * (size_t)y, f->rgb + y * f->stride, row);
        f->rgb = rgb;
        f->stride = (int64_t)row;
        if (++*n < MAX_FRAMES) frames[*n].struct_size = sizeof *frames;
    }
    pare_source_close(&source);
    return rc == PARE_EOF ? 0 : rc;
}

/* Cosine of two arrays of n numbers. */
static double cosine(const float *a, const float *b, int64_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (int64_t i = 0; i < n; i++) ab += (double)a[i] * b[i], aa += (double)a[i] * a[i], bb += (double)b[i] * b[i];
    return ab / sqrt(aa * bb);
}

int main(int argc, char **argv)
{
    pare_error err = {0};
    pare_model *model = NULL;
    pare_result *full = NULL, *result = NULL;
    pare_frame frames[MAX_FRAMES];
    int32_t n = 0;
    if (argc < 2 || argc > 3) return fprintf(stderr, "usage: compare_selectors CLIP [KEEP]\n"), 2;
    pare_reducer_opts opts = {.struct_size = sizeof opts, .video = 1};
    int rc = pare_runtime_init(NULL, &err);
    if (rc == 0) rc = read_frames(argv[1], frames, &n, &err);
    if (rc == 0) rc = pare_model_open(&model, pare_model_default_path(), &err);
    if (rc == 0) rc = pare_reduce(model, &opts, frames, n, &full, &err);
    opts.keep = argc == 3 ? atof(argv[2]) : 0.5;
    for (size_t i = 0; i < sizeof recipes / sizeof recipes[0] && rc == 0; i++) {
        opts.recipe = recipes[i];
        rc = pare_reduce(model, &opts, frames, n, &result, &err);
        if (rc != 0) break;
        const pare_result_view *a = pare_result_get(full), *b = pare_result_get(result);
        printf("%-34s kept %5.1f %%, cosine %.4f\n", recipes[i], 100.0 * (double)b->k / (double)b->n,
               cosine(a->pooled, b->pooled, (int64_t)a->grid[0] * a->d));
        pare_result_free(&result);
    }
    if (rc != 0) fprintf(stderr, "compare_selectors: %s\n", err.text);
    pare_result_free(&full);
    pare_model_close(&model);
    for (int32_t i = 0; i < n; i++) free((uint8_t *)(uintptr_t)frames[i].rgb);
    return rc != 0;
}
