/* SPDX-License-Identifier: MIT */
/* The files of a checkpoint: one safetensors file, shards behind an index (opened when a tensor of theirs is asked
 * for), or one GGUF file. Shard names are base names: an index cannot reach outside its directory. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/limits.h"
#include "model/store.h"

#define INDEX_SUFFIX ".safetensors.index.json"
#define OPENCLIP "open_clip_"

enum { LARGE_SHARE = 1024, AROUND = 2 << 20 };

static int has_suffix(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && !strcmp(text + n - m, suffix);
}

static int join(char path[PARE__MAX_PATH], const char *dir, const char *name, pare_error *err)
{
    if (snprintf(path, PARE__MAX_PATH, "%s/%s", dir, name) < PARE__MAX_PATH) return 0;
    return pare_fail(err, PARE_E_LIMIT, "%.100s: path is longer than %d bytes", dir, PARE__MAX_PATH - 1);
}

static int exists(const char *path)
{
    struct stat st;
    return !stat(path, &st);
}

/* First file of `dir` in alphabetical order that ends so; *name = "" if there is none. */
static int find_suffix(const char *dir, const char *suffix, char name[PARE__MAX_PATH], pare_error *err)
{
    DIR *d = opendir(dir);
    name[0] = 0;
    if (!d) return pare_fail(err, PARE_E_IO, "%s: %s", dir, strerror(errno));
    for (struct dirent *e = readdir(d); e; e = readdir(d))
        if (has_suffix(e->d_name, suffix) && (!name[0] || strcmp(e->d_name, name) < 0))
            snprintf(name, PARE__MAX_PATH, "%s", e->d_name);
    closedir(d);
    return 0;
}

/* ---- shards -------------------------------------------------------------------------------------------------- */

static int add_shard(pare__store *s, const char *name, pare_error *err)
{
    for (int64_t i = 0; i < s->n_shard; i++)
        if (!strcmp(s->shard[i].name, name)) return 0;
    if (pare__grow((void **)&s->shard, &s->cap_shard, s->n_shard + 1, sizeof *s->shard))
        return pare_fail(err, PARE_E_NOMEM, "%s: no memory for shards", s->path);
    s->shard[s->n_shard] = (pare__shard){.name = pare__strdup(name)};
    if (!s->shard[s->n_shard].name) return pare_fail(err, PARE_E_NOMEM, "%s: no memory for shards", s->path);
    s->n_shard++;
    return 0;
}

/* A base name of this directory, nothing else. */
static int is_base_name(const char *name)
{
    return name && has_suffix(name, ".safetensors") && name[0] != '.' && !strpbrk(name, "/\\");
}

static int take_index(pare__store *s, const char *name, const json_t *index, pare_error *err)
{
    const char *tensor;
    json_t *file, *map = json_object_get(index, "weight_map");
    if (!json_is_object(map)) return pare_fail(err, PARE_E_FORMAT, "%s: no weight_map", name);
    if (json_object_size(map) > PARE__MAX_TENSORS)
        return pare_fail(err, PARE_E_LIMIT, "%s: %zu tensors, at most %d", name, json_object_size(map),
                         PARE__MAX_TENSORS);
    s->weight_map = json_incref(map);
    json_object_foreach(map, tensor, file)
    {
        const char *base = json_string_value(file);
        if (!is_base_name(base))
            return pare_fail(err, PARE_E_FORMAT, "%s: tensor %.60s lies in \"%.80s\", which is no file name", name,
                             tensor, base ? base : "(no text)");
    }
    return 0;
}

static int open_index(pare__store *s, const char *name, pare_error *err)
{
    char path[PARE__MAX_PATH];
    void *map;
    size_t size;
    json_error_t at;
    int rc = join(path, s->dir, name, err);
    if (!rc) rc = pare__file_map(path, &map, &size, err);
    if (rc) return rc;
    json_t *index = NULL;
    if (size > PARE__MAX_CONFIG)
        rc = pare_fail(err, PARE_E_LIMIT, "%s: %zu bytes, at most %d are read", name, size, PARE__MAX_CONFIG);
    else if (!(index = json_loadb(map ? map : "", size, JSON_REJECT_DUPLICATES, &at)))
        rc = pare_fail(err, PARE_E_FORMAT, "%s: line %d: %s", name, at.line, at.text);
    else
        rc = take_index(s, name, index, err);
    json_decref(index);
    pare__file_unmap(map, size);
    return rc;
}

