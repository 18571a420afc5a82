/* SPDX-License-Identifier: MIT */
/* What the codec's motion is worth on a clip with known persons: share of person patches that survive with and without
 * skipping still blocks, and what each way costs.
 *
 *     bench_codec CLIP BOXES MODEL [frames=N]     BOXES: lines frame,id,x,y,width,height,... ; frame 1 is the clip's first
 *
 * A patch is a person's when its centre lies in a box; the clip's first frame is left out. Nothing is encoded (dry runs).
 * `prep` and `select`: wall time of the reducer, one thread, milliseconds per frame, on pixels (resize, skip detector, units)
 * and on the recipe, each way alone at a tenth of the tokens: needs a quiet machine. `read`: CPU time of reading alone, one
 * decoder thread. MODEL gives the grid: 24 x 32 patches of 768x576 with DINOv2. */
#include <pare/media.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_BOX = 20000, MAX_CELL = 4096, MAX_FRAME = 20000, N_KEEP = 3, N_WAY = 6, TIMED = 1 };

typedef struct box {
    int frame;
    double x, y, w, h;
} box;

static box boxes[MAX_BOX];
static int n_box, first_box[MAX_FRAME + 2]; /* boxes are sorted by frame */
static const double keeps[N_KEEP] = {.25, .10, .06};

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void fail(const char *what, const pare_error *err)
{
    fprintf(stderr, "bench_codec: %s: %s\n", what, err->text);
    exit(1);
}

static void read_boxes(const char *path)
{
    FILE *f = fopen(path, "r");
    char line[256];
    while (f && n_box < MAX_BOX && fgets(line, sizeof line, f)) {
        box *b = &boxes[n_box];
        n_box += sscanf(line, "%d,%*d,%lf,%lf,%lf,%lf", &b->frame, &b->x, &b->y, &b->w, &b->h) == 5;
    }
    if (f) fclose(f);
}

static int by_frame(const void *a, const void *b) { return ((const box *)a)->frame - ((const box *)b)->frame; }

static void index_boxes(void)
{
    qsort(boxes, (size_t)n_box, sizeof *boxes, by_frame);
    for (int f = 0, i = 0; f <= MAX_FRAME + 1; f++) {
        while (i < n_box && boxes[i].frame < f) i++;
        first_box[f] = i;
    }
}

static int is_person(int t, double x, double y)
{
    if (t + 2 > MAX_FRAME) return 0;
    for (int i = first_box[t + 1]; i < first_box[t + 2]; i++)
        if (x >= boxes[i].x && x < boxes[i].x + boxes[i].w && y >= boxes[i].y && y < boxes[i].y + boxes[i].h) return 1;
    return 0;
}

/* ---- one run ----------------------------------------------------------------------------------------------------- */

typedef struct run {
    int64_t n_person, n_found, n_frame;
    pare_reducer_stats stats;
} run;

static void count(const pare_result_view *v, int width, int height, run *out)
{
    const int h = v->grid[1], w = v->grid[2];
    static uint8_t kept[MAX_CELL];
    for (int32_t s = 0; s < v->grid[0]; s++) {
        const int t = v->slot[s].t;
        memset(kept, 0, sizeof kept);
        for (int64_t i = v->row_start[s]; i < v->row_start[s + 1]; i++)
            kept[v->place[6 * i + 3] * w + v->place[6 * i + 4]] = 1;
        for (int c = 0; t && c < h * w; c++) {
            if (!is_person(t, (c % w + .5) * width / w, ((double)(c / w) + .5) * height / h)) continue;
            out->n_person++;
            out->n_found += kept[c];
        }
    }
}

static void pull(pare_reducer *r, int width, int height, run *out)
{
    pare_result *result;
    while (!pare_reducer_pull(r, &result, NULL)) {
        count(pare_result_get(result), width, height, out);
        pare_result_free(&result);
    }
}

typedef struct way {
    const char *recipe;
    int motion;
} way;

static const way ways[N_WAY] = {{"temporal-redundancy@patches", 0},
                                {"temporal-redundancy@patches", 1},
                                {"topk:score=motion:alloc=motion@patches", 0},
                                {"topk:score=motion:alloc=motion@patches", 1},
                                {"topk:score=codec:alloc=motion@patches", 1},
                                {"random@patches", 0}};

static pare_source *open_clip(const char *clip, int motion)
{
    pare_error err = {0};
    pare_source *s;
    const pare_source_opts so = {.struct_size = sizeof so, .motion = motion, .n_threads = 1};
    if (pare_source_open(&s, clip, &so, &err)) fail(clip, &err);
    return s;
}

