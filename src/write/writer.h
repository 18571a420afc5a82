/* SPDX-License-Identifier: MIT */
/* A writer publishes the results of one input as one file. One file + one line in writers.c. All formats share the
 * spool (spool.h): tensors grow in unlinked temporary files beside the target, so memory does not grow with the clip. */
#ifndef PARE_WRITE_WRITER_H
#define PARE_WRITE_WRITER_H

#include <jansson.h>
#include <pare/pare.h>

#include "write/spool.h"

typedef struct pare__writer_format {
    const char *name, *suffix, *summary;
    /* Writes the finished spool to an open descriptor of the temporary target. */
    int (*publish)(const pare__spool *spool, int fd, const char *path, pare_error *err);
} pare__writer_format;

extern const pare__writer_format *const pare__writer_formats[]; /* ends with NULL; [0] is the default */
/* By name, else (name NULL) by the suffix of path, else the default. NULL if no format has this name. */
const pare__writer_format *pare__writer_format_find(const char *name, const char *path);

/* What pare_writer of pare.h stands for; api.c wraps these one to one. */
struct pare_writer {
    const pare__writer_format *format;
    char *path, *dir; /* target; where tensors spool */
    pare__spool spool;
    int64_t n, k, nnz, n_member;        /* candidates, rows, weights and members so far */
    int64_t thw[3];                     /* row of grid_thw that is growing: steps, rows, columns; 0 steps = none */
    pare_slot last;                     /* last slot of it */
    int32_t d, n_prefix, n_class, unit; /* of the first window; the others must agree */
    int32_t n_deepstack, n_embed;
    int32_t has_pts, has_mrope, has_newline;
    int32_t n_window;
    int32_t is_broken; /* a call failed: only close is allowed */
};

int pare__writer_open(pare_writer **out, const char *path, const pare_writer_opts *opts, pare_error *err);
int pare__writer_append(pare_writer *w, const pare_result_view *v, pare_error *err);
int pare__writer_finish(pare_writer *w, int complete, pare_error *err);
void pare__writer_close(pare_writer **w);

/* A metadata value as JSON. Values are often file names, which are bytes: in one that is not UTF-8 every byte beyond
 * ASCII becomes '?', because the end of a long run is no time to refuse it. NULL when memory is short. */
json_t *pare__meta_text(const char *value);
/* Header of a safetensors file with tensors in the order given: length, JSON, spaces. Owned by the caller (pare__free),
 * `size` bytes. `data` of the tensors is not looked at. Errors: INVALID (names), LIMIT, NOMEM. */
int pare__safetensors_header(const char *path, const pare_tensor *t, const int32_t *order, int64_t n,
                             const char *const (*meta)[2], int64_t n_meta, char **out, size_t *size, pare_error *err);

#endif
