/* SPDX-License-Identifier: MIT */
/* pare_survey_*: what a clip is remembered by (change, cuts, thumbnails, what sizes cost), and pare_frame_resize. */
#include "survey.h"

#include <math.h>
#include <string.h>

#include <pare/pare.h>

#include "api.h"
#include "core/limits.h"
#include "core/pixels_in.h"
#include "encode/prep.h"

#define MAX_FRAMES ((int64_t)1 << 20)

enum { UNIT = PARE__SURVEY_UNIT, GRID_W = PARE__SURVEY_GRID_W, GRID_H = PARE__SURVEY_GRID_H };
/* Frames that scales are judged by: all at first, then every second, fourth, ... after so many more. */
enum { JUDGED_AT_ONCE = 4 };

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

static int check_frame(const pare_frame *f, const char *function, pare_error *err)
{
    if (!f->rgb) return pare_fail(err, PARE_E_INVALID, "%s: frame has no pixels", function);
    if (f->width < 1 || f->height < 1)
        return pare_fail(err, PARE_E_INVALID, "frame of %d x %d pixels", f->width, f->height);
    if (f->width > PARE__MAX_SIDE || f->height > PARE__MAX_SIDE)
        return pare_fail(err, PARE_E_LIMIT, "frame of %d x %d pixels, at most %d a side", f->width, f->height,
                         PARE__MAX_SIDE);
    return pare__pixels_check(f, function, err);
}

static int resize(const pare_frame *f, pare__resample filter, uint8_t *out, int32_t width, int32_t height,
                  pare__arena *arena, pare_error *err)
{
    return pare__resize_u8(f->rgb, f->stride, f->width, f->height, out, width, height, filter, arena, NULL, err);
}

int pare_frame_resize(const pare_frame *frame, int32_t filter, uint8_t *out, int32_t width, int32_t height,
                      pare_error *err)
{
    static const pare__resample filters[] = {PARE__RESAMPLE_NEAREST, PARE__RESAMPLE_BOX, PARE__RESAMPLE_BILINEAR,
                                             PARE__RESAMPLE_BICUBIC, PARE__RESAMPLE_LANCZOS};
    pare_frame own = {0};
    pare__arena arena = {0};
    if (!frame || !out) return pare__no_argument("pare_frame_resize", frame ? "out" : "frame", err);
    int rc = pare__take_struct(&own, sizeof own, frame, "pare_frame_resize", err);
    if (rc == 0) rc = check_frame(&own, "pare_frame_resize", err);
    if (rc) return rc;
    if (filter < 0 || filter >= (int32_t)(sizeof filters / sizeof *filters))
        return pare_fail(err, PARE_E_INVALID, "filter %d, not 0 to %d", filter, PARE_RESIZE_LANCZOS);
    if (width < 1 || height < 1) return pare_fail(err, PARE_E_INVALID, "a size of %d x %d pixels", width, height);
    if (width > PARE__MAX_SIDE || height > PARE__MAX_SIDE)
        return pare_fail(err, PARE_E_LIMIT, "a size of %d x %d pixels, at most %d a side", width, height,
                         PARE__MAX_SIDE);
    rc = pare__pixels_rgb(&own, &arena, NULL, &own, err);
    if (rc == 0) rc = resize(&own, filters[filter], out, width, height, &arena, err);
    pare__arena_fini(&arena);
    return rc;
}

/* ---- what scales keep -------------------------------------------------------------------------------------------- */

static pare_frame dense(const uint8_t *rgb, int32_t width, int32_t height)
{
    return (pare_frame){.rgb = rgb, .stride = (int64_t)width * 3, .width = width, .height = height};
}

/* Mean |a - b| of [n] values. */
static double apart(const pare__vec *vec, const uint8_t *a, const uint8_t *b, int64_t n)
{
    return (double)vec->sad_u8(a, b, n) / (double)n;
}

/* Down to 2^(-i / 2) of the sides and up again. */
static int judge_scale(pare_survey *s, const pare_frame *f, int i, uint8_t *down, uint8_t *up, pare_error *err)
{
    const double scale = pow(2, -.5 * i);
    const int32_t width = (int32_t)fmax(1, rint(f->width * scale)), height = (int32_t)fmax(1, rint(f->height * scale));
    int rc = resize(f, PARE__RESAMPLE_BICUBIC, down, width, height, &s->arena, err);
    if (rc) return rc;
    const pare_frame small = dense(down, width, height);
    rc = resize(&small, PARE__RESAMPLE_BICUBIC, up, f->width, f->height, &s->arena, err);
    if (rc == 0) s->error[i] += apart(s->vec, f->rgb, up, (int64_t)f->width * f->height * 3);
    return rc;
}

