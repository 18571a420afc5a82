/* SPDX-License-Identifier: MIT */
/* view/: a heatmap shows the right pixels of the right units, whatever the crop, the palette and the size. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "view/heatmap.h"
#include "view/legend.h"
#include "view/overlay.h"
#include "view/palette.h"

enum { GRID = 4, UNIT = 8, N = GRID * GRID, MAX_SIDE = 320 };

/* A 4 x 4 grid over a flat orange picture; units are owned by themselves until a test says otherwise. */
typedef struct scene {
    pare__fit fit;
    pare__heat heat;
    pare_frame frame;
    pare_heatmap_opts opts;
    int32_t owner[N];
    uint8_t kept[N];
    float score[N], size[N];
    uint8_t in[MAX_SIDE * MAX_SIDE * 3], out[MAX_SIDE * (MAX_SIDE + PARE_HEATMAP_LEGEND_HEIGHT) * 3];
} scene;

static scene s;

static void make_scene(int32_t width, int32_t height)
{
    memset(&s, 0, sizeof s);
    for (int64_t i = 0; i < (int64_t)width * height; i++) memcpy(s.in + 3 * i, (const uint8_t[]){200, 120, 40}, 3);
    s.fit = (pare__fit){width, height, 0, GRID * UNIT, GRID * UNIT, 0, 0, GRID * UNIT, GRID * UNIT, {0}, 0};
    for (int i = 0; i < N; i++) s.owner[i] = i, s.kept[i] = 1, s.size[i] = 1, s.score[i] = (float)i;
    s.heat = (pare__heat){GRID, GRID, UNIT, &s.fit, s.owner, s.kept, NULL, s.size, 1.0, NULL};
    s.frame = (pare_frame){
        .struct_size = sizeof(pare_frame), .rgb = s.in, .stride = (int64_t)width * 3, .width = width, .height = height};
    s.opts = (pare_heatmap_opts){.struct_size = sizeof s.opts};
}

static void drop(int unit) { s.owner[unit] = -1, s.kept[unit] = 0; }

static void draw(void)
{
    pare_error err;
    ck_assert_msg(pare__heatmap_draw(&s.heat, &s.frame, &s.opts, s.out, &err) == 0, "%s", err.text);
}

static const uint8_t *at(int x, int y) { return s.out + ((ptrdiff_t)y * s.frame.width + x) * 3; }

static int luma(const uint8_t *p) { return p[0] * 3 + p[1] * 6 + p[2]; }

static int is_source(const uint8_t *p) { return p[0] == 200 && p[1] == 120 && p[2] == 40; }

/* ---- geometry -------------------------------------------------------------------------------------------------- */

START_TEST(all_kept_is_the_picture)
{
    make_scene(64, 64);
    draw();
    ck_assert_mem_eq(s.out, s.in, 64 * 64 * 3);
}
END_TEST

/* 96 x 64 source: a unit is 24 x 16 pixels. Only unit (1, 2) is kept: exactly its rectangle is bright. */
START_TEST(exact_rectangle)
{
    make_scene(96, 64);
    for (int i = 0; i < N; i++)
        if (i != 6) drop(i);
    draw();
    const int dropped = luma(at(0, 0));
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 96; x++) {
            const int inside = x >= 48 && x < 72 && y >= 16 && y < 32;
            const int on_line = inside && (x == 48 || x == 71 || y == 16 || y == 31);
            if (!inside) ck_assert_int_eq(luma(at(x, y)), dropped);
            if (inside) ck_assert_int_gt(luma(at(x, y)), dropped);
            if (inside && !on_line) ck_assert(is_source(at(x, y)));
            if (on_line) ck_assert(!is_source(at(x, y)));
        }
}
END_TEST

/* Resized to 48 x 32 and cropped to 32 x 32 at x = 8: columns 0..15 and 80..95 of the 96 lie outside. */
START_TEST(cropped)
{
    make_scene(96, 64);
    s.fit.resized_width = 48;
    s.fit.crop_x = 8;
    drop(0);
    draw();
    ck_assert_int_lt(luma(at(15, 40)), luma(at(20, 4)));
    ck_assert_int_lt(luma(at(80, 40)), luma(at(20, 4)));
    ck_assert_int_lt(luma(at(20, 4)), luma(at(40, 4)));
    ck_assert(is_source(at(79 - 4, 40)));
    ck_assert_int_eq(at(15, 40)[0], at(15, 40)[1]);
}
END_TEST

