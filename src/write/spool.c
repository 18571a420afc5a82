/* SPDX-License-Identifier: MIT */
/* Tensors on disk that grow row by row. Each lives in its own unlinked file, so that nothing is left whatever happens,
 * and is read back once, in the order of the finished file. */
#include "write/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/mem.h"
#include "write/atomic.h"

enum { PIECE = 1 << 16 };

int64_t pare__dtype_size(int32_t dtype)
{
    static const int8_t size[PARE_DTYPE_COUNT] = {
        [PARE_F32] = 4, [PARE_F16] = 2, [PARE_BF16] = 2, [PARE_F64] = 8,  [PARE_I32] = 4,
        [PARE_I64] = 8, [PARE_U8] = 1,  [PARE_I8] = 1,   [PARE_BOOL] = 1,
    };
    return size[dtype];
}

static int order_before(const pare_tensor *a, const pare_tensor *b)
{
    const int64_t by_size = pare__dtype_size(a->dtype) - pare__dtype_size(b->dtype);
    return by_size != 0 ? by_size > 0 : strcmp(a->name, b->name) < 0;
}

static int compare_order(const void *a, const void *b, void *tensors)
{
    const pare_tensor *t = tensors;
    const int32_t i = *(const int32_t *)a, j = *(const int32_t *)b;
    if (order_before(&t[i], &t[j])) return -1;
    return order_before(&t[j], &t[i]) ? 1 : 0;
}

void pare__tensor_order(const pare_tensor *t, int64_t n, int32_t *order)
{
    for (int64_t i = 0; i < n; i++) order[i] = (int32_t)i;
    qsort_r(order, (size_t)n, sizeof *order, compare_order, (void *)(uintptr_t)t);
}

/* An unlinked file in `dir`. File systems without O_TMPFILE get a named one whose name goes at once. */
static FILE *open_unlinked(const char *dir)
{
    char *name = NULL;
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) {
        fd = pare__open_temporary(dir, &name);
        if (fd >= 0) unlink(name);
        pare__free(name);
    }
    if (fd < 0) return NULL;
    FILE *file = fdopen(fd, "w+b");
    if (file == NULL) close(fd);
    return file;
}

pare__spool_tensor *pare__spool_find(const pare__spool *s, const char *name)
{
    for (int64_t i = 0; i < s->n; i++)
        if (strcmp(s->t[i].name, name) == 0) return &s->t[i];
    return NULL;
}

static int create(pare__spool *s, const char *name, int32_t dtype, const int64_t *tail, int32_t n_tail, pare_error *err)
{
    if (strlen(name) >= sizeof s->t->name || n_tail + 1 > PARE_MAX_DIMS)
        return pare_fail(err, PARE_E_INVALID, "tensor %s: name of %zu bytes or %d dimensions is too much", name,
                         strlen(name), (int)n_tail + 1);
    if (pare__grow((void **)&s->t, &s->cap, s->n + 1, (int64_t)sizeof *s->t) != 0)
        return pare_fail(err, PARE_E_NOMEM, "out of memory for tensor %s", name);
    pare__spool_tensor *t = &s->t[s->n];
    *t = (pare__spool_tensor){.dtype = dtype, .n_dim = n_tail + 1};
    memcpy(t->name, name, strlen(name) + 1);
    for (int32_t i = 0; i < n_tail; i++) t->shape[i + 1] = tail[i];
    t->file = open_unlinked(s->dir);
    if (t->file == NULL)
        return pare_fail(err, PARE_E_IO, "cannot create a temporary file in %s: %s", s->dir, strerror(errno));
    s->n++;
    return 0;
}

static int check_same(const pare__spool_tensor *t, int32_t dtype, const int64_t *tail, int32_t n_tail, pare_error *err)
{
    if (t->dtype != dtype || t->n_dim != n_tail + 1)
        return pare_fail(err, PARE_E_INVALID, "tensor %s: dtype %d with %d dimensions, earlier %d with %d", t->name,
                         (int)dtype, (int)n_tail + 1, (int)t->dtype, (int)t->n_dim);
    for (int32_t i = 0; i < n_tail; i++)
        if (t->shape[i + 1] != tail[i])
            return pare_fail(err, PARE_E_INVALID, "tensor %s: dimension %d is %lld, earlier %lld", t->name, (int)i + 1,
                             (long long)tail[i], (long long)t->shape[i + 1]);
    return 0;
}

static int put(const pare__spool *s, pare__spool_tensor *t, const void *bytes, size_t n, pare_error *err)
{
    if (n > 0 && fwrite(bytes, 1, n, t->file) != n)
        return pare_fail(err, PARE_E_IO, "cannot write tensor %s to a temporary file in %s: %s", t->name, s->dir,
                         strerror(errno));
    t->n_bytes += (int64_t)n;
    return 0;
}