/* A small array that stays in its file keeps the pages around it: only what is large in a file of f32 does. */
static int64_t least_in_place(const pare_tensors *t)
{
    int64_t n_f32 = 0, n_all = 0;
    for (int64_t i = 0; i < t->n; i++) {
        n_all += t->n_bytes[i];
        if (t->t[i].dtype == PARE_F32) n_f32 += t->n_bytes[i];
    }
    return n_f32 >= n_all - n_f32 ? n_all / LARGE_SHARE : INT64_MAX;
}

static int open_shard(pare__store *s, pare__shard *shard, pare_error *err)
{
    char path[PARE__MAX_PATH];
    int rc = shard->t ? 0 : join(path, s->dir, shard->name, err);
    if (rc || shard->t) return rc;
    rc = pare__safetensors_open(&shard->t, path, err);
    if (!rc) shard->least = least_in_place(shard->t);
    return rc;
}

/* ---- the store ----------------------------------------------------------------------------------------------- */

/* 1 if the directory holds it, then *rc tells how that went. */
static int open_if_there(pare__store *s, const char *name, int *rc, pare_error *err)
{
    char path[PARE__MAX_PATH];
    *rc = join(path, s->dir, name, err);
    if (*rc) return 1;
    if (!exists(path)) return 0;
    *rc = add_shard(s, name, err);
    if (!*rc) *rc = open_shard(s, &s->shard[0], err);
    return 1;
}

static int open_dir(pare__store *s, pare_error *err)
{
    char name[PARE__MAX_PATH];
    int rc;
    if (open_if_there(s, "model.safetensors", &rc, err)) return rc;
    rc = find_suffix(s->dir, INDEX_SUFFIX, name, err);
    if (rc) return rc;
    if (name[0]) return open_index(s, name, err);
    if (open_if_there(s, OPENCLIP "model.safetensors", &rc, err)) return rc;
    return pare_fail(err, PARE_E_NOTFOUND, "%s: holds no model.safetensors, *%s or %smodel.safetensors", s->dir,
                     INDEX_SUFFIX, OPENCLIP);
}

static int open_file(pare__store *s, pare_error *err)
{
    char *slash = strrchr(s->dir, '/');
    int rc = add_shard(s, slash ? slash + 1 : s->dir, err);
    if (!rc) rc = pare__tensors_open(&s->shard[0].t, s->path, err);
    if (!rc) s->shard[0].least = least_in_place(s->shard[0].t);
    if (slash == s->dir)
        slash[1] = 0;
    else if (slash)
        *slash = 0;
    else
        strcpy(s->dir, ".");
    return rc;
}

int pare__store_open(pare__store **out, const char *path, pare_error *err)
{
    struct stat st;
    *out = NULL;
    if (stat(path, &st))
        return pare_fail(err, errno == ENOENT ? PARE_E_NOTFOUND : PARE_E_IO, "%s: %s", path, strerror(errno));
    pare__store *s = PARE__NEW(pare__store, 1);
    if (!s) return pare_fail(err, PARE_E_NOMEM, "%s: no memory", path);
    pthread_mutex_init(&s->lock, NULL);
    s->path = pare__strdup(path);
    s->dir = pare__calloc((int64_t)strlen(path) + 2, 1);
    int rc = s->path && s->dir ? 0 : pare_fail(err, PARE_E_NOMEM, "%s: no memory", path);
    if (!rc) {
        strcpy(s->dir, path);
        rc = S_ISDIR(st.st_mode) ? open_dir(s, err) : open_file(s, err);
    }
    if (rc) pare__store_free(&s);
    *out = s;
    return rc;
}

void pare__store_free(pare__store **s)
{
    if (!*s) return;
    for (int64_t i = 0; i < (*s)->n_shard; i++) {
        pare__tensors_free(&(*s)->shard[i].t);
        pare__free((*s)->shard[i].name);
    }
    pare__lift_fini(&(*s)->lift);
    pare__arena_fini(&(*s)->floats);
    pthread_mutex_destroy(&(*s)->lock);
    pare__free((*s)->made);
    json_decref((*s)->weight_map);
    pare__free((*s)->shard);
    pare__free((*s)->dir);
    pare__free((*s)->path);
    pare__free(*s);
    *s = NULL;
}

