/* SPDX-License-Identifier: MIT */
/* Brings a family's tensor-name tables and a checkpoint together: resolves prefix and aliases, checks every shape,
 * collects all missing names, and leaves f32 rows, in place where they are a large part of a file of f32 and aligned. */
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/mem.h"
#include "model/family.h"
#include "model/store.h"

enum { MAX_PARTS = 4, MAX_AXES = 5 };

typedef struct binder {
    pare__store *s;
    pare_model *m;
    const char *prefix;
    int32_t block; /* -1 outside blocks */
    int64_t n_missing;
    char missing[180]; /* the first names */
    pare_error *err;
} binder;

/* What one array of floats is made of: parts stacked along the first axis, or slices of a middle one. */
typedef struct request {
    char name[MAX_PARTS][PARE__MAX_NAME + 1];
    int n_part;
    int slice_axis;         /* of which the parts are slices; 0 = they are stacked */
    int64_t axis[MAX_AXES]; /* of a part */
    int n_axis;
} request;

/* ---- names --------------------------------------------------------------------------------------------------- */

/* prefix + pattern[0..n) with %d = block; the suffix stands where '*' is, else at the end. */
static void spell(const binder *b, char out[PARE__MAX_NAME + 1], const char *prefix, const char *pattern, size_t n,
                  const char *suffix)
{
    char head[256], body[280];
    snprintf(head, sizeof head, "%.*s", (int)n, pattern);
    char *mark = strstr(head, "%d"), *star = strchr(head, '*');
    if (star) *star = 0;
    if (mark) *mark = 0;
    if (mark)
        snprintf(body, sizeof body, "%s%d%s", head, b->block, mark + 2);
    else
        snprintf(body, sizeof body, "%s", head);
    snprintf(out, PARE__MAX_NAME + 1, "%s%s%s%s", prefix, body, suffix, star ? star + 1 : "");
}

/* 1 if the checkpoint holds one of the family's probes behind this prefix. */
static int has_probe(const binder *b, const char *prefix)
{
    char name[PARE__MAX_NAME + 1];
    for (const char *probe = b->m->family->probe; *probe;) {
        const size_t n = strcspn(probe, "|");
        spell(b, name, prefix, probe, n, "");
        if (pare__store_has(b->s, name)) return 1;
        probe += n + (probe[n] == '|');
    }
    return 0;
}

static const char *choose_prefix(const binder *b)
{
    const pare__family *f = b->m->family;
    for (const char *const *prefix = f->prefixes; *prefix; prefix++)
        if (has_probe(b, *prefix)) return *prefix;
    return f->prefixes[0];
}

/* Splits one alternative at '+' or '/' into full names. */
static void spell_parts(const binder *b, request *r, const char *prefix, const char *names, size_t n,
                        const char *suffix)
{
    r->n_part = 0;
    for (size_t at = 0; at < n && r->n_part < MAX_PARTS;) {
        size_t end = at;
        while (end < n && names[end] != '+' && names[end] != '/') end++;
        spell(b, r->name[r->n_part++], prefix, names + at, end - at, suffix);
        at = end + 1;
    }
}

/* The first alternative whose first part is in the checkpoint, else the first: 1 if present. */
static int spell_row(const binder *b, request *r, const pare__binding *row, const char *suffix)
{
    const char *prefix = row->flags & PARE__BIND_ROOT ? "" : b->prefix;
    for (const char *names = row->names; *names;) {
        size_t n = strcspn(names, "|");
        spell_parts(b, r, prefix, names, n, suffix);
        r->slice_axis = memchr(names, '/', n) ? (int)strcspn(row->shape, "E") : 0;
        if (pare__store_has(b->s, r->name[0])) return 1;
        names += n + (names[n] == '|');
    }
    spell_parts(b, r, prefix, row->names, strcspn(row->names, "|"), suffix);
    r->slice_axis = 0;
    return 0;
}

static void note_missing(binder *b, const char *name)
{
    size_t used = strlen(b->missing);
    if (b->n_missing++ == 0)
        snprintf(b->missing, sizeof b->missing, "%s", name);
    else if (used + strlen(name) + 3 < sizeof b->missing)
        snprintf(b->missing + used, sizeof b->missing - used, ", %s", name);
    pare__log(PARE_LOG_INFO, "%s: tensor %s is missing", b->m->path, name);
}

