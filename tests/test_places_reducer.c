/* SPDX-License-Identifier: MIT */
/* Places through the public API: photos, tiles, letterboxes, clips, several media, units of one and of four patches. The
 * models' tokens depend on their own pixels only, so the token that saw the marker is the one whose embedding changed.
 * Reduced results must tell the same places, whatever the recipe. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pare/pare.h>

#include "marker.h"
#include "tiny_model.h"

enum { N_GEOMETRY = 200, MAX_FRAMES = 4, MAX_CELLS = 1 << 14 };

static pare_model *models[3]; /* photos cropped; photos stretched; units of 2 x 2 patches, steps of 2 frames */
static pare_error err;

static void setup(void)
{
    static const tiny_spec specs[] = {
        {.unit = 1, .patch = 7, .dim = 16, .n_layer = 1, .n_head = 2, .shortest = 75, .photo = 56, .is_plain = 1},
        {.unit = 1, .patch = 9, .dim = 16, .n_layer = 1, .n_head = 2, .shortest = 0, .photo = 72, .is_plain = 1},
        {.unit = 2, .patch = 7, .dim = 16, .n_layer = 1, .n_head = 2, .photo = 84, .is_plain = 1},
    };
    for (int i = 0; i < 3; i++)
        ck_assert_msg(tiny_model_open(&models[i], &specs[i], &err) == 0, "model %d: %s", i, err.text);
}

static void teardown(void)
{
    for (int i = 0; i < 3; i++) pare_model_close(&models[i]);
}

/* ---- a geometry -------------------------------------------------------------------------------------------------- */

/* Random pictures and how they are cut; one of them gets the marker. */
typedef struct scene {
    const pare_model *model;
    int32_t unit_px, temporal;
    pare_reducer_opts opts;
    picture frame[MAX_FRAMES];
    int32_t n_frame, marked;
    char what[200];
} scene;

static void choose_cut(scene *s)
{
    pare_reducer_opts *o = &s->opts;
    const int32_t is_sized = chance(0, 2) == 0;
    o->video = chance(0, 2) == 0;
    o->letterbox = chance(0, 1);
    o->width = is_sized * s->unit_px * chance(1, 8);
    o->height = is_sized * s->unit_px * chance(1, 8);
    o->max_side = is_sized ? 0 : o->video ? chance(40, 120) : chance(0, 1) * chance(40, 120);
    if (!o->video && chance(0, 1)) {
        o->tile_rows = chance(1, 3);
        o->tile_cols = chance(1, 3);
    }
}

/* Frames of a clip share their size and rotation; photos do not. */
static void choose_frames(scene *s)
{
    s->n_frame = chance(1, MAX_FRAMES);
    for (int32_t i = 0; i < s->n_frame; i++) {
        s->frame[i] = new_picture(30, 260);
        if (i == 0 || !s->opts.video) continue;
        free(s->frame[i].rgb);
        s->frame[i] = s->frame[0];
        s->frame[i].rgb = malloc((size_t)s->frame[0].width * (size_t)s->frame[0].height * 3);
    }
    s->marked = chance(0, s->n_frame - 1);
}

static scene new_scene(int i)
{
    const int32_t which = chance(0, 2);
    scene s = {.model = models[which],
               .unit_px = which == 0   ? 7
                          : which == 1 ? 9
                                       : 14,
               .opts = {.struct_size = sizeof s.opts, .n_threads = 1}};
    pare_model_info info = {.struct_size = sizeof info};
    pare_model_get(s.model, &info, NULL);
    s.temporal = info.temporal > 1 ? info.temporal : 1;
    choose_cut(&s);
    choose_frames(&s);
    const pare_reducer_opts *o = &s.opts;
    snprintf(s.what, sizeof s.what,
             "scene %d: model %d, %s%s, size %dx%d, max %d, tiles %dx%d, frame %d of %d, %dx%d turned %d", i, which,
             o->video ? "video" : "photos", o->letterbox ? " letterboxed" : "", o->width, o->height, o->max_side,
             o->tile_rows, o->tile_cols, s.marked, s.n_frame, s.frame[s.marked].stored_w, s.frame[s.marked].stored_h,
             s.frame[s.marked].rotation);
    return s;
}

static void free_scene(scene *s)
{
    for (int32_t i = 0; i < s->n_frame; i++) free(s->frame[i].rgb);
}

/* ---- all rows of all windows -------------------------------------------------------------------------------------- */

typedef struct rows {
    int64_t k, n, nnz, d; /* rows, candidates, members */
    float *embeds, *box;
    int32_t *place;
    uint8_t *kind;
    int64_t *index, *start, *member; /* members as numbers in the clip */
    int32_t slot_px;                 /* longest side of the grids, in units */
} rows;

