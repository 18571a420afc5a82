/* SPDX-License-Identifier: MIT */
/* What choosing costs: every selector and every score on images of 576 and 1,024 tokens of width 1,024, ms per image and
 * share of the encode of a ViT-L/14 at that size, 24 (24 n d^2 + 4 n^2 d) FLOP with n = tokens + 1, at the sgemm rate
 * measured between the lines. Under "int8" the same encode at four times that rate. Times are those of the thread, so that
 * neighbours on the machine matter less. Where:
 *
 *   output, patches, block   one application, map closed and checked; windows of 4 images where a step sees a window
 *   every block              24 applications, from N tokens down to keep N in equal steps
 *   score                    one computation; its keep does not matter
 *
 * Rows are noise around a few centres that belong to places and move slowly from image to image. One thread.
 * `bench_selectors [NAME]...`: those alone. Marks: ! = share above 1 % (3 % for greedy ones), ? = above it in int8 only. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../select_scene.h"
#include "bench_util.h"
#include "encode/backend.h"

enum { DIM = 1024, HEADS = 16, HEAD_DIM = DIM / HEADS, LAYERS = 24, PATCH = 14, WINDOW = 4, N_TEXT = 32 };
enum { CENTRES = 24, PLACES = 6, SGEMM = 1024, SAMPLES = 3, MOST_LINES = 160, ONCE = 21, EVERY = 5, INT8 = 4 };
enum { N_SIDE = 2, N_KEEP = 2, N_CASE = N_SIDE * N_KEEP };

static const int32_t sides[N_SIDE] = {24, 32};
static const double keeps[N_KEEP] = {0.25, 0.5};
static const char *const greedy[] = {"divprune", "cdpruner", "scope"};

typedef struct line {
    const char *name, *where;
    double p50[N_CASE], p95[N_CASE]; /* ms per image; case = side, keep */
    double share;                    /* largest of p50 / encode */
} line;

typedef struct bench {
    line line[MOST_LINES];
    int n_line;
    bench_times sgemm; /* the best of a few, one per line */
    const pare__gemm *gemm;
    float *a, *b, *c; /* [SGEMM, SGEMM] */
    char **only;      /* names, NULL at the end; none = all */
} bench;

static void stop(const char *name, const pare_error *err)
{
    fprintf(stderr, "%s: %s\n", name, err->text);
    exit(2);
}

/* ---- scenes ------------------------------------------------------------------------------------------------------ */

/* Centre of a place: regions of PLACES x PLACES cells that shift by two columns per image. */
static int64_t centre_at(const int32_t *thw)
{
    return (thw[1] / PLACES * 7 + (thw[2] + 2 * thw[0]) / PLACES) % CENTRES;
}

static float noise(pare__rng *rng) { return (float)pare__rng_unit(rng) - 0.5f; }

/* x [n, width]: a centre, half as much noise of the place, a little of its own. */
static void fill_rows(const scene *s, uint64_t seed, int32_t width, float *x)
{
    float *centre = PARE__NEW(float, CENTRES *width);
    pare__rng rng = pare__rng_make(seed, 1, 0), own = pare__rng_make(seed, 2, 0);
    for (int64_t i = 0; i < CENTRES * width; i++) centre[i] = noise(&rng);
    for (int64_t i = 0; i < s->n; i++) {
        const int32_t *place = s->thw + 3 * i;
        pare__rng of_place = pare__rng_make(seed, 3, (uint64_t)(place[1] * s->grid_w + place[2]));
        const float *mean = centre + centre_at(place) * width;
        for (int32_t c = 0; c < width; c++) x[i * width + c] = mean[c] + 0.5f * noise(&of_place) + 0.05f * noise(&own);
    }
    pare__free(centre);
}

/* x [n]: a few large ones, as attention has them. */
static void fill_attention(uint64_t seed, int64_t n, float *x)
{
    pare__rng rng = pare__rng_make(seed, 4, 0);
    for (int64_t i = 0; i < n; i++) x[i] = expf(6 * noise(&rng)) / (float)n;
}

