/* SPDX-License-Identifier: MIT */
/* Labelled photos (labels.h). CSV after RFC 4180: quoted fields, doubled quotes, LF or CRLF. */
#include "labels.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FIELD = 4096, MAX_COLUMNS = 64, MAX_CSV = 1 << 28 };

typedef struct csv {
    const char *at, *end;
} csv;

/* One row's fields, cut out of one buffer. */
typedef struct row {
    char text[MAX_FIELD];
    const char *field[MAX_COLUMNS];
    int n;
} row;

/* Where photos of a CSV are found. */
typedef struct origin {
    const cli_tar *tar; /* or NULL: files */
    const char *path;   /* of the CSV */
} origin;

/* ---- CSV ------------------------------------------------------------------------------------------------------ */

/* Copies one field to `out`; returns bytes used with the terminator, or -1 when there is no room. */
static int read_field(csv *c, char *out, int room)
{
    int n = 0, quoted = c->at < c->end && *c->at == '"';
    if (quoted) c->at++;
    while (c->at < c->end) {
        char ch = *c->at;
        if (quoted && ch == '"') {
            if (c->at + 1 == c->end || c->at[1] != '"') {
                quoted = 0;
                c->at++;
                continue;
            }
            c->at++;
        } else if (!quoted && (ch == ',' || ch == '\n')) {
            break;
        }
        if (n + 1 >= room) return -1;
        if (quoted || ch != '\r') out[n++] = ch;
        c->at++;
    }
    out[n] = '\0';
    return n + 1;
}

/* 1 and a row, 0 at the end, -1 when a row is too long. */
static int read_row(csv *c, row *r)
{
    int used = 0;
    r->n = 0;
    if (c->at >= c->end) return 0;
    for (;;) {
        if (r->n == MAX_COLUMNS) return -1;
        r->field[r->n++] = r->text + used;
        int n = read_field(c, r->text + used, MAX_FIELD - used);
        if (n < 0) return -1;
        used += n;
        if (c->at >= c->end || *c->at++ == '\n') return 1;
    }
}

static int find_column(cli_common *c, const origin *from, const row *head, const char *column)
{
    if (column == NULL) return head->n > 1 ? 1 : -1;
    for (int i = 1; i < head->n; i++)
        if (strcmp(head->field[i], column) == 0) return i;
    const char *near = cli_nearest(column, head->field, head->n);
    if (near != NULL)
        cli_say(c, "%s: no column '%s'; did you mean '%s'?", from->path, column, near);
    else
        cli_say(c, "%s: no column '%s'", from->path, column);
    return -2;
}

/* `name` beside the CSV: a member of the archive or a file. */
static int add_row(cli_photos *p, const origin *from, const row *r, int column)
{
    char path[2 * MAX_FIELD];
    const char *label = column > 0 && column < r->n ? r->field[column] : "";
    int folder = (int)(cli_base_name(from->path) - from->path);
    if (r->field[0][0] == '\0') return 0;
    if (r->field[0][0] == '/')
        snprintf(path, sizeof path, "%s", r->field[0]);
    else
        snprintf(path, sizeof path, "%.*s%s", folder, from->path, r->field[0]);
    const cli_member *member = from->tar != NULL ? cli_tar_find(from->tar, path) : NULL;
    if (from->tar != NULL && member == NULL) return -2;
    return cli_photos_add(p, path, label, member);
}

static int read_csv(cli_common *c, cli_photos *p, const origin *from, const char *text, size_t size, const char *column)
{
    csv in = {text, text + size};
    row r;
    if (memchr(text, '\0', size) != NULL) {
        cli_say(c, "%s: it holds NUL bytes, so it is no CSV", from->path);
        return CLI_UNREADABLE;
    }
    int rc = read_row(&in, &r);
    if (rc <= 0) {
        cli_say(c, "%s: no header line", from->path);
        return CLI_UNREADABLE;
    }
    int label = find_column(c, from, &r, column);
    if (label == -2) return CLI_USAGE;
    for (int line = 2; (rc = read_row(&in, &r)) > 0; line++) {
        int added = add_row(p, from, &r, label);
        if (added == 0) continue;
        cli_say(c, "%s: line %d: %s %s", from->path, line, added == -2 ? "not in the archive:" : "out of memory for",
                r.field[0]);
        return CLI_UNREADABLE;
    }
    if (rc == 0) return CLI_OK;
    cli_say(c, "%s: a row has more than %d bytes or %d columns", from->path, MAX_FIELD, MAX_COLUMNS);
    return CLI_UNREADABLE;
}

