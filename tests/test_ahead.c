/* SPDX-License-Identifier: MIT */
/* Reading ahead: what a caller sees is what it sees without; how far the thread goes; stopping and closing while it
 * waits. That every other test of sources passes as well is test_source_ahead and test_decode_ahead. */
#include "media/ahead.h"
#include "media_util.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_READS = 64, SOON_MS = 5000, PROMPT_MS = 2000 };
#define OPTS(...) (&(pare_source_opts){.struct_size = sizeof(pare_source_opts), __VA_ARGS__})
#define RGB8(...) OPTS(.format = "rgb24", .width = 8, .height = 8, .rate = 25, __VA_ARGS__)
#define FRAME8 (8 * 8 * 3)

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static void rest(int ms) { nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL); }

/* ---- the same as without ---------------------------------------------------------------------------------------- */

/* One read, as the caller sees it. */
typedef struct seen {
    int rc;
    int64_t n_damaged;
    double pts, origin;
    uint64_t hash;
    char text[252];
} seen;

/* Reads to the end and once more; returns the number of reads. */
static int watch(const char *path, pare_source_opts opts, int ahead, seen out[MAX_READS])
{
    int n = 0;
    opts.read_ahead = ahead;
    pare_source *s;
    ck_assert_int_eq(pare_source_open(&s, path, &opts, NULL), 0);
    for (int ended = 0; ended < 2 && n < MAX_READS; n++) {
        pare_frame f = {.struct_size = sizeof f};
        pare_error err = {0};
        pare_source_info info = {.struct_size = sizeof info};
        out[n] = (seen){.rc = pare_source_read(s, &f, &err)};
        ck_assert_int_eq(pare_source_get(s, &info, NULL), 0);
        out[n].n_damaged = info.n_damaged;
        out[n].origin = info.origin;
        snprintf(out[n].text, sizeof out[n].text, "%s", err.text);
        if (!out[n].rc) {
            out[n].pts = f.pts;
            out[n].hash = hash_frame(&f);
        }
        ended += out[n].rc != 0;
    }
    pare_source_close(&s);
    return n;
}

static void expect_same(const char *path, const pare_source_opts *opts)
{
    static seen want[MAX_READS], got[MAX_READS];
    const int n = watch(path, *opts, 0, want);
    ck_assert_int_lt(n, MAX_READS);
    for (int ahead = 1; ahead <= PARE__MAX_AHEAD; ahead *= 4) {
        ck_assert_int_eq(watch(path, *opts, ahead, got), n);
        for (int i = 0; i < n; i++) {
            ck_assert_msg(got[i].rc == want[i].rc && got[i].n_damaged == want[i].n_damaged, "%s: read %d", path, i);
            ck_assert_double_eq(got[i].pts, want[i].pts);
            ck_assert_double_eq(got[i].origin, want[i].origin);
            ck_assert_uint_eq(got[i].hash, want[i].hash);
            ck_assert_str_eq(got[i].text, want[i].text);
        }
    }
}

/* A clip of numbered stills, the fourth of which is broken: the count of damaged ones must not run ahead. */
START_TEST(damage_is_seen_in_its_place)
{
    for (int i = 0; i < 8; i++) {
        char name[32];
        uint8_t rgb[FRAME8];
        snprintf(name, sizeof name, "s_%02d.png", i);
        paint(rgb, 8, 8, i);
        write_png(scratch(name), 8, 8, 3, 8, rgb);
    }
    write_file(scratch("s_03.png"), "\x89PNG\r\n\x1a\n broken", 15);
    expect_same(scratch("s_%02d.png"), OPTS(0));
    expect_same(scratch("s_%02d.png"), OPTS(.every = 2));
}
END_TEST

START_TEST(clips_ranges_and_errors)
{
    const char *path = scratch("clip.mp4");
    write_clip(path, 48, 32, 40, 10, NULL);
    expect_same(path, OPTS(.end = 3));
    expect_same(path, OPTS(.start = 2.5));
    expect_same(path, OPTS(.frames = 7));
    expect_same(path, OPTS(.start = 30));
    write_clip(scratch("whole.mkv"), 48, 32, 40, 10, NULL);
    append_file(scratch("cut.mkv"), scratch("whole.mkv"), 0.7);
    expect_same(scratch("cut.mkv"), OPTS(0));
    static const char stream[] = "YUV4MPEG2 W2 H2 F10:1 C444\nFRAME\n123412341234FRAME Ix\n123412341234FRAME\n12341";
    write_file(scratch("cut.y4m"), stream, sizeof stream - 1);
    expect_same(scratch("cut.y4m"), OPTS(0));
    write_file(scratch("none.y4m"), stream, 27);
    expect_same(scratch("none.y4m"), OPTS(0));
}
END_TEST

