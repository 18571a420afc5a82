/* SPDX-License-Identifier: MIT */
/* What the parts of `pare info` share: the options, and how an object of facts is shown. */
#ifndef PARE_TOOLS_INFO_H
#define PARE_TOOLS_INFO_H

#include <jansson.h>

#include "engines.h"
#include "input.h"

typedef struct cli_info_opts {
    cli_common common;
    cli_pick pick;
    int32_t measure;
    cli_list source; /* "WxH", checked by cli_info_check */
    cli_size tiles;  /* rows, columns; as cli_layout.tiles */
} cli_info_opts;

extern const cli_option cli_info_model_options[];

/* Prints `object` as one JSON line, or as "key  value" lines. Takes it. */
void cli_info_show(const cli_common *c, json_t *object);
/* The same with the engines of this machine. Takes the object. */
void cli_info_show_engines(cli_common *c, json_t *object, const cli_engines *e);

/* Sizes that are none, before anything is opened. Exit code. */
int cli_info_check(cli_info_opts *o);
/* Family, dims, places, preprocessing, sites, what is missing, and what becomes of sources of given sizes. Exit code. */
int cli_info_model(cli_info_opts *o, const char *path);

#endif