static int read_csv_file(cli_common *c, cli_photos *p, const char *path, const char *column)
{
    struct stat st;
    origin from = {NULL, path};
    FILE *f = fopen(path, "rb");
    if (f == NULL || fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_CSV) {
        cli_say(c, "%s: %s", path, f == NULL ? strerror(errno) : "not a file of at most 256 MB");
        if (f != NULL) fclose(f);
        return CLI_UNREADABLE;
    }
    char *text = malloc((size_t)st.st_size + 1);
    size_t n = text != NULL ? fread(text, 1, (size_t)st.st_size, f) : 0;
    int rc = read_csv(c, p, &from, text != NULL ? text : "", n, column);
    free(text);
    fclose(f);
    return rc;
}

/* ---- folders and archives ------------------------------------------------------------------------------------- */

static int is_photo(const char *name)
{
    static const char *const suffixes[] = {".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".webp", ".tga", ".gif"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++)
        if (cli_has_suffix(name, suffixes[i])) return 1;
    return 0;
}

/* Calls add(p, "folder/name", name) for every entry of a folder in the order of names. 0 or -1. */
static int each_entry(cli_photos *p, const char *folder, int (*add)(cli_photos *, const char *, const char *))
{
    struct dirent **entry = NULL;
    int n = scandir(folder, &entry, NULL, alphasort), rc = 0;
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        char *path = NULL;
        if (rc == 0 && name[0] != '.') rc = asprintf(&path, "%s/%s", folder, name) > 0 ? add(p, path, name) : -1;
        free(path);
        free(entry[i]);
    }
    free(entry);
    return rc;
}

/* The folder that holds a photo is its class. */
static int add_file(cli_photos *p, const char *path, const char *name)
{
    char label[256];
    const char *end = path + (cli_base_name(path) - path) - 1, *start = end;
    while (start > path && start[-1] != '/') start--;
    snprintf(label, sizeof label, "%.*s", (int)(end - start), start);
    return is_photo(name) ? cli_photos_add(p, path, label, NULL) : 0;
}

static int add_class(cli_photos *p, const char *path, const char *name)
{
    (void)name;
    return each_entry(p, path, add_file);
}

static int read_folder(cli_common *c, cli_photos *p, const char *folder)
{
    if (each_entry(p, folder, add_class) == 0) return CLI_OK;
    cli_say(c, "%s: out of memory for its photos", folder);
    return CLI_FAILED;
}

/* Without a CSV the folder that holds a photo is its class. */
static int read_members(cli_common *c, cli_photos *p, const char *path)
{
    for (int32_t i = 0; i < p->tar.n; i++) {
        const cli_member *m = &p->tar.member[i];
        char label[256] = "", *slash;
        if (!is_photo(m->name)) continue;
        size_t folder = (size_t)(cli_base_name(m->name) - m->name);
        snprintf(label, sizeof label, "%.*s", folder > 0 ? (int)folder - 1 : 0, m->name);
        slash = strrchr(label, '/');
        if (cli_photos_add(p, m->name, slash != NULL ? slash + 1 : label, m) != 0) {
            cli_say(c, "%s: out of memory for its photos", path);
            return CLI_FAILED;
        }
    }
    return CLI_OK;
}

static int read_archive(cli_common *c, cli_photos *p, const char *path, const char *column)
{
    char why[128];
    if (cli_tar_open(&p->tar, path, why, sizeof why) != 0) {
        cli_say(c, "%s: %s", path, why);
        return CLI_UNREADABLE;
    }
    for (int32_t i = 0; i < p->tar.n; i++) {
        const cli_member *m = &p->tar.member[i];
        origin from = {&p->tar, m->name};
        if (cli_has_suffix(m->name, ".csv"))
            return read_csv(c, p, &from, (const char *)p->tar.data + m->offset, (size_t)m->size, column);
    }
    return read_members(c, p, path);
}

/* ---- the list ------------------------------------------------------------------------------------------------- */

int cli_photos_add(cli_photos *p, const char *path, const char *label, const cli_member *member)
{
    if (p->n == p->cap) {
        int32_t cap = p->cap > 0 ? 2 * p->cap : 256;
        cli_photo *grown = realloc(p->item, (size_t)cap * sizeof *grown);
        if (grown == NULL) return -1;
        p->item = grown;
        p->cap = cap;
    }
    cli_photo photo = {strdup(path), strdup(label), member, -1};
    p->item[p->n++] = photo;
    return photo.path != NULL && photo.label != NULL ? 0 : -1;
}

