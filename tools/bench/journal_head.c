/* SPDX-License-Identifier: MIT */
/* What a bench's numbers depend on, and where two benches differ (journal.h). Times belong to a machine, so the CPU and
 * the threads stand in it as well. Folders are not hashed: the names of the items speak for them. */
#include "journal.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "../json_line.h"

/* ---- files ----------------------------------------------------------------------------------------------------- */

/* "name hash" of a file, or its name alone where there is nothing to hash. */
static json_t *describe_file(const char *path)
{
    char hash[17], text[512];
    cli_hash_file(path, hash);
    snprintf(text, sizeof text, "%.400s%s%s", cli_base_name(path), hash[0] != '\0' ? " " : "", hash);
    json_t *out = json_object();
    cli_json_text(out, "file", text);
    return out;
}

static void set_file(json_t *object, const char *key, const char *path)
{
    json_object_set_new(object, key, path != NULL ? describe_file(path) : json_null());
}

static int is_model_part(const struct dirent *e)
{
    return cli_has_suffix(e->d_name, ".safetensors") || cli_has_suffix(e->d_name, ".json") ||
           cli_has_suffix(e->d_name, ".gguf");
}

/* A checkpoint: one file, or those of its folder that decide. */
static json_t *describe_model(const char *path)
{
    struct stat st;
    struct dirent **entry = NULL;
    json_t *out = json_array();
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        json_array_append_new(out, describe_file(path));
        return out;
    }
    const int n = scandir(path, &entry, is_model_part, alphasort);
    for (int i = 0; i < n; i++) {
        char *part = NULL;
        if (asprintf(&part, "%s/%s", path, entry[i]->d_name) >= 0) {
            json_array_append_new(out, describe_file(part));
            free(part);
        }
        free(entry[i]);
    }
    free(entry);
    return out;
}

/* ---- sections -------------------------------------------------------------------------------------------------- */

/* Exact: differences show in the last digit. */
static void set_real(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key, json_real(value));
}

static json_t *describe_frames(const cli_layout *l, const cli_pick *p)
{
    json_t *out = json_object();
    const int64_t size[2] = {l->size.width, l->size.height}, tiles[2] = {l->tiles.width, l->tiles.height};
    const int64_t source[2] = {p->source_size.width, p->source_size.height};
    cli_json_text(out, "window", l->window);
    cli_json_int(out, "max_side", l->max_side);
    cli_json_size(out, "size", size, 2);
    cli_json_size(out, "tiles", tiles, 2);
    cli_json_int(out, "letterbox", l->letterbox);
    cli_json_text(out, "format", p->format);
    cli_json_size(out, "source_size", source, 2);
    cli_json_int(out, "pick_frames", p->frames);
    cli_json_int(out, "every", p->every);
    cli_json_int(out, "exif", p->exif);
    cli_json_int(out, "ignore_alpha", p->ignore_alpha);
    set_real(out, "rate", p->rate);
    set_real(out, "start", p->start);
    set_real(out, "end", p->end);
    set_real(out, "fps", p->fps);
    return out;
}

static json_t *describe_ask(const bench_asked *ask)
{
    json_t *out = describe_frames(&ask->layout, &ask->pick), *inputs = json_array();
    cli_json_text(out, "label_column", ask->label_column);
    cli_json_int(out, "stride", ask->stride);
    cli_json_int(out, "limit", ask->limit);
    cli_json_int(out, "train_stride", ask->train_stride);
    cli_json_int(out, "frames", ask->frames);
    cli_json_int(out, "rounds", ask->rounds);
    cli_json_int(out, "measure_stride", ask->measure_stride);
    cli_json_int(out, "time_stride", ask->time_stride);
    set_file(out, "data", ask->data);
    set_file(out, "train", ask->train);
    set_file(out, "boxes", ask->boxes);
    set_file(out, "head", ask->head);
    for (int32_t i = 0; i < ask->n_input; i++) json_array_append_new(inputs, describe_file(ask->input[i]));
    json_object_set_new(out, "inputs", inputs);
    return out;
}

static json_t *describe_row(const bench_row *row)
{
    json_t *out = json_object();
    cli_json_text(out, "recipe", row->recipe);
    set_real(out, "keep", row->keep);
    cli_json_int(out, "seed", (int64_t)row->seed);
    return out;
}

static json_t *describe_section(const bench_section *s)
{
    json_t *out = json_object(), *rows = json_array(), *items = json_array();
    cli_json_text(out, "name", s->ask.name);
    cli_json_text(out, "task", s->task->name);
    json_object_set_new(out, "ask", describe_ask(&s->ask));
    for (int32_t i = 0; i < s->n_row; i++) json_array_append_new(rows, describe_row(&s->row[i]));
    json_object_set_new(out, "rows", rows);
    for (int32_t i = 0; i < s->n_item; i++) {
        json_t *item = json_object();
        cli_json_text(item, "name", s->item[i].name);
        json_array_append_new(items, item);
    }
    json_object_set_new(out, "items", items);
    return out;
}

