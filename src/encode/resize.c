/* SPDX-License-Identifier: MIT */
/* Resize of packed RGB, u8 to u8, with the arithmetic of Pillow's Image.resize: separable, u8
 * between the passes, support widened by the scale when shrinking, weights in 22-bit fixed point rounded half away from
 * zero. A pass whose size does not change is left out. Source: the published behaviour of Pillow (research notes 3.1).
 *
 * src [sh, sw, 3] --horizontal, LANES rows at a time--> [sh, dw, 3] --vertical--> dst [dh, dw, 3], or the other way */
#include <math.h>
#include <string.h>

#include "encode/prep.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum {
    BITS = 22,
    LANES = 16, /* rows of a horizontal task, lying side by side */
    ROWS = 8,   /* rows of a vertical task */
    MARK = 16,  /* columns that are new together: a block's */
    BLOCK = 48  /* values of one accumulator block: 3 channels of LANES rows, or 48 bytes of a row */
};

typedef struct filter {
    double support;
    double (*at)(double x);
    int width_first; /* whatever the sizes */
} filter;

/* out[c * stride], c < n: one block of BLOCK sums over n_tap taps `step` bytes apart */
typedef void (*mac_fn)(const uint8_t *in, int64_t step, const int32_t *weight, int32_t n_tap, uint8_t *out);

/* Taps of one axis. */
typedef struct taps {
    int32_t max;
    int32_t *first;  /* [n_out] */
    int32_t *count;  /* [n_out] */
    int32_t *weight; /* [n_out, max] fixed point */
} taps;

/* Packed RGB; rows `stride` bytes apart. A part of a picture counts its rows and columns from the picture's. */
typedef struct plane {
    uint8_t *rgb;
    int64_t stride;
    int32_t width, height; /* of the picture */
    int32_t x, y;          /* of the first pixel */
} plane;

typedef struct pass {
    const taps *t;
    const plane *src, *dst;
    uint8_t *scratch; /* horizontal: [workers, (source + target width) * BLOCK] */
    mac_fn mac;
} pass;

/* What changed of a source, through both passes. */
typedef struct renewal {
    const pare__changed *changed;
    const taps *across, *down;
    const plane *src, *half, *dst;
    const pare__area *part; /* of the target that is shown */
    uint8_t *side;          /* [workers, ...] scratch of the horizontal pass */
    uint8_t *mark;          /* [rows of blocks, n_mark] 1: some of these MARK columns between the passes are new */
    int32_t n_mark;
    mac_fn mac;
} renewal;

/* ---- filters --------------------------------------------------------------------------------------------------- */

static double box(double x) { return x > -0.5 && x <= 0.5 ? 1 : 0; }

static double bilinear(double x)
{
    x = fabs(x);
    return x < 1 ? 1 - x : 0;
}

