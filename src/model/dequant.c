/* SPDX-License-Identifier: MIT */
/* GGUF's block formats to f32. Source: the block structs of ggml/src/ggml-common.h. A block of 32 has one scale d (and an
 * offset m); a block of 256 (K) has eight or sixteen parts with scales of 6 or 8 bits under one f16 scale:
 *
 *   Q4_0  d qs[16]               x = d (q - 8)          low nibbles are values 0..15, high ones 16..31
 *   Q4_1  d m qs[16]             x = d q + m
 *   Q5_0  d qh[4] qs[16]         x = d (q - 16)         bit i of qh is the fifth of value i
 *   Q5_1  d m qh[4] qs[16]       x = d q + m
 *   Q4_K  d e s[12] qs[128]      x = d s q - e m        parts of 32; s and m of 6 bits in s[12]
 *   Q5_K  d e s[12] qh[32] qs[128]
 *   Q6_K  ql[128] qh[64] s[16] d x = d s (q - 32)       parts of 16; s is signed */
#include <string.h>

#include "core/half.h"
#include "model/tensorfile.h"

enum { SMALL = 32, LARGE = 256 };

static float half_at(const uint8_t *p) { return pare__f16((uint16_t)(p[0] | p[1] << 8)); }

/* Value i of 32 in nibbles: the first 16 are the low ones. */
static int nibble(const uint8_t *qs, int i) { return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4; }

static int bit(const uint8_t *bits, int i) { return bits[i / 8] >> (i % 8) & 1; }

static void q4_0(const uint8_t *b, float *x)
{
    const float d = half_at(b);
    for (int i = 0; i < SMALL; i++) x[i] = d * (float)(nibble(b + 2, i) - 8);
}

static void q4_1(const uint8_t *b, float *x)
{
    const float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < SMALL; i++) x[i] = d * (float)nibble(b + 4, i) + m;
}

static void q5_0(const uint8_t *b, float *x)
{
    const float d = half_at(b);
    for (int i = 0; i < SMALL; i++) x[i] = d * (float)((nibble(b + 6, i) | bit(b + 2, i) << 4) - 16);
}

static void q5_1(const uint8_t *b, float *x)
{
    const float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < SMALL; i++) x[i] = d * (float)(nibble(b + 8, i) | bit(b + 4, i) << 4) + m;
}

/* Scale and offset of part i of 8: six bits each, those of the last four in two pieces. */
static void part_scale(const uint8_t *s, int i, int *scale, int *offset)
{
    if (i < 4) {
        *scale = s[i] & 63;
        *offset = s[i + 4] & 63;
    } else {
        *scale = (s[i + 4] & 15) | s[i - 4] >> 6 << 4;
        *offset = s[i + 4] >> 4 | s[i] >> 6 << 4;
    }
}

/* Q4_K, and Q5_K with the fifth bits: bit `part` of qh[i] belongs to value i of the part. Two parts share 32 bytes. */
static void k_parts(const uint8_t *b, const uint8_t *qh, const uint8_t *qs, float *x)
{
    for (int part = 0; part < 8; part++) {
        int scale, offset;
        part_scale(b + 4, part, &scale, &offset);
        const float d = half_at(b) * (float)scale, m = half_at(b + 2) * (float)offset;
        for (int i = 0; i < SMALL; i++) {
            const int low = qs[part / 2 * SMALL + i] >> (part % 2 * 4) & 15;
            const int high = qh ? (qh[i] >> part & 1) << 4 : 0;
            *x++ = d * (float)(low | high) - m;
        }
    }
}

static void q4_k(const uint8_t *b, float *x) { k_parts(b, NULL, b + 16, x); }
static void q5_k(const uint8_t *b, float *x) { k_parts(b, b + 16, b + 48, x); }

/* Halves of 128 values; four quarters of 32 share 64 bytes of nibbles and 32 of two bits each. */
static void q6_k(const uint8_t *b, float *x)
{
    const float d = half_at(b + 208);
    for (int i = 0; i < LARGE; i++) {
        const int half = i / 128, quarter = i % 128 / 32, at = i % 32;
        const int low = b[half * 64 + quarter % 2 * 32 + at] >> (quarter / 2 * 4) & 15;
        const int high = b[128 + half * 32 + at] >> (quarter * 2) & 3;
        const float scale = d * (float)(int8_t)b[192 + i / 16];
        x[i] = scale * (float)((low | high << 4) - 32);
    }
}

typedef struct format_row {
    int32_t dtype;
    void (*block)(const uint8_t *block, float *x);
} format_row;

static const format_row formats[] = {
    {PARE__Q4_0, q4_0}, {PARE__Q4_1, q4_1}, {PARE__Q5_0, q5_0}, {PARE__Q5_1, q5_1},
    {PARE__Q4_K, q4_k}, {PARE__Q5_K, q5_k}, {PARE__Q6_K, q6_k},
};

int pare__dequantise(int32_t dtype, const uint8_t *blocks, int64_t n, float *out)
{
    const int64_t block = pare__dtype_block(dtype), bytes = pare__dtype_bytes(dtype, block);
    for (size_t f = 0; f < sizeof formats / sizeof *formats; f++) {
        if (formats[f].dtype != dtype) continue;
        for (int64_t i = 0; i < n / block; i++) formats[f].block(blocks + i * bytes, out + i * block);
        return 1;
    }
    return 0;
}
