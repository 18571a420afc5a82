/* SPDX-License-Identifier: MIT */
/* The public functions of pare.h: checks arguments, calls inward. What lists is in list.c, what models say of themselves in
 * info.c; pare_fail and pare_strerror are in core/error.c, pare_tensors_save and pare_png_save in write/, because their
 * callers inside need them as they are. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <pthread.h>

#include <pare/pare.h>

#include "api.h"
#include "core/error.h"
#include "core/mrope.h"
#include "core/pixels_in.h"
#include "core/pool.h"
#include "core/vec.h"
#include "encode/backend.h"
#include "encode/trace.h"
#include "measure/llm.h"
#include "measure/metric.h"
#include "model/model.h"
#include "model/tensorfile.h"
#include "reduce/reducer.h"
#include "reduce/tokens.h"
#include "select/allocator.h"
#include "select/score.h"
#include "select/selector.h"
#include "view/heatmap.h"
#include "write/writer.h"

/* ---- arguments ------------------------------------------------------------------------------------------------ */

int pare__no_argument(const char *function, const char *argument, pare_error *err)
{
    return pare_fail(err, PARE_E_INVALID, "%s: %s is missing", function, argument);
}

int pare__take_struct(void *own, size_t own_size, const void *given, const char *function, pare_error *err)
{
    memset(own, 0, own_size);
    if (!given) return 0;
    uint32_t size;
    memcpy(&size, given, sizeof size);
    if (size < sizeof size)
        return pare_fail(err, PARE_E_INVALID, "%s: struct_size is %u, the struct has %zu bytes", function, size,
                         own_size);
    memcpy(own, given, size < own_size ? size : own_size);
    for (size_t i = own_size; i < size; i++)
        if (((const char *)given)[i])
            return pare_fail(err, PARE_E_UNSUPPORTED, "%s: an option at byte %zu is newer than this library", function,
                             i);
    return 0;
}

int pare__give_struct(void *to, const void *own, size_t own_size, const char *function, pare_error *err)
{
    uint32_t size = 0;
    if (to) memcpy(&size, to, sizeof size);
    if (size < sizeof size) return pare__no_argument(function, "struct_size", err);
    memcpy(to, own, size < own_size ? size : own_size);
    memcpy(to, &size, sizeof size);
    return 0;
}

/* ---- runtime -------------------------------------------------------------------------------------------------- */

const char *pare_version(void) { return PARE_VERSION_TEXT; }

int pare_runtime_init(const pare_runtime_opts *opts, pare_error *err)
{
    pare_runtime_opts o;
    const int rc = pare__take_struct(&o, sizeof o, opts, "pare_runtime_init", err);
    if (rc) return rc;
    pare__log_set(o.log, o.log_user);
    return pare__backends[0]->init(o.blas_core, err);
}

/* Read once: the model name of the CPU never changes. */
static char cpu_name[128];

static void read_cpu_name(void)
{
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(line, "model name", 10)) continue;
        snprintf(cpu_name, sizeof cpu_name, "%s", colon + 2);
        cpu_name[strcspn(cpu_name, "\n")] = 0;
        break;
    }
    if (f) fclose(f);
}

int pare_runtime_get(pare_runtime_info *info, pare_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, read_cpu_name);
    pare_runtime_info own = {.struct_size = sizeof own,
                             .cpu = cpu_name,
                             .cpu_flags = pare__cpu_flags(),
                             .vector_kernels = pare__vec_best()->name,
                             .n_cpu = pare__cpu_count()};
    pare__backends[0]->describe(&own);
    return pare__give_struct(info, &own, sizeof own, "pare_runtime_get", err);
}

/* ---- engines -------------------------------------------------------------------------------------------------- */

static int is_auto(const pare__engine_choice *c)
{
    pare__engine_choice best;
    return pare__engine_choose(NULL, pare__precision_name(c->precision), &best, NULL) == 0 && best.engine == c->engine;
}

int pare_engine_get(int32_t i, pare_engine *engine, pare_error *err)
{
    pare__engine_choice c;
    if (i < 0) return pare_fail(err, PARE_E_INVALID, "pare_engine_get: engine %d", i);
    if (!pare__engine_at(i, &c)) return PARE_EOF;
    const pare_engine own = {.struct_size = sizeof own,
                             .backend = c.backend->name,
                             .precision = pare__precision_name(c.precision),
                             .needs = c.engine->needs,
                             .runs = c.engine->runs(),
                             .is_auto = is_auto(&c)};
    return pare__give_struct(engine, &own, sizeof own, "pare_engine_get", err);
}

