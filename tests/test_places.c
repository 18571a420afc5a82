/* SPDX-License-Identifier: MIT */
/* Places: a marker drawn at a random source pixel is found in the box of the right token. The token is found without any
 * geometry: it is the one whose pixels differ from those of the picture without the marker. Here preprocessing and fit;
 * test_places_reducer.c is the same through the public API.
 *
 *     stored --turn--> upright --library--> tokens;  the marked token's box, in stored pixels, must hold the marker */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encode/prep.h"
#include "marker.h"

enum { N_CUT = 1000 };

static pare_error err;

typedef struct cut {
    pare__fit fit;
    int32_t unit; /* pixels */
    uint8_t *plain, *seen;
    float *box;
    cell *cell;
    int64_t n;
} cut;

static pare_model random_model(void)
{
    pare_model m = {.hp = {.patch = 14, .unit = chance(1, 2), .video_units = chance(20, 200)},
                    .prep = {.resize = chance(0, 1) ? PARE__RESIZE_SHORTEST : PARE__RESIZE_EXACT,
                             .resample = chance(0, 1) ? PARE__RESAMPLE_BICUBIC : PARE__RESAMPLE_BILINEAR,
                             .crop = (pare__crop_rule)chance(0, 2),
                             .rescale = 1 / 255.0,
                             .mean = {0.1F, 0.5F, 0.9F},
                             .std = {1, 1, 1}}};
    pare__prep_rule *r = &m.prep;
    r->crop_width = chance(56, 150);
    r->crop_height = chance(56, 150);
    r->resize_width = chance(56, 200);
    r->resize_height = chance(56, 200);
    r->shortest = chance(56, 200);
    return m;
}

/* One picture, or one of its tiles, at a random size. */
static pare__fit random_fit(const pare_model *m, const picture *p)
{
    pare__fit whole, canvas;
    const int32_t unit = m->hp.patch * m->hp.unit, is_sized = chance(0, 1), letterbox = chance(0, 1);
    const int rc = (letterbox ? pare__prep_letterbox : pare__prep_fit)(
        m, p->width, p->height, chance(0, 1), is_sized * unit * chance(1, 6), is_sized * unit * chance(1, 6),
        is_sized ? 0 : chance(0, 1) * chance(60, 200), &whole, &err);
    ck_assert_msg(rc == 0, "%s", err.text);
    if (chance(0, 2)) return whole;
    const int32_t rows = chance(1, 3), cols = chance(1, 3);
    ck_assert_int_eq(pare__fit_canvas(&whole, rows, cols, letterbox, &canvas, &err), 0);
    pare__fit_tile(&canvas, rows, cols, chance(1, rows * cols), &whole);
    return whole;
}

static void cut_cells(cut *c)
{
    const int32_t gw = c->fit.width / c->unit, gh = c->fit.height / c->unit;
    c->n = (int64_t)gw * gh;
    c->box = calloc((size_t)c->n, 4 * sizeof *c->box);
    c->cell = calloc((size_t)c->n, sizeof *c->cell);
    for (int64_t i = 0; i < c->n; i++) {
        const float x = (float)(i % gw * c->unit), y = (float)(i / gw * c->unit), u = (float)c->unit;
        pare__fit_stored(&c->fit, (float[4]){x, y, x + u, y + u}, c->box + 4 * i);
        c->cell[i].box = c->box + 4 * i;
    }
}

static void react(cut *c)
{
    const int32_t gw = c->fit.width / c->unit;
    for (int64_t i = 0; i < c->n; i++) c->cell[i].reaction = 0;
    for (int64_t y = 0; y < c->fit.height; y++)
        for (int64_t x = 0; x < c->fit.width; x++) {
            const int64_t at = (y * c->fit.width + x) * 3;
            c->cell[y / c->unit * gw + x / c->unit].reaction += abs(c->seen[at] - c->plain[at]);
        }
}

static void prepare(const picture *p, const pare_model *m, const cut *c, uint8_t *out)
{
    pare__arena arena = {0};
    const pare_frame f = frame_of(p, 0);
    ck_assert_int_eq(pare__prep_frame(&f, &c->fit, m->prep.resample, out, &arena, NULL, &err), 0);
    pare__arena_fini(&arena);
}

/* Padding is where the picture has the padding's colour and the box is empty: one tells the other. */
static void check_padding(const cut *c)
{
    const int32_t gw = c->fit.width / c->unit;
    for (int64_t i = 0; i < c->n; i++) {
        const float *b = c->box + 4 * i;
        const int64_t y0 = i / gw * c->unit, x0 = i % gw * c->unit;
        int64_t n_pad = 0;
        for (int64_t j = 0; j < (int64_t)c->unit * c->unit; j++)
            n_pad += c->plain[((y0 + j / c->unit) * c->fit.width + x0 + j % c->unit) * 3] != PLAIN;
        ck_assert_int_eq(n_pad == (int64_t)c->unit * c->unit, !(b[0] < b[2] && b[1] < b[3]));
    }
}

static int one_cut(int i)
{
    char what[160];
    const pare_model model = random_model();
    picture p = new_picture(20, 400);
    cut c = {.fit = random_fit(&model, &p), .unit = model.hp.patch * model.hp.unit};
    c.fit.rotation = p.rotation;
    const pare__fit *f = &c.fit;
    snprintf(what, sizeof what, "cut %d: %d x %d turned %d to %d x %d, crop %d %d of %d x %d", i, p.stored_w,
             p.stored_h, p.rotation, f->resized_width, f->resized_height, f->crop_x, f->crop_y, f->width, f->height);
    const size_t bytes = (size_t)f->width * (size_t)f->height * 3;
    c.plain = malloc(bytes);
    c.seen = malloc(bytes);
    cut_cells(&c);
    draw(&p, 0, 0, -1);
    prepare(&p, &model, &c, c.plain);
    check_padding(&c);
    const double scale = fmin((double)f->resized_width / f->src_width, (double)f->resized_height / f->src_height);
    int judged = 0;
    for (int try = 0; !judged && try < MAX_TRIES; try++) {
        const marker m = new_marker(&p, scale);
        draw(&p, m.x, m.y, m.radius);
        prepare(&p, &model, &c, c.seen);
        react(&c);
        judged = judge(c.cell, c.n, &m, what);
    }
    void *owned[] = {p.rgb, c.plain, c.seen, c.box, c.cell};
    for (size_t j = 0; j < sizeof owned / sizeof owned[0]; j++) free(owned[j]);
    return judged;
}

START_TEST(marker_in_the_preprocessed_picture)
{
    int n = 0;
    chance_seed(1);
    for (int i = 0; i < N_CUT; i++) n += one_cut(i);
    ck_assert_msg(n >= N_CUT * 9 / 10, "only %d cuts could be judged", n);
}
END_TEST

Suite *places_reducer_suite(void);

static Suite *places_suite(void)
{
    Suite *s = suite_create("places");
    TCase *c = tcase_create("geometry");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, marker_in_the_preprocessed_picture);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    SRunner *r = srunner_create(places_suite());
    srunner_add_suite(r, places_reducer_suite());
    srunner_run_all(r, CK_NORMAL);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
