/* SPDX-License-Identifier: MIT */
/* The tensors of a result file, whatever its format, and the table of formats.
 *
 * Windows arrive one by one; each tensor grows by the rows of the window. A window's map counts columns from its own
 * first candidate, the file counts them over the clip. What only some windows have (gain, members, scores) starts
 * in the file with the first window that has it, the windows before filled with what its absence means.
 *
 *     embeds f32 [K,D]   place i32 [K,6]   thw i32 [K,3]   box f32 [K,4]   kind u8 [K]   index i32 [K]   sizes f32 [K]
 *     pts f64 [T,2]   prefix f32 [T,P,D]   pooled f32 [T,D]   logits f32 [T,C]   scores f32 [N]   grid_thw i64 [G,3]
 *     mrope i32 [K,3], deepstack f32 [S,K,D], image_embeds f32 [T,E], newline f32 [D] where the family has them
 *     map.row_start i64 [K+1]   map.index i32   map.weight f32   map.anchor i32 [K]   map.gain f32 [K]
 *     map.member_start i64 [K+1]   map.member i32 */
#include "write/writer.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "write/atomic.h"

enum { PIECE = 512, PLACE = 6 };

#define DEEPSTACK "deepstack"

/* ---- appending what must be converted ------------------------------------------------------------------------ */

/* Column numbers, counted over the clip. */
static int append_columns(pare_writer *w, const char *name, const int32_t *column, int64_t n, pare_error *err)
{
    int32_t piece[PIECE];
    int rc = pare__spool_append(&w->spool, name, PARE_I32, NULL, 0, NULL, 0, err);
    for (int64_t at = 0; at < n && rc == 0; at += PIECE) {
        const int64_t m = n - at < PIECE ? n - at : PIECE;
        for (int64_t i = 0; i < m; i++) piece[i] = (int32_t)(column[at + i] + w->n);
        rc = pare__spool_append(&w->spool, name, PARE_I32, NULL, 0, piece, m, err);
    }
    return rc;
}

/* Ends of rows: start[1..k], counted from `base`. */
static int append_starts(pare_writer *w, const char *name, const int64_t *start, int64_t k, int64_t base,
                         pare_error *err)
{
    int64_t piece[PIECE];
    int rc = 0;
    for (int64_t at = 0; at < k && rc == 0; at += PIECE) {
        const int64_t m = k - at < PIECE ? k - at : PIECE;
        for (int64_t i = 0; i < m; i++) piece[i] = start[1 + at + i] + base;
        rc = pare__spool_append(&w->spool, name, PARE_I64, NULL, 0, piece, m, err);
    }
    return rc;
}

static int append_index(pare_writer *w, const pare_result_view *v, pare_error *err)
{
    int32_t piece[PIECE];
    int rc = pare__spool_append(&w->spool, "index", PARE_I32, NULL, 0, NULL, 0, err);
    for (int64_t at = 0; at < v->k && rc == 0; at += PIECE) {
        const int64_t m = v->k - at < PIECE ? v->k - at : PIECE;
        for (int64_t i = 0; i < m; i++) piece[i] = (int32_t)v->index[at + i];
        rc = pare__spool_append(&w->spool, "index", PARE_I32, NULL, 0, piece, m, err);
    }
    return rc;
}

/* thw is place without media, tile and level: most readers want nothing else. */
static int append_thw(pare_writer *w, const pare_result_view *v, pare_error *err)
{
    static const int64_t three = 3;
    int32_t piece[PIECE][3];
    int rc = pare__spool_append(&w->spool, "thw", PARE_I32, &three, 1, NULL, 0, err);
    for (int64_t at = 0; at < v->k && rc == 0; at += PIECE) {
        const int64_t m = v->k - at < PIECE ? v->k - at : PIECE;
        for (int64_t i = 0; i < m; i++) memcpy(piece[i], v->place + (at + i) * PLACE + 2, sizeof piece[i]);
        rc = pare__spool_append(&w->spool, "thw", PARE_I32, &three, 1, piece, m, err);
    }
    return rc;
}

