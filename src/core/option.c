/* SPDX-License-Identifier: MIT */
/* Option tables: defaults, parsing, printing, description; numbers in the C locale whatever the host has set. */
#include "core/option.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"

enum { TEXT_SIZE = PARE__OPTION_TEXT, NAME_SIZE = 64 };

/* ---- numbers -------------------------------------------------------------------------------------------------- */

int pare__parse_int(const char *text, int64_t *out)
{
    char *end;

    if (!isdigit((unsigned char)text[text[0] == '-' || text[0] == '+'])) return PARE_E_INVALID;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || *end) return PARE_E_INVALID;
    *out = value;
    return 0;
}

/* [+-] digits [. digits] [e [+-] digits] with at least one digit before or after the point. */
static int is_decimal(const char *s)
{
    s += *s == '-' || *s == '+';
    size_t whole = strspn(s, "0123456789");
    s += whole;
    size_t fraction = *s == '.' ? strspn(s + 1, "0123456789") : 0;
    s += (*s == '.') + fraction;
    if (whole + fraction == 0) return 0;
    if (*s != 'e' && *s != 'E') return *s == '\0';
    s++;
    s += *s == '-' || *s == '+';
    size_t exponent = strspn(s, "0123456789");
    return exponent > 0 && s[exponent] == '\0';
}

int pare__parse_float(const char *text, double *out)
{
    if (!is_decimal(text)) return PARE_E_INVALID;
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (!c) return PARE_E_INVALID;
    double value = strtod_l(text, NULL, c);
    freelocale(c);
    if (!isfinite(value)) return PARE_E_INVALID;
    *out = value;
    return 0;
}

void pare__print_float(double x, char *out, size_t size)
{
    char text[32];
    double back;

    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        char *comma = strchr(text, ',');
        if (comma) *comma = '.';
        const int is_short_power = digits < 7 && strchr(text, 'e') != NULL; /* 20 is read better than 2e+01 */
        if (!is_short_power && pare__parse_float(text, &back) == 0 && back == x) break;
    }
    if (size) snprintf(out, size, "%s", text);
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

static int32_t min3(int32_t a, int32_t b, int32_t c)
{
    int32_t m = a < b ? a : b;
    return m < c ? m : c;
}

