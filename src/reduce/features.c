/* SPDX-License-Identifier: MIT */
/* Reads the arrays of pare_reduce_tokens: tokens [n, d], what belongs to every token, what belongs to the prefix tokens of
 * every slot, and what belongs to neither (pixels, text). Slots: features_slots.c. */
#include "reduce/features.h"

#include <math.h>
#include <string.h>

#include "core/limits.h"
#include "model/tensorfile.h"
#include "reduce/plan.h"

static const struct {
    const char *name;
    pare__array array;
    int32_t is_row; /* one value per token */
} inputs[] = {{"tokens", PARE__ARRAY_TOKENS, 0},
              {"q", PARE__ARRAY_Q, 0},
              {"k", PARE__ARRAY_K, 0},
              {"v", PARE__ARRAY_V, 0},
              {"k_mean", PARE__ARRAY_K_MEAN, 0},
              {"cls_row", PARE__ARRAY_CLS_ROW, 1},
              {"col_mean", PARE__ARRAY_COL_MEAN, 1}};
enum { N_INPUTS = sizeof inputs / sizeof inputs[0] };

/* Everything that is looked at before its meaning is known. */
static int check_array(const pare_tensor *t, int32_t i, pare_error *err)
{
    if (!t->name) return pare_fail(err, PARE_E_INVALID, "array %d has no name", i);
    if (t->dtype < 0 || t->dtype >= PARE_DTYPE_COUNT)
        return pare_fail(err, PARE_E_INVALID, "%s: there is no dtype %d", t->name, t->dtype);
    if (t->n_dim < 0 || t->n_dim > PARE_MAX_DIMS)
        return pare_fail(err, PARE_E_INVALID, "%s: %d axes, 0 to %d are possible", t->name, t->n_dim, PARE_MAX_DIMS);
    int64_t count = 1;
    for (int32_t a = 0; a < t->n_dim; a++) {
        if (t->shape[a] < 0 || (t->shape[a] > 0 && count > PARE__MAX_BYTES / t->shape[a]))
            return pare_fail(err, PARE_E_INVALID, "%s: %lld is no length of axis %d", t->name, (long long)t->shape[a],
                             a);
        count *= t->shape[a];
    }
    return t->data || !count ? 0 : pare_fail(err, PARE_E_INVALID, "%s: there is no data", t->name);
}

static int twice(const pare_tensor *t, pare_error *err)
{
    return pare_fail(err, PARE_E_INVALID, "%s: given twice", t->name);
}

static const pare_tensor *find(const pare_tensor *arrays, int32_t n, const char *name)
{
    for (int32_t i = 0; i < n; i++)
        if (!strcmp(arrays[i].name, name)) return &arrays[i];
    return NULL;
}

/* ---- arrays of tokens -------------------------------------------------------------------------------------------- */

/* Values per row of an array with `rows` rows; 0 = it does not fit. */
static int64_t row_width(const pare_tensor *t, int64_t rows)
{
    const int64_t count = pare__tensor_count(t);
    if (!rows || !count || t->n_dim < 1 || t->shape[0] != rows || count % rows || count / rows > PARE__MAX_DIM)
        return 0;
    return count / rows;
}

static int wrong_rows(const pare_tensor *t, int64_t rows, pare_error *err)
{
    return pare_fail(err, PARE_E_INVALID, "%s: %lld values do not make %lld rows", t->name,
                     (long long)pare__tensor_count(t), (long long)rows);
}

static float *add_array(pare__features *f, const pare_tensor *t, pare__need need, int64_t width, pare_error *err)
{
    float *data = pare__rows_add_array(&f->rows, need, (int32_t)width, f->rows.n);
    if (!data) pare_fail(err, PARE_E_LIMIT, "%s: more than %d arrays", t->name, PARE__MAX_ARRAYS);
    return data;
}

static int32_t find_array(const pare__rows *rows, pare__array array, int32_t layer)
{
    for (int32_t i = 0; i < rows->n_array; i++)
        if (rows->array[i].need.array == array && rows->array[i].need.layer == layer) return i;
    return -1;
}

static void mean_heads(const float *k, int64_t n, int64_t n_head, int64_t head_dim, float *out)
{
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < head_dim; c++) {
            double sum = 0;
            for (int64_t h = 0; h < n_head; h++) sum += (double)k[(i * n_head + h) * head_dim + c];
            out[i * head_dim + c] = (float)(sum / (double)n_head);
        }
}

