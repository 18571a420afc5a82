/* SPDX-License-Identifier: MIT */
/* Configuration files: reading, typed getters with one clear message each, GGUF keys in the same spelling. */
#include "model/config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/mem.h"
#include "model/tensorfile.h"

enum { MAX_KEY = 64 }; /* bytes of a key */

#define CONFIG "config.json"
#define OPENCLIP "open_clip_config.json"
#define PREP "preprocessor_config.json"
#define CLIP "video_preprocessor_config.json"
#define PROCESSOR "processor_config.json"

/* A GGUF key (behind "<architecture>.") and what Hugging Face calls it. Keys that are not here keep their name. */
typedef struct gguf_key {
    const char *name;
    pare__config_part part;
    const char *hf;
} gguf_key;

static const gguf_key gguf_keys[] = {
    {"img_size", PARE__CONFIG, "image_size"},
    {"num_classes", PARE__CONFIG, "num_labels"},
    {"labels", PARE__CONFIG, "id2label"},
    {"image_mean", PARE__PREP, "image_mean"},
    {"image_std", PARE__PREP, "image_std"},
    {"resize_shortest_edge", PARE__PREP, "shortest_edge"},
    {"crop_size", PARE__PREP, "crop_size"},
    {"resample", PARE__PREP, "resample"},
    {"rescale_factor", PARE__PREP, "rescale_factor"},
    {"vision.image_mean", PARE__PREP, "image_mean"},
    {"vision.image_std", PARE__PREP, "image_std"},
    {"vision.image_min_pixels", PARE__PREP, "min_pixels"},
    {"vision.image_max_pixels", PARE__PREP, "max_pixels"},
};

/* ---- reading ------------------------------------------------------------------------------------------------- */

void pare__config_init(pare__config *c, pare_error *err)
{
    *c = (pare__config){.file = CONFIG, .prep_file = PREP, .clip_file = CLIP, .err = err};
}

void pare__config_fini(pare__config *c)
{
    json_decref(c->root);
    json_decref(c->prep);
    json_decref(c->clip);
    c->root = c->prep = c->clip = NULL;
}

int pare__config_fail(pare__config *c, int code, const char *format, ...)
{
    char text[sizeof c->err->text];
    if (c->rc) return c->rc;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return c->rc = pare_fail(c->err, code, "%s", text);
}

static int load_object(json_t **out, const char *name, const void *bytes, size_t size, pare_error *err)
{
    json_error_t at;
    if (size > PARE__MAX_CONFIG)
        return pare_fail(err, PARE_E_LIMIT, "%s: %zu bytes, at most %d are read", name, size, PARE__MAX_CONFIG);
    *out = json_loadb(bytes ? bytes : "", size, JSON_REJECT_DUPLICATES, &at);
    if (!*out) return pare_fail(err, PARE_E_FORMAT, "%s: line %d: %s", name, at.line, at.text);
    if (!json_is_object(*out)) return pare_fail(err, PARE_E_FORMAT, "%s: not a JSON object", name);
    return 0;
}

static const char *shown_path(char out[PARE__CONFIG_SHOWN], const char *dir, const char *name)
{
    if (snprintf(out, PARE__CONFIG_SHOWN, "%s/%s", dir, name) >= PARE__CONFIG_SHOWN)
        snprintf(out, PARE__CONFIG_SHOWN, "%s", name);
    return out;
}

static int load_file(json_t **out, const char *dir, const char *name, pare_error *err)
{
    char path[PARE__MAX_PATH];
    void *map;
    size_t size;
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= PARE__MAX_PATH)
        return pare_fail(err, PARE_E_LIMIT, "%s: path is longer than %d bytes", name, PARE__MAX_PATH - 1);
    int rc = pare__file_map(path, &map, &size, err);
    if (rc) return rc;
    char shown[PARE__CONFIG_SHOWN];
    rc = load_object(out, shown_path(shown, dir, name), map, size, err);
    pare__file_unmap(map, size);
    return rc;
}