/* ---- values -------------------------------------------------------------------------------------------------- */

static int is_shape(const pare_tensor *t, const request *r)
{
    int at = 0;
    for (int i = 0; i < r->n_axis; i++) {
        if (r->axis[i] == 1) continue;
        while (at < t->n_dim && t->shape[at] == 1) at++;
        if (at >= t->n_dim || t->shape[at++] != r->axis[i]) return 0;
    }
    while (at < t->n_dim && t->shape[at] == 1) at++;
    return at == t->n_dim;
}

static const char *show_shape(const int64_t *axis, int n, char text[80])
{
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < n && used < 70; i++)
        used += (size_t)snprintf(text + used, 80 - used, i ? "x%lld" : "%lld", (long long)axis[i]);
    return text;
}

static int check_tensor(const binder *b, const pare_tensor *t, const request *r)
{
    char has[80], needs[80];
    if (!pare__dtype_is_weight(t->dtype))
        return pare_fail(b->err, PARE_E_UNSUPPORTED, "%s: tensor %s is %s, which cannot be read as weights", b->m->path,
                         t->name, pare__dtype_name(t->dtype));
    if (!is_shape(t, r))
        return pare_fail(b->err, PARE_E_FORMAT, "%s: tensor %s is [%s], the configuration needs [%s]", b->m->path,
                         t->name, show_shape(t->shape, t->n_dim, has), show_shape(r->axis, r->n_axis, needs));
    return 0;
}

/* All parts present and of the right shape: in place if possible, else floats that the run will fill. n = elements of one
 * part. Slice i, t [outer, inner], goes to x [outer, n_part, inner]. */
static int plan(binder *b, const request *r, int64_t n, const float **out)
{
    const char *name = NULL;
    int64_t inner = n;
    float *x = NULL;
    for (int k = 0; k < r->slice_axis; k++) inner /= r->axis[k];
    for (int i = 0; i < r->n_part; i++) {
        const pare_tensor *t;
        pare__shard *shard;
        int rc = pare__store_find(b->s, r->name[i], &t, &shard, b->err);
        if (rc) return rc;
        const int stays = r->n_part == 1 && t->dtype == PARE_F32 && n * (int64_t)sizeof(float) >= shard->least &&
                          (uintptr_t)t->data % sizeof(float) == 0;
        if (!stays && !x) x = pare__store_floats(b->s, n * r->n_part);
        if (!name) name = t->name;
        float *to = x ? x + i * inner : NULL;
        if ((!stays && !x) ||
            pare__lift_add(&b->s->lift, t, name, to, inner, r->slice_axis ? r->n_part * inner : inner))
            return pare_fail(b->err, PARE_E_NOMEM, "%s: no memory for tensor %s", b->m->path, t->name);
        shard->n_in_place += stays;
        *out = stays ? t->data : x;
    }
    b->m->n_params += n * r->n_part;
    return 0;
}

/* Fills *out, or notes what is missing and leaves it NULL. */
static int load(binder *b, const request *r, const float **out)
{
    int64_t n = 1, n_missing = b->n_missing;
    *out = NULL;
    for (int i = 0; i < r->n_part; i++) {
        const pare_tensor *t;
        pare__shard *shard;
        int rc = pare__store_find(b->s, r->name[i], &t, &shard, b->err);
        if (!rc && t) rc = check_tensor(b, t, r);
        if (rc) return rc;
        if (!t) note_missing(b, r->name[i]);
    }
    if (b->n_missing != n_missing) return 0;
    for (int i = 0; i < r->n_axis; i++) n *= r->axis[i];
    return plan(b, r, n, out);
}

/* ---- rows of the table --------------------------------------------------------------------------------------- */

static int32_t has(const pare_model *m, size_t offset)
{
    int32_t v;
    memcpy(&v, (const char *)&m->hp + offset, sizeof v);
    return v;
}