static int note_heads(pare__features *f, const pare_tensor *t, pare_error *err)
{
    if (t->n_dim != 3) return 0;
    const int64_t n_head = t->shape[1];
    if (n_head < 1 || n_head > PARE__MAX_HEADS || (f->n_head > 1 && f->n_head != n_head))
        return pare_fail(err, PARE_E_INVALID, "%s: %lld heads, the other arrays have %d", t->name, (long long)n_head,
                         f->n_head);
    f->n_head = (int32_t)n_head;
    return 0;
}

/* "cls_row" or "cls_row.10" behind `start`: 1 if `name` is this input, with its layer. */
static int match_input(const char *name, const char *input, int32_t *layer)
{
    const size_t n = strlen(input);
    *layer = PARE__LAYER_ANY;
    if (strncmp(name, input, n)) return 0;
    if (!name[n]) return 1;
    int64_t value;
    if (name[n] != '.' || pare__parse_int(name + n + 1, &value) || value < -PARE__MAX_BLOCKS ||
        value >= PARE__MAX_BLOCKS)
        return 0;
    *layer = (int32_t)value;
    return 1;
}

/* The input that a name stands for, or -1; its layer counted from 0 where the number of layers is known. */
static int find_input(const pare__features *f, const char *name, int32_t *layer)
{
    for (int i = 0; i < N_INPUTS; i++) {
        if (!match_input(name, inputs[i].name, layer)) continue;
        if (*layer < 0) *layer += f->n_layer;
        return i;
    }
    return -1;
}

static int check_layer(const pare__features *f, const pare_tensor *t, int32_t layer, pare_error *err)
{
    if (!f->n_layer || layer == PARE__LAYER_ANY || (layer >= 0 && layer < f->n_layer)) return 0;
    return pare_fail(err, PARE_E_INVALID, "%s: there is no such layer, n_layer is %d", t->name, f->n_layer);
}

/* Does the step ask for this array of this layer? Where nobody knows the number of layers, names are not compared. */
static int step_reads(const pare__features *f, const pare__step *s, pare__array array, int32_t layer)
{
    pare__need need[PARE__MAX_STEP_NEEDS];
    int n = pare__step_needs(s, need);
    if (s->alloc->needs) n += s->alloc->needs(s->alloc_priv, s->site, need + n);
    for (int i = 0; i < n; i++) {
        if (need[i].array != array) continue;
        if (!f->n_layer || layer == PARE__LAYER_ANY || s->site == PARE__SITE_BLOCK) return 1;
        if (pare__step_layer(s, need[i].layer, f->n_layer, f->n_run) == layer) return 1;
    }
    return 0;
}

/* Keys are also read for their mean, received attention in place of a CLS token's. */
static int is_read(const pare__features *f, pare__array array, int32_t layer)
{
    for (int32_t i = 0; i < f->recipe->n; i++) {
        const pare__step *s = &f->recipe->step[i];
        if (step_reads(f, s, array, layer)) return 1;
        if (array == PARE__ARRAY_K && step_reads(f, s, PARE__ARRAY_K_MEAN, layer)) return 1;
        if (array == PARE__ARRAY_COL_MEAN && step_reads(f, s, PARE__ARRAY_CLS_ROW, layer)) return 1;
    }
    return 0;
}

static int add_input(pare__features *f, const pare_tensor *t, pare_error *err)
{
    int32_t layer;
    const int i = find_input(f, t->name, &layer);
    if (i < 0 || (inputs[i].array == PARE__ARRAY_TOKENS && layer == PARE__LAYER_ANY)) return 0;
    if (find_array(&f->rows, inputs[i].array, layer) >= 0) return twice(t, err);
    const int64_t width = row_width(t, f->rows.n);
    if (!width || (inputs[i].is_row && width != 1)) return wrong_rows(t, f->rows.n, err);
    int rc = check_layer(f, t, layer, err);
    if (!rc) rc = note_heads(f, t, err);
    if (rc || !is_read(f, inputs[i].array, layer)) return rc;
    float *data = add_array(f, t, (pare__need){inputs[i].array, layer}, width, err);
    if (!data) return PARE_E_LIMIT;
    pare__tensor_f32(t, data);
    return 0;
}

