/* SPDX-License-Identifier: MIT */
/* Bytes for source_raw.c and av_pipe.c: from a descriptor (stdin, a file, a pipe) or from memory, interruptible, buffered
 * for lines. */
#ifndef PARE_MEDIA_RAW_INPUT_H
#define PARE_MEDIA_RAW_INPUT_H

#include "media/source.h"

enum { PARE__RAW_LINE = 1024, PARE__RAW_BUFFER = 1 << 16 };

typedef struct pare__raw_input {
    int fd, owned; /* fd < 0: memory only */
    const pare__stop *stop;
    double patience;     /* seconds without data after which reading fails with ETIMEDOUT; 0 = endless */
    size_t at, have;     /* unread: data[at .. have) */
    const uint8_t *data; /* `buffer`, or the caller's memory */
    uint8_t buffer[PARE__RAW_BUFFER];
} pare__raw_input;

/* "-" is stdin, behind what is known of it already. */
int pare__raw_open(pare__raw_input *in, const pare__input *input, pare_error *err);
/* Takes the first bytes of stdin into input->head. */
int pare__raw_head(pare__input *input, pare_error *err);
/* Says what errno means: IO. */
int pare__raw_fail(const pare__raw_input *in, const char *path, pare_error *err);
void pare__raw_close(pare__raw_input *in);

/* n bytes, or fewer at the end or when stopped: the number, or -1 with errno. */
int64_t pare__raw_read(pare__raw_input *in, uint8_t *to, size_t n);

/* Up to n bytes, as they come: the number, 0 at the end or when stopped, or -1 with errno. */
int64_t pare__raw_some(pare__raw_input *in, uint8_t *to, size_t n);

/* One line without its newline: its length; -1 at the end of input, -2 if it is too long or cut off, -3 with errno. */
int pare__raw_line(pare__raw_input *in, char line[PARE__RAW_LINE]);

#endif
