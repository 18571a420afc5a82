/* SPDX-License-Identifier: MIT */
/* Option values and names from a stranger: "key=value" lines. Whatever set accepts, print must give back unchanged. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/option.h"

typedef struct settings {
    int64_t rows;
    double keep;
    int32_t compat, how;
    char score[PARE__OPTION_TEXT];
} settings;

static const pare__option table[] = {
    {"rows", "", offsetof(settings, rows), PARE__INT, 0, 1, 1e18, NULL, "auto"},
    {"keep", "", offsetof(settings, keep), PARE__FLOAT, 0.25, -1e300, 1e300, NULL, NULL},
    {"compat", "", offsetof(settings, compat), PARE__BOOL, 0, 0, 1, NULL, NULL},
    {"how", "", offsetof(settings, how), PARE__CHOICE, 1, 0, 0, "max|mean|median", NULL},
    {"score", "", offsetof(settings, score), PARE__TEXT, 0, 0, 0, NULL, "cls-attn"},
    {.name = NULL}};

static const char *const names[] = {"rows", "keep", "compat", "how", "score"};

static void require(int condition)
{
    if (!condition) abort();
}

static void try_value(const char *key, const char *value)
{
    const pare__option *opt = pare__option_find(table, key);
    settings s = {0}, back = {0};
    char text[PARE__OPTION_TEXT + 64];
    pare_error err;

    if (!opt) {
        (void)pare__nearest(key, names, 5);
        return;
    }
    pare__option_defaults(table, &s);
    back = s;
    if (pare__option_set(opt, &s, "fuzz", value, &err)) {
        require(memcmp(&s, &back, sizeof s) == 0 && err.text[0]);
        return;
    }
    require(isfinite(s.keep));
    if (pare__option_print(table, &s, text, sizeof text) == 0) return;
    require(pare__option_set(opt, &back, "fuzz", strchr(text, '=') + 1, NULL) == 0);
    require(s.rows == back.rows && s.keep == back.keep && s.compat == back.compat && s.how == back.how);
    require(strcmp(s.score, back.score) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *line = malloc(size + 1);

    if (!line) return 0;
    memcpy(line, data, size);
    line[size] = '\0';
    char *equals = strchr(line, '=');
    if (equals) *equals = '\0';
    try_value(line, equals ? equals + 1 : "");
    free(line);
    return 0;
}