/* Large frames are judged from PARE__SURVEY_SIDE pixels a side down: what is above is scarcely seen by any consumer. */
static int judge(pare_survey *s, const pare_frame *frame, pare_error *err)
{
    if (!s->opts.with_sizes || s->n % s->stride) return 0;
    const pare__mark mark = pare__arena_mark(&s->arena);
    const double shrink = fmin(1, (double)PARE__SURVEY_SIDE / fmax(frame->width, frame->height));
    const int32_t width = (int32_t)fmax(1, rint(frame->width * shrink));
    const int32_t height = (int32_t)fmax(1, rint(frame->height * shrink));
    const int64_t bytes = (int64_t)width * height * 3;
    uint8_t *own = PARE__ARENA(&s->arena, uint8_t, bytes), *down = PARE__ARENA(&s->arena, uint8_t, bytes);
    uint8_t *up = PARE__ARENA(&s->arena, uint8_t, bytes);
    int rc = own && down && up ? 0 : pare_fail(err, PARE_E_NOMEM, "no memory for a frame of %d x %d", width, height);
    if (rc == 0) rc = resize(frame, PARE__RESAMPLE_BICUBIC, own, width, height, &s->arena, err);
    const pare_frame f = dense(own, width, height);
    for (int i = 1; rc == 0 && i < PARE__SCALES; i++) rc = judge_scale(s, &f, i, down, up, err);
    pare__arena_reset(&s->arena, mark);
    if (rc == 0 && ++s->n_judged % JUDGED_AT_ONCE == 0) s->stride *= 2;
    return rc;
}

double pare__survey_blur(const pare_survey *s, double scale)
{
    const double at = fmin(-2 * log2(scale), PARE__SCALES - 1);
    const int low = (int)at, high = low + (low < PARE__SCALES - 1);
    return (s->error[low] + (at - low) * (s->error[high] - s->error[low])) / (double)s->n_judged;
}

int pare_survey_detail(const pare_survey *s, double scale, double *detail, pare_error *err)
{
    if (!s || !detail) return pare__no_argument("pare_survey_detail", s ? "detail" : "survey", err);
    if (!(scale > 0) || scale > 1) return pare_fail(err, PARE_E_INVALID, "a scale of %g, not above 0 up to 1", scale);
    if (!s->opts.with_sizes || !s->n_judged)
        return pare_fail(err, PARE_E_INVALID, "the survey judged no sizes: create it with with_sizes, push frames");
    const double worst = s->error[PARE__SCALES - 1] / (double)s->n_judged;
    *detail = worst > 0 ? 1 - pare__survey_blur(s, scale) / worst : 1;
    return 0;
}

/* ---- frames ------------------------------------------------------------------------------------------------------ */

int pare_survey_create(pare_survey **out, const pare_survey_opts *opts, pare_error *err)
{
    if (!out) return pare__no_argument("pare_survey_create", "out", err);
    pare_survey_opts own = {.struct_size = sizeof own};
    *out = NULL;
    const int rc = opts ? pare__take_struct(&own, sizeof own, opts, "pare_survey_create", err) : 0;
    if (rc) return rc;
    pare_survey *s = PARE__NEW(pare_survey, 1);
    if (s) s->picture = pare__malloc(2, PARE__SURVEY_PICTURE);
    if (!s || !s->picture) {
        pare_survey_close(&s);
        return pare_fail(err, PARE_E_NOMEM, "no memory for a survey");
    }
    s->opts = own;
    s->vec = pare__vec_best();
    s->stride = 1;
    *out = s;
    return 0;
}

void pare_survey_close(pare_survey **s)
{
    if (!s || !*s) return;
    pare__free((*s)->pts);
    pare__free((*s)->change);
    pare__free((*s)->is_cut);
    pare__free((*s)->thumb);
    pare__free((*s)->picture);
    pare__arena_fini(&(*s)->arena);
    pare__free(*s);
    *s = NULL;
}

