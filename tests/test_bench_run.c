/* SPDX-License-Identifier: MIT */
/* Rows of a bench on made-up pictures, with the model that ships with pare: a shared encoding decides as a run from end to
 * end does, chance depends on row and item alone, cells hold what was asked, and a selector that keeps the left half is
 * exposed by the mirrored and the grey picture. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../tools/bench/task.h"

enum { SIDE = 112, UNITS = 64 };

/* Prefill rows first, so that a loop can take them. */
static const char *const prefill[] = {"none@output",           "random@output",   "spatial-uniform@output",
                                      "pool@output",           "divprune@output", "topk:score=cls-attn@output",
                                      "visionzip@output",      "prumerge@output", "dart@output",
                                      "topk:score=norm@output"};
static const char *const encoder[] = {"random@patches", "spatial-uniform@patches", "resize@frames", "tome@block"};
enum { N_PREFILL = sizeof prefill / sizeof *prefill, N_ENCODER = sizeof encoder / sizeof *encoder };
enum { FIRST_ENCODER = 1 + N_PREFILL, CUSTOM = FIRST_ENCODER + N_ENCODER, N_ROW };

typedef struct world {
    cli_common c;
    pare_model_info info;
    pare_model *model;
    bench b;
    bench_section *s;
    uint8_t *rgb[2]; /* [SIDE, SIDE, 3] */
    pare_frame frame[2];
} world;

/* Waves and blotches, no symmetry; the second picture is another. */
static void paint(uint8_t *rgb, int which)
{
    uint32_t x = 7u + (uint32_t)which;
    for (int y = 0; y < SIDE; y++)
        for (int col = 0; col < SIDE; col++)
            for (int k = 0; k < 3; k++) {
                const double wave = sin((double)(col * (k + 1)) * 0.03 + y * 0.05 * (which + 1));
                const int blotch = (col - 30) * (col - 30) + (y - 75) * (y - 75) < 400 ? 90 : 0;
                x = x * 1664525u + 1013904223u;
                rgb[3 * (y * SIDE + col) + k] = (uint8_t)(100 + 40 * wave + blotch + (x >> 28));
            }
}

static int keep_left(void *user, const pare_custom_view *v, pare_selection *out, pare_error *err)
{
    int64_t left = v->k;
    (void)user;
    (void)err;
    for (int32_t col = 0; col < 16; col++)
        for (int64_t i = 0; i < v->n && left > 0; i++)
            if (v->place[3 * i + 2] == col && left-- > 0 && pare_selection_keep(out, i) != 0) return PARE_E_NOMEM;
    return 0;
}

static void add_row(bench_section *s, const char *recipe, double keep, bench_saves saves)
{
    bench_row *row = &s->row[s->n_row++];
    *row = (bench_row){.recipe = strdup(recipe), .keep = keep, .saves = saves};
    row->is_random = strncmp(recipe, "random", 6) == 0;
}

static void begin(world *w)
{
    pare_error err = {0};
    *w = (world){.info = {.struct_size = sizeof w->info}};
    w->b.c = &w->c;
    w->b.info = &w->info;
    ck_assert_msg(pare_model_open(&w->model, PARE_SAMPLES_DIR "/dinov2-small-q8_0.gguf", &err) == 0, "%s", err.text);
    ck_assert_int_eq(pare_model_get(w->model, &w->info, &err), 0);
    w->b.model = w->model;
    w->b.own.custom = (pare_custom){.struct_size = sizeof(pare_custom), .select = keep_left, .user = w};
    w->s = &w->b.section[0];
    w->b.n_section = 1;
    w->s->ask = (bench_asked){.name = "test", .layout = {.size = {SIDE, SIDE}}};
    w->s->row = calloc(N_ROW, sizeof *w->s->row);
    w->s->n_item = 2;
    add_row(w->s, "none", 1, BENCH_SAVES_NOTHING);
    for (int i = 0; i < N_PREFILL; i++) add_row(w->s, prefill[i], i == 0 ? 1 : 0.3, BENCH_SAVES_PREFILL);
    for (int i = 0; i < N_ENCODER; i++) add_row(w->s, encoder[i], 0.3, BENCH_SAVES_ENCODER);
    add_row(w->s, "custom@patches", 0.5, BENCH_SAVES_ENCODER);
    for (int i = 0; i < 2; i++) {
        w->rgb[i] = malloc(SIDE * SIDE * 3);
        paint(w->rgb[i], i);
        w->frame[i] = (pare_frame){
            .struct_size = sizeof(pare_frame), .rgb = w->rgb[i], .stride = SIDE * 3, .width = SIDE, .height = SIDE};
    }
}

