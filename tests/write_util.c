/* SPDX-License-Identifier: MIT */
#include "write_util.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

char write_dir[256];

void make_dir(void)
{
    snprintf(write_dir, sizeof write_dir, "%s/pare-test-XXXXXX", P_tmpdir);
    ck_assert_ptr_nonnull(mkdtemp(write_dir));
}

int64_t count_files(void)
{
    int64_t n = 0;
    DIR *d = opendir(write_dir);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) n += e->d_name[0] != '.' || e->d_name[1] == 'p';
    closedir(d);
    return n;
}

void remove_dir(void)
{
    chmod(write_dir, 0700);
    char path[600];
    DIR *d = opendir(write_dir);
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        snprintf(path, sizeof path, "%s/%s", write_dir, e->d_name);
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) remove(path);
    }
    closedir(d);
    rmdir(write_dir);
}

const char *in_dir(const char *name)
{
    static char path[4][600];
    static int i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", write_dir, name);
    return path[i];
}

static void fill_rows(window *x, int w)
{
    for (int i = 0; i < K * D; i++) x->embeds[i] = (float)(100 * w + i);
    for (int i = 0; i < K * 4; i++) x->box[i] = (float)i;
    for (int i = 0; i < K; i++) {
        const int column = 1 + 3 * i;
        x->sizes[i] = 2.0F;
        x->kind[i] = 0;
        x->clip_index[i] = (int64_t)w * N + column;
        const int32_t place[6] = {0, 0, w * STEPS + column / 6, column % 6 / 3, column % 3, 0};
        memcpy(x->place + (ptrdiff_t)6 * i, place, sizeof place);
        x->row_start[i] = (int64_t)2 * i;
        x->member_start[i] = (int64_t)3 * i;
        x->index[2 * i] = column - 1;
        x->index[2 * i + 1] = column;
        x->weight[2 * i] = x->weight[2 * i + 1] = 0.5F;
        x->anchor[i] = column;
        x->gain[i] = 2.0F;
        for (int j = 0; j < 3; j++) x->member[3 * i + j] = 3 * i + j;
    }
    x->row_start[K] = (int64_t)2 * K;
    x->member_start[K] = N;
}

static void fill_steps(window *x, int w)
{
    for (int t = 0; t < STEPS; t++)
        x->slot[t] =
            (pare_slot){.t = w * STEPS + t, .tile_rows = 1, .tile_cols = 1, .grid_h = GRID_H, .grid_w = GRID_W};
    for (int t = 0; t < STEPS; t++) x->pts[2 * t] = x->pts[2 * t + 1] = w * STEPS + t;
    for (int i = 0; i < STEPS * D; i++) x->pooled[i] = x->prefix[i] = (float)(w + i);
    for (int i = 0; i < STEPS * CLASSES; i++) x->logits[i] = (float)(w - i);
    for (int i = 0; i < N; i++) x->scores[i] = (float)i / N;
    for (int t = 0; t <= STEPS; t++) x->frame_start[t] = (int64_t)t * K / STEPS;
}

const pare_result_view *make_window(window *x, int w)
{
    fill_rows(x, w);
    fill_steps(x, w);
    x->v = (pare_result_view){.first_slot = w * STEPS,
                              .grid = {STEPS, GRID_H, GRID_W},
                              .slot = x->slot,
                              .n_prefix = 1,
                              .d = D,
                              .n_class = CLASSES,
                              .n = N,
                              .k = K,
                              .embeds = x->embeds,
                              .place = x->place,
                              .box = x->box,
                              .kind = x->kind,
                              .index = x->clip_index,
                              .sizes = x->sizes,
                              .pts = x->pts,
                              .row_start = x->frame_start,
                              .prefix = x->prefix,
                              .pooled = x->pooled,
                              .logits = x->logits,
                              .scores = x->scores,
                              .unit = 2,
                              .map = {.n_in = N,
                                      .n_out = K,
                                      .row_start = x->row_start,
                                      .index = x->index,
                                      .weight = x->weight,
                                      .anchor = x->anchor,
                                      .size = x->sizes}};
    return &x->v;
}

int write_clip(const char *path, int n_window, int complete, pare_error *err)
{
    static const char *const meta[][2] = {{"recipe", "tome:r=8@block"}, {"model", "a \"quoted\" name"}};
    const pare_writer_opts opts = {.struct_size = sizeof opts, .meta = meta, .n_meta = 2};
    pare_writer *w = NULL;
    static window x;
    int rc = pare__writer_open(&w, path, &opts, err);
    for (int i = 0; i < n_window && rc == 0; i++) rc = pare__writer_append(w, make_window(&x, i), err);
    if (rc == 0) rc = pare__writer_finish(w, complete, err);
    pare__writer_close(&w);
    return rc;
}

pare_tensors *open_tensors(const char *path)
{
    pare_tensors *t = NULL;
    pare_error err;
    ck_assert_msg(pare__safetensors_open(&t, path, &err) == 0, "%s", err.text);
    return t;
}

const pare_tensor *tensor(const pare_tensors *t, const char *name, int32_t dtype, int64_t rows)
{
    const pare_tensor *x = pare__tensors_find(t, name);
    ck_assert_msg(x != NULL, "no tensor %s", name);
    ck_assert_int_eq(x->dtype, dtype);
    ck_assert_int_eq(x->shape[0], rows);
    return x;
}

int64_t i32_at(const pare_tensor *t, int64_t i)
{
    int32_t v;
    memcpy(&v, (const char *)t->data + 4 * i, 4);
    return v;
}

int64_t i64_at(const pare_tensor *t, int64_t i)
{
    int64_t v;
    memcpy(&v, (const char *)t->data + 8 * i, 8);
    return v;
}

float f32_at(const pare_tensor *t, int64_t i)
{
    float v;
    memcpy(&v, (const char *)t->data + 4 * i, 4);
    return v;
}

char *slurp(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}