static int append_constant(pare_writer *w, const char *name, float value, int64_t n, pare_error *err)
{
    float piece[PIECE];
    for (int i = 0; i < PIECE; i++) piece[i] = value;
    int rc = 0;
    for (int64_t at = 0; at < n && rc == 0; at += PIECE)
        rc = pare__spool_append(&w->spool, name, PARE_F32, NULL, 0, piece, n - at < PIECE ? n - at : PIECE, err);
    return rc;
}

/* One float per row that not every window has: `before` rows came without, `value` is what its absence means. */
static int append_optional(pare_writer *w, const char *name, const float *data, int64_t n, int64_t before, float value,
                           pare_error *err)
{
    const int is_new = pare__spool_find(&w->spool, name) == NULL;
    if (data == NULL) return is_new ? 0 : append_constant(w, name, value, n, err);
    const int rc = is_new ? append_constant(w, name, value, before, err) : 0;
    return rc != 0 ? rc : pare__spool_append(&w->spool, name, PARE_F32, NULL, 0, data, n, err);
}

/* ---- a window ------------------------------------------------------------------------------------------------ */

static int append_rows(pare_writer *w, const pare_result_view *v, pare_error *err)
{
    const int64_t dim = v->d, place = PLACE, four = 4;
    const struct {
        const char *name;
        int32_t dtype;
        const int64_t *tail;
        const void *data;
    } rows[] = {
        {"embeds", PARE_F32, &dim, v->embeds}, {"place", PARE_I32, &place, v->place}, {"box", PARE_F32, &four, v->box},
        {"kind", PARE_U8, NULL, v->kind},      {"sizes", PARE_F32, NULL, v->sizes},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0] && rc == 0; i++)
        rc = pare__spool_append(&w->spool, rows[i].name, rows[i].dtype, rows[i].tail, rows[i].tail != NULL,
                                rows[i].data, v->k, err);
    if (rc == 0) rc = append_thw(w, v, err);
    if (rc == 0) rc = append_index(w, v, err);
    if (rc == 0) rc = append_optional(w, "scores", v->scores, v->n, w->n, NAN, err);
    return rc;
}

static int append_steps(pare_writer *w, const pare_result_view *v, pare_error *err)
{
    const int64_t t = v->grid[0], two = 2, dim = v->d, n_class = v->n_class, prefix[2] = {v->n_prefix, v->d};
    int rc = 0;
    if (v->pts != NULL) /* features handed to pare_reduce_tokens carry no times */
        rc = pare__spool_append(&w->spool, "pts", PARE_F64, &two, 1, v->pts, t, err);
    if (rc == 0 && v->pooled != NULL)
        rc = pare__spool_append(&w->spool, "pooled", PARE_F32, &dim, 1, v->pooled, t, err);
    if (rc == 0 && v->prefix != NULL)
        rc = pare__spool_append(&w->spool, "prefix", PARE_F32, prefix, 2, v->prefix, t, err);
    if (rc == 0 && v->logits != NULL)
        rc = pare__spool_append(&w->spool, "logits", PARE_F32, &n_class, 1, v->logits, t, err);
    return rc;
}

/* Rows for the language model's first layers, tap by tap: they are put together when all windows are there. */
static int append_deepstack(pare_writer *w, const pare_result_view *v, pare_error *err)
{
    const int64_t dim = v->d;
    int rc = 0;
    for (int32_t i = 0; i < v->n_deepstack && rc == 0; i++) {
        char name[32];
        snprintf(name, sizeof name, DEEPSTACK ".%d", i);
        rc = pare__spool_append(&w->spool, name, PARE_F32, &dim, 1, v->deepstack + i * v->k * dim, v->k, err);
    }
    return rc;
}

