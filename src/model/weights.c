/* SPDX-License-Identifier: MIT */
/* Brings a family's tensor-name tables and a checkpoint together: resolves prefix and aliases, checks every shape,
 * collects all missing names, and leaves f32 rows, in place where they are a large part of a file of f32 and aligned. */
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "core/mem.h"
#include "model/remains.h"
#include "model/spell.h"

enum { MAX_AXES = 5 };

typedef struct binder {
    pare__store *s;
    pare_model *m;
    pare__speller names;
    pare__remains remains;
    int64_t n_missing;
    char missing[180]; /* the first names */
    pare_error *err;
} binder;

/* One array of floats and the tensors that it is made of. */
typedef struct request {
    const pare__binding *row;
    pare__spelling sp;
    const pare_tensor *part[PARE__MAX_PARTS]; /* NULL: zeros */
    int64_t height[PARE__MAX_PARTS];          /* of the first axis, unless the parts are slices */
    int64_t least;                            /* bytes that may stay in the file of the last part */
    int64_t axis[MAX_AXES];                   /* of the whole */
    int n_axis;
    int is_bias;
} request;

static int32_t has(const pare_model *m, size_t offset)
{
    int32_t v;
    memcpy(&v, (const char *)&m->hp + offset, sizeof v);
    return v;
}

static int64_t product(const int64_t *axis, int n)
{
    int64_t p = 1;
    for (int i = 0; i < n; i++) p *= axis[i];
    return p;
}

/* ---- tensors ------------------------------------------------------------------------------------------------- */

static void note_missing(binder *b, const char *name)
{
    size_t used = strlen(b->missing);
    if (b->n_missing++ == 0)
        snprintf(b->missing, sizeof b->missing, "%s", name);
    else if (used + strlen(name) + 3 < sizeof b->missing)
        snprintf(b->missing + used, sizeof b->missing - used, ", %s", name);
    pare__log(PARE_LOG_INFO, "%s: tensor %s is missing", b->m->path, name);
}

/* A part of a stacked bias that need not be in the file: then it is zeros, if another one is there. */
static int may_be_zeros(const request *r, int i)
{
    return r->is_bias && (!r->sp.name[i][0] || (r->row->flags & PARE__BIND_BIAS_PARTS && r->sp.n_part > 1));
}

static int find_parts(binder *b, request *r, int is_there)
{
    for (int i = 0; i < r->sp.n_part; i++) {
        const char *name = r->sp.name[i];
        pare__shard *shard = NULL;
        int rc = name[0] ? pare__store_find(b->s, name, &r->part[i], &shard, b->err) : 0;
        if (rc) return rc;
        if (!r->part[i] && name[0] && !(is_there && may_be_zeros(r, i))) note_missing(b, name);
        if (!r->part[i]) continue;
        if (!pare__dtype_is_weight(r->part[i]->dtype))
            return pare_fail(b->err, PARE_E_UNSUPPORTED, "%s: tensor %s is %s, which cannot be read as weights",
                             b->m->path, name, pare__dtype_name(r->part[i]->dtype));
        r->least = shard->least;
        pare__remains_read(&b->remains, name);
    }
    return 0;
}

/* ---- shapes -------------------------------------------------------------------------------------------------- */

