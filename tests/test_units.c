/* SPDX-License-Identifier: MIT */
/* Geometry that bends the encoder: units of 2 x 2 patches, temporal pairs, rotary positions, attention windows, merger,
 * on small random models, against encoder_ref in double; and what sites promise there: keep 1 is the identity, reduced
 * units keep place and window, merged copies equal copies, phases, arrays ahead, state. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <check.h>

#include "core/rank.h"
#include "encode/parts.h"
#include "encode/prep.h"
#include "encoder_ref.h"

enum {
    PATCH = REF_PATCH,
    GRID_H = REF_GRID_H,
    GRID_W = REF_GRID_W,
    UNITS = GRID_H * GRID_W / 4,
    LAYERS = REF_LAYERS,
    D_OUT = REF_D_OUT,
    PIXELS = GRID_H * GRID_W * PATCH * PATCH
};

static pare_model model;
static pare__pool *pool;
static uint8_t picture[4][PIXELS * 3];
static const int32_t kept[] = {0, 1, 4, 7, 9, 13};
enum { N_KEPT = sizeof kept / sizeof *kept };

static void use(const pare__hparams *hp, uint64_t seed)
{
    ref_free_model(&model);
    model = (pare_model){.hp = *hp};
    ref_make_model(&model, seed);
}

static void setup(void)
{
    model = (pare_model){0};
    pool = NULL;
    pare__rng r = pare__rng_make(4, 0, 0);
    for (size_t i = 0; i < sizeof picture; i++) (&picture[0][0])[i] = (uint8_t)pare__rng_below(&r, 256);
    use(&ref_bent, 3);
}

static void teardown(void)
{
    ref_free_model(&model);
    pare__pool_free(&pool);
}

static pare__encoder *create(const pare__encode_plan *plan)
{
    pare__encoder *e;
    pare_error err;
    ck_assert_msg(pare__encoder_create(&e, &model, pool, plan, 0, &err) == 0, "%s", err.text);
    return e;
}

static const pare__pack *run(pare__encoder *e, const pare__segment *seg, int32_t n)
{
    const pare__pack *pack;
    pare_error err;
    ck_assert_msg(pare__encoder_run(e, seg, n, &pack, NULL, &err) == 0, "%s", err.text);
    return pack;
}

/* Segment i: 0 all units, 1 some of them, 2 another grid (10 x 6 patches). */
static pare__segment segment(int i)
{
    pare__segment s = {.rgb = {picture[i], picture[i + 1]}, .grid_h = GRID_H, .grid_w = GRID_W, .t = i, .n = UNITS};
    if (i == 1) s.unit = kept, s.n = N_KEPT;
    if (i == 2) s.grid_h = GRID_W, s.grid_w = GRID_H;
    return s;
}

static void same(const char *what, const float *got, const double *want, int64_t n)
{
    double rms = 0;
    for (int64_t i = 0; i < n; i++) rms += want[i] * want[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)got[i] - want[i]) <= 5e-5 * (sqrt(rms) + fabs(want[i])), "%s[%lld] is %g, not %g",
                      what, (long long)i, (double)got[i], want[i]);
}

static void same_rows(const char *what, const float *got, const ref_state *s)
{
    for (int r = 0; r < ref_rows(s); r++) same(what, got + r * s->m->hp.dim, s->x[r], s->m->hp.dim);
}

/* Pack segment against a state that has been through all blocks. */
static void same_end(const pare__pack *p, int seg, const ref_state *s)
{
    double y[REF_UNITS * REF_DIM];
    const int64_t first = p->ucu[seg] + p->n_prefix;
    ck_assert_int_eq(p->ucu[seg + 1] - first, s->n_unit);
    ck_assert_int_eq(p->cu[seg + 1] - p->cu[seg], ref_rows(s));
    ref_close(s, y);
    for (int u = 0; u < s->n_unit; u++) {
        same("y", p->y + (first + u) * p->d_out, y + u * p->d_out, p->d_out);
        ck_assert_int_eq(p->thw[3 * (first + u) + 1], s->place[u][0]);
        ck_assert_int_eq(p->thw[3 * (first + u) + 2], s->place[u][1]);
        ck_assert(p->size[first + u] == (float)s->size[u]);
    }
}