/* What only some families have. */
static int append_extras(pare_writer *w, const pare_result_view *v, pare_error *err)
{
    static const int64_t three = 3;
    const int64_t n_embed = v->n_embed;
    int rc = v->deepstack != NULL ? append_deepstack(w, v, err) : 0;
    if (rc == 0 && v->mrope != NULL)
        rc = pare__spool_append(&w->spool, "mrope", PARE_I32, &three, 1, v->mrope, v->k, err);
    if (rc == 0 && v->image_embeds != NULL)
        rc = pare__spool_append(&w->spool, "image_embeds", PARE_F32, &n_embed, 1, v->image_embeds, v->grid[0], err);
    if (rc == 0 && v->newline != NULL && w->n_window == 0)
        rc = pare__spool_append(&w->spool, "newline", PARE_F32, NULL, 0, v->newline, v->d, err);
    return rc;
}

static int end_grid(pare_writer *w, pare_error *err)
{
    static const int64_t three = 3;
    const int rc = w->thw[0] ? pare__spool_append(&w->spool, "grid_thw", PARE_I64, &three, 1, w->thw, 1, err) : 0;
    w->thw[0] = 0;
    return rc;
}

/* One row of grid_thw per photo, clip or tile: consecutive steps of the same one share it, across windows too. */
static int append_grids(pare_writer *w, const pare_result_view *v, pare_error *err)
{
    int rc = 0;
    for (int32_t i = 0; i < v->grid[0] && rc == 0; i++) {
        const pare_slot *s = &v->slot[i];
        const int goes_on = w->thw[0] && s->media == w->last.media && s->tile == w->last.tile && s->t == w->last.t + 1;
        if (!goes_on) {
            rc = end_grid(w, err);
            w->thw[1] = (int64_t)s->grid_h * w->unit;
            w->thw[2] = (int64_t)s->grid_w * w->unit;
        }
        w->thw[0]++;
        w->last = *s;
    }
    return rc;
}

/* Members of rows: those of the map, or, once any window had some, the columns of R. */
static int append_members(pare_writer *w, const pare_map *m, pare_error *err)
{
    int is_new = pare__spool_find(&w->spool, "map.member") == NULL;
    if (is_new && m->member_start == NULL) return 0;
    int rc = 0;
    if (is_new && w->n_window > 0) {
        rc = pare__spool_copy(&w->spool, "map.row_start", "map.member_start", err);
        if (rc == 0) rc = pare__spool_copy(&w->spool, "map.index", "map.member", err);
        w->n_member = w->nnz;
    } else if (is_new) {
        rc = pare__spool_append(&w->spool, "map.member_start", PARE_I64, NULL, 0, &(int64_t){0}, 1, err);
    }
    const int64_t *start = m->member_start != NULL ? m->member_start : m->row_start;
    const int32_t *member = m->member_start != NULL ? m->member : m->index;
    const int64_t n = m->n_out > 0 ? start[m->n_out] : 0;
    if (rc == 0) rc = append_starts(w, "map.member_start", start, m->n_out, w->n_member, err);
    if (rc == 0) rc = append_columns(w, "map.member", member, n, err);
    w->n_member += n;
    return rc;
}

static int append_map(pare_writer *w, const pare_map *m, pare_error *err)
{
    const int64_t nnz = m->n_out > 0 ? m->row_start[m->n_out] : 0;
    int rc = append_members(w, m, err);
    if (rc == 0) rc = append_starts(w, "map.row_start", m->row_start, m->n_out, w->nnz, err);
    if (rc == 0) rc = append_columns(w, "map.index", m->index, nnz, err);
    if (rc == 0) rc = pare__spool_append(&w->spool, "map.weight", PARE_F32, NULL, 0, m->weight, nnz, err);
    if (rc == 0) rc = append_columns(w, "map.anchor", m->anchor, m->n_out, err);
    if (rc == 0) rc = append_optional(w, "map.gain", m->gain, m->n_out, w->k, 1.0F, err);
    w->nnz += nnz;
    return rc;
}

