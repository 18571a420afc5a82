/* SPDX-License-Identifier: MIT */
/* Tilings and what the language model receives, against transformers (data/tiling.inc, which tiling.py wrote); canvases,
 * fits of slots, grids that the caller asks for, messages. */
#include <math.h>
#include <string.h>

#include <check.h>

#include "core/limits.h"
#include "encode/tiles.h"

typedef enum { NEXT, ONEVISION, INTERNVL, SMOLVLM } kind;

typedef struct known {
    kind kind;
    int32_t width, height, n_frames;
    int32_t rows, cols, has_whole;
    int64_t n_token;
    double checksum;
} known;

static const known table[] = {
#include "data/tiling.inc"
};
enum { N_KNOWN = sizeof table / sizeof table[0] };

static pare_error err;

/* ---- rules as released ------------------------------------------------------------------------------------------- */

static void set_pinpoints(pare__prep_rule *r, const int32_t (*pinpoint)[2], int32_t n)
{
    memcpy(r->pinpoint, pinpoint, (size_t)n * sizeof *pinpoint);
    r->n_pinpoint = n;
}

static pare_model plain(int32_t side, int32_t patch, int32_t unit)
{
    return (pare_model){.hp = {.patch = patch,
                               .unit = unit,
                               .temporal = 1,
                               .pos_rows = side / patch,
                               .pos_cols = side / patch,
                               .video_units = 256},
                        .prep = {.resize = PARE__RESIZE_EXACT, .resize_width = side, .resize_height = side}};
}

static pare_model llava_next(void)
{
    static const int32_t pinpoints[][2] = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
    pare_model m = plain(336, 14, 1);
    m.prep.tiles = PARE__TILES_PINPOINTS;
    m.prep.newlines = 1;
    set_pinpoints(&m.prep, pinpoints, 5);
    return m;
}

static pare_model onevision(void)
{
    pare_model m = plain(384, 14, 1);
    m.prep.tiles = PARE__TILES_PINPOINTS;
    m.prep.newlines = 1;
    m.prep.anyres_max = 9;
    m.prep.clip_pool = 2;
    for (int32_t i = 0; i < 36; i++) {
        m.prep.pinpoint[i][0] = 384 * (i / 6 + 1);
        m.prep.pinpoint[i][1] = 384 * (i % 6 + 1);
    }
    m.prep.n_pinpoint = 36;
    return m;
}

static pare_model internvl(void)
{
    pare_model m = plain(448, 14, 2);
    m.prep.tiles = PARE__TILES_RATIO;
    m.prep.min_tiles = 1;
    m.prep.max_tiles = 12;
    return m;
}

static pare_model smolvlm(void)
{
    pare_model m = plain(512, 16, 4);
    m.prep.tiles = PARE__TILES_LONGEST;
    m.prep.tiles_longest = 2048;
    return m;
}

static pare_model model_of(kind k)
{
    return k == NEXT ? llava_next() : k == ONEVISION ? onevision() : k == INTERNVL ? internvl() : smolvlm();
}

static pare__tiling found(const pare_model *m, int32_t width, int32_t height, int32_t rows, int32_t cols)
{
    pare__tiling t;
    const int rc = pare__tiling_find(m, width, height, rows, cols, &t, &err);
    ck_assert_msg(rc == 0, "%d x %d in %d x %d: %s", width, height, rows, cols, err.text);
    return t;
}

/* ---- against transformers ---------------------------------------------------------------------------------------- */

/* Unit i of all slots holds (i % 97, i % 89 + 1), newlines (1000, 2000); row k counts k % 31 times. */
static double checksum(const pare__packing *p)
{
    double sum = 0;
    for (int64_t k = 0; k < p->n; k++) {
        double a = 0, b = 0;
        for (int64_t i = p->row_start[k]; i < p->row_start[k + 1]; i++) {
            a += (double)p->weight[i] * (p->source[i] % 97);
            b += (double)p->weight[i] * (p->source[i] % 89 + 1);
        }
        const int is_newline = p->row_start[k] == p->row_start[k + 1];
        sum += (is_newline ? 3000 : a + b) * (double)((k + 1) % 31);
    }
    return sum;
}