/* Padded instead of cropped: the grid reaches beyond the picture on both sides. */
START_TEST(padded)
{
    make_scene(64, 32);
    s.fit.resized_width = 32, s.fit.resized_height = 16;
    s.fit.crop_y = -8;
    for (int i = 0; i < N; i++)
        if (i / GRID != 1) drop(i);
    draw();
    ck_assert(is_source(at(30, 8)));
    ck_assert_int_lt(luma(at(30, 24)), luma(at(30, 8)));
}
END_TEST

START_TEST(strides)
{
    make_scene(64, 64);
    static uint8_t padded_rows[64 * 256];
    for (int y = 0; y < 64; y++) memcpy(padded_rows + (ptrdiff_t)y * 256, s.in + (ptrdiff_t)y * 192, 192);
    padded_rows[63 * 256] = 7;
    s.frame.rgb = padded_rows, s.frame.stride = 256;
    draw();
    ck_assert_int_eq(at(0, 63)[0], 7);
    s.frame.rgb = padded_rows + (ptrdiff_t)63 * 256, s.frame.stride = -256; /* bottom up */
    draw();
    ck_assert_int_eq(at(0, 0)[0], 7);
}
END_TEST

/* Stripes where the mask ignores what was dropped: not on what was kept, nor where the mask says nothing. */
START_TEST(ignored_is_hatched)
{
    static const uint8_t mask[2] = {PARE_MASK_IGNORE, PARE_MASK_FREE};
    make_scene(64, 64);
    for (int i = 1; i < N; i++) drop(i);
    s.frame.mask = mask, s.frame.mask_width = 2, s.frame.mask_height = 1;
    draw();
    int n_red = 0;
    for (int y = 0; y < 64; y++)
        for (int x = 0; x < 64; x++) {
            const int red = at(x, y)[0] > 2 * at(x, y)[1] + 20;
            ck_assert_msg(!red || (x < 32 && (x >= UNIT || y >= UNIT)), "red at %d, %d", x, y);
            n_red += red;
        }
    ck_assert_int_gt(n_red, 64 * 32 / 4);
}
END_TEST

/* More units than pixels, and the reverse. */
START_TEST(any_size)
{
    for (int w = 1; w <= 200; w++) {
        make_scene(w, w % 7 + 1);
        s.opts.legend = 1;
        s.heat.score = s.score;
        drop(w % N);
        const size_t used = (size_t)w * (size_t)(s.frame.height + PARE_HEATMAP_LEGEND_HEIGHT) * 3;
        memset(s.out + used, 0xA5, 64);
        draw();
        for (int i = 0; i < 64; i++) ck_assert_int_eq(s.out[used + (size_t)i], 0xA5);
    }
}
END_TEST

/* ---- meaning --------------------------------------------------------------------------------------------------- */

START_TEST(scores_take_the_palette)
{
    for (const pare__palette *p = pare__palettes; p->name != NULL; p++) {
        make_scene(64, 64);
        s.opts.palette = p->name;
        s.opts.alpha = 1;
        s.heat.score = s.score;
        draw();
        ck_assert_mem_eq(at(8, 8), p->rgb[0], 3);
        ck_assert_mem_eq(at(56, 56), p->rgb[255], 3);
        ck_assert_ptr_eq(pare__palette_find(p->name), p);
    }
    ck_assert_str_eq(pare__palette_find(NULL)->name, "viridis");
    ck_assert_ptr_null(pare__palette_find("jet"));
}
END_TEST

