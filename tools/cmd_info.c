/* SPDX-License-Identifier: MIT */
/* pare info: this machine, or what a model (info_model.c), a result or a video is. */
#include <string.h>
#include <sys/stat.h>

#include "info.h"
#include "json_line.h"
#include "npz.h"

static const cli_option engine_options[] = {
    {"measure", 0, CLI_FLAG, offsetof(cli_info_opts, measure), NULL, 0, 0,
     "times every engine of this machine: a few tenths of a second each"},
    {0},
};

static const cli_group groups[] = {
    {"Models:", cli_info_model_options, 0},
    {"Engines (without a file, or with a model):", engine_options, 0},
    {"Frames:", cli_pick_options, offsetof(cli_info_opts, pick)},
    {"Common:", cli_common_options, 0},
    {0},
};

static const char *const dtype_names[PARE_DTYPE_COUNT] = {"f32", "f16", "bf16", "f64", "i32",
                                                          "i64", "u8",  "i8",   "bool"};

/* Prints `object` as one JSON line, or as "key  value" lines. Takes it. */
void cli_info_show(const cli_common *c, json_t *object)
{
    const char *key;
    json_t *value;
    if (c->json) {
        cli_json_print(object, 0, stdout);
        return;
    }
    json_object_foreach(object, key, value)
    {
        printf("%-18s ", key);
        if (json_is_string(value))
            puts(json_string_value(value));
        else if (json_is_null(value))
            puts("-");
        else {
            json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
            putchar('\n');
        }
    }
    json_decref(object);
}

/* ---- this machine --------------------------------------------------------------------------------------------- */

/* The list, or what it says in one line. */
static void add_engines(const cli_common *c, json_t *o, const cli_engines *e)
{
    char line[512];
    cli_engines_line(e, line, sizeof line);
    if (c->json) {
        json_object_set_new(o, "engines", cli_engines_json(e));
        if (e->is_measured) json_object_set_new(o, "fastest", cli_engines_fastest_json(e));
    } else if (!e->is_measured) {
        cli_json_text(o, "engines", line);
    }
}

/* Takes the object. */
void cli_info_show_engines(cli_common *c, json_t *o, const cli_engines *e)
{
    add_engines(c, o, e);
    cli_info_show(c, o);
    if (!c->json && e->is_measured) cli_engines_print(e);
    cli_engines_warn(c, e);
}

/* Which codecs tell motion: a list of all, or two lines of names. */
static void add_codecs(const cli_common *c, json_t *o)
{
    char with[256] = "", without[256] = "";
    json_t *all = json_array();
    pare_codec_info info = {.struct_size = sizeof info};
    for (int32_t i = 0; pare_codec_get(i, &info) == 0; i++) {
        char *line = info.has_motion ? with : without;
        const size_t n = strlen(line);
        json_t *one = json_object();
        cli_json_text(one, "name", info.name);
        cli_json_bool(one, "decoder", info.has_decoder);
        cli_json_bool(one, "motion", info.has_motion);
        cli_json_bool(one, "frame_types", info.has_types);
        json_array_append_new(all, one);
        if (info.has_decoder) snprintf(line + n, sizeof with - n, "%s%s", n > 0 ? " " : "", info.name);
    }
    if (c->json) {
        json_object_set_new(o, "codecs", all);
        return;
    }
    json_decref(all);
    cli_json_text(o, "codecs_motion", with);
    cli_json_text(o, "codecs_no_motion", without);
}

static int info_machine(cli_info_opts *opts)
{
    cli_common *c = &opts->common;
    cli_engines engines;
    pare_runtime_info run = {.struct_size = sizeof run};
    pare_error err = {0};
    if (pare_runtime_get(&run, &err) != 0) return cli_fail(c, &err, CLI_FAILED);
    const int rc = cli_engines_read(c, opts->measure, &engines);
    if (rc != CLI_OK) return rc;
    json_t *o = json_object();
    cli_json_text(o, "version", pare_version());
    cli_json_text(o, "cpu", run.cpu);
    cli_json_text(o, "cpu_flags", run.cpu_flags);
    cli_json_int(o, "cpus", run.n_cpu);
    cli_json_text(o, "blas", run.blas);
    cli_json_text(o, "blas_core", run.blas_core);
    cli_json_text(o, "blas_core_best", run.blas_core_best);
    cli_json_int(o, "blas_threads", run.blas_threads);
    cli_json_text(o, "vector_kernels", run.vector_kernels);
    cli_json_text(o, "default_model", pare_model_default_path());
    add_codecs(c, o);
    cli_info_show_engines(c, o, &engines);
    if (strcmp(run.blas_core, run.blas_core_best) != 0)
        cli_say(c, "OpenBLAS runs its %s kernels; %s would be faster on this CPU", run.blas_core, run.blas_core_best);
    return CLI_OK;
}