int pare_engine_measure(int32_t i, double *gops, pare_error *err)
{
    pare__engine_choice c;
    if (!gops) return pare__no_argument("pare_engine_measure", "gops", err);
    if (i < 0 || !pare__engine_at(i, &c)) return pare_fail(err, PARE_E_INVALID, "pare_engine_measure: no engine %d", i);
    if (!c.engine->runs())
        return pare_fail(err, PARE_E_UNSUPPORTED, "backend %s needs %s for %s; this machine has: %s", c.backend->name,
                         c.engine->needs, pare__precision_name(c.precision), pare__cpu_flags());
    return pare__engine_measure(c.engine, gops, err);
}

/* ---- tensor files --------------------------------------------------------------------------------------------- */

int pare_tensors_open(pare_tensors **out, const char *path, pare_error *err)
{
    if (!out) return pare__no_argument("pare_tensors_open", "out", err);
    *out = NULL;
    if (!path) return pare__no_argument("pare_tensors_open", "path", err);
    return pare__tensors_open(out, path, err);
}

void pare_tensors_close(pare_tensors **t) { pare__tensors_free(t); }

int64_t pare_tensors_count(const pare_tensors *t) { return t ? t->n_public : 0; }

const pare_tensor *pare_tensors_at(const pare_tensors *t, int64_t i)
{
    return t && i >= 0 && i < t->n_public ? &t->t[i] : NULL;
}

const pare_tensor *pare_tensors_find(const pare_tensors *t, const char *name)
{
    const pare_tensor *found = t && name ? pare__tensors_find(t, name) : NULL;
    return found && found - t->t < t->n_public ? found : NULL;
}

const char *pare_tensors_meta(const pare_tensors *t, const char *key)
{
    return t && key ? json_string_value(json_object_get(t->meta, key)) : NULL;
}

int64_t pare_tensor_count(const pare_tensor *t) { return t ? pare__tensor_count(t) : 0; }

void pare_tensor_to_f32(const pare_tensor *t, float *out)
{
    if (t && out) pare__tensor_f32(t, out);
}

/* ---- model ---------------------------------------------------------------------------------------------------- */

int pare_model_open(pare_model **out, const char *path, pare_error *err)
{
    if (!out) return pare__no_argument("pare_model_open", "out", err);
    *out = NULL;
    if (!path) return pare__no_argument("pare_model_open", "path", err);
    return pare__model_load(out, path, err);
}

void pare_model_close(pare_model **m) { pare__model_free(m); }

const char *pare_model_default_path(void) { return pare__model_default_path(); }

const char *pare_model_label(const pare_model *m, int32_t i)
{
    return m && m->label && i >= 0 && i < m->hp.n_class ? m->label[i] : NULL;
}

int pare_mrope(const pare_mrope_opts *opts, const int32_t *token_type, int64_t n, const int64_t *grid_thw,
               int32_t n_grid, int32_t *ids, int32_t *delta, pare_error *err)
{
    if (!token_type || !ids) return pare__no_argument("pare_mrope", ids ? "token_type" : "ids", err);
    if (n_grid > 0 && !grid_thw) return pare__no_argument("pare_mrope", "grid_thw", err);
    pare_mrope_opts o;
    const int rc = pare__take_struct(&o, sizeof o, opts, "pare_mrope", err);
    if (o.unit == 0) o.unit = 1;
    return rc ? rc : pare__mrope_prompt(&o, token_type, n, grid_thw, n_grid, ids, delta, err);
}

/* ---- reducer -------------------------------------------------------------------------------------------------- */

