/* SPDX-License-Identifier: MIT */
/* Named arrays out of files (arrays.h). */
#include "arrays.h"

#include <stdlib.h>
#include <string.h>

#include "npy.h"
#include "npz.h"

enum { MAX_ARRAYS = 4096 };

static size_t dtype_size(int32_t dtype)
{
    static const size_t size[PARE_DTYPE_COUNT] = {4, 2, 2, 8, 4, 8, 1, 1, 1};
    return size[dtype];
}

static int grow(cli_arrays *a)
{
    if (a->n < a->cap) return 0;
    const int32_t cap = a->cap > 0 ? 2 * a->cap : 16;
    pare_tensor *t = realloc(a->t, (size_t)cap * sizeof *t);
    if (t == NULL) return -1;
    a->t = t;
    a->cap = cap;
    return 0;
}

/* A copy of `t` under `name`: floats as f32. */
static int add(cli_arrays *a, const char *path, const char *name, const pare_tensor *t, pare_error *err)
{
    const size_t n = (size_t)pare_tensor_count(t);
    const int whole = t->dtype != PARE_F16 && t->dtype != PARE_BF16 && t->dtype != PARE_F64;
    if (a->n == MAX_ARRAYS) return pare_fail(err, PARE_E_LIMIT, "%.120s: more than %d arrays", path, MAX_ARRAYS);
    char *copy = grow(a) == 0 ? strdup(name) : NULL;
    void *data = copy != NULL ? malloc(n * (whole ? dtype_size(t->dtype) : sizeof(float)) + 1) : NULL;
    if (data == NULL) {
        free(copy);
        return pare_fail(err, PARE_E_NOMEM, "%.120s: out of memory for array %d", path, a->n + 1);
    }
    if (whole)
        memcpy(data, t->data, n * dtype_size(t->dtype));
    else
        pare_tensor_to_f32(t, data);
    pare_tensor *out = &a->t[a->n++];
    *out = *t;
    out->name = copy;
    out->data = data;
    if (!whole) out->dtype = PARE_F32;
    return 0;
}

typedef struct npz_target {
    cli_arrays *arrays;
    const char *path;
} npz_target;

static int add_member(void *user, const char *name, const uint8_t *bytes, int64_t size, pare_error *err)
{
    const npz_target *to = user;
    char full[512];
    pare_tensor t;
    snprintf(full, sizeof full, "%.200s: %.250s", to->path, name);
    const int rc = cli_npy_parse(full, bytes, size, &t, err);
    return rc == 0 ? add(to->arrays, to->path, name, &t, err) : rc;
}

static int read_safetensors(const char *path, cli_arrays *out, pare_error *err)
{
    pare_tensors *file = NULL;
    int rc = pare_tensors_open(&file, path, err);
    for (int64_t i = 0; rc == 0 && i < pare_tensors_count(file); i++) {
        const pare_tensor *t = pare_tensors_at(file, i);
        rc = add(out, path, t->name, t, err);
    }
    pare_tensors_close(&file);
    return rc;
}

int cli_arrays_read(cli_common *c, const char *path, cli_arrays *out)
{
    pare_error err = {0};
    npz_target to = {out, path};
    *out = (cli_arrays){0};
    const int rc =
        cli_has_suffix(path, ".npz") ? cli_npz_each(path, add_member, &to, &err) : read_safetensors(path, out, &err);
    return rc == 0 ? CLI_OK : cli_fail(c, &err, CLI_UNREADABLE);
}

void cli_arrays_free(cli_arrays *a)
{
    for (int32_t i = 0; i < a->n; i++) {
        free((void *)(uintptr_t)a->t[i].name);
        free((void *)(uintptr_t)a->t[i].data);
    }
    free(a->t);
    *a = (cli_arrays){0};
}
