/* SPDX-License-Identifier: MIT */
/* What the codec's motion is worth on a clip with known persons: share of person patches that survive with and without
 * skipping still blocks, and what each way costs.
 *
 *     bench_codec CLIP BOXES MODEL [END]      BOXES: lines frame,id,x,y,width,height,... ; frame 1 is the clip's first
 *
 * A patch is a person's when its centre lies in a box; the clip's first frame is left out. Nothing is encoded (dry runs).
 * `prep` and `select`: wall time of the reducer, one thread, milliseconds per frame, on pixels (resize, skip detector, units)
 * and on the recipe: needs a quiet machine. `read`: CPU time of reading alone, one decoder thread.
 * MODEL gives the grid: 24 x 32 patches of 768x576 with DINOv2. */
#include <pare/media.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_BOX = 20000, MAX_CELL = 4096, N_KEEP = 3 };

typedef struct box {
    int frame;
    double x, y, w, h;
} box;

static box boxes[MAX_BOX];
static int n_box;
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

static int is_person(int t, double x, double y)
{
    for (int i = 0; i < n_box; i++)
        if (boxes[i].frame == t + 1 && x >= boxes[i].x && x < boxes[i].x + boxes[i].w && y >= boxes[i].y &&
            y < boxes[i].y + boxes[i].h)
            return 1;
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

static run reduce(const char *clip, double end, const pare_model *model, const char *recipe, double keep, int motion)
{
    run out = {.stats.struct_size = sizeof out.stats};
    pare_error err = {0};
    pare_source *s;
    pare_reducer *r;
    const pare_source_opts so = {.struct_size = sizeof so, .motion = motion, .end = end};
    const pare_reducer_opts ro = {
        .struct_size = sizeof ro, .recipe = recipe, .keep = keep, .video = 1, .dry = 1, .n_threads = 1};
    if (pare_source_open(&s, clip, &so, &err) || pare_reducer_create(&r, model, &ro, &err)) fail(clip, &err);
    pare_frame f = {.struct_size = sizeof f};
    int width = 0, height = 0;
    while (!pare_source_read(s, &f, &err)) {
        width = f.width;
        height = f.height;
        if (pare_reducer_push(r, &f, &err)) fail(recipe, &err);
        pull(r, width, height, &out);
        out.n_frame++;
    }
    if (pare_reducer_flush(r, &err)) fail(recipe, &err);
    pull(r, width, height, &out);
    pare_reducer_get(r, &out.stats, NULL);
    pare_reducer_close(&r);
    pare_source_close(&s);
    return out;
}

static double read_ms(const char *clip, double end, int motion)
{
    pare_error err = {0};
    pare_source *s;
    const pare_source_opts so = {.struct_size = sizeof so, .motion = motion, .end = end, .n_threads = 1};
    if (pare_source_open(&s, clip, &so, &err)) fail(clip, &err);
    pare_frame f = {.struct_size = sizeof f};
    int64_t n = 0;
    const double start = cpu_ms();
    while (!pare_source_read(s, &f, &err)) n++;
    const double ms = cpu_ms() - start;
    pare_source_close(&s);
    return n ? ms / (double)n : 0;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *recipe;
        int motion;
    } ways[] = {{"temporal-redundancy@patches", 0},
                {"temporal-redundancy@patches", 1},
                {"topk:score=motion:alloc=motion@patches", 0},
                {"topk:score=motion:alloc=motion@patches", 1},
                {"topk:score=codec:alloc=motion@patches", 1},
                {"random@patches", 0}};
    pare_error err = {0};
    pare_model *model;
    if (argc < 4) {
        fprintf(stderr, "usage: bench_codec CLIP BOXES MODEL [END]\n");
        return 2;
    }
    const double end = argc > 4 ? strtod(argv[4], NULL) : 0;
    read_boxes(argv[2]);
    if (pare_runtime_init(NULL, &err) || pare_model_open(&model, argv[3], &err)) fail(argv[3], &err);
    const double plain = read_ms(argv[1], end, 0), moving = read_ms(argv[1], end, 1);
    printf("read                  %.3f ms of CPU, with motion %.3f\n", plain, moving);
    printf("%-40s motion  recall .25    .10    .06   still  prep ms  select ms\n", "recipe");
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        run out[N_KEEP];
        for (int k = 0; k < N_KEEP; k++) out[k] = reduce(argv[1], end, model, ways[i].recipe, keeps[k], ways[i].motion);
        const run *o = &out[1];
        printf("%-40s %6d", ways[i].recipe, ways[i].motion);
        for (int k = 0; k < N_KEEP; k++)
            printf("%s %.4f", k ? "" : "     ", (double)out[k].n_found / (double)out[k].n_person);
        printf("  %.3f  %7.3f  %9.3f\n", o->stats.n_block ? (double)o->stats.n_still / (double)o->stats.n_block : 0,
               o->stats.prep_ms / (double)o->n_frame, o->stats.select_ms / (double)o->n_frame);
    }
    pare_model_close(&model);
    return 0;
}