static void end(world *w)
{
    bench_run_close(w->s);
    for (int32_t i = 0; i < w->s->n_row; i++) free(w->s->row[i].recipe);
    free(w->s->row);
    for (int i = 0; i < 2; i++) free(w->rgb[i]);
    pare_model_close(&w->model);
}

static bench_frames item(const world *w, int i)
{
    return (bench_frames){.frame = &w->frame[i], .n = 1, .decode_ms = 2, .item_seed = bench_item_seed(i ? "b" : "a")};
}

static int is_same_map(const bench_run *a, const bench_run *b)
{
    const pare_result_view *x = pare_result_get(a->result[0]), *y = pare_result_get(b->result[0]);
    if (a->n_result != 1 || b->n_result != 1 || x->k != y->k || x->n != y->n) return 0;
    return memcmp(x->map.row_start, y->map.row_start, (size_t)(x->k + 1) * sizeof *x->map.row_start) == 0 &&
           memcmp(x->map.anchor, y->map.anchor, (size_t)x->k * sizeof *x->map.anchor) == 0 &&
           memcmp(x->map.index, y->map.index, (size_t)x->map.row_start[x->k] * sizeof *x->map.index) == 0 &&
           memcmp(x->embeds, y->embeds, (size_t)(x->k * x->d) * sizeof *x->embeds) == 0;
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

START_TEST(test_shared_is_direct)
{
    world w;
    begin(&w);
    for (int i = 0; i < 2; i++) {
        const bench_frames frames = item(&w, i);
        bench_run full = BENCH_NO_RUN, direct = BENCH_NO_RUN, shared = BENCH_NO_RUN;
        ck_assert_int_eq(bench_run_full(&w.b, w.s, &frames, 1, &full), CLI_OK);
        ck_assert_int_gt(pare_result_get(full.result[0])->n_features, 0);
        ck_assert_double_gt(full.ms[BENCH_MS], 2);
        for (int r = 1; r <= N_PREFILL; r++) {
            bench_row *row = &w.s->row[r];
            ck_assert_int_eq(bench_run_row(&w.b, w.s, row, &frames, NULL, &direct), CLI_OK);
            ck_assert_int_eq(bench_run_row(&w.b, w.s, row, &frames, &full, &shared), CLI_OK);
            ck_assert_msg(shared.shared && !direct.shared, "%s", row->recipe);
            ck_assert_msg(is_same_map(&direct, &shared), "%s", row->recipe);
            ck_assert_int_eq(direct.n_out, shared.n_out);
            ck_assert_double_eq_tol(direct.flops, shared.flops, direct.flops * 1e-9);
            ck_assert(isnan(shared.ms[BENCH_MS]) && direct.ms[BENCH_MS] > 2 && isnan(direct.ms[BENCH_MS_WRITE]));
        }
        bench_run_free(&full);
        bench_run_free(&direct);
        bench_run_free(&shared);
    }
    end(&w);
}
END_TEST

/* Item a, then b; or b alone in another process: the same rows for b. Another seed: others. */
START_TEST(test_chance)
{
    world w, other;
    begin(&w);
    begin(&other);
    bench_run first = BENCH_NO_RUN, run = BENCH_NO_RUN, alone = BENCH_NO_RUN;
    const bench_frames a = item(&w, 0), b = item(&w, 1);
    bench_frames b_as_a = b;
    b_as_a.item_seed = a.item_seed;
    bench_row *row = &w.s->row[FIRST_ENCODER];
    ck_assert_int_eq(bench_run_row(&w.b, w.s, row, &a, NULL, &first), CLI_OK);
    ck_assert_int_eq(bench_run_row(&w.b, w.s, row, &b, NULL, &run), CLI_OK);
    ck_assert_int_eq(bench_run_row(&other.b, other.s, &other.s->row[FIRST_ENCODER], &b, NULL, &alone), CLI_OK);
    ck_assert(is_same_map(&run, &alone));
    ck_assert_int_eq(bench_run_row(&w.b, w.s, row, &b_as_a, NULL, &alone), CLI_OK);
    ck_assert(!is_same_map(&run, &alone));
    row->seed = 1;
    ck_assert_int_eq(bench_run_row(&w.b, w.s, row, &b, NULL, &alone), CLI_OK);
    ck_assert(!is_same_map(&run, &alone));
    bench_run_free(&first);
    bench_run_free(&run);
    bench_run_free(&alone);
    ck_assert(bench_item_seed("/x/data/c/p.png") == bench_item_seed("c/p.png"));
    ck_assert(bench_item_seed("c/p.png") != bench_item_seed("d/p.png"));
    end(&other);
    end(&w);
}
END_TEST

static void check_cost(const bench_cell *cell, const bench_run *run, double asked)
{
    const double *v = cell->value;
    ck_assert_double_eq(v[BENCH_UNITS_IN], UNITS);
    ck_assert_double_eq(v[BENCH_UNITS_ASKED], asked);
    ck_assert_double_eq(v[BENCH_UNITS], (double)run->n_out);
    ck_assert_double_eq(v[BENCH_POSITIONS], (double)run->n_out);
    ck_assert_double_gt(v[BENCH_GFLOP], 0.1);
    if (run->shared) return;
    ck_assert_double_eq(v[BENCH_MS_DECODE], 2);
    ck_assert_double_ge(v[BENCH_MS] * (1 + 1e-6), 2 + v[BENCH_MS_PREP] + v[BENCH_MS_ENCODE] + v[BENCH_MS_SELECT]);
    ck_assert_double_gt(v[BENCH_MS_WRITE], 0);
}

START_TEST(test_cells)
{
    world w;
    bench_run full = BENCH_NO_RUN, run = BENCH_NO_RUN;
    int32_t n_column = 0;
    const bench_column *column = bench_columns(&n_column);
    begin(&w);
    bench_frames frames = item(&w, 0);
    frames.write = 1;
    ck_assert_int_eq(bench_run_full(&w.b, w.s, &frames, 1, &full), CLI_OK);
    for (int32_t r = 0; r < w.s->n_row; r++) {
        bench_cell cell;
        const bench_row *row = &w.s->row[r];
        int n_metric = 0;
        bench_cell_clear(&cell, r, 0);
        ck_assert_int_eq(bench_run_row(&w.b, w.s, &w.s->row[r], &frames, r % 2 ? &full : NULL, &run), CLI_OK);
        bench_cell_cost(&w.b, w.s, &full, &run, &cell);
        check_cost(&cell, &run, floor(row->keep * UNITS + 0.5));
        ck_assert_int_eq(bench_cell_measure(&w.b, w.s, &full, &run, &cell), CLI_OK);
        for (int32_t i = BENCH_OWN_COLUMNS; i < n_column; i++) {
            const int barred = (column[i].flags & (BENCH_OF_CLS | BENCH_OF_FULL)) != 0;
            ck_assert_msg(!isinf(cell.value[i]), "%s %s", row->recipe, column[i].key);
            ck_assert_msg(row->saves != BENCH_SAVES_PREFILL || !barred || isnan(cell.value[i]), "%s %s", row->recipe,
                          column[i].key);
            n_metric += isfinite(cell.value[i]);
        }
        ck_assert_msg(n_metric > 10, "%s: %d metrics", row->recipe, n_metric);
    }
    bench_run_free(&full);
    bench_run_free(&run);
    end(&w);
}
END_TEST

static void bias_of(world *w, int32_t r, int i, bench_cell *cell)
{
    bench_run full = BENCH_NO_RUN, run = BENCH_NO_RUN;
    const bench_frames frames = item(w, i);
    bench_row *row = &w->s->row[r];
    bench_cell_clear(cell, r, i);
    ck_assert_int_eq(bench_run_full(&w->b, w->s, &frames, 1, &full), CLI_OK);
    ck_assert_int_eq(bench_run_row(&w->b, w->s, row, &frames, &full, &run), CLI_OK);
    ck_assert_int_eq(bench_flip_blank(&w->b, w->s, row, &frames, &full, &run, cell), CLI_OK);
    bench_run_free(&full);
    bench_run_free(&run);
}

START_TEST(test_bias)
{
    world w, other;
    bench_cell cell, again;
    begin(&w);
    begin(&other);
    bias_of(&w, CUSTOM, 0, &cell); /* the left half, whatever it shows */
    ck_assert_double_eq_tol(cell.value[BENCH_FLIP], -1, 1e-12);
    ck_assert_double_eq_tol(cell.value[BENCH_BLANK], 1, 1e-12);
    for (int32_t r = 0; r < CUSTOM; r++) {
        bias_of(&w, r, 0, &cell);
        const double flip = cell.value[BENCH_FLIP], blank = cell.value[BENCH_BLANK];
        ck_assert(isnan(flip) || (flip >= -1 && flip <= 1));
        ck_assert(isnan(blank) || (blank >= -1 && blank <= 1));
        ck_assert(isnan(flip) == (w.s->row[r].keep == 1 || strstr(w.s->row[r].recipe, "resize") != NULL));
        if (w.s->row[r].is_random) ck_assert_double_lt(fabs(flip), 0.3);
        if (strstr(w.s->row[r].recipe, "cls-attn") != NULL) ck_assert_double_gt(flip, 0.4);
        if (strstr(w.s->row[r].recipe, "uniform") != NULL) ck_assert_double_eq(blank, 1);
    }
    /* The second item alone gives what it gives after the first. */
    for (int32_t r = 5; r <= FIRST_ENCODER; r += FIRST_ENCODER - 5) {
        bias_of(&w, r, 1, &cell);
        bias_of(&other, r, 1, &again);
        ck_assert_double_eq(cell.value[BENCH_FLIP], again.value[BENCH_FLIP]);
        ck_assert_double_eq(cell.value[BENCH_BLANK], again.value[BENCH_BLANK]);
    }
    end(&other);
    end(&w);
}
END_TEST

START_TEST(test_slot_mean)
{
    static const float embeds[] = {1, 2, 3, 4, 5, 6, 7, 8}, sizes[] = {1, 3, 2, 1};
    static const int64_t row_start[] = {0, 2, 2, 4};
    const pare_result_view v = {.d = 2, .k = 4, .embeds = embeds, .sizes = sizes, .row_start = row_start};
    float mean[2] = {-1, -1};
    ck_assert_int_eq(bench_slot_mean(&v, 0, mean), 1);
    ck_assert_float_eq(mean[0], 2.5f);
    ck_assert_float_eq(mean[1], 3.5f);
    ck_assert_int_eq(bench_slot_mean(&v, 1, mean), 0);
    ck_assert_float_eq(mean[0], 2.5f);
    ck_assert_int_eq(bench_slot_mean(&v, 2, mean), 1);
    ck_assert_float_eq_tol(mean[0], 17 / 3.0f, 1e-6f);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bench run");
    TCase *c = tcase_create("all");
    pare_runtime_init(NULL, NULL);
    tcase_set_timeout(c, 300);
    tcase_add_test(c, test_shared_is_direct);
    tcase_add_test(c, test_chance);
    tcase_add_test(c, test_cells);
    tcase_add_test(c, test_bias);
    tcase_add_test(c, test_slot_mean);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
