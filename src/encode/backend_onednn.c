/* SPDX-License-Identifier: MIT */
/* oneDNN (libdnnl, API 2.x): products with prepared weights in f32, bf16 and 8 bits.
 *
 * A matmul primitive is compiled for one shape. Panels of a layer have at most a few widths, tiles any number of rows:
 * rows are rounded up to PARE__GRAIN_ROWS and each (width, rows) is made when first met, then found without a lock. The
 * library runs OpenMP threads of its own; pare parallelises itself, so every call says one thread and puts back what the
 * caller had.
 *
 * u8 x s8 -> s32 needs VNNI: without it the library's kernels saturate in 16 bits. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include <oneapi/dnnl/dnnl.h>

#include "core/mem.h"
#include "core/vec.h"
#include "encode/backend.h"
#include "encode/engine_gemm.h"

enum {
    TILE_ROWS = 144,
    PANEL_COLS = 384,
    CHAIN_ROWS = 1024,
    MAX_SHAPES = 4,   /* widths of a layer's panels */
    SCRATCH = 4 << 20 /* bytes that primitives may ask for */
};

/* Number types of an engine. */
typedef struct types {
    dnnl_data_type_t operand, acc;
    dnnl_data_type_t weight; /* what the library holds */
} types;

static const types types_of[] = {
    [PARE__OPERAND_F32] = {dnnl_f32, dnnl_f32, dnnl_f32},
    [PARE__OPERAND_BF16] = {dnnl_bf16, dnnl_f32, dnnl_bf16},
    [PARE__OPERAND_U8] = {dnnl_u8, dnnl_s32, dnnl_s8},
};

/* A primitive for one number of rows. */
typedef struct product_kind {
    dnnl_primitive_t run;
    dnnl_memory_desc_t x, acc, scratch;
} product_kind;

/* Panels of one width. */
typedef struct shape {
    int32_t cols;
    dnnl_memory_desc_t weight;
    _Atomic(product_kind *) kind[TILE_ROWS / PARE__GRAIN_ROWS + 1]; /* by rows / PARE__GRAIN_ROWS */
} shape;

typedef struct panel {
    shape *shape;
    void *data;           /* reordered weights */
    dnnl_memory_t weight; /* over data */
} panel;

typedef struct layer {
    pare__operand operand;
    int32_t n_in, n_panel;
    pthread_mutex_t lock; /* making kinds */
    shape shape[MAX_SHAPES];
    int32_t n_shape;
    panel *panel; /* [n_panel] */
} layer;

/* ---- the library ------------------------------------------------------------------------------------------------- */

/* What is called of it, without the prefix dnnl_. */
#define CALLS(X)                                                                                                       \
    X(engine_create)                                                                                                   \
    X(stream_create)                                                                                                   \
    X(memory_desc_init_by_strides)                                                                                     \
    X(memory_desc_init_by_tag)                                                                                         \
    X(memory_desc_get_size)                                                                                            \
    X(memory_create)                                                                                                   \
    X(memory_destroy)                                                                                                  \
    X(primitive_attr_create)                                                                                           \
    X(primitive_attr_set_scratchpad_mode)                                                                              \
    X(primitive_attr_destroy)                                                                                          \
    X(matmul_desc_init)                                                                                                \
    X(primitive_desc_create)                                                                                           \
    X(reorder_primitive_desc_create)                                                                                   \
    X(primitive_desc_query_md)                                                                                         \
    X(primitive_desc_destroy)                                                                                          \
    X(primitive_create)                                                                                                \
    X(primitive_execute)                                                                                               \
    X(primitive_destroy)

/* Opened when first asked for, so that a process that never asks does not pay for it, and pare runs where it is not
 * installed. One engine and one stream for the process, as the library recommends; both are stateless on a CPU. */
typedef struct library {
#define MEMBER(name) __typeof__(dnnl_##name) *name;
    CALLS(MEMBER)
#undef MEMBER
    int (*omp_get_max_threads)(void);
    void (*omp_set_num_threads)(int n);
    dnnl_engine_t engine;
    dnnl_stream_t stream;
} library;

static library lib;
static pthread_once_t lib_once = PTHREAD_ONCE_INIT;