/* Keys serve twice: as they are, and as their mean over heads, unless that is given too. */
static int add_mean_keys(pare__features *f, const pare_tensor *t, pare_error *err)
{
    int32_t layer;
    const int i = find_input(f, t->name, &layer);
    if (i < 0 || inputs[i].array != PARE__ARRAY_K || find_array(&f->rows, PARE__ARRAY_K_MEAN, layer) >= 0) return 0;
    const int32_t key = find_array(&f->rows, PARE__ARRAY_K, layer);
    if (key < 0 || !is_read(f, PARE__ARRAY_K_MEAN, layer)) return 0;
    const int64_t n_head = t->n_dim == 3 ? t->shape[1] : 1, width = f->rows.array[key].width / n_head;
    float *mean = add_array(f, t, (pare__need){PARE__ARRAY_K_MEAN, layer}, width, err);
    if (!mean) return PARE_E_LIMIT;
    mean_heads(f->rows.array[key].data, f->rows.n, n_head, width, mean);
    return 0;
}

/* ---- prefix tokens ------------------------------------------------------------------------------------------------ */

/* How many prefix tokens a slot has: all arrays of them agree. */
static int note_prefix(pare__features *f, const pare_tensor *t, int64_t width, pare_error *err)
{
    const int64_t per_slot = pare__tensor_count(t) / (f->n_slot * width), p = t->n_dim > 1 ? t->shape[1] : 1;
    if (t->n_dim > 0 && t->shape[0] == f->n_slot && per_slot == p && p > 0 && p <= 1 + PARE__MAX_REGISTERS &&
        pare__tensor_count(t) == f->n_slot * p * width && (!f->n_prefix || f->n_prefix == p)) {
        f->n_prefix = (int32_t)p;
        return 0;
    }
    return pare_fail(err, PARE_E_INVALID, "%s: must be [%d, %s, %lld]", t->name, f->n_slot,
                     f->n_prefix ? "as many as the others" : "p", (long long)width);
}

/* prefix.NAME [slots, p, ...]: p is the same for all. */
static int read_prefix(pare__features *f, const pare_tensor *t, int64_t width, float **to, int32_t array,
                       pare_error *err)
{
    const int rc = note_prefix(f, t, width, err);
    if (rc) return rc;
    *to = array < 0 ? pare__malloc(pare__tensor_count(t), sizeof(float))
                    : pare__rows_add_prefix(&f->rows, array, f->n_prefix);
    if (!*to) return PARE_E_NOMEM;
    pare__tensor_f32(t, *to);
    return 0;
}

/* Of an array that no step reads; it must be there all the same. */
static int skip_prefix(pare__features *f, const pare_tensor *t, const pare_tensor *rows, pare_error *err)
{
    const char *name = strchr(t->name, '.') + 1;
    if (!rows) return pare_fail(err, PARE_E_INVALID, "%s: there is no '%s'", t->name, name);
    return note_prefix(f, t, row_width(rows, f->rows.n), err);
}

static int add_prefix(pare__features *f, const pare_tensor *arrays, int32_t n_arrays, int32_t at, pare_error *err)
{
    static const char start[] = "prefix.";
    const pare_tensor *t = &arrays[at];
    const char *name = t->name + sizeof start - 1;
    int32_t layer;
    if (strncmp(t->name, start, sizeof start - 1)) return 0;
    const int i = find_input(f, name, &layer);
    if (i < 0) return 0;
    if (inputs[i].array == PARE__ARRAY_TOKENS && layer == PARE__LAYER_ANY) {
        if (f->x_prefix) return twice(t, err);
        const int rc = read_prefix(f, t, f->rows.d, &f->x_prefix, -1, err);
        f->rows.x_prefix = f->x_prefix;
        return rc;
    }
    const int32_t array = find_array(&f->rows, inputs[i].array, layer);
    if (array < 0) return skip_prefix(f, t, find(arrays, n_arrays, name), err);
    if (f->rows.has_prefix[array]) return twice(t, err);
    float *to;
    return read_prefix(f, t, f->rows.array[array].width, &to, array, err);
}

