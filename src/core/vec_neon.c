/* SPDX-License-Identifier: MIT */
/* Primitives of vec_tmpl.h for AArch64: 4 floats. */
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

enum { VN = 4 };
typedef float32x4_t vf;

#define VEC_TABLE pare__vec_neon
#define VEC_NAME "neon"

static inline vf v_set(float x) { return vdupq_n_f32(x); }
static inline vf v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vf v) { vst1q_f32(p, v); }
static inline vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf v_max(vf a, vf b) { return vmaxq_f32(a, b); }
static inline vf v_min(vf a, vf b) { return vminq_f32(a, b); }

static inline vf v_load_n(const float *p, int64_t n, float pad)
{
    float lane[4] = {pad, pad, pad, pad};
    memcpy(lane, p, (size_t)n * sizeof *p);
    return vld1q_f32(lane);
}

static inline void v_store_n(float *p, int64_t n, vf v)
{
    float lane[4];
    vst1q_f32(lane, v);
    memcpy(p, lane, (size_t)n * sizeof *p);
}

static inline float v_hsum(vf v) { return vaddvq_f32(v); }
static inline float v_hmax(vf v) { return vmaxvq_f32(v); }

static inline vf v_f16(const void *p)
{
    uint16x4_t bits;
    memcpy(&bits, p, sizeof bits);
    return vcvt_f32_f16(vreinterpret_f16_u16(bits));
}

static inline vf v_i8(const void *p)
{
    int8_t lane[8] = {0};
    memcpy(lane, p, 4);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(lane)))));
}

static uint64_t sad_u8(const uint8_t *a, const uint8_t *b, int64_t n)
{
    uint64x2_t total = vdupq_n_u64(0);
    int64_t i = 0;

    for (; i + 16 <= n; i += 16) {
        uint16x8_t pairs = vpaddlq_u8(vabdq_u8(vld1q_u8(a + i), vld1q_u8(b + i)));
        total = vpadalq_u32(total, vpaddlq_u16(pairs));
    }
    uint64_t s = vaddvq_u64(total);
    for (; i < n; i++) s += (uint64_t)(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
    return s;
}

#include "core/vec_tmpl.h"
