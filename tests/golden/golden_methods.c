/* SPDX-License-Identifier: MIT */
/* golden_methods [DIR...]: runs every fixture of published methods below DIR (groups as subdirectories, one group, or
 * one file), one line per case. Without arguments: the fixtures of the repository and, if PARE_FIXTURES is set, all of
 * $PARE_FIXTURES/golden/methods. Exit 1 if a case fails, 2 if none ran. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "golden.h"
#include "model/model.h"

typedef struct tally {
    int32_t ok, failed, skipped;
} tally;

/* ---- one case ---------------------------------------------------------------------------------------------------- */

static golden_runner find_runner(const char *group)
{
    const golden_group *const tables[] = {golden_spread,          golden_merge, golden_time,         golden_video,
                                          golden_video_merge,     golden_bend,  golden_bend_encoder, golden_greedy,
                                          golden_tiles,           golden_hooks, golden_hooks_block,  golden_measure,
                                          golden_measure_features};
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const golden_group *e = tables[t]; e->name; e++)
            if (!strcmp(e->name, group)) return e->run;
    return NULL;
}

void golden_with_model(golden *g, void (*run)(golden *g, const pare_model *m))
{
    const char *fixtures = getenv("PARE_FIXTURES");
    char path[4096];
    pare_model *m = NULL;
    if (!fixtures || !*fixtures) fixtures = PARE_BUILT_WITH_FIXTURES;
    if (!*fixtures) {
        golden_skip(g, "PARE_FIXTURES is not set: no weights");
        return;
    }
    snprintf(path, sizeof path, "%s/models/dinov2-small", fixtures);
    if (!pare__model_load(&m, path, &g->err)) run(g, m);
    pare__model_free(&m);
}

void golden_encode(golden *g, const pare_model *m, const pare__segment *seg, pare__encode_plan *plan, int32_t n_block,
                   uint32_t want, pare__phase phase, void (*check)(void *user, const pare__pack *p))
{
    pare__encoder *e = NULL;
    const pare__pack *pack;
    for (int32_t b = 0; b < n_block; b++) {
        plan->want[b] = want;
        plan->site[b] = (uint8_t)(1u << phase);
    }
    int rc = pare__encoder_create(&e, m, NULL, plan, m->hp.n_prefix + seg->n, &g->err);
    if (!rc) rc = pare__encoder_run(e, seg, 1, &pack, NULL, &g->err);
    if (!rc) check(plan->user, pack);
    pare__encoder_free(&e);
}

/* Every output that the fixture holds must have been compared. */
static void check_complete(golden *g)
{
    for (int64_t i = 0; i < g->file->n && !g->err.code; i++) {
        const char *name = g->file->t[i].name;
        if (!strncmp(name, "out.", 4) && !g->seen[i]) golden_fail(g, "%s was not compared", name);
    }
    if (!g->n_compared && !g->skip && !g->err.code) golden_fail(g, "nothing was compared");
}

static void run_open(golden *g, golden_runner run)
{
    const char *params = json_string_value(json_object_get(g->file->meta, "params"));
    const char *match = json_string_value(json_object_get(g->file->meta, "match"));
    g->params = json_loads(params ? params : "{}", 0, NULL);
    g->canonical = match && strstr(match, "canonical");
    g->seen = PARE__NEW(uint8_t, g->file->n + 1);
    if (!g->params || !g->seen) {
        golden_fail(g, "unreadable params");
        return;
    }
    run(g);
    check_complete(g);
}

static void run_file(const char *path, tally *sum)
{
    golden g = {.file = NULL};
    const char *group = NULL;
    if (!pare__safetensors_open(&g.file, path, &g.err)) {
        group = json_string_value(json_object_get(g.file->meta, "method"));
        const golden_runner run = find_runner(group ? group : "");
        if (run)
            run_open(&g, run);
        else
            golden_skip(&g, "no runner for group '%s'", group ? group : "?");
    }
    const int failed = g.err.code && !g.skip;
    if (failed || g.skip)
        printf("%s %s: %s\n", failed ? "FAIL" : "skip", path, g.err.text);
    else
        printf("ok   %s (%d tensors)\n", path, g.n_compared);
    sum->failed += failed;
    sum->skipped += !failed && g.skip;
    sum->ok += !failed && !g.skip;
    json_decref(g.params);
    pare__free(g.seen);
    pare__tensors_free(&g.file);
}

/* ---- directories --------------------------------------------------------------------------------------------------- */

static int is_tensor_file(const char *path)
{
    static const char suffix[] = ".safetensors";
    const size_t n = strlen(path);
    return n >= sizeof suffix && !strcmp(path + n - sizeof suffix + 1, suffix);
}

static void run_path(const char *path, int depth, tally *sum);

static void run_directory(const char *path, int depth, tally *sum)
{
    struct dirent **entry;
    const int n = scandir(path, &entry, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char below[4096];
        snprintf(below, sizeof below, "%s/%s", path, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.') run_path(below, depth + 1, sum);
        free(entry[i]);
    }
    if (n >= 0) free(entry);
}

static void run_path(const char *path, int depth, tally *sum)
{
    struct stat st;
    if (stat(path, &st)) {
        printf("FAIL %s: cannot be opened\n", path);
        sum->failed++;
        return;
    }
    if (S_ISDIR(st.st_mode) && depth < 3)
        run_directory(path, depth, sum);
    else if (is_tensor_file(path))
        run_file(path, sum);
}

int main(int argc, char **argv)
{
    tally sum = {0};
    const char *fixtures = getenv("PARE_FIXTURES");
    for (int i = 1; i < argc; i++) run_path(argv[i], 0, &sum);
    if (argc == 1) run_path(PARE_TEST_DIR "/golden/methods", 0, &sum);
    if (argc == 1 && fixtures && *fixtures) {
        char path[4096];
        snprintf(path, sizeof path, "%s/golden/methods", fixtures);
        run_path(path, 0, &sum);
    }
    printf("%d ok, %d failed, %d skipped\n", sum.ok, sum.failed, sum.skipped);
    if (sum.failed) return EXIT_FAILURE;
    return sum.ok ? EXIT_SUCCESS : 2;
}
