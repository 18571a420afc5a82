/* SPDX-License-Identifier: MIT */
/* pare_list and pare_list_option: the plug-in tables seen from outside. */
#include <pthread.h>
#include <string.h>

#include <pare/pare.h>

#include "consumers.h"
#include "encode/backend.h"
#include "measure/llm.h"
#include "measure/metric.h"
#include "model/family.h"
#include "select/allocator.h"
#include "select/score.h"
#include "select/selector.h"
#include "write/writer.h"

/* What an entry shows before its texts are made. */
typedef struct raw {
    const char *name, *summary, *cite;
    unsigned sites, flags;
    const pare__option *options;
    unsigned default_site;
    const char *formula, *unit;
    unsigned reads;
    int32_t better;
} raw;

static int raw_method(int32_t i, raw *r)
{
    for (int32_t j = 0; j <= i; j++)
        if (!pare__methods[j].name) return 0;
    const pare__method *m = &pare__methods[i];
    *r = (raw){.name = m->name, .summary = m->summary, .cite = m->cite};
    return 1;
}

/* Does the NULL-terminated table have an i-th entry? */
static int in_table(const void *const *table, int32_t i)
{
    for (int32_t j = 0; j <= i; j++)
        if (!table[j]) return 0;
    return 1;
}

static int raw_score(int32_t i, raw *r)
{
    if (!in_table((const void *const *)pare__scores, i)) return 0;
    const pare__score *s = pare__scores[i];
    *r = (raw){.name = s->name, .summary = s->summary, .cite = s->cite, .sites = s->sites, .options = s->options};
    return 1;
}

static int raw_allocator(int32_t i, raw *r)
{
    if (!in_table((const void *const *)pare__allocators, i)) return 0;
    const pare__allocator *a = pare__allocators[i];
    *r = (raw){.name = a->name, .summary = a->summary, .cite = a->cite, .sites = a->sites, .options = a->options};
    return 1;
}

static int raw_selector(int32_t i, raw *r)
{
    if (!in_table((const void *const *)pare__selectors, i)) return 0;
    const pare__selector *s = pare__selectors[i];
    *r = (raw){.name = s->name,
               .summary = s->summary,
               .cite = s->cite,
               .sites = s->sites,
               .flags = s->flags,
               .options = s->options,
               .default_site = (unsigned)s->default_site};
    return 1;
}

static int raw_family(int32_t i, raw *r)
{
    if (!in_table((const void *const *)pare__families, i)) return 0;
    *r = (raw){.name = pare__families[i]->name, .summary = pare__families[i]->summary, .cite = pare__families[i]->cite};
    return 1;
}

static int raw_backend(int32_t i, raw *r)
{
    if (!in_table((const void *const *)pare__backends, i)) return 0;
    *r = (raw){.name = pare__backends[i]->name, .summary = pare__backends[i]->summary};
    return 1;
}

static int raw_writer(int32_t i, raw *r)
{
    if (!in_table((const void *const *)pare__writer_formats, i)) return 0;
    *r = (raw){.name = pare__writer_formats[i]->name, .summary = pare__writer_formats[i]->summary};
    return 1;
}

static int raw_metric(int32_t i, raw *r)
{
    const pare__metric *m = pare__metric_at(i);
    if (!m) return 0;
    *r = (raw){.name = m->name,
               .summary = m->summary,
               .cite = m->cite,
               .formula = m->formula,
               .unit = m->unit,
               .reads = m->reads,
               .better = m->better};
    return 1;
}

static int raw_llm(int32_t i, raw *r)
{
    for (int32_t j = 0; j <= i; j++)
        if (!pare__llms[j].name) return 0;
    const pare__llm *l = &pare__llms[i];
    *r = (raw){.name = l->name, .summary = l->summary, .cite = l->cite, .formula = pare__llm_formula};
    return 1;
}

static int raw_consumer(int32_t i, raw *r)
{
    for (int32_t j = 0; j <= i; j++)
        if (!pare__consumers[j].info.name) return 0;
    const pare_consumer_info *c = &pare__consumers[i].info;
    *r = (raw){.name = c->name, .summary = c->summary, .cite = c->source, .formula = c->date};
    return 1;
}

static int (*const kinds[PARE_LIST_COUNT])(int32_t i, raw *r) = {
    [PARE_LIST_METHODS] = raw_method,     [PARE_LIST_SCORES] = raw_score,    [PARE_LIST_ALLOCATORS] = raw_allocator,
    [PARE_LIST_SELECTORS] = raw_selector, [PARE_LIST_FAMILIES] = raw_family, [PARE_LIST_BACKENDS] = raw_backend,
    [PARE_LIST_WRITERS] = raw_writer,     [PARE_LIST_METRICS] = raw_metric,  [PARE_LIST_LLMS] = raw_llm,
    [PARE_LIST_CONSUMERS] = raw_consumer};