static void *grown(void *p, int64_t n, size_t size) { return realloc(p, (size_t)(n ? n : 1) * size); }

static void append(void *to, int64_t at, const void *from, int64_t n, size_t size)
{
    if (n) memcpy((char *)to + (size_t)at * size, from, (size_t)n * size);
}

static void collect(rows *r, const pare_result_view *v)
{
    const int64_t k = r->k + v->k;
    const int64_t *start = v->map.member_start ? v->map.member_start : v->map.row_start;
    const int32_t *member = v->map.member_start ? v->map.member : v->map.index;
    r->d = v->d;
    r->embeds = grown(r->embeds, k * v->d, sizeof(float));
    r->box = grown(r->box, 4 * k, sizeof(float));
    r->place = grown(r->place, 6 * k, sizeof(int32_t));
    r->kind = grown(r->kind, k, 1);
    r->index = grown(r->index, k, sizeof(int64_t));
    r->start = grown(r->start, k + 1, sizeof(int64_t));
    r->member = grown(r->member, r->nnz + start[v->k], sizeof(int64_t));
    append(r->embeds, r->k * v->d, v->embeds, v->k * v->d, sizeof(float));
    append(r->box, 4 * r->k, v->box, 4 * v->k, sizeof(float));
    append(r->place, 6 * r->k, v->place, 6 * v->k, sizeof(int32_t));
    append(r->kind, r->k, v->kind, v->k, 1);
    append(r->index, r->k, v->index, v->k, sizeof(int64_t));
    for (int64_t i = 0; i <= v->k; i++) r->start[r->k + i] = r->nnz + start[i];
    for (int64_t i = 0; i < start[v->k]; i++) r->member[r->nnz + i] = r->n + member[i];
    for (int i = 1; i < 3; i++)
        if (v->grid[i] > r->slot_px) r->slot_px = v->grid[i];
    r->nnz += start[v->k];
    r->k = k;
    r->n += v->n;
}

static void free_rows(rows *r)
{
    void *owned[] = {r->embeds, r->box, r->place, r->kind, r->index, r->start, r->member};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) free(owned[i]);
}

/* 0, or the error that refused the scene. */
static int run(const scene *s, const char *recipe, double keep, rows *out)
{
    pare_reducer_opts o = s->opts;
    pare_reducer *r = NULL;
    pare_result *result = NULL;
    o.recipe = recipe;
    o.keep = keep;
    *out = (rows){0};
    int rc = pare_reducer_create(&r, s->model, &o, &err);
    for (int32_t i = 0; !rc && i <= s->n_frame; i++) {
        const pare_frame f = frame_of(&s->frame[i < s->n_frame ? i : 0], i / 2.0);
        rc = i < s->n_frame ? pare_reducer_push(r, &f, &err) : pare_reducer_flush(r, &err);
        while (!rc && pare_reducer_pull(r, &result, &err) == 0) {
            collect(out, pare_result_get(result));
            pare_result_free(&result);
        }
    }
    pare_reducer_close(&r);
    return rc;
}

/* ---- the marker ---------------------------------------------------------------------------------------------------- */

/* Rows of one layer: the marked frame's medium and step, its whole picture or its tiles. Returns how many. */
static int64_t layer(const scene *s, const rows *r, const rows *plain, int tiles, cell *c)
{
    const int32_t media = s->opts.video ? 0 : s->marked, t = s->opts.video ? s->marked / s->temporal : 0;
    int64_t n = 0;
    for (int64_t i = 0; i < r->k; i++) {
        const int32_t *p = r->place + 6 * i;
        if (p[0] != media || p[2] != t || (p[1] > 0) != tiles) continue;
        double d = 0;
        for (int64_t j = 0; j < r->d; j++)
            d += pow((double)r->embeds[i * r->d + j] - (double)plain->embeds[i * r->d + j], 2);
        c[n++] = (cell){r->box + 4 * i, sqrt(d)};
    }
    return n;
}

/* The boxes of a layer cover the picture once, but for what a crop cut off. */
static void check_cover(const scene *s, const cell *c, int64_t n)
{
    const picture *p = &s->frame[s->marked];
    double area = 0, all = (double)p->stored_w * p->stored_h;
    for (int64_t i = 0; i < n; i++)
        area += ((double)c[i].box[2] - (double)c[i].box[0]) * ((double)c[i].box[3] - (double)c[i].box[1]);
    ck_assert_msg(area < all * 1.0001, "%s: boxes cover %g of %g pixels", s->what, area, all);
    if (s->opts.letterbox || s->opts.video)
        ck_assert_msg(area > all * 0.9999, "%s: boxes cover %g of %g", s->what, area, all);
}

