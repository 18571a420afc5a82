/* SPDX-License-Identifier: MIT */
/* Reading the outline of an .npz archive (npz.h).
 * Sources: PKWARE APPNOTE 6.3.9 (4.3.7 local header, 4.5.3 zip64); NEP 1 (npy 1.0). Members are walked from the start
 * of the file by the sizes in their local headers, as numpy and pare write them. */
#include "npz.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOCAL_HEADER = 30,
    LOCAL_MAGIC = 0x04034b50,
    MAX_NAME = 256,
    MAX_EXTRA = 1024,
    MAX_META = 1 << 20,
    MAX_NPY_HEADER = 4096
};

/* numpy's names of types and ours. */
static const struct {
    const char *numpy, *name;
} types[] = {{"<f4", "f32"}, {"<f2", "f16"}, {"<f8", "f64"}, {"<i4", "i32"},
             {"<i8", "i64"}, {"|u1", "u8"},  {"|i1", "i8"},  {"|b1", "bool"}};

typedef struct member {
    char name[MAX_NAME + 1];
    int method;
    uint64_t size; /* bytes of data, which begin where the file stands */
} member;

static uint64_t load(const uint8_t *p, int n)
{
    uint64_t value = 0;
    for (int i = n - 1; i >= 0; i--) value = value << 8 | p[i];
    return value;
}

/* Sizes of 4 GiB and more stand in the extra field with tag 1: real size, then stored size. */
static int take_zip64(const uint8_t *extra, size_t n, uint64_t *size)
{
    for (size_t at = 0; at + 4 <= n; at += 4 + (size_t)load(extra + at + 2, 2))
        if (load(extra + at, 2) == 1 && load(extra + at + 2, 2) >= 16 && at + 20 <= n) {
            *size = load(extra + at + 12, 8);
            return 0;
        }
    return -1;
}

/* 1 and a member, 0 behind the last one, -1 for anything else. */
static int next_member(FILE *f, member *m)
{
    uint8_t head[LOCAL_HEADER], extra[MAX_EXTRA];
    size_t got = fread(head, 1, sizeof head, f);
    if (got >= 4 && load(head, 4) != LOCAL_MAGIC) return load(head, 2) == 0x4b50 ? 0 : -1;
    if (got != sizeof head || (head[6] & 9) != 0) return -1; /* encrypted, or sizes behind the data */
    size_t n_name = (size_t)load(head + 26, 2), n_extra = (size_t)load(head + 28, 2);
    if (n_name > MAX_NAME || n_extra > MAX_EXTRA) return -1;
    if (fread(m->name, 1, n_name, f) != n_name || fread(extra, 1, n_extra, f) != n_extra) return -1;
    m->name[n_name] = '\0';
    m->method = (int)load(head + 8, 2);
    m->size = load(head + 18, 4);
    if (m->size == UINT32_MAX && take_zip64(extra, n_extra, &m->size) != 0) return -1;
    return m->size <= INT64_MAX ? 1 : -1;
}

/* ---- members -------------------------------------------------------------------------------------------------- */

static int read_meta(FILE *f, const member *m, json_t **meta)
{
    char *text = m->method == 0 && m->size <= MAX_META && *meta == NULL ? malloc((size_t)m->size + 1) : NULL;
    if (text == NULL) return -1;
    if (fread(text, 1, (size_t)m->size, f) == m->size) *meta = json_loadb(text, (size_t)m->size, 0, NULL);
    free(text);
    return json_is_object(*meta) ? 0 : -1;
}

static const char *type_name(const char *dict, char other[8])
{
    const char *at = strstr(dict, "'descr': '");
    snprintf(other, 8, "%.*s", at != NULL ? (int)strcspn(at + 10, "'") : 0, at != NULL ? at + 10 : "");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].numpy, other) == 0) return types[i].name;
    return other;
}

/* {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } as "f32 [3,4]". */
static void describe(const char *dict, char *out, size_t size)
{
    char other[8];
    const char *shape = strstr(dict, "'shape': (");
    size_t n = (size_t)snprintf(out, size, "%s [", type_name(dict, other));
    for (const char *p = shape != NULL ? shape + 10 : ")"; *p != ')' && *p != '\0' && n + 2 < size; p++)
        if ((*p >= '0' && *p <= '9') || (*p == ',' && p[1] != ')')) out[n++] = *p;
    snprintf(out + n, size - n, "]");
}