/* ---- texts: one static string for every combination of bits --------------------------------------------------- */

typedef struct bit_name {
    unsigned bit;
    const char *name;
} bit_name;

enum { N_SITE = 4, N_FLAG = 8, N_READ = 6, TEXT = 96 };

static const bit_name site_names[N_SITE] = {{PARE__SITE_FRAMES, "frames"},
                                            {PARE__SITE_PATCHES, "patches"},
                                            {PARE__SITE_BLOCK, "block"},
                                            {PARE__SITE_OUTPUT, "output"}};
static const bit_name flag_names[N_FLAG] = {{PARE__SCOPE_WINDOW, "window"},   {PARE__MERGES, "merges"},
                                            {PARE__RANDOM, "random"},         {PARE__VARIABLE_COUNT, "variable-count"},
                                            {PARE__USES_SCORE, "uses-score"}, {PARE__KEEPS_ORDER, "keeps-order"},
                                            {PARE__AT_MOST, "at-most"},       {PARE__ORIGINAL, "ours"}};

static const bit_name read_names[N_READ] = {
    {PARE__READS_REFERENCE, "reference"}, {PARE__READS_OTHER, "other"}, {PARE__READS_SCORES, "scores"},
    {PARE__READS_STEPS, "steps"},         {PARE__READS_CLS, "cls"},     {PARE__READS_LOGITS, "logits"}};

static char site_text[1 << N_SITE][TEXT], flag_text[1 << N_FLAG][TEXT], read_text[1 << N_READ][TEXT];

static void make_texts(char (*text)[TEXT], const bit_name *names, int n)
{
    for (int mask = 0; mask < 1 << n; mask++)
        for (int b = 0; b < n; b++) {
            if (!(mask >> b & 1)) continue;
            if (text[mask][0]) strcat(text[mask], ",");
            strcat(text[mask], names[b].name);
        }
}

static void make_all_texts(void)
{
    make_texts(site_text, site_names, N_SITE);
    make_texts(flag_text, flag_names, N_FLAG);
    make_texts(read_text, read_names, N_READ);
}

static int mask_of(const bit_name *names, int n, unsigned bits)
{
    int mask = 0;
    for (int b = 0; b < n; b++)
        if (bits & names[b].bit) mask |= 1 << b;
    return mask;
}

static int find_raw(int kind, int32_t i, raw *r)
{
    *r = (raw){0};
    return kind >= 0 && kind < PARE_LIST_COUNT && i >= 0 && kinds[kind](i, r);
}

/* Copies `own` out as far as the caller's struct goes. */
static int give(void *out, const void *own, size_t own_size)
{
    uint32_t size = 0;
    if (out) memcpy(&size, out, sizeof size);
    if (size < sizeof size) return PARE_E_INVALID;
    memcpy(out, own, size < own_size ? size : own_size);
    memcpy(out, &size, sizeof size);
    return 0;
}

static const char *flags_of(const raw *r)
{
    return r->reads ? read_text[mask_of(read_names, N_READ, r->reads)]
                    : flag_text[mask_of(flag_names, N_FLAG, r->flags)];
}

int pare_list(int kind, int32_t i, pare_list_entry *out)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    raw r;
    if (!find_raw(kind, i, &r)) return PARE_E_NOTFOUND;
    pthread_once(&once, make_all_texts);
    const pare_list_entry own = {.name = r.name,
                                 .summary = r.summary ? r.summary : "",
                                 .cite = r.cite ? r.cite : "",
                                 .sites = site_text[mask_of(site_names, N_SITE, r.sites)],
                                 .default_site = site_text[mask_of(site_names, N_SITE, r.default_site)],
                                 .flags = flags_of(&r),
                                 .formula = r.formula ? r.formula : "",
                                 .unit = r.unit ? r.unit : "",
                                 .better = r.better,
                                 .n_options = r.options ? pare__option_count(r.options) : 0};
    return give(out, &own, sizeof own);
}

int pare_list_option(int kind, int32_t i, int32_t i_option, pare_option_info *out)
{
    raw r;
    pare_option_info own;
    if (!find_raw(kind, i, &r) || !r.options) return PARE_E_NOTFOUND;
    if (i_option < 0 || i_option >= pare__option_count(r.options)) return PARE_E_NOTFOUND;
    pare__option_describe(&r.options[i_option], &own);
    return give(out, &own, sizeof own);
}