START_TEST(counting_while_the_thread_reads)
{
    const char *path = scratch("count.mp4");
    write_clip(path, 32, 32, 30, 10, NULL);
    pare_source *s;
    ck_assert_int_eq(pare_source_open(&s, path, OPTS(.read_ahead = 4), NULL), 0);
    for (int i = 0; i < 30; i++) {
        int64_t n;
        pare_frame f = {.struct_size = sizeof f};
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_int_eq(number_of(&f), i % 11);
        ck_assert_int_eq(pare_source_count(s, &n, NULL), 0);
        ck_assert_int_eq(n, 30);
    }
    pare_source_close(&s);
}
END_TEST

/* ---- how far ---------------------------------------------------------------------------------------------------- */

/* stdin replaced by the read end of a pipe; the other end. */
typedef struct fed {
    int saved, in;
} fed;

static fed feed_begin(void)
{
    int fd[2];
    fed p = {.saved = dup(STDIN_FILENO)};
    ck_assert_int_eq(pipe(fd), 0);
    dup2(fd[0], STDIN_FILENO);
    close(fd[0]);
    p.in = fd[1];
    return p;
}

static void feed_end(const fed *p)
{
    dup2(p->saved, STDIN_FILENO);
    close(p->saved);
    close(p->in);
}

static void feed_frames(const fed *p, int first, int n)
{
    uint8_t rgb[FRAME8];
    for (int i = first; i < first + n; i++) {
        memset(rgb, i, sizeof rgb);
        ck_assert_int_eq(write(p->in, rgb, sizeof rgb), (ssize_t)sizeof rgb);
    }
}

static int unread_frames(void)
{
    int bytes = -1;
    ck_assert_int_eq(ioctl(STDIN_FILENO, FIONREAD, &bytes), 0);
    return bytes / FRAME8;
}

/* Waits until `want` frames are left in the pipe, and then a moment longer. */
static void expect_unread(int want)
{
    const double start = now_ms();
    while (unread_frames() > want && now_ms() - start < SOON_MS) rest(5);
    rest(60);
    ck_assert_int_eq(unread_frames(), want);
}

START_TEST(as_far_as_asked_and_no_further)
{
    const fed p = feed_begin();
    pare_source *s;
    pare_frame f = {.struct_size = sizeof f};
    ck_assert_int_eq(pare_source_open(&s, "-", RGB8(.read_ahead = 3), NULL), 0);
    feed_frames(&p, 0, 20);
    rest(60);
    ck_assert_int_eq(unread_frames(), 20); /* nothing before the first read */
    ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    expect_unread(16);
    for (int x = 0; x < FRAME8; x++) ck_assert_int_eq(f.rgb[x], 0); /* lent until the next read */
    ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    expect_unread(15);
    ck_assert_int_eq(f.rgb[0], 1);
    for (int i = 2; i < 20; i++) {
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        ck_assert_int_eq(f.rgb[0], i);
    }
    pare_source_close(&s);
    feed_end(&p);
}
END_TEST

/* ---- stopping and closing --------------------------------------------------------------------------------------- */

typedef struct alarm_clock {
    pthread_t thread;
    volatile int stop;
} alarm_clock;

