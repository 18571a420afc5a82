/* SPDX-License-Identifier: MIT */
/* Inputs of a trace and the order of its rows: pictures cut to whole patches, units, clips, masks, padded rows of patches,
 * tiles of photos; what the language model receives. The arithmetic is judged in test_encoder and golden_models. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "encode/trace_parts.h"
#include "model/tensorfile.h"

enum { MAX_VALUES = 1 << 16 };

static pare_error err;
static float value[MAX_VALUES];

static void setup(void)
{
    for (int i = 0; i < MAX_VALUES; i++) value[i] = (float)i;
}

static pare_model tower(int32_t patch, int32_t unit, int32_t temporal, int32_t steps)
{
    return (pare_model){
        .hp = {.dim = 8, .n_head = 1, .patch = patch, .unit = unit, .temporal = temporal, .steps = steps},
        .prep = {.rescale = 1 / 255.0, .std = {1, 1, 1}}};
}

/* Pixels 0, 1, 2, ... of a shape that ends with 0. */
static pare_tensor pixels(const int64_t *shape)
{
    pare_tensor t = {.name = "pixel_values", .dtype = PARE_F32, .data = value};
    for (; shape[t.n_dim]; t.n_dim++) t.shape[t.n_dim] = shape[t.n_dim];
    ck_assert(pare__tensor_count(&t) <= MAX_VALUES);
    return t;
}

static pare_tensor integers(const char *name, const int32_t *data, int32_t n_dim, int64_t a, int64_t b, int64_t c)
{
    return (pare_tensor){.name = name, .dtype = PARE_I32, .n_dim = n_dim, .shape = {a, b, c}, .data = data};
}

/* ---- pictures ---------------------------------------------------------------------------------------------------- */

/* The rest that is no whole patch is dropped, and what is given stays as it was. */
START_TEST(test_cut)
{
    pare_model m = tower(4, 1, 1, 1);
    pare__batch b = {0};
    const pare_trace_opts opts = {0};
    const pare_tensor p = pixels((int64_t[]){2, 3, 10, 9, 0});
    ck_assert_msg(pare__batch_take(&b, &m, &opts, &p, &err) == 0, "%s", err.text);
    ck_assert(b.n == 2 && b.n_step == 1 && b.n_dim == 4 && b.shape[2] == 10 && b.values[269] == 269);
    ck_assert(b.seg[1].grid_h == 2 && b.seg[1].grid_w == 2 && b.seg[1].n == 4 && b.seg[1].t == 1 && !b.seg[1].valid_h);
    for (int i = 0; i < 3 * 64; i++) {
        const int c = i / 64, y = i / 8 % 8, x = i % 8;
        ck_assert_float_eq(b.seg[1].pixels[i], (float)(270 + (c * 10 + y) * 9 + x));
    }
    pare__batch_fini(&b);
    const pare_tensor whole = pixels((int64_t[]){1, 3, 8, 8, 0});
    ck_assert_int_eq(pare__batch_take(&b, &m, &opts, &whole, &err), 0);
    ck_assert_ptr_eq(b.seg[0].pixels, b.values); /* nothing to cut: nothing is copied */
    pare__batch_fini(&b);
}
END_TEST

/* Units of 2 x 2 patches one after the other; stages in raster order behind the prefix row. */
START_TEST(test_units)
{
    pare__trace_run t = {0};
    pare_model m = tower(2, 2, 1, 1);
    m.hp.n_prefix = 1;
    t.m = &m;
    const pare_trace_opts opts = {0};
    const pare_tensor p = pixels((int64_t[]){2, 3, 8, 12, 0});
    ck_assert_int_eq(pare__batch_take(&t.batch, &m, &opts, &p, &err), 0);
    ck_assert_int_eq(pare__trace_layouts(&t, &err), 0);
    ck_assert(t.batch.seg[1].n == 6 && t.batch.seg[1].grid_w == 6);
    const pare__layout *all = &t.layout[PARE__ROWS_ALL];
    ck_assert(all->n == 2 && all->rows == 25 && all->order[0] == 0 && all->order[25] == 25);
    for (int i = 0; i < 24; i++) {
        const float *row = t.batch.seg[1].pixels + (all->order[25 + 1 + i] - 26) * 12;
        for (int v = 0; v < 12; v++) {
            const int y = i / 6 * 2 + v / 2 % 2, x = i % 6 * 2 + v % 2;
            ck_assert_float_eq(row[v], (float)(288 + (v / 4 * 8 + y) * 12 + x));
        }
    }
    ck_assert(!t.layout[PARE__ROWS_UNITS].order && t.layout[PARE__ROWS_UNITS].rows == 6);
    pare__trace_layouts_free(&t);
    pare__batch_fini(&t.batch);
}
END_TEST

