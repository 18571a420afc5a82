/* SPDX-License-Identifier: MIT */
/* The journal of a bench: cut at every byte, cut in its head, full of garbage, of another bench, on a full disk, in use;
 * every cell exactly once afterwards. Rank correlation of ties. Columns, hashes and machine facts are made up here. */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../tools/bench/journal.h"

enum { ROWS = 7, ITEMS = 11 };

/* ---- the world around it --------------------------------------------------------------------------------------- */

static const bench_column columns[] = {{.key = "units_in"}, {.key = "top1_percent"}, {.key = "cosine"}};
static char hash_text[17] = "0123456789abcdef";

const bench_column *bench_columns(int32_t *n)
{
    *n = 3;
    return columns;
}

int32_t bench_column_find(const char *key)
{
    for (int32_t i = 0; i < 3; i++)
        if (strcmp(columns[i].key, key) == 0) return i;
    return -1;
}

void bench_cell_clear(bench_cell *cell, int32_t row, int32_t item)
{
    *cell = (bench_cell){.row = row, .item = item};
    for (int32_t i = 0; i < BENCH_MAX_COLUMNS; i++) cell->value[i] = NAN;
}

void cli_hash_file(const char *path, char out[17]) { snprintf(out, 17, "%s", path[0] == 'D' ? "" : hash_text); }

const char *pare_version(void) { return "0.0.0"; }

int pare_runtime_get(pare_runtime_info *info, pare_error *err)
{
    (void)err;
    info->cpu = "a CPU";
    info->blas = info->blas_core = "a BLAS";
    return 0;
}

typedef struct world {
    cli_common c;
    pare_model_info info;
    bench_task task;
    bench b;
    char dir[64], path[96];
} world;

static void add_section(world *w, const char *name)
{
    bench_section *s = &w->b.section[w->b.n_section++];
    *s = (bench_section){.ask = {.name = name, .data = "D/photos"}, .task = &w->task, .n_row = ROWS, .n_item = ITEMS};
    s->row = calloc(ROWS, sizeof *s->row);
    s->item = calloc(ITEMS, sizeof *s->item);
    for (int i = 0; i < ROWS; i++) {
        s->row[i] = (bench_row){.keep = 1.0 / (i + 1), .seed = (uint64_t)i};
        ck_assert_int_gt(asprintf(&s->row[i].recipe, "recipe-%d@output", i), 0);
    }
    for (int i = 0; i < ITEMS; i++) ck_assert_int_gt(asprintf(&s->item[i].name, "photo \"%d\"\n.png", i), 0);
}

static void begin(world *w)
{
    *w = (world){.info = {.name = "m", .path = "m.gguf"}, .task = {.name = "photos"}};
    w->b.c = &w->c;
    w->b.info = &w->info;
    w->b.backend = "openblas";
    w->b.precision = "f32";
    snprintf(w->dir, sizeof w->dir, "/tmp/pare-journal-%ld", (long)getpid());
    snprintf(w->path, sizeof w->path, "%s/journal.jsonl", w->dir);
    add_section(w, "a");
    add_section(w, "b");
}

/* Closes the bench; the files stay. */
static void end(world *w)
{
    bench_journal_close(&w->b.journal);
    for (int32_t i = 0; i < w->b.n_section; i++) {
        bench_section *s = &w->b.section[i];
        for (int32_t r = 0; r < s->n_row; r++) free(s->row[r].recipe);
        for (int32_t k = 0; k < s->n_item; k++) free(s->item[k].name);
        free(s->row);
        free(s->item);
        free(s->cell);
        free(s->has);
    }
    *w = (world){0};
}

static int open_journal(world *w) { return bench_journal_open(&w->b, w->dir, &w->b.journal); }

static double value_of(int section, int row, int item, int column)
{
    return column == 1 && item % 2 ? NAN : (section + 1) / 3.0 + row * 1e-17 + item * 1e10 + column;
}

static int emit(world *w, int section, int row, int item)
{
    bench_cell cell;
    bench_cell_clear(&cell, row, item);
    for (int i = 0; i < 3; i++) cell.value[i] = value_of(section, row, item, i);
    return bench_emit(&w->b, &w->b.section[section], &cell);
}

/* Emits what is missing, as a task does; how many cells that were. */
static int emit_missing(world *w)
{
    int n = 0;
    for (int s = 0; s < 2; s++)
        for (int i = 0; i < ITEMS; i++)
            for (int r = 0; r < ROWS; r++) {
                if (bench_has(&w->b.section[s], r, i)) continue;
                ck_assert_int_eq(emit(w, s, r, i), CLI_OK);
                n++;
            }
    return n;
}

static int is_same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

