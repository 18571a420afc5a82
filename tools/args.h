/* SPDX-License-Identifier: MIT */
/* Option tables of the command: one table per group of options yields parsing, --help and "did you mean". */
#ifndef PARE_TOOLS_ARGS_H
#define PARE_TOOLS_ARGS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_SOME = 3, CLI_UNREADABLE = 4, CLI_MODEL = 5, CLI_STOPPED = 130 };

/* Storage at `offset`: FLAG int32_t, INT int64_t, REAL double, TEXT const char *, LIST cli_list, SIZE and GRID cli_size,
 * TILES the same (none = -1, -1; auto = 0, 0), CHOICE int32_t (position in `arg`, "a|b|c"). */
typedef enum { CLI_FLAG, CLI_INT, CLI_REAL, CLI_TEXT, CLI_LIST, CLI_SIZE, CLI_GRID, CLI_TILES, CLI_CHOICE } cli_kind;

typedef struct cli_list {
    const char **item; /* borrowed from argv */
    int32_t n;
} cli_list;

typedef struct cli_size {
    int32_t width, height;
} cli_size;

/* A table ends with name == NULL. */
typedef struct cli_option {
    const char *name;
    char letter; /* 0 = none */
    cli_kind kind;
    size_t offset;
    const char *arg; /* how the value is shown; CHOICE: the choices */
    double min, max; /* INT, REAL: inclusive */
    const char *help;
} cli_option;

/* A titled group of options that a command takes; `base` is the place of its struct in the command's own. */
typedef struct cli_group {
    const char *title;
    const cli_option *options;
    size_t base;
} cli_group;

typedef struct cli_args {
    const char *command, *usage, *summary;
    const cli_group *groups; /* ends with title == NULL */
    cli_list operands;
    int help; /* --help was given: nothing else was checked */
} cli_args;

/* Parses argv[0..argc) (without the command's name) into `target`; complaints go to stderr in one line. 0 or CLI_USAGE.
 * cli_args_free releases lists in any case. */
int cli_args_parse(cli_args *args, int argc, char **argv, void *target);
void cli_args_free(cli_args *args, void *target);
void cli_args_help(const cli_args *args, FILE *out);

/* The nearest of names[0..n) if it is near enough to be a typo, else NULL. */
const char *cli_nearest(const char *given, const char *const *names, int32_t n);
/* Strict: the whole text, no NaN, no infinity. 0 or -1. */
int cli_parse_int(const char *text, int64_t *out);
int cli_parse_real(const char *text, double *out);
/* "640x480": 0, -1 = not of this form, -2 = not within 1x1 and 16384x16384. */
int cli_parse_size(const char *text, cli_size *out);

#endif
