/* SPDX-License-Identifier: MIT */
/* write/: what fails says so and leaves nothing behind; files appear whole or not at all. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "write/atomic.h"
#include "write_util.h"

/* ---- failures ------------------------------------------------------------------------------------------------ */

START_TEST(no_directory)
{
    pare_error err;
    ck_assert_int_eq(write_clip(in_dir("none/a.safetensors"), 1, 1, &err), PARE_E_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "none"));
    ck_assert_ptr_nonnull(strstr(err.text, strerror(ENOENT)));
    ck_assert_int_eq(pare_png_save(in_dir("none/a.png"), (const uint8_t *)"abc", 1, 1, &err), PARE_E_IO);
    ck_assert_int_eq(pare_tensors_save(in_dir("none/a.safetensors"), NULL, 0, NULL, 0, &err), PARE_E_IO);
    ck_assert_int_eq(pare_tensors_save(write_dir, NULL, 0, NULL, 0, &err), PARE_E_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "directory"));
}
END_TEST

START_TEST(read_only_directory)
{
    if (geteuid() == 0 && setegid(65534) == 0 && seteuid(65534) != 0) return;
    pare_error err;
    chmod(write_dir, 0500);
    ck_assert_int_eq(write_clip(in_dir("a.safetensors"), 1, 1, &err), PARE_E_IO);
    ck_assert_ptr_nonnull(strstr(err.text, strerror(EACCES)));
    if (getuid() == 0) {
        ck_assert_int_eq(seteuid(0), 0);
        ck_assert_int_eq(setegid(0), 0);
    }
    chmod(write_dir, 0700);
    ck_assert_int_eq(count_files(), 0);
}
END_TEST

START_TEST(full_device)
{
    pare_error err;
    ck_assert_int_eq(write_clip("/dev/full", 1, 1, &err), PARE_E_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "/dev/full"));
    ck_assert_ptr_nonnull(strstr(err.text, strerror(ENOSPC)));
    static uint8_t rgb[64 * 64 * 3];
    ck_assert_int_eq(pare_png_save("/dev/full", rgb, 64, 64, &err), PARE_E_IO);
    ck_assert_int_eq(pare_tensors_save("/dev/full", NULL, 0, NULL, 0, &err), PARE_E_IO);
    struct stat st;
    ck_assert_int_eq(stat("/dev/full", &st), 0);
    ck_assert(S_ISCHR(st.st_mode));
}
END_TEST

START_TEST(full_disk)
{
    static const rlim_t limit[] = {0, 1000, 20000}; /* at the probe, in the spool, in the finished file */
    struct rlimit before, now;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    FILE *old = fopen(in_dir("a.safetensors"), "w");
    fputs("old", old);
    fclose(old);
    for (int i = 0; i < 3; i++) {
        pare_error err = {0};
        now = (struct rlimit){limit[i], before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &now);
        const int rc = write_clip(in_dir("a.safetensors"), 150, 1, &err);
        setrlimit(RLIMIT_FSIZE, &before);
        ck_assert_int_eq(rc, PARE_E_IO);
        ck_assert_ptr_nonnull(strstr(err.text, strerror(EFBIG)));
        ck_assert_int_eq(count_files(), 1);
        size_t size;
        char *bytes = slurp(in_dir("a.safetensors"), &size);
        ck_assert_uint_eq(size, 3);
        free(bytes);
    }
}
END_TEST

START_TEST(no_finish_leaves_nothing)
{
    pare_writer *w = NULL;
    window x;
    ck_assert_int_eq(pare__writer_open(&w, in_dir("a.safetensors"), NULL, NULL), 0);
    ck_assert_int_eq(pare__writer_append(w, make_window(&x, 0), NULL), 0);
    ck_assert_int_eq(count_files(), 0);
    pare__writer_close(&w);
    ck_assert_ptr_null(w);
    pare__writer_close(&w);
    pare__writer_close(NULL);
    ck_assert_int_eq(count_files(), 0);
}
END_TEST

START_TEST(wrong_calls)
{
    pare_error err;
    pare_writer *w = NULL;
    window x;
    const pare_writer_opts bad = {.struct_size = sizeof bad, .format = "hdf5"};
    ck_assert_int_eq(pare__writer_open(&w, in_dir("a"), &bad, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "hdf5"));
    ck_assert_int_eq(pare__writer_open(&w, "", NULL, &err), PARE_E_INVALID);
    ck_assert_int_eq(pare__writer_open(&w, in_dir("a"), NULL, &err), 0);
    ck_assert_int_eq(pare__writer_append(w, make_window(&x, 0), &err), 0);
    make_window(&x, 1);
    x.v.unit = 7;
    ck_assert_int_eq(pare__writer_append(w, &x.v, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "unit"));
    ck_assert_int_eq(pare__writer_append(w, make_window(&x, 1), &err), PARE_E_STATE);
    ck_assert_int_eq(pare__writer_finish(w, 1, &err), PARE_E_STATE);
    pare__writer_close(&w);
    ck_assert_int_eq(write_clip(in_dir("empty"), 0, 1, &err), PARE_E_STATE);
    ck_assert_int_eq(count_files(), 0);
}
END_TEST

