/* SPDX-License-Identifier: MIT */
/* M-RoPE: text advances all three ids together; a medium spreads over rows and columns from where the text stopped, and
 * over time by its seconds. What follows it continues by one of two published rules (pare_mrope_opts.max_plus_1). Where
 * text stands between the temporal steps of a clip (Qwen3-VL), each of them is a medium of its own. */
#include "core/mrope.h"

#include "core/limits.h"

typedef struct prompt {
    const pare_mrope_opts *opts;
    const int32_t *type;    /* [n] */
    const int64_t *grid;    /* [n_grid, 3] patches */
    int64_t n, at;          /* tokens; the next to be placed */
    int32_t n_grid, i_grid; /* media; the next one */
    int64_t i_step;         /* steps of it that are placed, where they stand apart */
    int64_t next, largest;  /* id of the next text token; largest so far */
    int32_t *ids;           /* [3, n] */
    pare_error *err;
} prompt;

int32_t pare__mrope_time(double per_second, double second_per_grid, int64_t step)
{
    const float interval = per_second > 0 ? (float)per_second * (float)second_per_grid : 1.0F;
    const float t = (float)step * interval;
    return t < (float)INT32_MAX ? (int32_t)t : INT32_MAX;
}

void pare__mrope_grid(const int64_t grid[3], double per_second, double second_per_grid, int32_t base, int32_t *ids,
                      int64_t ld)
{
    for (int64_t t = 0; t < grid[0]; t++) {
        const int32_t time = base + pare__mrope_time(per_second, second_per_grid, t);
        for (int64_t i = 0; i < grid[1] * grid[2]; i++, ids++) {
            ids[0] = time;
            ids[ld] = base + (int32_t)(i / grid[2]);
            ids[2 * ld] = base + (int32_t)(i % grid[2]);
        }
    }
}

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

static void place_text(prompt *p)
{
    for (int64_t plane = 0; plane < 3; plane++) p->ids[plane * p->n + p->at] = (int32_t)p->next;
    p->largest = larger(p->largest, p->next);
    p->next++;
    p->at++;
}

/* The next grid in units. Errors: INVALID, LIMIT. */
static int take_grid(const prompt *p, int64_t grid[3])
{
    const int64_t *patches = p->grid + 3 * (int64_t)p->i_grid, unit = p->opts->unit;
    if (p->i_grid >= p->n_grid)
        return pare_fail(p->err, PARE_E_INVALID, "token %lld belongs to a medium, but only %d grids were given",
                         (long long)p->at, p->n_grid);
    for (int i = 0; i < 3; i++) {
        const int64_t side = i ? unit : 1;
        if (patches[i] < 1 || patches[i] > PARE__MAX_SIDE || patches[i] % side)
            return pare_fail(p->err, PARE_E_INVALID,
                             "grid %d is %lld x %lld x %lld patches; 1 to %d, rows and columns in units of %lld",
                             p->i_grid, (long long)patches[0], (long long)patches[1], (long long)patches[2],
                             PARE__MAX_SIDE, (long long)unit);
        grid[i] = patches[i] / side;
    }
    return 0;
}

/* Tokens of one type that stand together from here on; at most n are counted. */
static int64_t run_length(const prompt *p, int64_t n)
{
    int64_t run = 0;
    while (run < n && p->at + run < p->n && p->type[p->at + run] == p->type[p->at]) run++;
    return run;
}

/* Which steps of the next medium stand here: all, or one alone where the next text stands behind exactly one. */
static int take_steps(const prompt *p, int64_t grid[3])
{
    const int64_t step = grid[1] * grid[2], n = step * grid[0], run = run_length(p, n);
    const int is_video = p->type[p->at] == 2, is_apart = p->i_step > 0 || (is_video && run == step);
    if (is_apart) grid[0] = 1;
    if (run >= step * grid[0] && (is_video || p->i_step == 0)) return 0;
    return pare_fail(p->err, PARE_E_INVALID, "grid %d has %lld tokens, but only %lld of its type stand at token %lld",
                     p->i_grid, (long long)(is_apart ? step : n), (long long)(is_video || p->i_step == 0 ? run : 0),
                     (long long)p->at);
}

