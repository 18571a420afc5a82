/* SPDX-License-Identifier: MIT */
/* golden_models DIR PARE: parity of whole encoders. For every case directory under DIR (or DIR itself) that holds
 * case.json and expected.safetensors:
 *   1. `pare trace --inputs expected.safetensors`: every stage that case.json lists, in its order, under its tol_abs
 *   2. `pare trace -i image...`: pixel_values under preprocess_tol_abs, and the geometry that the pictures became
 * and 1 again for every GGUF file that case.json names: the same numbers are expected of it.
 * One line per case and file. Nothing is skipped: a checkpoint that `pare` does not read, or a stage that it does not
 * write, fails. Exit 1 when a case fails, 2 when nothing was run. */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>
#include <pare/pare.h>

enum { PATH = 2048, MAX_ARGS = 64 };

extern char **environ;

typedef struct runner {
    const char *pare;
    char tmp[PATH]; /* our directory */
    int n_ok, n_failed;
} runner;

/* What happened to one case. */
typedef struct verdict {
    int code; /* 0, 1 */
    char text[1024];
    double worst; /* ratio to the tolerance among the stages that passed */
    char worst_stage[64];
    int n_stage, n_absent; /* compared; of blocks that the file does not have */
    double pixels;         /* ratio of pixel_values */
} verdict;

typedef struct command {
    char store[MAX_ARGS][PATH];
    char *arg[MAX_ARGS + 1];
    int n;
} command;

