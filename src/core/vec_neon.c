/* SPDX-License-Identifier: MIT */
/* Primitives of vec_tmpl.h for AArch64: 4 floats. */
#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

enum { VN = 4, MUL_ROWS = 12 };
typedef float32x4_t vf;

#define VEC_TABLE pare__vec_neon
#define VEC_NAME "neon"
#define MUL_EACH_ROW(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)

static inline vf v_set(float x) { return vdupq_n_f32(x); }
static inline vf v_load(const float *p) { return vld1q_f32(p); }
static inline void v_store(float *p, vf v) { vst1q_f32(p, v); }
static inline vf v_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
static inline vf v_max(vf a, vf b) { return vmaxq_f32(a, b); }
static inline vf v_min(vf a, vf b) { return vminq_f32(a, b); }
static inline vf v_least(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vf v_most(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

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

static inline int16x4_t rounded(vf v, int32_t add)
{
    return vqmovn_s32(vaddq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(add)));
}

static inline void v_store_u8(uint8_t *p, vf v0, vf v1, vf v2, vf v3, int32_t add)
{
    int16x8_t low = vcombine_s16(rounded(v0, add), rounded(v1, add));
    int16x8_t high = vcombine_s16(rounded(v2, add), rounded(v3, add));
    vst1q_u8(p, vcombine_u8(vqmovun_s16(low), vqmovun_s16(high)));
}

static inline void turn4(float *to, int64_t ldt, const float *from, int64_t ldf)
{
    float32x4x2_t upper = vtrnq_f32(vld1q_f32(from), vld1q_f32(from + ldf));
    float32x4x2_t lower = vtrnq_f32(vld1q_f32(from + 2 * ldf), vld1q_f32(from + 3 * ldf));
    vst1q_f32(to, vcombine_f32(vget_low_f32(upper.val[0]), vget_low_f32(lower.val[0])));
    vst1q_f32(to + ldt, vcombine_f32(vget_low_f32(upper.val[1]), vget_low_f32(lower.val[1])));
    vst1q_f32(to + 2 * ldt, vcombine_f32(vget_high_f32(upper.val[0]), vget_high_f32(lower.val[0])));
    vst1q_f32(to + 3 * ldt, vcombine_f32(vget_high_f32(upper.val[1]), vget_high_f32(lower.val[1])));
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