/* Levenshtein distance, letters compared without case. Both shorter than NAME_SIZE. */
static int32_t edit_distance(const char *a, const char *b)
{
    int32_t row[NAME_SIZE];
    int32_t na = (int32_t)strlen(a), nb = (int32_t)strlen(b);

    for (int32_t j = 0; j <= nb; j++) row[j] = j;
    for (int32_t i = 1; i <= na; i++) {
        int32_t diagonal = row[0];
        row[0] = i;
        for (int32_t j = 1; j <= nb; j++) {
            int32_t differs = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[j - 1]);
            int32_t best = min3(row[j] + 1, row[j - 1] + 1, diagonal + differs);
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[nb];
}

/* A third of the letters may be wrong; a beginning of at least three letters counts as one wrong letter. */
const char *pare__nearest(const char *given, const char *const *names, int32_t n)
{
    size_t len = strlen(given);
    const char *best = NULL;
    int32_t best_distance = 1 + (int32_t)len / 3;

    if (len == 0 || len >= NAME_SIZE) return NULL;
    for (int32_t i = 0; i < n; i++) {
        if (strlen(names[i]) >= NAME_SIZE) continue;
        int32_t distance = edit_distance(given, names[i]);
        if (len >= 3 && distance > 1 && strncmp(given, names[i], len) == 0) distance = 1;
        if (distance > best_distance || (best && distance == best_distance)) continue;
        best = names[i];
        best_distance = distance;
    }
    return best;
}

/* ---- storage -------------------------------------------------------------------------------------------------- */

static void *place(const pare__option *opt, void *priv) { return (char *)priv + opt->offset; }
static const void *place_const(const pare__option *opt, const void *priv) { return (const char *)priv + opt->offset; }

static void store_number(const pare__option *opt, void *priv, double value)
{
    switch (opt->type) {
    case PARE__INT:
        *(int64_t *)place(opt, priv) = (int64_t)value;
        break;
    case PARE__FLOAT:
        *(double *)place(opt, priv) = value;
        break;
    case PARE__BOOL:
    case PARE__CHOICE:
        *(int32_t *)place(opt, priv) = (int32_t)value;
        break;
    case PARE__TEXT:
        break;
    }
}

static void set_default(const pare__option *opt, void *priv)
{
    if (opt->type == PARE__TEXT)
        snprintf(place(opt, priv), TEXT_SIZE, "%s", opt->def_text ? opt->def_text : "");
    else
        store_number(opt, priv, opt->def);
}

void pare__option_defaults(const pare__option *table, void *priv)
{
    for (; table && table->name; table++) set_default(table, priv);
}

const pare__option *pare__option_find(const pare__option *table, const char *key)
{
    for (; table && table->name; table++)
        if (strcmp(table->name, key) == 0) return table;
    return NULL;
}

int32_t pare__option_count(const pare__option *table)
{
    int32_t n = 0;
    while (table && table[n].name) n++;
    return n;
}

/* ---- parsing -------------------------------------------------------------------------------------------------- */

static int set_int(const pare__option *opt, void *priv, const char *owner, const char *value, pare_error *err)
{
    int64_t x;

    if (pare__parse_int(value, &x))
        return pare_fail(err, PARE_E_INVALID, "%s: %s=%s is not a whole number", owner, opt->name, value);
    if (!((double)x >= opt->min && (double)x <= opt->max))
        return pare_fail(err, PARE_E_INVALID, "%s: %s=%s is outside %.0f to %.0f", owner, opt->name, value, opt->min,
                         opt->max);
    *(int64_t *)place(opt, priv) = x;
    return 0;
}

static int set_float(const pare__option *opt, void *priv, const char *owner, const char *value, pare_error *err)
{
    double x;

    if (pare__parse_float(value, &x))
        return pare_fail(err, PARE_E_INVALID, "%s: %s=%s is not a finite number", owner, opt->name, value);
    if (!(x >= opt->min && x <= opt->max))
        return pare_fail(err, PARE_E_INVALID, "%s: %s=%s is outside %g to %g", owner, opt->name, value, opt->min,
                         opt->max);
    *(double *)place(opt, priv) = x;
    return 0;
}

/* Position of `word` among `choices` ("a|b|c"), or -1. */
static int32_t choice_position(const char *choices, const char *word)
{
    size_t len = strlen(word);

    for (int32_t i = 0; len > 0; i++) {
        size_t n = strcspn(choices, "|");
        if (n == len && memcmp(choices, word, n) == 0) return i;
        if (choices[n] == '\0') break;
        choices += n + 1;
    }
    return -1;
}

static int set_bool(const pare__option *opt, void *priv, const char *owner, const char *value, pare_error *err)
{
    int32_t position = choice_position("0|1|no|yes|off|on|false|true", value);

    if (position < 0) return pare_fail(err, PARE_E_INVALID, "%s: %s=%s is neither 0 nor 1", owner, opt->name, value);
    *(int32_t *)place(opt, priv) = position & 1;
    return 0;
}

static int set_choice(const pare__option *opt, void *priv, const char *owner, const char *value, pare_error *err)
{
    int32_t position = choice_position(opt->choices, value);

    if (position < 0)
        return pare_fail(err, PARE_E_INVALID, "%s: %s=%s is none of %s", owner, opt->name, value, opt->choices);
    *(int32_t *)place(opt, priv) = position;
    return 0;
}

static int set_text(const pare__option *opt, void *priv, const char *owner, const char *value, pare_error *err)
{
    size_t n = strlen(value);

    if (n >= TEXT_SIZE)
        return pare_fail(err, PARE_E_LIMIT, "%s: %s has %zu bytes, at most %d are possible", owner, opt->name, n,
                         TEXT_SIZE - 1);
    memcpy(place(opt, priv), value, n + 1);
    return 0;
}

int pare__option_set(const pare__option *opt, void *priv, const char *owner, const char *value, pare_error *err)
{
    if (opt->def_text && strcmp(value, opt->def_text) == 0) {
        set_default(opt, priv);
        return 0;
    }
    switch (opt->type) {
    case PARE__INT:
        return set_int(opt, priv, owner, value, err);
    case PARE__FLOAT:
        return set_float(opt, priv, owner, value, err);
    case PARE__BOOL:
        return set_bool(opt, priv, owner, value, err);
    case PARE__CHOICE:
        return set_choice(opt, priv, owner, value, err);
    case PARE__TEXT:
        return set_text(opt, priv, owner, value, err);
    }
    return pare_fail(err, PARE_E_INVALID, "%s: %s has unknown type %d", owner, opt->name, (int)opt->type);
}

/* ---- printing ------------------------------------------------------------------------------------------------- */

static void print_choice(const char *choices, int32_t position, char *out, size_t size)
{
    for (; position > 0 && *choices; position--) {
        choices += strcspn(choices, "|");
        choices += *choices == '|';
    }
    snprintf(out, size, "%.*s", (int)strcspn(choices, "|"), choices);
}

/* The value stored in priv as option_set would read it. */
static void print_value(const pare__option *opt, const void *priv, char *out, size_t size)
{
    const void *at = place_const(opt, priv);

    switch (opt->type) {
    case PARE__INT:
        snprintf(out, size, "%" PRId64, *(const int64_t *)at);
        break;
    case PARE__FLOAT:
        pare__print_float(*(const double *)at, out, size);
        break;
    case PARE__BOOL:
        snprintf(out, size, "%d", *(const int32_t *)at != 0);
        break;
    case PARE__CHOICE:
        print_choice(opt->choices, *(const int32_t *)at, out, size);
        break;
    case PARE__TEXT:
        snprintf(out, size, "%s", (const char *)at);
        break;
    }
}

static int is_default(const pare__option *opt, const void *priv)
{
    const void *at = place_const(opt, priv);

    switch (opt->type) {
    case PARE__INT:
        return *(const int64_t *)at == (int64_t)opt->def;
    case PARE__FLOAT:
        return *(const double *)at == opt->def;
    case PARE__BOOL:
    case PARE__CHOICE:
        return *(const int32_t *)at == (int32_t)opt->def;
    case PARE__TEXT:
        return strcmp(at, opt->def_text ? opt->def_text : "") == 0;
    }
    return 1;
}

int pare__option_print(const pare__option *table, const void *priv, char *out, size_t size)
{
    char value[TEXT_SIZE];
    size_t n = 0;

    if (size) out[0] = '\0';
    for (; table && table->name; table++) {
        if (is_default(table, priv)) continue;
        print_value(table, priv, value, sizeof value);
        n += (size_t)snprintf(n < size ? out + n : NULL, n < size ? size - n : 0, ":%s=%s", table->name, value);
    }
    return (int)n;
}

/* ---- description ---------------------------------------------------------------------------------------------- */

static void print_default(const pare__option *opt, char *out, size_t size)
{
    if (opt->def_text || opt->type == PARE__TEXT)
        snprintf(out, size, "%s", opt->def_text ? opt->def_text : "");
    else if (opt->type == PARE__CHOICE)
        print_choice(opt->choices, (int32_t)opt->def, out, size);
    else
        pare__print_float(opt->def, out, size);
}

void pare__option_describe(const pare__option *opt, pare_option_info *info)
{
    static const char *const types[] = {[PARE__INT] = "int",
                                        [PARE__FLOAT] = "float",
                                        [PARE__BOOL] = "bool",
                                        [PARE__CHOICE] = "text",
                                        [PARE__TEXT] = "text"};

    *info = (pare_option_info){.name = opt->name,
                               .help = opt->help,
                               .type = types[opt->type],
                               .choices = opt->choices,
                               .min = opt->min,
                               .max = opt->max};
    print_default(opt, info->default_text, sizeof info->default_text);
}
