/* SPDX-License-Identifier: MIT */
/* pare_trade_*: watches a clip once for the choice of frame rate, grid and tokens per frame.
 *
 *     frame -> survey (blur of smaller sizes, picture of 24 x 18 units) -> holds: every rate x threshold of change
 *
 * Which grids the model takes is asked of a plan that sees the first frame. */
#include "trade.h"

#include <math.h>
#include <string.h>

#include "api.h"
#include "model/model.h"
#include "reduce/clip_plan.h"

enum { UNITS = PARE__SURVEY_UNITS, TILE = PARE__SURVEY_TILE, PICTURE = PARE__SURVEY_PICTURE };
/* Sizes below that of the model's rule, half an octave apart: with less than a quarter of its units an encoder is far from what
 * it has learnt, which pixels do not tell. */
enum { SMALLER = 2 };
#define BEYOND 1.05 /* a grid may be so much larger than the source's sides: its units do not divide them */
#define LEAST 1.5   /* threshold of the second hold, levels of 255; the first keeps every unit of every step */
#define GROWTH 1.66 /* from threshold to threshold: the last is 86 */

/* ---- create ------------------------------------------------------------------------------------------------------- */

static int check_opts(const pare_reducer_opts *o, int32_t free_sides, pare_error *err)
{
    if (free_sides < 1 || free_sides > (PARE_TRADE_RATE | PARE_TRADE_SIZE))
        return pare_fail(err, PARE_E_INVALID, "a trade of %d: must be 1 (rate), 2 (size) or 3 (both)", free_sides);
    if (!o->video) return pare_fail(err, PARE_E_INVALID, "a trade of rate and size is for clips, not for photos");
    if (o->tokens < 1 || o->tokens > (int64_t)1 << 30)
        return pare_fail(err, PARE_E_INVALID, "a trade of rate and size needs tokens 1..%d, not %lld", 1 << 30,
                         (long long)o->tokens);
    if ((free_sides & PARE_TRADE_SIZE) && (o->width || o->height || o->max_side))
        return pare_fail(err, PARE_E_INVALID, "a trade of sizes leaves width, height and max_side open");
    return 0;
}

static int make_holds(pare_trade *t, pare_error *err)
{
    t->memory = pare__malloc((int64_t)t->n_rate * PARE__HOLDS + 1, PICTURE);
    if (!t->memory) return pare_fail(err, PARE_E_NOMEM, "trade: out of memory");
    t->now = t->memory;
    for (int32_t i = 0; i < t->n_rate; i++)
        for (int32_t j = 0; j < PARE__HOLDS; j++)
            t->hold[i][j].picture = t->memory + ((int64_t)i * PARE__HOLDS + j + 1) * PICTURE;
    return 0;
}

/* As a reducer of this grid would be asked: any amount. */
static pare_reducer_opts probing(const pare_trade *t, int32_t width, int32_t height)
{
    pare_reducer_opts o = t->opts;
    o.tokens = o.n_frames = 0;
    o.min_per_frame = o.max_per_frame = 0;
    o.keep = 1;
    if (width) {
        o.width = width;
        o.height = height;
    }
    return o;
}

int pare_trade_create(pare_trade **out, const pare_model *model, const pare_reducer_opts *opts, int32_t free_sides,
                      pare_error *err)
{
    const pare_survey_opts survey = {.struct_size = sizeof survey, .with_sizes = 1};
    pare_plan *probe = NULL;
    if (!out) return pare__no_argument("pare_trade_create", "out", err);
    *out = NULL;
    if (!model) return pare__no_argument("pare_trade_create", "model", err);
    pare_trade *t = PARE__NEW(pare_trade, 1);
    if (!t) return pare_fail(err, PARE_E_NOMEM, "trade: out of memory");
    int rc = pare__take_reducer_opts(&t->opts, &t->custom, opts, "pare_trade_create", err);
    if (!rc) rc = check_opts(&t->opts, free_sides, err);
    if (rc) goto fail;
    t->model = model;
    t->free_sides = free_sides;
    t->n_rate = free_sides & PARE_TRADE_RATE ? PARE__RATES : 1;
    t->temporal = model->hp.temporal;
    rc = pare__clip_plan_create(&probe, model, &t->opts, PARE_PLAN_TWO_PASS, err);
    if (!rc) rc = make_holds(t, err);
    if (!rc) rc = pare_survey_create(&t->survey, &survey, err);
    if (rc) goto fail;
    pare__clip_plan_free(&probe);
    *out = t;
    return 0;
fail:
    pare__clip_plan_free(&probe);
    pare_trade_close(&t);
    return rc;
}

void pare_trade_close(pare_trade **out)
{
    pare_trade *t = out ? *out : NULL;
    if (!t) return;
    pare_survey_close(&t->survey);
    pare__free(t->memory);
    pare__free(t);
    *out = NULL;
}

/* ---- grids that the model takes ----------------------------------------------------------------------------------- */

/* The grid that a reducer gives the frame at this size; 0, 0 = by the model's rule. */
static int probe_size(const pare_trade *t, const pare_frame *f, int32_t width, int32_t height, pare__trade_size *out,
                      pare_error *err)
{
    const pare_reducer_opts o = probing(t, width, height);
    const int32_t side = t->model->hp.patch * t->model->hp.unit;
    pare_plan *plan = NULL;
    pare_plan_info info;
    int rc = pare__clip_plan_create(&plan, t->model, &o, PARE_PLAN_TWO_PASS, err);
    if (!rc) rc = pare__clip_plan_push(plan, f, err);
    if (!rc) rc = pare__clip_plan_finish(plan, err);
    if (!rc) {
        pare__clip_plan_get(plan, &info);
        *out = (pare__trade_size){.width = info.grid_w * side,
                                  .height = info.grid_h * side,
                                  .grid_h = info.grid_h,
                                  .grid_w = info.grid_w,
                                  .units = info.n_units};
    }
    pare__clip_plan_free(&plan);
    return rc;
}