int pare__take_reducer_opts(pare_reducer_opts *own, pare_custom *custom, const pare_reducer_opts *opts,
                            const char *function, pare_error *err)
{
    int rc = pare__take_struct(own, sizeof *own, opts, function, err);
    if (!rc && own->custom) {
        rc = pare__take_struct(custom, sizeof *custom, own->custom, function, err);
        own->custom = custom;
    }
    if (rc || !own->text) return rc;
    if (own->n_text > 0 && own->d_text > 0 && own->n_text <= PARE__MAX_TEXT_ROWS && own->d_text <= PARE__MAX_DIM)
        return 0;
    return pare_fail(err, PARE_E_INVALID, "%s: text of %d x %d numbers, 1 x 1 to %d x %d are possible", function,
                     own->n_text, own->d_text, PARE__MAX_TEXT_ROWS, PARE__MAX_DIM);
}

int pare_reducer_create(pare_reducer **out, const pare_model *model, const pare_reducer_opts *opts, pare_error *err)
{
    if (!out) return pare__no_argument("pare_reducer_create", "out", err);
    *out = NULL;
    if (!model) return pare__no_argument("pare_reducer_create", "model", err);
    pare_reducer_opts o;
    pare_custom custom;
    const int rc = pare__take_reducer_opts(&o, &custom, opts, "pare_reducer_create", err);
    return rc ? rc : pare__reducer_create(out, model, &o, err);
}

static int check_motion(const pare_frame *f, const char *function, pare_error *err)
{
    const pare_motion *m = f->motion;
    if (!m) return 0;
    if (m->struct_size < sizeof *m)
        return pare_fail(err, PARE_E_INVALID, "%s: pare_motion.struct_size is %u", function, m->struct_size);
    if (!m->vector || !m->kind) return pare__no_argument(function, m->kind ? "motion.vector" : "motion.kind", err);
    if (m->block != PARE__MOTION_BLOCK)
        return pare_fail(err, PARE_E_INVALID, "%s: motion in blocks of %d pixels, must be %d", function, m->block,
                         PARE__MOTION_BLOCK);
    const int32_t rows = (f->height + m->block - 1) / m->block, cols = (f->width + m->block - 1) / m->block;
    if (m->rows == rows && m->cols == cols) return 0;
    return pare_fail(err, PARE_E_INVALID, "%s: motion of %d x %d blocks, a frame of %d x %d pixels has %d x %d",
                     function, m->cols, m->rows, f->width, f->height, cols, rows);
}

int pare__take_frame(pare_frame *own, const pare_frame *f, const char *function, pare_error *err)
{
    if (!f) return pare__no_argument(function, "frame", err);
    const int rc = pare__take_struct(own, sizeof *own, f, function, err);
    if (rc) return rc;
    if (!own->rgb) return pare__no_argument(function, "frame", err);
    if (own->width < 1 || own->height < 1 || own->width > PARE__MAX_SIDE || own->height > PARE__MAX_SIDE)
        return pare_fail(err, PARE_E_INVALID, "%s: frame of %d x %d pixels, sides must be 1..%d", function, own->width,
                         own->height, PARE__MAX_SIDE);
    if (pare__pixels_check(own, function, err)) return PARE_E_INVALID;
    if (own->rotation % 90 || own->rotation < 0 || own->rotation > 270)
        return pare_fail(err, PARE_E_INVALID, "%s: rotation %d, must be 0, 90, 180 or 270", function, own->rotation);
    if (own->mirrored != 0 && own->mirrored != 1)
        return pare_fail(err, PARE_E_INVALID, "%s: mirrored %d, must be 0 or 1", function, own->mirrored);
    if (!isfinite(own->pts) || !isfinite(own->duration))
        return pare_fail(err, PARE_E_INVALID, "%s: a frame at %g s for %g s", function, own->pts, own->duration);
    if (own->mask && (own->mask_width < 1 || own->mask_height < 1 || own->mask_width > PARE__MAX_SIDE ||
                      own->mask_height > PARE__MAX_SIDE))
        return pare_fail(err, PARE_E_INVALID, "%s: mask of %d x %d pixels, sides must be 1..%d", function,
                         own->mask_width, own->mask_height, PARE__MAX_SIDE);
    if (own->scores && (own->scores_width < 1 || own->scores_height < 1 || own->scores_width > PARE__MAX_SIDE ||
                        own->scores_height > PARE__MAX_SIDE))
        return pare_fail(err, PARE_E_INVALID, "%s: scores of %d x %d units, sides must be 1..%d", function,
                         own->scores_width, own->scores_height, PARE__MAX_SIDE);
    return check_motion(own, function, err);
}

