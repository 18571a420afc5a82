/* SPDX-License-Identifier: MIT */
/* What safetensors and GGUF have in common: the table of element types, mapping, the index by name, conversion to f32.
 * Sources: the dtype lists of safetensors/src/tensor.rs and of ggml.h (block sizes). */
#include "model/tensorfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/limits.h"
#include "core/vec.h"

typedef struct dtype_row {
    int32_t dtype;
    const char *name; /* as in safetensors; GGUF-only types have a ggml name */
    int32_t ggml;     /* type number, or -1 */
    int32_t block;    /* elements */
    int32_t bytes;    /* of a block */
} dtype_row;

/* clang-format off */
static const dtype_row dtypes[] = {
    {PARE_F32, "F32", 0, 1, 4},           {PARE_F16, "F16", 1, 1, 2},           {PARE_BF16, "BF16", 30, 1, 2},
    {PARE_F64, "F64", 28, 1, 8},          {PARE_I32, "I32", 26, 1, 4},          {PARE_I64, "I64", 27, 1, 8},
    {PARE_U8, "U8", -1, 1, 1},            {PARE_I8, "I8", 24, 1, 1},            {PARE_BOOL, "BOOL", -1, 1, 1},
    {PARE__Q8_0, "Q8_0", 8, 32, 34},
    {PARE__OPAQUE + 0, "I16", 25, 1, 2},  {PARE__OPAQUE + 1, "U16", -1, 1, 2},  {PARE__OPAQUE + 2, "U32", -1, 1, 4},
    {PARE__OPAQUE + 3, "U64", -1, 1, 8},  {PARE__OPAQUE + 4, "C64", -1, 1, 8},  {PARE__OPAQUE + 5, "F4", -1, 2, 1},
    {PARE__OPAQUE + 6, "F6_E2M3", -1, 4, 3},     {PARE__OPAQUE + 7, "F6_E3M2", -1, 4, 3},
    {PARE__OPAQUE + 8, "F8_E5M2", -1, 1, 1},     {PARE__OPAQUE + 9, "F8_E4M3", -1, 1, 1},
    {PARE__OPAQUE + 10, "F8_E8M0", -1, 1, 1},    {PARE__OPAQUE + 11, "F8_E4M3FNUZ", -1, 1, 1},
    {PARE__OPAQUE + 12, "F8_E5M2FNUZ", -1, 1, 1},
    {PARE__Q4_0, "Q4_0", 2, 32, 18},      {PARE__Q4_1, "Q4_1", 3, 32, 20},      {PARE__Q5_0, "Q5_0", 6, 32, 22},
    {PARE__Q5_1, "Q5_1", 7, 32, 24},      {PARE__Q4_K, "Q4_K", 12, 256, 144},   {PARE__Q5_K, "Q5_K", 13, 256, 176},
    {PARE__Q6_K, "Q6_K", 14, 256, 210},
    {PARE__OPAQUE + 13, "Q8_1", 9, 32, 36},      {PARE__OPAQUE + 14, "Q2_K", 10, 256, 84},
    {PARE__OPAQUE + 15, "Q3_K", 11, 256, 110},   {PARE__OPAQUE + 16, "Q8_K", 15, 256, 292},
    {PARE__OPAQUE + 17, "MXFP4", 39, 32, 17},    {PARE__OPAQUE + 18, "NVFP4", 40, 64, 36},
};
/* clang-format on */
enum { N_DTYPE = sizeof dtypes / sizeof dtypes[0] };

static const dtype_row *dtype_find(int32_t dtype)
{
    for (int i = 0; i < N_DTYPE; i++)
        if (dtypes[i].dtype == dtype) return &dtypes[i];
    return NULL;
}

int32_t pare__dtype_from_name(const char *name)
{
    for (int i = 0; i < N_DTYPE; i++)
        if (dtypes[i].block <= 4 && !strcmp(dtypes[i].name, name)) return dtypes[i].dtype;
    return -1;
}

int32_t pare__dtype_from_ggml(int32_t type)
{
    for (int i = 0; i < N_DTYPE; i++)
        if (type >= 0 && dtypes[i].ggml == type) return dtypes[i].dtype;
    return -1;
}

const char *pare__dtype_name(int32_t dtype)
{
    const dtype_row *row = dtype_find(dtype);
    return row ? row->name : "unknown";
}

int64_t pare__dtype_block(int32_t dtype)
{
    const dtype_row *row = dtype_find(dtype);
    return row ? row->block : 1;
}

int64_t pare__dtype_bytes(int32_t dtype, int64_t n)
{
    const dtype_row *row = dtype_find(dtype);
    int64_t bytes = 0;
    if (!row || n < 0 || n % row->block) return 0;
    return __builtin_mul_overflow(n / row->block, (int64_t)row->bytes, &bytes) ? 0 : bytes;
}

