/* SPDX-License-Identifier: MIT */
/* A checkpoint of 2 GB in shards, nearly all of it a language model: only the shards that hold the tower are opened, only
 * the tower's bytes are touched. The files are holes; where the file system has none the test is skipped. A process of its
 * own, so that its memory is the checkpoint's. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/model.h"
#include "model/store.h"

enum {
    N_SHARD = 3,
    DIM = 256,
    MLP = 1024,
    N_BLOCK = 6,
    PATCH = 14,
    N_POS = 257,
    PATH_SIZE = 512,
    NAME_SIZE = 64,
    TEXT_SIZE = 1 << 16
};
enum { SKIPPED = 77, SPARE_KB = 50 * 1024 };

static const int64_t shard_bytes[N_SHARD] = {INT64_C(900) << 20, INT64_C(800) << 20, INT64_C(400) << 20};

static char dir[] = "/tmp/pare-sharded-XXXXXX";
static pare_error err;

/* The header of a shard while it grows, and the index of all. */
typedef struct maker {
    char header[TEXT_SIZE];
    size_t n_header;
    int64_t at; /* bytes of data so far */
    int shard;
    json_t *map;
    int64_t n_tower; /* floats of the tower */
} maker;

static const char *inside(char path[PATH_SIZE], const char *name)
{
    snprintf(path, PATH_SIZE, "%s/%s", dir, name);
    return path;
}

static void shard_name(char name[NAME_SIZE], int shard)
{
    snprintf(name, NAME_SIZE, "model-%05d-of-%05d.safetensors", shard + 1, N_SHARD);
}

/* A tensor of zeros [rows, cols]; cols 0: [rows]. */
static void add(maker *m, const char *name, int64_t rows, int64_t cols)
{
    char shape[48], file[NAME_SIZE];
    const int64_t n = rows * (cols ? cols : 1), end = m->at + 4 * n;
    snprintf(shape, sizeof shape, cols ? "%lld,%lld" : "%lld", (long long)rows, (long long)cols);
    m->n_header += (size_t)snprintf(m->header + m->n_header, TEXT_SIZE - m->n_header,
                                    "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[%s],\"data_offsets\":[%lld,%lld]}",
                                    m->n_header > 1 ? "," : "", name, shape, (long long)m->at, (long long)end);
    ck_assert_int_lt(m->n_header, TEXT_SIZE);
    m->at = end;
    shard_name(file, m->shard);
    json_object_set_new(m->map, name, json_string(file));
    if (!strncmp(name, "dinov2.", 7)) m->n_tower += n;
}

static void add_pair(maker *m, int block, const char *what, int64_t rows, int64_t cols)
{
    char name[128];
    snprintf(name, sizeof name, "dinov2.encoder.layer.%d.%s.weight", block, what);
    add(m, name, rows, cols);
    snprintf(name, sizeof name, "dinov2.encoder.layer.%d.%s.bias", block, what);
    add(m, name, rows, 0);
}

static void add_block(maker *m, int block)
{
    char name[128];
    add_pair(m, block, "norm1", DIM, 0);
    add_pair(m, block, "attention.attention.query", DIM, DIM);
    add_pair(m, block, "attention.attention.key", DIM, DIM);
    add_pair(m, block, "attention.attention.value", DIM, DIM);
    add_pair(m, block, "attention.output.dense", DIM, DIM);
    add_pair(m, block, "norm2", DIM, 0);
    add_pair(m, block, "mlp.fc1", MLP, DIM);
    add_pair(m, block, "mlp.fc2", DIM, MLP);
    for (int i = 1; i <= 2; i++) {
        snprintf(name, sizeof name, "dinov2.encoder.layer.%d.layer_scale%d.lambda1", block, i);
        add(m, name, DIM, 0);
    }
}

static void add_embeddings(maker *m)
{
    add(m, "dinov2.embeddings.cls_token", DIM, 0);
    add(m, "dinov2.embeddings.position_embeddings", N_POS, DIM);
    m->n_header += (size_t)snprintf(
        m->header + m->n_header, TEXT_SIZE - m->n_header,
        ",\"dinov2.embeddings.patch_embeddings.projection.weight\":{\"dtype\":\"F32\",\"shape\":[%d,3,%d,%d],"
        "\"data_offsets\":[%lld,%lld]}",
        DIM, PATCH, PATCH, (long long)m->at, (long long)m->at + 4 * DIM * 3 * PATCH * PATCH);
    json_object_set_new(m->map, "dinov2.embeddings.patch_embeddings.projection.weight",
                        json_incref(json_object_get(m->map, "dinov2.embeddings.cls_token")));
    m->at += 4 * DIM * 3 * PATCH * PATCH;
    m->n_tower += DIM * 3 * PATCH * PATCH;
    add(m, "dinov2.embeddings.patch_embeddings.projection.bias", DIM, 0);
    add(m, "dinov2.layernorm.weight", DIM, 0);
    add(m, "dinov2.layernorm.bias", DIM, 0);
}