/* A file holds one input: all windows have the same geometry. */
static int check_window(pare_writer *w, const pare_result_view *v, pare_error *err)
{
    const int32_t unit = v->unit > 0 ? v->unit : 1;
    const int32_t has_logits = v->logits != NULL ? v->n_class : 0, has_prefix = v->prefix != NULL ? v->n_prefix : 0;
    if (v->map.n_in != v->n || v->map.n_out != v->k)
        return pare_fail(err, PARE_E_INVALID, "map of %" PRId64 " x %" PRId64 " in a result of %" PRId64 " x %" PRId64,
                         v->map.n_out, v->map.n_in, v->k, v->n);
    if (w->n + v->n > INT32_MAX)
        return pare_fail(err, PARE_E_LIMIT,
                         "%s: %" PRId64 " candidates are more than the %d that its indices can count", w->path,
                         w->n + v->n, INT32_MAX);
    const int32_t n_deepstack = v->deepstack != NULL ? v->n_deepstack : 0;
    const int32_t n_embed = v->image_embeds != NULL ? v->n_embed : 0;
    const int32_t has_pts = v->pts != NULL, has_mrope = v->mrope != NULL, has_newline = v->newline != NULL;
    if (w->n_window == 0) {
        w->d = v->d, w->n_prefix = has_prefix, w->n_class = has_logits;
        w->n_deepstack = n_deepstack, w->n_embed = n_embed;
        w->has_pts = has_pts, w->has_mrope = has_mrope, w->has_newline = has_newline;
        w->unit = unit;
    }
    const struct {
        const char *what;
        int32_t now, before;
    } same[] = {{"width", v->d, w->d},
                {"prefix tokens", has_prefix, w->n_prefix},
                {"classes", has_logits, w->n_class},
                {"times (0 none, 1 some)", has_pts, w->has_pts},
                {"M-RoPE ids (0 none, 1 some)", has_mrope, w->has_mrope},
                {"DeepStack taps", n_deepstack, w->n_deepstack},
                {"joint embedding", n_embed, w->n_embed},
                {"newline (0 none, 1 some)", has_newline, w->has_newline},
                {"unit", unit, w->unit}};
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
        if (same[i].now != same[i].before)
            return pare_fail(err, PARE_E_INVALID, "%s: %s of window %d is %d, of those before %d", w->path,
                             same[i].what, w->n_window, same[i].now, same[i].before);
    return 0;
}

int pare__writer_append(pare_writer *w, const pare_result_view *v, pare_error *err)
{
    if (w->is_broken) return pare_fail(err, PARE_E_STATE, "%s: append after finish or after an error", w->path);
    int rc = check_window(w, v, err);
    if (rc == 0) rc = append_rows(w, v, err);
    if (rc == 0) rc = append_steps(w, v, err);
    if (rc == 0) rc = append_extras(w, v, err);
    if (rc == 0) rc = append_grids(w, v, err);
    if (rc == 0) rc = append_map(w, &v->map, err);
    w->is_broken = rc != 0;
    w->n += v->n;
    w->k += v->k;
    w->n_window++;
    return rc;
}

/* ---- life of a writer ---------------------------------------------------------------------------------------- */

static int check_opts(const char *path, const pare_writer_opts *opts, pare_error *err)
{
    if (path == NULL || path[0] == '\0') return pare_fail(err, PARE_E_INVALID, "no name for the result file");
    for (int64_t i = 0; i < opts->n_meta; i++)
        if (opts->meta == NULL || opts->meta[i][0] == NULL || opts->meta[i][1] == NULL)
            return pare_fail(err, PARE_E_INVALID, "%s: metadata pair %" PRId64 " of %" PRId64 " has no key or no value",
                             path, i, opts->n_meta);
    return 0;
}

