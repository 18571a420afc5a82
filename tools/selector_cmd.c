/* SPDX-License-Identifier: MIT */
/* A program as a selector (selector_cmd.h): spawned in a process group of its own, so that an interrupt at the terminal
 * reaches pare alone; both pipes are non-blocking and served together, so that neither side can wait for the other. */
#include "selector_cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "selector_reply.h"

enum { MAX_ARRAYS = 16, HEAD = 4096, WHO = 96, SLICE_MS = 100, READ_SIZE = 1 << 16 };

#define GRACE_S 2.0 /* for what is still open after an interrupt, and for an exit */

extern char **environ;

struct cli_selector {
    char who[WHO]; /* begins every message */
    const char *command;
    double timeout;
    const volatile int *stop;
    pid_t pid;        /* 0 = not running */
    int to, from;     /* our ends of its stdin and stdout, or -1 */
    int64_t answered; /* replies of the running program */
};

typedef struct piece {
    const void *data;
    size_t size;
} piece;

/* One request on its way. */
typedef struct exchange {
    const pare_custom_view *v;
    char head[HEAD];
    piece *piece; /* [n_piece] what is sent */
    int64_t n_piece, at;
    size_t sent; /* of piece `at` */
    char line[CLI_MAX_REPLY_LINE + 1];
    size_t n_line;
    int has_line, over; /* over: the program closed its stdout */
    cli_reply reply;
    uint8_t *data; /* [reply.n_bytes] */
    int64_t n_data;
    double deadline;
    int stopped; /* the interrupt was there before, or has shortened the deadline */
} exchange;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the process ----------------------------------------------------------------------------------------------- */

static void shut(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* fds: [0] child's stdin, [1] ours of it; [2] ours of its stdout, [3] child's. */
static int spawn(cli_selector *s, const int fds[4])
{
    const char *const argv[] = {"sh", "-c", s->command, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t none, normal;
    sigemptyset(&none);
    sigemptyset(&normal);
    sigaddset(&normal, SIGPIPE);
    sigaddset(&normal, SIGXFSZ);
    sigaddset(&normal, SIGINT);
    sigaddset(&normal, SIGTERM);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attr);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &normal);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    int rc = posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO);
    if (rc == 0) rc = posix_spawn_file_actions_adddup2(&actions, fds[3], STDOUT_FILENO);
    if (rc == 0) rc = posix_spawn(&s->pid, "/bin/sh", &actions, &attr, (char *const *)(uintptr_t)argv, environ);
    if (rc != 0) s->pid = 0;
    posix_spawnattr_destroy(&attr);
    posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int start(cli_selector *s, pare_error *err)
{
    int fds[4] = {-1, -1, -1, -1};
    int rc = pipe2(fds, O_CLOEXEC) == 0 && pipe2(fds + 2, O_CLOEXEC) == 0 ? 0 : errno;
    if (rc == 0) rc = spawn(s, fds);
    shut(&fds[0]);
    shut(&fds[3]);
    if (rc != 0) {
        shut(&fds[1]);
        shut(&fds[2]);
        return pare_fail(err, PARE_E_IO, "%s cannot be started: %s", s->who, strerror(rc));
    }
    s->to = fds[1];
    s->from = fds[2];
    s->answered = 0;
    fcntl(s->to, F_SETFL, O_NONBLOCK);
    fcntl(s->from, F_SETFL, O_NONBLOCK);
    return 0;
}

/* 1 when the program has exited within `seconds`; it stays to be reaped, so that its number is not given away. */
static int wait_exit(const cli_selector *s, double seconds)
{
    const struct timespec nap = {.tv_nsec = 2000000};
    const double until = now() + seconds;
    for (;;) {
        siginfo_t info = {.si_pid = 0};
        if (waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == s->pid) return 1;
        if (now() >= until) return 0;
        nanosleep(&nap, NULL);
    }
}

/* Ends and reaps the program, whatever it is doing, with all that it has left behind in its group; `seconds` to exit by
 * itself. 1 = it did, *status says how. */
static int reap(cli_selector *s, double seconds, int *status)
{
    int exited = 0;
    if (s->pid > 0) {
        exited = wait_exit(s, seconds);
        kill(-s->pid, SIGKILL);
        while (waitpid(s->pid, status, 0) < 0 && errno == EINTR) continue;
    }
    shut(&s->to);
    shut(&s->from);
    s->pid = 0;
    return exited;
}