int cli_photos_open(cli_common *c, const char *path, const char *column, cli_photos *out)
{
    struct stat st;
    int rc;
    if (stat(path, &st) != 0) {
        cli_say(c, "%s: %s", path, strerror(errno));
        return CLI_UNREADABLE;
    }
    if (S_ISDIR(st.st_mode))
        rc = read_folder(c, out, path);
    else if (cli_has_suffix(path, ".tar"))
        rc = read_archive(c, out, path, column);
    else
        rc = read_csv_file(c, out, path, column);
    if (rc != CLI_OK || out->n > 0) return rc;
    cli_say(c, "%s: no photos", path);
    return CLI_UNREADABLE;
}

static void free_photo(cli_photo *photo)
{
    free(photo->path);
    free(photo->label);
}

void cli_photos_close(cli_photos *p)
{
    for (int32_t i = 0; i < p->n; i++) free_photo(&p->item[i]);
    free(p->item);
    cli_tar_close(&p->tar);
    if (p->memfd >= 0) close(p->memfd);
    *p = CLI_NO_PHOTOS;
}

void cli_photos_thin(cli_photos *p, int64_t every, int64_t limit)
{
    int32_t n = 0;
    for (int32_t i = 0; i < p->n; i++) {
        int wanted = (every < 2 || i % every == 0) && (limit <= 0 || n < limit);
        if (wanted)
            p->item[n++] = p->item[i];
        else
            free_photo(&p->item[i]);
    }
    p->n = n;
}

static int has_label(const cli_photo *photo) { return photo->label[0] != '\0'; }

/* Photos without a label say nothing about the others. */
static int all_numbers(const cli_photos *p)
{
    int64_t value;
    for (int32_t i = 0; i < p->n; i++)
        if (has_label(&p->item[i]) && cli_parse_int(p->item[i].label, &value) != 0) return 0;
    return 1;
}

static int32_t class_named(const pare_model *model, int32_t n_class, const char *label)
{
    for (int32_t i = 0; i < n_class; i++) {
        const char *name = pare_model_label(model, i);
        if (name != NULL && strcmp(name, label) == 0) return i;
    }
    return -1;
}

int cli_photos_bind(cli_common *c, cli_photos *p, const pare_model *model, int32_t n_class)
{
    int numbers = all_numbers(p), n_unknown = 0, n_bare = 0, first = -1;
    for (int32_t i = 0; i < p->n; i++) {
        cli_photo *photo = &p->item[i];
        int64_t value = -1;
        if (!has_label(photo))
            n_bare++;
        else if (numbers)
            cli_parse_int(photo->label, &value);
        else
            value = class_named(model, n_class, photo->label);
        photo->class_index = value >= 0 && value < n_class ? (int32_t)value : -1;
        if (photo->class_index >= 0 || !has_label(photo)) continue;
        if (n_unknown++ == 0) first = i;
    }
    if (n_class == 0) cli_say(c, "the model has no classifier: no accuracy");
    if (n_class > 0 && n_bare > 0) cli_say(c, "%d of %d photos have no label", n_bare, p->n);
    if (n_class > 0 && n_unknown > 0)
        cli_say(c, "%d of %d labels are no class of the model, the first is '%s' of %s", n_unknown, p->n,
                p->item[first].label, p->item[first].path);
    return CLI_OK;
}

/* An anonymous file stands in for the member: decoders want a path, and nothing is left behind whatever happens. */
const char *cli_photos_path(cli_photos *p, int32_t i, char *buffer, size_t size)
{
    const cli_member *m = p->item[i].member;
    if (m == NULL) return p->item[i].path;
    if (p->memfd < 0) p->memfd = memfd_create("pare-photo", MFD_CLOEXEC);
    if (p->memfd < 0 || ftruncate(p->memfd, 0) != 0) return NULL;
    for (int64_t at = 0; at < m->size;) {
        ssize_t n = pwrite(p->memfd, p->tar.data + m->offset + at, (size_t)(m->size - at), at);
        if (n <= 0) return NULL;
        at += n;
    }
    snprintf(buffer, size, "/proc/self/fd/%d", p->memfd);
    return buffer;
}