/* Element i of a caller's array, whose structs may be of another size than ours. */
static const pare_frame *frame_at(const pare_frame *frames, int32_t i)
{
    return (const pare_frame *)(const void *)((const char *)frames + (size_t)i * frames->struct_size);
}

int pare_reducer_push(pare_reducer *r, const pare_frame *frame, pare_error *err)
{
    if (!r) return pare__no_argument("pare_reducer_push", "reducer", err);
    pare_frame own;
    const int rc = pare__take_frame(&own, frame, "pare_reducer_push", err);
    return rc ? rc : pare__reducer_push(r, &own, err);
}

int pare_reducer_flush(pare_reducer *r, pare_error *err)
{
    return r ? pare__reducer_flush(r, err) : pare__no_argument("pare_reducer_flush", "reducer", err);
}

int pare_reducer_pull(pare_reducer *r, pare_result **out, pare_error *err)
{
    if (!out) return pare__no_argument("pare_reducer_pull", "out", err);
    *out = NULL;
    return r ? pare__reducer_pull(r, out, err) : pare__no_argument("pare_reducer_pull", "reducer", err);
}

int pare_reducer_reset(pare_reducer *r, uint64_t seed, pare_error *err)
{
    return r ? pare__reducer_reset(r, seed, err) : pare__no_argument("pare_reducer_reset", "reducer", err);
}

int pare_reducer_get(const pare_reducer *r, pare_reducer_stats *stats, pare_error *err)
{
    if (!r) return pare__no_argument("pare_reducer_get", "reducer", err);
    return pare__give_struct(stats, &r->stats, sizeof r->stats, "pare_reducer_get", err);
}

const char *pare_reducer_recipe(const pare_reducer *r) { return r ? r->recipe_text : NULL; }

void pare_reducer_close(pare_reducer **r) { pare__reducer_free(r); }

const pare_result_view *pare_result_get(const pare_result *r) { return r ? &r->view : NULL; }

void pare_result_free(pare_result **r) { pare__result_free(r); }

int pare_reduce(const pare_model *model, const pare_reducer_opts *opts, const pare_frame *frames, int32_t n,
                pare_result **out, pare_error *err)
{
    if (!out) return pare__no_argument("pare_reduce", "out", err);
    *out = NULL;
    if (!frames || n < 1) return pare__no_argument("pare_reduce", "frames", err);
    pare_reducer_opts o;
    int rc = pare__take_struct(&o, sizeof o, opts, "pare_reduce", err);
    if (rc) return rc;
    o.struct_size = sizeof o;
    o.window = -1;
    o.n_frames = n;
    pare_reducer *r = NULL;
    rc = pare_reducer_create(&r, model, &o, err);
    for (int32_t i = 0; !rc && i < n; i++) rc = pare_reducer_push(r, frame_at(frames, i), err);
    if (!rc && r->head)
        rc = pare_fail(err, PARE_E_INVALID,
                       "pare_reduce: pictures of different grids make several results; use a reducer");
    if (!rc) rc = pare_reducer_flush(r, err);
    if (!rc) rc = pare_reducer_pull(r, out, err);
    pare_reducer_close(&r);
    return rc;
}

int pare_reduce_tokens(const pare_tensor *arrays, int32_t n_arrays, const pare_reducer_opts *opts, pare_result **out,
                       pare_error *err)
{
    if (!out) return pare__no_argument("pare_reduce_tokens", "out", err);
    *out = NULL;
    if (!arrays || n_arrays < 1) return pare__no_argument("pare_reduce_tokens", "arrays", err);
    pare_reducer_opts o;
    pare_custom custom;
    const int rc = pare__take_reducer_opts(&o, &custom, opts, "pare_reduce_tokens", err);
    return rc ? rc : pare__reduce_tokens(arrays, n_arrays, &o, out, err);
}

int pare_model_head(const pare_model *m, const float *cls, const float *mean, float *logits, pare_error *err)
{
    if (!m) return pare__no_argument("pare_model_head", "model", err);
    if (!mean || !logits) return pare__no_argument("pare_model_head", mean ? "logits" : "mean", err);
    return pare__head_logits(m, cls, mean, logits, err);
}

/* ---- measures ------------------------------------------------------------------------------------------------- */

