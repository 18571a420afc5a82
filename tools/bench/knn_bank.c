/* SPDX-License-Identifier: MIT */
/* Bank of the nearest-neighbour column (knn_bank.h). */
#include "knn_bank.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- classes -------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int name_classes(bench_bank *k)
{
    const int32_t n = k->train.n;
    int32_t n_name = 0;
    k->name = malloc((size_t)(n > 0 ? n : 1) * sizeof *k->name);
    k->votes = malloc((size_t)(n > 0 ? n : 1) * sizeof *k->votes);
    if (k->name == NULL || k->votes == NULL) return -1;
    for (int32_t i = 0; i < n; i++)
        if (k->train.item[i].label[0] != '\0') k->name[n_name++] = k->train.item[i].label;
    qsort(k->name, (size_t)n_name, sizeof *k->name, by_text);
    for (int32_t i = 0; i < n_name; i++)
        if (k->n_name == 0 || strcmp(k->name[k->n_name - 1], k->name[i]) != 0) k->name[k->n_name++] = k->name[i];
    return 0;
}

int32_t bench_bank_class(const bench_bank *k, const char *label)
{
    char *const *found = bsearch(&label, k->name, (size_t)k->n_name, sizeof *k->name, by_text);
    return found != NULL ? (int32_t)(found - k->name) : -1;
}

int bench_bank_open(bench *b, bench_section *s, bench_bank *out)
{
    *out = (bench_bank){.train = CLI_NO_PHOTOS};
    int rc = cli_photos_open(b->c, s->ask.train, s->ask.label_column, &out->train);
    if (rc != CLI_OK) return rc;
    cli_photos_thin(&out->train, s->ask.train_stride, 0);
    if (name_classes(out) != 0) {
        cli_say(b->c, "%s: out of memory for its labels", s->ask.train);
        return CLI_FAILED;
    }
    if (out->n_name == 0)
        return cli_usage(b->c, "--train %s: none of its %d photos has a label", s->ask.train, out->train.n);
    return CLI_OK;
}

void bench_bank_close(bench_bank *k)
{
    bench_knn_free(&k->knn);
    free(k->name);
    free(k->votes);
    cli_photos_close(&k->train);
    k->name = NULL;
    k->votes = NULL;
}

/* ---- what a bank was made of ---------------------------------------------------------------------------------- */

static uint64_t mix_bytes(uint64_t hash, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) hash = (hash ^ p[i]) * UINT64_C(1099511628211); /* FNV-1a */
    return hash;
}

/* Names, labels and sizes of all photos. */
static uint64_t hash_list(const cli_photos *p)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (int32_t i = 0; i < p->n; i++) {
        struct stat st = {0};
        const cli_photo *photo = &p->item[i];
        const int is_file = photo->member == NULL && stat(photo->path, &st) == 0;
        const int64_t facts[2] = {photo->member != NULL ? photo->member->size
                                  : is_file             ? st.st_size
                                                        : -1,
                                  is_file ? (int64_t)st.st_mtime : 0};
        hash = mix_bytes(hash, photo->path, strlen(photo->path) + 1);
        hash = mix_bytes(hash, photo->label, strlen(photo->label) + 1);
        hash = mix_bytes(hash, facts, sizeof facts);
    }
    return hash;
}

/* Everything that a feature depends on. The caller frees it; NULL: out of memory. */
static char *key_of(const bench *b, const bench_section *s, const bench_bank *k)
{
    char model[17], data[17], *weights = NULL, *key = NULL;
    const cli_layout *l = &s->ask.layout;
    cli_hash_file(b->info->path, model);
    if (model[0] == '\0' && asprintf(&weights, "%s/model.safetensors", b->info->path) > 0)
        cli_hash_file(weights, model);
    cli_hash_file(s->ask.train, data);
    const int n = asprintf(&key,
                           "pare %s; model %s %s; photos %s %016" PRIx64 " %d; size %dx%d, side %lld, letterbox %d, "
                           "tiles %dx%d; mean of all tokens",
                           pare_version(), b->info->name, model, data, hash_list(&k->train), k->train.n, l->size.width,
                           l->size.height, (long long)l->max_side, l->letterbox, l->tiles.height, l->tiles.width);
    free(weights);
    return n < 0 ? NULL : key;
}

/* ---- features ------------------------------------------------------------------------------------------------- */

/* One training photo; one that cannot be read is left out of the bank. */
static int add_photo(bench *b, bench_section *s, bench_bank *k, int32_t i)
{
    char buffer[64];
    const cli_photo *photo = &k->train.item[i];
    const char *path = cli_photos_path(&k->train, i, buffer, sizeof buffer);
    cli_frames frames = {0};
    bench_frames f = {.item_seed = bench_item_seed(photo->path)};
    bench_run run = BENCH_NO_RUN;
    pare_error err = {0};
    float *mean = NULL;
    if (path == NULL) cli_say(b->c, "left out: %s: cannot be unpacked", photo->path);
    int rc = path != NULL ? bench_decode(b, s, path, photo->path, &frames, &f.decode_ms) : CLI_UNREADABLE;
    f.frame = frames.item;
    f.n = frames.n;
    if (rc == CLI_OK) rc = bench_run_full(b, s, &f, 0, &run);
    if (rc == CLI_OK) mean = malloc((size_t)bench_run_width(&run) * sizeof *mean + 1);
    if (mean != NULL && bench_run_mean(&run, mean) &&
        bench_knn_add(&k->knn, mean, bench_run_width(&run), bench_bank_class(k, photo->label), &err) != 0)
        rc = cli_fail_input(b->c, photo->path, &err, CLI_FAILED);
    free(mean);
    bench_run_free(&run);
    cli_frames_free(&frames);
    return rc == CLI_UNREADABLE ? CLI_OK : rc;
}

static int make(bench *b, bench_section *s, bench_bank *k)
{
    int rc = CLI_OK;
    bench_progress_begin(b, "training photos", k->train.n);
    for (int32_t i = 0; rc == CLI_OK && i < k->train.n; i++) {
        if (*cli_stop_flag()) return CLI_STOPPED;
        if (k->train.item[i].label[0] != '\0') rc = add_photo(b, s, k, i);
        cli_progress_step(&b->c->bar, i + 1);
    }
    if (rc != CLI_OK || k->knn.n > 0) return rc;
    cli_say(b->c, "%s: none of its %d photos could be read", s->ask.train, k->train.n);
    return CLI_UNREADABLE;
}

int bench_bank_fill(bench *b, bench_section *s, bench_bank *k)
{
    char name[512], *path, *key = key_of(b, s, k);
    pare_error err = {0};
    snprintf(name, sizeof name, "knn-%s.safetensors", s->ask.name);
    path = bench_journal_path(b, name);
    int rc = key != NULL ? CLI_OK : CLI_FAILED;
    if (key == NULL) cli_say(b->c, "%s: out of memory", s->ask.train);
    const int is_there = rc == CLI_OK && path != NULL && bench_knn_load(&k->knn, path, key, &err) == 0;
    if (rc == CLI_OK && !is_there) {
        if (err.code != 0 && err.code != PARE_E_NOTFOUND) cli_say(b->c, "%s: made anew", err.text);
        rc = make(b, s, k);
        if (rc == CLI_OK && path != NULL && bench_knn_save(&k->knn, path, key, &err) != 0)
            rc = cli_fail(b->c, &err, CLI_FAILED);
    }
    free(path);
    free(key);
    return rc;
}
