/* SPDX-License-Identifier: MIT */
/* The report as JSON (tools/suite/bench.schema.json): facts, columns, and for every section its rows, choices and half
 * keeps. Shares are in percent, what is not available is null. A bench of one section has its rows at the top as well. */
#include <math.h>
#include <string.h>

#include "../json_line.h"
#include "report_lines.h"

enum { DIGITS = 9 };

static void put(json_t *object, const char *key, double value) { cli_json_real(object, key, value, DIGITS); }

static json_t *interval(bench_interval i)
{
    json_t *object = json_object();
    put(object, "value", i.value);
    put(object, "lo", i.lo);
    put(object, "hi", i.hi);
    return object;
}

/* ---- a row ----------------------------------------------------------------------------------------------------- */

static json_t *flag_names(unsigned flags)
{
    json_t *names = json_array();
    for (int bit = 0; bit < 3; bit++)
        if (flags >> bit & 1) json_array_append_new(names, json_string(bench_flag_name[bit]));
    return names;
}

static void put_interval(json_t *row, const char *column, bench_interval i)
{
    char key[64];
    snprintf(key, sizeof key, "%s_lo", column);
    put(row, key, i.lo);
    snprintf(key, sizeof key, "%s_hi", column);
    put(row, key, i.hi);
}

/* p50 and p95 of every time; other columns under their keys, outcomes with the ends of their intervals. */
static void put_columns(json_t *row, const bench_line *l)
{
    int32_t n;
    char key[64];
    const bench_column *c = bench_columns(&n);
    for (int32_t k = 0; k < n; k++) {
        if (k < BENCH_MS || k > BENCH_MS_WRITE) {
            put(row, c[k].key, bench_shown(k, l->value[k]));
            if (k >= BENCH_TOP1 && k < BENCH_TOP1 + BENCH_OUTCOMES)
                put_interval(row, c[k].key, bench_shown_outcome(l, k));
            continue;
        }
        snprintf(key, sizeof key, "%s_p50", bench_time_key[k]);
        put(row, key, l->value[k]);
        snprintf(key, sizeof key, "%s_p95", bench_time_key[k]);
        put(row, key, l->p95[k]);
    }
}

/* Keys of the first schema: the pooled feature's cosine, agreement in percent. */
static void put_first_keys(json_t *row, const bench_analysis *a, const bench_line *l)
{
    put(row, "agreement_percent", 100 * bench_metric_value(l, "logit_agreement_share"));
    put(row, "cosine", bench_metric_value(l, "pooled_cosine"));
    put(row, "images_per_s", bench_ratio(1e3, l->value[BENCH_MS]));
    put(row, "speed_up", bench_speed_up(a, l));
}

static json_t *versus_of(int32_t primary, const bench_versus *v)
{
    json_t *object = interval(bench_shown_interval(primary, v->difference));
    put(object, "p", v->p);
    put(object, "p_holm", v->p_holm);
    cli_json_text(object, "verdict", v->verdict != BENCH_NA ? bench_verdict_name[v->verdict] : NULL);
    return object;
}

static json_t *all_versus(int32_t primary, const bench_line *l)
{
    json_t *object = json_object();
    for (int v = 0; v < BENCH_VS_COUNT; v++)
        json_object_set_new(object, bench_versus_key[v], versus_of(primary, &l->versus[v]));
    return object;
}

static json_t *best_columns(const bench_line *l)
{
    int32_t n;
    const bench_column *c = bench_columns(&n);
    json_t *keys = json_array();
    for (int32_t k = 0; k < n; k++)
        if (l->is_best[k]) json_array_append_new(keys, json_string(c[k].key));
    return keys;
}

static json_t *llm_costs(const bench_line *l)
{
    json_t *object = json_object();
    pare_list_entry e = {.struct_size = sizeof e};
    pare_llm_cost cost;
    for (int32_t i = 0; pare_list(PARE_LIST_LLMS, i, &e) == 0; i++) {
        if (bench_line_llm(l, e.name, &cost) != 0) continue;
        json_t *figures = json_object();
        put(figures, "prefill_tflop", cost.prefill_flops / 1e12);
        cli_json_int(figures, "kv_cells", cost.kv_cells);
        put(figures, "kv_mb", cost.kv_bytes / 1e6);
        json_object_set_new(object, e.name, figures);
    }
    return object;
}