/* The mean over heads of the keys of prefix tokens, unless that is given too. */
static int add_mean_prefix(pare__features *f, int32_t array)
{
    const pare__view_array *key = &f->rows.array[array];
    const int32_t mean = find_array(&f->rows, PARE__ARRAY_K_MEAN, key->need.layer);
    if (key->need.array != PARE__ARRAY_K || !f->rows.has_prefix[array] || mean < 0 || f->rows.has_prefix[mean])
        return 0;
    const int64_t width = f->rows.array[mean].width;
    if (key->width % width) return 0;
    float *to = pare__rows_add_prefix(&f->rows, mean, f->n_prefix);
    if (!to) return PARE_E_NOMEM;
    mean_heads(key->prefix, (int64_t)f->n_slot * f->n_prefix, key->width / width, width, to);
    return 0;
}

/* ---- everything else ----------------------------------------------------------------------------------------------- */

/* Pictures must be the grid times a square patch. */
static int read_pixels(pare__features *f, const pare_tensor *t, pare_error *err)
{
    if (!t) return 0;
    const int64_t h = f->slot[0].grid_h, w = f->slot[0].grid_w, patch = t->n_dim == 4 ? t->shape[1] / h : 0;
    int fits = t->dtype == PARE_U8 && patch > 0 && t->shape[3] == 3 && t->shape[1] == patch * h &&
               t->shape[2] == patch * w && t->shape[0] >= f->n_slot && t->shape[0] % f->n_slot == 0;
    for (int32_t i = 1; i < f->n_slot; i++) fits = fits && f->slot[i].grid_h == h && f->slot[i].grid_w == w;
    if (!fits)
        return pare_fail(err, PARE_E_INVALID,
                         "pixels: must be u8 [T, rows P, columns P, 3] of the grid %d x %lld x %lld", f->n_slot,
                         (long long)h, (long long)w);
    f->frame = PARE__NEW(const uint8_t *, t->shape[0]);
    if (!f->frame) return PARE_E_NOMEM;
    for (int64_t i = 0; i < t->shape[0]; i++)
        f->frame[i] = (const uint8_t *)t->data + i * t->shape[1] * t->shape[2] * 3;
    f->px = (pare__pixels){.frame = f->frame,
                           .patch = (int32_t)patch,
                           .temporal = (int32_t)(t->shape[0] / f->n_slot),
                           .mean = {0.485f, 0.456f, 0.406f},
                           .std = {0.229f, 0.224f, 0.225f}};
    return 0;
}

/* What is told in one number each. */
static int read_numbers(pare__features *f, const pare_tensor *arrays, int32_t n_arrays, pare_error *err)
{
    int rc = pare__features_number(find(arrays, n_arrays, "n_layer"), PARE__MAX_BLOCKS, &f->n_layer, err);
    f->n_run = f->n_layer;
    if (!rc) rc = pare__features_number(find(arrays, n_arrays, "n_run"), f->n_layer, &f->n_run, err);
    if (!rc) rc = pare__features_number(find(arrays, n_arrays, "clip_pool"), PARE__MAX_SIDE, &f->clip_pool, err);
    if (!rc) rc = pare__features_number(find(arrays, n_arrays, "no_cls"), 1, &f->no_cls, err);
    return rc;
}

/* deepstack [taps, n, d]: reduced like the tokens. */
static int read_deepstack(pare__features *f, const pare_tensor *t, pare_error *err)
{
    if (!t) return 0;
    const int64_t n = f->rows.n, d = f->rows.d;
    if (t->n_dim != 3 || t->shape[0] < 1 || t->shape[0] > PARE__MAX_DEEPSTACK || t->shape[1] != n || t->shape[2] != d)
        return pare_fail(err, PARE_E_INVALID, "deepstack: must be [taps, %lld, %lld], up to %d taps", (long long)n,
                         (long long)d, PARE__MAX_DEEPSTACK);
    if (pare__rows_reserve_deep(&f->rows, (int32_t)t->shape[0], n)) return PARE_E_NOMEM;
    pare_tensor one = *t;
    one.shape[0] = 1;
    for (int32_t i = 0; i < f->rows.n_deep; i++) {
        one.data = (const char *)t->data + i * pare__dtype_bytes(t->dtype, n * d);
        pare__tensor_f32(&one, f->rows.deep[i]);
    }
    return 0;
}

static int read_scores(pare__features *f, const pare_tensor *t, pare_error *err)
{
    if (!t) return 0;
    if (pare__tensor_count(t) != f->rows.n) return wrong_rows(t, f->rows.n, err);
    f->given = pare__malloc(f->rows.n, sizeof(float));
    if (!f->given) return PARE_E_NOMEM;
    pare__tensor_f32(t, f->given);
    for (int64_t i = 0; i < f->rows.n; i++)
        if (!isfinite(f->given[i]))
            return pare_fail(err, PARE_E_INVALID, "scores: value %lld is not finite", (long long)i);
    return 0;
}

