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

/* Areas of the target, each taken through both passes by one worker. */
typedef struct areas {
    const pare__area *area;
    const taps *across, *down; /* NULL: that side keeps its size */
    const plane *src, *dst;
    uint8_t *side, *half; /* [workers, ...] scratch of the horizontal pass, what lies between the passes */
    int64_t half_bytes;
    int height_first;
    mac_fn mac;
} areas;

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

/* ---- areas ----------------------------------------------------------------------------------------------------- */

/* What lies between the passes of an area, in pixels of its plane: from the source in the one direction, of the target in
 * the other. */
static pare__area between(const areas *s, const pare__area *a)
{
    pare__area h = *a;
    const taps *t = s->height_first ? s->across : s->down;
    if (s->height_first) {
        h.x0 = t->first[a->x0];
        h.x1 = t->first[a->x1 - 1] + t->count[a->x1 - 1];
    } else {
        h.y0 = t->first[a->y0];
        h.y1 = t->first[a->y1 - 1] + t->count[a->y1 - 1];
    }
    return h;
}

static void pass_across(const areas *s, const plane *src, const plane *dst, const pare__area *a, uint8_t *side)
{
    const pass p = {s->across, src, dst, NULL, s->mac};
    for (int32_t row = a->y0; row < a->y1; row += LANES)
        across(&p, row, a->y1 - row < LANES ? a->y1 - row : LANES, a->x0, a->x1, side);
}

static void pass_down(const areas *s, const plane *src, const plane *dst, const pare__area *a)
{
    const pass p = {s->down, src, dst, NULL, s->mac};
    for (int32_t row = a->y0; row < a->y1; row++) down(&p, row, a->x0, a->x1);
}

static void both_passes(const areas *s, const pare__area *a, uint8_t *side, uint8_t *room)
{
    const pare__area h = between(s, a);
    const plane half = {room, (int64_t)(h.x1 - h.x0) * 3, 0, 0, h.x0, h.y0};
    if (s->height_first)
        pass_down(s, s->src, &half, &h);
    else
        pass_across(s, s->src, &half, &h, side);
    if (s->height_first)
        pass_across(s, &half, s->dst, a, side);
    else
        pass_down(s, &half, s->dst, a);
}

static void one_area(void *arg, int64_t task, int32_t worker)
{
    const areas *s = (const areas *)arg;
    const pare__area *a = &s->area[task];
    uint8_t *side = s->side + (int64_t)worker * (s->src->width + s->dst->width) * BLOCK;
    if (s->across && s->down)
        both_passes(s, a, side, s->half + worker * s->half_bytes);
    else if (s->across)
        pass_across(s, s->src, s->dst, a, side);
    else if (s->down)
        pass_down(s, s->src, s->dst, a);
    else
        for (int32_t row = a->y0; row < a->y1; row++)
            memcpy(pixel(s->dst, row, a->x0), pixel(s->src, row, a->x0), (size_t)(a->x1 - a->x0) * 3);
}

static int make_areas(areas *s, const filter *f, int32_t n, pare__arena *arena, pare__pool *pool)
{
    const plane *src = s->src, *dst = s->dst;
    const int64_t workers = pare__pool_threads(pool);
    taps *t = PARE__ARENA(arena, taps, 2);
    if (!t) return PARE_E_NOMEM;
    if (src->width != dst->width) s->across = &t[0];
    if (src->height != dst->height) s->down = &t[1];
    if (s->across && make_taps(&t[0], f, src->width, dst->width, arena)) return PARE_E_NOMEM;
    if (s->down && make_taps(&t[1], f, src->height, dst->height, arena)) return PARE_E_NOMEM;
    s->mac = best_mac();
    s->height_first = !f->width_first && height_first(src, dst);
    for (int32_t i = 0; s->across && s->down && i < n; i++) {
        const pare__area h = between(s, &s->area[i]);
        const int64_t bytes = (int64_t)(h.x1 - h.x0) * (h.y1 - h.y0) * 3;
        if (bytes > s->half_bytes) s->half_bytes = bytes;
    }
    s->side = (uint8_t *)pare__arena_alloc(arena, workers * (src->width + dst->width), BLOCK);
    s->half = (uint8_t *)pare__arena_alloc(arena, workers, s->half_bytes + 1);
    return s->side && s->half ? 0 : PARE_E_NOMEM;
}

int pare__resize_areas(const pare_frame *src, const pare__area *area, int32_t n, const pare__target *to,
                       pare__resample resample, pare__arena *arena, pare__pool *pool, pare_error *err)
{
    const pare__mark mark = pare__arena_mark(arena);
    const plane from = {(uint8_t *)src->rgb, src->stride, src->width, src->height, 0, 0}; /* only read */
    const plane dst = {to->rgb, to->stride, to->width, to->height, to->x, to->y};
    areas s = {.area = area, .src = &from, .dst = &dst};
    const int rc = make_areas(&s, &filters[resample], n, arena, pool);
    if (!rc) pare__pool_run(pool, n, one_area, &s);
    pare__arena_reset(arena, mark);
    return rc ? pare_fail(err, rc, "out of memory resizing parts of %d x %d", src->width, src->height) : 0;
}

int32_t pare__resample_reach(pare__resample resample, int32_t n_in, int32_t n_out)
{
    const double scale = (double)n_in / n_out;
    return n_in == n_out ? 0 : (int32_t)ceil(filters[resample].support * (scale < 1 ? 1 : scale)) + 1;
}