START_TEST(test_as_transformers)
{
    const known *k = &table[_i];
    const pare_model m = model_of(k->kind);
    pare__packing p;
    const int32_t asked = k->n_frames ? -1 : 0;
    const pare__tiling t = found(&m, k->width, k->height, asked, asked);
    ck_assert_int_eq(t.rows, k->rows);
    ck_assert_int_eq(t.cols, k->cols);
    ck_assert_int_eq(t.has_whole, k->has_whole);
    const int64_t n = k->n_frames ? pare__tiling_clip_tokens(&m, &t, k->n_frames) : pare__tiling_tokens(&m, &t);
    ck_assert_int_eq(n, k->n_token);
    ck_assert_int_eq(pare__packing_make(&p, &m, &t, k->n_frames, &err), 0);
    ck_assert_int_eq(p.n, k->n_token);
    const double sum = checksum(&p);
    ck_assert_msg(fabs(sum - k->checksum) <= 1e-5 * fabs(k->checksum), "%d x %d: %.3f, not %.3f", k->width, k->height,
                  sum, k->checksum);
    pare__packing_fini(&p);
}
END_TEST

/* ---- invariants -------------------------------------------------------------------------------------------------- */

/* Rows are means, of units that there are. */
static void check_packing(const pare_model *m, const pare__tiling *t, int32_t n_frames)
{
    pare__packing p;
    const int64_t side = m->hp.patch * m->hp.unit, units = (t->whole.width / side) * (t->whole.height / side);
    const int64_t n_unit = units * (n_frames ? n_frames : pare__tiling_slots(t));
    ck_assert_int_eq(pare__packing_make(&p, m, t, n_frames, &err), 0);
    for (int64_t k = 0; k < p.n; k++) {
        double sum = 0;
        for (int64_t i = p.row_start[k]; i < p.row_start[k + 1]; i++) {
            ck_assert(p.source[i] >= 0 && p.source[i] < n_unit && p.weight[i] > 0);
            sum += (double)p.weight[i];
        }
        ck_assert(p.row_start[k] == p.row_start[k + 1] || fabs(sum - 1) < 1e-5);
    }
    pare__packing_fini(&p);
}

START_TEST(test_packings_are_means)
{
    for (int k = 0; k < 4; k++) {
        const pare_model m = model_of((kind)k);
        for (int32_t w = 1; w < 6000; w = w * 2 + 13)
            for (int32_t h = 1; h < 6000; h = h * 2 + 7) {
                const pare__tiling t = found(&m, w, h, 0, 0);
                check_packing(&m, &t, 0);
                check_packing(&m, &t, 3);
            }
    }
}
END_TEST

START_TEST(test_fits_cover_the_photo)
{
    pare__fit fit;
    pare_model m = smolvlm();
    pare__tiling t = found(&m, 1500, 1000, 0, 0);
    ck_assert(t.first_resize_width == 2048 && t.first_resize_height == 1366 && t.whole_of_canvas);
    ck_assert(t.rows == 3 && t.cols == 4 && t.whole_last && pare__tiling_slots(&t) == 13);
    ck_assert_int_eq(pare__tiling_tile(&t, 0), 1);
    ck_assert_int_eq(pare__tiling_tile(&t, 12), 0);
    pare__tiling_fit(&t, 12, &fit);
    ck_assert(fit.width == 512 && fit.resized_width == 512 && fit.crop_x == 0);
    pare__tiling_fit(&t, 6, &fit); /* third of the second row */
    ck_assert(fit.width == 512 && fit.resized_width == 2048 && fit.resized_height == 1536);
    ck_assert(fit.crop_x == 1024 && fit.crop_y == 512);
    m = onevision(); /* 384 pixels hold 27 patches of 14 and 6 pixels that nobody sees */
    t = found(&m, 1000, 600, 0, 0);
    ck_assert(!t.whole_last && pare__tiling_tile(&t, 0) == 0 && pare__tiling_tile(&t, 2) == 2);
    pare__tiling_fit(&t, 2, &fit);
    ck_assert(fit.width == 378 && fit.height == 378 && fit.crop_x == 384 + t.canvas.crop_x);
}
END_TEST

