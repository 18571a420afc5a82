/* SPDX-License-Identifier: MIT */
/* See media_util.h. */
#include "media_util.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char folder[] = "/tmp/pare-media-XXXXXX";
static int has_folder;

const char *scratch(const char *name)
{
    static char text[4][320];
    static int turn;
    if (!has_folder) has_folder = mkdtemp(folder) != NULL;
    if (!has_folder) abort();
    char *out = text[turn++ % 4];
    snprintf(out, sizeof text[0], "%s/%s", folder, name);
    return out;
}

int scratch_files(const char *part)
{
    int n = 0;
    DIR *d = has_folder ? opendir(folder) : NULL;
    for (const struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.' && strstr(e->d_name, part) != NULL;
    if (d) closedir(d);
    return n;
}

void scratch_remove(void)
{
    DIR *d = has_folder ? opendir(folder) : NULL;
    for (const struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') unlink(scratch(e->d_name));
    if (d) closedir(d);
    if (has_folder) rmdir(folder);
}

void paint(uint8_t *rgb, int width, int height, int i)
{
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            int square = x < width / 4 && y < height / 4, grey = 20 + 20 * (i % 11);
            uint8_t *p = rgb + ((int64_t)y * width + x) * 3;
            p[0] = (uint8_t)(square ? 200 : grey);
            p[1] = p[2] = (uint8_t)(square ? 30 : grey);
        }
}

int number_of(const pare_frame *f)
{
    int y = f->height * 3 / 4, x = f->width * 3 / 4;
    return (f->rgb[y * f->stride + 3 * (int64_t)x + 1] - 20 + 10) / 20;
}

void write_clip(const char *path, int width, int height, int n, double rate, const double *pts)
{
    pare_video_writer *w;
    pare_error err = {0};
    uint8_t *rgb = malloc((size_t)width * (size_t)height * 3);
    ck_assert_msg(!pare_video_writer_open(&w, path, width, height, rate, &err), "%s", err.text);
    for (int i = 0; i < n; i++) {
        paint(rgb, width, height, i);
        ck_assert_msg(!pare_video_writer_append(w, rgb, pts ? pts[i] : i / rate, &err), "%s", err.text);
    }
    ck_assert_msg(!pare_video_writer_finish(w, &err), "%s", err.text);
    pare_video_writer_close(&w);
    free(rgb);
}

void turn_clip(const char *path, int turns)
{
    static const int8_t ab_cd[4][4] = {{1, 0, 0, 1}, {0, 1, -1, 0}, {-1, 0, 0, -1}, {0, -1, 1, 0}};
    enum { MATRIX = 44, MAX_SIZE = 1 << 20 };
    static uint8_t data[MAX_SIZE];
    FILE *f = fopen(path, "r+b");
    size_t n = fread(data, 1, sizeof data, f);
    uint8_t *matrix = (uint8_t *)memmem(data, n, "tkhd", 4) + MATRIX;
    for (int i = 0; i < 4; i++) {
        uint8_t *p = matrix + (i / 2 * 3 + i % 2) * 4; /* 16.16: rows a b u, c d v, x y w */
        int32_t v = turns >= 4 && i < 2 ? -ab_cd[turns % 4][i] : ab_cd[turns % 4][i];
        p[0] = v < 0 ? 255 : 0;
        p[1] = v < 0 ? 255 : (uint8_t)v;
        p[2] = p[3] = 0;
    }
    rewind(f);
    fwrite(data, 1, n, f);
    fclose(f);
}

void write_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, n, f), n);
    ck_assert_int_eq(fclose(f), 0);
}

void append_file(const char *to, const char *from, double share)
{
    FILE *in = fopen(from, "rb"), *out = fopen(to, "ab");
    ck_assert_msg(in && out, "%s -> %s", from, to);
    fseek(in, 0, SEEK_END);
    size_t n = (size_t)((double)ftell(in) * share);
    rewind(in);
    char *data = malloc(n + 1);
    ck_assert_uint_eq(fread(data, 1, n, in), n);
    ck_assert_uint_eq(fwrite(data, 1, n, out), n);
    fclose(in);
    fclose(out);
    free(data);
}

static void put_be32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void put_chunk(FILE *f, const char *type, const uint8_t *data, size_t n)
{
    uint8_t head[8], crc[4];
    put_be32(head, (uint32_t)n);
    memcpy(head + 4, type, 4);
    uLong sum = crc32(crc32(0, head + 4, 4), data, (uInt)n);
    put_be32(crc, (uint32_t)sum);
    fwrite(head, 1, 8, f);
    if (n) fwrite(data, 1, n, f);
    fwrite(crc, 1, 4, f);
}

void write_png(const char *path, int width, int height, int channels, int bits, const uint8_t *data)
{
    static const uint8_t type[] = {0, 0, 4, 2, 6};
    size_t row = (size_t)width * (size_t)channels * (size_t)bits / 8, n = data ? (row + 1) * (size_t)height : 0;
    uint8_t *raw = calloc(n + 1, 1), head[13] = {0};
    for (int y = 0; data && y < height; y++) memcpy(raw + (size_t)y * (row + 1) + 1, data + (size_t)y * row, row);
    uLongf n_packed = compressBound((uLong)n);
    uint8_t *packed = malloc(n_packed);
    ck_assert_int_eq(compress(packed, &n_packed, raw, (uLong)n), Z_OK);
    put_be32(head, (uint32_t)width);
    put_be32(head + 4, (uint32_t)height);
    head[8] = (uint8_t)bits;
    head[9] = type[channels];
    FILE *f = fopen(path, "wb");
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, f);
    put_chunk(f, "IHDR", head, 13);
    put_chunk(f, "IDAT", packed, n_packed);
    put_chunk(f, "IEND", head, 0);
    fclose(f);
    free(raw);
    free(packed);
}

uint64_t hash_frame(const pare_frame *f)
{
    uint64_t h = 1469598103934665603u;
    for (int y = 0; y < f->height; y++)
        h = h * 1099511628211u ^ crc32(0, f->rgb + y * f->stride, (uInt)f->width * 3) ^ (uint64_t)f->width << 32;
    return h;
}

pare_source *open_or_fail(const char *path, const pare_source_opts *opts)
{
    pare_source *s;
    pare_error err = {0};
    pare_source_opts own = opts ? *opts : (pare_source_opts){.struct_size = sizeof own};
    if (!own.read_ahead) own.read_ahead = PARE_TEST_AHEAD;
    ck_assert_msg(!pare_source_open(&s, path, &own, &err), "%s", err.text);
    return s;
}

int read_all(pare_source *s, double *pts, uint64_t *hash, int max, pare_source_info *info)
{
    pare_frame f = {.struct_size = sizeof f};
    pare_error err = {0};
    int n = 0, rc;
    for (; !(rc = pare_source_read(s, &f, &err)); n++) {
        if (pts && n < max) pts[n] = f.pts;
        if (hash && n < max) hash[n] = hash_frame(&f);
    }
    ck_assert_msg(rc == PARE_EOF, "%s", err.text);
    pare_source_info got = {.struct_size = sizeof got};
    ck_assert_int_eq(pare_source_get(s, &got, NULL), 0);
    if (info) *info = got;
    pare_source_close(&s);
    return n;
}