/* Data and function pointers have one size here, as dlsym needs. */
static int find(void *handle, const char *name, void *function)
{
    void *address = dlsym(handle, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static void lib_open(void)
{
    void *handle = dlopen(PARE_ONEDNN, RTLD_NOW | RTLD_LOCAL);
    if (!handle) return;
    int ok = 1;
#define FIND(name) ok &= find(handle, "dnnl_" #name, &lib.name);
    CALLS(FIND)
#undef FIND
    if (!find(handle, "omp_get_max_threads", &lib.omp_get_max_threads) ||
        !find(handle, "omp_set_num_threads", &lib.omp_set_num_threads))
        lib.omp_get_max_threads = NULL; /* built without OpenMP */
    if (!ok || lib.engine_create(&lib.engine, dnnl_cpu, 0) != dnnl_success) return;
    if (lib.stream_create(&lib.stream, lib.engine, dnnl_stream_default_flags) != dnnl_success) lib.stream = NULL;
}

static int lib_works(void)
{
    pthread_once(&lib_once, lib_open);
    return lib.stream != NULL;
}

/* The calling thread's OpenMP threads become one; returns how many there were. */
static int go_alone(void)
{
    const int before = lib.omp_get_max_threads ? lib.omp_get_max_threads() : 1;
    if (before != 1) lib.omp_set_num_threads(1);
    return before;
}

static void come_back(int before)
{
    if (before != 1) lib.omp_set_num_threads(before);
}

/* ---- kinds of products ------------------------------------------------------------------------------------------- */

static void describe_operand(dnnl_memory_desc_t *d, const layer *l, int64_t rows)
{
    const int64_t stride = pare__operand_stride(l->operand, l->n_in);
    lib.memory_desc_init_by_strides(d, 2, (dnnl_dims_t){rows, l->n_in}, types_of[l->operand].operand,
                                    (dnnl_dims_t){stride, 1});
}

static void describe_acc(dnnl_memory_desc_t *d, const layer *l, int64_t rows, int64_t cols)
{
    lib.memory_desc_init_by_strides(d, 2, (dnnl_dims_t){rows, cols}, types_of[l->operand].acc, (dnnl_dims_t){cols, 1});
}

/* Of a product with these weights; the caller destroys it. NULL on failure. */
static dnnl_primitive_desc_t describe_product(const layer *l, const dnnl_memory_desc_t *weight, int64_t rows,
                                              int32_t cols)
{
    dnnl_memory_desc_t x, acc;
    dnnl_matmul_desc_t what;
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t out = NULL;
    describe_operand(&x, l, rows);
    describe_acc(&acc, l, rows, cols);
    if (lib.primitive_attr_create(&attr) != dnnl_success) return NULL;
    lib.primitive_attr_set_scratchpad_mode(attr, dnnl_scratchpad_mode_user);
    if (lib.matmul_desc_init(&what, &x, weight, NULL, &acc) == dnnl_success &&
        lib.primitive_desc_create(&out, &what, attr, lib.engine, NULL) != dnnl_success)
        out = NULL;
    lib.primitive_attr_destroy(attr);
    return out;
}

static void free_kind(product_kind *k)
{
    if (k && k->run) lib.primitive_destroy(k->run);
    pare__free(k);
}

static product_kind *make_kind(const layer *l, const shape *s, int64_t rows)
{
    product_kind *k = PARE__NEW(product_kind, 1);
    dnnl_primitive_desc_t pd = k ? describe_product(l, &s->weight, rows, s->cols) : NULL;
    if (!pd) goto fail;
    k->scratch = *lib.primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
    describe_operand(&k->x, l, rows);
    describe_acc(&k->acc, l, rows, s->cols);
    if (lib.memory_desc_get_size(&k->scratch) > SCRATCH || lib.primitive_create(&k->run, pd) != dnnl_success) goto fail;
    lib.primitive_desc_destroy(pd);
    return k;
fail:
    if (pd) lib.primitive_desc_destroy(pd);
    free_kind(k);
    return NULL;
}

/* Found, or made: the library's own cache makes the second layer of a shape cheap. NULL on failure. */
static product_kind *kind_for(layer *l, shape *s, int64_t rows)
{
    const int64_t i = (rows + PARE__GRAIN_ROWS - 1) / PARE__GRAIN_ROWS;
    product_kind *k = atomic_load_explicit(&s->kind[i], memory_order_acquire);
    if (k) return k;
    pthread_mutex_lock(&l->lock);
    k = atomic_load_explicit(&s->kind[i], memory_order_relaxed);
    if (!k) k = make_kind(l, s, i * PARE__GRAIN_ROWS);
    atomic_store_explicit(&s->kind[i], k, memory_order_release);
    pthread_mutex_unlock(&l->lock);
    return k;
}

static int execute(const product_kind *k, dnnl_memory_t weight, const void *x, void *acc, void *scratch)
{
    dnnl_memory_t m_x = NULL, m_acc = NULL, m_scratch = NULL;
    int ok = lib.memory_create(&m_x, &k->x, lib.engine, (void *)(uintptr_t)x) == dnnl_success;
    ok &= lib.memory_create(&m_acc, &k->acc, lib.engine, acc) == dnnl_success;
    ok &= lib.memory_create(&m_scratch, &k->scratch, lib.engine, scratch) == dnnl_success;
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, m_x}, {DNNL_ARG_WEIGHTS, weight}, {DNNL_ARG_DST, m_acc}, {DNNL_ARG_SCRATCHPAD, m_scratch}};
    ok = ok && lib.primitive_execute(k->run, lib.stream, 4, args) == dnnl_success;
    lib.memory_destroy(m_x);
    lib.memory_destroy(m_acc);
    lib.memory_destroy(m_scratch);
    return ok ? 0 : PARE_E_EXTERNAL;
}