static double bicubic(double x)
{
    const double a = -0.5;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

static double sinc(double x)
{
    if (x == 0) return 1;
    x *= M_PI;
    return sin(x) / x;
}

static double lanczos(double x) { return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0; }

/* By pare__resample; NEAREST has no taps. */
static const filter filters[] = {
    [PARE__RESAMPLE_BOX] = {0.5, box, 0},
    [PARE__RESAMPLE_BILINEAR] = {1, bilinear, 0},
    [PARE__RESAMPLE_BICUBIC] = {2, bicubic, 0},
    [PARE__RESAMPLE_LANCZOS] = {3, lanczos, 0},
    [PARE__RESAMPLE_BICUBIC_TORCH] = {2, bicubic, 1},
};

/* ---- taps ------------------------------------------------------------------------------------------------------ */

static int32_t fixed_point(double w) { return (int32_t)(w * (1 << BITS) + (w < 0 ? -0.5 : 0.5)); }

/* Taps of output i into `w`. */
static void tap(const filter *f, double scale, int32_t n_in, int32_t i, taps *t, double *w)
{
    double widen = scale < 1 ? 1 : scale;
    double support = f->support * widen;
    double centre = (i + 0.5) * scale, sum = 0;
    int32_t first = (int32_t)(centre - support + 0.5);
    int32_t last = (int32_t)(centre + support + 0.5);
    if (first < 0) first = 0;
    if (last > n_in) last = n_in;
    for (int32_t j = 0; j < last - first; j++) {
        w[j] = f->at((j + first - centre + 0.5) * (1 / widen));
        sum += w[j];
    }
    t->first[i] = first;
    t->count[i] = last - first;
    for (int32_t j = 0; j < last - first; j++) {
        t->weight[(int64_t)i * t->max + j] = fixed_point(sum != 0 ? w[j] / sum : w[j]);
    }
}

static int make_taps(taps *t, const filter *f, int32_t n_in, int32_t n_out, pare__arena *arena)
{
    double scale = (double)n_in / n_out;
    t->max = (int32_t)ceil(f->support * (scale < 1 ? 1 : scale)) * 2 + 1;
    t->first = PARE__ARENA(arena, int32_t, n_out);
    t->count = PARE__ARENA(arena, int32_t, n_out);
    t->weight = (int32_t *)pare__arena_alloc(arena, (int64_t)n_out * t->max, (int64_t)sizeof(int32_t));
    double *w = PARE__ARENA(arena, double, t->max);
    if (!t->first || !t->count || !t->weight || !w) return PARE_E_NOMEM;
    for (int32_t i = 0; i < n_out; i++) tap(f, scale, n_in, i, t, w);
    return 0;
}

/* ---- multiply and add ------------------------------------------------------------------------------------------ */

static inline uint8_t clip8(int32_t sum)
{
    sum >>= BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void mac_base(const uint8_t *in, int64_t step, const int32_t *weight, int32_t n_tap, uint8_t *out)
{
    int32_t sum[BLOCK];
    for (int c = 0; c < BLOCK; c++) sum[c] = 1 << (BITS - 1);
    for (int32_t j = 0; j < n_tap; j++) {
        for (int c = 0; c < BLOCK; c++) sum[c] += in[j * step + c] * weight[j];
    }
    for (int c = 0; c < BLOCK; c++) out[c] = clip8(sum[c]);
}

#if defined(__x86_64__)
/* What mac_base says, with the sums in registers: compilers shuffle too much between bytes and 32 bits. */
__attribute__((target("avx2"))) static void mac_avx2(const uint8_t *in, int64_t step, const int32_t *weight,
                                                     int32_t n_tap, uint8_t *out)
{
    enum { AT_ONCE = 8, N = BLOCK / AT_ONCE };
    __m256i sum[N];
    for (int c = 0; c < N; c++) sum[c] = _mm256_set1_epi32(1 << (BITS - 1));
    for (int32_t j = 0; j < n_tap; j++) {
        const __m256i w = _mm256_set1_epi32(weight[j]);
        for (int c = 0; c < N; c++) {
            const __m128i bytes = _mm_loadl_epi64((const __m128i *)(in + j * step + c * AT_ONCE));
            sum[c] = _mm256_add_epi32(sum[c], _mm256_mullo_epi32(_mm256_cvtepu8_epi32(bytes), w));
        }
    }
    for (int c = 0; c < N; c++) {
        const __m256i v = _mm256_srai_epi32(sum[c], BITS);
        const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
        _mm_storel_epi64((__m128i *)(out + c * AT_ONCE), _mm_packus_epi16(words, words));
    }
}

__attribute__((target("avx512f"))) static void mac_avx512(const uint8_t *in, int64_t step, const int32_t *weight,
                                                          int32_t n_tap, uint8_t *out)
{
    enum { AT_ONCE = 16, N = BLOCK / AT_ONCE };
    __m512i sum[N];
    for (int c = 0; c < N; c++) sum[c] = _mm512_set1_epi32(1 << (BITS - 1));
    for (int32_t j = 0; j < n_tap; j++) {
        const __m512i w = _mm512_set1_epi32(weight[j]);
        for (int c = 0; c < N; c++) {
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(in + j * step + c * AT_ONCE));
            sum[c] = _mm512_add_epi32(sum[c], _mm512_mullo_epi32(_mm512_cvtepu8_epi32(bytes), w));
        }
    }
    for (int c = 0; c < N; c++) {
        const __m512i v = _mm512_max_epi32(_mm512_srai_epi32(sum[c], BITS), _mm512_setzero_si512());
        _mm_storeu_si128((__m128i *)(out + c * AT_ONCE), _mm512_cvtusepi32_epi8(v));
    }
}

static mac_fn best_mac(void)
{
    return __builtin_cpu_supports("avx512f") ? mac_avx512 : __builtin_cpu_supports("avx2") ? mac_avx2 : mac_base;
}
#else
static mac_fn best_mac(void) { return mac_base; }
#endif

/* The last values of a row, fewer than a block. */
static void mac_rest(const uint8_t *in, int64_t step, const int32_t *weight, int32_t n_tap, uint8_t *out, int64_t n)
{
    for (int64_t c = 0; c < n; c++) {
        int32_t sum = 1 << (BITS - 1);
        for (int32_t j = 0; j < n_tap; j++) sum += in[j * step + c] * weight[j];
        out[c] = clip8(sum);
    }
}

/* ---- passes ---------------------------------------------------------------------------------------------------- */

/* LANES bytes at once */
typedef uint8_t lanes __attribute__((vector_size(LANES)));

/* [LANES, LANES] bytes turned over: each of four rounds zips row i with row i + 8, which rotates the eight bits of an
 * element's place (row, column) by one. */
static inline void turn_over(lanes m[LANES])
{
    for (int round = 0; round < 4; round++) {
        lanes next[LANES];
        for (int i = 0; i < LANES / 2; i++) {
            const lanes a = m[i], b = m[i + LANES / 2];
            next[2 * i] = __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            next[2 * i + 1] =
                __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        memcpy(m, next, sizeof next);
    }
}

/* LANES rows side by side: side[i, lane] = row lane, byte i. Missing rows repeat the last one. */
static void interleave(const uint8_t *src, int64_t stride, int32_t n_rows, int64_t n_bytes, uint8_t *side)
{
    const uint8_t *row[LANES];
    for (int l = 0; l < LANES; l++) row[l] = src + (l < n_rows ? l : n_rows - 1) * stride;
    int64_t i = 0;
    for (; i + LANES <= n_bytes; i += LANES) {
        lanes m[LANES];
        for (int l = 0; l < LANES; l++) memcpy(&m[l], row[l] + i, LANES);
        turn_over(m);
        memcpy(side + i * LANES, m, sizeof m);
    }
    for (; i < n_bytes; i++) {
        for (int l = 0; l < LANES; l++) side[i * LANES + l] = row[l][i];
    }
}

static void separate(const uint8_t *side, int32_t n_rows, int64_t n_bytes, uint8_t *dst, int64_t stride)
{
    int64_t i = 0;
    for (; i + LANES <= n_bytes; i += LANES) {
        lanes m[LANES];
        memcpy(m, side + i * LANES, sizeof m);
        turn_over(m);
        for (int32_t l = 0; l < n_rows; l++) memcpy(dst + l * stride + i, &m[l], LANES);
    }
    for (; i < n_bytes; i++) {
        for (int32_t l = 0; l < n_rows; l++) dst[l * stride + i] = side[i * LANES + l];
    }
}

static uint8_t *pixel(const plane *p, int64_t row, int64_t col)
{
    return p->rgb + (row - p->y) * p->stride + (col - p->x) * 3;
}

/* Columns [c0, c1) of at most LANES rows; side: scratch [source + target width, BLOCK]. */
static void across(const pass *p, int32_t row, int32_t n_rows, int32_t c0, int32_t c1, uint8_t *side)
{
    const plane *src = p->src, *dst = p->dst;
    const taps *t = p->t;
    const int64_t from = t->first[c0], n = t->first[c1 - 1] + t->count[c1 - 1] - from;
    uint8_t *done = side + n * BLOCK;
    interleave(pixel(src, row, from), src->stride, n_rows, n * 3, side);
    for (int64_t i = c0; i < c1; i++)
        p->mac(side + (t->first[i] - from) * BLOCK, BLOCK, t->weight + i * t->max, t->count[i],
               done + (i - c0) * BLOCK);
    separate(done, n_rows, (int64_t)(c1 - c0) * 3, pixel(dst, row, c0), dst->stride);
}

/* Columns [c0, c1) of one row. */
static void down(const pass *p, int64_t row, int32_t c0, int32_t c1)
{
    const int64_t n = (int64_t)(c1 - c0) * 3;
    const int32_t *weight = p->t->weight + row * p->t->max, count = p->t->count[row];
    const uint8_t *in = pixel(p->src, p->t->first[row], c0);
    uint8_t *out = pixel(p->dst, row, c0);
    int64_t c = 0;
    for (; c + BLOCK <= n; c += BLOCK) p->mac(in + c, p->src->stride, weight, count, out + c);
    mac_rest(in + c, p->src->stride, weight, count, out + c, n - c);
}

static void horizontal(void *arg, int64_t task, int32_t worker)
{
    const pass *p = (const pass *)arg;
    const int32_t row = (int32_t)task * LANES;
    const int32_t n_rows = p->src->height - row < LANES ? p->src->height - row : LANES;
    uint8_t *side = p->scratch + (int64_t)worker * (p->src->width + p->dst->width) * BLOCK;
    across(p, row, n_rows, 0, p->dst->width, side);
}

static void vertical(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const pass *p = (const pass *)arg;
    const int64_t last = (task + 1) * ROWS < p->dst->height ? (task + 1) * ROWS : p->dst->height;
    for (int64_t row = task * ROWS; row < last; row++) down(p, row, 0, p->dst->width);
}

/* Pillow adds the scale step by step, which decides ties. */
static int nearest(const uint8_t *src, int64_t stride, int32_t sw, int32_t sh, uint8_t *dst, int32_t dw, int32_t dh,
                   pare__arena *arena)
{
    int32_t *col = PARE__ARENA(arena, int32_t, dw);
    if (!col) return PARE_E_NOMEM;
    double step_x = (double)sw / dw, step_y = (double)sh / dh;
    double x = step_x * 0.5, y = step_y * 0.5;
    for (int32_t i = 0; i < dw; i++, x += step_x) col[i] = x < sw ? (int32_t)x : sw - 1;
    for (int32_t r = 0; r < dh; r++, y += step_y) {
        const uint8_t *row = src + (y < sh ? (int64_t)y : sh - 1) * stride;
        uint8_t *out = dst + (int64_t)r * dw * 3;
        for (int64_t i = 0; i < dw; i++) memcpy(out + i * 3, row + (int64_t)col[i] * 3, 3);
    }
    return 0;
}

static void copy(const uint8_t *src, int64_t stride, int32_t w, int32_t h, uint8_t *dst)
{
    for (int64_t r = 0; r < h; r++) memcpy(dst + r * w * 3, src + r * stride, (size_t)w * 3);
}

/* One pass over the width: src [sh, sw] -> dst [sh, dw]. */
static int widen(const plane *src, const plane *dst, const filter *f, pare__arena *arena, pare__pool *pool)
{
    taps t;
    pass p = {&t, src, dst, NULL, best_mac()};
    p.scratch =
        (uint8_t *)pare__arena_alloc(arena, (int64_t)pare__pool_threads(pool) * (src->width + dst->width), BLOCK);
    if (!p.scratch || make_taps(&t, f, src->width, dst->width, arena) < 0) return PARE_E_NOMEM;
    pare__pool_run(pool, (src->height + LANES - 1) / LANES, horizontal, &p);
    return 0;
}

/* One pass over the height: src [sh, w] -> dst [dh, w]. */
static int heighten(const plane *src, const plane *dst, const filter *f, pare__arena *arena, pare__pool *pool)
{
    taps t;
    pass p = {&t, src, dst, NULL, best_mac()};
    if (make_taps(&t, f, src->height, dst->height, arena) < 0) return PARE_E_NOMEM;
    pare__pool_run(pool, (dst->height + ROWS - 1) / ROWS, vertical, &p);
    return 0;
}

/* Which pass comes first decides the last bit. Pillow 13 (observed; older ones always begin with the width) begins with
 * the height where that leaves clearly less to do. */
static int height_first(const plane *src, const plane *dst)
{
    return dst->height < src->height && src->height - dst->height > 2 * (src->width - dst->width);
}

static int filtered(const plane *src, const plane *dst, const filter *f, pare__arena *arena, pare__pool *pool)
{
    if (src->height == dst->height) return widen(src, dst, f, arena, pool);
    if (src->width == dst->width) return heighten(src, dst, f, arena, pool);
    int down = !f->width_first && height_first(src, dst);
    plane half = {.width = down ? src->width : dst->width, .height = down ? dst->height : src->height};
    half.stride = (int64_t)half.width * 3;
    half.rgb = (uint8_t *)pare__arena_alloc(arena, half.height, half.stride);
    if (!half.rgb) return PARE_E_NOMEM;
    int rc = down ? heighten(src, &half, f, arena, pool) : widen(src, &half, f, arena, pool);
    if (rc < 0) return rc;
    return down ? widen(&half, dst, f, arena, pool) : heighten(&half, dst, f, arena, pool);
}

int pare__resize_u8(const uint8_t *src, int64_t stride, int32_t sw, int32_t sh, uint8_t *dst, int32_t dw, int32_t dh,
                    pare__resample resample, pare__arena *arena, pare__pool *pool, pare_error *err)
{
    pare__mark mark = pare__arena_mark(arena);
    plane from = {(uint8_t *)src, stride, sw, sh, 0, 0}; /* only read */
    plane to = {dst, (int64_t)dw * 3, dw, dh, 0, 0};
    int rc = 0;
    if (sw == dw && sh == dh)
        copy(src, stride, sw, sh, dst);
    else if (resample == PARE__RESAMPLE_NEAREST)
        rc = nearest(src, stride, sw, sh, dst, dw, dh, arena);
    else
        rc = filtered(&from, &to, &filters[resample], arena, pool);
    pare__arena_reset(arena, mark);
    if (rc < 0) pare_fail(err, rc, "out of memory resizing %d x %d to %d x %d", sw, sh, dw, dh);
    return rc;
}

/* ---- what changed ---------------------------------------------------------------------------------------------- */

/* New pixels of a row of blocks, columns [c0, c1) between the passes. */
static void renew_columns(const renewal *w, int32_t r, int32_t c0, int32_t c1, uint8_t *side)
{
    const pass p = {w->across, w->src, w->half, NULL, w->mac};
    const int32_t block = w->changed->block, top = r * block;
    const int32_t end = w->src->height - top < block ? w->src->height : top + block;
    for (int32_t row = top; row < end; row += LANES)
        across(&p, row, end - row < LANES ? end - row : LANES, c0, c1, side);
    memset(w->mark + (int64_t)r * w->n_mark + c0 / MARK, 1, (size_t)((c1 - 1) / MARK - c0 / MARK + 1));
}

/* Runs of changed blocks, and the columns that are made of them. What two runs share is made once. */
static void renew_blocks(void *arg, int64_t task, int32_t worker)
{
    const renewal *w = (const renewal *)arg;
    const pare__changed *changed = w->changed;
    const taps *t = w->across;
    const uint8_t *is_new = changed->is_new + task * changed->cols;
    uint8_t *side = w->side + (int64_t)worker * (w->src->width + w->half->width) * BLOCK;
    for (int32_t c = 0, c0, c1 = 0; c < changed->cols; c++) {
        const int64_t from = (int64_t)c * changed->block;
        if (!is_new[c]) continue;
        while (c < changed->cols && is_new[c]) c++;
        for (c0 = c1; c0 < w->half->width && t->first[c0] + t->count[c0] <= from;) c0++;
        for (c1 = c0; c1 < w->half->width && t->first[c1] < (int64_t)c * changed->block;) c1++;
        if (c0 < c1) renew_columns(w, (int32_t)task, c0, c1, side);
    }
}

static int is_marked(const renewal *w, int32_t first, int32_t last, int32_t i)
{
    for (int32_t r = first; r <= last; r++)
        if (w->mark[(int64_t)r * w->n_mark + i]) return 1;
    return 0;
}

/* Columns of one row of the target that are made of something new. */
static void renew_row(const renewal *w, int32_t row)
{
    const pass p = {w->down, w->half, w->dst, NULL, w->mac};
    const int32_t first = w->down->first[row] / w->changed->block;
    const int32_t last = (w->down->first[row] + w->down->count[row] - 1) / w->changed->block;
    for (int32_t i = 0; i < w->n_mark; i++) {
        int32_t c0 = i * MARK;
        while (i < w->n_mark && is_marked(w, first, last, i)) i++;
        int32_t c1 = i * MARK;
        if (c0 < w->part->x0) c0 = w->part->x0;
        if (c1 > w->part->x1) c1 = w->part->x1;
        if (c0 < c1) down(&p, row, c0, c1);
    }
}

static void renew_rows(void *arg, int64_t task, int32_t worker)
{
    (void)worker;
    const renewal *w = (const renewal *)arg;
    const int32_t from = w->part->y0 + (int32_t)task * ROWS;
    const int32_t end = w->part->y1 - from < ROWS ? w->part->y1 : from + ROWS;
    for (int32_t row = from; row < end; row++) renew_row(w, row);
}

int pare__resize_keeps(pare__resample resample, int32_t sw, int32_t sh, int32_t dw, int32_t dh)
{
    const plane src = {.width = sw, .height = sh}, dst = {.width = dw, .height = dh};
    return resample != PARE__RESAMPLE_NEAREST && sw != dw && sh != dh &&
           (filters[resample].width_first || !height_first(&src, &dst));
}

static int renew(renewal *w, const filter *f, pare__arena *arena, pare__pool *pool)
{
    const pare__area *part = w->part;
    const int64_t workers = pare__pool_threads(pool);
    taps *t = PARE__ARENA(arena, taps, 2);
    w->n_mark = (w->half->width + MARK - 1) / MARK;
    w->side = (uint8_t *)pare__arena_alloc(arena, workers * (w->src->width + w->half->width), BLOCK);
    w->mark = (uint8_t *)pare__arena_alloc(arena, w->changed->rows, w->n_mark);
    if (!t || !w->side || !w->mark || make_taps(&t[0], f, w->src->width, w->dst->width, arena) ||
        make_taps(&t[1], f, w->src->height, w->dst->height, arena))
        return PARE_E_NOMEM;
    w->across = &t[0];
    w->down = &t[1];
    memset(w->mark, 0, (size_t)w->changed->rows * (size_t)w->n_mark);
    pare__pool_run(pool, w->changed->rows, renew_blocks, w);
    pare__pool_run(pool, (part->y1 - part->y0 + ROWS - 1) / ROWS, renew_rows, w);
    return 0;
}

int pare__resize_changed(const pare_frame *src, const pare__changed *changed, const pare__target *to,
                         pare__resample resample, uint8_t *between, pare__arena *arena, pare__pool *pool,
                         pare_error *err)
{
    const pare__mark mark = pare__arena_mark(arena);
    const plane from = {(uint8_t *)src->rgb, src->stride, src->width, src->height, 0, 0}; /* only read */
    const plane half = {between, (int64_t)to->width * 3, to->width, src->height, 0, 0};
    const plane dst = {to->rgb, to->stride, to->width, to->height, to->part.x0, to->part.y0};
    renewal w = {.changed = changed, .src = &from, .half = &half, .dst = &dst, .part = &to->part, .mac = best_mac()};
    const int rc = renew(&w, &filters[resample], arena, pool);
    pare__arena_reset(arena, mark);
    return rc ? pare_fail(err, rc, "out of memory resizing parts of %d x %d", src->width, src->height) : 0;
}
