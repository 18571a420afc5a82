/* SPDX-License-Identifier: MIT */
/* Command-line parser driven by option tables (args.h): `--keep 0.25`, `--keep=0.25`, `-o FILE`, `-oFILE`, `--` ends the
 * options, `-` is an operand. Numbers are strict. */
#include "args.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAMES = 128, MAX_WORD = 64 };

typedef struct cursor {
    int argc, i;
    char **argv;
} cursor;

/* ---- words and numbers --------------------------------------------------------------------------------------- */

static int min3(int a, int b, int c)
{
    int m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edit distance; words longer than MAX_WORD are never near. */
static int edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    int row[MAX_WORD + 1];
    if (n > MAX_WORD || m > MAX_WORD) return MAX_WORD;
    for (size_t j = 0; j <= m; j++) row[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            int above = row[j];
            row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[m];
}

const char *cli_nearest(const char *given, const char *const *names, int32_t n)
{
    const char *best = NULL;
    int best_distance = (int)strlen(given) / 3 + 1;
    for (int32_t i = 0; i < n; i++) {
        int d = edit_distance(given, names[i]);
        if (d <= best_distance && (best == NULL || d < best_distance)) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}

int cli_parse_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || text[0] == ' ') return -1;
    *out = value;
    return 0;
}

int cli_parse_real(const char *text, double *out)
{
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (strpbrk(text, "xX") != NULL) return -1; /* hexadecimal: most likely a size or a typing error */
    if (end == text || *end != '\0' || errno != 0 || text[0] == ' ' || !isfinite(value)) return -1;
    *out = value;
    return 0;
}

int cli_parse_size(const char *text, cli_size *out)
{
    char left[16];
    int64_t w = 0, h = 0;
    const char *x = strchr(text, 'x');
    size_t n = x != NULL ? (size_t)(x - text) : sizeof left;
    if (n >= sizeof left) return -1;
    memcpy(left, text, n);
    left[n] = '\0';
    if (cli_parse_int(left, &w) != 0 || cli_parse_int(x + 1, &h) != 0) return -1;
    if (w < 1 || h < 1 || w > 16384 || h > 16384) return -2;
    *out = (cli_size){(int32_t)w, (int32_t)h};
    return 0;
}

/* ---- one option ---------------------------------------------------------------------------------------------- */

static int complain(const cli_args *a, const char *what, const char *name, const char *detail)
{
    fprintf(stderr, "pare %s: %s %s%s\n", a->command, what, name, detail);
    return CLI_USAGE;
}

static int bad_value(const cli_args *a, const cli_option *o, const char *value, const char *expected)
{
    fprintf(stderr, "pare %s: --%s: '%s' is not %s\n", a->command, o->name, value, expected);
    return CLI_USAGE;
}

static int out_of_range(const cli_args *a, const cli_option *o, const char *value)
{
    fprintf(stderr, "pare %s: --%s: %s is not within %.10g and %.10g\n", a->command, o->name, value, o->min, o->max);
    return CLI_USAGE;
}

static int set_int(const cli_args *a, const cli_option *o, const char *value, int64_t *out)
{
    int64_t v;
    if (cli_parse_int(value, &v) != 0) return bad_value(a, o, value, "a whole number");
    if ((double)v < o->min || (double)v > o->max) return out_of_range(a, o, value);
    *out = v;
    return 0;
}

static int set_real(const cli_args *a, const cli_option *o, const char *value, double *out)
{
    double v;
    if (cli_parse_real(value, &v) != 0) return bad_value(a, o, value, "a finite number");
    if (v < o->min || v > o->max) return out_of_range(a, o, value);
    *out = v;
    return 0;
}

/* "640x480", or whatever `example` shows. */
static int set_size(const cli_args *a, const cli_option *o, const char *value, const char *example, cli_size *out)
{
    const int rc = cli_parse_size(value, out);
    if (rc == 0) return 0;
    return bad_value(a, o, value, rc == -2 ? "within 1x1 and 16384x16384" : example);
}