void pare__store_trim(pare__store *s)
{
    for (int64_t i = 0; i < s->n_shard; i++)
        if (s->shard[i].t && !s->shard[i].n_in_place)
            pare__file_unneed(s->shard[i].t->map, (int64_t)s->shard[i].t->map_size);
}

/* A read may have mapped as much as a huge page of the file around it; what others still read comes back. */
void pare__store_drop(const pare__store *s, const void *bytes, int64_t n)
{
    for (int64_t i = 0; i < s->n_shard; i++) {
        const pare_tensors *t = s->shard[i].t;
        if (!t || !t->map || (uintptr_t)bytes - (uintptr_t)t->map >= t->map_size) continue;
        const uint8_t *map = t->map;
        const int64_t size = (int64_t)t->map_size, from = (const uint8_t *)bytes - map, to = from + n;
        const int64_t begin = from > AROUND ? from - AROUND : 0, end = to < size - AROUND ? to + AROUND : size;
        pare__file_unneed(map + begin, end - begin);
    }
}

const json_t *pare__store_gguf(const pare__store *s)
{
    return s->n_shard && s->shard[0].t && s->shard[0].t->is_gguf ? s->shard[0].t->meta : NULL;
}

int pare__store_is_openclip(const pare__store *s)
{
    return s->n_shard && !strncmp(s->shard[0].name, OPENCLIP, strlen(OPENCLIP));
}

void pare__store_visit(const pare__store *s, void (*visit)(void *user, const char *name), void *user)
{
    const char *name;
    json_t *file;
    json_object_foreach(s->weight_map, name, file) visit(user, name);
    if (s->weight_map) return;
    for (int64_t i = 0; i < s->shard[0].t->n; i++) visit(user, s->shard[0].t->t[i].name);
}

static pare__shard *shard_called(pare__store *s, const char *name)
{
    for (int64_t i = 0; i < s->n_shard; i++)
        if (!strcmp(s->shard[i].name, name)) return &s->shard[i];
    return NULL;
}

int pare__store_has(const pare__store *s, const char *name)
{
    if (s->weight_map) return json_object_get(s->weight_map, name) != NULL;
    return pare__tensors_find(s->shard[0].t, name) != NULL;
}

int pare__store_find(pare__store *s, const char *name, const pare_tensor **tensor, pare__shard **shard, pare_error *err)
{
    const char *file = json_string_value(json_object_get(s->weight_map, name));
    *tensor = NULL;
    *shard = s->n_shard ? &s->shard[0] : NULL;
    if (s->weight_map) {
        if (!file) return 0;
        int rc = add_shard(s, file, err);
        if (rc) return rc;
        *shard = shard_called(s, file);
        rc = open_shard(s, *shard, err);
        if (rc) return rc;
    }
    *tensor = pare__tensors_find((*shard)->t, name);
    if (file && !*tensor)
        return pare_fail(err, PARE_E_NOTFOUND, "%s: tensor %.80s is not in %.60s, where the index has it", s->path,
                         name, file);
    return 0;
}

float *pare__store_floats(pare__store *s, int64_t n)
{
    if (pare__grow((void **)&s->made, &s->cap_owned, s->n_owned + 1, sizeof *s->made)) return NULL;
    float *p = PARE__ARENA(&s->floats, float, n);
    if (p) s->made[s->n_owned++] = (pare__made){.x = p, .n = n};
    return p;
}

static pare__made *made_at(const pare__store *s, const float *w)
{
    for (int64_t i = 0; i < s->n_owned; i++)
        if (s->made[i].x == w) return &s->made[i];
    return NULL;
}

void pare__store_need(pare__store *s, const float *w)
{
    pare__made *made = made_at(s, w);
    if (!made) return;
    pthread_mutex_lock(&s->lock);
    made->n_user++;
    if (made->is_gone) pare__lift_again(&s->lift, s, made->x, made->n);
    made->is_gone = 0;
    pthread_mutex_unlock(&s->lock);
}

void pare__store_unneed(pare__store *s, const float *w, int64_t n)
{
    pare__made *made = made_at(s, w);
    if (!made) {
        pare__store_drop(s, w, n * (int64_t)sizeof *w);
        return;
    }
    pthread_mutex_lock(&s->lock);
    if (made->n_user > 0 && --made->n_user == 0) {
        pare__file_unneed(made->x, made->n * (int64_t)sizeof *w);
        made->is_gone = 1;
    }
    pthread_mutex_unlock(&s->lock);
}
