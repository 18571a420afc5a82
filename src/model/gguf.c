/* SPDX-License-Identifier: MIT */
/* GGUF v2 and v3 (little-endian): magic, version, counts, key-values, tensor infos, padding, data. Source: the format
 * description in ggml/include/gguf.h. Dimensions are stored fastest first and are reversed here into PyTorch order.
 * Counts and lengths are compared with what is left of the file before anything is allocated. */
#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "model/tensorfile.h"

enum {
    KV_U8,
    KV_I8,
    KV_U16,
    KV_I16,
    KV_U32,
    KV_I32,
    KV_F32,
    KV_BOOL,
    KV_STRING,
    KV_ARRAY,
    KV_U64,
    KV_I64,
    KV_F64,
    KV_COUNT
};
enum { MIN_KV_BYTES = 13, MIN_INFO_BYTES = 24, MAX_GGUF_DIMS = 4, DEFAULT_ALIGNMENT = 32 };

/* Bytes of a value; 0 = of variable size. */
static const uint8_t kv_bytes[KV_COUNT] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

typedef struct reader {
    const char *path;
    const uint8_t *bytes;
    size_t size, at;
    int64_t n_value; /* metadata values kept so far */
    pare_error *err;
} reader;

typedef struct header {
    uint32_t version;
    int64_t n_tensor, n_kv;
    uint64_t alignment;
} header;

/* The next n bytes, or NULL when the file ends before. */
static const uint8_t *take(reader *r, uint64_t n)
{
    if (n > r->size - r->at) return NULL;
    const uint8_t *p = r->bytes + r->at;
    r->at += (size_t)n;
    return p;
}