static void finish(ref_state *s, int from)
{
    for (int b = from; b < LAYERS; b++) {
        ref_attend(s, b, NULL, NULL);
        ref_mlp(s, b);
    }
}

/* ---- without sites ----------------------------------------------------------------------------------------------- */

typedef struct stage_user {
    ref_state s[3];
    int n;
} stage_user;

/* The stages are those of the reference, which is advanced here. */
static int on_stage(void *user, const char *name, int32_t block, const float *data, int64_t rows, int64_t width)
{
    stage_user *u = user;
    static double keys[3][REF_ROWS * 16], col_mean[3][REF_ROWS];
    int64_t at = 0;
    for (int i = 0; i < 3; i++) {
        ref_state *s = &u->s[i];
        const float *x = data + at * width;
        if (strcmp(name, "embeddings") == 0) same_rows(name, x, s);
        if (strcmp(name, "keys") == 0) {
            ref_attend(s, block, keys[i], col_mean[i]);
            same(name, x, keys[i], ref_rows(s) * width);
        }
        if (strcmp(name, "attn.col_mean") == 0) same(name, x, col_mean[i], ref_rows(s));
        if (strcmp(name, "hidden") == 0) {
            ref_mlp(s, block);
            same_rows(name, x, s);
        }
        at += strncmp(name, "project", 7) == 0 ? s->n_unit : ref_rows(s);
    }
    ck_assert_int_eq(at, rows);
    u->n++;
    return 0;
}

START_TEST(every_stage_is_the_reference)
{
    static stage_user u;
    pare__encode_plan plan = {.stage = on_stage, .stage_user = &u};
    for (int b = 0; b < LAYERS; b++) plan.want[b] = PARE__WANT_K_MEAN | PARE__WANT_COL_MEAN;
    pare__segment seg[] = {segment(0), segment(1), segment(2)};
    u.n = 0;
    for (int i = 0; i < 3; i++) ref_open(&u.s[i], &model, &seg[i]);
    pare__encoder *e = create(&plan);
    const pare__pack *p = run(e, seg, 3);
    ck_assert_int_eq(u.n, 4 + 3 * LAYERS);
    ck_assert_int_eq(p->n_unit, 2 * UNITS + N_KEPT);
    ck_assert_int_eq(p->d_out, D_OUT);
    for (int i = 0; i < 3; i++) same_end(p, i, &u.s[i]);
    pare__encoder_free(&e);
}
END_TEST

START_TEST(units_behind_a_prefix)
{
    use(&ref_plain, 5);
    pare__encode_plan plan = {0};
    pare__encoder *e = create(&plan);
    pare__segment seg[] = {segment(0), segment(1)};
    const pare__pack *p = run(e, seg, 2);
    ck_assert_int_eq(p->n, 2 + 4 * (UNITS + N_KEPT));
    for (int i = 0; i < 2; i++) {
        static ref_state s;
        ref_open(&s, &model, &seg[i]);
        finish(&s, 0);
        same_end(p, i, &s);
        ck_assert_mem_eq(p->y + p->ucu[i] * 32, p->x + p->cu[i] * 32, 32 * sizeof(float));
    }
    pare__encoder_free(&e);
}
END_TEST

/* u8 pictures, flattened patches and the rows themselves are three ways to say the same. */
static int keep_rows(void *user, const char *name, int32_t block, const float *data, int64_t rows, int64_t width)
{
    (void)block;
    if (strcmp(name, "embeddings") == 0) memcpy(user, data, (size_t)(rows * width) * sizeof(float));
    return 0;
}

