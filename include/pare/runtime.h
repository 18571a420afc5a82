/* SPDX-License-Identifier: MIT */
/* The process that pare runs in: errors, log, the BLAS behind it, and the ways to multiply on this CPU. Conventions as in
 * pare.h, which includes this header. */
#ifndef PARE_RUNTIME_H
#define PARE_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include <pare/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define PARE_API
#else
#define PARE_API __attribute__((visibility("default")))
#endif

/* ---- errors ------------------------------------------------------------------------------------------------- */

/* X(name, value, text): one list yields the enum and pare_strerror(). Values are pinned. */
#define PARE_ERROR_MAP(X)                                                                                              \
    X(NOMEM, -1, "out of memory")                                                                                      \
    X(INVALID, -2, "invalid argument or option")                                                                       \
    X(IO, -3, "input or output failed")                                                                                \
    X(FORMAT, -4, "malformed file or stream")                                                                          \
    X(UNSUPPORTED, -5, "not supported")                                                                                \
    X(NOTFOUND, -6, "not found")                                                                                       \
    X(LIMIT, -7, "a limit was exceeded")                                                                               \
    X(STATE, -8, "call not allowed in this state")                                                                     \
    X(EXTERNAL, -9, "a library that pare uses failed")                                                                 \
    X(CANCELLED, -10, "cancelled")

enum {
    PARE_OK = 0,
    PARE_AGAIN = 1, /* nothing to pull yet: push another frame or flush */
    PARE_EOF = 2,   /* nothing will come any more */
#define PARE_X(name, value, text) PARE_E_##name = value,
    PARE_ERROR_MAP(PARE_X)
#undef PARE_X
};

/* Owned by the caller, on the stack as a rule; may be reused. */
typedef struct pare_error {
    int32_t code;
    char text[252];
} pare_error;

/* Static text of a code; never NULL. Any thread. */
PARE_API const char *pare_strerror(int code);

/* Fills `err` (if not NULL) with `code` and a printf-formatted text, and returns `code`. For code that extends pare
 * (pare_media is built with it). Any thread. */
PARE_API int pare_fail(pare_error *err, int code, const char *format, ...)
#if defined(__GNUC__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

/* "0.3.0" of the linked library. */
PARE_API const char *pare_version(void);

/* ---- runtime ------------------------------------------------------------------------------------------------ */

enum { PARE_LOG_ERROR, PARE_LOG_WARN, PARE_LOG_INFO, PARE_LOG_DEBUG };

/* Called with one line without a newline. May be called from worker threads; must not call pare. */
typedef void (*pare_log_fn)(void *user, int level, const char *text);

typedef struct pare_runtime_opts {
    uint32_t struct_size;
    const char *blas_core; /* OpenBLAS core name to force ("SkylakeX"); NULL = chosen from cpuid */
    pare_log_fn log;       /* NULL = silent */
    void *log_user;
} pare_runtime_opts;

typedef struct pare_runtime_info {
    uint32_t struct_size;
    const char *cpu;            /* model name, "" if unknown */
    const char *cpu_flags;      /* the flags that matter: "avx2 fma avx512f ..." */
    const char *blas;           /* "OpenBLAS 0.3.21" */
    const char *blas_core;      /* core whose kernels are running now */
    const char *blas_core_best; /* core pare would choose here */
    int32_t blas_threads;       /* threads of the BLAS library itself; pare wants 1 */
    const char *vector_kernels; /* "avx512" | "avx2" | "c": pare's own kernels */
    int32_t n_cpu;              /* CPUs this process may use */
} pare_runtime_info;

/* Picks the OpenBLAS core that fits this CPU and sets OpenBLAS to one thread (pare parallelises itself); installs the
 * process-wide log callback. Optional, but must come before the first BLAS use of the process and before other threads
 * exist. Without it nothing of the host's is touched: if BLAS then has several threads, pare runs one worker.
 * Debian's OpenBLAS 0.3.21 runs Prescott kernels on Sapphire Rapids and Haswell kernels on Zen 5 otherwise.
 * Errors: INVALID (unknown core name, struct_size). */
PARE_API int pare_runtime_init(const pare_runtime_opts *opts, pare_error *err);

/* Facts about this process. `info->struct_size` must be set. Strings are static. Any thread after init. */
PARE_API int pare_runtime_get(pare_runtime_info *info, pare_error *err);

/* ---- engines ------------------------------------------------------------------------------------------------ */

/* One way to multiply: a backend at a precision of the encoder's linear layers. Attention, norms and activations are f32
 * (between layers in int8, attention multiplies whole numbers of 8 to 16 bits where that is faster); a backend that is
 * `auto` at f32 is what a reducer takes when it is not told. */
typedef struct pare_engine {
    uint32_t struct_size;
    const char *backend;   /* "openblas" */
    const char *precision; /* "f32", "bf16", "int8": 8-bit weights per channel, 8-bit activations per token */
    const char *needs;     /* instructions without which it is refused or slow: "avx512_vnni", "" */
    int32_t runs;          /* this CPU has them */
    int32_t is_auto;       /* what `auto` takes at this precision: decided by instruction set, not by the clock, so that
                            * one machine gives the same bytes every time */
} pare_engine;

/* Engine i = 0, 1, ... of this build; PARE_EOF behind the last. `engine->struct_size` must be set; texts are static. Any
 * thread. */
PARE_API int pare_engine_get(int32_t i, pare_engine *engine, pare_error *err);

/* Billions of operations per second (a multiply-add is two) of engine i in one thread, on the products of a ViT-B's
 * layers, as the encoder calls it; takes about 0.1 s. Any thread. Errors: INVALID (i), UNSUPPORTED (cannot run here). */
PARE_API int pare_engine_measure(int32_t i, double *gops, pare_error *err);

#ifdef __cplusplus
}
#endif

#endif
