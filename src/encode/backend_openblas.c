/* SPDX-License-Identifier: MIT */
/* OpenBLAS: f32 products, f64 products and singular values, and the choice of its kernels.
 *
 * A DYNAMIC_ARCH library picks its kernels ("core") from the CPUs it knew when it was released. Debian's 0.3.21 takes
 * Prescott kernels on Sapphire Rapids and Haswell kernels on Zen 5 although its own SkylakeX kernels run there, 4.5 and
 * 1.7 times as fast. The core is chosen when the library is loaded; gotoblas_dynamic_quit() and _init() choose again and
 * look at OPENBLAS_CORETYPE, which is the only way to say which. Needs: no other thread inside BLAS. */
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cblas.h>

#include "core/error.h"
#include "core/mem.h"
#include "encode/backend.h"
#include "encode/engine_gemm.h"

#define CORETYPE "OPENBLAS_CORETYPE"

typedef void (*switch_fn)(void);

/* What a core needs of the CPU. */
typedef enum { NEEDS_NOTHING, NEEDS_AVX2, NEEDS_AVX512, NEEDS_AVX512_BF16 } needs;

typedef struct core_info {
    const char *name;
    needs needs;
} core_info;

static const core_info cores[] = {
    {"SkylakeX", NEEDS_AVX512},
    {"Cooperlake", NEEDS_AVX512_BF16},
    {"SapphireRapids", NEEDS_AVX512_BF16},
    {"Haswell", NEEDS_AVX2},
    {"Zen", NEEDS_AVX2},
    {"Excavator", NEEDS_AVX2},
};

/* ---- products ------------------------------------------------------------------------------------------------ */

static void sgemm(enum CBLAS_TRANSPOSE trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                  int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
    if (m == 0 || n == 0) return;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, trans_b, (blasint)m, (blasint)n, (blasint)k, alpha, a, (blasint)lda, b,
                (blasint)ldb, beta, c, (blasint)ldc);
}

