/* SPDX-License-Identifier: MIT */
/* Reads a suite (suite.h): JSON, checked key by key; data found and recognised by their xxh3-64. */
#include "suite.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LIST = 4096, MAX_TEXT = 1024 };

typedef struct reader {
    bench *b;
    bench_suite *suite;
    const cli_list *roots;
    const char *path;    /* of the suite */
    const char *section; /* being read, or "" */
} reader;

typedef enum { TEXT, INT, REAL, SIZE } field_kind;

/* Keys of a section that fill one field of bench_asked. */
static const struct field {
    const char *key;
    field_kind kind;
    size_t offset;
    double min, max;
} fields[] = {
    {"name", TEXT, offsetof(bench_asked, name), 0, 0},
    {"label_column", TEXT, offsetof(bench_asked, label_column), 0, 0},
    {"stride", INT, offsetof(bench_asked, stride), 1, 1e9},
    {"limit", INT, offsetof(bench_asked, limit), 1, 1e9},
    {"train_stride", INT, offsetof(bench_asked, train_stride), 1, 1e9},
    {"frames", INT, offsetof(bench_asked, frames), 1, 1e6},
    {"rounds", INT, offsetof(bench_asked, rounds), 1, 1000},
    {"measure_stride", INT, offsetof(bench_asked, measure_stride), 1, 1e9},
    {"time_stride", INT, offsetof(bench_asked, time_stride), 1, 1e9},
    {"start", REAL, offsetof(bench_asked, pick.start), 0, 1e9},
    {"end", REAL, offsetof(bench_asked, pick.end), 0, 1e9},
    {"fps", REAL, offsetof(bench_asked, pick.fps), 1e-6, 1e6},
    {"window", TEXT, offsetof(bench_asked, layout.window), 0, 0},
    {"size", SIZE, offsetof(bench_asked, layout.size), 1, 16384},
};

/* Keys that name data: found under the roots, then checked against the hash in "xxh3". */
static const struct data_key {
    const char *key;
    size_t offset;
} data_keys[] = {{"data", offsetof(bench_asked, data)},
                 {"train", offsetof(bench_asked, train)},
                 {"boxes", offsetof(bench_asked, boxes)},
                 {"head", offsetof(bench_asked, head)}};

/* Keys of a section that are read elsewhere, or by people; and those of the suite itself. */
static const char *const other_keys[] = {"task", "keep",    "seeds",  "recipes", "input",
                                         "xxh3", "licence", "source", "note",    NULL};
static const char *const suite_keys[] = {"name", "version", "note",     "seed", "seeds",
                                         "keep", "recipes", "sections", NULL};

static int bad(const reader *r, const char *key, const char *must)
{
    return cli_usage(r->b->c, "%s: %s%s%s: must be %s", r->path, r->section, r->section[0] != '\0' ? ": " : "", key,
                     must);
}

/* ---- single fields -------------------------------------------------------------------------------------------- */

static int read_size(const reader *r, const char *key, const json_t *value, cli_size *out)
{
    int n = 0;
    const char *text = json_string_value(value);
    if (text == NULL || sscanf(text, "%dx%d%n", &out->width, &out->height, &n) != 2 || text[n] != '\0' ||
        out->width < 1 || out->height < 1 || out->width > 16384 || out->height > 16384)
        return bad(r, key, "\"WIDTHxHEIGHT\"");
    return CLI_OK;
}

static int read_number(const reader *r, const struct field *f, const json_t *value, void *to)
{
    char must[96];
    const double number = json_number_value(value);
    snprintf(must, sizeof must, "%s from %.10g to %.10g", f->kind == INT ? "a whole number" : "a number", f->min,
             f->max);
    if (!json_is_number(value) || !(number >= f->min) || number > f->max || (f->kind == INT && !json_is_integer(value)))
        return bad(r, f->key, must);
    if (f->kind == INT)
        *(int64_t *)to = json_integer_value(value);
    else
        *(double *)to = number;
    return CLI_OK;
}