static int fail(verdict *v, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int fail(verdict *v, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(v->text, sizeof v->text, format, args);
    va_end(args);
    return v->code = 1;
}

/* ---- running pare ------------------------------------------------------------------------------------------------ */

static void add(command *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void add(command *c, const char *format, ...)
{
    if (c->n == MAX_ARGS) return;
    va_list args;
    va_start(args, format);
    vsnprintf(c->store[c->n], PATH, format, args);
    va_end(args);
    c->arg[c->n] = c->store[c->n];
    c->arg[++c->n] = NULL;
}

static void read_text(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "r");
    size_t n = f ? fread(text, 1, size - 1, f) : 0;
    text[n] = 0;
    for (char *p = text; *p; p++) *p = *p == '\n' ? ' ' : *p;
    if (f) fclose(f);
}

/* Exit status of the command, its stderr in `text`. */
static int run_command(const runner *r, command *c, char *text, size_t size)
{
    char log[PATH + 16];
    snprintf(log, sizeof log, "%s/stderr", r->tmp);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t pid;
    int status = -1, rc = posix_spawn(&pid, c->arg[0], &actions, NULL, c->arg, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0) {
        snprintf(text, size, "cannot run %s: %s", c->arg[0], strerror(rc));
        return -1;
    }
    waitpid(pid, &status, 0);
    read_text(log, text, size);
    unlink(log);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The options that `run` of case.json asks for; a pattern of images is a video of itself. */
static void add_run_options(command *c, const json_t *run, int from_images)
{
    if (!from_images && json_is_true(json_object_get(run, "video"))) add(c, "--video");
    size_t i;
    const json_t *fps;
    json_array_foreach(json_object_get(run, "fps"), i, fps)
    {
        add(c, "--fps");
        add(c, "%.17g", json_number_value(fps));
    }
    const json_t *size = json_object_get(json_object_get(run, "data"), "input_size");
    if (json_is_true(json_object_get(run, "interpolate"))) add(c, "--interpolate");
    if (json_array_size(size) == 3) {
        add(c, "--size");
        add(c, "%lldx%lld", (long long)json_integer_value(json_array_get(size, 2)),
            (long long)json_integer_value(json_array_get(size, 1)));
    }
}

static void add_images(command *c, const char *dir, const json_t *inputs)
{
    size_t i;
    const json_t *name;
    json_array_foreach(inputs, i, name)
    {
        const char *text = json_string_value(name);
        if (text && strncmp(text, "frame_", 6) == 0) {
            add(c, "-i");
            add(c, "%s/frame_%%03d.png", dir);
            add(c, "--video");
            return;
        }
        add(c, "-i");
        add(c, "%s/%s", dir, text ? text : "");
    }
}

/* `file`: of the directory, or NULL = what `pare` makes of the directory itself. */
static int trace(const runner *r, const char *dir, const char *file, const json_t *kase, int from_images,
                 const char *out, verdict *v)
{
    command *c = calloc(1, sizeof *c);
    char text[800];
    add(c, "%s", r->pare);
    add(c, "trace");
    add(c, "-m");
    add(c, "%s%s%s", dir, file ? "/" : "", file ? file : "");
    if (from_images) {
        add_images(c, dir, json_object_get(kase, "inputs"));
    } else {
        add(c, "--inputs");
        add(c, "%s/expected.safetensors", dir);
    }
    add_run_options(c, json_object_get(kase, "run"), from_images);
    add(c, "-o");
    add(c, "%s", out);
    int rc = run_command(r, c, text, sizeof text);
    free(c);
    if (rc == 0) return 0;
    return fail(v, "exit %d: %s", rc, text);
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static int same_shape(const pare_tensor *a, const pare_tensor *b)
{
    return a->n_dim == b->n_dim && memcmp(a->shape, b->shape, (size_t)a->n_dim * sizeof *a->shape) == 0;
}

static void print_shape(const pare_tensor *t, char *text, size_t size)
{
    size_t at = 0;
    text[0] = 0;
    for (int32_t i = 0; i < t->n_dim && at < size; i++) {
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? "," : "", (long long)t->shape[i]);
    }
}

static void print_index(const pare_tensor *t, int64_t flat, char *text, size_t size)
{
    pare_tensor at = *t;
    for (int32_t i = t->n_dim - 1; i >= 0; i--) {
        at.shape[i] = flat % t->shape[i];
        flat /= t->shape[i];
    }
    print_shape(&at, text, size);
}

/* Largest |got - want| and where; NaN counts as infinite. */
static double worst_of(const float *got, const float *want, int64_t n, int64_t *at)
{
    double worst = -1;
    for (int64_t i = 0; i < n; i++) {
        double d = fabs((double)got[i] - (double)want[i]);
        if (!(d >= 0)) d = INFINITY;
        if (d > worst) {
            worst = d;
            *at = i;
        }
    }
    return worst;
}

/* Ratio of the worst difference to the tolerance; fails the verdict above 1. */
static double compare(const pare_tensor *got, const pare_tensor *want, double tol, verdict *v)
{
    char a[96], b[96];
    int64_t n = pare_tensor_count(want), at = 0;
    if (!same_shape(got, want)) {
        print_shape(got, a, sizeof a);
        print_shape(want, b, sizeof b);
        fail(v, "%s is [%s], expected [%s]", want->name, a, b);
        return INFINITY;
    }
    float *x = malloc((size_t)n * sizeof *x), *y = malloc((size_t)n * sizeof *y);
    pare_tensor_to_f32(got, x);
    pare_tensor_to_f32(want, y);
    double worst = worst_of(x, y, n, &at), ratio = worst <= 0 ? 0 : worst / tol;
    print_index(want, at, a, sizeof a);
    if (!(ratio <= 1))
        fail(v, "%s[%s] is %.9g, expected %.9g: %.3g of the tolerance %g", want->name, a, (double)x[at], (double)y[at],
             ratio, tol);
    free(x);
    free(y);
    return ratio;
}

/* What a case gives rather than expects: pixels, and the prompt whose positions are asked for. */
static int is_input(const char *name)
{
    static const char *const inputs[] = {"pixel_values", "mrope.input_ids", "mrope.token_type"};
    for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
        if (strcmp(name, inputs[i]) == 0) return 1;
    }
    return 0;
}

/* A stage of a block whose weights are not in the GGUF file `model` (NULL = no such file): LLaVA's old converter left out
 * what is not run. */
static int is_absent(const pare_tensors *model, const char *name)
{
    char weight[64];
    const char *block = strrchr(name, '.');
    if (!model || !block || (strncmp(name, "hidden.", 7) && strncmp(name, "keys.", 5) && strncmp(name, "attn.", 5)))
        return 0;
    snprintf(weight, sizeof weight, "v.blk%s.ln1.weight", block);
    return !pare_tensors_find(model, weight);
}

static void compare_stages(const pare_tensors *got, const pare_tensors *want, const pare_tensors *model, json_t *kase,
                           verdict *v)
{
    json_t *list = json_object_get(kase, "tensors");
    const char *name;
    json_t *about;
    json_object_foreach(list, name, about)
    {
        if (is_input(name)) continue;
        const pare_tensor *a = pare_tensors_find(got, name), *b = pare_tensors_find(want, name);
        const json_t *tol = json_object_get(about, "tol_abs");
        if (!a && b && is_absent(model, name)) {
            v->n_absent++;
            continue;
        }
        if (!a || !b) {
            fail(v, "%s is missing from %s; %d stages before it agree", name,
                 a ? "expected.safetensors" : "what pare wrote", v->n_stage);
            return;
        }
        double ratio = compare(a, b, tol ? json_number_value(tol) : 0, v);
        if (v->code) return;
        v->n_stage++;
        if (ratio < v->worst) continue;
        v->worst = ratio;
        snprintf(v->worst_stage, sizeof v->worst_stage, "%s", name);
    }
    if (v->n_stage == 0) fail(v, "case.json lists no stage to compare");
}

static void check_stages(const runner *r, const char *dir, const char *file, json_t *kase, const pare_tensors *want,
                         verdict *v)
{
    char out[PATH + 32], path[2 * PATH];
    pare_error err;
    pare_tensors *got = NULL, *model = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, file ? file : "");
    snprintf(out, sizeof out, "%s/stages.safetensors", r->tmp);
    if (trace(r, dir, file, kase, 0, out, v)) return;
    if (pare_tensors_open(&got, out, &err) < 0 || (file && pare_tensors_open(&model, path, &err) < 0))
        fail(v, "%s", err.text);
    else
        compare_stages(got, want, model, kase, v);
    pare_tensors_close(&got);
    pare_tensors_close(&model);
    unlink(out);
}