static void flatten(float *out)
{
    static float planes[2][3 * PIXELS];
    for (int t = 0; t < 2; t++) pare__prep_normalise(&model.prep, picture[1 + t], GRID_W * 4, GRID_H * 4, planes[t]);
    for (int u = 0; u < UNITS; u++)
        for (int j = 0; j < 4; j++)
            for (int c = 0; c < 3; c++)
                for (int t = 0; t < 2; t++)
                    for (int y = 0; y < PATCH; y++, out += PATCH) {
                        const int row = (u / 5 * 2 + j / 2) * PATCH + y, col = (u % 5 * 2 + j % 2) * PATCH;
                        memcpy(out, planes[t] + (c * GRID_H * 4 + row) * GRID_W * 4 + col, PATCH * sizeof *out);
                    }
}

START_TEST(three_ways_to_feed_a_segment)
{
    static float rows[4 * UNITS * 32], pixels[4 * UNITS * 96];
    pare__encode_plan plan = {.stage = keep_rows, .stage_user = rows};
    pare__encoder *e = create(&plan);
    pare__segment seg = segment(1);
    float y[N_KEPT * D_OUT];
    memcpy(y, run(e, &seg, 1)->y, sizeof y);
    seg.tokens = rows;
    seg.rgb[0] = NULL;
    ck_assert_mem_eq(run(e, &seg, 1)->y, y, sizeof y);
    flatten(pixels);
    seg.tokens = NULL;
    seg.pixels = pixels;
    ck_assert_mem_eq(run(e, &seg, 1)->y, y, sizeof y);
    pare__encoder_free(&e);
}
END_TEST

/* ---- sites ------------------------------------------------------------------------------------------------------- */

/* What a site does to every segment: drop all but `kept`, merge neighbours of a row, keep as it is. */
typedef enum { DROP, MERGE, SAME, NOTHING } deed;

typedef struct site_user {
    deed deed;
    int calls;
    double gain;
    void (*look)(struct site_user *u, const pare__pack *p, int32_t block, pare__phase phase);
    float seen[4][4 * UNITS * 32];
} site_user;

static int in_kept(int unit)
{
    for (int i = 0; i < N_KEPT; i++)
        if (kept[i] == unit) return 1;
    return 0;
}

/* Rows of one segment of n candidates, which start at `first`; places thw. */
static int64_t act(const site_user *u, pare__map *map, const int32_t *thw, int64_t first, int64_t n)
{
    int64_t rows = 0;
    for (int64_t i = 0; i < n; i++) {
        const int32_t *at = thw + 3 * i; /* merged and single units share windows: pairs in every other row only */
        const int pair =
            u->deed == MERGE && i + 1 < n && at[1] % 2 == 0 && at[2] % 2 == 0 && at[4] == at[1] && at[5] == at[2] + 1;
        if (u->deed == DROP && !in_kept((int)i)) continue;
        pare__map_row(map, first + i + pair);
        pare__map_add(map, first + i, pair ? 0.5 : 1);
        if (pair) pare__map_add(map, first + ++i, 0.5);
        if (pair && u->gain > 0) pare__map_gain(map, u->gain);
        if (pair && u->gain > 0) pare__map_size(map, 2.75);
        rows++;
    }
    return rows;
}

static int on_site(void *user, const pare__pack *p, int32_t block, pare__phase phase, pare__map *map, int64_t *n_out,
                   pare_error *err)
{
    site_user *u = user;
    int64_t first = 0;
    u->calls++;
    if (u->look) u->look(u, p, block, phase);
    if (u->deed == NOTHING) return 0;
    pare__map_begin(map, p->n_unit - (int64_t)p->n_seg * p->n_prefix);
    for (int s = 0; s < p->n_seg; s++) {
        const int64_t at = p->ucu[s] + p->n_prefix, n = p->ucu[s + 1] - at;
        n_out[s] = act(u, map, p->thw + 3 * at, first, n);
        first += n;
    }
    return pare__map_finish(map, NULL, 0, err) < 0 ? -1 : 1;
}