/* Frames before channels in pixel_values, channels before frames in a tubelet. */
START_TEST(test_clip)
{
    pare__trace_run t = {0};
    pare_model m = tower(2, 1, 2, 2);
    t.m = &m;
    const pare_trace_opts opts = {0};
    const pare_tensor p = pixels((int64_t[]){2, 4, 3, 4, 6, 0});
    ck_assert_int_eq(pare__batch_take(&t.batch, &m, &opts, &p, &err), 0);
    ck_assert(t.batch.n == 2 && t.batch.n_step == 2 && t.batch.seg[3].step == 1 && t.batch.seg[2].step == 0);
    for (int i = 0; i < 6 * 24; i++) {
        const int patch = i / 24, c = i / 8 % 3, f = i / 4 % 2, y = patch / 3 * 2 + i / 2 % 2,
                  x = patch % 3 * 2 + i % 2;
        ck_assert_float_eq(t.batch.seg[3].pixels[i], (float)((((4 + 2 + f) * 3 + c) * 4 + y) * 6 + x));
    }
    ck_assert_int_eq(pare__trace_layouts(&t, &err), 0);
    ck_assert(t.layout[0].n == 2 && t.layout[0].rows == 12 && !t.layout[0].order);
    pare__trace_layouts_free(&t);
    pare__batch_fini(&t.batch);
    const pare_tensor odd = pixels((int64_t[]){1, 3, 3, 4, 6, 0}), flat = pixels((int64_t[]){4, 3, 4, 6, 0});
    ck_assert_int_eq(pare__batch_take(&t.batch, &m, &opts, &odd, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "3 frames; the model sees 2 steps of 2"));
    pare__batch_fini(&t.batch);
    ck_assert_int_eq(pare__batch_take(&t.batch, &m, &opts, &flat, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "[clips, frames, 3, height, width]"));
    pare__batch_fini(&t.batch);
    const pare_tensor mask = integers("pixel_attention_mask", NULL, 4, 2, 4, 4);
    const pare_trace_opts masked = {.pixel_attention_mask = &mask};
    ck_assert_int_eq(pare__batch_take(&t.batch, &m, &masked, &p, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "clips have no padding"));
    pare__batch_fini(&t.batch);
}
END_TEST

/* A patch is real if one of its pixels is; real patches are a rectangle. */
START_TEST(test_mask)
{
    int32_t mask[2 * 64];
    pare_model m = tower(2, 1, 1, 1);
    pare__batch b = {0};
    const pare_tensor p = pixels((int64_t[]){2, 3, 8, 8, 0});
    pare_tensor given = integers("pixel_attention_mask", mask, 3, 2, 8, 8);
    const pare_trace_opts opts = {.pixel_attention_mask = &given};
    for (int i = 0; i < 128; i++) mask[i] = i < 64 || (i % 64 / 8 < 5 && i % 8 < 7);
    ck_assert_msg(pare__batch_take(&b, &m, &opts, &p, &err) == 0, "%s", err.text);
    ck_assert(b.seg[0].valid_h == 0 && b.seg[1].valid_h == 3 && b.seg[1].valid_w == 0 + 4);
    pare__batch_fini(&b);
    mask[64 + 7 * 8] = 1; /* a fourth row with one patch */
    ck_assert_int_eq(pare__batch_take(&b, &m, &opts, &p, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "picture 1: 13 patches are real"));
    pare__batch_fini(&b);
    given.shape[2] = 4;
    ck_assert_int_eq(pare__batch_take(&b, &m, &opts, &p, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "pixel_attention_mask does not fit"));
    pare__batch_fini(&b);
}
END_TEST

static const struct {
    int64_t shape[6];
    const char *text;
} refused[] = {{{7, 0}, "1 dimensions"},
               {{7, 9, 0}, "2 dimensions"},
               {{1, 4, 8, 8, 0}, "[n, 3, height, width]"},
               {{1, 3, 3, 8, 0}, "8 x 3: sides from 4"},
               {{1, 3, 16388, 1, 0}, "1 x 16388"},
               {{1, 5, 12, 0}, "[1, 5, 12]"}};

