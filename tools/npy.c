/* SPDX-License-Identifier: MIT */
/* The .npy format, versions 1 to 3: magic, version, length of the header, a Python dictionary, dense little-endian data.
 * Source: numpy/lib/format.py, NEP 1. */
#include "npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PREFIX = 8, MAX_DICT = 4096 };

#define MAX_FILE ((int64_t)4 << 30)

/* numpy's names of types and ours. */
static const struct {
    const char *numpy;
    int32_t dtype, size;
} types[] = {{"<f4", PARE_F32, 4}, {"<f2", PARE_F16, 2}, {"<f8", PARE_F64, 8}, {"<i4", PARE_I32, 4},
             {"<i8", PARE_I64, 8}, {"|u1", PARE_U8, 1},  {"|i1", PARE_I8, 1},  {"|b1", PARE_BOOL, 1}};

/* ---- header ---------------------------------------------------------------------------------------------------- */

/* What follows "'key':" in the dictionary, blanks skipped; NULL if the key is not there. */
static const char *value_of(const char *dict, const char *key)
{
    const char *at = strstr(dict, key);
    return at != NULL ? at + strlen(key) + strspn(at + strlen(key), " ") : NULL;
}

static int take_type(const char *name, const char *dict, int32_t *dtype, int32_t *size, pare_error *err)
{
    const char *at = value_of(dict, "'descr':");
    if (at == NULL) return pare_fail(err, PARE_E_FORMAT, "%.120s: the header has no 'descr'", name);
    const int n = at[0] == '\'' ? (int)strcspn(at + 1, "'") : -1;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (n == 3 && memcmp(types[i].numpy, at + 1, 3) == 0) {
            *dtype = types[i].dtype;
            *size = types[i].size;
            return 0;
        }
    if (n < 0) return pare_fail(err, PARE_E_UNSUPPORTED, "%.120s: a structured type", name);
    return pare_fail(err, PARE_E_UNSUPPORTED, "%.120s: type '%.*s'%s; f2, f4, f8, i1, i4, i8, u1 and bool are read",
                     name, n > 16 ? 16 : n, at + 1, at[1] == '>' ? " (big-endian)" : "");
}

/* "(3, 4)" into t->shape. */
static int take_shape(const char *name, const char *dict, pare_tensor *t, pare_error *err)
{
    const char *at = value_of(dict, "'shape':");
    int64_t count = 1;
    if (at == NULL || *at != '(') return pare_fail(err, PARE_E_FORMAT, "%.120s: the header has no 'shape'", name);
    for (at++; *(at += strspn(at, " ,")) != ')';) {
        char *end;
        errno = 0;
        const long long side = strtoll(at, &end, 10);
        if (end == at || errno != 0 || side < 0)
            return pare_fail(err, PARE_E_FORMAT, "%.120s: a shape of '%.40s'", name, at);
        if (t->n_dim == PARE_MAX_DIMS)
            return pare_fail(err, PARE_E_LIMIT, "%.120s: more than %d axes", name, PARE_MAX_DIMS);
        if (__builtin_mul_overflow(count, (int64_t)(side > 0 ? side : 1), &count) || count > MAX_FILE)
            return pare_fail(err, PARE_E_LIMIT, "%.120s: more than %lld values", name, (long long)MAX_FILE);
        t->shape[t->n_dim++] = side;
        at = end;
    }
    return 0;
}

/* Length of the dictionary, which begins at *start; -1 for anything that is no npy file. */
static int64_t dict_size(const uint8_t *bytes, int64_t size, int64_t *start)
{
    if (size < PREFIX + 4 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3) return -1;
    const int wide = bytes[6] > 1;
    int64_t n = bytes[8] | (int64_t)bytes[9] << 8;
    if (wide) n |= (int64_t)bytes[10] << 16 | (int64_t)bytes[11] << 24;
    *start = PREFIX + (wide ? 4 : 2);
    return n;
}

static int take_dict(const char *name, const char *dict, int64_t n_data, pare_tensor *t, pare_error *err)
{
    int32_t size = 0;
    const char *order = value_of(dict, "'fortran_order':");
    int rc = take_type(name, dict, &t->dtype, &size, err);
    if (rc == 0) rc = take_shape(name, dict, t, err);
    if (rc != 0) return rc;
    if (order == NULL || (strncmp(order, "False", 5) != 0 && t->n_dim > 1))
        return pare_fail(err, PARE_E_UNSUPPORTED, "%.120s: Fortran order; save numpy.ascontiguousarray(x)", name);
    int64_t want = size;
    for (int32_t i = 0; i < t->n_dim; i++) want *= t->shape[i];
    if (n_data == want) return 0;
    return pare_fail(err, PARE_E_FORMAT, "%.120s: %lld bytes of data, the shape needs %lld", name, (long long)n_data,
                     (long long)want);
}

int cli_npy_parse(const char *name, const uint8_t *bytes, int64_t size, pare_tensor *out, pare_error *err)
{
    char dict[MAX_DICT + 1];
    int64_t start = 0, n = dict_size(bytes, size, &start);
    if (n < 0) return pare_fail(err, PARE_E_FORMAT, "%.120s: not a numpy array (npy versions 1 to 3)", name);
    if (n > MAX_DICT)
        return pare_fail(err, PARE_E_LIMIT, "%.120s: a header of %lld bytes, limit %d", name, (long long)n, MAX_DICT);
    if (n > size - start)
        return pare_fail(err, PARE_E_FORMAT, "%.120s: cut off in its header, after %lld bytes", name, (long long)size);
    memcpy(dict, bytes + start, (size_t)n);
    dict[n] = '\0';
    *out = (pare_tensor){.name = name, .data = bytes + start + n};
    return take_dict(name, dict, size - start - n, out, err);
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static int read_all(const char *path, FILE *f, int64_t *size, uint8_t **bytes, pare_error *err)
{
    struct stat st;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode))
        return pare_fail(err, PARE_E_IO, "%.120s: not a regular file", path);
    if (st.st_size > MAX_FILE)
        return pare_fail(err, PARE_E_LIMIT, "%.120s: %lld bytes, limit %lld", path, (long long)st.st_size,
                         (long long)MAX_FILE);
    *size = st.st_size;
    *bytes = malloc((size_t)st.st_size + 1);
    if (*bytes == NULL) return pare_fail(err, PARE_E_NOMEM, "%.120s: out of memory", path);
    if (fread(*bytes, 1, (size_t)st.st_size, f) == (size_t)st.st_size) return 0;
    return pare_fail(err, PARE_E_IO, "cannot read %.120s: %s", path, strerror(errno));
}

int cli_npy_read(const char *path, cli_npy *out, pare_error *err)
{
    int64_t size = 0;
    *out = (cli_npy){0};
    FILE *f = fopen(path, "rb");
    if (f == NULL) return pare_fail(err, PARE_E_IO, "cannot open %.120s: %s", path, strerror(errno));
    int rc = read_all(path, f, &size, &out->bytes, err);
    if (rc == 0) rc = cli_npy_parse(path, out->bytes, size, &out->t, err);
    fclose(f);
    if (rc != 0) cli_npy_free(out);
    return rc;
}

void cli_npy_free(cli_npy *a)
{
    free(a->bytes);
    *a = (cli_npy){0};
}

const char *cli_shape_text(const pare_tensor *t, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "[");
    for (int32_t i = 0; i < t->n_dim && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i > 0 ? "," : "", (long long)t->shape[i]);
    if (n < size) snprintf(out + n, size - n, "]");
    return out;
}