static void paint(scene *s)
{
    pare__rng rng = pare__rng_make(5, 0, 0);
    const int32_t w = s->grid_w * PATCH, h = s->grid_h * PATCH;
    for (int32_t f = 0; f < s->n_frame; f++) {
        for (int64_t i = 0; i < (int64_t)w * h; i++) {
            const int32_t place[3] = {f, (int32_t)(i / w) / PATCH, (int32_t)(i % w) / PATCH};
            const uint64_t grain = pare__rng_u64(&rng);
            for (int c = 0; c < 3; c++)
                s->frame[f][3 * i + c] = (uint8_t)(centre_at(place) * (c + 7) + (grain >> 8 * c) % 4);
        }
    }
}

static void make_scene(scene *s, int32_t n_frame, int32_t side)
{
    scene_blank(s, n_frame, side, side, DIM, PATCH, 1);
    s->n_head = HEADS;
    fill_rows(s, 1, DIM, s->token);
    fill_attention(2, s->n, s->attention);
    fill_attention(3, s->n, s->score);
    s->given = s->score;
    s->text = s->token;
    s->n_text = N_TEXT;
    s->d_text = DIM;
    paint(s);
}

/* Arrays of the encoder that are needed and not there, with a row of a CLS token per image. */
static void offer(scene *s, int32_t site, const pare__need *need, int n_need)
{
    for (int i = 0; i < n_need; i++) {
        scene_view look;
        const pare__array kind = need[i].array;
        const int is_row = kind == PARE__ARRAY_CLS_ROW || kind == PARE__ARRAY_COL_MEAN;
        if (kind <= PARE__ARRAY_TOKENS || kind >= PARE__ARRAY_GIVEN) continue;
        scene_look(s, site, 0, s->n_frame, 1, &look);
        const int32_t here = need[i].layer == PARE__LAYER_HERE ? look.view.block : need[i].layer;
        const int32_t width = is_row ? 1 : kind == PARE__ARRAY_K_MEAN ? HEAD_DIM : DIM;
        pare__view_array *a = scene_add(s, kind, here < 0 ? here + look.view.n_layer : here, width, 1);
        float *data = (float *)(uintptr_t)a->data, *prefix = (float *)(uintptr_t)a->prefix;
        if (is_row)
            fill_attention(6 + (uint64_t)i, s->n, data);
        else
            fill_rows(s, 6 + (uint64_t)i, width, data);
        for (int32_t f = 0; f < s->n_frame; f++)
            memcpy(prefix + (int64_t)f * width, data + s->frame_start[f] * width, (size_t)width * sizeof *data);
    }
}

/* ---- times --------------------------------------------------------------------------------------------------------- */

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static double encode_flop(int case_of)
{
    const double d = DIM, n = (double)sides[case_of / N_KEEP] * sides[case_of / N_KEEP] + 1;
    return LAYERS * (24 * n * d * d + 4 * n * n * d);
}

static void note_times(line *l, int case_of, const bench_times *t, int n_image)
{
    l->p50[case_of] = bench_p50(t) / n_image;
    l->p95[case_of] = bench_p95(t) / n_image;
}

/* The best of a few products between the lines: the machine as it is while they are measured. */
static void sample_rate(bench *b)
{
    double best = INFINITY;
    for (int i = 0; i < SAMPLES; i++) {
        const double start = now_ms();
        b->gemm->nt(SGEMM, SGEMM, SGEMM, 1, b->a, SGEMM, b->b, SGEMM, 0, b->c, SGEMM);
        best = fmin(best, now_ms() - start);
    }
    bench_add(&b->sgemm, best);
}

/* The next line, or NULL where others are asked for. */
static line *open_line(bench *b, const char *name, const char *where)
{
    int wanted = !*b->only;
    for (char **o = b->only; *o; o++) wanted |= !strcmp(*o, name);
    if (!wanted || b->n_line == MOST_LINES) return NULL;
    sample_rate(b);
    line *l = &b->line[b->n_line++];
    *l = (line){.name = name, .where = where};
    return l;
}

/* ---- selectors --------------------------------------------------------------------------------------------------- */