static void draw_all(scene *s, const marker *m)
{
    for (int32_t i = 0; i < s->n_frame; i++) {
        const int has_marker = m && i == s->marked;
        draw(&s->frame[i], has_marker ? m->x : 0, has_marker ? m->y : 0, has_marker ? m->radius : -1);
    }
}

/* Pictures of one colour: what lies in the padding looks the same everywhere and has no box; the rest has one. */
static void check_kinds(const scene *s, const rows *r)
{
    for (int64_t i = 0; i < r->k; i++) {
        const float *b = r->box + 4 * i;
        const int is_empty = !(b[0] < b[2] && b[1] < b[3]);
        ck_assert_msg(is_empty == (r->kind[i] == PARE_KIND_PADDING), "%s: row %d of kind %d", s->what, (int)i,
                      r->kind[i]);
        ck_assert_msg(!is_empty || s->opts.letterbox || s->unit_px == 7, "%s: padding without a letterbox", s->what);
    }
}

/* Upright pixel at the middle of a row's box. */
static void middle(const scene *s, const rows *r, int64_t i, int32_t *x, int32_t *y)
{
    const float *b = r->box + 4 * i;
    const int32_t *p = r->place + 6 * i;
    const picture *shown = &s->frame[s->opts.video ? 0 : p[0]];
    turn(shown, (int32_t)floorf((b[0] + b[2]) / 2), (int32_t)floorf((b[1] + b[3]) / 2), x, y);
}

/* Rows and columns of places run down and to the right of the upright picture. */
static void check_order(const scene *s, const rows *r)
{
    for (int64_t i = 1; i < r->k; i++) {
        const int32_t *p = r->place + 6 * i, *q = p - 6;
        int32_t x[2], y[2];
        if (memcmp(p, q, 3 * sizeof *p) || r->kind[i] || r->kind[i - 1]) continue;
        middle(s, r, i - 1, &x[0], &y[0]);
        middle(s, r, i, &x[1], &y[1]);
        ck_assert_msg(p[3] == q[3] ? p[4] == q[4] + 1 && x[1] >= x[0] && y[1] == y[0]
                                   : p[3] > q[3] && p[4] <= q[4] && x[1] <= x[0] && y[1] >= y[0],
                      "%s: place %d %d lies at %d, %d, place %d %d at %d, %d", s->what, q[3], q[4], x[0], y[0], p[3],
                      p[4], x[1], y[1]);
    }
}

static double scale_of(const scene *s, const rows *r)
{
    const picture *p = &s->frame[s->marked];
    const double side = (double)r->slot_px * s->unit_px;
    return side / (p->width > p->height ? p->width : p->height);
}

/* Every layer that the marked frame is in: whole picture, tiles. */
static int judge_layers(const scene *s, const rows *seen, const rows *plain, const marker *m, cell *c)
{
    int judged = 0;
    for (int tiles = 0; tiles < 2; tiles++) {
        const int64_t n = layer(s, seen, plain, tiles, c);
        if (!n) continue;
        check_cover(s, c, n);
        judged += judge(c, n, m, s->what);
    }
    return judged;
}

static int one_scene(int i, cell *c)
{
    scene s = new_scene(i);
    rows plain, seen;
    int judged = 0;
    draw_all(&s, NULL);
    ck_assert_msg(run(&s, "none", 0, &plain) == 0, "%s: %s", s.what, err.text);
    check_kinds(&s, &plain);
    check_order(&s, &plain);
    for (int try = 0; !judged && try < MAX_TRIES; try++) {
        const marker m = new_marker(&s.frame[s.marked], scale_of(&s, &plain));
        draw_all(&s, &m);
        ck_assert_msg(run(&s, "none", 0, &seen) == 0, "%s: %s", s.what, err.text);
        ck_assert_int_eq(seen.k, plain.k);
        judged = judge_layers(&s, &seen, &plain, &m, c);
        free_rows(&seen);
    }
    free_rows(&plain);
    free_scene(&s);
    return judged > 0;
}

START_TEST(marker_through_the_reducer)
{
    cell *c = malloc(MAX_CELLS * sizeof *c);
    int n = 0;
    chance_seed(2);
    for (int i = 0; i < N_GEOMETRY; i++) n += one_scene(i, c);
    free(c);
    ck_assert_msg(n >= N_GEOMETRY * 9 / 10, "only %d scenes could be judged", n);
}
END_TEST

/* ---- reduced results ------------------------------------------------------------------------------------------------ */

static void add_box(float *to, const float *box)
{
    for (int i = 0; i < 2; i++) {
        if (box[i] < to[i]) to[i] = box[i];
        if (box[i + 2] > to[i + 2]) to[i + 2] = box[i + 2];
    }
}