int pare__dtype_is_weight(int32_t dtype)
{
    return dtype == PARE_F32 || dtype == PARE_F16 || dtype == PARE_BF16 || dtype == PARE_F64 ||
           (dtype >= PARE__Q8_0 && dtype < PARE__OPAQUE);
}

/* ---- building ------------------------------------------------------------------------------------------------ */

int pare__tensors_create(pare_tensors **out, const char *path, int64_t n, pare_error *err)
{
    pare_tensors *t = PARE__NEW(pare_tensors, 1);
    *out = NULL;
    if (!t) return pare_fail(err, PARE_E_NOMEM, "%s: no memory for %lld tensors", path, (long long)n);
    int64_t room = n > 0 ? n : 1;
    t->path = pare__strdup(path);
    t->t = PARE__NEW(pare_tensor, room);
    t->n_bytes = PARE__NEW(int64_t, room);
    t->by_name = PARE__NEW(int32_t, room);
    if (!t->path || !t->t || !t->n_bytes || !t->by_name) {
        pare__tensors_free(&t);
        return pare_fail(err, PARE_E_NOMEM, "%s: no memory for %lld tensors", path, (long long)n);
    }
    *out = t;
    return 0;
}

void pare__tensors_free(pare_tensors **t)
{
    if (!*t) return;
    pare__arena_fini(&(*t)->names);
    json_decref((*t)->meta);
    pare__free((*t)->by_name);
    pare__free((*t)->n_bytes);
    pare__free((*t)->t);
    pare__free((*t)->path);
    pare__file_unmap((*t)->map, (*t)->map_size);
    pare__free(*t);
    *t = NULL;
}

const char *pare__tensors_name(pare_tensors *t, const char *name, size_t size)
{
    char *copy = PARE__ARENA(&t->names, char, (int64_t)size + 1);
    if (!copy) return NULL;
    memcpy(copy, name, size);
    copy[size] = 0;
    return copy;
}

int pare__tensors_measure(const pare_tensors *t, const pare_tensor *tensor, int64_t *n_bytes, pare_error *err)
{
    int64_t n = 1;
    int empty = 0, overflow = 0;
    for (int i = 0; i < tensor->n_dim; i++) {
        int64_t dim = tensor->shape[i];
        if (dim < 0)
            return pare_fail(err, PARE_E_FORMAT, "%s: tensor %.80s: dimension %d is %lld", t->path, tensor->name, i,
                             (long long)dim);
        empty |= dim == 0;
        overflow |= __builtin_mul_overflow(n, dim, &n);
    }
    int64_t bytes = empty || overflow ? 0 : pare__dtype_bytes(tensor->dtype, n);
    if (!empty && bytes == 0)
        return pare_fail(err, PARE_E_FORMAT, "%s: tensor %.80s: shape overflows or is no whole number of %s blocks",
                         t->path, tensor->name, pare__dtype_name(tensor->dtype));
    *n_bytes = bytes;
    return 0;
}

/* Stable: tensors of public dtypes keep their order and come first. */
static int public_first(pare_tensors *t)
{
    pare_tensor *rest = PARE__NEW(pare_tensor, t->n ? t->n : 1);
    int64_t *rest_bytes = PARE__NEW(int64_t, t->n ? t->n : 1);
    int64_t n_rest = 0;
    int rc = rest && rest_bytes ? 0 : PARE_E_NOMEM;
    for (int64_t i = 0; !rc && i < t->n; i++) {
        int is_public = t->t[i].dtype < PARE_DTYPE_COUNT;
        int64_t to = is_public ? t->n_public++ : n_rest++;
        (is_public ? t->t : rest)[to] = t->t[i];
        (is_public ? t->n_bytes : rest_bytes)[to] = t->n_bytes[i];
    }
    for (int64_t i = 0; !rc && i < n_rest; i++) {
        t->t[t->n_public + i] = rest[i];
        t->n_bytes[t->n_public + i] = rest_bytes[i];
    }
    pare__free(rest_bytes);
    pare__free(rest);
    return rc;
}

static int compare_names(const void *a, const void *b, void *user)
{
    const pare_tensor *t = user;
    return strcmp(t[*(const int32_t *)a].name, t[*(const int32_t *)b].name);
}

int pare__tensors_index(pare_tensors *t, pare_error *err)
{
    if (public_first(t)) return pare_fail(err, PARE_E_NOMEM, "%s: no memory for the index", t->path);
    for (int64_t i = 0; i < t->n; i++) t->by_name[i] = (int32_t)i;
    qsort_r(t->by_name, (size_t)t->n, sizeof *t->by_name, compare_names, t->t);
    for (int64_t i = 1; i < t->n; i++)
        if (!strcmp(t->t[t->by_name[i - 1]].name, t->t[t->by_name[i]].name))
            return pare_fail(err, PARE_E_FORMAT, "%s: tensor %.80s appears twice", t->path, t->t[t->by_name[i]].name);
    return 0;
}

/* ---- files --------------------------------------------------------------------------------------------------- */