START_TEST(test_refused)
{
    pare_model m = tower(4, 1, 1, 1);
    pare__batch b = {0};
    const pare_trace_opts opts = {0};
    const pare_tensor p = pixels(refused[_i].shape);
    ck_assert_int_eq(pare__batch_take(&b, &m, &opts, &p, &err), PARE_E_INVALID);
    ck_assert_msg(strstr(err.text, refused[_i].text) != NULL, "%s", err.text);
    pare__batch_fini(&b);
}
END_TEST

/* ---- rows of patches --------------------------------------------------------------------------------------------- */

START_TEST(test_rows)
{
    static const int32_t shapes[] = {2, 3, 1, 4}, bad[] = {3, 3, 1, 4};
    int32_t mask[2 * 7];
    pare__trace_run t = {0};
    pare_model m = tower(2, 1, 1, 1);
    t.m = &m;
    const pare_tensor p = pixels((int64_t[]){2, 7, 12, 0});
    const pare_tensor given = integers("spatial_shapes", shapes, 2, 2, 2, 0), wrong = integers("", bad, 2, 2, 2, 0);
    const pare_tensor masks = integers("pixel_attention_mask", mask, 2, 2, 7, 0);
    pare_trace_opts opts = {.spatial_shapes = &given, .pixel_attention_mask = &masks};
    for (int i = 0; i < 14; i++) mask[i] = i < 6 || (i >= 7 && i < 11);
    ck_assert_msg(pare__batch_take(&t.batch, &m, &opts, &p, &err) == 0, "%s", err.text);
    for (int i = 0; i < 48; i++) { /* [3, 2, 8] of picture 1 */
        const int c = i / 16, y = i / 8 % 2, x = i % 8;
        ck_assert_float_eq(t.batch.seg[1].pixels[i], (float)(84 + x / 2 * 12 + (y * 2 + x % 2) * 3 + c));
    }
    ck_assert_int_eq(pare__trace_layouts(&t, &err), 0);
    const pare__layout *all = &t.layout[PARE__ROWS_ALL];
    ck_assert(all->rows == 7 && all->order[5] == 5 && all->order[6] == -1 && all->order[7] == 6 && all->order[10] == 9);
    ck_assert(all->order[11] == -1 && all->order[13] == -1);
    pare__trace_layouts_free(&t);
    pare__batch_fini(&t.batch);
    mask[10] = 0;
    ck_assert_int_eq(pare__batch_take(&t.batch, &m, &opts, &p, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "picture 1 is 0 at patch 3"));
    pare__batch_fini(&t.batch);
    opts.spatial_shapes = &wrong;
    ck_assert_int_eq(pare__batch_take(&t.batch, &m, &opts, &p, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "3 x 3 patches, pixel_values has room for 7"));
    pare__batch_fini(&t.batch);
    opts.spatial_shapes = NULL;
    ck_assert_int_eq(pare__batch_take(&t.batch, &m, &opts, &p, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "need spatial_shapes [2, 2]"));
    pare__batch_fini(&t.batch);
}
END_TEST

/* ---- tiles ------------------------------------------------------------------------------------------------------- */

/* What a receiver saw last. */
typedef struct seen {
    char name[64];
    int64_t shape[3];
    int32_t n_dim, stop;
    float *data;
} seen;

static int on_stage(void *user, const pare_tensor *t)
{
    seen *s = user;
    const size_t n = (size_t)pare__tensor_count(t);
    strcpy(s->name, t->name);
    s->n_dim = t->n_dim;
    memcpy(s->shape, t->shape, sizeof s->shape);
    free(s->data);
    s->data = malloc((n + 1) * sizeof(float));
    memcpy(s->data, t->data, n * sizeof(float));
    return s->stop;
}

static pare_model anyres(const float *newline)
{
    pare_model m = tower(4, 1, 1, 1);
    m.hp.pos_rows = m.hp.pos_cols = 2;
    m.hp.d_out = 1;
    m.prep.resize = PARE__RESIZE_EXACT;
    m.prep.resize_width = m.prep.resize_height = 8;
    m.prep.tiles = PARE__TILES_PINPOINTS;
    m.prep.newlines = 1;
    m.prep.n_pinpoint = 2;
    m.prep.pinpoint[0][0] = m.prep.pinpoint[0][1] = 16;
    m.prep.pinpoint[1][0] = 8, m.prep.pinpoint[1][1] = 16;
    m.w.newline = newline;
    return m;
}