/* The same deed on the reference. */
static void ref_act(const site_user *u, ref_state *s)
{
    pare__map map = {0};
    int32_t thw[3 * REF_UNITS + 3];
    for (int i = 0; i < s->n_unit; i++) memcpy(thw + 3 * i + 1, s->place[i], sizeof s->place[i]);
    pare__map_begin(&map, s->n_unit);
    act(u, &map, thw, 0, s->n_unit);
    ck_assert_int_eq(pare__map_finish(&map, NULL, 0, NULL), 0);
    ref_reduce(s, &map.m);
    pare__map_fini(&map);
}

/* Two segments, one deed in one block and phase: pack against reference. */
static void check_site(deed what, double gain, int block, pare__phase phase, int ahead)
{
    static site_user u;
    static ref_state s;
    u = (site_user){.deed = what, .gain = gain};
    pare__encode_plan plan = {.on_site = on_site, .user = &u};
    plan.site[block] = (uint8_t)(1 << phase);
    plan.ahead[block] = (uint8_t)ahead;
    pare__encoder *e = create(&plan);
    pare__segment seg[] = {segment(0), segment(0)};
    seg[1].rgb[0] = picture[3];
    const pare__pack *p = run(e, seg, 2);
    for (int i = 0; i < 2; i++) {
        ref_open(&s, &model, &seg[i]);
        for (int b = 0; b < LAYERS; b++) {
            if (b == block && phase == PARE__PHASE_PRE) ref_act(&u, &s);
            ref_attend(&s, b, NULL, NULL);
            if (b == block && phase == PARE__PHASE_MID) ref_act(&u, &s);
            ref_mlp(&s, b);
            if (b == block && phase == PARE__PHASE_POST) ref_act(&u, &s);
        }
        same_end(p, i, &s);
    }
    ck_assert_int_eq(p->has_size, what == MERGE);
    pare__encoder_free(&e);
}

/* All blocks and phases, both models; merged with and without a gain and a fractional size of its own. */
START_TEST(sites_are_the_reference)
{
    const int phase = _i % 3, block = _i / 3 % LAYERS;
    use(_i / 9 ? &ref_plain : &ref_bent, 7);
    check_site(DROP, 0, block, (pare__phase)phase, 0);
    check_site(MERGE, 0, block, (pare__phase)phase, 0);
    check_site(MERGE, 1.25, block, (pare__phase)phase, 0);
    if (phase == PARE__PHASE_PRE) check_site(MERGE, 1.25, block, PARE__PHASE_PRE, 1);
}
END_TEST

START_TEST(keeping_all_changes_no_byte)
{
    static site_user nothing = {.deed = NOTHING}, all = {.deed = SAME};
    use(_i ? &ref_plain : &ref_bent, 9);
    pare__encode_plan none = {0}, ask = {.on_site = on_site, .user = &nothing, .site = {7, 7, 7}, .ahead = {1, 0, 1}};
    pare__encode_plan map = {.on_site = on_site, .user = &all, .site = {7, 7, 7}, .ahead = {0, 1, 0}};
    pare__encoder *a = create(&none), *b = create(&ask), *c = create(&map);
    pare__segment seg[] = {segment(0), segment(1)};
    const pare__pack *p = run(a, seg, 2), *q = run(b, seg, 2), *r = run(c, seg, 2);
    nothing.calls = all.calls = 0;
    run(b, seg, 2);
    run(c, seg, 2);
    ck_assert_int_eq(nothing.calls, 9);
    ck_assert_int_eq(all.calls, 9);
    ck_assert_mem_eq(p->x, q->x, (size_t)(p->n * p->d) * sizeof(float));
    ck_assert_mem_eq(p->x, r->x, (size_t)(p->n * p->d) * sizeof(float));
    ck_assert_mem_eq(p->y, r->y, (size_t)(p->n_unit * p->d_out) * sizeof(float));
    pare__encoder_free(&a);
    pare__encoder_free(&b);
    pare__encoder_free(&c);
}
END_TEST

/* Neighbours within a window hold the same rows and the same (no) position: merged with log(size) they are what each of
 * them would have become, through windows, full attention and merger. */