static pare_reducer *open_reducer(const pare_model *model, const char *recipe, double keep)
{
    pare_error err = {0};
    pare_reducer *r;
    const pare_reducer_opts ro = {
        .struct_size = sizeof ro, .recipe = recipe, .keep = keep, .video = 1, .dry = 1, .n_threads = 1};
    if (pare_reducer_create(&r, model, &ro, &err)) fail(recipe, &err);
    return r;
}

/* Ends the clip and the reducer. */
static void finish(pare_reducer *r, int width, int height, run *out)
{
    pare_error err = {0};
    if (pare_reducer_flush(r, &err)) fail("flush", &err);
    pull(r, width, height, out);
    out->stats.struct_size = sizeof out->stats;
    pare_reducer_get(r, &out->stats, NULL);
    pare_reducer_close(&r);
}

/* n reducers over one reading of the clip; those of ways without motion are told none. */
static void reduce(const char *clip, int64_t frames, pare_reducer **r, const int *motion, int n, run *out)
{
    pare_error err = {0};
    int any = 0, width = 0, height = 0;
    for (int i = 0; i < n; i++) any |= motion[i];
    pare_source *s = open_clip(clip, any);
    pare_frame f = {.struct_size = sizeof f};
    for (int64_t t = 0; t < frames && !pare_source_read(s, &f, &err); t++) {
        const pare_motion *told = f.motion;
        width = f.width;
        height = f.height;
        for (int i = 0; i < n; i++) {
            f.motion = motion[i] ? told : NULL;
            if (pare_reducer_push(r[i], &f, &err)) fail("push", &err);
            pull(r[i], width, height, &out[i]);
            out[i].n_frame++;
        }
        f.motion = told;
    }
    for (int i = 0; i < n; i++) finish(r[i], width, height, &out[i]);
    pare_source_close(&s);
}

/* [N_WAY, N_KEEP] */
static void find_recall(const char *clip, int64_t frames, const pare_model *model, run *out)
{
    pare_reducer *r[N_WAY * N_KEEP];
    int motion[N_WAY * N_KEEP];
    for (int i = 0; i < N_WAY * N_KEEP; i++) {
        r[i] = open_reducer(model, ways[i / N_KEEP].recipe, keeps[i % N_KEEP]);
        motion[i] = ways[i / N_KEEP].motion;
    }
    reduce(clip, frames, r, motion, N_WAY * N_KEEP, out);
}

static double read_ms(const char *clip, int64_t frames, int motion)
{
    pare_source *s = open_clip(clip, motion);
    pare_frame f = {.struct_size = sizeof f};
    int64_t n = 0;
    const double start = cpu_ms();
    while (n < frames && !pare_source_read(s, &f, NULL)) n++;
    const double ms = cpu_ms() - start;
    pare_source_close(&s);
    return n ? ms / (double)n : 0;
}

static void print_way(const char *clip, int64_t frames, const pare_model *model, const way *w, const run *found)
{
    run alone = {0};
    pare_reducer *r = open_reducer(model, w->recipe, keeps[TIMED]);
    reduce(clip, frames, &r, &w->motion, 1, &alone);
    const pare_reducer_stats *s = &alone.stats;
    const double n = (double)(alone.n_frame ? alone.n_frame : 1);
    printf("%-40s %6d     ", w->recipe, w->motion);
    for (int k = 0; k < N_KEEP; k++) printf(" %.4f", (double)found[k].n_found / (double)found[k].n_person);
    printf("  %.3f  %7.3f  %9.3f\n", s->n_block ? (double)s->n_still / (double)s->n_block : 0, s->prep_ms / n,
           s->select_ms / n);
}

int main(int argc, char **argv)
{
    static run found[N_WAY * N_KEEP];
    pare_error err = {0};
    pare_model *model;
    if (argc < 4 || (argc > 4 && strncmp(argv[4], "frames=", 7) != 0)) {
        fprintf(stderr, "usage: bench_codec CLIP BOXES MODEL [frames=N]\n");
        return 2;
    }
    const int64_t frames = argc > 4 ? strtoll(argv[4] + 7, NULL, 10) : INT64_MAX;
    read_boxes(argv[2]);
    index_boxes();
    if (pare_runtime_init(NULL, &err) || pare_model_open(&model, argv[3], &err)) fail(argv[3], &err);
    const double plain = read_ms(argv[1], frames, 0), moving = read_ms(argv[1], frames, 1);
    printf("read                  %.3f ms of CPU, with motion %.3f\n", plain, moving);
    printf("%-40s motion  recall .25    .10    .06   still  prep ms  select ms\n", "recipe");
    find_recall(argv[1], frames, model, found);
    for (int i = 0; i < N_WAY; i++) print_way(argv[1], frames, model, &ways[i], &found[i * N_KEEP]);
    pare_model_close(&model);
    return 0;
}
