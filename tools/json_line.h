/* SPDX-License-Identifier: MIT */
/* JSON results on stdout: one object per line, keys in the order in which they were set. */
#ifndef PARE_TOOLS_JSON_LINE_H
#define PARE_TOOLS_JSON_LINE_H

#include <stdint.h>
#include <stdio.h>

#include <jansson.h>

#define CLI_SCHEMA_VERSION 1

/* Setters that turn NULL, NaN and infinities into null. `digits` after the point are kept. */
void cli_json_text(json_t *object, const char *key, const char *value);
void cli_json_int(json_t *object, const char *key, int64_t value);
void cli_json_real(json_t *object, const char *key, double value, int digits);
void cli_json_bool(json_t *object, const char *key, int value);
void cli_json_size(json_t *object, const char *key, const int64_t *values, int32_t n);

/* Prints one line (or an indented document) and releases `value`. 0 or -1. */
int cli_json_print(json_t *value, int indented, FILE *out);

#endif