/* -1, -1 = no tiles; 0, 0 = whatever the model does. */
static int set_tiles(const cli_args *a, const cli_option *o, const char *value, cli_size *out)
{
    const int none = strcmp(value, "none") == 0;
    if (!none && strcmp(value, "auto") != 0) return set_size(a, o, value, "rows and columns like 2x3", out);
    *out = none ? (cli_size){-1, -1} : (cli_size){0, 0};
    return 0;
}

static int set_choice(const cli_args *a, const cli_option *o, const char *value, int32_t *out)
{
    size_t n = strlen(value);
    const char *p = o->arg;
    for (int32_t i = 0; p != NULL; i++) {
        const char *bar = strchr(p, '|');
        size_t len = bar != NULL ? (size_t)(bar - p) : strlen(p);
        if (len == n && memcmp(p, value, n) == 0) {
            *out = i;
            return 0;
        }
        p = bar != NULL ? bar + 1 : NULL;
    }
    return bad_value(a, o, value, o->arg);
}

/* Every list has room for as many entries as there are words. */
static int add_item(const cli_args *a, cli_list *list, const char *value, int argc)
{
    if (list->item == NULL) list->item = calloc((size_t)argc + 1, sizeof *list->item);
    if (list->item == NULL) return complain(a, "out of memory for", "the arguments", "");
    list->item[list->n++] = value;
    return 0;
}

/* Numbers and sizes whose `arg` offers it become -1. */
static int is_auto(const cli_option *o, const char *value)
{
    return (o->kind == CLI_REAL || o->kind == CLI_SIZE) && strstr(o->arg, "|auto") != NULL &&
           strcmp(value, "auto") == 0;
}

static int set_auto(const cli_option *o, void *place)
{
    if (o->kind == CLI_REAL)
        *(double *)place = -1;
    else
        *(cli_size *)place = (cli_size){-1, -1};
    return 0;
}

static int set_option(const cli_args *a, const cli_option *o, const char *value, void *place, int argc)
{
    if (is_auto(o, value)) return set_auto(o, place);
    switch (o->kind) {
    case CLI_FLAG:
        *(int32_t *)place = 1;
        return 0;
    case CLI_INT:
        return set_int(a, o, value, place);
    case CLI_REAL:
        return set_real(a, o, value, place);
    case CLI_TEXT:
        *(const char **)place = value;
        return 0;
    case CLI_LIST:
        return add_item(a, place, value, argc);
    case CLI_SIZE:
        return set_size(a, o, value, "a size like 640x480", place);
    case CLI_GRID:
        return set_size(a, o, value, "rows and columns like 2x3", place);
    case CLI_TILES:
        return set_tiles(a, o, value, place);
    case CLI_CHOICE:
        return set_choice(a, o, value, place);
    }
    return CLI_USAGE;
}

/* ---- finding options ------------------------------------------------------------------------------------------ */

static const cli_option *find_long(const cli_args *a, const char *name, size_t len, size_t *base)
{
    for (const cli_group *g = a->groups; g->title != NULL; g++)
        for (const cli_option *o = g->options; o->name != NULL; o++)
            if (strlen(o->name) == len && memcmp(o->name, name, len) == 0) {
                *base = g->base;
                return o;
            }
    return NULL;
}

static const cli_option *find_letter(const cli_args *a, char letter, size_t *base)
{
    for (const cli_group *g = a->groups; g->title != NULL; g++)
        for (const cli_option *o = g->options; o->name != NULL; o++)
            if (o->letter == letter) {
                *base = g->base;
                return o;
            }
    return NULL;
}

static int unknown_long(const cli_args *a, const char *name, size_t len)
{
    const char *names[MAX_NAMES];
    char given[MAX_WORD + 1], detail[2 * MAX_WORD] = "";
    int32_t n = 0;
    for (const cli_group *g = a->groups; g->title != NULL; g++)
        for (const cli_option *o = g->options; o->name != NULL && n < MAX_NAMES; o++) names[n++] = o->name;
    snprintf(given, sizeof given, "%.*s", len > MAX_WORD ? MAX_WORD : (int)len, name);
    const char *near = cli_nearest(given, names, n);
    if (near != NULL) snprintf(detail, sizeof detail, "; did you mean --%s?", near);
    char shown[MAX_WORD + 3];
    snprintf(shown, sizeof shown, "--%s", given);
    return complain(a, "unknown option", shown, detail);
}