/* Geometry that the pictures became, where the case has it. */
static void compare_geometry(const pare_tensors *got, const pare_tensors *want, verdict *v)
{
    static const char *const names[] = {"grid_thw", "image_sizes", "spatial_shapes", "pixel_attention_mask"};
    for (size_t i = 0; i < sizeof names / sizeof *names && !v->code; i++) {
        const pare_tensor *a = pare_tensors_find(got, names[i]), *b = pare_tensors_find(want, names[i]);
        if (a && b)
            compare(a, b, 0, v);
        else if (b)
            fail(v, "%s is missing from what pare wrote", names[i]);
    }
}

static void check_pixels(const runner *r, const char *dir, json_t *kase, const pare_tensors *want, verdict *v)
{
    char out[PATH + 32];
    pare_error err;
    pare_tensors *got = NULL;
    const json_t *about = json_object_get(json_object_get(kase, "tensors"), "pixel_values");
    const pare_tensor *pixels = pare_tensors_find(want, "pixel_values");
    const json_t *tol = json_object_get(about, "preprocess_tol_abs"); /* none where the case changed its pixels */
    if (!tol || !pixels || json_array_size(json_object_get(kase, "inputs")) == 0) return;
    snprintf(out, sizeof out, "%s/pixels.safetensors", r->tmp);
    if (trace(r, dir, NULL, kase, 1, out, v)) return;
    const pare_tensor *mine = NULL;
    if (pare_tensors_open(&got, out, &err) < 0)
        fail(v, "%s", err.text);
    else if (!(mine = pare_tensors_find(got, "pixel_values")))
        fail(v, "pixel_values is missing from what pare wrote");
    else
        v->pixels = compare(mine, pixels, json_number_value(tol), v);
    if (mine) compare_geometry(got, want, v);
    pare_tensors_close(&got);
    unlink(out);
}