static int read_array(FILE *f, const member *m, json_t *tensors)
{
    uint8_t head[10];
    char dict[MAX_NPY_HEADER + 1], text[160], name[MAX_NAME + 1];
    if (m->method != 0 || m->size < sizeof head || fread(head, 1, sizeof head, f) != sizeof head) return -1;
    size_t n = (size_t)load(head + 8, 2);
    if (memcmp(head, "\x93NUMPY\x01", 7) != 0 || n > MAX_NPY_HEADER || n + sizeof head > m->size) return -1;
    if (fread(dict, 1, n, f) != n) return -1;
    dict[n] = '\0';
    describe(dict, text, sizeof text);
    snprintf(name, sizeof name, "%.*s", (int)strlen(m->name) - 4, m->name);
    return json_object_set_new(tensors, name, json_string(text));
}

static int read_member(FILE *f, const member *m, json_t **meta, json_t *tensors)
{
    size_t n = strlen(m->name);
    if (strcmp(m->name, "metadata.json") == 0) return read_meta(f, m, meta);
    return n > 4 && strcmp(m->name + n - 4, ".npy") == 0 ? read_array(f, m, tensors) : 0;
}

int cli_npz_read(const char *path, json_t **meta, json_t *tensors, char *why, size_t size)
{
    member m = {.name = ""};
    FILE *f = fopen(path, "rb");
    *meta = NULL;
    if (f == NULL) {
        snprintf(why, size, "%s", strerror(errno));
        return -1;
    }
    int rc, n = 0;
    while ((rc = next_member(f, &m)) == 1) {
        off_t data = ftello(f), end;
        if (__builtin_add_overflow(data, m.size, &end) || read_member(f, &m, meta, tensors) != 0 ||
            fseeko(f, end, SEEK_SET) != 0) {
            rc = -1;
            break;
        }
        n++;
    }
    fclose(f);
    if (rc == 0 && n > 0 && json_object_size(tensors) > 0) return 0;
    json_decref(*meta);
    *meta = NULL;
    snprintf(why, size, "not an archive of stored numpy arrays, or cut off, at member %d '%.60s'", n + 1, m.name);
    return -1;
}

/* ---- arrays ---------------------------------------------------------------------------------------------------- */

/* The member's bytes go to fn; the file stands behind them afterwards. */
static int visit_member(FILE *f, int64_t file_size, const char *path, const member *m, cli_npz_fn fn, void *user,
                        pare_error *err)
{
    char name[MAX_NAME + 1];
    const size_t n = strlen(m->name);
    const off_t at = ftello(f);
    if (at < 0 || (int64_t)m->size > file_size - at)
        return pare_fail(err, PARE_E_FORMAT, "%.120s: cut off in '%.60s'", path, m->name);
    if (n <= 4 || strcmp(m->name + n - 4, ".npy") != 0) return fseeko(f, (off_t)m->size, SEEK_CUR) == 0 ? 0 : PARE_E_IO;
    if (m->method != 0)
        return pare_fail(err, PARE_E_UNSUPPORTED, "%.120s: '%.60s' is compressed; save with numpy.savez", path,
                         m->name);
    uint8_t *bytes = malloc((size_t)m->size + 1);
    if (bytes == NULL) return pare_fail(err, PARE_E_NOMEM, "%.120s: out of memory for '%.60s'", path, m->name);
    snprintf(name, sizeof name, "%.*s", (int)n - 4, m->name);
    int rc = fread(bytes, 1, (size_t)m->size, f) == m->size
                 ? 0
                 : pare_fail(err, PARE_E_IO, "%.120s: cannot read '%.60s'", path, m->name);
    if (rc == 0) rc = fn(user, name, bytes, (int64_t)m->size, err);
    free(bytes);
    return rc;
}

int cli_npz_each(const char *path, cli_npz_fn fn, void *user, pare_error *err)
{
    member m = {.name = ""};
    FILE *f = fopen(path, "rb");
    if (f == NULL) return pare_fail(err, PARE_E_IO, "cannot open %.120s: %s", path, strerror(errno));
    int rc = fseeko(f, 0, SEEK_END), more = 1, n = 0;
    const int64_t size = rc == 0 ? ftello(f) : -1;
    if (size < 0) rc = pare_fail(err, PARE_E_IO, "cannot read %.120s: %s", path, strerror(errno));
    rewind(f);
    for (; rc == 0 && (more = next_member(f, &m)) == 1; n++) rc = visit_member(f, size, path, &m, fn, user, err);
    if (rc == 0 && (more < 0 || n == 0))
        rc = pare_fail(err, PARE_E_FORMAT, "%.120s: not an archive of numpy arrays, or cut off, at member %d", path,
                       n + 1);
    fclose(f);
    return rc;
}