START_TEST(merged_copies_equal_copies)
{
    static float rows[4 * UNITS * 32];
    static site_user u = {.deed = MERGE};
    pare__hparams hp = ref_bent;
    hp.rope = 0;
    use(&hp, 11);
    pare__rng r = pare__rng_make(8, 0, 0);
    for (int i = 0; i < 4 * UNITS * 32; i++) rows[i] = (float)pare__rng_unit(&r) * 4 - 2;
    for (int i = 1; i < UNITS; i++)
        if (i % 5 % 2) memcpy(rows + i * 128, rows + (i - 1) * 128, 128 * sizeof *rows);
    pare__segment seg = segment(0);
    seg.tokens = rows;
    pare__encode_plan merge = {.on_site = on_site, .user = &u, .site = {1 << PARE__PHASE_PRE}}, none = {0};
    pare__encoder *a = create(&merge), *b = create(&none);
    const pare__pack *m = run(a, &seg, 1), *full = run(b, &seg, 1);
    ck_assert_int_eq(m->n_unit, 11);
    for (int i = 0; i < 11; i++) {
        const int twin = m->thw[3 * i + 1] * 5 + m->thw[3 * i + 2];
        for (int c = 0; c < D_OUT; c++) ck_assert_float_eq_tol(m->y[i * D_OUT + c], full->y[twin * D_OUT + c], 1e-4f);
    }
    merge.unbiased = 1;
    pare__encoder_free(&a);
    a = create(&merge);
    m = run(a, &seg, 1);
    double worst = 0;
    for (int c = 0; c < D_OUT; c++) worst = fmax(worst, fabs((double)m->y[c] - (double)full->y[D_OUT + c]));
    ck_assert_msg(worst > 1e-3, "without log(size) the merged unit differs by %g only", worst);
    pare__encoder_free(&a);
    pare__encoder_free(&b);
}
END_TEST

/* ---- what a site sees -------------------------------------------------------------------------------------------- */

static const float *capture_of(const pare__pack *p, uint32_t what)
{
    for (int i = 0; i < p->n_capture; i++)
        if (p->capture[i].what == what) return p->capture[i].data;
    return NULL;
}

static void look_captures(site_user *u, const pare__pack *p, int32_t block, pare__phase phase)
{
    static const uint32_t what[] = {PARE__WANT_K, PARE__WANT_COL_MEAN, PARE__WANT_TOKENS};
    (void)block, (void)phase;
    ck_assert_int_eq(p->n_capture, 3);
    for (int i = 0; i < 3; i++) {
        const float *data = capture_of(p, what[i]);
        ck_assert_ptr_nonnull(data);
        memcpy(u->seen[i], data, (size_t)(p->n_unit * (i == 1 ? 1 : p->d)) * sizeof(float));
    }
    memcpy(u->seen[3], p->tokens, (size_t)(p->n_unit * p->d) * sizeof(float));
}

/* A site before the block with its arrays run ahead sees what one in the middle and one behind see; the captures that
 * outlive the block are those, reduced by the map. */
START_TEST(arrays_ahead_and_after)
{
    static site_user u[3];
    const uint32_t want = PARE__WANT_K | PARE__WANT_COL_MEAN | PARE__WANT_TOKENS;
    use(_i % 2 ? &ref_plain : &ref_bent, 13);
    pare__segment seg[] = {segment(0), segment(0)};
    seg[1].rgb[0] = picture[2];
    for (int phase = 0; phase < 3; phase++) {
        const int block = _i / 2;
        u[phase] = (site_user){.deed = DROP, .look = look_captures};
        pare__encode_plan plan = {.on_site = on_site, .user = &u[phase]};
        plan.want[block] = plan.hold[block] = want;
        plan.site[block] = (uint8_t)(1 << phase);
        plan.ahead[block] = phase == PARE__PHASE_PRE;
        pare__encoder *e = create(&plan);
        const pare__pack *p = run(e, seg, 2);
        for (int i = 0; i < 3; i++) ck_assert_mem_eq(u[phase].seen[i], u[0].seen[i], sizeof u[0].seen[i]);
        if (phase == PARE__PHASE_PRE) ck_assert_mem_eq(u[0].seen[3], u[0].seen[2], sizeof u[0].seen[2]);
        const float *k = capture_of(p, PARE__WANT_K), *col = capture_of(p, PARE__WANT_COL_MEAN);
        for (int s = 0; s < 2; s++)
            for (int i = 0; i < N_KEPT; i++) {
                const int64_t to = p->ucu[s] + p->n_prefix + i,
                              from = s * (UNITS + p->n_prefix) + p->n_prefix + kept[i];
                ck_assert_mem_eq(k + to * 32, u[0].seen[0] + from * 32, 32 * sizeof(float));
                ck_assert(col[to] == u[0].seen[1][from]);
            }
        pare__encoder_free(&e);
    }
}
END_TEST