int pare__writer_open(pare_writer **out, const char *path, const pare_writer_opts *opts, pare_error *err)
{
    static const pare_writer_opts no_opts = {.struct_size = sizeof no_opts};
    if (opts == NULL) opts = &no_opts;
    *out = NULL;
    int rc = check_opts(path, opts, err);
    if (rc != 0) return rc;
    const pare__writer_format *format = pare__writer_format_find(opts->format, path);
    if (format == NULL)
        return pare_fail(err, PARE_E_INVALID, "no result format '%s': safetensors and npz exist", opts->format);
    pare_writer *w = PARE__NEW(pare_writer, 1);
    if (w == NULL) return pare_fail(err, PARE_E_NOMEM, "out of memory for the writer of %s", path);
    w->format = format;
    w->path = pare__strdup(path);
    /* Nothing can lie beside a device or a pipe: their tensors spool in the system's directory for such things. */
    w->dir = pare__path_in_place(path) ? pare__strdup(P_tmpdir) : pare__path_dir(path);
    if (w->path == NULL || w->dir == NULL) {
        rc = pare_fail(err, PARE_E_NOMEM, "out of memory for the name of %s", path);
        goto fail;
    }
    w->spool.dir = w->dir;
    rc = pare__spool_meta(&w->spool, "schema_version", "1", err);
    for (int64_t i = 0; i < opts->n_meta && rc == 0; i++)
        rc = pare__spool_meta(&w->spool, opts->meta[i][0], opts->meta[i][1], err);
    /* The first file in the directory: what cannot be written is found out before the work begins. */
    if (rc == 0) rc = pare__spool_append(&w->spool, "map.row_start", PARE_I64, NULL, 0, &(int64_t){0}, 1, err);
    if (rc != 0) goto fail;
    *out = w;
    return 0;
fail:
    pare__writer_close(&w);
    return rc;
}

static int complete_spool(pare_writer *w, int complete, pare_error *err)
{
    char unit[16];
    snprintf(unit, sizeof unit, "%d", w->unit);
    int rc = end_grid(w, err);
    if (rc == 0) rc = pare__spool_stack(&w->spool, DEEPSTACK, w->n_deepstack, err);
    if (rc == 0) rc = pare__spool_meta(&w->spool, "unit", unit, err);
    if (rc == 0) rc = pare__spool_meta(&w->spool, "complete", complete ? "true" : "false", err);
    return rc;
}

int pare__writer_finish(pare_writer *w, int complete, pare_error *err)
{
    if (w->is_broken) return pare_fail(err, PARE_E_STATE, "%s: finish after finish or after an error", w->path);
    w->is_broken = 1;
    if (w->n_window == 0) return pare_fail(err, PARE_E_STATE, "%s: finish before any result was appended", w->path);
    pare__atomic file = {.fd = -1};
    int rc = complete_spool(w, complete, err);
    if (rc == 0) rc = pare__atomic_open(&file, w->path, err);
    if (rc == 0) rc = w->format->publish(&w->spool, file.fd, w->path, err);
    if (rc == 0) rc = pare__atomic_commit(&file, err);
    pare__atomic_abort(&file);
    pare__spool_fini(&w->spool);
    return rc;
}

void pare__writer_close(pare_writer **w)
{
    if (w == NULL || *w == NULL) return;
    pare__spool_fini(&(*w)->spool);
    pare__free((*w)->path);
    pare__free((*w)->dir);
    pare__free(*w);
    *w = NULL;
}

/* ---- formats ------------------------------------------------------------------------------------------------- */

const pare__writer_format *pare__writer_format_find(const char *name, const char *path)
{
    for (int i = 0; pare__writer_formats[i] != NULL; i++) {
        const pare__writer_format *f = pare__writer_formats[i];
        const size_t n_path = strlen(path), n_suffix = strlen(f->suffix);
        if (name != NULL ? strcmp(name, f->name) == 0
                         : n_path > n_suffix && strcmp(path + n_path - n_suffix, f->suffix) == 0)
            return f;
    }
    return name == NULL ? pare__writer_formats[0] : NULL;
}

/* One line per format, the default first; X(name) stands for pare__writer_name. */
#define WRITERS(X)                                                                                                     \
    X(safetensors)                                                                                                     \
    X(npz)

#define X(name) extern const pare__writer_format pare__writer_##name;
WRITERS(X)
#undef X

#define X(name) &pare__writer_##name,
const pare__writer_format *const pare__writer_formats[] = {WRITERS(X) NULL};
#undef X