static void check_all(const world *w)
{
    for (int s = 0; s < 2; s++) {
        const bench_section *x = &w->b.section[s];
        char seen[ROWS][ITEMS] = {{0}};
        ck_assert_int_eq(x->n_cell, ROWS * ITEMS);
        for (int64_t i = 0; i < x->n_cell; i++) {
            const bench_cell *cell = &x->cell[i];
            ck_assert_int_eq(seen[cell->row][cell->item]++, 0);
            for (int k = 0; k < 3; k++) ck_assert(is_same(cell->value[k], value_of(s, cell->row, cell->item, k)));
            ck_assert(isnan(cell->value[3]));
        }
    }
}

static char *read_all(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    char *text = malloc(1 << 20);
    *n = fread(text, 1, 1 << 20, f);
    fclose(f);
    return text;
}

static void write_all(const char *path, const char *text, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, n, f), n);
    fclose(f);
}

static void clean(const char *path)
{
    char dir[96];
    unlink(path);
    snprintf(dir, sizeof dir, "%.*s", (int)(strrchr(path, '/') - path), path);
    rmdir(dir);
}

/* A whole journal on disk, its text, and its path. */
static char *make_journal(size_t *n, char path[96])
{
    world w;
    begin(&w);
    snprintf(path, 96, "%s", w.path);
    clean(path);
    ck_assert_int_eq(open_journal(&w), CLI_OK);
    ck_assert_int_eq(emit_missing(&w), 2 * ROWS * ITEMS);
    ck_assert_int_eq(emit(&w, 1, 2, 3), CLI_OK); /* there already */
    check_all(&w);
    end(&w);
    return read_all(path, n);
}

/* Opens what lies there, as another process would; exit code. Completes it if it opens. */
static int resume(int *n_missing)
{
    world w;
    begin(&w);
    const int rc = open_journal(&w);
    *n_missing = -1;
    if (rc == CLI_OK) {
        *n_missing = emit_missing(&w);
        check_all(&w);
    }
    end(&w);
    return rc;
}

/* ---- tests ----------------------------------------------------------------------------------------------------- */

static int count_lines(const char *text, size_t n)
{
    int lines = 0;
    for (size_t i = 0; i < n; i++) lines += text[i] == '\n';
    return lines;
}

/* Killed after any byte of the last 200 or of the first 200: the rest is emitted again and nothing twice. */
START_TEST(test_cut_anywhere)
{
    char path[96];
    size_t n = 0, m = 0;
    char *text = make_journal(&n, path);
    ck_assert_int_eq(count_lines(text, n), 2 * ROWS * ITEMS + 1);
    ck_assert_uint_gt(n, 400);
    for (size_t i = 0; i <= 400; i++) {
        const size_t at = i <= 200 ? n - i : i - 201;
        int missing = 0;
        write_all(path, text, at);
        ck_assert_int_eq(resume(&missing), CLI_OK);
        const int lines = count_lines(text, at);
        ck_assert_int_eq(missing, 2 * ROWS * ITEMS - (lines > 0 ? lines - 1 : 0));
        char *whole = read_all(path, &m);
        ck_assert_uint_eq(m, n);
        ck_assert_mem_eq(whole, text, n);
        free(whole);
    }
    free(text);
    clean(path);
}
END_TEST

/* The first of two lines of a cell counts. */
START_TEST(test_duplicates)
{
    char path[96];
    size_t n = 0;
    int missing = 0;
    char *text = make_journal(&n, path);
    FILE *f = fopen(path, "ab");
    fputs("{\"s\":0,\"r\":0,\"i\":0,\"v\":{\"cosine\":77}}\n", f);
    fclose(f);
    ck_assert_int_eq(resume(&missing), CLI_OK);
    ck_assert_int_eq(missing, 0);
    free(text);
    clean(path);
}
END_TEST

static const char *const bad_lines[] = {
    "",
    "junk",
    "[]",
    "{}",
    "{\"s\":2,\"r\":0,\"i\":0,\"v\":{}}",
    "{\"s\":0,\"r\":7,\"i\":0,\"v\":{}}",
    "{\"s\":0,\"r\":0,\"i\":11,\"v\":{}}",
    "{\"s\":0,\"r\":-1,\"i\":0,\"v\":{}}",
    "{\"s\":0,\"r\":0.5,\"i\":0,\"v\":{}}",
    "{\"s\":0,\"r\":9223372036854775808,\"i\":0,\"v\":{}}",
    "{\"s\":0,\"r\":0,\"i\":0}",
    "{\"s\":0,\"r\":0,\"i\":0,\"v\":[1]}",
    "{\"s\":0,\"r\":0,\"i\":0,\"v\":{\"nothing\":1}}",
    "{\"s\":0,\"r\":0,\"i\":0,\"v\":{\"cosine\":\"1\"}}",
    "{\"s\":0,\"r\":0,\"i\":0,\"v\":{\"cosine\":NaN}}",
    "{\"s\":0,\"r\":0,\"i\":0,\"v\":{\"cosine\":1,\"cosine\":2}}",
    "{\"s\":0,\"r\":0,\"i\":0,\"v\":{}} {}",
    "\xff\xfe",
};