/* Axes of one part of a row's tensor; the bias has the first only, and is never in slices. */
static int set_axes(const binder *b, request *r, const pare__binding *row, int n_axis)
{
    r->n_axis = n_axis;
    for (int i = 0; i < n_axis; i++) r->axis[i] = pare__family_axis(&b->m->hp, row->shape[i]);
    if (!r->slice_axis) {
        r->axis[0] /= r->n_part;
        return 0;
    }
    if (r->slice_axis >= n_axis) {
        r->n_part = 1;
        r->slice_axis = 0;
        return 0;
    }
    if (r->axis[r->slice_axis] != r->n_part)
        return pare_fail(b->err, PARE_E_UNSUPPORTED, "%s: %s in %d slices, the configuration needs %lld", b->m->path,
                         r->name[0], r->n_part, (long long)r->axis[r->slice_axis]);
    r->axis[r->slice_axis] = 1;
    return 0;
}

static int load_row(binder *b, const pare__binding *row, const char *suffix, int n_axis, const float **out)
{
    request r;
    *out = NULL;
    if (!spell_row(b, &r, row, suffix) && row->flags & PARE__BIND_OPTIONAL) return 0;
    int rc = set_axes(b, &r, row, n_axis);
    return rc ? rc : load(b, &r, out);
}

static int bind_linear(binder *b, const pare__binding *row, pare__linear *to)
{
    int n_axis = (int)strlen(row->shape);
    int64_t n_in = 1;
    int rc = load_row(b, row, ".weight", n_axis, &to->w);
    if (!rc && has(b->m, row->bias)) rc = load_row(b, row, ".bias", 1, &to->b);
    for (int i = 1; i < n_axis; i++) n_in *= pare__family_axis(&b->m->hp, row->shape[i]);
    to->n_in = (int32_t)n_in;
    to->n_out = (int32_t)pare__family_axis(&b->m->hp, row->shape[0]);
    return rc;
}

static int bind_row(binder *b, const pare__binding *row, char *base)
{
    char *to = base + row->offset;
    int n_axis = (int)strlen(row->shape);
    if (!has(b->m, row->need)) return 0;
    if (row->role == PARE__ROLE_ARRAY) return load_row(b, row, "", n_axis, (const float **)(void *)to);
    if (row->role == PARE__ROLE_LINEAR) return bind_linear(b, row, (pare__linear *)(void *)to);
    pare__norm_w *norm = (pare__norm_w *)(void *)to;
    int rc = load_row(b, row, ".weight", n_axis, &norm->w);
    return rc || row->role == PARE__ROLE_SCALE ? rc : load_row(b, row, ".bias", n_axis, &norm->b);
}

static int bind_rows(binder *b, const pare__binding *rows, int32_t block, void *base)
{
    int rc = 0;
    b->block = block;
    for (const pare__binding *row = rows; row->names && !rc; row++) rc = bind_row(b, row, base);
    return rc;
}

/* As many names as a message holds, behind the end of the path. */
static int report_missing(const binder *b)
{
    int64_t shown = 1;
    size_t n = strlen(b->m->path);
    const char *path = b->m->path + (n > 40 ? n - 40 : 0);
    for (const char *p = b->missing; *p; p++) shown += *p == ',';
    if (shown == b->n_missing) return pare_fail(b->err, PARE_E_NOTFOUND, "%s: missing tensors: %s", path, b->missing);
    return pare_fail(b->err, PARE_E_NOTFOUND, "%s: %lld tensors missing: %s and %lld more", path,
                     (long long)b->n_missing, b->missing, (long long)(b->n_missing - shown));
}

int pare__weights_bind(pare_model *m, pare_error *err)
{
    binder b = {.s = m->store, .m = m, .err = err};
    const pare__family *f = m->family;
    b.prefix = choose_prefix(&b);
    m->w.block = PARE__NEW(pare__block_w, m->hp.n_layer);
    if (!m->w.block) return pare_fail(err, PARE_E_NOMEM, "%s: no memory for %d blocks", m->path, m->hp.n_layer);
    int rc = bind_rows(&b, f->model, -1, &m->w);
    for (int32_t l = 0; l < m->hp.n_layer && !rc; l++) rc = bind_rows(&b, f->block, l, &m->w.block[l]);
    if (!rc && b.n_missing) rc = report_missing(&b);
    if (!rc) rc = pare__lift_run(&m->store->lift, m->store, m->path, err);
    return rc;
}

void pare__weights_fini(pare__weights *w)
{
    pare__free(w->block);
    w->block = NULL;
}
