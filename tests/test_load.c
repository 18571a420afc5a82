/* SPDX-License-Identifier: MIT */
/* Reading weights in parallel: the same bytes with one CPU and with all, the first bad tensor told, slices scattered,
 * and pages that leave memory once their floats are elsewhere. */
#include <check.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/family.h"
#include "model/store.h"

enum { PATH_SIZE = 4096, MB = 1 << 20 };

static pare_error err;

static const char *fixtures(void)
{
    const char *dir = getenv("PARE_FIXTURES");
    return dir && *dir ? dir : NULL;
}

/* ---- one CPU and all --------------------------------------------------------------------------------------------- */

static pare_model *load_on(const char *path, const cpu_set_t *cpus)
{
    pare_model *m = NULL;
    ck_assert_int_eq(sched_setaffinity(0, sizeof *cpus, cpus), 0);
    int rc = pare__model_load(&m, path, &err);
    ck_assert_msg(rc == 0, "%s: %s", path, err.text);
    return m;
}

static void same_floats(const float *a, const float *b, int64_t n, const char *what)
{
    ck_assert_msg((a == NULL) == (b == NULL), "%s", what);
    if (a) ck_assert_msg(!memcmp(a, b, (size_t)n * sizeof *a), "%s", what);
}

static void same_linear(const pare__linear *a, const pare__linear *b, const char *what)
{
    ck_assert(a->n_in == b->n_in && a->n_out == b->n_out);
    same_floats(a->w, b->w, (int64_t)a->n_in * a->n_out, what);
    same_floats(a->b, b->b, a->n_out, what);
}

static void same_norm(const pare__norm_w *a, const pare__norm_w *b, int64_t n, const char *what)
{
    same_floats(a->w, b->w, n, what);
    same_floats(a->b, b->b, n, what);
}

static void same_block(const pare__block_w *a, const pare__block_w *b, int64_t dim)
{
    same_norm(&a->norm1, &b->norm1, dim, "norm1");
    same_norm(&a->norm2, &b->norm2, dim, "norm2");
    same_linear(&a->qkv, &b->qkv, "qkv");
    same_linear(&a->proj, &b->proj, "proj");
    same_linear(&a->fc1, &b->fc1, "fc1");
    same_linear(&a->fc2, &b->fc2, "fc2");
    same_floats(a->scale1, b->scale1, dim, "scale1");
    same_floats(a->scale2, b->scale2, dim, "scale2");
}

static int64_t pos_rows(const pare__hparams *hp)
{
    const int64_t prefix = hp->pos_prefix == PARE__POS_NO_PREFIX  ? 0
                           : hp->pos_prefix == PARE__POS_CLS_ONLY ? hp->has_cls
                                                                  : hp->n_prefix;
    return prefix + (int64_t)(hp->steps > 1 ? hp->steps : 1) * hp->pos_rows * hp->pos_cols;
}

static void same_model(const pare_model *a, const pare_model *b)
{
    const pare__weights *x = &a->w, *y = &b->w;
    const pare__hparams *hp = &a->hp;
    ck_assert_int_eq(a->n_params, b->n_params);
    same_linear(&x->patch, &y->patch, "patch");
    same_floats(x->cls, y->cls, hp->dim, "cls");
    same_floats(x->registers, y->registers, (int64_t)hp->n_register * hp->dim, "registers");
    same_floats(x->pos, y->pos, pos_rows(hp) * hp->dim, "pos");
    same_norm(&x->pre_norm, &y->pre_norm, hp->dim, "pre_norm");
    same_norm(&x->norm, &y->norm, hp->dim, "norm");
    same_norm(&x->fc_norm, &y->fc_norm, hp->dim, "fc_norm");
    same_linear(&x->pooler, &y->pooler, "pooler");
    same_linear(&x->head, &y->head, "head");
    same_norm(&x->projector.norm, &y->projector.norm, hp->dim, "merger_norm");
    same_linear(&x->projector.fc1, &y->projector.fc1, "merger1");
    same_linear(&x->projector.fc2, &y->projector.fc2, "merger2");
    for (int32_t l = 0; l < hp->n_layer; l++) same_block(&x->block[l], &y->block[l], hp->dim);
}