static int read_field(const reader *r, const struct field *f, const json_t *value, bench_asked *ask)
{
    void *to = (char *)ask + f->offset;
    if (f->kind == SIZE) return read_size(r, f->key, value, to);
    if (f->kind != TEXT) return read_number(r, f, value, to);
    if (!json_is_string(value) || json_string_length(value) == 0) return bad(r, f->key, "a text");
    *(const char **)to = json_string_value(value);
    return CLI_OK;
}

static int read_fields(const reader *r, json_t *section, bench_asked *ask)
{
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < sizeof fields / sizeof *fields; i++) {
        const json_t *value = json_object_get(section, fields[i].key);
        if (value != NULL) rc = read_field(r, &fields[i], value, ask);
    }
    return rc;
}

static int is_one_of(const char *key, const char *const *names)
{
    for (; *names != NULL; names++)
        if (strcmp(*names, key) == 0) return 1;
    return 0;
}

static int is_data_key(const char *key)
{
    for (size_t i = 0; i < sizeof data_keys / sizeof *data_keys; i++)
        if (strcmp(data_keys[i].key, key) == 0) return 1;
    return 0;
}

static int is_section_key(const char *key)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(fields[i].key, key) == 0) return 1;
    return is_data_key(key) || is_one_of(key, other_keys);
}

static int is_suite_key(const char *key) { return is_one_of(key, suite_keys); }

/* What a hash can be of. */
static int is_hashed_key(const char *key) { return is_data_key(key) || strcmp(key, "input") == 0; }

/* A typo must not go unnoticed; `of`: "" or the key that holds the object. */
static int check_keys(const reader *r, json_t *object, const char *of, int (*is_known)(const char *))
{
    const char *key, *dot = of[0] != '\0' ? "." : "";
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (is_known(key)) continue;
        return cli_usage(r->b->c, "%s: %s%s%s%s%s: no such key is known", r->path, r->section,
                         r->section[0] != '\0' ? ": " : "", of, dot, key);
    }
    return CLI_OK;
}

static int check_hash_keys(const reader *r, json_t *section)
{
    json_t *hashes = json_object_get(section, "xxh3");
    if (hashes != NULL && !json_is_object(hashes)) return bad(r, "xxh3", "an object of hashes by key");
    return check_keys(r, hashes, "xxh3", is_hashed_key);
}

/* ---- lists ---------------------------------------------------------------------------------------------------- */

/* Amounts of a section, or of the suite. */
static int read_keeps(const reader *r, const json_t *value, bench_asked *ask)
{
    if (!json_is_array(value) || json_array_size(value) == 0 || json_array_size(value) > BENCH_MAX_KEEPS)
        return bad(r, "keep", "a list of shares");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const double keep = json_number_value(json_array_get(value, i));
        if (!(keep > 0) || keep > 1) return bad(r, "keep", "a list of numbers above 0 and at most 1");
        ask->keep[ask->n_keep++] = keep;
    }
    return CLI_OK;
}

static int read_recipes(const reader *r, const json_t *value, bench_asked *ask)
{
    bench_suite *s = r->suite;
    ask->recipe = s->list + s->n_list;
    if (!json_is_array(value)) return bad(r, "recipes", "a list of recipes");
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *recipe = json_string_value(json_array_get(value, i));
        if (recipe == NULL || s->n_list == MAX_LIST) return bad(r, "recipes", "a list of recipes");
        s->list[s->n_list++] = recipe;
        ask->n_recipe++;
    }
    return CLI_OK;
}

/* ---- data ----------------------------------------------------------------------------------------------------- */

static char *join(const char *folder, const char *name)
{
    char *path = NULL;
    if (folder == NULL) return strdup(name);
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

/* The first of the candidates that is there: a name, or a list of them; NULL = missing. Owned by the suite. */
static const char *find_data(const reader *r, const json_t *names)
{
    bench_suite *s = r->suite;
    const size_t n = json_is_array(names) ? json_array_size(names) : 1;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(names) ? json_array_get(names, i) : names);
        for (int32_t k = 0; name != NULL && k <= r->roots->n && s->n_text < MAX_TEXT; k++) {
            char *path = join(k < r->roots->n ? r->roots->item[k] : NULL, name);
            if (path != NULL && access(path, R_OK) == 0) return s->text[s->n_text++] = path;
            free(path);
        }
    }
    return NULL;
}