static int describe_exit(const cli_selector *s, int exited, int status, const char *when, pare_error *err)
{
    if (!exited) return pare_fail(err, PARE_E_IO, "%s closed its output %s", s->who, when);
    if (WIFSIGNALED(status))
        return pare_fail(err, PARE_E_IO, "%s was ended by signal %d %s", s->who, WTERMSIG(status), when);
    return pare_fail(err, PARE_E_IO, "%s exited with status %d %s", s->who, WEXITSTATUS(status), when);
}

/* ---- the request ----------------------------------------------------------------------------------------------- */

static int is_vector(const char *name)
{
    return strcmp(name, "cls_row") == 0 || strcmp(name, "col_mean") == 0 || strcmp(name, "scores") == 0;
}

static size_t append_array(char *out, size_t size, const pare_custom_array *a, int64_t n)
{
    char layer[32] = "", shape[48];
    if (a->layer >= 0) snprintf(layer, sizeof layer, "\"layer\":%d,", a->layer);
    snprintf(shape, sizeof shape, is_vector(a->name) ? "[%lld]" : "[%lld,%d]", (long long)n, a->width);
    return (size_t)snprintf(out, size, ",{\"name\":\"%s\",%s\"dtype\":\"f32\",\"shape\":%s}", a->name, layer, shape);
}

/* The JSON line; its length, or 0 when it does not fit. */
static size_t write_head(const pare_custom_view *v, char *out, size_t size)
{
    const long long rows = v->n;
    int32_t h = 0, w = 0;
    for (int32_t i = 0; i < v->n_slot; i++) {
        if (v->slot[i].grid_h > h) h = v->slot[i].grid_h;
        if (v->slot[i].grid_w > w) w = v->slot[i].grid_w;
    }
    size_t n = (size_t)snprintf(
        out, size,
        "{\"pare\":1,\"site\":\"%s\",\"block\":%d,\"n\":%lld,\"k\":%lld,\"seed\":%llu,\"grid\":[%d,%d,%d],"
        "\"arrays\":[{\"name\":\"place\",\"dtype\":\"i32\",\"shape\":[%lld,3]},"
        "{\"name\":\"index\",\"dtype\":\"i64\",\"shape\":[%lld]},{\"name\":\"slots\",\"dtype\":\"i32\",\"shape\":[%d,7]"
        "},"
        "{\"name\":\"sizes\",\"dtype\":\"f32\",\"shape\":[%lld]}",
        v->site, v->block, rows, (long long)v->k, (unsigned long long)v->seed, v->n_slot, h, w, rows, rows, v->n_slot,
        rows);
    for (int32_t i = 0; i < v->n_array && n < size; i++) n += append_array(out + n, size - n, &v->array[i], rows);
    if (v->frame != NULL && n < size)
        n += (size_t)snprintf(out + n, size - n, ",{\"name\":\"pixels\",\"dtype\":\"u8\",\"shape\":[%d,%d,%d,3]}",
                              v->n_slot * v->temporal, v->frame_height, v->frame_width);
    if (n < size) n += (size_t)snprintf(out + n, size - n, "]}\n");
    return n < size ? n : 0;
}

static int make_request(const cli_selector *s, exchange *x, pare_error *err)
{
    const pare_custom_view *v = x->v;
    const int64_t n_picture = v->frame != NULL ? (int64_t)v->n_slot * v->temporal : 0;
    const size_t n_head = v->n_array <= MAX_ARRAYS ? write_head(v, x->head, sizeof x->head) : 0;
    if (n_head == 0) return pare_fail(err, PARE_E_LIMIT, "%s: %d arrays do not fit its request", s->who, v->n_array);
    x->piece = calloc((size_t)n_picture + MAX_ARRAYS + 5, sizeof *x->piece);
    if (x->piece == NULL) return pare_fail(err, PARE_E_NOMEM, "%s: out of memory", s->who);
    piece *p = x->piece;
    *p++ = (piece){x->head, n_head};
    *p++ = (piece){v->place, (size_t)v->n * 3 * sizeof *v->place};
    *p++ = (piece){v->index, (size_t)v->n * sizeof *v->index};
    *p++ = (piece){v->slot, (size_t)v->n_slot * sizeof *v->slot};
    *p++ = (piece){v->sizes, (size_t)v->n * sizeof *v->sizes};
    for (int32_t i = 0; i < v->n_array; i++)
        *p++ = (piece){v->array[i].data, (size_t)v->n * (size_t)v->array[i].width * sizeof(float)};
    for (int64_t i = 0; i < n_picture; i++)
        *p++ = (piece){v->frame[i], (size_t)v->frame_width * (size_t)v->frame_height * 3};
    x->n_piece = p - x->piece;
    return 0;
}

