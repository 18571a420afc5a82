/* SPDX-License-Identifier: MIT */
/* pare list: the library's tables; `pare list NAME` shows one entry with its options. */
#include <string.h>

#include "json_line.h"
#include "session.h"

typedef struct list_opts {
    cli_common common;
} list_opts;

/* Names by PARE_LIST_*. */
static const char *const kinds[PARE_LIST_COUNT] = {"methods",  "scores",  "allocators", "selectors", "families",
                                                   "backends", "writers", "metrics",    "llms",      "consumers"};

static const cli_group groups[] = {{"Common:", cli_common_options, 0}, {0}};

static int find_kind(const char *name)
{
    for (int kind = 0; kind < PARE_LIST_COUNT; kind++)
        if (strcmp(kinds[kind], name) == 0) return kind;
    return -1;
}

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

static json_t *option_json(const pare_option_info *o)
{
    json_t *j = json_object();
    cli_json_text(j, "name", o->name);
    cli_json_text(j, "type", o->type);
    cli_json_text(j, "default", o->default_text);
    if (o->choices != NULL) cli_json_text(j, "choices", o->choices);
    if (o->min < o->max) {
        cli_json_real(j, "min", o->min, 9);
        cli_json_real(j, "max", o->max, 9);
    }
    cli_json_text(j, "help", o->help);
    return j;
}

static json_t *entry_json(int kind, int32_t i, const pare_list_entry *e)
{
    json_t *j = json_object(), *options = json_array();
    pare_option_info o = {.struct_size = sizeof o};
    cli_json_text(j, "kind", kinds[kind]);
    cli_json_text(j, "name", e->name);
    cli_json_text(j, "summary", e->summary);
    cli_json_text(j, "cite", e->cite);
    cli_json_text(j, "sites", e->sites);
    cli_json_text(j, "default_site", e->default_site);
    cli_json_text(j, "flags", e->flags);
    cli_json_text(j, "formula", e->formula);
    cli_json_text(j, "unit", e->unit);
    cli_json_int(j, "better", e->better);
    for (int32_t k = 0; k < e->n_options && pare_list_option(kind, i, k, &o) == 0; k++)
        json_array_append_new(options, option_json(&o));
    json_object_set_new(j, "options", options);
    return j;
}

/* ---- text ----------------------------------------------------------------------------------------------------- */

static int has_text(const char *text) { return text != NULL && text[0] != '\0'; }

static int name_width(int kind)
{
    pare_list_entry e = {.struct_size = sizeof e};
    size_t width = 20;
    for (int32_t i = 0; pare_list(kind, i, &e) == 0; i++)
        if (strlen(e.name) > width) width = strlen(e.name);
    return (int)width;
}

static void print_table(int kind)
{
    pare_list_entry e = {.struct_size = sizeof e};
    const int width = name_width(kind);
    printf("%s\n", kinds[kind]);
    for (int32_t i = 0; pare_list(kind, i, &e) == 0; i++) {
        printf("  %-*s %s", width, e.name, has_text(e.summary) ? e.summary : "");
        if (has_text(e.sites)) printf(" [%s]", e.sites);
        putchar('\n');
    }
}

static void print_option(const pare_option_info *o)
{
    printf("    %-12s %-6s default %s", o->name, o->type, has_text(o->default_text) ? o->default_text : "\"\"");
    if (o->choices != NULL)
        printf(", %s", o->choices);
    else if (o->min < o->max)
        printf(", %.10g to %.10g", o->min, o->max);
    printf(": %s\n", o->help != NULL ? o->help : "");
}

/* What every step takes, and the flags in words. */
static void print_selector(const pare_list_entry *e)
{
    static const char *const flag[][2] = {
        {"window", "decides over all frames of a window at once"},
        {"merges", "merges: a token can be the mean of several"},
        {"variable-count", "finds the count itself if an option below rules it and no budget is given"},
        {"at-most", "may keep fewer than the budget allows"},
        {"random", "random, by --seed"},
        {"ours", "not published elsewhere"}};
    for (size_t i = 0; i < sizeof flag / sizeof *flag; i++)
        if (strstr(e->flags, flag[i][0]) != NULL) printf("  note: %s\n", flag[i][1]);
    printf("  common options: keep=SHARE of its input or k=TOKENS per frame; alloc=NAME (pare list allocators)%s\n",
           strstr(e->flags, "uses-score") != NULL ? "; score=NAME (pare list scores)" : "");
}