static void check_cpus(const char *path)
{
    cpu_set_t all, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && !CPU_COUNT(&one); cpu++)
        if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &one);
    pare_model *a = load_on(path, &one);
    pare_model *b = load_on(path, &all);
    same_model(a, b);
    pare__model_free(&a);
    pare__model_free(&b);
}

START_TEST(test_default_model) { check_cpus(pare__model_default_path()); }
END_TEST

static const char *const checkpoints[] = {"models/dinov2-small", "golden/models/dinov2-swiglu",
                                          "golden/models/timm-reg4-interp"};

START_TEST(test_fixtures)
{
    char path[PATH_SIZE];
    ck_assert_int_lt(snprintf(path, sizeof path, "%s/%s", fixtures(), checkpoints[_i]), PATH_SIZE);
    check_cpus(path);
}
END_TEST

/* ---- the plan ---------------------------------------------------------------------------------------------------- */

/* A small integer, which f16, bf16 and f32 all hold exactly. */
static float value_at(int64_t i) { return (float)(i % 127) - 63.0f; }

/* Values that are not value_at: one check for millions of them. */
static int64_t count_wrong(const float *x, int64_t n)
{
    int64_t wrong = 0;
    for (int64_t i = 0; i < n; i++) wrong += x[i] != value_at(i);
    return wrong;
}

static uint16_t half_at(int64_t i)
{
    const int v = (int)(i % 127) - 63;
    const unsigned size = (unsigned)abs(v);
    int power = 0;
    while (size >> (power + 1)) power++;
    if (!size) return 0;
    return (uint16_t)((v < 0) << 15 | (15 + power) << 10 | (size << (10 - power) & 1023));
}

static pare_tensor make_tensor(const char *name, int32_t dtype, int64_t n, void *data)
{
    for (int64_t i = 0; i < n; i++) {
        const float v = value_at(i);
        uint32_t bits;
        memcpy(&bits, &v, sizeof bits);
        const uint16_t half = dtype == PARE_BF16 ? (uint16_t)(bits >> 16) : half_at(i);
        if (dtype == PARE_F32)
            memcpy((float *)data + i, &v, sizeof v);
        else
            memcpy((uint16_t *)data + i, &half, sizeof half);
    }
    return (pare_tensor){.name = name, .dtype = dtype, .n_dim = 1, .shape = {n}, .data = data};
}

/* Several pieces with a last one that is no whole step, and two tensors as slices of the rows of one. */
START_TEST(test_slices)
{
    enum { ROWS = 1 << 17, INNER = 5, N = ROWS * INNER };
    uint16_t *data[2] = {malloc(N * sizeof(uint16_t)), malloc(N * sizeof(uint16_t))};
    float *x = malloc(2 * N * sizeof *x);
    const pare_tensor t[2] = {make_tensor("a", PARE_F16, N, data[0]), make_tensor("b", PARE_BF16, N, data[1])};
    pare__lift lift = {0};
    const pare__layout how = {.inner = INNER, .stride = 2 * INNER};
    for (int i = 0; i < 2; i++) ck_assert_int_eq(pare__lift_add(&lift, &t[i], t[i].name, x + i * INNER, &how), 0);
    ck_assert_int_gt(lift.n_piece, 4);
    ck_assert_int_eq(pare__lift_run(&lift, NULL, "made", &err), 0);
    pare__lift_fini(&lift);
    for (int64_t row = 0; row < ROWS; row++)
        for (int64_t i = 0; i < 2 * INNER; i++)
            ck_assert_msg(x[row * 2 * INNER + i] == value_at(row * INNER + i % INNER), "row %d, %d", (int)row, (int)i);
    for (int i = 0; i < 2; i++) free(data[i]);
    free(x);
}
END_TEST