/* Writes what the pipe takes. A program that has read enough may close its end. */
static int send_some(cli_selector *s, exchange *x, pare_error *err)
{
    while (x->at < x->n_piece) {
        const piece *p = &x->piece[x->at];
        const ssize_t n = write(s->to, (const char *)p->data + x->sent, p->size - x->sent);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        if (n < 0 && errno != EPIPE)
            return pare_fail(err, PARE_E_IO, "%s: cannot write to it: %s", s->who, strerror(errno));
        if (n < 0) {
            shut(&s->to);
            x->at = x->n_piece;
            return 0;
        }
        x->sent += (size_t)n;
        if (x->sent < p->size) continue;
        x->at++;
        x->sent = 0;
    }
    return 0;
}

/* ---- the reply ------------------------------------------------------------------------------------------------- */

static int is_complete(const exchange *x) { return x->has_line && x->n_data == x->reply.n_bytes; }

static int take_line(const cli_selector *s, exchange *x, pare_error *err)
{
    int rc = cli_reply_parse(s->who, x->line, x->n_line, x->v, &x->reply, err);
    if (rc != 0) return rc;
    x->data = malloc((size_t)x->reply.n_bytes + 1);
    if (x->data == NULL) return pare_fail(err, PARE_E_NOMEM, "%s: out of memory for its reply", s->who);
    x->has_line = 1;
    return 0;
}

static int take_bytes(const cli_selector *s, exchange *x, const uint8_t *bytes, size_t n, pare_error *err)
{
    int rc = 0;
    for (; n > 0 && rc == 0 && !x->has_line; bytes++, n--) {
        if (*bytes != '\n' && x->n_line == CLI_MAX_REPLY_LINE)
            return pare_fail(err, PARE_E_FORMAT, "%s: the first line of its reply exceeds %d bytes", s->who,
                             CLI_MAX_REPLY_LINE);
        if (*bytes != '\n')
            x->line[x->n_line++] = (char)*bytes;
        else
            rc = take_line(s, x, err);
    }
    if (rc != 0) return rc;
    const int64_t room = x->has_line ? x->reply.n_bytes - x->n_data : 0;
    if ((int64_t)n > room)
        return pare_fail(err, PARE_E_FORMAT, "%s: %lld bytes more than its reply announces", s->who,
                         (long long)n - (long long)room);
    if (n > 0) memcpy(x->data + x->n_data, bytes, n);
    x->n_data += (int64_t)n;
    return 0;
}