/* A square photo of 5 slots and a wide one of 3, whose last two are padding. */
START_TEST(test_tiles)
{
    static const int32_t sizes[] = {16, 16, 8, 16};
    static const int32_t at[] = {0, 1, 2, 3, 4, 5, 6, 7};
    static const float newline = -1;
    seen s = {.n_dim = 0};
    pare_model m = anyres(&newline);
    const pare_tensor p = pixels((int64_t[]){2, 5, 3, 8, 8, 0});
    pare_tensor given = integers("image_sizes", sizes, 2, 2, 2, 0);
    pare_trace_opts opts = {.image_sizes = &given};
    pare__trace_run t = {.m = &m, .opts = &opts, .stage = on_stage, .user = &s};
    ck_assert_msg(pare__batch_take(&t.batch, &m, &opts, &p, &err) == 0, "%s", err.text);
    ck_assert(t.batch.n == 8 && t.batch.n_medium == 2 && t.batch.shape[1] == 5);
    ck_assert_mem_eq(t.batch.at, at, sizeof at);
    ck_assert_int_eq(pare__trace_layouts(&t, &err), 0);
    ck_assert_msg(pare__trace_projected(&t, value, 1, &err) == 0, "%s", err.text);
    /* 4 of the whole, then 4 rows of 4 and a newline; 4, then 2 rows */
    ck_assert(!strcmp(s.name, "projected") && s.n_dim == 2 && s.shape[0] == 4 + 4 * 5 + 4 + 2 * 5 && s.shape[1] == 1);
    static const float first[] = {0, 1, 2, 3, 4, 5, 8, 9, -1, 6, 7, 10, 11, -1, 12, 13, 16, 17, -1, 14, 15, 18, 19, -1};
    static const float second[] = {20, 21, 22, 23, 24, 25, 28, 29, -1, 26, 27, 30, 31, -1};
    ck_assert_mem_eq(s.data, first, sizeof first);
    ck_assert_mem_eq(s.data + 24, second, sizeof second);
    m.w.newline = NULL;
    ck_assert_int_eq(pare__trace_projected(&t, value, 1, &err), PARE_E_UNSUPPORTED);
    m.w.newline = &newline;
    s.stop = 1;
    ck_assert_int_eq(pare__trace_projected(&t, value, 1, &err), PARE_E_EXTERNAL);
    ck_assert_ptr_nonnull(strstr(err.text, "stopped at projected"));
    pare__trace_layouts_free(&t);
    pare__batch_fini(&t.batch);
    free(s.data);
}
END_TEST

START_TEST(test_tiles_refused)
{
    static const int32_t sizes[] = {16, 16};
    pare_model m = anyres(NULL);
    pare__batch b = {0};
    const pare_tensor p = pixels((int64_t[]){1, 4, 3, 8, 8, 0});
    const pare_tensor given = integers("image_sizes", sizes, 2, 1, 2, 0);
    pare_trace_opts opts = {0};
    ck_assert_int_eq(pare__batch_take(&b, &m, &opts, &p, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "need image_sizes [1, 2]"));
    pare__batch_fini(&b);
    opts.image_sizes = &given;
    ck_assert_int_eq(pare__batch_take(&b, &m, &opts, &p, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "photo 0 of 16 x 16 has 5 tiles, pixel_values has room for 4"));
    pare__batch_fini(&b);
}
END_TEST

/* With a mask of real pictures the language model receives one matrix. */
START_TEST(test_masked_matrix)
{
    int32_t mask[2 * 64];
    seen s = {.n_dim = 0};
    pare_model m = tower(2, 2, 1, 1);
    const pare_tensor p = pixels((int64_t[]){2, 3, 8, 8, 0});
    const pare_tensor given = integers("pixel_attention_mask", mask, 3, 2, 8, 8);
    pare_trace_opts opts = {0};
    for (int i = 0; i < 128; i++) mask[i] = 1;
    for (int masked = 0; masked < 2; masked++) {
        pare__trace_run t = {.m = &m, .opts = &opts, .stage = on_stage, .user = &s};
        opts.pixel_attention_mask = masked ? &given : NULL;
        ck_assert_int_eq(pare__batch_take(&t.batch, &m, &opts, &p, &err), 0);
        ck_assert_int_eq(pare__trace_layouts(&t, &err), 0);
        ck_assert_int_eq(pare__trace_projected(&t, value, 3, &err), 0);
        if (masked)
            ck_assert(s.n_dim == 2 && s.shape[0] == 8 && s.shape[1] == 3);
        else
            ck_assert(s.n_dim == 3 && s.shape[0] == 2 && s.shape[1] == 4 && s.shape[2] == 3);
        pare__trace_layouts_free(&t);
        pare__batch_fini(&t.batch);
    }
    free(s.data);
}
END_TEST