static int check_hash(const reader *r, json_t *section, const char *key, const char *path)
{
    char is[17];
    const char *must = json_string_value(json_object_get(json_object_get(section, "xxh3"), key));
    if (must == NULL) return CLI_OK;
    cli_hash_file(path, is);
    if (*cli_stop_flag()) return CLI_STOPPED;
    if (strcmp(must, is) == 0) return CLI_OK;
    cli_say(r->b->c, "%s: not the data of %s: xxh3-64 %s, the suite has %s", path, r->path, is, must);
    return CLI_UNREADABLE;
}

/* The path behind a key; NULL where the section has none. *missing names the first that was not found; none is looked
 * for after it. */
static int read_path(const reader *r, json_t *section, const char *key, const char **path, const char **missing)
{
    const json_t *names = json_object_get(section, key);
    *path = NULL;
    if (names == NULL || *missing != NULL) return CLI_OK;
    *path = find_data(r, names);
    if (*path != NULL) return check_hash(r, section, key, *path);
    *missing = json_string_value(json_is_array(names) ? json_array_get(names, 0) : names);
    return *missing != NULL ? CLI_OK : bad(r, key, "a path or a list of paths");
}

static int read_data(const reader *r, json_t *section, bench_asked *ask, const char **missing)
{
    int rc = CLI_OK;
    for (size_t i = 0; rc == CLI_OK && i < sizeof data_keys / sizeof *data_keys; i++)
        rc = read_path(r, section, data_keys[i].key, (const char **)((char *)ask + data_keys[i].offset), missing);
    return rc;
}

/* "input": one clip or photo, by a name or a list of alternatives. */
static int read_input(const reader *r, json_t *section, bench_asked *ask, const char **missing)
{
    bench_suite *s = r->suite;
    const char *path = NULL;
    const int rc = read_path(r, section, "input", &path, missing);
    if (rc != CLI_OK || path == NULL) return rc;
    if (s->n_list == MAX_LIST) return bad(r, "input", "fewer");
    s->list[s->n_list] = path;
    ask->input = &s->list[s->n_list++];
    ask->n_input = 1;
    return CLI_OK;
}

/* ---- sections ------------------------------------------------------------------------------------------------- */

static int check_window(const reader *r, const bench_asked *ask)
{
    const char *window = ask->layout.window;
    int64_t n = 0;
    if (window == NULL || strcmp(window, "all") == 0) return CLI_OK;
    if (cli_parse_int(window, &n) == 0 && n >= 1 && n <= 16384) return CLI_OK;
    return bad(r, "window", "\"all\" or a number in quotes, \"1\" to \"16384\"");
}

static int check_name(const reader *r, const bench_asked *ask)
{
    if (ask->name == NULL) return bad(r, "name", "a text");
    for (int32_t i = 0; i < r->b->n_section; i++)
        if (strcmp(r->b->section[i].ask.name, ask->name) == 0) return bad(r, "name", "unique");
    return CLI_OK;
}

/* A key of the section, or of the whole suite. */
static json_t *inherited(const reader *r, json_t *section, const char *key)
{
    json_t *own = json_object_get(section, key);
    return own != NULL ? own : json_object_get(r->suite->file, key);
}

static int read_section(reader *r, json_t *section)
{
    bench_asked ask = {.layout.seed = r->b->seed};
    const char *missing = NULL, *name = json_string_value(json_object_get(section, "name"));
    const bench_task *task = bench_task_find(json_string_value(json_object_get(section, "task")));
    r->section = name != NULL ? name : "a section";
    int rc =
        json_is_object(section) ? check_keys(r, section, "", is_section_key) : bad(r, "sections", "a list of objects");
    if (rc == CLI_OK) rc = check_hash_keys(r, section);
    if (rc == CLI_OK && task == NULL) rc = bad(r, "task", "one of photos, clips, retrieval, documents, counting");
    if (rc == CLI_OK) rc = read_fields(r, section, &ask);
    if (rc == CLI_OK) rc = check_window(r, &ask);
    if (rc == CLI_OK) rc = check_name(r, &ask);
    if (rc == CLI_OK) rc = read_keeps(r, inherited(r, section, "keep"), &ask);
    if (rc == CLI_OK) rc = read_recipes(r, inherited(r, section, "recipes"), &ask);
    const struct field seeds = {"seeds", INT, 0, 1, 1000};
    int64_t n_seed = 1;
    if (rc == CLI_OK) rc = read_number(r, &seeds, inherited(r, section, "seeds"), &n_seed);
    ask.n_seed = (int32_t)n_seed;
    if (rc == CLI_OK) rc = read_data(r, section, &ask, &missing);
    if (rc == CLI_OK) rc = read_input(r, section, &ask, &missing);
    if (rc != CLI_OK) return rc;
    if (missing == NULL) return bench_add_section(r->b, task, &ask) != NULL ? CLI_OK : bad(r, "sections", "at most 16");
    r->suite->n_missing++;
    cli_say(r->b->c, "left out section %s: %s is %s", ask.name, missing,
            r->roots->n > 0 ? "not under any --root" : "not here, and no --root says where");
    return CLI_OK;
}