static json_t *row_of(const bench_analysis *a, const bench_line *l)
{
    json_t *row = json_object();
    const int32_t primary = bench_primary(a->section, l->saves);
    cli_json_text(row, "recipe", l->recipe);
    put(row, "keep", l->keep > 0 ? l->keep : NAN);
    put(row, "units_kept", l->value[BENCH_UNITS]);
    cli_json_text(row, "saves", bench_saves_name[l->saves]);
    cli_json_bool(row, "baseline", bench_line_is_baseline(l));
    json_object_set_new(row, "flags", flag_names(l->flags));
    cli_json_int(row, "seeds", l->n_seed);
    cli_json_int(row, "items", l->n_item);
    cli_json_int(row, "items_timed", l->n_timed);
    cli_json_int(row, "items_measured", l->n_measured);
    json_object_set_new(row, "primary", interval(bench_shown_interval(primary, l->primary)));
    put_columns(row, l);
    put_first_keys(row, a, l);
    put(row, "ideal_speed_up", l->ideal);
    put(row, "realised_speed_up", l->realised);
    put(row, "realised_to_ideal_ratio", bench_ratio(l->realised, l->ideal));
    json_object_set_new(row, "versus", all_versus(primary, l));
    cli_json_text(row, "overall", l->overall != BENCH_NA ? bench_verdict_name[l->overall] : NULL);
    json_object_set_new(row, "best", best_columns(l));
    json_object_set_new(row, "llm", llm_costs(l));
    return row;
}

/* ---- a section ------------------------------------------------------------------------------------------------- */

static json_t *choices(const bench_analysis *a)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < a->n_choice; i++) {
        const bench_choice *c = &a->choice[i];
        json_t *object = json_object();
        cli_json_text(object, "saves", bench_saves_name[c->saves]);
        put(object, "keep", c->keep);
        cli_json_text(object, "recipe", c->recipe);
        cli_json_int(object, "folds", c->n_fold);
        cli_json_int(object, "times_chosen", c->n_times);
        const int32_t primary = bench_primary(a->section, c->saves);
        json_object_set_new(object, "primary", interval(bench_shown_interval(primary, c->primary)));
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *halves(const bench_analysis *a)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < a->n_half; i++) {
        const bench_half *h = &a->half[i];
        json_t *object = json_object();
        cli_json_text(object, "recipe", h->recipe);
        cli_json_text(object, "saves", bench_saves_name[h->saves]);
        put(object, "keep", h->keep);
        cli_json_bool(object, "below", h->is_below);
        json_array_append_new(list, object);
    }
    return list;
}

static json_t *section_of(const bench_analysis *a)
{
    int32_t n;
    const bench_section *s = a->section;
    json_t *section = json_object(), *rows = json_array();
    cli_json_text(section, "name", s->ask.name);
    cli_json_text(section, "task", s->task->name);
    cli_json_text(section, "title", s->task->title);
    cli_json_text(section, "note", s->task->note);
    cli_json_text(section, "primary", bench_columns(&n)[s->primary].key);
    cli_json_text(section, "primary_prefill", bench_columns(&n)[bench_primary(s, BENCH_SAVES_PREFILL)].key);
    cli_json_text(section, "default_winner", a->default_winner);
    cli_json_text(section, "resize_says", a->resize_says);
    for (int32_t i = 0; i < a->n_line; i++) json_array_append_new(rows, row_of(a, &a->line[i]));
    json_object_set_new(section, "rows", rows);
    json_object_set_new(section, "choices", choices(a));
    json_object_set_new(section, "half_keeps", halves(a));
    return section;
}

/* ---- the document ---------------------------------------------------------------------------------------------- */

static json_t *columns(void)
{
    int32_t n;
    const bench_column *c = bench_columns(&n);
    json_t *list = json_array();
    for (int32_t k = 0; k < n; k++) {
        json_t *object = json_object();
        cli_json_text(object, "key", c[k].key);
        cli_json_text(object, "title", c[k].title);
        cli_json_text(object, "group", c[k].group);
        cli_json_int(object, "better", c[k].better);
        cli_json_bool(object, "time", (c[k].flags & BENCH_IS_TIME) != 0);
        cli_json_bool(object, "reads_cls", (c[k].flags & BENCH_OF_CLS) != 0);
        json_array_append_new(list, object);
    }
    return list;
}

void bench_print_json(const bench_report *r, FILE *f)
{
    json_t *document = json_object(), *sections = json_array();
    cli_json_int(document, "schema_version", BENCH_SCHEMA_VERSION);
    json_object_set(document, "run", r->header);
    cli_json_int(document, "llm_text_tokens", BENCH_TEXT_TOKENS);
    json_object_set_new(document, "columns", columns());
    for (int32_t i = 0; i < r->b->n_section; i++) json_array_append_new(sections, section_of(&r->analysis[i]));
    if (r->b->n_section == 1) json_object_set(document, "rows", json_object_get(json_array_get(sections, 0), "rows"));
    json_object_set_new(document, "sections", sections);
    cli_json_print(document, 1, f);
}