/* Every [rows, cols] of a tensor turned, several pieces of it, and something added; then made again. */
START_TEST(test_turned)
{
    static const int64_t shape[][3] = {{1, 700, 1000}, {9000, 49, 3}, {5, 1, 7}};
    const int64_t outer = shape[_i][0], rows = shape[_i][1], cols = shape[_i][2], n = outer * rows * cols;
    uint16_t *data = malloc((size_t)n * sizeof *data);
    float *x = malloc((size_t)n * sizeof *x);
    const pare_tensor t = make_tensor("t", PARE_F16, n, data);
    const pare__layout how = {.inner = n, .stride = n, .rows = rows, .cols = cols, .plus = 1};
    pare__lift lift = {0};
    int64_t wrong = 0;
    ck_assert_int_eq(pare__lift_add(&lift, &t, t.name, x, &how), 0);
    for (int again = 0; again < 2; again++) {
        memset(x, 0, (size_t)n * sizeof *x);
        if (again)
            pare__lift_again(&lift, NULL, x, n);
        else
            ck_assert_int_eq(pare__lift_run(&lift, NULL, "made", &err), 0);
        for (int64_t i = 0; i < n; i++) {
            const int64_t o = i / (rows * cols), c = i % (rows * cols) / rows, r = i % rows;
            wrong += x[i] != 1 + value_at((o * rows + r) * cols + c);
        }
    }
    ck_assert_int_eq(wrong, 0);
    pare__lift_fini(&lift);
    free(data);
    free(x);
}
END_TEST

/* Of several bad tensors the one that was planned first is told, wherever its bad value is. */
START_TEST(test_first_bad)
{
    enum { N = 1 << 20, N_TENSOR = 4 };
    static const char *const names[N_TENSOR] = {"fine", "first", "second", "third"};
    const float bad[N_TENSOR] = {0, INFINITY, NAN, -INFINITY};
    const int64_t at[N_TENSOR] = {0, N - 1, 0, N / 2};
    pare_tensor t[N_TENSOR];
    float *data[N_TENSOR], *x = malloc(N * sizeof *x);
    pare__lift lift = {0};
    for (int i = 0; i < N_TENSOR; i++) {
        data[i] = malloc(N * sizeof *data[i]);
        t[i] = make_tensor(names[i], PARE_F32, N, data[i]);
        data[i][at[i]] = bad[i];
        ck_assert_int_eq(pare__lift_add(&lift, &t[i], names[i], i == 2 ? x : NULL, NULL), 0);
    }
    ck_assert_int_eq(pare__lift_run(&lift, NULL, "made", &err), PARE_E_FORMAT);
    ck_assert_str_eq(err.text, "made: tensor first holds a NaN or an infinity");
    pare__lift_fini(&lift);
    for (int i = 0; i < N_TENSOR; i++) free(data[i]);
    free(x);
}
END_TEST

/* ---- pages ------------------------------------------------------------------------------------------------------- */

/* Pages of files that this process has in memory. */
static int64_t file_bytes(void)
{
    long long total, resident, shared;
    FILE *f = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq(fscanf(f, "%lld %lld %lld", &total, &resident, &shared), 3);
    fclose(f);
    return shared * sysconf(_SC_PAGESIZE);
}

/* A safetensors file of one tensor "x" [n], f32 or f16. */
static void write_tensor(const char *path, int32_t dtype, int64_t n)
{
    const int64_t size = dtype == PARE_F32 ? 4 : 2;
    void *data = malloc((size_t)(n * size));
    char header[128];
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    make_tensor("x", dtype, n, data);
    int len = snprintf(header, sizeof header, "{\"x\":{\"dtype\":\"%s\",\"shape\":[%lld],\"data_offsets\":[0,%lld]}}",
                       dtype == PARE_F32 ? "F32" : "F16", (long long)n, (long long)(n * size));
    for (; len % 8; len++) header[len] = ' ';
    const uint8_t length[8] = {(uint8_t)len};
    ck_assert(fwrite(length, 1, 8, f) == 8 && fwrite(header, 1, (size_t)len, f) == (size_t)len);
    ck_assert(fwrite(data, (size_t)size, (size_t)n, f) == (size_t)n && fclose(f) == 0);
    free(data);
}

typedef struct opened {
    char path[64];
    pare__store *s;
    const pare_tensor *t;
    pare__shard *shard;
} opened;

static opened open_tensor(int32_t dtype, int64_t n)
{
    opened o = {.path = "/tmp/pare-load-XXXXXX"};
    int fd = mkstemp(o.path);
    ck_assert(fd >= 0 && close(fd) == 0);
    write_tensor(o.path, dtype, n);
    ck_assert_int_eq(pare__store_open(&o.s, o.path, &err), 0);
    ck_assert_int_eq(pare__store_find(o.s, "x", &o.t, &o.shard, &err), 0);
    ck_assert_ptr_nonnull(o.t);
    return o;
}