/* ---- a tensor file -------------------------------------------------------------------------------------------- */

/* Metadata that a result carries, in this order. */
static const char *const meta_keys[] = {"schema_version", "complete",    "model",     "family",  "recipe",
                                        "seed",           "backend",     "precision", "version", "input",
                                        "input_hash",     "source_size", "rotation",  "unit"};
enum { N_META = sizeof meta_keys / sizeof *meta_keys };

static void add_tensor(json_t *tensors, const pare_tensor *t)
{
    char text[160];
    int n = snprintf(text, sizeof text, "%s [", t->dtype < PARE_DTYPE_COUNT ? dtype_names[t->dtype] : "?");
    for (int32_t i = 0; i < t->n_dim && n < (int)sizeof text - 24; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%lld", i > 0 ? "," : "", (long long)t->shape[i]);
    snprintf(text + n, sizeof text - (size_t)n, "]");
    cli_json_text(tensors, t->name, text);
}

/* Takes both objects. */
static void show_tensors(const cli_common *c, json_t *o, json_t *tensors)
{
    if (c->json) {
        json_object_set_new(o, "tensors", tensors);
        cli_info_show(c, o);
        return;
    }
    cli_info_show(c, o);
    cli_info_show(c, tensors);
}

static void info_tensors(const cli_common *c, const char *path, const pare_tensors *file)
{
    json_t *o = json_object(), *tensors = json_object();
    cli_json_text(o, "file", path);
    for (int i = 0; i < N_META; i++) {
        const char *value = pare_tensors_meta(file, meta_keys[i]);
        if (value != NULL) cli_json_text(o, meta_keys[i], value);
    }
    for (int64_t i = 0; i < pare_tensors_count(file); i++) add_tensor(tensors, pare_tensors_at(file, i));
    show_tensors(c, o, tensors);
}

static int info_npz(cli_common *c, const char *path)
{
    char why[160];
    json_t *meta = NULL, *tensors = json_object(), *o = json_object();
    cli_json_text(o, "file", path);
    if (cli_npz_read(path, &meta, tensors, why, sizeof why) != 0) {
        cli_say(c, "%s: %s", path, why);
        json_decref(o);
        json_decref(tensors);
        return CLI_UNREADABLE;
    }
    for (int i = 0; i < N_META; i++) {
        json_t *value = json_object_get(meta, meta_keys[i]);
        if (value != NULL) json_object_set(o, meta_keys[i], value);
    }
    json_decref(meta);
    show_tensors(c, o, tensors);
    return CLI_OK;
}

/* ---- a video or photo ----------------------------------------------------------------------------------------- */

static int info_media(cli_info_opts *opts, const char *path)
{
    cli_common *c = &opts->common;
    pare_source *s = NULL;
    pare_source_info info;
    pare_error err = {0};
    int64_t n = 0;
    int rc = cli_source_open(c, &opts->pick, path, &s, &info);
    if (rc != CLI_OK) return rc;
    int counted = info.is_image ? 0 : pare_source_count(s, &n, &err);
    if (info.is_image) n = 1;
    if (counted != 0 && err.code != PARE_E_UNSUPPORTED) {
        rc = cli_fail(c, &err, CLI_UNREADABLE);
        goto done;
    }
    json_t *o = json_object();
    cli_json_text(o, "input", path);
    cli_json_text(o, "driver", info.driver);
    cli_json_text(o, "codec", info.codec);
    cli_json_int(o, "width", info.width);
    cli_json_int(o, "height", info.height);
    cli_json_int(o, "rotation", info.rotation);
    cli_json_bool(o, "mirrored", info.mirrored);
    cli_json_bool(o, "image", info.is_image);
    cli_json_bool(o, "live", info.is_live);
    cli_json_int(o, "stream", info.stream);
    cli_json_int(o, "streams", info.n_streams);
    cli_json_bool(o, "interlaced", info.is_interlaced);
    cli_json_real(o, "pixel_aspect", info.pixel_aspect, 6);
    cli_json_real(o, "rate", info.rate, 6);
    cli_json_real(o, "duration", info.duration, 6);
    cli_json_bool(o, "motion", info.has_motion);
    if (counted == 0) cli_json_int(o, "frames", n);
    cli_info_show(c, o);
done:
    pare_source_close(&s);
    return rc;
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static int has_beside(const char *path, const char *name)
{
    char beside[1024];
    struct stat st;
    snprintf(beside, sizeof beside, "%.*s%s", (int)(cli_base_name(path) - path), path, name);
    return stat(beside, &st) == 0;
}

/* Tensors are a model when a configuration stands beside them, no pare metadata is inside, and they open as one. */
static int is_model(cli_common *c, const char *path, const pare_tensors *file)
{
    pare_model *model = NULL;
    pare_error err = {0};
    if (pare_tensors_meta(file, "schema_version") != NULL) return 0;
    if (!has_beside(path, "config.json") && !has_beside(path, "open_clip_config.json")) return 0;
    int rc = pare_model_open(&model, path, &err);
    pare_model_close(&model);
    if (rc != 0) cli_log(c, PARE_LOG_WARN, err.text);
    return rc == 0;
}

static int info_safetensors(cli_info_opts *o, const char *path)
{
    cli_common *c = &o->common;
    pare_tensors *file = NULL;
    pare_error err = {0};
    if (pare_tensors_open(&file, path, &err) != 0) return cli_fail(c, &err, CLI_UNREADABLE);
    int model = is_model(c, path, file);
    if (!model) info_tensors(c, path, file);
    pare_tensors_close(&file);
    return model ? cli_info_model(o, path) : CLI_OK;
}

/* By content, whatever the name; a name alone decides for what cannot be opened here (URLs, cameras, - , patterns). */
static int info_path(cli_info_opts *o, const char *path)
{
    cli_common *c = &o->common;
    struct stat st;
    uint8_t head[9] = {0};
    int known = stat(path, &st) == 0;
    if (known && S_ISDIR(st.st_mode)) return cli_info_model(o, path);
    FILE *f = known && S_ISREG(st.st_mode) ? fopen(path, "rb") : NULL;
    size_t n = f != NULL ? fread(head, 1, sizeof head, f) : 0;
    if (f != NULL) fclose(f);
    if (memcmp(head, "GGUF", 4) == 0 || cli_has_suffix(path, ".gguf")) return cli_info_model(o, path);
    if (memcmp(head, "PK\3\4", 4) == 0) return info_npz(c, path);
    if ((n == sizeof head && head[8] == '{' && head[6] == 0 && head[7] == 0) || cli_has_suffix(path, ".safetensors"))
        return info_safetensors(o, path);
    return info_media(o, path);
}

static int run(void *opts, const cli_list *paths)
{
    cli_info_opts *o = opts;
    int rc = cli_pick_check(&o->common, &o->pick), n_failed = 0;
    if (rc == CLI_OK) rc = cli_info_check(o);
    if (rc != CLI_OK) return rc;
    if (paths->n == 0) return o->common.model != NULL ? cli_info_model(o, o->common.model) : info_machine(o);
    for (int32_t i = 0; i < paths->n; i++) {
        rc = info_path(o, paths->item[i]);
        if (rc == CLI_STOPPED) return rc;
        n_failed += rc != CLI_OK;
    }
    return n_failed == 0 ? CLI_OK : paths->n > 1 ? CLI_SOME : rc;
}

const cli_command cli_cmd_info = {
    "info", "[MODEL|RESULT|VIDEO|PHOTO]...", "this machine, or what a file is", groups, sizeof(cli_info_opts), run,
};