/* ---- the file ------------------------------------------------------------------------------------------------- */

static int is_path(const char *name) { return strchr(name, '/') != NULL || cli_has_suffix(name, ".json"); }

/* A file as named, else one of those that ship with pare, installed or beside the sources. */
static char *suite_path(const char *name)
{
    static const char *const folders[] = {PARE_SUITE_DIR, PARE_SOURCE_SUITE_DIR};
    char *path = NULL;
    if (is_path(name)) return strdup(name);
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        if (asprintf(&path, "%s/suite-%s.json", folders[i], name) < 0) return NULL;
        if (access(path, R_OK) == 0) return path;
        free(path);
    }
    return strdup(name);
}

static int read_suite(reader *r)
{
    const struct field version = {"version", INT, 0, 1, 1}, seed = {"seed", INT, 0, 0, 1e9};
    int64_t is = 0;
    json_t *sections = json_object_get(r->suite->file, "sections"), *section;
    size_t i;
    int rc = json_is_object(r->suite->file) ? check_keys(r, r->suite->file, "", is_suite_key)
                                            : bad(r, "the suite", "an object");
    if (rc == CLI_OK) rc = read_number(r, &version, json_object_get(r->suite->file, "version"), &is);
    if (rc == CLI_OK) rc = read_number(r, &seed, json_object_get(r->suite->file, "seed"), &r->b->seed);
    if (rc == CLI_OK && !json_is_array(sections)) rc = bad(r, "sections", "a list");
    if (rc != CLI_OK) return rc;
    json_array_foreach(sections, i, section)
    {
        rc = read_section(r, section);
        if (rc != CLI_OK) return rc;
    }
    if (r->b->n_section > 0) return CLI_OK;
    cli_say(r->b->c, "%s: none of its data is here: name the folder with --root", r->path);
    return CLI_UNREADABLE;
}

int bench_suite_open(bench *b, const char *name, const cli_list *roots, bench_suite *out)
{
    json_error_t why;
    *out = (bench_suite){.text = calloc(MAX_TEXT, sizeof *out->text), .list = calloc(MAX_LIST, sizeof *out->list)};
    char *path = suite_path(name);
    reader r = {.b = b, .suite = out, .roots = roots, .path = path, .section = ""};
    int rc = CLI_FAILED;
    if (path == NULL || out->text == NULL || out->list == NULL) {
        cli_say(b->c, "out of memory for the suite");
        goto done;
    }
    if (access(path, R_OK) != 0) {
        cli_say(b->c,
                is_path(name) ? "%s: cannot be read"
                              : "no suite is called %s: v1 ships with pare, a file of your own ends in .json",
                name);
        rc = CLI_UNREADABLE;
        goto done;
    }
    out->file = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (out->file == NULL) {
        rc = cli_usage(b->c, "%s: line %d: %s", path, why.line, why.text);
        goto done;
    }
    const char *own = json_string_value(json_object_get(out->file, "name"));
    b->suite = own != NULL ? own : name;
    rc = read_suite(&r);
done:
    free(path);
    return rc;
}

void bench_suite_close(bench_suite *s)
{
    for (int32_t i = 0; i < s->n_text; i++) free(s->text[i]);
    free(s->text);
    free((void *)s->list);
    json_decref(s->file);
    *s = (bench_suite){0};
}