static int product(const pare__prepared *p, int32_t i, int64_t rows, const void *x, void *acc, void *scratch)
{
    layer *l = p->impl;
    const panel *to = &l->panel[i];
    const int before = go_alone();
    const product_kind *k = kind_for(l, to->shape, rows);
    const int rc = k ? execute(k, to->weight, x, acc, scratch) : PARE_E_EXTERNAL;
    come_back(before);
    return rc;
}

/* ---- weights ----------------------------------------------------------------------------------------------------- */

/* The library chooses the layout for a full tile. NULL on failure. */
static shape *shape_for(layer *l, int32_t cols)
{
    for (int32_t i = 0; i < l->n_shape; i++)
        if (l->shape[i].cols == cols) return &l->shape[i];
    if (l->n_shape == MAX_SHAPES) return NULL;
    shape *s = &l->shape[l->n_shape];
    dnnl_memory_desc_t any;
    lib.memory_desc_init_by_tag(&any, 2, (dnnl_dims_t){l->n_in, cols}, types_of[l->operand].weight,
                                dnnl_format_tag_any);
    dnnl_primitive_desc_t pd = describe_product(l, &any, TILE_ROWS, cols);
    if (!pd) return NULL;
    s->cols = cols;
    s->weight = *lib.primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
    lib.primitive_desc_destroy(pd);
    l->n_shape++;
    return s;
}

/* w [cols, n_in] of `type` into the panel's layout. */
static int reorder(const layer *l, panel *to, const void *w, dnnl_data_type_t type)
{
    dnnl_memory_desc_t from_desc;
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t run = NULL;
    lib.memory_desc_init_by_strides(&from_desc, 2, (dnnl_dims_t){l->n_in, to->shape->cols}, type,
                                    (dnnl_dims_t){1, l->n_in});
    int ok = lib.memory_create(&from, &from_desc, lib.engine, (void *)(uintptr_t)w) == dnnl_success &&
             lib.reorder_primitive_desc_create(&pd, &from_desc, lib.engine, &to->shape->weight, lib.engine, NULL) ==
                 dnnl_success &&
             lib.primitive_create(&run, pd) == dnnl_success;
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to->weight}};
    ok = ok && lib.primitive_execute(run, lib.stream, 2, args) == dnnl_success;
    if (run) lib.primitive_destroy(run);
    if (pd) lib.primitive_desc_destroy(pd);
    if (from) lib.memory_destroy(from);
    return ok ? 0 : PARE_E_EXTERNAL;
}

static int make_panel(layer *l, panel *to, int32_t cols, const void *w, dnnl_data_type_t type)
{
    to->shape = shape_for(l, cols);
    if (!to->shape) return PARE_E_EXTERNAL;
    to->data = pare__calloc((int64_t)lib.memory_desc_get_size(&to->shape->weight) + PARE__ALIGN, 1);
    if (!to->data) return PARE_E_NOMEM;
    if (lib.memory_create(&to->weight, &to->shape->weight, lib.engine, to->data) != dnnl_success) {
        to->weight = NULL;
        return PARE_E_EXTERNAL;
    }
    return reorder(l, to, w, type);
}

static void release(pare__prepared *p)
{
    layer *l = p->impl;
    for (int32_t i = 0; l->panel && i < l->n_panel; i++) {
        if (l->panel[i].weight) lib.memory_destroy(l->panel[i].weight);
        pare__free(l->panel[i].data);
    }
    for (int32_t i = 0; i < l->n_shape; i++)
        for (int32_t k = 0; k <= TILE_ROWS / PARE__GRAIN_ROWS; k++) free_kind(atomic_load(&l->shape[i].kind[k]));
    pthread_mutex_destroy(&l->lock);
    pare__free(l->panel);
    pare__free(l);
}