/* The same of a file that need not be there: then NOTFOUND without a message. */
static int load_if_there(json_t **out, const char *dir, const char *name, pare_error *err)
{
    pare_error own;
    const int rc = load_file(out, dir, name, &own);
    if (rc && rc != PARE_E_NOTFOUND && err) *err = own;
    return rc;
}

/* processor_config.json holds processors as parts. */
static void take_part(json_t **object, const char *key)
{
    json_t *part = json_incref(json_object_get(*object, key));
    json_decref(*object);
    *object = json_is_object(part) ? part : NULL;
    if (!*object) json_decref(part);
}

/* The rule of photos or of clips: a file of its own, else a part of processor_config.json; *out stays NULL if there is
 * neither. *file is its name in messages, kept in `shown`. */
static int read_rule(json_t **out, const char **file, char shown[PARE__CONFIG_SHOWN], const char *dir, const char *part,
                     pare_error *err)
{
    int rc = load_if_there(out, dir, *file, err);
    if (rc == PARE_E_NOTFOUND) {
        rc = load_if_there(out, dir, PROCESSOR, err);
        if (!rc) take_part(out, part);
        if (*out) *file = PROCESSOR;
    }
    *file = shown_path(shown, dir, *file);
    return rc == PARE_E_NOTFOUND ? 0 : rc;
}

/* The configuration itself, under the name that goes with the weights, else under the other one. */
static int read_root(pare__config *c, const char *dir, int is_openclip)
{
    const char *const names[] = {is_openclip ? OPENCLIP : CONFIG, is_openclip ? CONFIG : OPENCLIP};
    int at = 0;
    int rc = load_if_there(&c->root, dir, names[0], c->err);
    if (rc == PARE_E_NOTFOUND) rc = load_if_there(&c->root, dir, names[at = 1], c->err);
    if (rc == PARE_E_NOTFOUND) rc = load_file(&c->root, dir, names[at = 0], c->err);
    c->file = shown_path(c->shown[0], dir, names[at]);
    return rc;
}

int pare__config_read(pare__config *c, const char *dir, int is_openclip, pare_error *err)
{
    pare__config_init(c, err);
    c->rc = read_root(c, dir, is_openclip);
    if (!c->rc) c->rc = read_rule(&c->prep, &c->prep_file, c->shown[1], dir, "image_processor", err);
    if (!c->rc) c->rc = read_rule(&c->clip, &c->clip_file, c->shown[2], dir, "video_processor", err);
    return c->rc;
}

int pare__config_parse(pare__config *c, const uint8_t *bytes, size_t size, const uint8_t *prep, size_t prep_size,
                       pare_error *err)
{
    pare__config_init(c, err);
    c->rc = load_object(&c->root, c->file, bytes, size, err);
    if (!c->rc && prep) c->rc = load_object(&c->prep, c->prep_file, prep, prep_size, err);
    return c->rc;
}

/* ---- GGUF ---------------------------------------------------------------------------------------------------- */

static void put_gguf(pare__config *c, const char *key, json_t *value)
{
    for (size_t i = 0; i < sizeof gguf_keys / sizeof gguf_keys[0]; i++) {
        const gguf_key *k = &gguf_keys[i];
        if (strcmp(key, k->name)) continue;
        if (k->part == PARE__PREP && !c->prep) c->prep = json_object();
        json_object_set(k->part == PARE__PREP ? c->prep : c->root, k->hf, value);
        return;
    }
    json_object_set(c->root, key, value);
}

/* A crop size is there to be used; the shortest edge is one kind of "size". */
static void finish_gguf_prep(json_t *prep)
{
    json_t *edge = json_object_get(prep, "shortest_edge");
    if (json_object_get(prep, "crop_size")) json_object_set_new(prep, "do_center_crop", json_true());
    if (edge) json_object_set_new(prep, "size", json_pack("{s:O}", "shortest_edge", edge));
}