static uint64_t load(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = n - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

static int truncated(reader *r, const char *what)
{
    return pare_fail(r->err, PARE_E_FORMAT, "%s: file of %zu bytes ends inside %s", r->path, r->size, what);
}

static int take_uint(reader *r, int n, uint64_t *out, const char *what)
{
    const uint8_t *p = take(r, (uint64_t)n);
    if (!p) return truncated(r, what);
    *out = load(p, n);
    return 0;
}

/* A counted string, borrowed from the file. */
static int take_string(reader *r, const char **text, size_t *size, const char *what)
{
    uint64_t n = 0;
    int rc = take_uint(r, 8, &n, what);
    if (rc) return rc;
    *text = (const char *)take(r, n);
    *size = (size_t)n;
    return *text ? 0 : truncated(r, what);
}

/* A string that is used as a name: NUL-terminated copy in out[PARE__MAX_NAME + 1]. */
static int take_name(reader *r, char *out, const char *what)
{
    const char *text;
    size_t size;
    int rc = take_string(r, &text, &size, what);
    if (rc) return rc;
    if (size > PARE__MAX_NAME)
        return pare_fail(r->err, PARE_E_LIMIT, "%s: %s of %zu bytes, at most %d", r->path, what, size, PARE__MAX_NAME);
    if (size == 0 || memchr(text, 0, size))
        return pare_fail(r->err, PARE_E_FORMAT, "%s: %s is empty or holds a NUL", r->path, what);
    memcpy(out, text, size);
    out[size] = 0;
    return 0;
}

/* ---- key-values ---------------------------------------------------------------------------------------------- */

static json_t *real_or_null(double v) { return isfinite(v) ? json_real(v) : json_null(); }

static json_t *scalar_json(uint32_t type, const uint8_t *p)
{
    uint64_t v = load(p, kv_bytes[type]);
    float f32;
    double f64;
    switch (type) {
    case KV_I8:
        return json_integer((int8_t)v);
    case KV_I16:
        return json_integer((int16_t)v);
    case KV_I32:
        return json_integer((int32_t)v);
    case KV_BOOL:
        return json_boolean(v != 0);
    case KV_F32:
        memcpy(&f32, p, 4);
        return real_or_null((double)f32);
    case KV_F64:
        memcpy(&f64, p, 8);
        return real_or_null(f64);
    case KV_U64:
        return v > INT64_MAX ? json_real((double)v) : json_integer((json_int_t)v);
    default:
        return json_integer((json_int_t)v);
    }
}

/* One scalar or string. Errors: FORMAT, NOMEM. */
static int take_value(reader *r, uint32_t type, json_t **out, const char *key)
{
    const char *text;
    size_t size;
    if (type != KV_STRING) {
        const uint8_t *p = take(r, kv_bytes[type]);
        if (!p) return truncated(r, "a value");
        *out = scalar_json(type, p);
    } else {
        int rc = take_string(r, &text, &size, "a string");
        if (rc) return rc;
        *out = json_stringn(text, size);
    }
    if (!*out) return pare_fail(r->err, PARE_E_FORMAT, "%s: key %.80s: text is not UTF-8", r->path, key);
    return 0;
}

static int skip_strings(reader *r, uint64_t n)
{
    const char *text;
    size_t size;
    int rc = 0;
    for (uint64_t i = 0; i < n && !rc; i++) rc = take_string(r, &text, &size, "an array of strings");
    return rc;
}

/* Arrays too long to be configuration (vocabularies) are checked and stepped over: they become null. */
static int skip_array(reader *r, uint32_t type, uint64_t n, json_t **out)
{
    *out = json_null();
    if (type == KV_STRING) return skip_strings(r, n);
    return take(r, n * kv_bytes[type]) ? 0 : truncated(r, "an array");
}

static int take_array(reader *r, json_t **out, const char *key)
{
    uint64_t type = 0, n = 0;
    int rc = take_uint(r, 4, &type, "an array");
    if (!rc) rc = take_uint(r, 8, &n, "an array");
    if (rc) return rc;
    if (type >= KV_COUNT || type == KV_ARRAY)
        return pare_fail(r->err, PARE_E_FORMAT, "%s: key %.80s: array of type %u", r->path, key, (unsigned)type);
    uint64_t least = type == KV_STRING ? 8 : kv_bytes[type];
    if (n > (r->size - r->at) / least) return truncated(r, "an array");
    if (n > (uint64_t)(PARE__MAX_META - r->n_value)) return skip_array(r, (uint32_t)type, n, out);
    r->n_value += (int64_t)n;
    *out = json_array();
    for (uint64_t i = 0; i < n && !rc; i++) {
        json_t *value = NULL;
        rc = take_value(r, (uint32_t)type, &value, key);
        if (!rc) json_array_append_new(*out, value);
    }
    return rc;
}

static int take_kv(reader *r, json_t *meta)
{
    char key[PARE__MAX_NAME + 1];
    uint64_t type = 0;
    json_t *value = NULL;
    int rc = take_name(r, key, "a key");
    if (!rc) rc = take_uint(r, 4, &type, "a key");
    if (rc) return rc;
    if (type >= KV_COUNT)
        return pare_fail(r->err, PARE_E_FORMAT, "%s: key %.80s has type %u", r->path, key, (unsigned)type);
    if (json_object_get(meta, key)) return pare_fail(r->err, PARE_E_FORMAT, "%s: key %.80s twice", r->path, key);
    rc = type == KV_ARRAY ? take_array(r, &value, key) : take_value(r, (uint32_t)type, &value, key);
    if (rc) {
        json_decref(value);
        return rc;
    }
    if (json_object_set_new(meta, key, value))
        return pare_fail(r->err, PARE_E_FORMAT, "%s: key %.80s is not UTF-8", r->path, key);
    return 0;
}

/* ---- header -------------------------------------------------------------------------------------------------- */

static int check_version(const reader *r, uint32_t version)
{
    if (version != 0 && (version & 0xffff) == 0)
        return pare_fail(r->err, PARE_E_UNSUPPORTED, "%s: a big-endian GGUF", r->path);
    if (version == 0) return pare_fail(r->err, PARE_E_FORMAT, "%s: GGUF version 0", r->path);
    if (version != 2 && version != 3)
        return pare_fail(r->err, PARE_E_UNSUPPORTED, "%s: GGUF version %u, only 2 and 3 are read", r->path, version);
    return 0;
}

static int check_count(const reader *r, int64_t n, int least, int64_t most, const char *what)
{
    if (n < 0 || (uint64_t)n > (r->size - r->at) / (uint64_t)least)
        return pare_fail(r->err, PARE_E_FORMAT, "%s: %lld %s in a file of %zu bytes, which is damaged or ends early",
                         r->path, (long long)n, what, r->size);
    if (n > most)
        return pare_fail(r->err, PARE_E_LIMIT, "%s: %lld %s, at most %lld", r->path, (long long)n, what,
                         (long long)most);
    return 0;
}

static int take_header(reader *r, header *h)
{
    uint64_t version = 0, n_tensor = 0, n_kv = 0;
    const uint8_t *magic = take(r, 4);
    if (!magic || memcmp(magic, "GGUF", 4)) return pare_fail(r->err, PARE_E_FORMAT, "%s: not a GGUF file", r->path);
    int rc = take_uint(r, 4, &version, "the header");
    if (!rc) rc = check_version(r, (uint32_t)version);
    if (!rc) rc = take_uint(r, 8, &n_tensor, "the header");
    if (!rc) rc = take_uint(r, 8, &n_kv, "the header");
    *h = (header){(uint32_t)version, (int64_t)n_tensor, (int64_t)n_kv, DEFAULT_ALIGNMENT};
    if (!rc) rc = check_count(r, h->n_tensor, MIN_INFO_BYTES, PARE__MAX_TENSORS, "tensors");
    if (!rc) rc = check_count(r, h->n_kv, MIN_KV_BYTES, PARE__MAX_TENSORS, "keys");
    return rc;
}

static int take_alignment(const reader *r, const json_t *meta, header *h)
{
    const json_t *value = json_object_get(meta, "general.alignment");
    if (!value) return 0;
    json_int_t v = json_integer_value(value);
    if (!json_is_integer(value) || v <= 0 || v > UINT32_MAX || (v & (v - 1)))
        return pare_fail(r->err, PARE_E_FORMAT, "%s: general.alignment %lld is no power of two", r->path, (long long)v);
    h->alignment = (uint64_t)v;
    return 0;
}

/* ---- tensors ------------------------------------------------------------------------------------------------- */

static int take_dims(reader *r, pare_tensor *tensor)
{
    uint64_t n = 0, dim = 0;
    int rc = take_uint(r, 4, &n, "a tensor info");
    if (rc) return rc;
    if (n > MAX_GGUF_DIMS)
        return pare_fail(r->err, PARE_E_FORMAT, "%s: tensor %.80s: %u dimensions, at most %d", r->path, tensor->name,
                         (unsigned)n, MAX_GGUF_DIMS);
    tensor->n_dim = (int32_t)n;
    for (int i = (int)n - 1; i >= 0 && !rc; i--) {
        rc = take_uint(r, 8, &dim, "a tensor info");
        tensor->shape[i] = (int64_t)dim;
    }
    return rc;
}

/* Rows of quantised types must be whole blocks, not only the tensor. */
static int check_rows(const reader *r, const pare_tensor *tensor)
{
    int64_t block = pare__dtype_block(tensor->dtype);
    int64_t row = tensor->n_dim ? tensor->shape[tensor->n_dim - 1] : 1;
    if (row % block == 0) return 0;
    return pare_fail(r->err, PARE_E_FORMAT, "%s: tensor %.80s: rows of %lld elements are no whole %s blocks", r->path,
                     tensor->name, (long long)row, pare__dtype_name(tensor->dtype));
}

/* One tensor info; its data must start at *end of the data section, which moves on. */
static int take_info(reader *r, pare_tensors *t, uint64_t alignment, uint64_t *end, uint64_t *offset)
{
    char name[PARE__MAX_NAME + 1];
    uint64_t type = 0;
    pare_tensor *tensor = &t->t[t->n];
    int rc = take_name(r, name, "a tensor name");
    if (rc) return rc;
    if (!(tensor->name = pare__tensors_name(t, name, strlen(name))))
        return pare_fail(r->err, PARE_E_NOMEM, "%s: no memory for tensor names", r->path);
    rc = take_dims(r, tensor);
    if (!rc) rc = take_uint(r, 4, &type, "a tensor info");
    if (!rc) rc = take_uint(r, 8, offset, "a tensor info");
    if (rc) return rc;
    tensor->dtype = pare__dtype_from_ggml((int32_t)type);
    if (tensor->dtype < 0)
        return pare_fail(r->err, PARE_E_FORMAT, "%s: tensor %.80s: unknown type %u", r->path, name, (unsigned)type);
    rc = check_rows(r, tensor);
    if (!rc) rc = pare__tensors_measure(t, tensor, &t->n_bytes[t->n], r->err);
    if (rc) return rc;
    uint64_t n_bytes = (uint64_t)t->n_bytes[t->n];
    if (n_bytes > r->size || *end > r->size)
        return pare_fail(r->err, PARE_E_FORMAT, "%s: the file ends early: tensor %.80s of %llu bytes, file of %zu",
                         r->path, name, (unsigned long long)n_bytes, r->size);
    if (*offset != *end)
        return pare_fail(r->err, PARE_E_FORMAT, "%s: tensor %.80s: %llu bytes at %llu of the data, expected at %llu",
                         r->path, name, (unsigned long long)n_bytes, (unsigned long long)*offset,
                         (unsigned long long)*end);
    *end = (*end + n_bytes + alignment - 1) & ~(alignment - 1);
    t->n++;
    return 0;
}

/* Points the tensors into the data section that starts at the next multiple of the alignment. */
static int place_data(reader *r, pare_tensors *t, const uint64_t *offset, uint64_t alignment)
{
    uint64_t start = ((uint64_t)r->at + alignment - 1) & ~(alignment - 1);
    for (int64_t i = 0; i < t->n; i++) {
        uint64_t end = start + offset[i] + (uint64_t)t->n_bytes[i];
        if (t->n_bytes[i] && end > r->size)
            return pare_fail(r->err, PARE_E_FORMAT, "%s: the file ends early: tensor %.80s to byte %llu, file of %zu",
                             r->path, t->t[i].name, (unsigned long long)end, r->size);
        t->t[i].data = t->n_bytes[i] ? r->bytes + start + offset[i] : r->bytes;
    }
    return 0;
}

static int take_tensors(reader *r, pare_tensors *t, const header *h)
{
    uint64_t end = 0;
    uint64_t *offset = PARE__NEW(uint64_t, h->n_tensor + 1);
    if (!offset) return pare_fail(r->err, PARE_E_NOMEM, "%s: no memory for offsets", r->path);
    int rc = 0;
    for (int64_t i = 0; i < h->n_tensor && !rc; i++) rc = take_info(r, t, h->alignment, &end, &offset[i]);
    if (!rc) rc = place_data(r, t, offset, h->alignment);
    pare__free(offset);
    return rc;
}

int pare__gguf_parse(pare_tensors **out, const char *path, const uint8_t *bytes, size_t size, pare_error *err)
{
    header h = {0};
    reader r = {path, bytes, size, 0, 0, err};
    json_t *meta = NULL;
    *out = NULL;
    int rc = take_header(&r, &h);
    if (rc) goto done;
    meta = json_object();
    if (!meta) rc = pare_fail(err, PARE_E_NOMEM, "%s: no memory for keys", path);
    for (int64_t i = 0; i < h.n_kv && !rc; i++) rc = take_kv(&r, meta);
    if (!rc) rc = take_alignment(&r, meta, &h);
    if (!rc) rc = pare__tensors_create(out, path, h.n_tensor, err);
    if (rc) goto done;
    (*out)->is_gguf = 1;
    (*out)->meta = json_incref(meta);
    rc = take_tensors(&r, *out, &h);
    if (!rc) rc = pare__tensors_index(*out, err);
done:
    if (rc) pare__tensors_free(out);
    json_decref(meta);
    return rc;
}