/* A row tells the place of its anchor; its box is the anchor's, or that of all its members in the anchor's slot. */
static void check_row(const scene *s, const char *recipe, const rows *all, const rows *r, int64_t i)
{
    const int32_t *p = r->place + 6 * i;
    const int64_t anchor = r->index[i];
    ck_assert(anchor >= 0 && anchor < all->k);
    ck_assert_msg(!memcmp(p, all->place + 6 * anchor, 5 * sizeof *p), "%s, %s: place of row %d", s->what, recipe,
                  (int)i);
    ck_assert_int_eq(r->kind[i], all->kind[anchor]);
    float box[4];
    memcpy(box, all->box + 4 * anchor, sizeof box);
    for (int64_t j = r->start[i]; p[5] && j < r->start[i + 1]; j++)
        if (!memcmp(p, all->place + 6 * r->member[j], 3 * sizeof *p)) add_box(box, all->box + 4 * r->member[j]);
    for (int e = 0; e < 4; e++)
        ck_assert_msg(fabsf(box[e] - r->box[4 * i + e]) < 1e-3F, "%s, %s: box of row %d", s->what, recipe, (int)i);
}

START_TEST(reduced_rows_keep_their_places)
{
    static const char *const recipes[] = {
        "random@patches", "spatial-uniform@patches", "stride@output",  "pool@output",
        "tome@block",     "topk:score=norm@output",  "random@block=0", "temporal-redundancy@patches"};
    chance_seed(3);
    int n = 0;
    for (int i = 0; i < 80; i++) {
        scene s = new_scene(i);
        rows all, r;
        const char *recipe = recipes[i % 8];
        draw_all(&s, NULL);
        ck_assert_msg(run(&s, "none", 0, &all) == 0, "%s: %s", s.what, err.text);
        const int rc = run(&s, recipe, 0.6, &r);
        /* pairs can halve a slot at most, and a slot of three units may be asked for one */
        ck_assert_msg(!rc || (rc == PARE_E_INVALID && !strcmp(recipe, "tome@block")), "%s, %s: %s", s.what, recipe,
                      err.text);
        ck_assert(rc || (r.k <= llround(0.6 * (double)all.k) && r.n == all.n));
        for (int64_t j = 0; j < r.k; j++) check_row(&s, recipe, &all, &r, j);
        n += !rc;
        free_rows(&all);
        free_rows(&r);
        free_scene(&s);
    }
    ck_assert_msg(n >= 70, "only %d scenes could be reduced", n);
}
END_TEST

/* A clip that stands still but for the marker in its last frame: what looks for change keeps the token that saw it, and
 * that token's box holds the marker. 0 = too close to a border. */
static int one_change(scene *s, cell *c)
{
    rows plain, seen, kept;
    s->marked = s->n_frame - 1;
    draw_all(s, NULL);
    ck_assert_msg(run(s, "none", 0, &plain) == 0, "%s: %s", s->what, err.text);
    const marker m = new_marker(&s->frame[s->marked], scale_of(s, &plain));
    draw_all(s, &m);
    ck_assert_int_eq(run(s, "none", 0, &seen), 0);
    const int64_t found = strongest(c, layer(s, &seen, &plain, 0, c));
    if (found >= 0) {
        s->opts.tokens_per_frame = 1;
        ck_assert_msg(run(s, "topk:score=motion@patches", 0, &kept) == 0, "%s: %s", s->what, err.text);
        ck_assert_int_eq(kept.place[6 * (kept.k - 1) + 2], s->marked);
        ck_assert_msg(!memcmp(c[found].box, kept.box + 4 * (kept.k - 1), 4 * sizeof(float)), "%s: another token",
                      s->what);
        free_rows(&kept);
    }
    free_rows(&plain);
    free_rows(&seen);
    return found >= 0;
}

START_TEST(change_is_kept_where_it_is)
{
    cell *c = malloc(MAX_CELLS * sizeof *c);
    int n = 0;
    chance_seed(4);
    for (int i = 0; i < 120; i++) {
        scene s = new_scene(i);
        if (s.opts.video && s.n_frame > 1 && s.temporal == 1) n += one_change(&s, c);
        free_scene(&s);
    }
    free(c);
    ck_assert_msg(n >= 10, "only %d clips could be judged", n);
}
END_TEST

Suite *places_reducer_suite(void);

Suite *places_reducer_suite(void)
{
    Suite *s = suite_create("places in results");
    TCase *c = tcase_create("reducer");
    tcase_set_timeout(c, 600);
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_add_test(c, marker_through_the_reducer);
    tcase_add_test(c, reduced_rows_keep_their_places);
    tcase_add_test(c, change_is_kept_where_it_is);
    suite_add_tcase(s, c);
    return s;
}
