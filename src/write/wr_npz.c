/* SPDX-License-Identifier: MIT */
/* npz: a zip archive of .npy members, stored, with fixed dates: the same tensors give the same bytes. Metadata is the
 * member metadata.json. Sizes and checksums stand before the data (each tensor is read twice), so that the archive can
 * go to a pipe; members or offsets of 4 GiB and more use zip64.
 * Source: PKWARE APPNOTE 6.3.9 (4.3.7, 4.3.12, 4.3.14-16, 4.5.3); NEP 1 (npy 1.0). */
#include "write/writer.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/mem.h"
#include "write/atomic.h"

enum { NPY_ALIGN = 64, NPY_MAX = 512, MEMBER_NAME = 80, RECORD_MAX = 256, DATE_1980_01_01 = 0x21, UTF8_NAMES = 0x800 };
#define ZIP32_MAX UINT32_MAX

static const char *const npy_type[PARE_DTYPE_COUNT] = {
    [PARE_F32] = "<f4", [PARE_F16] = "<f2", [PARE_F64] = "<f8", [PARE_I32] = "<i4",
    [PARE_I64] = "<i8", [PARE_U8] = "|u1",  [PARE_I8] = "|i1",  [PARE_BOOL] = "|b1",
};

typedef struct member {
    char name[MEMBER_NAME];
    uint64_t size, offset;
    uint32_t crc;
} member;

typedef struct archive {
    int fd;
    const char *path;
    uint64_t offset;
    member *m; /* [n] */
    int64_t n;
} archive;

static int put(archive *a, const void *bytes, size_t n, pare_error *err)
{
    a->offset += n;
    return pare__fd_write(a->fd, bytes, n, a->path, err);
}

static int put_piece(void *arg, const void *bytes, size_t n, pare_error *err) { return put(arg, bytes, n, err); }

static int sum_piece(void *arg, const void *bytes, size_t n, pare_error *err)
{
    member *m = arg;
    (void)err;
    m->crc = (uint32_t)crc32_z(m->crc, bytes, n);
    return 0;
}

/* ---- records: little-endian fields, one after another -------------------------------------------------------- */

typedef struct record {
    uint8_t bytes[RECORD_MAX];
    size_t n;
} record;

static void field(record *r, int width, uint64_t value)
{
    for (int i = 0; i < width; i++) r->bytes[r->n++] = (uint8_t)(value >> (8 * i));
}

static uint64_t clip32(uint64_t value) { return value < ZIP32_MAX ? value : ZIP32_MAX; }

/* What a local header and an entry of the directory have in common: needed version .. lengths of name and extra. */
static void common_fields(record *r, const member *m, int is_big, size_t n_extra)
{
    field(r, 2, is_big ? 45 : 20);
    field(r, 2, UTF8_NAMES);
    field(r, 2, 0); /* stored */
    field(r, 2, 0);
    field(r, 2, DATE_1980_01_01);
    field(r, 4, m->crc);
    field(r, 4, clip32(m->size));
    field(r, 4, clip32(m->size));
    field(r, 2, strlen(m->name));
    field(r, 2, n_extra);
}

static void name_field(record *r, const member *m)
{
    memcpy(r->bytes + r->n, m->name, strlen(m->name));
    r->n += strlen(m->name);
}

static int put_local(archive *a, const member *m, pare_error *err)
{
    record r = {.n = 0};
    const int is_big = m->size >= ZIP32_MAX;
    field(&r, 4, 0x04034b50);
    common_fields(&r, m, is_big, is_big ? 20 : 0);
    name_field(&r, m);
    if (is_big) {
        field(&r, 2, 1);
        field(&r, 2, 16);
        field(&r, 8, m->size);
        field(&r, 8, m->size);
    }
    return put(a, r.bytes, r.n, err);
}

static int put_entry(archive *a, const member *m, pare_error *err)
{
    record r = {.n = 0};
    const int is_big = m->size >= ZIP32_MAX, is_far = m->offset >= ZIP32_MAX;
    const size_t n_extra = (size_t)(16 * is_big + 8 * is_far);
    field(&r, 4, 0x02014b50);
    field(&r, 2, 3 << 8 | 45); /* made on Unix */
    common_fields(&r, m, is_big || is_far, n_extra > 0 ? n_extra + 4 : 0);
    field(&r, 2, 0); /* no comment, disk 0, no internal attributes */
    field(&r, 2, 0);
    field(&r, 2, 0);
    field(&r, 4, (uint64_t)0100644 << 16);
    field(&r, 4, clip32(m->offset));
    name_field(&r, m);
    if (n_extra > 0) {
        field(&r, 2, 1);
        field(&r, 2, n_extra);
    }
    if (is_big) {
        field(&r, 8, m->size);
        field(&r, 8, m->size);
    }
    if (is_far) field(&r, 8, m->offset);
    return put(a, r.bytes, r.n, err);
}

static void end_zip64(record *r, uint64_t n, uint64_t start, uint64_t size)
{
    field(r, 4, 0x06064b50);
    field(r, 8, 44);
    field(r, 2, 3 << 8 | 45);
    field(r, 2, 45);
    field(r, 4, 0);
    field(r, 4, 0);
    field(r, 8, n);
    field(r, 8, n);
    field(r, 8, size);
    field(r, 8, start);
    field(r, 4, 0x07064b50);
    field(r, 4, 0);
    field(r, 8, start + size);
    field(r, 4, 1);
}

