/* SPDX-License-Identifier: MIT */
/* Option tables: one table per plug-in yields parsing, --help, `pare list`, validation and the docs. */
#ifndef PARE_CORE_OPTION_H
#define PARE_CORE_OPTION_H

#include <stddef.h>

#include <pare/pare.h>

#include "core/limits.h"

enum { PARE__OPTION_TEXT = 256 }; /* bytes of a text option */

typedef enum { PARE__INT, PARE__FLOAT, PARE__BOOL, PARE__CHOICE, PARE__TEXT } pare__option_type;

/* Storage in the private struct at `offset`: INT int64_t, FLOAT double, BOOL int32_t, CHOICE int32_t (position in
 * `choices`), TEXT char[PARE__OPTION_TEXT]. A table ends with name == NULL. */
typedef struct pare__option {
    const char *name, *help;
    size_t offset;
    pare__option_type type;
    double def;           /* CHOICE: position */
    double min, max;      /* INT, FLOAT: inclusive, unused by the others; NaN and infinities are never accepted */
    const char *choices;  /* CHOICE: "a|b|c" */
    const char *def_text; /* TEXT: default; INT, FLOAT: how "not given" is shown ("auto"), else NULL */
} pare__option;

/* Made by PARE__OPTION_BLOCK: its number is a block of the encoder. */
static inline int pare__option_is_block(const pare__option *o)
{
    return o->type == PARE__INT && o->min == -PARE__MAX_BLOCKS && o->max == PARE__MAX_BLOCKS - 1;
}

/* Entries of a table: the option is called as the field of `owner` that it is stored in. In the forms _AUTO `auto_text` is
 * how "not given" is typed and shown; what it stores, `fallback`, may then lie outside least..most.
 *
 *     static const pare__option options[] = {
 *         PARE__OPTION_INT(grid, rows, "rows of the grid", 4, 1, 1000),
 *         PARE__OPTION_FLOAT_AUTO(grid, ratio, "share that stays", -1, 0, 1, "auto"),
 *         PARE__OPTION_BLOCK(grid, layer, "block that is read, from 0 or negative from the end", -2),
 *         PARE__OPTION_BOOL(grid, compat, "rounds as the reference code", 0),
 *         PARE__OPTION_CHOICE(grid, how, "kind of mean", "max|mean", 1),
 *         PARE__OPTION_STRING(grid, list, "counts, as 24/21", ""),
 *         {0},
 *     }; */
#define PARE__OPTION_NUMBER(owner, field, kind, text, fallback, least, most, auto_text)                                \
    {                                                                                                                  \
        .name = #field, .help = text, .offset = offsetof(owner, field), .type = kind, .def = fallback, .min = least,   \
        .max = most, .def_text = auto_text                                                                             \
    }
#define PARE__OPTION_INT(owner, field, text, fallback, least, most)                                                    \
    PARE__OPTION_NUMBER(owner, field, PARE__INT, text, fallback, least, most, NULL)
#define PARE__OPTION_INT_AUTO(owner, field, text, fallback, least, most, auto_text)                                    \
    PARE__OPTION_NUMBER(owner, field, PARE__INT, text, fallback, least, most, auto_text)
#define PARE__OPTION_FLOAT(owner, field, text, fallback, least, most)                                                  \
    PARE__OPTION_NUMBER(owner, field, PARE__FLOAT, text, fallback, least, most, NULL)
#define PARE__OPTION_FLOAT_AUTO(owner, field, text, fallback, least, most, auto_text)                                  \
    PARE__OPTION_NUMBER(owner, field, PARE__FLOAT, text, fallback, least, most, auto_text)
#define PARE__OPTION_BLOCK(owner, field, text, fallback)                                                               \
    PARE__OPTION_INT(owner, field, text, fallback, -PARE__MAX_BLOCKS, PARE__MAX_BLOCKS - 1)
#define PARE__OPTION_BOOL(owner, field, text, fallback)                                                                \
    PARE__OPTION_NUMBER(owner, field, PARE__BOOL, text, fallback, 0, 1, NULL)
#define PARE__OPTION_CHOICE(owner, field, text, words, fallback)                                                       \
    {                                                                                                                  \
        .name = #field, .help = text, .offset = offsetof(owner, field), .type = PARE__CHOICE, .def = fallback,         \
        .choices = words                                                                                               \
    }
#define PARE__OPTION_STRING(owner, field, text, fallback)                                                              \
    {                                                                                                                  \
        .name = #field, .help = text, .offset = offsetof(owner, field), .type = PARE__TEXT, .def_text = fallback       \
    }

/* Writes all defaults into `priv`. */
void pare__option_defaults(const pare__option *table, void *priv);
/* Finds `key`; NULL if absent. `table` may be NULL. */
const pare__option *pare__option_find(const pare__option *table, const char *key);
/* Parses `value` into priv. `owner` names the plug-in in messages ("topk"). Errors: INVALID (with range or choices). */
int pare__option_set(const pare__option *opt, void *priv, const char *owner, const char *value, pare_error *err);
/* Appends ":key=value" for every option that differs from its default. Returns bytes written (snprintf rules). */
int pare__option_print(const pare__option *table, const void *priv, char *out, size_t size);
int32_t pare__option_count(const pare__option *table);
/* Public mirror of an entry. */
void pare__option_describe(const pare__option *opt, pare_option_info *info);

/* The name of `names[0..n)` nearest to `given` by edit distance, if near enough to be a typo; else NULL. */
const char *pare__nearest(const char *given, const char *const *names, int32_t n);
/* Strict number parsing of a whole string: no trailing bytes, no NaN, no infinity. 0 or PARE_E_INVALID. */
int pare__parse_int(const char *text, int64_t *out);
int pare__parse_float(const char *text, double *out);
/* The shortest decimal that reads back as x, in the C locale. */
void pare__print_float(double x, char *out, size_t size);

#endif
