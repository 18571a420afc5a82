/* SPDX-License-Identifier: MIT */
/* What every command shares: common options, log lines on stderr, signals, process facts, the command table's row. */
#ifndef PARE_TOOLS_SESSION_H
#define PARE_TOOLS_SESSION_H

#include <pare/pare.h>

#include "args.h"
#include "progress.h"

/* First member of every command's options. */
typedef struct cli_common {
    const char *model;
    int64_t threads;
    const char *backend, *precision; /* of commands that encode; NULL = the library's choice */
    int32_t progress, json, quiet, verbose;
    cli_progress bar; /* live state, so that log lines can step around it */
    int argc;         /* the whole command line, for reports */
    char **argv;
} cli_common;

extern const cli_option cli_common_options[];
extern const cli_option cli_engine_options[]; /* base 0, as the common ones: for commands that encode */

typedef struct cli_command {
    const char *name, *usage, *summary;
    const cli_group *groups;
    size_t opts_size;                                 /* a struct that begins with cli_common */
    int (*run)(void *opts, const cli_list *operands); /* returns an exit code */
} cli_command;

extern const cli_command cli_cmd_reduce, cli_cmd_heatmap, cli_cmd_bench, cli_cmd_trace, cli_cmd_tokens, cli_cmd_list,
    cli_cmd_info, cli_cmd_compare, cli_cmd_frames;

/* One line "pare: ..." on stderr, around the progress bar. */
void cli_say(cli_common *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* pare_log_fn; user = cli_common. */
void cli_log(void *user, int level, const char *text);
/* Prints the error and returns the exit code: INVALID is the user's, everything else `otherwise`; what cannot be read
 * after a signal is CLI_STOPPED. */
int cli_fail(cli_common *c, const pare_error *err, int otherwise);
/* The same with the input's name before the text, for errors of the library that do not know it; after a signal always
 * CLI_STOPPED, for a selector of the user's may be what ended. */
int cli_fail_input(cli_common *c, const char *input, const pare_error *err, int otherwise);
/* An error of pare_source_read: whatever its code, the input is to blame. */
int cli_fail_read(cli_common *c, const pare_error *err);
/* Prints "pare: ..." and returns CLI_USAGE. */
int cli_usage(cli_common *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* SIGINT, SIGTERM and SIGHUP (unless nohup ignores it) set the flag; a second one ends the process. SIGPIPE and SIGXFSZ
 * become write errors. */
void cli_catch_signals(void);
const volatile int *cli_stop_flag(void);

double cli_peak_rss_mb(void);
double cli_process_age_ms(void); /* since the process was started, to about 10 ms; NaN where nobody tells */
const char *cli_base_name(const char *path);
/* Base name without its last suffix. */
void cli_stem(const char *path, char *out, size_t size);
int cli_has_suffix(const char *path, const char *suffix);
/* Flushes stdout; complains and returns CLI_FAILED when it could not be written, else `code`. */
int cli_close_stdout(cli_common *c, int code);

#endif