/* What was read in place leaves memory when it is not needed, and is the same when it is read again. */
START_TEST(test_unneed)
{
    const int64_t n = 4 * MB;
    opened o = open_tensor(PARE_F32, n);
    const float *x = o.t->data;
    const pare_model m = {.store = o.s};
    pare__lift lift = {0};
    ck_assert_int_le(o.shard->least, n * 4);
    const int64_t empty = file_bytes();
    ck_assert_int_eq(pare__lift_add(&lift, o.t, "x", NULL, NULL), 0);
    ck_assert_int_eq(pare__lift_run(&lift, o.s, o.path, &err), 0);
    const int64_t full = file_bytes();
    ck_assert_int_gt(full - empty, 14 * MB);
    pare__model_unneed(&m, x, n / 2);
    ck_assert_int_lt(file_bytes() - empty, 9 * MB);
    ck_assert(x[0] == value_at(0) && x[n - 1] == value_at(n - 1));
    float outside[8192]; /* whole pages, but of no file */
    for (int i = 0; i < 8192; i++) outside[i] = value_at(i);
    pare__model_unneed(&m, outside, 8192);
    for (int i = 0; i < 8192; i++) ck_assert(outside[i] == value_at(i));
    ck_assert_int_eq(count_wrong(x, n), 0);
    pare__lift_fini(&lift);
    pare__store_free(&o.s);
    unlink(o.path);
}
END_TEST

/* What was converted does not stay in memory twice. */
START_TEST(test_converted)
{
    const int64_t n = 8 * MB;
    opened o = open_tensor(PARE_F16, n);
    float *x = pare__store_floats(o.s, n);
    pare__lift lift = {0};
    ck_assert(x && o.shard->least > n * 4);
    const int64_t empty = file_bytes();
    ck_assert_int_eq(pare__lift_add(&lift, o.t, "x", x, NULL), 0);
    ck_assert_int_eq(pare__lift_run(&lift, o.s, o.path, &err), 0);
    ck_assert_int_lt(file_bytes() - empty, 6 * MB);
    ck_assert_int_eq(count_wrong(x, n), 0);
    pare__lift_fini(&lift);
    pare__store_trim(o.s);
    ck_assert_int_lt(file_bytes() - empty, MB);
    pare__store_free(&o.s);
    unlink(o.path);
}
END_TEST

/* Weights made from a file leave memory when the last who needs them does not, and are the same when they are made again;
 * one who keeps them keeps them for all, and without anybody's need they stay. */
START_TEST(test_need)
{
    pare_model *m = NULL;
    ck_assert_int_eq(pare__model_load(&m, pare__model_default_path(), &err), 0);
    const pare__linear *l = &m->w.block[3].qkv;
    const int64_t n = (int64_t)l->n_in * l->n_out;
    const pare__made *made = m->store->made;
    while (made->x != l->w) made++;
    float *before = malloc((size_t)n * sizeof *before);
    memcpy(before, l->w, (size_t)n * sizeof *before);
    pare__model_unneed(m, l->w, n);
    same_floats(l->w, before, n, "nobody needed it");
    for (int i = 0; i < 2; i++) pare__model_need(m, l->w);
    pare__model_unneed(m, l->w, n);
    same_floats(l->w, before, n, "one still needs it");
    ck_assert_int_eq(made->is_gone, 0);
    pare__model_unneed(m, l->w, n);
    ck_assert_int_eq(made->is_gone, 1);
    ck_assert(l->w[n / 2] == 0 && before[n / 2] != 0);
    pare__model_need(m, l->w);
    ck_assert_int_eq(made->is_gone, 0);
    same_floats(l->w, before, n, "made again");
    free(before);
    pare__model_free(&m);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("load");
    TCase *tc = tcase_create("load");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_slices);
    tcase_add_loop_test(tc, test_turned, 0, 3);
    tcase_add_test(tc, test_first_bad);
    tcase_add_test(tc, test_unneed);
    tcase_add_test(tc, test_converted);
    tcase_add_test(tc, test_need);
    tcase_add_test(tc, test_default_model);
    if (fixtures())
        tcase_add_loop_test(tc, test_fixtures, 0, (int)(sizeof checkpoints / sizeof checkpoints[0]));
    else
        printf("PARE_FIXTURES is not set: other checkpoints skipped\n");
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