/* Who keeps a unit decides its colour: four colours, whatever the scores and groups are; only neither is dark. */
START_TEST(difference)
{
    static const uint8_t other[N] = {1, 0, 1, 0};
    const int x[4] = {8, 24, 40, 56}; /* both, only A, only B, neither */
    make_scene(64, 64);
    s.opts.style = PARE_HEATMAP_DIFFERENCE;
    pare_error err;
    ck_assert_int_eq(pare__heatmap_draw(&s.heat, &s.frame, &s.opts, s.out, &err), PARE_E_INVALID);
    s.heat.other = other;
    s.heat.score = s.score;
    drop(2);
    drop(3);
    s.owner[0] = 1;
    draw();
    for (int i = 0; i < 4; i++) {
        for (int j = 0; j < i; j++) ck_assert(memcmp(at(x[i], 8), at(x[j], 8), 3) != 0);
        ck_assert_msg(i == 3 || luma(at(x[i], 8)) > luma(at(56, 8)), "colour %d is dark", i);
    }
    ck_assert_mem_eq(at(x[1], 8), at(8, 24), 3); /* the rows below: only A has them */
    s.opts.alpha = 1;
    draw();
    ck_assert_mem_eq(at(x[1], 8), ((const uint8_t[]){230, 159, 0}), 3);
    ck_assert_mem_eq(at(x[2], 8), ((const uint8_t[]){86, 180, 233}), 3);
}
END_TEST

/* The strip names its four colours where there is room, and never leaves its rows. */
START_TEST(difference_legend_fits)
{
    static const uint8_t other[N] = {1, 0, 1, 0};
    for (int w = 1; w <= MAX_SIDE; w += 7) {
        make_scene(w, 8);
        s.opts = (pare_heatmap_opts){.struct_size = sizeof s.opts, .style = PARE_HEATMAP_DIFFERENCE, .legend = 1};
        s.heat.other = other;
        const size_t used = (size_t)w * (8 + PARE_HEATMAP_LEGEND_HEIGHT) * 3;
        memset(s.out + used, 0xA5, 64);
        draw();
        for (int i = 0; i < 64; i++) ck_assert_int_eq(s.out[used + (size_t)i], 0xA5);
        int n_orange = 0;
        for (int y = 8; y < 8 + PARE_HEATMAP_LEGEND_HEIGHT; y++)
            for (int x = 0; x < w; x++) n_orange += memcmp(at(x, y), (const uint8_t[]){230, 159, 0}, 3) == 0;
        if (w > 60) ck_assert_int_ge(n_orange, PARE__GLYPH_ASCENT * PARE__GLYPH_ASCENT);
    }
}
END_TEST

START_TEST(styles)
{
    make_scene(64, 64);
    s.heat.score = s.score;
    drop(15);
    draw();
    ck_assert(!is_source(at(8, 8)));
    const int dark = luma(at(56, 56));
    s.opts.style = PARE_HEATMAP_KEPT;
    draw();
    ck_assert(is_source(at(8, 8)));
    s.opts.style = PARE_HEATMAP_SCORE; /* dropped units show their score too */
    draw();
    ck_assert_int_gt(luma(at(56, 56)), dark);
}
END_TEST

START_TEST(odd_scores)
{
    make_scene(64, 64);
    s.heat.score = s.score;
    for (int i = 0; i < N; i++) s.score[i] = NAN;
    s.opts.legend = 1;
    draw();
    ck_assert(is_source(at(8, 8)));
    s.score[0] = 3.0F;
    s.score[1] = INFINITY;
    draw();
    ck_assert(!is_source(at(8, 8)));
    ck_assert(is_source(at(24, 8)));
}
END_TEST

/* Units 0 and 1 merge: one mean colour over both, the line runs around and not between them. */
START_TEST(merged_group)
{
    make_scene(128, 128);
    for (int y = 0; y < 32; y++)
        for (int x = 0; x < 32; x++) memcpy(s.in + ((ptrdiff_t)y * 128 + x) * 3, (const uint8_t[]){0, 0, 0}, 3);
    s.owner[1] = 0, s.kept[1] = 0;
    draw();
    ck_assert_int_gt(luma(at(10, 10)), 0);
    ck_assert_int_lt(luma(at(50, 10)), luma(at(100, 100)));
    ck_assert_mem_eq(at(30, 10), at(10, 10), 3);
    ck_assert_mem_eq(at(34, 10), at(50, 10), 3);
    ck_assert_mem_ne(at(63, 10), at(50, 10), 3);
    ck_assert_mem_ne(at(10, 31), at(10, 10), 3);
    ck_assert(is_source(at(65, 10)));
}
END_TEST