/* The rest of a shard is a matrix of the language model; the data of it all is a hole. 1 if it really is. */
static int finish_shard(maker *m)
{
    char name[NAME_SIZE], path[PATH_SIZE];
    struct stat st;
    snprintf(name, sizeof name, "language_model.layers.%d.weight", m->shard);
    add(m, name, (shard_bytes[m->shard] - m->at) / 4096, 1024);
    m->header[m->n_header++] = '}';
    while (m->n_header % 8) m->header[m->n_header++] = ' ';
    shard_name(name, m->shard);
    FILE *f = fopen(inside(path, name), "wb");
    ck_assert_ptr_nonnull(f);
    uint8_t length[8] = {0};
    for (int i = 0; i < 4; i++) length[i] = (uint8_t)(m->n_header >> (8 * i));
    ck_assert(fwrite(length, 1, 8, f) == 8 && fwrite(m->header, 1, m->n_header, f) == m->n_header);
    ck_assert(fflush(f) == 0 && ftruncate(fileno(f), (off_t)(8 + (int64_t)m->n_header) + m->at) == 0);
    ck_assert(fstat(fileno(f), &st) == 0 && fclose(f) == 0);
    return (int64_t)st.st_blocks * 512 < 64 << 20;
}

/* Half of the tower in the first shard, nothing of it in the second. */
static int make(maker *m)
{
    char path[PATH_SIZE];
    int is_hole = 1;
    for (m->shard = 0; m->shard < N_SHARD && is_hole; m->shard++) {
        m->n_header = (size_t)snprintf(m->header, TEXT_SIZE, "{");
        m->at = 0;
        if (m->shard == 0) add_embeddings(m);
        for (int b = 0; b < N_BLOCK; b++)
            if (m->shard == (b < N_BLOCK / 2 ? 0 : 2)) add_block(m, b);
        is_hole = finish_shard(m);
    }
    json_t *index = json_pack("{s:O}", "weight_map", m->map);
    ck_assert_int_eq(json_dump_file(index, inside(path, "model.safetensors.index.json"), 0), 0);
    json_decref(index);
    FILE *f = fopen(inside(path, "config.json"), "w");
    ck_assert_ptr_nonnull(f);
    fprintf(f,
            "{\"model_type\":\"dinov2\",\"hidden_size\":%d,\"num_hidden_layers\":%d,\"num_attention_heads\":4,"
            "\"patch_size\":%d,\"image_size\":224,\"mlp_ratio\":%d}",
            DIM, N_BLOCK, PATCH, MLP / DIM);
    fclose(f);
    return is_hole;
}

static void remove_files(void)
{
    char path[PATH_SIZE], name[NAME_SIZE];
    for (int i = 0; i < N_SHARD; i++) {
        shard_name(name, i);
        unlink(inside(path, name));
    }
    unlink(inside(path, "model.safetensors.index.json"));
    unlink(inside(path, "config.json"));
    rmdir(dir);
}

static long peak_kb(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return u.ru_maxrss;
}

START_TEST(test_tower_alone)
{
    pare_model *m = NULL;
    static maker made;
    int n_open = 0;
    made.map = json_object();
    ck_assert_int_eq(make(&made), 1);
    const long before = peak_kb(), tower_kb = (long)(made.n_tower * 4 / 1024);
    const int rc = pare__model_load(&m, dir, &err);
    const long grown = peak_kb() - before;
    ck_assert_msg(rc == 0, "%s", err.text);
    for (int64_t i = 0; i < m->store->n_shard; i++) n_open += m->store->shard[i].t != NULL;
    ck_assert_int_eq(n_open, 2);
    ck_assert_int_eq(m->n_params, made.n_tower);
    ck_assert_str_eq(m->missing, "not read: language_model (3 tensors)");
    ck_assert_msg(grown <= tower_kb + SPARE_KB, "%ld KB for a tower of %ld KB", grown, tower_kb);
    pare__model_free(&m);
    json_decref(made.map);
}
END_TEST

/* Whether a file of this directory can be a hole. */
static int has_holes(void)
{
    char path[PATH_SIZE];
    struct stat st;
    const int fd = open(inside(path, "hole"), O_CREAT | O_RDWR, 0600);
    const int is_hole = fd >= 0 && !ftruncate(fd, 1 << 24) && !fstat(fd, &st) && st.st_blocks * 512 < 1 << 20;
    if (fd >= 0) close(fd);
    unlink(path);
    return is_hole;
}

int main(void)
{
    if (!mkdtemp(dir)) return SKIPPED;
    if (!has_holes()) {
        printf("%s: its file system keeps no holes: skipped\n", dir);
        rmdir(dir);
        return SKIPPED;
    }
    Suite *s = suite_create("sharded");
    TCase *tc = tcase_create("sharded");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_tower_alone);
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    remove_files();
    return n_failed ? 1 : 0;
}