static int parse_long(cli_args *a, cursor *c, void *target)
{
    const char *name = c->argv[c->i] + 2, *equals = strchr(name, '=');
    size_t base, len = equals != NULL ? (size_t)(equals - name) : strlen(name);
    if (len == 4 && memcmp(name, "help", 4) == 0) {
        a->help = 1;
        return 0;
    }
    const cli_option *o = find_long(a, name, len, &base);
    if (o == NULL) return unknown_long(a, name, len);
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (o->kind == CLI_FLAG && value != NULL) return complain(a, "no value is taken by", c->argv[c->i], "");
    if (o->kind != CLI_FLAG && value == NULL) {
        if (c->i + 1 >= c->argc) return complain(a, "a value is missing after", c->argv[c->i], "");
        value = c->argv[++c->i];
    }
    return set_option(a, o, value, (char *)target + base + o->offset, c->argc);
}

static int parse_short(cli_args *a, cursor *c, void *target)
{
    const char *word = c->argv[c->i];
    size_t base;
    if (word[1] == 'h' && word[2] == '\0') {
        a->help = 1;
        return 0;
    }
    const cli_option *o = find_letter(a, word[1], &base);
    if (o == NULL) return complain(a, "unknown option", word, "");
    const char *value = word[2] != '\0' ? word + 2 : NULL;
    if (o->kind == CLI_FLAG && value != NULL) return complain(a, "unknown option", word, "");
    if (o->kind != CLI_FLAG && value == NULL) {
        if (c->i + 1 >= c->argc) return complain(a, "a value is missing after", word, "");
        value = c->argv[++c->i];
    }
    return set_option(a, o, value, (char *)target + base + o->offset, c->argc);
}

int cli_args_parse(cli_args *a, int argc, char **argv, void *target)
{
    cursor c = {argc, 0, argv};
    int only_operands = 0, rc = 0;
    for (; c.i < argc && rc == 0 && !a->help; c.i++) {
        const char *word = argv[c.i];
        if (only_operands || word[0] != '-' || word[1] == '\0')
            rc = add_item(a, &a->operands, word, argc);
        else if (strcmp(word, "--") == 0)
            only_operands = 1;
        else
            rc = word[1] == '-' ? parse_long(a, &c, target) : parse_short(a, &c, target);
    }
    return rc;
}

void cli_args_free(cli_args *a, void *target)
{
    free(a->operands.item);
    a->operands = (cli_list){0};
    for (const cli_group *g = a->groups; g->title != NULL; g++)
        for (const cli_option *o = g->options; o->name != NULL; o++)
            if (o->kind == CLI_LIST) {
                cli_list *list = (cli_list *)(void *)((char *)target + g->base + o->offset);
                free(list->item);
                *list = (cli_list){0};
            }
}

/* ---- help ---------------------------------------------------------------------------------------------------- */

static void print_option(const cli_option *o, FILE *out)
{
    char left[80];
    const char *arg = o->arg != NULL ? o->arg : "N";
    if (o->kind == CLI_FLAG)
        snprintf(left, sizeof left, "--%s", o->name);
    else
        snprintf(left, sizeof left, "--%s %s", o->name, arg);
    if (o->letter != 0)
        fprintf(out, "  -%c, %-24s %s\n", o->letter, left, o->help);
    else
        fprintf(out, "      %-24s %s\n", left, o->help);
}

void cli_args_help(const cli_args *a, FILE *out)
{
    fprintf(out, "pare %s %s\n\n%s\n", a->command, a->usage, a->summary);
    for (const cli_group *g = a->groups; g->title != NULL; g++) {
        fprintf(out, "\n%s\n", g->title);
        for (const cli_option *o = g->options; o->name != NULL; o++) print_option(o, out);
    }
}