int pare__file_map(const char *path, void **map, size_t *size, pare_error *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *map = NULL;
    *size = 0;
    if (fd < 0) return pare_fail(err, errno == ENOENT ? PARE_E_NOTFOUND : PARE_E_IO, "%s: %s", path, strerror(errno));
    int rc = 0;
    if (fstat(fd, &st))
        rc = pare_fail(err, PARE_E_IO, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        rc = pare_fail(err, PARE_E_IO, "%s: not a regular file", path);
    else if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            rc = pare_fail(err, PARE_E_IO, "%s: cannot map: %s", path, strerror(errno));
        else {
            *map = p;
            *size = (size_t)st.st_size;
        }
    }
    close(fd);
    return rc;
}

void pare__file_unmap(void *map, size_t size)
{
    if (map) munmap(map, size);
}

void pare__file_unneed(const void *bytes, int64_t n)
{
    const uint8_t *p = bytes;
    const int64_t page = sysconf(_SC_PAGESIZE), skip = (page - (int64_t)((uintptr_t)p % (uintptr_t)page)) % page;
    const int64_t inside = (n - skip) / page * page;
    if (inside > 0) madvise((void *)(uintptr_t)(p + skip), (size_t)inside, MADV_DONTNEED);
}

typedef int (*parse_fn)(pare_tensors **out, const char *path, const uint8_t *bytes, size_t size, pare_error *err);

static int is_gguf(const char *path, const void *bytes, size_t size)
{
    size_t n = strlen(path);
    return (n > 5 && !strcmp(path + n - 5, ".gguf")) || (size >= 4 && !memcmp(bytes, "GGUF", 4));
}

static int open_with(parse_fn parse, pare_tensors **out, const char *path, pare_error *err)
{
    void *map;
    size_t size;
    *out = NULL;
    int rc = pare__file_map(path, &map, &size, err);
    if (rc) return rc;
    if (!parse) parse = is_gguf(path, map, size) ? pare__gguf_parse : pare__safetensors_parse;
    rc = parse(out, path, map, size, err);
    if (rc)
        pare__file_unmap(map, size);
    else {
        (*out)->map = map;
        (*out)->map_size = size;
    }
    return rc;
}

int pare__safetensors_open(pare_tensors **out, const char *path, pare_error *err)
{
    return open_with(pare__safetensors_parse, out, path, err);
}

int pare__gguf_open(pare_tensors **out, const char *path, pare_error *err)
{
    return open_with(pare__gguf_parse, out, path, err);
}

int pare__tensors_open(pare_tensors **out, const char *path, pare_error *err)
{
    return open_with(NULL, out, path, err);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

const pare_tensor *pare__tensors_find(const pare_tensors *t, const char *name)
{
    int64_t low = 0, high = t->n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        const pare_tensor *at = &t->t[t->by_name[mid]];
        int order = strcmp(name, at->name);
        if (order == 0) return at;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

int64_t pare__tensor_count(const pare_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->n_dim; i++)
        if (t->shape[i] == 0) return 0;
    for (int i = 0; i < t->n_dim; i++) n *= t->shape[i];
    return n;
}

static float scalar_f32(int32_t dtype, const uint8_t *p)
{
    union {
        double f64;
        int32_t i32;
        int64_t i64;
    } v = {0};
    switch (dtype) {
    case PARE_F64:
        memcpy(&v.f64, p, 8);
        return (float)v.f64;
    case PARE_I32:
        memcpy(&v.i32, p, 4);
        return (float)v.i32;
    case PARE_I64:
        memcpy(&v.i64, p, 8);
        return (float)v.i64;
    case PARE_I8:
        return (float)(int8_t)*p;
    case PARE_BOOL:
        return *p != 0;
    default:
        return (float)*p;
    }
}

void pare__tensor_f32_part(const pare_tensor *t, int64_t from, int64_t n, float *out)
{
    const pare__vec *vec = pare__vec_best();
    const uint8_t *data = (const uint8_t *)t->data + pare__dtype_bytes(t->dtype, from);
    switch (t->dtype) {
    case PARE_F32:
        memcpy(out, data, (size_t)n * sizeof *out);
        return;
    case PARE_F16:
        vec->f16_to_f32(out, (const uint16_t *)(const void *)data, n);
        return;
    case PARE_BF16:
        vec->bf16_to_f32(out, (const uint16_t *)(const void *)data, n);
        return;
    case PARE__Q8_0:
        vec->q8_0_to_f32(out, data, n);
        return;
    default:
        break;
    }
    if (pare__dequantise(t->dtype, data, n, out)) return;
    const int64_t step = pare__dtype_bytes(t->dtype, 1);
    for (int64_t i = 0; i < n; i++) out[i] = scalar_f32(t->dtype, data + i * step);
}

void pare__tensor_f32(const pare_tensor *t, float *out)
{
    const int64_t n = pare__tensor_count(t);
    if (n > 0) pare__tensor_f32_part(t, 0, n, out);
}