/* ---- the head -------------------------------------------------------------------------------------------------- */

/* One text, so that a difference in either names both. */
static void set_engine(json_t *object, const bench *b)
{
    char text[64];
    snprintf(text, sizeof text, "%s %s", b->backend, b->precision);
    cli_json_text(object, "engine", text);
}

static json_t *describe_machine(const bench *b)
{
    json_t *out = json_object();
    pare_runtime_info info = {.struct_size = sizeof info};
    if (pare_runtime_get(&info, NULL) != 0) return out;
    cli_json_text(out, "cpu", info.cpu);
    cli_json_text(out, "blas", info.blas);
    cli_json_text(out, "blas_core", info.blas_core);
    cli_json_int(out, "cpus", info.n_cpu);
    cli_json_int(out, "threads", b->c->threads);
    set_engine(out, b);
    return out;
}

static json_t *describe_own(const cli_own_opts *o)
{
    json_t *out = json_object();
    if (o == NULL) return out;
    set_file(out, "scores", o->scores);
    set_file(out, "mask", o->mask);
    set_file(out, "map", o->map);
    cli_json_text(out, "selector", o->selector);
    return out;
}

json_t *bench_journal_head(const bench *b)
{
    int32_t n_column = 0;
    const bench_column *column = bench_columns(&n_column);
    json_t *out = json_object(), *columns = json_array(), *sections = json_array();
    cli_json_int(out, "pare_bench_journal", BENCH_JOURNAL_SCHEMA);
    cli_json_text(out, "version", pare_version());
    cli_json_text(out, "suite", b->suite);
    cli_json_int(out, "seed", b->seed);
    cli_json_text(out, "model", b->info->name);
    json_object_set_new(out, "model_files", describe_model(b->info->path));
    json_object_set_new(out, "machine", describe_machine(b));
    json_object_set_new(out, "own", describe_own(b->own.o));
    for (int32_t i = 0; i < n_column; i++) json_array_append_new(columns, json_string(column[i].key));
    json_object_set_new(out, "columns", columns);
    for (int32_t i = 0; i < b->n_section; i++) json_array_append_new(sections, describe_section(&b->section[i]));
    json_object_set_new(out, "sections", sections);
    return out;
}

/* ---- differences ----------------------------------------------------------------------------------------------- */

/* The end of the text at `why`; `size` is what is left. */
static void append(char **why, size_t *size, const char *text)
{
    const int n = snprintf(*why, *size, "%s", text);
    const size_t used = n < 0 ? 0 : (size_t)n < *size ? (size_t)n : *size - 1;
    *why += used;
    *size -= used;
}

static void append_value(char **why, size_t *size, const json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17)) : NULL;
    char cut[72];
    snprintf(cut, sizeof cut, text != NULL && strlen(text) >= sizeof cut ? "%.60s..." : "%.70s",
             text != NULL ? text : "nothing");
    append(why, size, cut);
    free(text);
}

static int differ(const json_t *theirs, const json_t *ours, char *why, size_t size);

static int differ_array(const json_t *theirs, const json_t *ours, char *why, size_t size)
{
    const size_t n = json_array_size(ours), m = json_array_size(theirs);
    char text[64];
    for (size_t i = 0; i < n && i < m; i++) {
        const json_t *a = json_array_get(theirs, i), *b = json_array_get(ours, i);
        if (json_equal(a, b)) continue;
        snprintf(text, sizeof text, "[%zu]", i);
        append(&why, &size, text);
        return differ(a, b, why, size);
    }
    snprintf(text, sizeof text, ": %zu entries there, %zu here", m, n);
    append(&why, &size, text);
    return 1;
}

static int differ_object(const json_t *theirs, const json_t *ours, char *why, size_t size)
{
    const char *key;
    json_t *value;
    for (int side = 0; side < 2; side++)
        json_object_foreach((json_t *)(uintptr_t)(side == 0 ? ours : theirs), key, value)
        {
            const json_t *other = json_object_get(side == 0 ? theirs : ours, key);
            if (other != NULL && json_equal(other, value)) continue;
            append(&why, &size, ".");
            append(&why, &size, key);
            return side == 0 ? differ(other, value, why, size) : differ(value, other, why, size);
        }
    return 0;
}

static int differ(const json_t *theirs, const json_t *ours, char *why, size_t size)
{
    if (json_is_object(theirs) && json_is_object(ours)) return differ_object(theirs, ours, why, size);
    if (json_is_array(theirs) && json_is_array(ours)) return differ_array(theirs, ours, why, size);
    append(&why, &size, ": ");
    append_value(&why, &size, theirs);
    append(&why, &size, " there, ");
    append_value(&why, &size, ours);
    append(&why, &size, " here");
    return 1;
}

int bench_journal_differ(const json_t *theirs, const json_t *ours, char *why, size_t size)
{
    why[0] = '\0';
    if (json_equal(theirs, ours)) return 0;
    differ(theirs, ours, why, size);
    if (why[0] == '.') memmove(why, why + 1, strlen(why));
    return 1;
}