int pare__spool_append(pare__spool *s, const char *name, int32_t dtype, const int64_t *tail, int32_t n_tail,
                       const void *rows, int64_t n_rows, pare_error *err)
{
    pare__spool_tensor *t = pare__spool_find(s, name);
    int rc = t != NULL ? check_same(t, dtype, tail, n_tail, err) : create(s, name, dtype, tail, n_tail, err);
    if (rc != 0) return rc;
    if (t == NULL) t = &s->t[s->n - 1];
    int64_t n_bytes = n_rows * pare__dtype_size(dtype);
    for (int32_t i = 0; i < n_tail; i++) n_bytes *= tail[i];
    rc = put(s, t, rows, (size_t)n_bytes, err);
    if (rc == 0) t->shape[0] += n_rows;
    return rc;
}

int pare__spool_read(const pare__spool_tensor *t, pare__spool_fn fn, void *arg, pare_error *err)
{
    if (fflush(t->file) != 0)
        return pare_fail(err, PARE_E_IO, "cannot write tensor %s to a temporary file: %s", t->name, strerror(errno));
    char *piece = pare__malloc(PIECE, 1);
    if (piece == NULL) return pare_fail(err, PARE_E_NOMEM, "out of memory to copy tensor %s", t->name);
    int rc = 0;
    for (int64_t at = 0; at < t->n_bytes && rc == 0;) {
        const int64_t left = t->n_bytes - at;
        const ssize_t got = pread(fileno(t->file), piece, (size_t)(left < PIECE ? left : PIECE), (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            rc = pare_fail(err, PARE_E_IO, "cannot read tensor %s back at byte %lld of %lld: %s", t->name,
                           (long long)at, (long long)t->n_bytes, got < 0 ? strerror(errno) : "the file ends");
            break;
        }
        rc = fn(arg, piece, (size_t)got, err);
        at += got;
    }
    pare__free(piece);
    return rc;
}

typedef struct copy_target {
    pare__spool *s;
    int64_t i; /* of the tensor */
} copy_target;

static int copy_piece(void *arg, const void *bytes, size_t n, pare_error *err)
{
    const copy_target *to = arg;
    return put(to->s, &to->s->t[to->i], bytes, n, err);
}

int pare__spool_copy(pare__spool *s, const char *from, const char *to, pare_error *err)
{
    const pare__spool_tensor source = *pare__spool_find(s, from);
    int rc = create(s, to, source.dtype, source.shape + 1, source.n_dim - 1, err);
    if (rc != 0) return rc;
    copy_target target = {s, s->n - 1};
    rc = pare__spool_read(&source, copy_piece, &target, err);
    if (rc == 0) s->t[target.i].shape[0] = source.shape[0];
    return rc;
}

/* A tensor that is read no more. */
static void drop(pare__spool *s, const pare__spool_tensor *t)
{
    fclose(t->file);
    for (int64_t i = t - s->t; i + 1 < s->n; i++) s->t[i] = s->t[i + 1];
    s->n--;
}

int pare__spool_stack(pare__spool *s, const char *from, int32_t n, pare_error *err)
{
    char name[sizeof s->t->name + 16];
    int rc = 0;
    for (int32_t i = 0; i < n && rc == 0; i++) {
        snprintf(name, sizeof name, "%s.%d", from, i);
        const pare__spool_tensor *found = pare__spool_find(s, name);
        if (found == NULL) break;
        const pare__spool_tensor part = *found;
        if (i == 0) rc = create(s, from, part.dtype, part.shape, part.n_dim, err);
        if (rc != 0) break;
        copy_target target = {s, pare__spool_find(s, from) - s->t};
        rc = pare__spool_read(&part, copy_piece, &target, err);
        s->t[target.i].shape[0]++;
        drop(s, pare__spool_find(s, name));
    }
    return rc;
}

static int set_text(char **slot, const char *text)
{
    char *own = pare__strdup(text);
    if (own == NULL) return PARE_E_NOMEM;
    pare__free(*slot);
    *slot = own;
    return 0;
}

int pare__spool_meta(pare__spool *s, const char *key, const char *value, pare_error *err)
{
    int64_t i = 0;
    while (i < s->n_meta && strcmp(s->meta[i][0], key) != 0) i++;
    if (i == s->n_meta) {
        if (pare__grow((void **)&s->meta, &s->cap_meta, i + 1, (int64_t)sizeof *s->meta) != 0) goto fail;
        s->meta[i][0] = s->meta[i][1] = NULL;
        s->n_meta++;
        if (set_text(&s->meta[i][0], key) != 0) goto fail;
    }
    if (set_text(&s->meta[i][1], value) == 0) return 0;
fail:
    return pare_fail(err, PARE_E_NOMEM, "out of memory for metadata '%s'", key);
}

void pare__spool_fini(pare__spool *s)
{
    for (int64_t i = 0; i < s->n; i++) fclose(s->t[i].file);
    for (int64_t i = 0; i < s->n_meta; i++) {
        pare__free(s->meta[i][0]);
        pare__free(s->meta[i][1]);
    }
    pare__free(s->t);
    pare__free(s->meta);
    *s = (pare__spool){0};
}
