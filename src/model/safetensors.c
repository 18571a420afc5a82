/* SPDX-License-Identifier: MIT */
/* safetensors: u64 header length N, N bytes of JSON {name: {dtype, shape, data_offsets}}, then the data. Every rule of
 * the reference reader (safetensors/src/tensor.rs) is kept, in its order, and hardened: no NUL in names, integers
 * only, at most PARE_MAX_DIMS dimensions. Offsets are relative to the data; tensors tile it without hole or overlap. */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "model/tensorfile.h"

#define MAX_EXTENT ((json_int_t)1 << 48) /* a dimension, an offset */

typedef struct span {
    int64_t begin, end;
    const char *name;
} span;

static uint64_t load_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

/* The JSON header as an object; *data = where tensor bytes start. */
static int read_header(json_t **header, size_t *data, const char *path, const uint8_t *bytes, size_t size,
                       pare_error *err)
{
    json_error_t at;
    if (size < 8) return pare_fail(err, PARE_E_FORMAT, "%s: %zu bytes are too few for a safetensors file", path, size);
    uint64_t n = load_u64(bytes);
    if (n > PARE__MAX_HEADER && bytes[8 < size ? 8 : 0] != '{')
        return pare_fail(err, PARE_E_FORMAT, "%s: not a safetensors or GGUF file", path);
    if (n > size - 8)
        return pare_fail(err, PARE_E_FORMAT, "%s: header of %llu bytes in a file of %zu", path, (unsigned long long)n,
                         size);
    if (n > PARE__MAX_HEADER)
        return pare_fail(err, PARE_E_LIMIT, "%s: header of %llu bytes, at most %d are read", path,
                         (unsigned long long)n, PARE__MAX_HEADER);
    if (n == 0 || bytes[8] != '{') return pare_fail(err, PARE_E_FORMAT, "%s: header does not start with {", path);
    *header = json_loadb((const char *)bytes + 8, (size_t)n, JSON_REJECT_DUPLICATES, &at);
    if (!*header) return pare_fail(err, PARE_E_FORMAT, "%s: header: %s at byte %d", path, at.text, at.position);
    *data = 8 + (size_t)n;
    return 0;
}

static int take_meta(pare_tensors *t, json_t *header, pare_error *err)
{
    const char *key;
    json_t *value, *meta = json_object_get(header, "__metadata__");
    if (!meta) return 0;
    if (!json_is_object(meta)) return pare_fail(err, PARE_E_FORMAT, "%s: __metadata__ is no object", t->path);
    json_object_foreach(meta, key, value) if (!json_is_string(value)) return pare_fail(
        err, PARE_E_FORMAT, "%s: __metadata__: %.80s is no string", t->path, key);
    t->meta = json_incref(meta);
    return 0;
}

static int take_extent(const json_t *value, int64_t *out)
{
    json_int_t v = json_integer_value(value);
    if (!json_is_integer(value) || v < 0 || v > MAX_EXTENT) return -1;
    *out = (int64_t)v;
    return 0;
}

static int take_shape(const pare_tensors *t, const json_t *shape, pare_tensor *tensor, pare_error *err)
{
    size_t n = json_array_size(shape);
    if (!json_is_array(shape))
        return pare_fail(err, PARE_E_FORMAT, "%s: tensor %.80s: no shape", t->path, tensor->name);
    if (n > PARE_MAX_DIMS)
        return pare_fail(err, PARE_E_LIMIT, "%s: tensor %.80s: %zu dimensions, at most %d", t->path, tensor->name, n,
                         PARE_MAX_DIMS);
    tensor->n_dim = (int32_t)n;
    for (size_t i = 0; i < n; i++)
        if (take_extent(json_array_get(shape, i), &tensor->shape[i]))
            return pare_fail(err, PARE_E_FORMAT, "%s: tensor %.80s: dimension %zu is no integer in 0..2^48", t->path,
                             tensor->name, i);
    return 0;
}

static int take_span(const pare_tensors *t, const json_t *offsets, const pare_tensor *tensor, int64_t n_bytes,
                     span *out, pare_error *err)
{
    if (json_array_size(offsets) != 2 || take_extent(json_array_get(offsets, 0), &out->begin) ||
        take_extent(json_array_get(offsets, 1), &out->end) || out->end < out->begin)
        return pare_fail(err, PARE_E_FORMAT, "%s: tensor %.80s: data_offsets are not two ascending integers", t->path,
                         tensor->name);
    if (out->end - out->begin != n_bytes)
        return pare_fail(err, PARE_E_FORMAT, "%s: tensor %.80s: %lld bytes, its shape needs %lld", t->path,
                         tensor->name, (long long)(out->end - out->begin), (long long)n_bytes);
    out->name = tensor->name;
    return 0;
}