static int is_new(const pare_trade *t, const pare__trade_size *s)
{
    for (int32_t i = 0; i < t->n_size; i++)
        if (t->size[i].grid_h == s->grid_h && t->size[i].grid_w == s->grid_w) return 0;
    return 1;
}

/* The rule's grid, smaller ones, and larger ones up to the source's pixels; those that the model refuses are left out. */
static int find_sizes(pare_trade *t, const pare_frame *f, pare_error *err)
{
    const int32_t side = t->model->hp.patch * t->model->hp.unit;
    pare__trade_size rule, s;
    const int rc = probe_size(t, f, 0, 0, &rule, err);
    if (rc) return rc;
    if (!(t->free_sides & PARE_TRADE_SIZE)) {
        t->size[t->n_size++] = rule;
        return 0;
    }
    for (int32_t k = -SMALLER; k < PARE__SIZES - SMALLER; k++) {
        const double scale = pow(2, .5 * k);
        const int32_t w = side * (int32_t)fmax(1, rint(rule.grid_w * scale));
        const int32_t h = side * (int32_t)fmax(1, rint(rule.grid_h * scale));
        const int is_beyond = (double)w * h > BEYOND * BEYOND * f->width * f->height;
        pare_error refusal = {0};
        if (k > 0 && is_beyond) break;
        if (k == 0)
            s = rule;
        else if (probe_size(t, f, w, h, &s, &refusal))
            continue;
        if (is_new(t, &s)) t->size[t->n_size++] = s;
    }
    return 0;
}

/* ---- one frame ---------------------------------------------------------------------------------------------------- */

static void count_levels(pare_trade *t, const uint8_t *rgb)
{
    for (int32_t i = 0; i < PICTURE; i++) t->histogram[i % 3][rgb[i]]++;
}

/* Unit by unit, so that a unit is one run of bytes. */
static void cut_units(const uint8_t *rgb, uint8_t *out)
{
    const int32_t bytes = 3 * PARE__SURVEY_UNIT, row = bytes * PARE__SURVEY_GRID_W;
    for (int32_t u = 0; u < UNITS; u++)
        for (int32_t y = 0; y < PARE__SURVEY_UNIT; y++, out += bytes)
            memcpy(out, rgb + (u / PARE__SURVEY_GRID_W * PARE__SURVEY_UNIT + y) * row + u % PARE__SURVEY_GRID_W * bytes,
                   (size_t)bytes);
}

/* `threshold`: sum of a unit; units that exceed it are kept where a step begins. */
static void hold_frame(pare__hold *h, const pare__vec *vec, const uint8_t *now, double threshold, int is_first,
                       int is_step)
{
    for (int32_t u = 0; u < UNITS; u++) {
        uint8_t *held = h->picture + u * TILE;
        const uint64_t apart = is_first ? 0 : vec->sad_u8(now + u * TILE, held, TILE);
        if (is_first || (is_step && (double)apart > threshold)) {
            memcpy(held, now + u * TILE, TILE);
            h->n_kept++;
        } else {
            h->error += apart;
        }
    }
}

static void watch_frame(pare_trade *t)
{
    const uint8_t *rgb = pare__survey_picture(t->survey);
    const int64_t i_frame = t->survey->n - 1;
    count_levels(t, rgb);
    cut_units(rgb, t->now);
    for (int32_t i = 0; i < t->n_rate; i++)
        for (int32_t j = 0; j < PARE__HOLDS; j++) {
            const double threshold = j ? LEAST * pow(GROWTH, j - 1) * TILE : -1;
            const int is_step = i_frame % ((int64_t)t->temporal << i) == 0;
            hold_frame(&t->hold[i][j], t->survey->vec, t->now, threshold, i_frame == 0, is_step);
        }
}

int pare_trade_push(pare_trade *t, const pare_frame *frame, pare_error *err)
{
    pare_frame own;
    if (!t) return pare__no_argument("pare_trade_push", "trade", err);
    if (t->rc) return pare_fail(err, PARE_E_STATE, "trade: failed before");
    if (t->is_finished) return pare_fail(err, PARE_E_STATE, "trade: push after finish");
    t->rc = pare__take_frame(&own, frame, "pare_trade_push", err);
    if (!t->rc && !t->n_size) t->rc = find_sizes(t, &own, err);
    if (!t->rc) t->rc = pare_survey_push(t->survey, &own, err);
    if (!t->rc) watch_frame(t);
    return t->rc;
}

/* ---- the choice --------------------------------------------------------------------------------------------------- */

int pare_trade_finish(pare_trade *t, pare_error *err)
{
    if (!t) return pare__no_argument("pare_trade_finish", "trade", err);
    if (t->rc) return pare_fail(err, PARE_E_STATE, "trade: failed before");
    if (t->is_finished) return 0;
    if (!t->survey->n)
        t->rc = pare_fail(err, PARE_E_INVALID, "trade: no frame was pushed");
    else
        t->rc = pare__trade_weigh(t, err);
    t->is_finished = !t->rc;
    return t->rc;
}

int pare_trade_get(const pare_trade *t, pare_trade_view *view, pare_error *err)
{
    if (!t) return pare__no_argument("pare_trade_get", "trade", err);
    return pare__give_struct(view, &t->view, sizeof t->view, "pare_trade_get", err);
}