static double apply(const step *s, scene *sc, pare__view *v, pare__map *map)
{
    pare_error err = {0};
    scene_rewind(sc);
    const double start = now_ms();
    if (step_run(s, sc, v, map, &err)) stop(s->sel->name, &err);
    return now_ms() - start;
}

/* Blocks 0 .. LAYERS - 1, each of which leaves its share fewer of the first rows. */
static double apply_everywhere(const step *s, scene *sc, scene_view *look, int64_t n, int64_t k, pare__map *map)
{
    double ms = 0;
    for (int32_t i = 0; i < LAYERS; i++) {
        pare__view *v = &look->view;
        v->n = look->frame_start[1] = n - (n - k) * i / LAYERS;
        v->k = v->k_final = n - (n - k) * (i + 1) / LAYERS;
        v->i_block = i;
        v->n_block = LAYERS;
        ms += apply(s, sc, v, map);
    }
    return ms;
}

static void time_selector(bench *b, const step *s, int32_t site, int everywhere, int case_of, line *l)
{
    const int32_t n_image = s->sel->flags & PARE__SCOPE_WINDOW ? WINDOW : 1;
    const int rounds = everywhere ? EVERY : ONCE;
    pare__need need[PARE__MAX_NEEDS];
    pare__map map = {0};
    scene sc;
    scene_view look;
    bench_times t = {.n = 0};
    make_scene(&sc, n_image, sides[case_of / N_KEEP]);
    offer(&sc, site, need, s->sel->needs ? s->sel->needs(s->priv, site, need) : 0);
    scene_look(&sc, site, 0, n_image, 1, &look);
    look.view.gemm = b->gemm;
    look.view.score = sc.score;
    const int64_t n = look.view.n, least = s->sel->least ? s->sel->least(s->priv, n) : 1;
    const int64_t wanted = (int64_t)(keeps[case_of % N_KEEP] * (double)n);
    look.view.k = wanted > least || everywhere ? wanted : least;
    for (int r = 0; r <= rounds; r++) {
        const double ms =
            everywhere ? apply_everywhere(s, &sc, &look, n, wanted, &map) : apply(s, &sc, &look.view, &map);
        if (r) bench_add(&t, ms); /* the first one warms up */
    }
    note_times(l, case_of, &t, n_image);
    pare__map_fini(&map);
    scene_free(&sc);
}

static const char *site_name(int32_t site)
{
    return site == PARE__SITE_PATCHES ? "patches" : site == PARE__SITE_BLOCK ? "block" : "output";
}

static void time_step(bench *b, const pare__selector *sel)
{
    pare_error err = {0};
    step s;
    if (!sel->select || !strcmp(sel->name, "none")) return;
    if (step_open(&s, sel->name, "", &err)) stop(sel->name, &err);
    line *once = open_line(b, sel->name, site_name(sel->default_site));
    for (int c = 0; once && c < N_CASE; c++) time_selector(b, &s, sel->default_site, 0, c, once);
    const int in_blocks = (sel->sites & PARE__SITE_BLOCK) && !(sel->flags & PARE__SCOPE_WINDOW);
    line *every = in_blocks ? open_line(b, sel->name, "every block") : NULL;
    for (int c = 0; every && c < N_CASE; c++) time_selector(b, &s, PARE__SITE_BLOCK, 1, c, every);
    step_close(&s);
}

/* ---- scores ------------------------------------------------------------------------------------------------------ */

static void time_score(bench *b, const pare__score *score, const void *priv, int case_of, line *l)
{
    const int32_t n_image = score->flags & PARE__SCOPE_WINDOW ? WINDOW : 1;
    const int32_t site = score->sites & PARE__SITE_OUTPUT ? PARE__SITE_OUTPUT : PARE__SITE_PATCHES;
    pare__need need[PARE__MAX_NEEDS];
    pare_error err = {0};
    scene sc;
    scene_view look;
    bench_times t = {.n = 0};
    make_scene(&sc, WINDOW, sides[case_of / N_KEEP]);
    offer(&sc, site, need, score->needs ? score->needs(priv, site, need) : 0);
    scene_look(&sc, site, WINDOW - n_image, n_image, 1, &look); /* the last one, which has one before it */
    look.view.gemm = b->gemm;
    for (int r = 0; r <= ONCE; r++) {
        const pare__mark mark = pare__arena_mark(look.view.arena);
        const double start = now_ms();
        if (score->compute(priv, &look.view, sc.score_out, &err)) stop(score->name, &err);
        pare__arena_reset(look.view.arena, mark);
        if (r) bench_add(&t, now_ms() - start);
    }
    note_times(l, case_of, &t, n_image);
    scene_free(&sc);
}