static int take_tensor(pare_tensors *t, const char *name, const json_t *entry, span *out, pare_error *err)
{
    pare_tensor *tensor = &t->t[t->n];
    const char *dtype = json_string_value(json_object_get(entry, "dtype"));
    if (strlen(name) > PARE__MAX_NAME)
        return pare_fail(err, PARE_E_LIMIT, "%s: a tensor name of %zu bytes, at most %d", t->path, strlen(name),
                         PARE__MAX_NAME);
    if (!(tensor->name = pare__tensors_name(t, name, strlen(name))))
        return pare_fail(err, PARE_E_NOMEM, "%s: no memory for tensor names", t->path);
    tensor->dtype = dtype ? pare__dtype_from_name(dtype) : -1;
    if (tensor->dtype < 0)
        return pare_fail(err, PARE_E_FORMAT, "%s: tensor %.80s: unknown dtype %.20s", t->path, name,
                         dtype ? dtype : "(none)");
    int rc = take_shape(t, json_object_get(entry, "shape"), tensor, err);
    if (!rc) rc = pare__tensors_measure(t, tensor, &t->n_bytes[t->n], err);
    if (!rc) rc = take_span(t, json_object_get(entry, "data_offsets"), tensor, t->n_bytes[t->n], out, err);
    if (!rc) t->n++;
    return rc;
}

static int compare_spans(const void *a, const void *b)
{
    const span *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Sorted spans must tile [0, n_data) exactly. Sorts in place. */
static int check_tiling(const char *path, span *s, int64_t n, int64_t n_data, pare_error *err)
{
    int64_t at = 0;
    qsort(s, (size_t)n, sizeof *s, compare_spans);
    for (int64_t i = 0; i < n; i++) {
        if (s[i].begin != at)
            return pare_fail(err, PARE_E_FORMAT, "%s: tensor %.80s: starts at byte %lld of the data, expected %lld",
                             path, s[i].name, (long long)s[i].begin, (long long)at);
        at = s[i].end;
    }
    if (at != n_data)
        return pare_fail(err, PARE_E_FORMAT, "%s: tensors take %lld bytes, the file holds %lld", path, (long long)at,
                         (long long)n_data);
    return 0;
}

/* data = file bytes behind the header, n_data of them. */
static int take_all(pare_tensors *t, json_t *header, const uint8_t *data, int64_t n_data, pare_error *err)
{
    const char *name;
    json_t *entry;
    span *spans = PARE__NEW(span, json_object_size(header) + 1);
    if (!spans) return pare_fail(err, PARE_E_NOMEM, "%s: no memory for %zu tensors", t->path, json_object_size(header));
    int rc = take_meta(t, header, err);
    json_object_foreach(header, name, entry)
    {
        if (rc) break;
        if (!strcmp(name, "__metadata__")) continue;
        rc = take_tensor(t, name, entry, &spans[t->n], err);
        if (!rc) t->t[t->n - 1].data = data + (spans[t->n - 1].begin <= n_data ? spans[t->n - 1].begin : 0);
    }
    if (!rc) rc = check_tiling(t->path, spans, t->n, n_data, err);
    pare__free(spans);
    return rc;
}

int pare__safetensors_parse(pare_tensors **out, const char *path, const uint8_t *bytes, size_t size, pare_error *err)
{
    json_t *header = NULL;
    size_t data = 0;
    *out = NULL;
    int rc = read_header(&header, &data, path, bytes, size, err);
    if (rc) return rc;
    size_t n = json_object_size(header);
    if (n > PARE__MAX_TENSORS)
        rc = pare_fail(err, PARE_E_LIMIT, "%s: %zu tensors, at most %d", path, n, PARE__MAX_TENSORS);
    if (!rc) rc = pare__tensors_create(out, path, (int64_t)n, err);
    if (!rc) rc = take_all(*out, header, bytes + data, (int64_t)(size - data), err);
    if (!rc) rc = pare__tensors_index(*out, err);
    if (rc) pare__tensors_free(out);
    json_decref(header);
    return rc;
}