/* w [n_out, n_in] of `type`, rows of `size` bytes a number. */
static int prepare_rows(pare__prepared *p, const void *w, dnnl_data_type_t type, int64_t size, pare_error *err)
{
    layer *l = PARE__NEW(layer, 1);
    if (!l) return pare_fail(err, PARE_E_NOMEM, "out of memory for prepared weights [%d, %d]", p->n_out, p->n_in);
    p->impl = l;
    pthread_mutex_init(&l->lock, NULL);
    l->operand = p->engine->operand;
    l->n_in = p->n_in;
    l->n_panel = p->n_part * p->n_panel;
    l->panel = PARE__NEW(panel, l->n_panel);
    int rc = !l->panel ? PARE_E_NOMEM : lib_works() ? 0 : PARE_E_EXTERNAL;
    const int before = go_alone();
    for (int32_t i = 0; rc == 0 && i < l->n_panel; i++) {
        const pare__columns c = pare__panel_columns(p, i);
        rc = make_panel(l, &l->panel[i], c.n, (const char *)w + (int64_t)c.first * p->n_in * size, type);
    }
    come_back(before);
    if (rc == PARE_E_NOMEM) return pare_fail(err, rc, "out of memory for prepared weights [%d, %d]", p->n_out, p->n_in);
    return rc ? pare_fail(err, rc, "oneDNN cannot prepare weights [%d, %d]", p->n_out, p->n_in) : 0;
}

/* bf16 weights are rounded by the reorder. */
static int prepare_float(pare__prepared *p, const float *w, pare_error *err)
{
    return prepare_rows(p, w, dnnl_f32, (int64_t)sizeof(float), err);
}

static int prepare_int8(pare__prepared *p, const float *w, pare_error *err)
{
    int8_t *q = pare__malloc((int64_t)p->n_out * p->n_in, 1);
    p->scale = pare__malloc(p->n_out, (int64_t)sizeof(float));
    p->sum = pare__malloc(p->n_out, (int64_t)sizeof(int32_t));
    int rc;
    if (q && p->scale && p->sum) {
        pare__quantise_weights(w, p->n_out, p->n_in, q, p->scale, p->sum);
        rc = prepare_rows(p, q, dnnl_s8, 1, err);
    } else {
        rc = pare_fail(err, PARE_E_NOMEM, "out of memory for prepared weights [%d, %d]", p->n_out, p->n_in);
    }
    pare__free(q);
    return rc;
}

/* ---- the table --------------------------------------------------------------------------------------------------- */

#if defined(__x86_64__)
static int has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}
static int has_vnni(void) { return has_avx512() && __builtin_cpu_supports("avx512vnni") && lib_works(); }
static int has_bf16(void) { return has_avx512() && __builtin_cpu_supports("avx512bf16") && lib_works(); }
#else
static int has_vnni(void) { return 0; }
static int has_bf16(void) { return 0; }
#endif

static const pare__engine engine_f32 = {
    .needs = "libdnnl",
    .operand = PARE__OPERAND_F32,
    .tile_rows = TILE_ROWS,
    .panel_cols = PANEL_COLS,
    .chain_rows = CHAIN_ROWS,
    .runs = lib_works,
    .is_fast = pare__engine_never,
    .prepare = prepare_float,
    .release = release,
    .product = product,
    .scratch_size = SCRATCH,
};

static const pare__engine engine_bf16 = {
    .needs = "libdnnl, avx512_bf16",
    .operand = PARE__OPERAND_BF16,
    .tile_rows = TILE_ROWS,
    .panel_cols = PANEL_COLS,
    .chain_rows = CHAIN_ROWS,
    .runs = has_bf16,
    .is_fast = has_bf16,
    .prepare = prepare_float,
    .release = release,
    .product = product,
    .scratch_size = SCRATCH,
};

static const pare__engine engine_int8 = {
    .needs = "libdnnl, avx512_vnni",
    .narrow_attention = 1,
    .operand = PARE__OPERAND_U8,
    .tile_rows = TILE_ROWS,
    .panel_cols = PANEL_COLS,
    .chain_rows = CHAIN_ROWS,
    .runs = has_vnni,
    .is_fast = has_vnni,
    .prepare = prepare_int8,
    .release = release,
    .product = product,
    .scratch_size = SCRATCH,
};

const pare__backend pare__backend_onednn = {
    .name = "onednn",
    .summary = "oneDNN: weights prepared once, f32, bf16 and 8 bits",
    .engine = {[PARE__F32] = &engine_f32, [PARE__BF16] = &engine_bf16, [PARE__INT8] = &engine_int8},
};