/* A unit whose token is anchored at another time is dropped here. */
START_TEST(temporal_run_looks_dropped)
{
    make_scene(64, 64);
    s.owner[5] = 99, s.kept[5] = 0;
    draw();
    ck_assert_int_lt(luma(at(24, 24)), luma(at(8, 8)) / 2);
}
END_TEST

START_TEST(legend_says_how_much)
{
    make_scene(256, 64);
    s.opts.legend = 1;
    s.heat.keep = 0.25;
    draw();
    ck_assert_int_gt(luma(at(63, 64)), luma(at(64, 64)));
    int n_bright = 0;
    for (int i = 64 * 256; i < (64 + PARE_HEATMAP_LEGEND_HEIGHT) * 256; i++)
        n_bright += luma(s.out + (ptrdiff_t)3 * i) > 2000;
    ck_assert_int_gt(n_bright, 150);
}
END_TEST

START_TEST(text_is_clipped)
{
    uint8_t rgb[6 * 4 * 3 + 8];
    memset(rgb, 0, sizeof rgb);
    const pare__canvas c = {rgb, 6, 4};
    const pare__colour white = {{255, 255, 255}};
    for (int scale = 1; scale <= 2; scale++)
        for (int y = -20; y < 20; y++) pare__text_draw(&c, y, y, scale, white, "0123456789 kept (%)/=-+.\xFF");
    for (int i = 0; i < 8; i++) ck_assert_int_eq(rgb[6 * 4 * 3 + i], 0);
    ck_assert_int_eq(pare__text_width("12", 1), 11);
    pare__rect_fill(&c, -5, -5, 100, 100, white);
    ck_assert_int_eq(rgb[6 * 4 * 3 - 1], 255);
    ck_assert_int_eq(rgb[6 * 4 * 3], 0);
}
END_TEST

START_TEST(hash_colours_differ)
{
    int n_near = 0;
    for (uint32_t i = 0; i < 4096; i++) {
        const pare__colour a = pare__colour_hash(i), b = pare__colour_hash(i + 1);
        int distance = 0;
        for (int k = 0; k < 3; k++) distance += abs(a.rgb[k] - b.rgb[k]);
        n_near += distance < 60;
    }
    ck_assert_int_eq(n_near, 0);
}
END_TEST

/* ---- refusals -------------------------------------------------------------------------------------------------- */

static int refused(const char *word)
{
    pare_error err = {0};
    const int rc = pare__heatmap_draw(&s.heat, &s.frame, &s.opts, s.out, &err);
    return rc == PARE_E_INVALID && strstr(err.text, word) != NULL;
}

START_TEST(wrong_options)
{
    make_scene(64, 64);
    s.opts.palette = "jet";
    ck_assert(refused("jet"));
    make_scene(64, 64);
    s.opts.alpha = NAN;
    ck_assert(refused("alpha"));
    s.opts.alpha = 1.5;
    ck_assert(refused("alpha"));
    make_scene(64, 64);
    s.opts.style = 7;
    ck_assert(refused("style"));
    make_scene(64, 64);
    s.opts.style = PARE_HEATMAP_SCORE;
    ck_assert(refused("scores"));
    make_scene(64, 64);
    s.frame.width = 63;
    ck_assert(refused("63"));
    s.frame.width = 0;
    ck_assert(refused("0 x 64"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("view");
    const struct {
        const char *name;
        const TTest *test[12];
    } cases[] = {
        {"geometry",
         {all_kept_is_the_picture, exact_rectangle, cropped, padded, strides, any_size, ignored_is_hatched}},
        {"meaning",
         {scores_take_the_palette, difference, difference_legend_fits, styles, odd_scores, merged_group,
          temporal_run_looks_dropped, legend_says_how_much, text_is_clipped, hash_colours_differ}},
        {"refusals", {wrong_options}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TCase *c = tcase_create(cases[i].name);
        for (int j = 0; cases[i].test[j] != NULL; j++) tcase_add_test(c, cases[i].test[j]);
        suite_add_tcase(suite, c);
    }
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