int pare__config_from_gguf(pare__config *c, const json_t *meta, pare_error *err)
{
    const char *key;
    json_t *value;
    const char *arch = json_string_value(json_object_get(meta, "general.architecture"));
    pare__config_init(c, err);
    c->file = c->prep_file = c->clip_file = "GGUF keys";
    if (!arch || !*arch) return pare__config_fail(c, PARE_E_FORMAT, "GGUF keys: no general.architecture");
    size_t n = strlen(arch);
    if (!(c->root = json_object())) return pare__config_fail(c, PARE_E_NOMEM, "GGUF keys: no memory");
    json_object_foreach((json_t *)meta, key, value) if (!strncmp(key, arch, n) && key[n] == '.')
        put_gguf(c, key + n + 1, value);
    json_object_set_new(c->root, "model_type", json_string(arch));
    if (c->prep) finish_gguf_prep(c->prep);
    return c->rc;
}

/* ---- getters ------------------------------------------------------------------------------------------------- */

static const char *part_name(const pare__config *c, pare__config_part part)
{
    return part == PARE__PREP ? c->prep_file : part == PARE__CLIP ? c->clip_file : c->file;
}

/* key[0..n) as a text, in `name`; "" if it is too long to be the name of anything. */
static const char *take_name(const char *key, size_t n, char name[MAX_KEY])
{
    if (n >= MAX_KEY) n = 0;
    memcpy(name, key, n);
    name[n] = 0;
    return name;
}

/* A path without alternatives. GGUF keys hold their dots, objects are nested. */
static json_t *walk(json_t *at, const char *path)
{
    char name[MAX_KEY];
    json_t *flat = json_object_get(at, path);
    if (flat) return json_is_null(flat) ? NULL : flat;
    while (at && *path) {
        const size_t n = strcspn(path, ".");
        at = json_object_get(at, take_name(path, n, name));
        path += n + (path[n] == '.');
    }
    return json_is_null(at) ? NULL : at;
}

/* The alternative that is there, else the first: what messages call the value. */
static const char *spelling(const pare__config *c, pare__config_part part, const char *key, char name[MAX_KEY],
                            json_t **value)
{
    json_t *root = part == PARE__PREP ? c->prep : part == PARE__CLIP ? c->clip : c->root;
    for (const char *at = key; *at;) {
        const size_t n = strcspn(at, "|");
        if ((*value = walk(root, take_name(at, n, name)))) return name;
        at += n + (at[n] == '|');
    }
    *value = NULL;
    return take_name(key, strcspn(key, "|"), name);
}

json_t *pare__config_at(const pare__config *c, pare__config_part part, const char *key)
{
    char name[MAX_KEY];
    json_t *value;
    spelling(c, part, key, name, &value);
    return value;
}

/* The value as a message shows it. */
static const char *show(const json_t *v, char text[48])
{
    static const char *const kinds[] = {"an object", "an array"};
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_OBJECT:
    case JSON_ARRAY:
        return kinds[json_is_array(v)];
    case JSON_STRING:
        snprintf(text, 48, "\"%.40s\"", json_string_value(v));
        break;
    case JSON_INTEGER:
        snprintf(text, 48, "%lld", (long long)json_integer_value(v));
        break;
    case JSON_REAL:
        snprintf(text, 48, "%g", json_real_value(v));
        break;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    default:
        return "missing";
    }
    return text;
}

static int32_t check_int(pare__config *c, const char *file, const char *key, const json_t *v, int32_t min, int32_t max)
{
    char text[48];
    json_int_t n = json_integer_value(v);
    if (json_is_integer(v) && n >= min && n <= max) return (int32_t)n;
    pare__config_fail(c, json_is_integer(v) && n > max ? PARE_E_LIMIT : PARE_E_FORMAT,
                      "%s: %s is %s, must be an integer in %d..%d", file, key, show(v, text), min, max);
    return min;
}

int32_t pare__config_int(pare__config *c, pare__config_part part, const char *key, int32_t def, int32_t min,
                         int32_t max)
{
    char name[MAX_KEY];
    json_t *v;
    key = spelling(c, part, key, name, &v);
    if (!v && def >= min) return def;
    return check_int(c, part_name(c, part), key, v, min, max);
}