static void nt(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
               float beta, float *c, int64_t ldc)
{
    sgemm(CblasTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

static void nn(int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda, const float *b, int64_t ldb,
               float beta, float *c, int64_t ldc)
{
    sgemm(CblasNoTrans, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
}

static const pare__gemm gemm = {"openblas", nt, nn};

static void dense_nt(int64_t m, int64_t n, int64_t k, const double *a, int64_t lda, const double *b, int64_t ldb,
                     double *c, int64_t ldc)
{
    if (m == 0 || n == 0) return;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, (blasint)n, (blasint)k, 1, a, (blasint)lda, b,
                (blasint)ldb, 0, c, (blasint)ldc);
}

/* ---- singular values ------------------------------------------------------------------------------------------ */

/* LAPACK's, which OpenBLAS brings along; Fortran hands over the length of a text behind the arguments. */
extern void dgesdd_(const char *job, const blasint *m, const blasint *n, double *a, const blasint *lda, double *sigma,
                    double *u, const blasint *ldu, double *vt, const blasint *ldvt, double *work, const blasint *n_work,
                    blasint *box, blasint *info, size_t job_length);

/* Row-major a[m, n] is its transpose to Fortran, with the same values. n_work = -1 asks for the amount, in *work. */
static blasint sigma_of(blasint m, blasint n, double *a, double *sigma, double *work, blasint n_work, blasint *box)
{
    const blasint one = 1;
    blasint info = 0;
    double none = 0;
    dgesdd_("N", &n, &m, a, &n, sigma, &none, &one, &none, &one, work, &n_work, box, &info, 1);
    return info;
}

static int singular_values(int64_t m, int64_t n, double *a, double *sigma, pare_error *err)
{
    const int64_t few = m < n ? m : n;
    double *work = NULL, amount = 1;
    if (few == 0) return 0;
    blasint info = 0, *box = pare__malloc(8 * few, (int64_t)sizeof *box);
    if (box) info = sigma_of((blasint)m, (blasint)n, a, sigma, &amount, -1, box);
    if (box) work = pare__malloc((int64_t)amount, (int64_t)sizeof *work);
    if (work && info == 0) info = sigma_of((blasint)m, (blasint)n, a, sigma, work, (blasint)amount, box);
    int rc = 0;
    if (!work)
        rc = pare_fail(err, PARE_E_NOMEM, "out of memory for singular values of a %lld x %lld matrix", (long long)m,
                       (long long)n);
    else if (info != 0)
        rc = pare_fail(err, PARE_E_EXTERNAL, "dgesdd of a %lld x %lld matrix failed with %d", (long long)m,
                       (long long)n, (int)info);
    pare__free(work);
    pare__free(box);
    return rc;
}

static const pare__dense dense = {"openblas", dense_nt, singular_values};

/* ---- which core ---------------------------------------------------------------------------------------------- */

#if defined(__x86_64__) || defined(__i386__)
static needs cpu_has(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return NEEDS_NOTHING;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
        !__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512dq"))
        return NEEDS_AVX2;
    return __builtin_cpu_supports("avx512bf16") ? NEEDS_AVX512_BF16 : NEEDS_AVX512;
}

static int cpu_is_amd(void) { return __builtin_cpu_is("amd"); }
#else
static needs cpu_has(void) { return NEEDS_NOTHING; }

static int cpu_is_amd(void) { return 0; }
#endif

static needs core_needs(const char *name)
{
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++) {
        if (strcasecmp(cores[i].name, name) == 0) return cores[i].needs;
    }
    return NEEDS_NOTHING;
}

/* The running core unless the CPU can do more than its kernels use. Cores that OpenBLAS has for other instruction sets
 * (Arm) need NOTHING of x86 and are always kept. */
static const char *best_core(const char *running)
{
    needs have = cpu_has();
    needs used = core_needs(running);
    if (have >= NEEDS_AVX512 && used < NEEDS_AVX512) return "SkylakeX";
    if (have == NEEDS_AVX2 && used < NEEDS_AVX2) return cpu_is_amd() ? "Zen" : "Haswell";
    return running;
}

/* Runs OpenBLAS's own choice again with CORETYPE = core; the environment is as before afterwards. */
static int choose_again(const char *core, switch_fn quit, switch_fn again, pare_error *err)
{
    const char *before = getenv(CORETYPE);
    char *saved = before ? pare__strdup(before) : NULL;
    if (before && !saved) return pare_fail(err, PARE_E_NOMEM, "out of memory for a copy of " CORETYPE);
    int rc = 0;
    if (setenv(CORETYPE, core, 1) != 0) {
        rc = pare_fail(err, PARE_E_NOMEM, "out of memory for " CORETYPE);
        goto out;
    }
    quit();
    again();
    if (saved)
        setenv(CORETYPE, saved, 1);
    else
        unsetenv(CORETYPE);
out:
    pare__free(saved);
    return rc;
}

/* Switches to `core`; back to what ran before when OpenBLAS does not take the name. */
static int switch_core(const char *core, pare_error *err)
{
    const char *running = openblas_get_corename();
    switch_fn quit = (switch_fn)dlsym(RTLD_DEFAULT, "gotoblas_dynamic_quit");
    switch_fn again = (switch_fn)dlsym(RTLD_DEFAULT, "gotoblas_dynamic_init");
    if (!quit || !again) {
        return pare_fail(err, PARE_E_UNSUPPORTED, "this OpenBLAS cannot change from core %s to %s", running, core);
    }
    if (core_needs(core) > cpu_has()) {
        return pare_fail(err, PARE_E_INVALID, "blas core '%s' needs instructions that this CPU lacks; %s is running",
                         core, running);
    }
    int rc = choose_again(core, quit, again, err);
    if (rc < 0) return rc;
    const char *now = openblas_get_corename();
    if (strcasecmp(now, core) == 0) return 0;
    rc = choose_again(running, quit, again, err);
    if (rc < 0) return rc;
    return pare_fail(err, PARE_E_INVALID, "OpenBLAS does not take blas core '%s': it chose %s", core, now);
}

/* ---- backend -------------------------------------------------------------------------------------------------- */

static int init(const char *core, pare_error *err)
{
    openblas_set_num_threads(1);
    const char *running = openblas_get_corename();
    const char *wanted = core ? core : best_core(running);
    if (strcasecmp(wanted, running) == 0) return 0;
    pare_error why;
    int rc = switch_core(wanted, &why);
    if (rc == 0) {
        pare__log(PARE_LOG_INFO, "OpenBLAS core changed from %s to %s", running, wanted);
        return 0;
    }
    if (core) return pare_fail(err, rc, "%s", why.text);
    pare__log(PARE_LOG_WARN, "OpenBLAS runs slow kernels: %s", why.text);
    return 0;
}

static char version[64];
static pthread_once_t version_once = PTHREAD_ONCE_INIT;

/* "OpenBLAS 0.3.21": the first two words of the configuration. Written once, constant afterwards. */
static void read_version(void)
{
    const char *config = openblas_get_config();
    size_t n = strcspn(config, " ");
    if (config[n]) n += 1 + strcspn(config + n + 1, " ");
    if (n >= sizeof version) n = sizeof version - 1;
    memcpy(version, config, n);
}

static void describe(pare_runtime_info *info)
{
    pthread_once(&version_once, read_version);
    info->blas = version;
    info->blas_core = openblas_get_corename();
    info->blas_core_best = best_core(info->blas_core);
    info->blas_threads = openblas_get_num_threads();
}

/* ---- products with weights ------------------------------------------------------------------------------------- */

static int product(const pare__prepared *p, int32_t panel, int64_t rows, const void *x, void *acc, void *scratch)
{
    (void)scratch;
    return pare__gemm_product(&gemm, p, panel, rows, x, acc);
}

/* It packs both sides anew in every product: tiles are tall, so that the weights' share of that is small. The halves of
 * `strassen` are too small for that: over these products it was 2 % slower (DINOv2-S, 2 threads, Zen 4). */
static const pare__engine engine_f32 = {
    .needs = "",
    .operand = PARE__OPERAND_F32,
    .tile_rows = PARE__MAX_TILE_ROWS,
    .panel_cols = 192,
    .chain_rows = INT32_MAX,
    .borrows = 1,
    .runs = pare__engine_always,
    .is_fast = pare__engine_never,
    .prepare = pare__gemm_prepare,
    .release = pare__gemm_release,
    .product = product,
};

const pare__backend pare__backend_openblas = {
    .name = "openblas",
    .summary = "OpenBLAS, f32, kernels chosen from the CPU",
    .gemm = &gemm,
    .dense = &dense,
    .init = init,
    .describe = describe,
    .engine = {[PARE__F32] = &engine_f32},
};