static int read_mask(pare__features *f, const pare_tensor *t, pare_error *err)
{
    if (!t) return 0;
    if (t->dtype != PARE_U8 || pare__tensor_count(t) != f->rows.n)
        return pare_fail(err, PARE_E_INVALID, "mask: must be u8 and hold %lld values, one per token",
                         (long long)f->rows.n);
    f->mask = pare__malloc(f->rows.n, 1);
    if (!f->mask) return PARE_E_NOMEM;
    memcpy(f->mask, t->data, (size_t)f->rows.n);
    return 0;
}

static int read_text(pare__features *f, const pare_tensor *t, pare_error *err)
{
    if (!t) return 0;
    if (t->n_dim != 2 || t->shape[0] < 1 || t->shape[1] < 1 || t->shape[0] > PARE__MAX_TEXT_ROWS ||
        t->shape[1] > PARE__MAX_DIM)
        return pare_fail(err, PARE_E_INVALID, "text_query: must be [m, d], m up to %d, d up to %d", PARE__MAX_TEXT_ROWS,
                         PARE__MAX_DIM);
    f->text = pare__malloc(pare__tensor_count(t), sizeof(float));
    if (!f->text) return PARE_E_NOMEM;
    pare__tensor_f32(t, f->text);
    f->n_text = (int32_t)t->shape[0];
    f->d_text = (int32_t)t->shape[1];
    return 0;
}

static int read_tokens(pare__features *f, const pare_tensor *arrays, int32_t n_arrays, pare_error *err)
{
    const pare_tensor *x = find(arrays, n_arrays, "tokens");
    if (!x || x->n_dim != 2 || x->shape[0] < 1 || x->shape[1] < 1 || x->shape[1] > PARE__MAX_DIM ||
        x->shape[0] > INT32_MAX)
        return pare_fail(err, PARE_E_INVALID, "tokens: an array [n, d] of that name is required, d up to %d",
                         PARE__MAX_DIM);
    int rc =
        pare__features_slots(f, find(arrays, n_arrays, "grid_thw"), find(arrays, n_arrays, "tiles"), x->shape[0], err);
    if (!rc) rc = pare__rows_reset(&f->rows, f->slot, f->n_slot);
    if (!rc) rc = pare__rows_reserve_x(&f->rows, x->shape[0], (int32_t)x->shape[1]);
    if (!rc) pare__tensor_f32(x, f->rows.x);
    return rc;
}

int pare__features_read(pare__features *f, const pare__recipe *recipe, const pare_tensor *arrays, int32_t n_arrays,
                        pare_error *err)
{
    *f = (pare__features){.recipe = recipe, .n_head = 1};
    int rc = 0;
    for (int32_t i = 0; !rc && i < n_arrays; i++) rc = check_array(&arrays[i], i, err);
    if (!rc) rc = read_tokens(f, arrays, n_arrays, err);
    if (!rc) rc = read_numbers(f, arrays, n_arrays, err);
    if (!rc) rc = read_deepstack(f, find(arrays, n_arrays, "deepstack"), err);
    for (int32_t i = 0; !rc && i < n_arrays; i++) rc = add_input(f, &arrays[i], err);
    for (int32_t i = 0; !rc && i < n_arrays; i++) rc = add_mean_keys(f, &arrays[i], err);
    for (int32_t i = 0; !rc && i < n_arrays; i++) rc = add_prefix(f, arrays, n_arrays, i, err);
    for (int32_t i = 0; !rc && i < f->rows.n_array; i++) rc = add_mean_prefix(f, i);
    if (!rc) rc = read_pixels(f, find(arrays, n_arrays, "pixels"), err);
    if (!rc) rc = read_scores(f, find(arrays, n_arrays, "scores"), err);
    if (!rc) rc = read_mask(f, find(arrays, n_arrays, "mask"), err);
    if (!rc) rc = read_text(f, find(arrays, n_arrays, "text_query"), err);
    return rc;
}

void pare__features_fini(pare__features *f)
{
    pare__rows_fini(&f->rows);
    void *owned[] = {f->slot, (void *)(uintptr_t)f->frame, f->x_prefix, f->given, f->mask, f->text};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) pare__free(owned[i]);
}