int32_t pare__config_bool(pare__config *c, pare__config_part part, const char *key, int32_t def)
{
    char text[48], name[MAX_KEY];
    json_t *v;
    key = spelling(c, part, key, name, &v);
    if (!v) return def;
    if (!json_is_boolean(v))
        pare__config_fail(c, PARE_E_FORMAT, "%s: %s is %s, must be true or false", part_name(c, part), key,
                          show(v, text));
    return json_is_true(v);
}

static double check_float(pare__config *c, const char *file, const char *key, const json_t *v, double min, double max)
{
    char text[48];
    double x = json_number_value(v);
    if (json_is_number(v) && x >= min && x <= max) return x;
    pare__config_fail(c, PARE_E_FORMAT, "%s: %s is %s, must be a number in %g..%g", file, key, show(v, text), min, max);
    return min;
}

int32_t pare__config_count(pare__config *c, const char *key, int32_t def, int32_t max)
{
    return pare__config_int(c, PARE__CONFIG, key, def, 1, max);
}

int pare__config_is(const pare__config *c, const char *key, const char *text)
{
    const char *given = json_string_value(pare__config_at(c, PARE__CONFIG, key));
    return given && !strcmp(given, text);
}

int pare__config_is_mmproj(const pare__config *c) { return pare__config_is(c, "model_type", "clip"); }

int pare__config_is_projector(const pare__config *c, const char *type)
{
    return pare__config_is_mmproj(c) && pare__config_is(c, "projector_type|vision.projector_type", type);
}

double pare__config_float(pare__config *c, pare__config_part part, const char *key, double def, double min, double max)
{
    char name[MAX_KEY];
    json_t *v;
    key = spelling(c, part, key, name, &v);
    if (!v && def >= min) return def;
    return check_float(c, part_name(c, part), key, v, min, max);
}

const char *pare__config_text(pare__config *c, pare__config_part part, const char *key)
{
    char text[48], name[MAX_KEY];
    json_t *v;
    key = spelling(c, part, key, name, &v);
    if (!v) return NULL;
    if (!json_is_string(v))
        pare__config_fail(c, PARE_E_FORMAT, "%s: %s is %s, must be a text", part_name(c, part), key, show(v, text));
    return json_string_value(v);
}

int32_t pare__config_choice(pare__config *c, pare__config_part part, const char *key, const pare__choice *table,
                            int32_t def)
{
    const char *name = pare__config_text(c, part, key);
    if (!name) return def;
    for (; table->name; table++)
        if (!strcmp(table->name, name)) return table->value;
    pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: %s \"%.60s\" is not supported", part_name(c, part), key, name);
    return def;
}

int pare__config_size(pare__config *c, pare__config_part part, const char *key, int32_t *height, int32_t *width)
{
    const json_t *v = pare__config_at(c, part, key);
    const json_t *h = v, *w = v;
    size_t n = json_array_size(v);
    if (!v) return 0;
    if (n == 2 || n == 3) {
        h = json_array_get(v, n - 2);
        w = json_array_get(v, n - 1);
    } else if (json_is_object(v)) {
        h = json_object_get(v, "height");
        w = json_object_get(v, "width");
    }
    *height = check_int(c, part_name(c, part), key, h, 1, PARE__MAX_SIDE);
    *width = check_int(c, part_name(c, part), key, w, 1, PARE__MAX_SIDE);
    return 1;
}

void pare__config_vec3(pare__config *c, pare__config_part part, const char *key, double min, double max, float out[3])
{
    const json_t *v = pare__config_at(c, part, key);
    if (!v) return;
    if (json_array_size(v) != 3)
        pare__config_fail(c, PARE_E_FORMAT, "%s: %s holds %zu numbers, must be 3", part_name(c, part), key,
                          json_array_size(v));
    for (size_t i = 0; i < 3; i++)
        out[i] = (float)check_float(c, part_name(c, part), key, json_array_get(v, i), min, max);
}