/* Captures of units are means over their patches. */
START_TEST(captures_are_means_over_patches)
{
    static ref_state s;
    static double keys[REF_ROWS * 16], col_mean[REF_ROWS];
    pare__encode_plan plan = {.want = {PARE__WANT_K_MEAN | PARE__WANT_COL_MEAN | PARE__WANT_TOKENS}};
    plan.hold[0] = plan.want[0];
    pare__encoder *e = create(&plan);
    pare__segment seg = segment(0);
    ref_open(&s, &model, &seg);
    const ref_state start = s;
    ref_attend(&s, 0, keys, col_mean);
    const pare__pack *p = run(e, &seg, 1);
    const float *k = capture_of(p, PARE__WANT_K_MEAN), *col = capture_of(p, PARE__WANT_COL_MEAN);
    const float *tokens = capture_of(p, PARE__WANT_TOKENS);
    for (int u = 0; u < UNITS; u++) {
        double mean[REF_DIM] = {0}, key[16] = {0}, c = 0;
        for (int j = 4 * u; j < 4 * u + 4; j++) {
            for (int i = 0; i < 16; i++) key[i] += keys[j * 16 + i] / 4;
            for (int i = 0; i < 32; i++) mean[i] += start.x[j][i] / 4;
            c += col_mean[j] / 4;
        }
        same("k_mean", k + u * 16, key, 16);
        same("tokens", tokens + u * 32, mean, 32);
        same("col_mean", col + u, &c, 1);
    }
    pare__encoder_free(&e);
}
END_TEST

/* State is zero at first, then what steps left there, averaged as the map says and without its gain. */
static void look_state(site_user *u, const pare__pack *p, int32_t block, pare__phase phase)
{
    (void)phase;
    ck_assert_ptr_null(p->state[0]);
    for (int64_t i = 0; i < p->n_unit; i++) {
        float *wide = p->state[1] + i * 40, *one = p->state[3] + i;
        const double place = p->thw[3 * i + 1] * 10 + p->thw[3 * i + 2];
        /* merged pairs: the anchor stands at the right of its twin */
        const double before = u->calls == 1 ? 0 : p->size[i] > 1 ? place - 0.5 : place;
        ck_assert_msg(fabs((double)*one - before) < 1e-4, "block %d unit %lld: state %g, not %g", block, (long long)i,
                      (double)*one, before);
        for (int c = 0; c < 40; c++) ck_assert(fabs((double)wide[c] - c * before) < 1e-3);
        for (int c = 0; c < 40 && u->calls == 1; c++) wide[c] = (float)(c * place);
        if (u->calls == 1) *one = (float)place;
    }
    u->deed = u->calls == 1 ? MERGE : NOTHING;
}

START_TEST(state_follows_every_map)
{
    static site_user u;
    use(_i ? &ref_plain : &ref_bent, 17);
    pare__encode_plan plan = {.on_site = on_site, .user = &u, .site = {1, 2, 4}, .state_width = {0, 40, 0, 1}};
    pare__encoder *e = create(&plan);
    pare__segment seg[] = {segment(0), segment(1)};
    for (int round = 0; round < 2; round++) {
        u = (site_user){.look = look_state, .gain = 3};
        const pare__pack *p = run(e, seg, 2);
        ck_assert_int_eq(u.calls, 3);
        for (int64_t i = 0; i < p->n_unit; i++)
            if (p->thw[3 * i + 1] < 0) ck_assert(p->state[3][i] == -11);
    }
    pare__encoder_free(&e);
}
END_TEST