static int receive_some(cli_selector *s, exchange *x, pare_error *err)
{
    uint8_t bytes[READ_SIZE];
    for (;;) {
        const ssize_t n = read(s->from, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
        if (n < 0) return pare_fail(err, PARE_E_IO, "%s: cannot read from it: %s", s->who, strerror(errno));
        if (n == 0) {
            x->over = 1;
            return 0;
        }
        const int rc = take_bytes(s, x, bytes, (size_t)n, err);
        if (rc != 0) return rc;
    }
}

/* ---- the exchange ---------------------------------------------------------------------------------------------- */

static int check_time(const cli_selector *s, exchange *x, pare_error *err)
{
    if (!x->stopped && s->stop != NULL && *s->stop) {
        x->stopped = 1;
        if (x->deadline > now() + GRACE_S) x->deadline = now() + GRACE_S;
    }
    if (now() < x->deadline) return 0;
    if (s->stop != NULL && *s->stop) return pare_fail(err, PARE_E_IO, "%s: interrupted", s->who);
    if (is_complete(x))
        return pare_fail(err, PARE_E_IO, "%s answered, but did not read its request within %.6g s", s->who, s->timeout);
    return pare_fail(err, PARE_E_IO, "%s: no reply within %.6g s (--selector-timeout)", s->who, s->timeout);
}

/* Until the reply is complete and the request read, or the program closes its output. */
static int serve(cli_selector *s, exchange *x, pare_error *err)
{
    int rc = 0;
    while (rc == 0 && !x->over && !(is_complete(x) && x->at == x->n_piece)) {
        struct pollfd fds[] = {{.fd = s->from, .events = POLLIN}, {.fd = s->to, .events = POLLOUT}};
        const int n = poll(fds, x->at < x->n_piece ? 2 : 1, SLICE_MS);
        if (n < 0 && errno != EINTR) return pare_fail(err, PARE_E_IO, "%s: poll: %s", s->who, strerror(errno));
        if (n > 0 && fds[1].revents != 0) rc = send_some(s, x, err);
        if (rc == 0 && n > 0 && fds[0].revents != 0) rc = receive_some(s, x, err);
        if (rc == 0) rc = check_time(s, x, err);
    }
    return rc;
}

/* The program has closed its output before its reply was complete. 1 = it had answered before, sent nothing now and left
 * in peace: to be started again. */
static int end_early(cli_selector *s, const exchange *x, pare_error *err)
{
    int status = 0;
    char when[80];
    const int64_t answered = s->answered;
    const int exited = reap(s, GRACE_S, &status);
    if (exited && status == 0 && answered > 0 && x->n_line == 0) return 1;
    if (x->has_line)
        snprintf(when, sizeof when, "after %lld of %lld bytes of its reply", (long long)x->n_data,
                 (long long)x->reply.n_bytes);
    else
        snprintf(when, sizeof when, x->n_line > 0 ? "within the first line of its reply" : "without a reply");
    return describe_exit(s, exited, status, when, err);
}

/* Bytes that nobody asked for would be taken for the next reply. */
static int check_silent(const cli_selector *s, pare_error *err)
{
    uint8_t bytes[64];
    const ssize_t n = s->from >= 0 ? read(s->from, bytes, sizeof bytes) : -1;
    return n > 0 ? pare_fail(err, PARE_E_FORMAT, "%s: bytes that no request asked for", s->who) : 0;
}

static int try_once(cli_selector *s, exchange *x, pare_error *err)
{
    x->at = 0;
    x->sent = x->n_line = 0;
    x->deadline = now() + s->timeout;
    x->stopped = s->stop != NULL && *s->stop;
    x->over = 0;
    int rc = s->pid > 0 ? check_silent(s, err) : start(s, err);
    if (rc == 0) rc = serve(s, x, err);
    if (rc == 0 && !is_complete(x)) return end_early(s, x, err);
    if (rc == 0) s->answered++;
    return rc;
}

int cli_selector_select(void *user, const pare_custom_view *view, pare_selection *out, pare_error *err)
{
    cli_selector *s = user;
    int status = 0;
    exchange *x = calloc(1, sizeof *x);
    if (x == NULL) return pare_fail(err, PARE_E_NOMEM, "%s: out of memory", s->who);
    x->v = view;
    int rc = make_request(s, x, err);
    if (rc == 0) rc = try_once(s, x, err);
    if (rc == 1) rc = try_once(s, x, err);
    if (rc == 0) rc = cli_reply_apply(s->who, &x->reply, x->data, view, out, err);
    if (rc != 0) reap(s, 0, &status);
    cli_reply_fini(&x->reply);
    free(x->data);
    free(x->piece);
    free(x);
    return rc;
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

int cli_selector_open(cli_selector **out, const char *command, double timeout_s, const volatile int *stop,
                      pare_error *err)
{
    *out = NULL;
    cli_selector *s = calloc(1, sizeof *s);
    if (s == NULL) return pare_fail(err, PARE_E_NOMEM, "out of memory for the selector command");
    *s = (cli_selector){.command = command, .timeout = timeout_s, .stop = stop, .to = -1, .from = -1};
    snprintf(s->who, sizeof s->who, "selector command '%.60s%s'", command, strlen(command) > 60 ? "..." : "");
    *out = s;
    return 0;
}

int cli_selector_close(cli_selector **s, pare_error *err)
{
    int status = 0, rc = 0;
    if (*s == NULL) return 0;
    if ((*s)->pid > 0) {
        shut(&(*s)->to);
        const int exited = reap(*s, GRACE_S, &status);
        if (exited && status != 0) rc = describe_exit(*s, exited, status, "after its last reply", err);
    }
    free(*s);
    *s = NULL;
    return rc;
}