int pare_llm_cost_get(const char *llm, int64_t n_visual, int64_t n_text, pare_llm_cost *cost, pare_error *err)
{
    if (!llm) return pare__no_argument("pare_llm_cost_get", "llm", err);
    pare_llm_cost own = {.struct_size = sizeof own};
    const int rc = pare__llm_cost(llm, n_visual, n_text, &own, err);
    return rc ? rc : pare__give_struct(cost, &own, sizeof own, "pare_llm_cost_get", err);
}

/* Of a dry result nothing was encoded. */
static int check_encoded(const pare_result *r, const char *function, pare_error *err)
{
    if (!r || !r->view.is_dry) return 0;
    return pare_fail(err, PARE_E_INVALID, "%s: the result of a dry run has no tokens", function);
}

int pare_measure(const pare_result *r, const pare_result *other, const char *const *names, int32_t n, double *values,
                 pare_error *err)
{
    if (!r) return pare__no_argument("pare_measure", "result", err);
    if (n < 0) return pare_fail(err, PARE_E_INVALID, "pare_measure: %d names", n);
    if (n > 0 && (!names || !values)) return pare__no_argument("pare_measure", names ? "values" : "names", err);
    for (int32_t i = 0; i < n; i++)
        if (!names[i]) return pare_fail(err, PARE_E_INVALID, "pare_measure: name %d of %d is missing", i, n);
    const int rc = check_encoded(r, "pare_measure", err) || check_encoded(other, "pare_measure", err);
    if (rc) return PARE_E_INVALID;
    return pare__measure(&r->view, other ? &other->view : NULL, pare__backends[0]->dense, names, n, values, err);
}

/* ---- trace ---------------------------------------------------------------------------------------------------- */

int pare_trace(const pare_model *model, const pare_trace_opts *opts, const pare_tensor *pixels,
               const pare_frame *frames, int32_t n, pare_stage_fn stage, void *user, pare_error *err)
{
    if (!model || !stage) return pare__no_argument("pare_trace", model ? "stage" : "model", err);
    if (!pixels && (!frames || n < 1)) return pare__no_argument("pare_trace", "pixels or frames", err);
    pare_trace_opts o;
    int rc = pare__take_struct(&o, sizeof o, opts, "pare_trace", err);
    if (rc || pixels) return rc ? rc : pare__trace(model, &o, pixels, NULL, 0, stage, user, err);
    pare_frame *own = PARE__NEW(pare_frame, n);
    if (!own) return pare_fail(err, PARE_E_NOMEM, "pare_trace: out of memory for %d frames", n);
    pare__arena arena = {0};
    for (int32_t i = 0; !rc && i < n; i++) {
        rc = pare__take_frame(&own[i], frame_at(frames, i), "pare_trace", err);
        if (!rc) rc = pare__pixels_rgb(&own[i], &arena, NULL, &own[i], err);
    }
    if (!rc) rc = pare__trace(model, &o, NULL, own, n, stage, user, err);
    pare__arena_fini(&arena);
    pare__free(own);
    return rc;
}

/* ---- writers and pictures ------------------------------------------------------------------------------------- */

int pare_writer_open(pare_writer **out, const char *path, const pare_writer_opts *opts, pare_error *err)
{
    if (!out) return pare__no_argument("pare_writer_open", "out", err);
    *out = NULL;
    if (!path) return pare__no_argument("pare_writer_open", "path", err);
    pare_writer_opts o;
    const int rc = pare__take_struct(&o, sizeof o, opts, "pare_writer_open", err);
    return rc ? rc : pare__writer_open(out, path, &o, err);
}

int pare_writer_append(pare_writer *w, const pare_result *r, pare_error *err)
{
    if (!w || !r) return pare__no_argument("pare_writer_append", w ? "result" : "writer", err);
    const int rc = check_encoded(r, "pare_writer_append", err);
    return rc ? rc : pare__writer_append(w, &r->view, err);
}

int pare_writer_finish(pare_writer *w, int complete, pare_error *err)
{
    return w ? pare__writer_finish(w, complete, err) : pare__no_argument("pare_writer_finish", "writer", err);
}

void pare_writer_close(pare_writer **w) { pare__writer_close(w); }