/* ---- from frames ------------------------------------------------------------------------------------------------- */

static pare_frame photo(uint8_t *rgb, int32_t width, int32_t height)
{
    for (int i = 0; i < width * height * 3; i++) rgb[i] = (uint8_t)(7 * i);
    return (pare_frame){
        .struct_size = sizeof(pare_frame), .rgb = rgb, .stride = 3 * (int64_t)width, .width = width, .height = height};
}

/* No resize at 10 x 10: the processor's pixels are all there, patches are not. */
START_TEST(test_prepare_cut)
{
    static uint8_t rgb[300];
    pare_model m = tower(4, 1, 1, 1);
    pare__batch b = {0};
    const pare_trace_opts opts = {0};
    m.prep.resize = PARE__RESIZE_EXACT;
    m.prep.resize_width = m.prep.resize_height = 10;
    m.prep.resample = PARE__RESAMPLE_BICUBIC;
    const pare_frame f = photo(rgb, 10, 10);
    ck_assert_msg(pare__batch_prepare(&b, &m, &opts, &f, 1, NULL, &err) == 0, "%s", err.text);
    ck_assert(b.n == 1 && b.shape[2] == 10 && b.shape[3] == 10 && b.seg[0].grid_h == 2);
    for (int i = 0; i < 300; i++)
        ck_assert_float_eq_tol(b.values[i], (float)(rgb[i % 100 * 3 + i / 100] / 255.0), 1e-6f);
    ck_assert_float_eq(b.seg[0].pixels[8], b.values[10]);
    pare__batch_fini(&b);
}
END_TEST

/* Rows of patches, padded to what the rule says. */
START_TEST(test_prepare_rows)
{
    static uint8_t rgb[16 * 8 * 3];
    pare_model m = tower(4, 1, 1, 1);
    pare__batch b = {0};
    const pare_trace_opts opts = {.width = 16, .height = 8};
    m.prep.resize = PARE__RESIZE_PATCHES;
    m.prep.max_patches = 9;
    m.prep.resample = PARE__RESAMPLE_BILINEAR;
    const pare_frame f = photo(rgb, 16, 8);
    ck_assert_msg(pare__batch_prepare(&b, &m, &opts, &f, 1, NULL, &err) == 0, "%s", err.text);
    const int32_t *shape = b.pairs.data, *mask = b.mask.data;
    ck_assert(b.n_dim == 3 && b.shape[1] == 9 && b.shape[2] == 48 && shape[0] == 2 && shape[1] == 4);
    ck_assert(mask[7] == 1 && mask[8] == 0);
    for (int i = 0; i < 8 * 48; i++) {
        const int y = i / 48 / 4 * 4 + i / 12 % 4, x = i / 48 % 4 * 4 + i / 3 % 4;
        ck_assert_float_eq_tol(b.values[i], (float)(rgb[(y * 16 + x) * 3 + i % 3] / 255.0), 1e-6f);
        ck_assert_float_eq(b.seg[0].pixels[(i % 3 * 8 + y) * 16 + x], b.values[i]);
    }
    for (int i = 8 * 48; i < 9 * 48; i++) ck_assert_float_eq(b.values[i], 0);
    pare__batch_fini(&b);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("trace");
    TCase *c = tcase_create("inputs");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, test_cut);
    tcase_add_test(c, test_units);
    tcase_add_test(c, test_clip);
    tcase_add_test(c, test_mask);
    tcase_add_loop_test(c, test_refused, 0, sizeof refused / sizeof *refused);
    tcase_add_test(c, test_rows);
    tcase_add_test(c, test_tiles);
    tcase_add_test(c, test_tiles_refused);
    tcase_add_test(c, test_masked_matrix);
    tcase_add_test(c, test_prepare_cut);
    tcase_add_test(c, test_prepare_rows);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