/* The directory of members, then where it is. */
static int put_directory(archive *a, pare_error *err)
{
    const uint64_t start = a->offset;
    int rc = 0;
    for (int64_t i = 0; i < a->n && rc == 0; i++) rc = put_entry(a, &a->m[i], err);
    if (rc != 0) return rc;
    const uint64_t size = a->offset - start;
    record r = {.n = 0};
    if (start >= ZIP32_MAX) end_zip64(&r, (uint64_t)a->n, start, size);
    field(&r, 4, 0x06054b50);
    field(&r, 2, 0);
    field(&r, 2, 0);
    field(&r, 2, (uint64_t)a->n);
    field(&r, 2, (uint64_t)a->n);
    field(&r, 4, size);
    field(&r, 4, clip32(start));
    field(&r, 2, 0);
    return put(a, r.bytes, r.n, err);
}

/* ---- members ------------------------------------------------------------------------------------------------- */

/* {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } padded with spaces and a newline to 64 bytes. */
static size_t npy_header(const pare__spool_tensor *t, char out[NPY_MAX])
{
    char dict[NPY_MAX];
    int n = snprintf(dict, sizeof dict, "{'descr': '%s', 'fortran_order': False, 'shape': (", npy_type[t->dtype]);
    for (int32_t i = 0; i < t->n_dim; i++)
        n += snprintf(dict + n, sizeof dict - (size_t)n, "%" PRId64 "%s", t->shape[i], i + 1 < t->n_dim ? ", " : "");
    n += snprintf(dict + n, sizeof dict - (size_t)n, "%s), }", t->n_dim == 1 ? "," : "");
    const size_t total = ((size_t)n + 11 + NPY_ALIGN - 1) / NPY_ALIGN * NPY_ALIGN;
    memcpy(out, "\x93NUMPY\x01\x00", 8);
    out[8] = (char)((total - 10) & 0xFF);
    out[9] = (char)((total - 10) >> 8);
    memcpy(out + 10, dict, (size_t)n);
    memset(out + 10 + n, ' ', total - 11 - (size_t)n);
    out[total - 1] = '\n';
    return total;
}

/* `head` [n_head], then the data of `t` unless it is NULL. */
static int put_member(archive *a, member *m, const char *head, size_t n_head, const pare__spool_tensor *t,
                      pare_error *err)
{
    m->offset = a->offset;
    m->size = n_head + (t != NULL ? (uint64_t)t->n_bytes : 0);
    m->crc = (uint32_t)crc32_z(0, (const uint8_t *)head, n_head);
    int rc = t != NULL ? pare__spool_read(t, sum_piece, m, err) : 0;
    if (rc == 0) rc = put_local(a, m, err);
    if (rc == 0) rc = put(a, head, n_head, err);
    if (rc == 0 && t != NULL) rc = pare__spool_read(t, put_piece, a, err);
    return rc;
}

static int put_tensor(archive *a, const pare__spool_tensor *t, pare_error *err)
{
    char head[NPY_MAX];
    if (npy_type[t->dtype] == NULL)
        return pare_fail(err, PARE_E_UNSUPPORTED, "%s: numpy has no type for tensor %s", a->path, t->name);
    member *m = &a->m[a->n++];
    snprintf(m->name, sizeof m->name, "%s.npy", t->name);
    return put_member(a, m, head, npy_header(t, head), t, err);
}

static int put_metadata(archive *a, const pare__spool *s, pare_error *err)
{
    json_t *root = json_object();
    char *text = NULL;
    int rc = 0;
    for (int64_t i = 0; i < s->n_meta && rc == 0; i++)
        if (json_object_set_new(root, s->meta[i][0], pare__meta_text(s->meta[i][1])) != 0)
            rc = pare_fail(err, PARE_E_INVALID, "%s: metadata key '%s' is not UTF-8", a->path, s->meta[i][0]);
    if (rc == 0) text = json_dumps(root, JSON_COMPACT);
    if (rc == 0 && text == NULL) rc = pare_fail(err, PARE_E_NOMEM, "out of memory for the metadata of %s", a->path);
    if (rc == 0) {
        member *m = &a->m[a->n++];
        snprintf(m->name, sizeof m->name, "metadata.json");
        rc = put_member(a, m, text, strlen(text), NULL, err);
    }
    free(text);
    json_decref(root);
    return rc;
}

static int publish(const pare__spool *s, int fd, const char *path, pare_error *err)
{
    archive a = {.fd = fd, .path = path, .m = PARE__NEW(member, s->n + 1)};
    if (a.m == NULL) return pare_fail(err, PARE_E_NOMEM, "out of memory for the directory of %s", path);
    int rc = put_metadata(&a, s, err);
    for (int64_t i = 0; i < s->n && rc == 0; i++) rc = put_tensor(&a, &s->t[i], err);
    if (rc == 0) rc = put_directory(&a, err);
    pare__free(a.m);
    return rc;
}

const pare__writer_format pare__writer_npz = {
    .name = "npz",
    .suffix = ".npz",
    .summary = "numpy arrays in a zip archive",
    .publish = publish,
};
