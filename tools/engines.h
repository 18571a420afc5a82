/* SPDX-License-Identifier: MIT */
/* The ways to multiply on this CPU: what runs, what `auto` takes, and, by the clock, what would be the fastest. */
#ifndef PARE_TOOLS_ENGINES_H
#define PARE_TOOLS_ENGINES_H

#include <jansson.h>

#include "session.h"

enum { CLI_MAX_ENGINES = 64 };

typedef struct cli_engines {
    pare_engine item[CLI_MAX_ENGINES];
    double gops[CLI_MAX_ENGINES]; /* billions of operations per second in one thread; NaN: not measured */
    int32_t n;
    int is_measured;
} cli_engines;

/* Lists them, and times those that run here. Exit code. */
int cli_engines_read(cli_common *c, int measure, cli_engines *out);
/* A list of objects; `fastest` by precision, where there are times. The caller releases both. */
json_t *cli_engines_json(const cli_engines *e);
json_t *cli_engines_fastest_json(const cli_engines *e);
/* "openblas f32 (auto), onednn f32, ..." of those that run. */
void cli_engines_line(const cli_engines *e, char *out, size_t size);
/* A line each, then the fastest of every precision. */
void cli_engines_print(const cli_engines *e);
/* On stderr, where the clock and `auto` are of two minds. */
void cli_engines_warn(cli_common *c, const cli_engines *e);

#endif