static void print_metric(const pare_list_entry *e)
{
    printf("  unit: %s; %s\n", e->unit,
           e->better > 0   ? "higher is better"
           : e->better < 0 ? "lower is better"
                           : "neither end is better");
    if (has_text(e->flags)) printf("  reads: %s\n", e->flags);
}

static void print_entry(int kind, int32_t i, const pare_list_entry *e)
{
    pare_option_info o = {.struct_size = sizeof o};
    printf("%s (%s)\n", e->name, kinds[kind]);
    if (has_text(e->summary)) printf("  %s\n", e->summary);
    if (has_text(e->formula)) printf("  %s: %s\n", kind == PARE_LIST_CONSUMERS ? "read" : "formula", e->formula);
    if (has_text(e->cite)) printf("  source: %s\n", e->cite);
    if (kind == PARE_LIST_METRICS) print_metric(e);
    if (has_text(e->sites)) printf("  sites: %s\n", e->sites);
    if (has_text(e->default_site)) printf("  default site: %s\n", e->default_site);
    if (kind == PARE_LIST_SELECTORS) print_selector(e);
    if (e->n_options > 0) printf("  options:\n");
    for (int32_t k = 0; k < e->n_options && pare_list_option(kind, i, k, &o) == 0; k++) print_option(&o);
}

/* ---- the command ---------------------------------------------------------------------------------------------- */

static void list_kind(int kind, int as_json)
{
    pare_list_entry e = {.struct_size = sizeof e};
    if (!as_json) {
        print_table(kind);
        return;
    }
    for (int32_t i = 0; pare_list(kind, i, &e) == 0; i++) cli_json_print(entry_json(kind, i, &e), 0, stdout);
}

/* Entries of that name, of one table or (only = -1) of all: a score and a selector may share one. The number found. */
static int show_name(const char *name, int only, int as_json)
{
    pare_list_entry e = {.struct_size = sizeof e};
    int n = 0;
    for (int kind = only < 0 ? 0 : only; kind < (only < 0 ? PARE_LIST_COUNT : only + 1); kind++)
        for (int32_t i = 0; pare_list(kind, i, &e) == 0; i++) {
            if (strcmp(e.name, name) != 0) continue;
            if (as_json)
                cli_json_print(entry_json(kind, i, &e), 0, stdout);
            else
                print_entry(kind, i, &e);
            n++;
        }
    return n;
}

static int unknown_name(cli_common *c, const char *name)
{
    const char *names[1024];
    pare_list_entry e = {.struct_size = sizeof e};
    int32_t n = 0;
    for (int kind = 0; kind < PARE_LIST_COUNT; kind++) {
        names[n++] = kinds[kind];
        for (int32_t i = 0; n < 1000 && pare_list(kind, i, &e) == 0; i++) names[n++] = e.name;
    }
    const char *near = cli_nearest(name, names, n);
    if (near != NULL) return cli_usage(c, "nothing is called '%s'; did you mean '%s'?", name, near);
    return cli_usage(c, "nothing is called '%s'; pare list shows every table", name);
}

static int run(void *opts, const cli_list *names)
{
    cli_common *c = opts;
    for (int kind = 0; names->n == 0 && kind < PARE_LIST_COUNT; kind++) list_kind(kind, c->json);
    for (int32_t i = 0; i < names->n; i++) {
        int kind = find_kind(names->item[i]), narrowed = i + 1 < names->n && find_kind(names->item[i + 1]) < 0;
        if (kind >= 0 && narrowed && show_name(names->item[i + 1], kind, c->json) > 0)
            i++;
        else if (kind >= 0)
            list_kind(kind, c->json);
        else if (show_name(names->item[i], -1, c->json) == 0)
            return unknown_name(c, names->item[i]);
    }
    return CLI_OK;
}

const cli_command cli_cmd_list = {
    "list",
    "[methods|scores|allocators|selectors|families|backends|writers|metrics|llms|consumers] [NAME]...",
    "what can be named in a recipe, an option or a table",
    groups,
    sizeof(list_opts),
    run,
};