static int grow(pare_survey *s, pare_error *err)
{
    const int64_t n = s->n + 1;
    if (n > MAX_FRAMES) return pare_fail(err, PARE_E_LIMIT, "a survey of more than %lld frames", (long long)MAX_FRAMES);
    if (pare__grow((void **)&s->pts, &s->cap_pts, n, sizeof *s->pts) == 0 &&
        pare__grow((void **)&s->change, &s->cap_change, n, sizeof *s->change) == 0 &&
        pare__grow((void **)&s->is_cut, &s->cap_cut, n, 1) == 0 &&
        pare__grow((void **)&s->thumb, &s->cap_thumb, n, PARE__THUMB) == 0)
        return 0;
    return pare_fail(err, PARE_E_NOMEM, "no memory for frame %lld of a survey", (long long)n);
}

/* Levels of brightness, ITU-R BT.601, of a small picture. */
static int make_thumb(pare_survey *s, const pare_frame *picture, pare_error *err)
{
    uint8_t rgb[PARE__THUMB * 3], *thumb = s->thumb + s->n * PARE__THUMB;
    const int rc = resize(picture, PARE__RESAMPLE_BOX, rgb, PARE__THUMB_W, PARE__THUMB_H, &s->arena, err);
    for (int i = 0; rc == 0 && i < PARE__THUMB; i++)
        thumb[i] = (uint8_t)((299 * rgb[3 * i] + 587 * rgb[3 * i + 1] + 114 * rgb[3 * i + 2] + 500) / 1000);
    return rc;
}

static void take_pulse(pare_survey *s, const uint8_t *now, const uint8_t *before)
{
    pare__pulse pulse;
    pare__pulse_take(s->vec, now, s->n ? before : NULL, GRID_H, GRID_W, UNIT, &s->past, NULL, &pulse);
    s->change[s->n] = fmaxf(pulse.change, 0);
    s->is_cut[s->n] = (uint8_t)(pulse.is_cut != 0);
    s->n_cuts += pulse.is_cut != 0;
}

static int check_time(const pare_survey *s, const pare_frame *f, pare_error *err)
{
    if (!isfinite(f->pts)) return pare_fail(err, PARE_E_INVALID, "frame %lld has no time stamp", (long long)s->n);
    if (s->n && f->pts < s->pts[s->n - 1])
        return pare_fail(err, PARE_E_INVALID, "frame %lld is stamped %g s, before %g s of the last one",
                         (long long)s->n, f->pts, s->pts[s->n - 1]);
    return 0;
}

int pare_survey_push(pare_survey *s, const pare_frame *frame, pare_error *err)
{
    pare_frame own = {0};
    if (!s || !frame) return pare__no_argument("pare_survey_push", s ? "frame" : "survey", err);
    int rc = pare__take_struct(&own, sizeof own, frame, "pare_survey_push", err);
    if (rc == 0) rc = check_frame(&own, "pare_survey_push", err);
    if (rc == 0) rc = check_time(s, &own, err);
    if (rc == 0) rc = grow(s, err);
    if (rc) return rc;
    uint8_t *now = s->picture + (s->n & 1) * PARE__SURVEY_PICTURE,
            *before = s->picture + !(s->n & 1) * PARE__SURVEY_PICTURE;
    const pare__mark mark = pare__arena_mark(&s->arena);
    const pare_frame picture = dense(now, UNIT * GRID_W, UNIT * GRID_H);
    rc = pare__pixels_rgb(&own, &s->arena, NULL, &own, err);
    if (rc == 0) rc = resize(&own, PARE__RESAMPLE_BILINEAR, now, UNIT * GRID_W, UNIT * GRID_H, &s->arena, err);
    if (rc == 0) rc = make_thumb(s, &picture, err);
    if (rc == 0) rc = judge(s, &own, err);
    pare__arena_reset(&s->arena, mark);
    if (rc) return rc;
    take_pulse(s, now, before);
    s->pts[s->n++] = own.pts;
    if ((int64_t)own.width * own.height > (int64_t)s->width * s->height) {
        s->width = own.width;
        s->height = own.height;
    }
    return 0;
}

int pare_survey_get(const pare_survey *s, pare_survey_view *view, pare_error *err)
{
    if (!s) return pare__no_argument("pare_survey_get", "survey", err);
    const pare_survey_view own = {.struct_size = sizeof own,
                                  .n = s->n,
                                  .n_cuts = s->n_cuts,
                                  .pts = s->pts,
                                  .change = s->change,
                                  .is_cut = s->is_cut,
                                  .width = s->width,
                                  .height = s->height};
    return pare__give_struct(view, &own, sizeof own, "pare_survey_get", err);
}