/* A file has times for every step or for none. */
START_TEST(windows_without_times)
{
    pare_error err;
    pare_writer *w = NULL;
    window x;
    ck_assert_int_eq(pare__writer_open(&w, in_dir("a"), NULL, &err), 0);
    ck_assert_int_eq(pare__writer_append(w, make_window(&x, 0), &err), 0);
    make_window(&x, 1);
    x.v.pts = NULL;
    ck_assert_int_eq(pare__writer_append(w, &x.v, &err), PARE_E_INVALID);
    ck_assert_ptr_nonnull(strstr(err.text, "times"));
    pare__writer_close(&w);
}
END_TEST

START_TEST(too_many_candidates)
{
    pare_error err;
    pare_writer *w = NULL;
    window x;
    ck_assert_int_eq(pare__writer_open(&w, in_dir("a"), NULL, &err), 0);
    w->n = INT32_MAX - N + 1;
    ck_assert_int_eq(pare__writer_append(w, make_window(&x, 0), &err), PARE_E_LIMIT);
    pare__writer_close(&w);
}
END_TEST

/* ---- files that appear whole ---------------------------------------------------------------------------------- */

START_TEST(replaces_on_commit_only)
{
    pare__atomic a;
    FILE *old = fopen(in_dir("f"), "w");
    fputs("old", old);
    fclose(old);
    chmod(in_dir("f"), 0640);
    ck_assert_int_eq(symlink(in_dir("f"), in_dir("link")), 0);
    for (int commit = 0; commit < 2; commit++) {
        ck_assert_int_eq(pare__atomic_open(&a, in_dir("link"), NULL), 0);
        ck_assert_int_eq(pare__atomic_write(&a, "newer", 5, NULL), 0);
        if (commit)
            ck_assert_int_eq(pare__atomic_commit(&a, NULL), 0);
        else
            pare__atomic_abort(&a);
        pare__atomic_abort(&a);
        size_t size;
        char *bytes = slurp(in_dir("f"), &size);
        ck_assert_uint_eq(size, commit ? 5 : 3);
        free(bytes);
    }
    struct stat st;
    ck_assert_int_eq(lstat(in_dir("link"), &st), 0);
    ck_assert(S_ISLNK(st.st_mode));
    ck_assert_int_eq(stat(in_dir("f"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
    ck_assert_int_eq(count_files(), 2);
    pare__atomic zero = {0};
    pare__atomic_abort(&zero);
}
END_TEST

START_TEST(dash_is_stdout)
{
    fflush(stdout);
    const int saved = dup(STDOUT_FILENO);
    const int file = open(in_dir("out"), O_CREAT | O_RDWR, 0600);
    dup2(file, STDOUT_FILENO);
    const int rc = write_clip("-", 2, 1, NULL);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(file);
    ck_assert_int_eq(rc, 0);
    ck_assert_int_eq(write_clip(in_dir("same.safetensors"), 2, 1, NULL), 0);
    size_t size[2];
    char *a = slurp(in_dir("out"), &size[0]), *b = slurp(in_dir("same.safetensors"), &size[1]);
    ck_assert_uint_eq(size[0], size[1]);
    ck_assert_mem_eq(a, b, size[0]);
    free(a);
    free(b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("write_failures");
    const struct {
        const char *name;
        const TTest *test[12];
    } cases[] = {
        {"failures",
         {no_directory, read_only_directory, full_device, full_disk, no_finish_leaves_nothing, wrong_calls,
          windows_without_times, too_many_candidates}},
        {"atomic", {replaces_on_commit_only, dash_is_stdout}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        TCase *c = tcase_create(cases[i].name);
        tcase_add_checked_fixture(c, make_dir, remove_dir);
        for (int j = 0; cases[i].test[j] != NULL; j++) tcase_add_test(c, cases[i].test[j]);
        suite_add_tcase(s, c);
    }
    SRunner *runner = srunner_create(s);
    srunner_run_all(runner, CK_NORMAL);
    const int n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed != 0;
}