/* ---- cases ------------------------------------------------------------------------------------------------------- */

static void report(runner *r, const char *name, const verdict *v)
{
    if (v->code == 0) {
        printf("ok   %-24s %2d stages, worst %.2f of its tolerance (%s), pixels %.2f%s\n", name, v->n_stage, v->worst,
               v->worst_stage, v->pixels, v->n_absent ? "; the file lacks some blocks" : "");
        r->n_ok++;
    } else {
        printf("FAIL %-24s %s\n", name, v->text);
        r->n_failed++;
    }
    fflush(stdout);
}

/* The same expectations of every GGUF file of the case. */
static void run_gguf(runner *r, const char *dir, const char *name, json_t *kase, const pare_tensors *want)
{
    const char *file;
    json_t *about;
    json_object_foreach(json_object_get(kase, "gguf"), file, about)
    {
        char text[PATH];
        verdict v = {0};
        check_stages(r, dir, file, kase, want, &v);
        snprintf(text, sizeof text, "%s/%s", name, file);
        report(r, text, &v);
    }
}

static void run_case(runner *r, const char *dir, const char *name)
{
    char path[PATH + 32];
    json_error_t parse;
    pare_error err;
    verdict v = {0};
    pare_tensors *want = NULL;
    snprintf(path, sizeof path, "%s/case.json", dir);
    json_t *kase = json_load_file(path, 0, &parse);
    snprintf(path, sizeof path, "%s/expected.safetensors", dir);
    if (!kase)
        fail(&v, "case.json: %s", parse.text);
    else if (pare_tensors_open(&want, path, &err) < 0)
        fail(&v, "%s", err.text);
    else
        check_stages(r, dir, NULL, kase, want, &v);
    if (v.code == 0) check_pixels(r, dir, kase, want, &v);
    report(r, name, &v);
    run_gguf(r, dir, name, kase, want);
    pare_tensors_close(&want);
    json_decref(kase);
}

static int is_case(const char *dir)
{
    char path[PATH + 32];
    snprintf(path, sizeof path, "%s/case.json", dir);
    return access(path, R_OK) == 0;
}

static int run_directory(runner *r, const char *dir)
{
    struct dirent **entry;
    if (is_case(dir)) {
        run_case(r, dir, dir);
        return 0;
    }
    int n = scandir(dir, &entry, NULL, alphasort);
    if (n < 0) {
        fprintf(stderr, "golden_models: cannot read %s\n", dir);
        return 2;
    }
    for (int i = 0; i < n; i++) {
        char path[PATH];
        snprintf(path, sizeof path, "%s/%s", dir, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.' && is_case(path)) run_case(r, path, entry[i]->d_name);
        free(entry[i]);
    }
    free(entry);
    return 0;
}

int main(int argc, char **argv)
{
    runner r = {0};
    if (argc != 3) {
        fprintf(stderr, "usage: golden_models DIR PARE\n");
        return 2;
    }
    const char *base = getenv("TMPDIR");
    r.pare = argv[2];
    snprintf(r.tmp, sizeof r.tmp, "%s/pare-golden-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(r.tmp)) {
        fprintf(stderr, "golden_models: cannot make %s\n", r.tmp);
        return 2;
    }
    int rc = run_directory(&r, argv[1]);
    rmdir(r.tmp);
    printf("models: %d ok, %d failed\n", r.n_ok, r.n_failed);
    if (rc == 0 && r.n_ok + r.n_failed == 0) rc = 2;
    return r.n_failed ? 1 : rc;
}