static void time_scores(bench *b)
{
    for (int i = 0; pare__scores[i]; i++) {
        const pare__score *score = pare__scores[i];
        line *l = open_line(b, score->name, "score");
        void *priv = pare__calloc(1, (int64_t)(score->priv_size ? score->priv_size : 1));
        if (score->options) pare__option_defaults(score->options, priv);
        for (int c = 0; l && c < N_CASE; c += N_KEEP) {
            time_score(b, score, priv, c, l);
            l->p50[c + 1] = l->p50[c];
            l->p95[c + 1] = l->p95[c];
        }
        pare__free(priv);
    }
}

/* ---- table --------------------------------------------------------------------------------------------------------- */

static int by_share(const void *a, const void *b)
{
    const double x = ((const line *)a)->share, y = ((const line *)b)->share;
    return (x < y) - (x > y);
}

static double bar_of(const line *l)
{
    for (size_t i = 0; i < sizeof greedy / sizeof *greedy; i++)
        if (!strcmp(l->name, greedy[i])) return 0.03;
    return 0.01;
}

static void print_line(const line *l)
{
    const char mark = l->share > bar_of(l) ? '!' : INT8 * l->share > bar_of(l) ? '?' : ' ';
    printf("%-20s %-12s", l->name, l->where);
    for (int c = 0; c < N_CASE; c++) printf(" %7.2f %7.2f", l->p50[c], l->p95[c]);
    printf("  %6.2f %6.2f %c\n", 100 * l->share, 100 * INT8 * l->share, mark);
}

static void print_table(bench *b)
{
    const double rate = 2.0 * SGEMM * SGEMM * SGEMM / bench_p50(&b->sgemm);
    for (int i = 0; i < b->n_line; i++)
        for (int c = 0; c < N_CASE; c++)
            b->line[i].share = fmax(b->line[i].share, b->line[i].p50[c] / (encode_flop(c) / rate));
    qsort(b->line, (size_t)b->n_line, sizeof *b->line, by_share);
    printf("sgemm %s %.1f GFLOP/s, vector kernels %s; an encode takes", b->gemm->name, rate / 1e6,
           pare__vec_best()->name);
    for (int c = 0; c < N_CASE; c += N_KEEP)
        printf(" %.0f ms (%.1f GFLOP)%s", encode_flop(c) / rate, encode_flop(c) / 1e9, c ? "\n" : ",");
    printf("%-33s", "ms per image, p50 and p95");
    for (int c = 0; c < N_CASE; c++)
        printf("  %4d keep %-4g", sides[c / N_KEEP] * sides[c / N_KEEP], keeps[c % N_KEEP]);
    printf("    f32 %% int8 %%\n");
    for (int i = 0; i < b->n_line; i++) print_line(&b->line[i]);
}

int main(int argc, char **argv)
{
    static bench b;
    (void)argc;
    pare__backends[0]->init(NULL, NULL);
    b.gemm = pare__backends[0]->gemm;
    b.only = argv + 1;
    b.a = bench_floats(SGEMM * SGEMM, 1, 1);
    b.b = bench_floats(SGEMM * SGEMM, 2, 1);
    b.c = bench_floats(SGEMM * SGEMM, 3, 1);
    for (int i = 0; pare__selectors[i]; i++) time_step(&b, pare__selectors[i]);
    time_scores(&b);
    if (b.n_line) print_table(&b);
    free(b.a);
    free(b.b);
    free(b.c);
    return b.n_line ? 0 : 2;
}