/* A whole line that is no cell is an error, and the file stays as it is. */
START_TEST(test_bad_lines)
{
    char path[96];
    size_t n = 0, m = 0;
    int missing = 0;
    char *text = make_journal(&n, path);
    FILE *f = fopen(path, "ab");
    fprintf(f, "%s\n", bad_lines[_i]);
    fclose(f);
    ck_assert_int_eq(resume(&missing), CLI_FAILED);
    char *after = read_all(path, &m);
    ck_assert_uint_eq(m, n + strlen(bad_lines[_i]) + 1);
    free(after);
    free(text);
    clean(path);
}
END_TEST

/* Bytes turned into others, anywhere: an exit code, and never a cell out of range. */
START_TEST(test_garbage)
{
    char path[96];
    size_t n = 0;
    char *text = make_journal(&n, path), *bad = malloc(n);
    uint32_t x = 12345;
    for (int round = 0; round < 2000; round++) {
        world w;
        memcpy(bad, text, n);
        for (int k = 0; k < 1 + round % 3; k++) {
            x = x * 1664525u + 1013904223u;
            bad[(x >> 8) % n] = (char)(x >> 3);
        }
        write_all(path, bad, n);
        begin(&w);
        const int rc = open_journal(&w);
        ck_assert(rc == CLI_OK || rc == CLI_USAGE || rc == CLI_FAILED);
        for (int s = 0; s < 2; s++) ck_assert_int_le(w.b.section[s].n_cell, ROWS * ITEMS);
        end(&w);
    }
    free(bad);
    free(text);
    clean(path);
}
END_TEST

/* A world that differs in one thing is told which. */
static int open_changed(int what, char *path)
{
    world w;
    begin(&w);
    switch (what) {
    case 1:
        w.b.section[1].row[3].keep = 0.26;
        break;
    case 2:
        w.b.section[0].n_item--;
        break;
    case 3:
        w.b.seed = 5;
        break;
    case 4:
        hash_text[0] = 'f';
        break;
    case 5:
        w.b.section[0].ask.measure_stride = 3;
        break;
    case 6:
        w.c.threads = 2;
        break;
    case 7:
        w.b.precision = "int8";
        break;
    default:
        break;
    }
    const int items = w.b.section[0].n_item, rc = open_journal(&w);
    w.b.section[0].n_item = ITEMS;
    ck_assert_int_ge(ITEMS, items);
    end(&w);
    hash_text[0] = '0';
    (void)path;
    return rc;
}

static const char *const changes[] = {
    NULL,
    "sections[1].rows[3].keep: 0.25 there, 0.26",
    "sections[0].items: 11 entries there, 10 here",
    "seed: 0 there, 5 here",
    "model_files[0].file: \"m.gguf 0123456789abcdef\" there, \"m.gguf f123456789abcdef\" here",
    "sections[0].ask.measure_stride: 0 there, 3 here",
    "machine.threads: 0 there, 2 here",
    "machine.engine: \"openblas f32\" there, \"openblas int8\" here",
};

/* What a call says on stderr. */
static void catch_stderr(int (*call)(int, char *), int what, char *path, int *rc, char *text, size_t size)
{
    FILE *f = tmpfile();
    fflush(stderr);
    const int saved = dup(STDERR_FILENO);
    dup2(fileno(f), STDERR_FILENO);
    *rc = call(what, path);
    fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    rewind(f);
    text[fread(text, 1, size - 1, f)] = '\0';
    fclose(f);
}

START_TEST(test_another_bench)
{
    char path[96], said[1024];
    size_t n = 0;
    int rc = 0;
    char *text = make_journal(&n, path);
    catch_stderr(open_changed, _i, path, &rc, said, sizeof said);
    ck_assert_int_eq(rc, _i == 0 ? CLI_OK : CLI_USAGE);
    ck_assert_msg(_i == 0 || strstr(said, changes[_i]) != NULL, "%s", said);
    ck_assert(_i > 0 || said[0] == '\0');
    free(text);
    clean(path);
}
END_TEST