/* kept [units of step t]: 1 = the unit has a row of its own there. */
static void mark_kept(const pare_result_view *v, int32_t t, uint8_t *kept)
{
    const int64_t first = v->unit_start[t];
    memset(kept, 0, (size_t)(v->unit_start[t + 1] - first));
    for (int64_t i = v->row_start[t]; i < v->row_start[t + 1]; i++) kept[v->map.anchor[i] - first] = 1;
}

/* What is laid over a step of `r` must be of the same units. */
static int check_other(const pare_result *r, const pare_result *other, int32_t t, pare_error *err)
{
    if (!other->place) return check_encoded(other, "pare_heatmap_draw", err);
    if (t >= other->view.grid[0])
        return pare_fail(err, PARE_E_INVALID, "pare_heatmap_draw: step %d, the other result has %d", t,
                         other->view.grid[0]);
    const pare_slot *a = &r->view.slot[t], *b = &other->view.slot[t];
    if (a->grid_h == b->grid_h && a->grid_w == b->grid_w) return 0;
    return pare_fail(err, PARE_E_INVALID,
                     "pare_heatmap_draw: step %d is of %d x %d units, the other result's of %d x %d", t, a->grid_h,
                     a->grid_w, b->grid_h, b->grid_w);
}

/* One temporal step of a result as the heatmap wants it, and of another (or NULL); arrays live in `arena`. */
static int make_heat(const pare_result *r, const pare_result *other, int32_t t, pare__heat *heat, pare__arena *arena)
{
    const pare_result_view *v = &r->view;
    const int64_t first = v->unit_start[t], units = v->unit_start[t + 1] - first;
    int32_t *owner = PARE__ARENA(arena, int32_t, v->n);
    uint8_t *kept = PARE__ARENA(arena, uint8_t, 2 * units), *other_kept;
    if (!owner || !kept) return PARE_E_NOMEM;
    other_kept = other ? kept + units : NULL;
    pare__map_owner(&v->map, owner);
    mark_kept(v, t, kept);
    if (other) mark_kept(&other->view, t, other_kept);
    /* a unit that only a run of an earlier step stands for was dropped from this one */
    for (int64_t i = first; i < first + units; i++)
        if (owner[i] >= 0 && (owner[i] < v->row_start[t] || owner[i] >= v->row_start[t + 1])) owner[i] = -1;
    *heat = (pare__heat){.grid_h = v->slot[t].grid_h,
                         .grid_w = v->slot[t].grid_w,
                         .unit_px = r->unit_px,
                         .fit = &r->fit[t],
                         .owner = owner + first,
                         .kept = kept,
                         .score = v->scores ? v->scores + first : NULL,
                         .size = v->map.size,
                         .other = other_kept,
                         .keep = (double)(v->row_start[t + 1] - v->row_start[t]) / (double)units};
    return 0;
}

int pare_heatmap_draw(const pare_result *r, int32_t t, const pare_frame *frame, const pare_heatmap_opts *opts,
                      uint8_t *rgb, pare_error *err)
{
    if (!r || !rgb) return pare__no_argument("pare_heatmap_draw", r ? "rgb" : "result", err);
    if (!r->fit) return pare_fail(err, PARE_E_INVALID, "pare_heatmap_draw: the result has no pictures behind it");
    if (!r->place)
        return pare_fail(err, PARE_E_INVALID, "pare_heatmap_draw: the dry run does not know which rows stay");
    if (t < 0 || t >= r->view.grid[0])
        return pare_fail(err, PARE_E_INVALID, "pare_heatmap_draw: step %d, the result has %d", t, r->view.grid[0]);
    pare_frame own;
    int rc = pare__take_frame(&own, frame, "pare_heatmap_draw", err);
    pare_heatmap_opts o;
    if (!rc) rc = pare__take_struct(&o, sizeof o, opts, "pare_heatmap_draw", err);
    if (!rc && o.other) rc = check_other(r, o.other, t, err);
    if (rc) return rc;
    pare__arena arena = {0};
    pare__heat heat;
    rc = make_heat(r, o.other, t, &heat, &arena);
    if (rc) pare_fail(err, rc, "pare_heatmap_draw: out of memory");
    if (!rc) rc = pare__pixels_rgb(&own, &arena, NULL, &own, err);
    if (!rc) rc = pare__heatmap_draw(&heat, &own, &o, rgb, err);
    pare__arena_fini(&arena);
    return rc;
}
