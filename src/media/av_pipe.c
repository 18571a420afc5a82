/* SPDX-License-Identifier: MIT */
/* libav's view of a pipe: see av_pipe.h. */
#include "media/av_pipe.h"

#include <errno.h>
#include <libavformat/avio.h>
#include <libavutil/error.h>
#include <libavutil/mem.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "media/raw_input.h"

enum { IO_BUFFER = 1 << 15 };

struct pare__av_pipe {
    const pare__stop *stop;
    AVIOContext *io;
    pare__raw_input in;
};

int pare__av_is_pipe(const char *path)
{
    struct stat st;
    return !strcmp(path, "-") || (!stat(path, &st) && S_ISFIFO(st.st_mode));
}

static int read_pipe(void *opaque, uint8_t *to, int n)
{
    pare__av_pipe *p = opaque;
    const int64_t got = pare__raw_some(&p->in, to, (size_t)n);
    if (got > 0) return (int)got;
    if (pare__is_stopped(p->stop)) return AVERROR_EXIT;
    return got < 0 ? AVERROR(errno) : AVERROR_EOF;
}

int pare__av_pipe_open(pare__av_pipe **out, const pare__input *input, pare_error *err)
{
    *out = NULL;
    pare__av_pipe *p = calloc(1, sizeof *p);
    if (!p) return pare_fail(err, PARE_E_NOMEM, "out of memory");
    p->stop = &input->stop;
    int rc = pare__raw_open(&p->in, input, err);
    uint8_t *buffer = rc ? NULL : av_malloc(IO_BUFFER);
    if (buffer) p->io = avio_alloc_context(buffer, IO_BUFFER, 0, p, read_pipe, NULL, NULL);
    if (!rc && !p->io) {
        av_free(buffer);
        rc = pare_fail(err, PARE_E_NOMEM, "out of memory");
    }
    if (rc)
        pare__av_pipe_close(&p);
    else
        *out = p;
    return rc;
}

AVIOContext *pare__av_pipe_io(const pare__av_pipe *p) { return p->io; }

/* libav may have replaced the buffer by a larger one. */
void pare__av_pipe_close(pare__av_pipe **out)
{
    pare__av_pipe *p = *out;
    if (!p) return;
    if (p->io) av_freep(&p->io->buffer);
    avio_context_free(&p->io);
    pare__raw_close(&p->in);
    free(p);
    *out = NULL;
}