START_TEST(test_padding_is_black)
{
    pare_model m = onevision();
    const pare__tiling t = found(&m, 1000, 333, 0, 0); /* 1 x 3 tiles: 1152 x 383.6, rounded up */
    ck_assert(t.rows == 1 && t.cols == 3 && t.canvas.resized_width == 1152 && t.canvas.resized_height == 384);
    const pare__tiling u = found(&m, 100, 70, 0, 0); /* one tile: 384 x 268.8 */
    ck_assert(u.rows == 1 && u.cols == 1 && u.has_whole && pare__tiling_slots(&u) == 2);
    ck_assert(u.canvas.resized_width == 384 && u.canvas.resized_height == 269);
    ck_assert(u.canvas.crop_x == 0 && u.canvas.crop_y == -57); /* (384 - 269) / 2; the odd row is below */
    ck_assert(u.canvas.pad[0] == 0 && u.canvas.pad[1] == 0 && u.canvas.pad[2] == 0);
}
END_TEST

START_TEST(test_asked_for)
{
    for (int k = 0; k < 4; k++) {
        const pare_model m = model_of((kind)k);
        pare__tiling t = found(&m, 900, 500, -1, -1);
        ck_assert(t.rows == 1 && t.cols == 1 && !t.has_whole && pare__tiling_slots(&t) == 1);
        ck_assert_int_eq(pare__tiling_tile(&t, 0), 0);
        const int64_t units = pare__tiling_tokens(&m, &t) - m.prep.newlines;
        ck_assert_int_eq(units, k == NEXT ? 576 : k == ONEVISION ? 729 : k == INTERNVL ? 256 : 64);
        t = found(&m, 900, 500, 2, 3);
        ck_assert(t.rows == 2 && t.cols == 3 && t.has_whole && pare__tiling_slots(&t) == 7);
        if (k >= INTERNVL) ck_assert_int_eq(pare__tiling_tokens(&m, &t), 7 * units);
    }
    pare_model m = plain(224, 14, 1); /* no rule of its own */
    pare__tiling t = found(&m, 900, 500, 0, 0);
    ck_assert_int_eq(pare__tiling_slots(&t), 1);
    t = found(&m, 900, 500, 3, 2);
    ck_assert(t.canvas.width == 448 && t.canvas.height == 672 && pare__tiling_tokens(&m, &t) == 7 * 256);
}
END_TEST

START_TEST(test_not_cut)
{
    pare_model m = smolvlm();
    m.prep.max_tiles = 1;
    const pare__tiling t = found(&m, 120, 84, 0, 0);
    ck_assert(pare__tiling_slots(&t) == 1 && t.first_resize_width == 2048 && t.first_resize_height == 1434);
    ck_assert(!t.whole_of_canvas && t.whole.resized_width == 512 && t.whole.resized_height == 512);
}
END_TEST

static void fails(const pare_model *m, int32_t rows, int32_t cols, int code, const char *text)
{
    pare__tiling t;
    ck_assert_int_eq(pare__tiling_find(m, 640, 480, rows, cols, &t, &err), code);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" does not say \"%s\"", err.text, text);
}

START_TEST(test_messages)
{
    const pare_model m = internvl();
    pare__tiling t = found(&m, 640, 480, -1, -1);
    pare__packing p;
    fails(&m, 0, 2, PARE_E_INVALID, "tiles 0x2");
    fails(&m, 2, -1, PARE_E_INVALID, "tiles 2x-1");
    fails(&m, -2, -2, PARE_E_INVALID, "tiles -2x-2");
    fails(&m, PARE__MAX_TILES + 1, 1, PARE_E_LIMIT, "tiles 65x1: at most 64");
    fails(&m, 64, 64, PARE_E_LIMIT, "28672");
    ck_assert_int_eq(pare__packing_make(&p, &m, &t, INT32_MAX, &err), PARE_E_LIMIT);
    ck_assert_ptr_null(p.row_start);
    ck_assert_int_eq(pare__tiling_find(&m, 0, 480, 0, 0, &t, &err), PARE_E_INVALID);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tiling");
    TCase *c = tcase_create("tiling");
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, test_as_transformers, 0, N_KNOWN);
    tcase_add_test(c, test_packings_are_means);
    tcase_add_test(c, test_fits_cover_the_photo);
    tcase_add_test(c, test_padding_is_black);
    tcase_add_test(c, test_asked_for);
    tcase_add_test(c, test_not_cut);
    tcase_add_test(c, test_messages);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed != 0;
}
