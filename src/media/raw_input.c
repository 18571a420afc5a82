/* SPDX-License-Identifier: MIT */
/* Buffered reading with a stop flag: see raw_input.h. */
#include "media/raw_input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 100 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Waits in slices, so that `stop` is seen even if signals restart reads: 1 = go on, 0 = stopped, -1 = nothing came. */
static int wait_readable(const pare__raw_input *in)
{
    struct pollfd p = {.fd = in->fd, .events = POLLIN};
    const double until = in->patience > 0 ? now() + in->patience : 0;
    for (;;) {
        if (in->stop && pare__is_stopped(in->stop)) return 0;
        int n = poll(&p, 1, POLL_MS);
        if (n > 0 || (n < 0 && errno != EINTR)) return 1;
        if (until > 0 && now() > until) return -1;
    }
}

/* Up to n bytes; 0 at the end or when stopped, -1 with errno on failure. */
static ssize_t read_some(const pare__raw_input *in, uint8_t *to, size_t n)
{
    ssize_t got = -1;
    for (errno = EAGAIN; got < 0 && (errno == EAGAIN || errno == EINTR);) {
        const int ready = in->fd < 0 ? 0 : wait_readable(in);
        if (!ready) return 0;
        if (ready < 0) {
            errno = ETIMEDOUT;
            return -1;
        }
        got = read(in->fd, to, n);
    }
    return got;
}

/* What the buffer has of n bytes. */
static size_t take_buffered(pare__raw_input *in, uint8_t *to, size_t n)
{
    const size_t ready = in->have - in->at, taken = ready < n ? ready : n;
    if (taken) memcpy(to, in->data + in->at, taken);
    in->at += taken;
    return taken;
}

int64_t pare__raw_some(pare__raw_input *in, uint8_t *to, size_t n)
{
    const size_t taken = take_buffered(in, to, n);
    return taken ? (int64_t)taken : read_some(in, to, n);
}

int64_t pare__raw_read(pare__raw_input *in, uint8_t *to, size_t n)
{
    size_t done = take_buffered(in, to, n);
    while (done < n) {
        ssize_t got = read_some(in, to + done, n - done);
        if (got < 0) return -1;
        if (!got) break;
        done += (size_t)got;
    }
    return (int64_t)done;
}

int pare__raw_line(pare__raw_input *in, char line[PARE__RAW_LINE])
{
    for (int n = 0; n < PARE__RAW_LINE; n++) {
        if (in->at == in->have) {
            ssize_t got = read_some(in, in->buffer, PARE__RAW_BUFFER);
            if (got < 0) return -3;
            if (!got) return n ? -2 : -1;
            in->at = 0;
            in->have = (size_t)got;
        }
        char c = (char)in->data[in->at++];
        line[n] = c == '\n' ? '\0' : c;
        if (c == '\n') return n;
    }
    return -2;
}

/* Without waiting: a pipe that nobody writes to yet is waited for where the stop flag is seen. */
int pare__raw_open(pare__raw_input *in, const pare__input *input, pare_error *err)
{
    const char *path = input->path;
    *in = (pare__raw_input){.fd = STDIN_FILENO, .stop = &input->stop, .patience = input->opts->timeout};
    in->data = in->buffer;
    if (!strcmp(path, "-")) {
        in->have = (size_t)input->n_head;
        memcpy(in->buffer, input->head, in->have);
        return 0;
    }
    in->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (in->fd < 0) return pare_fail(err, PARE_E_IO, "cannot open '%.160s': %s", path, strerror(errno));
    in->owned = 1;
    return 0;
}

int pare__raw_fail(const pare__raw_input *in, const char *path, pare_error *err)
{
    if (errno == ETIMEDOUT && in->patience > 0)
        return pare_fail(err, PARE_E_IO, "'%.160s': no data for %g s", path, in->patience);
    return pare_fail(err, PARE_E_IO, "'%.160s': %s", path, strerror(errno));
}

void pare__raw_close(pare__raw_input *in)
{
    if (in->owned) close(in->fd);
    in->owned = 0;
}

int pare__raw_head(pare__input *input, pare_error *err)
{
    pare__raw_input *in = calloc(1, sizeof *in);
    if (!in) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    int rc = pare__raw_open(in, input, err);
    const int64_t got = rc ? 0 : pare__raw_read(in, input->head, PARE__HEAD);
    if (got < 0) rc = pare__raw_fail(in, input->path, err);
    if (got > 0) input->n_head = (int32_t)got;
    pare__raw_close(in);
    free(in);
    return rc;
}
