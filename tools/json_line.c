/* SPDX-License-Identifier: MIT */
/* JSON helpers over jansson (json_line.h). */
#include "json_line.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* File names are bytes: what json_string refuses gets '?' in place of every byte beyond ASCII. */
static json_t *ascii_text(const char *value)
{
    char *text = strdup(value);
    for (char *p = text; p != NULL && *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80) *p = '?';
    json_t *result = text != NULL ? json_string(text) : NULL;
    free(text);
    return result;
}

void cli_json_text(json_t *object, const char *key, const char *value)
{
    json_t *text = value != NULL ? json_string(value) : NULL;
    if (text == NULL && value != NULL) text = ascii_text(value);
    json_object_set_new(object, key, text != NULL ? text : json_null());
}

void cli_json_int(json_t *object, const char *key, int64_t value)
{
    json_object_set_new(object, key, json_integer(value));
}

void cli_json_real(json_t *object, const char *key, double value, int digits)
{
    double scale = pow(10, digits);
    json_object_set_new(object, key, isfinite(value) ? json_real(round(value * scale) / scale) : json_null());
}

void cli_json_bool(json_t *object, const char *key, int value)
{
    json_object_set_new(object, key, json_boolean(value));
}

void cli_json_size(json_t *object, const char *key, const int64_t *values, int32_t n)
{
    json_t *array = json_array();
    for (int32_t i = 0; i < n; i++) json_array_append_new(array, json_integer(values[i]));
    json_object_set_new(object, key, array);
}

int cli_json_print(json_t *value, int indented, FILE *out)
{
    size_t layout = indented ? JSON_INDENT(2) : JSON_COMPACT;
    int rc = json_dumpf(value, out, layout | JSON_REAL_PRECISION(10));
    json_decref(value);
    if (rc != 0 || fputc('\n', out) == EOF) return -1;
    return 0;
}