START_TEST(test_no_journal)
{
    static const char *const contents[] = {"hello", "hello\n", "{\"pare_bench_journal\":1\n", "{\"a\":1}\n", "\n"};
    for (size_t i = 0; i < sizeof contents / sizeof *contents; i++) {
        world w;
        size_t n = 0;
        begin(&w);
        mkdir(w.dir, 0777);
        write_all(w.path, contents[i], strlen(contents[i]));
        ck_assert_int_eq(open_journal(&w), CLI_USAGE);
        ck_assert_ptr_null(w.b.journal);
        char *text = read_all(w.path, &n);
        ck_assert_str_eq(n == strlen(contents[i]) && memcmp(text, contents[i], n) == 0 ? "same" : "changed", "same");
        free(text);
        clean(w.path);
        end(&w);
    }
}
END_TEST

START_TEST(test_in_use)
{
    world w, other;
    begin(&w);
    begin(&other);
    clean(w.path);
    ck_assert_int_eq(open_journal(&w), CLI_OK);
    ck_assert_int_eq(open_journal(&other), CLI_FAILED);
    char *path = bench_journal_path(&w.b, "knn.safetensors");
    ck_assert_ptr_nonnull(strstr(path, "/knn.safetensors"));
    ck_assert_ptr_null(bench_journal_path(&other.b, "knn.safetensors"));
    free(path);
    bench_journal_close(&w.b.journal);
    ck_assert_int_eq(open_journal(&other), CLI_OK);
    clean(w.path);
    end(&w);
    end(&other);
}
END_TEST

/* A disk that takes part of a line leaves a file of whole lines, and the bench ends. */
START_TEST(test_full_disk)
{
    struct rlimit old, little;
    struct stat before, after;
    world w;
    int missing = 0;
    begin(&w);
    clean(w.path);
    ck_assert_int_eq(open_journal(&w), CLI_OK);
    ck_assert_int_eq(emit(&w, 0, 0, 0), CLI_OK);
    ck_assert_int_eq(stat(w.path, &before), 0);
    getrlimit(RLIMIT_FSIZE, &old);
    little = old;
    little.rlim_cur = (rlim_t)before.st_size + 20;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    ck_assert_int_eq(emit(&w, 0, 1, 0), CLI_FAILED);
    ck_assert(!bench_has(&w.b.section[0], 1, 0));
    setrlimit(RLIMIT_FSIZE, &old);
    ck_assert_int_eq(stat(w.path, &after), 0);
    ck_assert_int_eq(before.st_size, after.st_size);
    bench_journal_close(&w.b.journal);
    ck_assert_int_eq(resume(&missing), CLI_OK);
    ck_assert_int_eq(missing, 2 * ROWS * ITEMS - 1);
    clean(w.path);
    end(&w);
}
END_TEST

START_TEST(test_without_journal)
{
    world w;
    begin(&w);
    ck_assert_int_eq(emit_missing(&w), 2 * ROWS * ITEMS);
    ck_assert_int_eq(emit_missing(&w), 0);
    check_all(&w);
    ck_assert_int_eq(emit(&w, 0, ROWS, 0), CLI_FAILED);
    ck_assert_int_eq(emit(&w, 0, 0, -1), CLI_FAILED);
    ck_assert(!bench_has(&w.b.section[0], -1, 0) && !bench_has(&w.b.section[0], 0, ITEMS));
    end(&w);
}
END_TEST

/* Expected: Pearson's r of average ranks, computed in Python. */
START_TEST(test_spearman)
{
    static const double a[] = {1, 2, 2, 5, 3, 9, 0}, b[] = {3, 1, 1, 4, 4, 4, 2}, same[] = {7, 7, 7, 7, 7, 7, 7};
    double rho = 0, up[] = {1, 2, 3}, down[] = {9, 8, -7};
    ck_assert_int_eq(bench_spearman(a, b, 7, &rho), 0);
    ck_assert_double_eq_tol(rho, 0.6608480480431909, 1e-14);
    ck_assert_int_eq(bench_spearman(up, down, 3, &rho), 0);
    ck_assert_double_eq_tol(rho, -1, 1e-15);
    ck_assert_int_eq(bench_spearman(a, same, 7, &rho), 0);
    ck_assert(isnan(rho));
    ck_assert_int_eq(bench_spearman(a, b, 1, &rho), 0);
    ck_assert(isnan(rho));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("bench journal");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, test_cut_anywhere);
    tcase_add_test(c, test_duplicates);
    tcase_add_loop_test(c, test_bad_lines, 0, sizeof bad_lines / sizeof *bad_lines);
    tcase_add_test(c, test_garbage);
    tcase_add_loop_test(c, test_another_bench, 0, sizeof changes / sizeof *changes);
    tcase_add_test(c, test_no_journal);
    tcase_add_test(c, test_in_use);
    tcase_add_test(c, test_full_disk);
    tcase_add_test(c, test_without_journal);
    tcase_add_test(c, test_spearman);
    suite_add_tcase(s, c);
    signal(SIGXFSZ, SIG_IGN);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_ENV);
    const int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
