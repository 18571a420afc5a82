/* SPDX-License-Identifier: MIT */
/* safetensors: u64 length, JSON header padded with spaces to 8 bytes, data without holes. Tensors stand in the order of
 * pare__tensor_order, metadata first and in the order given: the same tensors give the same bytes.
 * Source: https://github.com/huggingface/safetensors#format */
#include "write/writer.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "core/mem.h"
#include "write/atomic.h"

static const char *const dtype_name[PARE_DTYPE_COUNT] = {
    [PARE_F32] = "F32", [PARE_F16] = "F16", [PARE_BF16] = "BF16", [PARE_F64] = "F64",   [PARE_I32] = "I32",
    [PARE_I64] = "I64", [PARE_U8] = "U8",   [PARE_I8] = "I8",     [PARE_BOOL] = "BOOL",
};

static json_t *describe(const pare_tensor *t, int64_t *offset)
{
    int64_t n_bytes = pare__dtype_size(t->dtype);
    json_t *shape = json_array();
    for (int32_t i = 0; i < t->n_dim; i++) {
        n_bytes *= t->shape[i];
        json_array_append_new(shape, json_integer(t->shape[i]));
    }
    const int64_t start = *offset;
    *offset += n_bytes;
    return json_pack("{s:s,s:o,s:[I,I]}", "dtype", dtype_name[t->dtype], "shape", shape, "data_offsets",
                     (json_int_t)start, (json_int_t)*offset);
}

json_t *pare__meta_text(const char *value)
{
    json_t *text = json_string(value);
    char *ascii = text == NULL ? pare__strdup(value) : NULL;
    for (char *p = ascii; p != NULL && *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80) *p = '?';
    if (ascii != NULL) text = json_string(ascii);
    pare__free(ascii);
    return text;
}

static int add_metadata(json_t *root, const char *path, const char *const (*meta)[2], int64_t n_meta, pare_error *err)
{
    json_t *object = json_object();
    int rc = 0;
    for (int64_t i = 0; i < n_meta && rc == 0; i++)
        if (json_object_set_new(object, meta[i][0], pare__meta_text(meta[i][1])) != 0)
            rc = pare_fail(err, PARE_E_INVALID, "%s: metadata key '%s' is not UTF-8", path, meta[i][0]);
    if (rc != 0)
        json_decref(object);
    else if (json_object_set_new(root, "__metadata__", object) != 0)
        rc = pare_fail(err, PARE_E_NOMEM, "out of memory for the header of %s", path);
    return rc;
}

static int add_tensor(json_t *root, const char *path, const pare_tensor *t, int64_t *offset, pare_error *err)
{
    if (strlen(t->name) > PARE__MAX_NAME)
        return pare_fail(err, PARE_E_LIMIT, "%s: tensor name of %zu bytes, limit %d", path, strlen(t->name),
                         PARE__MAX_NAME);
    if (json_object_get(root, t->name) != NULL || strcmp(t->name, "__metadata__") == 0)
        return pare_fail(err, PARE_E_INVALID, "%s: tensor name '%s' is taken", path, t->name);
    if (json_object_set_new(root, t->name, describe(t, offset)) != 0)
        return pare_fail(err, PARE_E_INVALID, "%s: tensor name '%s' is not UTF-8, or memory is short", path, t->name);
    return 0;
}

/* u64 little-endian length, text, spaces. */
static int frame_header(const char *path, const char *text, char **out, size_t *size, pare_error *err)
{
    const size_t n = strlen(text), padded = (n + 7) / 8 * 8;
    if (padded > PARE__MAX_HEADER)
        return pare_fail(err, PARE_E_LIMIT, "%s: header of %zu bytes, limit %d", path, padded, PARE__MAX_HEADER);
    char *bytes = pare__malloc((int64_t)padded + 8, 1);
    if (bytes == NULL) return pare_fail(err, PARE_E_NOMEM, "out of memory for the header of %s", path);
    for (int i = 0; i < 8; i++) bytes[i] = (char)((uint64_t)padded >> (8 * i));
    memcpy(bytes + 8, text, n);
    memset(bytes + 8 + n, ' ', padded - n);
    *out = bytes;
    *size = padded + 8;
    return 0;
}

int pare__safetensors_header(const char *path, const pare_tensor *t, const int32_t *order, int64_t n,
                             const char *const (*meta)[2], int64_t n_meta, char **out, size_t *size, pare_error *err)
{
    int64_t offset = 0;
    char *text = NULL;
    json_t *root = json_object();
    int rc = n_meta > 0 ? add_metadata(root, path, meta, n_meta, err) : 0;
    for (int64_t i = 0; i < n && rc == 0; i++) rc = add_tensor(root, path, &t[order[i]], &offset, err);
    if (rc == 0) {
        text = json_dumps(root, JSON_COMPACT);
        rc = text != NULL ? frame_header(path, text, out, size, err)
                          : pare_fail(err, PARE_E_NOMEM, "out of memory for the header of %s", path);
    }
    free(text);
    json_decref(root);
    return rc;
}

typedef struct target {
    int fd;
    const char *path;
} target;

static int write_piece(void *arg, const void *bytes, size_t n, pare_error *err)
{
    const target *to = arg;
    return pare__fd_write(to->fd, bytes, n, to->path, err);
}

static int publish(const pare__spool *s, int fd, const char *path, pare_error *err)
{
    target to = {fd, path};
    char *header = NULL;
    size_t size = 0;
    int rc = PARE_E_NOMEM;
    pare_tensor *t = PARE__NEW(pare_tensor, s->n);
    int32_t *order = PARE__NEW(int32_t, s->n);
    if (t == NULL || order == NULL) {
        pare_fail(err, rc, "out of memory for the header of %s", path);
        goto done;
    }
    for (int64_t i = 0; i < s->n; i++) {
        t[i] = (pare_tensor){.name = s->t[i].name, .dtype = s->t[i].dtype, .n_dim = s->t[i].n_dim};
        memcpy(t[i].shape, s->t[i].shape, sizeof t[i].shape);
    }
    pare__tensor_order(t, s->n, order);
    rc = pare__safetensors_header(path, t, order, s->n, (const char *const(*)[2])s->meta, s->n_meta, &header, &size,
                                  err);
    if (rc == 0) rc = pare__fd_write(fd, header, size, path, err);
    for (int64_t i = 0; i < s->n && rc == 0; i++) rc = pare__spool_read(&s->t[order[i]], write_piece, &to, err);
done:
    pare__free(header);
    pare__free(order);
    pare__free(t);
    return rc;
}

const pare__writer_format pare__writer_safetensors = {
    .name = "safetensors",
    .suffix = ".safetensors",
    .summary = "tensors with a JSON header, as the model hubs use them",
    .publish = publish,
};
