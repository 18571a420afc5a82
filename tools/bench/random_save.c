/* SPDX-License-Identifier: MIT */
/* Pixels and tokens of pare bench --random in a file (random.h), so that another encoder can be fed the same. */
#include <stdlib.h>
#include <string.h>

#include "random.h"

#define MAX_BYTES ((int64_t)2 << 30) /* of pixels, and of tokens */

struct bench_tape {
    int32_t width, height, d, n_prefix;
    int64_t n_image;         /* there will be */
    int64_t n_pixels, n_put; /* images and results there are */
    int64_t n_row, cap_row;
    uint8_t *pixels;    /* [n_image, height, width, 3] */
    int64_t *row_start; /* [n_image + 1] */
    int64_t *index;     /* [cap_row] */
    float *embeds;      /* [cap_row, d] */
    float *prefix;      /* [n_image, n_prefix, d], or NULL */
};

static int64_t image_bytes(const bench_tape *t) { return (int64_t)t->width * t->height * 3; }

static int no_room(pare_error *err, int64_t n_image)
{
    return pare_fail(err, PARE_E_NOMEM, "--save: out of memory for %lld images", (long long)n_image);
}

int bench_tape_open(bench_tape **out, int64_t n_image, int32_t width, int32_t height, pare_error *err)
{
    bench_tape *t = calloc(1, sizeof *t);
    *out = t;
    if (t == NULL) return no_room(err, n_image);
    *t = (bench_tape){.width = width, .height = height, .n_image = n_image};
    if (n_image > MAX_BYTES / image_bytes(t))
        return pare_fail(err, PARE_E_INVALID, "--save: %lld images of %dx%d are over the limit of %lld MiB of pixels",
                         (long long)n_image, width, height, (long long)(MAX_BYTES >> 20));
    t->pixels = malloc((size_t)(n_image * image_bytes(t)));
    t->row_start = calloc((size_t)n_image + 1, sizeof *t->row_start);
    return t->pixels != NULL && t->row_start != NULL ? 0 : no_room(err, n_image);
}

int bench_tape_add_images(bench_tape *t, const uint8_t *rgb, int64_t n, pare_error *err)
{
    if (t->n_pixels + n > t->n_image)
        return pare_fail(err, PARE_E_STATE, "--save: image %lld of %lld", (long long)(t->n_pixels + n),
                         (long long)t->n_image);
    memcpy(t->pixels + t->n_pixels * image_bytes(t), rgb, (size_t)(n * image_bytes(t)));
    t->n_pixels += n;
    return 0;
}

/* Widths are those of the first result. */
static int begin_rows(bench_tape *t, const pare_result_view *v, pare_error *err)
{
    if (t->d > 0) return 0;
    t->d = v->d;
    if (v->prefix == NULL || v->n_prefix == 0) return 0;
    if (t->n_image > MAX_BYTES / ((int64_t)v->n_prefix * v->d * (int64_t)sizeof(float)))
        return pare_fail(err, PARE_E_LIMIT, "--save: prefix tokens of %lld images are over the limit of %lld MiB",
                         (long long)t->n_image, (long long)(MAX_BYTES >> 20));
    t->n_prefix = v->n_prefix;
    t->prefix = calloc((size_t)(t->n_image * v->n_prefix), (size_t)v->d * sizeof *t->prefix);
    return t->prefix != NULL ? 0 : no_room(err, t->n_image);
}

static int reserve_rows(bench_tape *t, int64_t n, pare_error *err)
{
    const int64_t most = MAX_BYTES / (t->d * (int64_t)sizeof(float));
    if (n <= t->cap_row) return 0;
    if (n > most)
        return pare_fail(err, PARE_E_LIMIT, "--save: %lld tokens of width %d are over the limit of %lld MiB",
                         (long long)n, t->d, (long long)(MAX_BYTES >> 20));
    const int64_t cap = 2 * n < most ? 2 * n : most;
    float *embeds = realloc(t->embeds, (size_t)cap * (size_t)t->d * sizeof *embeds);
    if (embeds != NULL) t->embeds = embeds;
    int64_t *index = realloc(t->index, (size_t)cap * sizeof *index);
    if (index != NULL) t->index = index;
    if (embeds == NULL || index == NULL) return no_room(err, t->n_image);
    t->cap_row = cap;
    return 0;
}

int bench_tape_add_result(bench_tape *t, const pare_result_view *v, pare_error *err)
{
    const int64_t n = v->grid[0];
    if (t->n_put + n > t->n_image)
        return pare_fail(err, PARE_E_STATE, "--save: tokens of image %lld of %lld", (long long)(t->n_put + n),
                         (long long)t->n_image);
    int rc = begin_rows(t, v, err);
    if (rc == 0) rc = reserve_rows(t, t->n_row + v->k, err);
    if (rc != 0) return rc;
    memcpy(t->embeds + t->n_row * t->d, v->embeds, (size_t)v->k * (size_t)t->d * sizeof *t->embeds);
    memcpy(t->index + t->n_row, v->index, (size_t)v->k * sizeof *t->index);
    if (t->prefix != NULL) {
        const int64_t width = (int64_t)t->n_prefix * t->d;
        memcpy(t->prefix + t->n_put * width, v->prefix, (size_t)(n * width) * sizeof *t->prefix);
    }
    for (int64_t i = 0; i < n; i++) t->row_start[t->n_put + i + 1] = t->n_row + v->row_start[i + 1];
    t->n_put += n;
    t->n_row += v->k;
    return 0;
}

int bench_tape_save(const bench_tape *t, const char *path, const bench_random_figures *f, pare_error *err)
{
    const pare_tensor tensors[] = {
        {"pixels", PARE_U8, 4, {t->n_image, t->height, t->width, 3}, t->pixels},
        {"embeds", PARE_F32, 2, {t->n_row, t->d}, t->embeds},
        {"row_start", PARE_I64, 1, {t->n_image + 1}, t->row_start},
        {"index", PARE_I64, 1, {t->n_row}, t->index},
        {"prefix", PARE_F32, 3, {t->n_image, t->n_prefix, t->d}, t->prefix},
    };
    const char *const meta[][2] = {{"model", f->model},         {"recipe", f->recipe},
                                   {"backend", f->backend},     {"precision", f->precision},
                                   {"version", pare_version()}, {"output_xxh64", f->output_xxh64}};
    return pare_tensors_save(path, tensors, t->prefix != NULL ? 5 : 4, meta, sizeof meta / sizeof *meta, err);
}

void bench_tape_close(bench_tape **out)
{
    bench_tape *t = *out;
    *out = NULL;
    if (t == NULL) return;
    free(t->pixels);
    free(t->row_start);
    free(t->index);
    free(t->embeds);
    free(t->prefix);
    free(t);
}