START_TEST(threads_do_not_matter)
{
    static site_user u[2] = {{.deed = MERGE}, {.deed = MERGE}};
    use(_i ? &ref_plain : &ref_bent, 19);
    pare__encode_plan plan = {.on_site = on_site, .user = &u[0], .site = {0, 2, 0}, .ahead = {0, 1, 0}};
    for (int b = 0; b < LAYERS; b++) plan.want[b] = plan.hold[b] = 127;
    pare__segment seg[] = {segment(0), segment(1), segment(0)};
    pare__encoder *one = create(&plan);
    ck_assert_int_eq(pare__pool_create(&pool, 2, NULL), 0);
    plan.user = &u[1];
    pare__encoder *two = create(&plan);
    const pare__pack *a = run(one, seg, 3), *b = run(two, seg, 3);
    ck_assert_mem_eq(a->y, b->y, (size_t)(a->n_unit * a->d_out) * sizeof(float));
    for (int i = 0; i < a->n_capture; i++)
        ck_assert_mem_eq(a->capture[i].data, b->capture[i].data,
                         (size_t)(a->n_unit * a->capture[i].width) * sizeof(float));
    pare__encoder_free(&one);
    pare__encoder_free(&two);
}
END_TEST

START_TEST(grids_and_models_are_checked)
{
    pare__encode_plan plan = {0};
    pare__encoder *e = create(&plan);
    pare__segment seg = segment(0);
    const pare__pack *pack;
    pare_error err;
    seg.grid_w = 9;
    ck_assert_int_eq(pare__encoder_run(e, &seg, 1, &pack, NULL, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, "6 x 9 grid") != NULL, "%s", err.text);
    seg = segment(0);
    seg.rgb[1] = NULL;
    ck_assert_int_eq(pare__encoder_run(e, &seg, 1, &pack, NULL, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, "picture 1 of 2") != NULL, "%s", err.text);
    pare__segment many[40];
    for (int i = 0; i < 40; i++) many[i] = segment(0);
    ck_assert_int_eq(pare__encoder_fit(e, many, 40), PARE__PACK_ROWS / (4 * UNITS));
    pare__encoder_free(&e);
    model.hp.n_prefix = 1;
    ck_assert_int_eq(pare__encoder_create(&e, &model, NULL, &plan, 0, &err), PARE_E_UNSUPPORTED);
    model.hp = ref_bent;
    model.hp.n_head = 16;
    ck_assert_int_eq(pare__encoder_create(&e, &model, NULL, &plan, 0, &err), PARE_E_UNSUPPORTED);
    model.hp = ref_bent;
    model.hp.unit = 1;
    ck_assert_int_eq(pare__encoder_create(&e, &model, NULL, &plan, 0, &err), PARE_E_UNSUPPORTED);
    ck_assert_msg(strstr(err.text, "projector of 128") != NULL, "%s", err.text);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("units");
    TCase *t = tcase_create("geometry");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_stage_is_the_reference);
    tcase_add_test(t, units_behind_a_prefix);
    tcase_add_test(t, three_ways_to_feed_a_segment);
    tcase_add_loop_test(t, sites_are_the_reference, 0, 18);
    tcase_add_loop_test(t, keeping_all_changes_no_byte, 0, 2);
    tcase_add_test(t, merged_copies_equal_copies);
    tcase_add_loop_test(t, arrays_ahead_and_after, 0, 2 * LAYERS);
    tcase_add_test(t, captures_are_means_over_patches);
    tcase_add_loop_test(t, state_follows_every_map, 0, 2);
    tcase_add_loop_test(t, threads_do_not_matter, 0, 2);
    tcase_add_test(t, grids_and_models_are_checked);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
