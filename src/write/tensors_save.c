/* SPDX-License-Identifier: MIT */
/* Tensors in memory to a safetensors file: pare_tensors_save() of pare.h. */
#include <inttypes.h>

#include "core/limits.h"
#include "core/mem.h"
#include "write/atomic.h"
#include "write/writer.h"

static int check_tensor(const char *path, const pare_tensor *t, int64_t i, pare_error *err)
{
    if (t->name == NULL) return pare_fail(err, PARE_E_INVALID, "%s: tensor %" PRId64 " has no name", path, i);
    if (t->dtype < 0 || t->dtype >= PARE_DTYPE_COUNT)
        return pare_fail(err, PARE_E_INVALID, "%s: tensor %s: no dtype %d", path, t->name, (int)t->dtype);
    if (t->n_dim < 0 || t->n_dim > PARE_MAX_DIMS)
        return pare_fail(err, PARE_E_INVALID, "%s: tensor %s: %d dimensions, limit %d", path, t->name, (int)t->n_dim,
                         PARE_MAX_DIMS);
    int64_t n_bytes = pare__dtype_size(t->dtype);
    for (int32_t d = 0; d < t->n_dim; d++)
        if (t->shape[d] < 0 || __builtin_mul_overflow(n_bytes, t->shape[d], &n_bytes))
            return pare_fail(err, PARE_E_INVALID, "%s: tensor %s: dimension %d of size %" PRId64, path, t->name, (int)d,
                             t->shape[d]);
    if (n_bytes > 0 && t->data == NULL)
        return pare_fail(err, PARE_E_INVALID, "%s: tensor %s has no data", path, t->name);
    return 0;
}

static int write_all(pare__atomic *file, const pare_tensor *t, const int32_t *order, int64_t n, pare_error *err)
{
    int rc = 0;
    for (int64_t i = 0; i < n && rc == 0; i++) {
        const pare_tensor *one = &t[order[i]];
        int64_t n_bytes = pare__dtype_size(one->dtype);
        for (int32_t d = 0; d < one->n_dim; d++) n_bytes *= one->shape[d];
        rc = pare__atomic_write(file, one->data, (size_t)n_bytes, err);
    }
    return rc;
}

int pare_tensors_save(const char *path, const pare_tensor *t, int64_t n, const char *const (*meta)[2], int64_t n_meta,
                      pare_error *err)
{
    if (path == NULL) return pare_fail(err, PARE_E_INVALID, "no name for the tensor file");
    if (n < 0 || n > PARE__MAX_TENSORS || n_meta < 0 || (n > 0 && t == NULL) || (n_meta > 0 && meta == NULL))
        return pare_fail(err, PARE_E_INVALID, "%s: %" PRId64 " tensors and %" PRId64 " metadata pairs", path, n,
                         n_meta);
    pare__atomic file = {.fd = -1};
    char *header = NULL;
    size_t size = 0;
    int rc = 0;
    for (int64_t i = 0; i < n && rc == 0; i++) rc = check_tensor(path, &t[i], i, err);
    if (rc != 0) return rc;
    int32_t *order = PARE__NEW(int32_t, n + 1);
    if (order == NULL) return pare_fail(err, PARE_E_NOMEM, "out of memory for the header of %s", path);
    pare__tensor_order(t, n, order);
    rc = pare__safetensors_header(path, t, order, n, meta, n_meta, &header, &size, err);
    if (rc == 0) rc = pare__atomic_open(&file, path, err);
    if (rc == 0) rc = pare__atomic_write(&file, header, size, err);
    if (rc == 0) rc = write_all(&file, t, order, n, err);
    if (rc == 0) rc = pare__atomic_commit(&file, err);
    pare__atomic_abort(&file);
    pare__free(header);
    pare__free(order);
    return rc;
}