static void *ring(void *arg)
{
    rest(150);
    __atomic_store_n(&((alarm_clock *)arg)->stop, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void set_alarm(alarm_clock *a)
{
    *a = (alarm_clock){0};
    ck_assert_int_eq(pthread_create(&a->thread, NULL, ring, a), 0);
}

/* Reads what is there, then waits for more that never comes. */
static void expect_prompt_stop(const char *path, pare_source_opts *opts, const fed *p, const void *data, size_t n)
{
    alarm_clock a;
    pare_source *s;
    pare_frame f = {.struct_size = sizeof f};
    set_alarm(&a);
    opts->stop = &a.stop;
    ck_assert_int_eq(write(p->in, data, n), (ssize_t)n);
    ck_assert_int_eq(pare_source_open(&s, path, opts, NULL), 0);
    const double start = now_ms();
    int rc;
    while (!(rc = pare_source_read(s, &f, NULL))) ck_assert_double_lt(now_ms() - start, PROMPT_MS);
    ck_assert_int_eq(rc, PARE_EOF);
    ck_assert_int_eq(pare_source_read(s, &f, NULL), PARE_EOF);
    pare_source_close(&s);
    ck_assert_double_lt(now_ms() - start, PROMPT_MS);
    pthread_join(a.thread, NULL);
}

/* Bytes of a small clip that can be piped. Caller frees. */
static uint8_t *piped_clip(size_t *n)
{
    const char *path = scratch("piped.mkv");
    write_clip(path, 64, 48, 60, 25, NULL);
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(1 << 16);
    *n = fread(data, 1, 1 << 16, f);
    fclose(f);
    return data;
}

/* Whoever sets the flag, in whatever thread: a read that waits for a pipe ends, with libav as well. */
START_TEST(stop_while_waiting_for_a_pipe)
{
    static uint8_t two[2 * FRAME8];
    size_t n;
    uint8_t *clip = piped_clip(&n);
    for (int ahead = 0; ahead < 4; ahead += 3) {
        fed p = feed_begin();
        expect_prompt_stop("-", RGB8(.read_ahead = ahead), &p, two, sizeof two);
        feed_end(&p);
        p = feed_begin();
        expect_prompt_stop("-", OPTS(.format = "matroska", .read_ahead = ahead), &p, clip, n);
        feed_end(&p);
    }
    free(clip);
}
END_TEST

START_TEST(close_while_the_thread_waits)
{
    pare_frame f = {.struct_size = sizeof f};
    for (int frames = 1; frames <= 30; frames += 29) { /* for the pipe; for room */
        const fed p = feed_begin();
        pare_source *s;
        ck_assert_int_eq(pare_source_open(&s, "-", RGB8(.read_ahead = 3), NULL), 0);
        feed_frames(&p, 0, frames);
        ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
        expect_unread(frames < 4 ? 0 : frames - 4);
        const double start = now_ms();
        pare_source_close(&s);
        ck_assert_ptr_null(s);
        ck_assert_double_lt(now_ms() - start, PROMPT_MS);
        feed_end(&p);
    }
}
END_TEST

/* Frames that wait already are not handed out any more. */
START_TEST(stop_while_frames_wait)
{
    alarm_clock a = {0};
    pare_source *s;
    pare_frame f = {.struct_size = sizeof f};
    const fed p = feed_begin();
    ck_assert_int_eq(pare_source_open(&s, "-", RGB8(.read_ahead = 3, .stop = &a.stop), NULL), 0);
    feed_frames(&p, 0, 10);
    ck_assert_int_eq(pare_source_read(s, &f, NULL), 0);
    expect_unread(6);
    __atomic_store_n(&a.stop, 1, __ATOMIC_RELAXED);
    ck_assert_int_eq(pare_source_read(s, &f, NULL), PARE_EOF);
    pare_source_close(&s);
    feed_end(&p);
}
END_TEST

/* A named pipe is a pipe under any name; libav reads it to its end. */
START_TEST(named_pipe_through_libav)
{
    size_t n;
    uint8_t *clip = piped_clip(&n);
    const char *path = scratch("named.mkv");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    for (int ahead = 0; ahead < 4; ahead += 3) {
        FILE *hold = fopen(path, "r+b"); /* so that neither side waits for the other to open */
        ck_assert_uint_eq(fwrite(clip, 1, n, hold), n);
        fflush(hold);
        pare_source *s;
        pare_source_info info = {.struct_size = sizeof info};
        ck_assert_int_eq(pare_source_open(&s, path, OPTS(.read_ahead = ahead), NULL), 0);
        fclose(hold);
        ck_assert_int_eq(pare_source_get(s, &info, NULL), 0);
        ck_assert_int_eq(info.is_live, 1);
        ck_assert_int_eq(read_all(s, NULL, NULL, 0, NULL), 60);
    }
    free(clip);
}
END_TEST

/* Nobody has opened the other end yet, and nobody will. */
START_TEST(stop_while_opening_a_pipe)
{
    const char *const format[] = {"y4m", "matroska"};
    for (int i = 0; i < 2; i++) {
        alarm_clock a;
        pare_source *s;
        pare_error err;
        const char *path = scratch(format[i]);
        ck_assert_int_eq(mkfifo(path, 0600), 0);
        set_alarm(&a);
        const double start = now_ms();
        ck_assert_int_eq(pare_source_open(&s, path, OPTS(.format = format[i], .stop = &a.stop), &err), PARE_E_IO);
        ck_assert_ptr_nonnull(strstr(err.text, "interrupted"));
        ck_assert_double_lt(now_ms() - start, PROMPT_MS);
        pthread_join(a.thread, NULL);
    }
}
END_TEST

/* A still has nothing behind it: no thread, and the end comes as ever. */
START_TEST(stills)
{
    uint8_t rgb[FRAME8];
    paint(rgb, 8, 8, 3);
    write_png(scratch("one.png"), 8, 8, 3, 8, rgb);
    expect_same(scratch("one.png"), OPTS(0));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ahead");
    TCase *tc = tcase_create("the same");
    tcase_add_test(tc, damage_is_seen_in_its_place);
    tcase_add_test(tc, clips_ranges_and_errors);
    tcase_add_test(tc, counting_while_the_thread_reads);
    tcase_add_test(tc, stills);
    suite_add_tcase(suite, tc);
    tc = tcase_create("waiting");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, as_far_as_asked_and_no_further);
    tcase_add_test(tc, stop_while_waiting_for_a_pipe);
    tcase_add_test(tc, close_while_the_thread_waits);
    tcase_add_test(tc, stop_while_frames_wait);
    tcase_add_test(tc, named_pipe_through_libav);
    tcase_add_test(tc, stop_while_opening_a_pipe);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    scratch_remove();
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