static int is_shape(const pare_tensor *t, const int64_t *axis, int n_axis)
{
    int at = 0;
    for (int i = 0; i < n_axis; i++) {
        if (axis[i] == 1) continue;
        while (at < t->n_dim && t->shape[at] == 1) at++;
        if (at >= t->n_dim || t->shape[at++] != axis[i]) return 0;
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

static int is_turned(const request *r)
{
    return !r->is_bias && (r->row->flags & (PARE__BIND_TRANSPOSED | PARE__BIND_CHANNELS_LAST)) != 0;
}

/* [D, C, P, P] as the file holds it where channels come last: [D, P, P, C], or the last three as one. */
static int is_channels_last(const pare_tensor *t, const int64_t *axis)
{
    const int64_t apart[] = {axis[0], axis[2], axis[3], axis[1]}, joined[] = {axis[0], axis[1] * axis[2] * axis[3]};
    return is_shape(t, apart, 4) || is_shape(t, joined, 2);
}

/* axis [n_axis] of one part, whose first is its height. */
static int fits(const request *r, const pare_tensor *t, const int64_t *axis)
{
    int64_t reversed[MAX_AXES];
    if (!is_turned(r)) return is_shape(t, axis, r->n_axis);
    if (r->row->flags & PARE__BIND_CHANNELS_LAST)
        return r->n_axis == 4 && (is_shape(t, axis, 4) || is_channels_last(t, axis));
    for (int i = 0; i < r->n_axis; i++) reversed[i] = axis[r->n_axis - 1 - i];
    return is_shape(t, reversed, r->n_axis);
}

/* Rows of a part as the file has them; the only part is as high as the whole. */
static int64_t part_height(const request *r, const pare_tensor *t)
{
    const int64_t inner = product(r->axis + 1, r->n_axis - 1), n = pare__tensor_count(t);
    if (r->sp.n_part == 1) return r->axis[0];
    return inner > 0 && n % inner == 0 ? n / inner : r->axis[0] / r->sp.n_part;
}

/* What is in the file against what should be. */
static int wrong_shape(const binder *b, const request *r, const pare_tensor *t, const int64_t *axis)
{
    char has_text[80], needs[80];
    int64_t in_file[MAX_AXES];
    const int is_reversed = is_turned(r) && r->row->flags & PARE__BIND_TRANSPOSED;
    for (int i = 0; i < r->n_axis; i++) in_file[i] = axis[is_reversed ? r->n_axis - 1 - i : i];
    return pare_fail(b->err, PARE_E_FORMAT, "%s: tensor %s is [%s], the configuration needs [%s]", b->m->path, t->name,
                     show_shape(t->shape, t->n_dim, has_text), show_shape(in_file, r->n_axis, needs));
}

static int check_part(const binder *b, request *r, int i)
{
    int64_t axis[MAX_AXES];
    const pare_tensor *t = r->part[i];
    memcpy(axis, r->axis, sizeof axis);
    if (r->sp.in_slices)
        axis[strcspn(r->row->shape, "E")] = 1;
    else
        axis[0] = r->height[i] = part_height(r, t);
    if (fits(r, t, axis)) return 0;
    if (!r->sp.in_slices) axis[0] = r->axis[0] / r->sp.n_part;
    return wrong_shape(b, r, t, axis);
}

/* Parts add up to the whole; those of zeros are as high as an equal share of it. */
static int check_heights(const binder *b, request *r)
{
    int64_t n = 0;
    if (r->sp.in_slices) return 0;
    for (int i = 0; i < r->sp.n_part; i++) {
        if (!r->part[i]) r->height[i] = r->axis[0] / r->sp.n_part;
        n += r->height[i];
    }
    if (n == r->axis[0]) return 0;
    return pare_fail(b->err, PARE_E_FORMAT, "%s: tensor %s and its like hold %lld rows, the configuration needs %lld",
                     b->m->path, r->sp.name[0], (long long)n, (long long)r->axis[0]);
}

static int check_slices(const binder *b, const request *r)
{
    const size_t at = strcspn(r->row->shape, "E");
    if (!r->sp.in_slices || ((int)at < r->n_axis && r->axis[at] == r->sp.n_part)) return 0;
    return pare_fail(b->err, PARE_E_UNSUPPORTED, "%s: %s in %d slices, the configuration needs %lld", b->m->path,
                     r->sp.name[0], r->sp.n_part, (long long)((int)at < r->n_axis ? r->axis[at] : 1));
}

/* ---- floats -------------------------------------------------------------------------------------------------- */

/* Converters to GGUF add 1 themselves. */
static float plus(const binder *b, const request *r)
{
    return !r->is_bias && r->row->flags & PARE__BIND_PLUS_ONE && !pare__store_gguf(b->s) ? 1.0F : 0.0F;
}

/* Where the elements of part i [n] go. Slice i, t [outer, inner], goes to x [outer, n_part, inner]. */
static pare__layout lay_part(const binder *b, const request *r, int i)
{
    const int64_t n = pare__tensor_count(r->part[i]);
    pare__layout how = {.inner = n, .stride = n, .plus = plus(b, r)};
    if (r->sp.in_slices) {
        how.inner = product(r->axis, r->n_axis) / product(r->axis, 1 + (int)strcspn(r->row->shape, "E"));
        how.stride = how.inner * r->sp.n_part;
    }
    if (!is_turned(r)) return how;
    if (r->row->flags & PARE__BIND_TRANSPOSED) {
        how.cols = r->height[i];
        how.rows = n / (how.cols > 0 ? how.cols : 1);
    } else if (!is_shape(r->part[i], r->axis, 4)) {
        how.rows = r->axis[2] * r->axis[3];
        how.cols = r->axis[1];
    }
    return how;
}

static int may_stay(const request *r, const pare__layout *how)
{
    const pare_tensor *t = r->part[0];
    return r->sp.n_part == 1 && t && t->dtype == PARE_F32 && !how->rows && how->plus == 0.0F &&
           product(r->axis, r->n_axis) * (int64_t)sizeof(float) >= r->least && (uintptr_t)t->data % sizeof(float) == 0;
}

static int no_memory(const binder *b, const request *r)
{
    return pare_fail(b->err, PARE_E_NOMEM, "%s: no memory for tensor %s", b->m->path, r->sp.name[0]);
}

/* In its file, where it is only looked at. */
static int plan_in_place(binder *b, request *r, const float **out)
{
    pare__shard *shard;
    int rc = pare__store_find(b->s, r->sp.name[0], &r->part[0], &shard, b->err);
    if (rc) return rc;
    if (pare__lift_add(&b->s->lift, r->part[0], r->part[0]->name, NULL, NULL)) return no_memory(b, r);
    shard->n_in_place++;
    *out = r->part[0]->data;
    return 0;
}

/* Floats that the run will fill. */
static int plan(binder *b, request *r, const float **out)
{
    const char *name = NULL; /* of the first part, which all are told by */
    int64_t at = 0;
    const int64_t inner = product(r->axis + 1, r->n_axis - 1);
    float *x = pare__store_floats(b->s, product(r->axis, r->n_axis));
    if (!x) return no_memory(b, r);
    for (int i = 0; i < r->sp.n_part; i++) {
        const int64_t n = r->height[i] * inner;
        if (!r->part[i]) {
            memset(x + at, 0, (size_t)n * sizeof *x);
        } else {
            const pare__layout how = lay_part(b, r, i);
            if (!name) name = r->part[i]->name;
            float *to = x + (r->sp.in_slices ? i * how.inner : at);
            if (pare__lift_add(&b->s->lift, r->part[i], name, to, &how)) return no_memory(b, r);
        }
        at += n;
    }
    *out = x;
    return 0;
}

/* Fills *out, or notes what is missing and leaves it NULL. */
static int load(binder *b, request *r, int is_there, const float **out)
{
    const int64_t n_missing = b->n_missing;
    int rc = find_parts(b, r, is_there);
    if (rc || b->n_missing != n_missing) return rc;
    rc = check_slices(b, r);
    for (int i = 0; i < r->sp.n_part && !rc; i++)
        if (r->part[i]) rc = check_part(b, r, i);
    if (!rc) rc = check_heights(b, r);
    if (rc) return rc;
    for (int i = 0; i < r->sp.n_part; i++) b->m->n_params += r->part[i] ? pare__tensor_count(r->part[i]) : 0;
    if (r->part[0]) {
        const pare__layout how = lay_part(b, r, 0);
        if (may_stay(r, &how)) return plan_in_place(b, r, out);
    }
    return plan(b, r, out);
}

/* ---- rows of the table --------------------------------------------------------------------------------------- */

static int load_row(binder *b, const pare__binding *row, const char *suffix, int n_axis, const float **out)
{
    request r = {.row = row, .n_axis = n_axis, .is_bias = !strcmp(suffix, ".bias")};
    *out = NULL;
    const int is_there = pare__spell_row(&b->names, row, suffix, &r.sp);
    if (!is_there && row->flags & PARE__BIND_OPTIONAL) {
        if (b->names.d <= 0 && !r.is_bias) pare__remains_lacks(&b->remains, row->names, strcspn(row->names, "|+/"));
        return 0;
    }
    for (int i = 0; i < n_axis; i++) r.axis[i] = pare__family_axis(&b->m->hp, row->shape[i]);
    if (r.is_bias && r.sp.in_slices) r.sp.n_part = 1;
    if (r.is_bias) r.sp.in_slices = 0;
    return load(b, &r, is_there, out);
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

/* RMS norms have no bias. */
static int has_norm_bias(const binder *b, const pare__binding *row, const pare__norm_w *norm)
{
    const pare__weights *w = &b->m->w;
    int is_projector = norm == &w->projector.norm;
    for (int i = 0; i < PARE__MAX_DEEPSTACK; i++) is_projector |= norm == &w->deepstack[i].norm;
    const pare__norm_kind kind = is_projector ? b->m->hp.proj_norm : b->m->hp.norm;
    return row->role == PARE__ROLE_NORM && kind == PARE__NORM_LAYER && has(b->m, row->bias);
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
    return rc || !has_norm_bias(b, row, norm) ? rc : load_row(b, row, ".bias", n_axis, &norm->b);
}

/* d, b: what %d and %b stand for in these names. */
static int bind_rows(binder *b, const pare__binding *rows, int32_t d, int32_t block, void *base)
{
    int rc = 0;
    b->names.d = d;
    b->names.b = block;
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

static int bind_all(binder *b)
{
    pare_model *m = b->m;
    const pare__family *f = m->family;
    int rc = bind_rows(b, f->model, -1, -1, &m->w);
    for (int32_t l = 0; l < m->hp.n_layer && !rc; l++) rc = bind_rows(b, f->block, l, l, &m->w.block[l]);
    for (int32_t i = 0; f->deepstack && i < m->hp.n_deepstack && !rc; i++)
        rc = bind_rows(b, f->deepstack, i, m->hp.deepstack[i], &m->w.deepstack[i]);
    return !rc && b->n_missing ? report_missing(b) : rc;
}

int pare__weights_bind(pare_model *m, pare_error *err)
{
    binder b = {.s = m->store, .m = m, .names = {.s = m->store}, .err = err};
    b.names.prefix = pare__spell_prefix(m->store, m->family);
    m->w.block = PARE__NEW(pare__block_w, m->hp.n_layer);
    int rc =
        m->w.block ? bind_all(&b) : pare_fail(err, PARE_E_NOMEM, "%s: no memory for %d blocks", m->path, m->hp.n_layer);
    if (!rc) rc = pare__lift_run(&m->store->lift, m->store, m->path, err);
    if (!rc && !(m->missing = pare__remains_text(&b.remains, m->store)))
        rc = pare_fail(err, PARE_E_NOMEM, "%s: no memory", m->path);
    pare__remains_fini(&b.remains);
    return rc;
}

void pare__weights_fini(pare__weights *w)
{
    pare__free(w->block);
    w->block = NULL;
}