/* The medium is done when all of its steps are. */
static void pass_grid(prompt *p, const int64_t grid[3])
{
    const int64_t n_step = p->grid[3 * (int64_t)p->i_grid];
    p->at += grid[0] * grid[1] * grid[2];
    p->i_step += grid[0];
    if (p->i_step < n_step) return;
    p->i_step = 0;
    p->i_grid++;
}

static int place_medium(prompt *p)
{
    int64_t grid[3] = {1, 1, 1};
    const pare_mrope_opts *o = p->opts;
    int rc = take_grid(p, grid);
    if (!rc) rc = take_steps(p, grid);
    if (rc) return rc;
    /* seconds are a matter of videos: a picture's grids are one apart */
    const double per_second = p->type[p->at] == 2 ? o->per_second : 0;
    const double seconds = o->second_per_grid ? o->second_per_grid[p->i_grid] : 1;
    const int64_t last = pare__mrope_time(per_second, seconds, grid[0] - 1);
    const int64_t side = larger(grid[1], grid[2]), most = larger(last, side - 1);
    if (p->next + most >= INT32_MAX - p->n)
        return pare_fail(p->err, PARE_E_LIMIT, "grid %d: positions up to %lld, at most %d", p->i_grid,
                         (long long)(p->next + most), INT32_MAX);
    pare__mrope_grid(grid, per_second, seconds, (int32_t)p->next, p->ids + p->at, p->n);
    p->largest = larger(p->largest, p->next + most);
    p->next += o->max_plus_1 ? most + 1 : side;
    pass_grid(p, grid);
    return 0;
}

static int check_opts(const pare_mrope_opts *o, int64_t n, int32_t n_grid, pare_error *err)
{
    if (n < 1 || n > INT32_MAX / 2 || n_grid < 0)
        return pare_fail(err, PARE_E_INVALID, "a prompt of %lld tokens and %d grids; 1 to %d tokens", (long long)n,
                         n_grid, INT32_MAX / 2);
    if (o->unit < 1 || o->unit > PARE__MAX_SIDE)
        return pare_fail(err, PARE_E_INVALID, "units of %d patches a side; 1 to %d", o->unit, PARE__MAX_SIDE);
    if (!(o->per_second >= 0 && o->per_second < 1e6))
        return pare_fail(err, PARE_E_INVALID, "%g positions per second; 0 to 1e6", o->per_second);
    for (int32_t i = 0; o->second_per_grid && i < n_grid; i++)
        if (!(o->second_per_grid[i] >= 0 && o->second_per_grid[i] < 1e9))
            return pare_fail(err, PARE_E_INVALID, "grid %d: %g seconds per temporal step; 0 to 1e9", i,
                             o->second_per_grid[i]);
    return 0;
}

int pare__mrope_prompt(const pare_mrope_opts *opts, const int32_t *token_type, int64_t n, const int64_t *grid_thw,
                       int32_t n_grid, int32_t *ids, int32_t *delta, pare_error *err)
{
    prompt p = {.opts = opts, .type = token_type, .grid = grid_thw, .n = n, .n_grid = n_grid, .ids = ids, .err = err};
    int rc = check_opts(opts, n, n_grid, err);
    while (!rc && p.at < n) {
        if (token_type[p.at] < 0 || token_type[p.at] > 2)
            rc = pare_fail(err, PARE_E_INVALID, "token %lld has type %d; 0 text, 1 image, 2 video", (long long)p.at,
                           token_type[p.at]);
        else if (token_type[p.at])
            rc = place_medium(&p);
        else
            place_text(&p);
    }
    if (!rc && p.i_grid < n_grid)
        rc = pare_fail(err, PARE_E_INVALID, "%d grids, but the prompt holds only %d media", n_grid, p.i_grid);
    if (!rc && delta) *delta = (int32_t)(p.largest + 1 - n);
    return rc;
}
