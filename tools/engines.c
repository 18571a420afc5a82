/* SPDX-License-Identifier: MIT */
/* Engines listed and timed (engines.h). The rate of an engine is the best of a few rounds over all of them: whatever else
 * the machine does makes an engine slower, never faster. */
#include "engines.h"

#include <math.h>
#include <string.h>

#include "json_line.h"

enum { ROUNDS = 3, FAR = 4 };

/* What `auto` may be behind the fastest before it is worth a word: clocks are no more exact than that. */
#define SLACK 1.05

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* An engine far behind another of its precision is not timed again: it will not come first, and it takes the longest. */
static int is_hopeless(const cli_engines *e, int32_t i)
{
    for (int32_t k = 0; k < e->n; k++)
        if (strcmp(e->item[k].precision, e->item[i].precision) == 0 && e->gops[k] > FAR * e->gops[i]) return 1;
    return 0;
}

static int measure_all(cli_common *c, cli_engines *e)
{
    pare_error err = {0};
    for (int round = 0; round < ROUNDS; round++)
        for (int32_t i = 0; i < e->n; i++) {
            double gops = 0;
            if (!e->item[i].runs || (round > 0 && is_hopeless(e, i))) continue;
            if (*cli_stop_flag()) return CLI_STOPPED;
            if (pare_engine_measure(i, &gops, &err) != 0) return cli_fail(c, &err, CLI_FAILED);
            if (round == 0 || gops > e->gops[i]) e->gops[i] = gops;
        }
    return CLI_OK;
}

int cli_engines_read(cli_common *c, int measure, cli_engines *out)
{
    pare_error err = {0};
    int rc = 0;
    *out = (cli_engines){.is_measured = measure};
    while (out->n < CLI_MAX_ENGINES) {
        pare_engine *x = &out->item[out->n];
        x->struct_size = sizeof *x;
        rc = pare_engine_get(out->n, x, &err);
        if (rc != 0) break;
        out->gops[out->n++] = NAN;
    }
    if (rc < 0) return cli_fail(c, &err, CLI_FAILED);
    return measure ? measure_all(c, out) : CLI_OK;
}

/* ---- choosing ------------------------------------------------------------------------------------------------- */

static int is_first_of_precision(const cli_engines *e, int32_t i)
{
    for (int32_t k = 0; k < i; k++)
        if (strcmp(e->item[k].precision, e->item[i].precision) == 0) return 0;
    return 1;
}

/* The fastest engine of a precision, -1 = none runs. */
static int32_t fastest_of(const cli_engines *e, const char *precision)
{
    int32_t best = -1;
    for (int32_t i = 0; i < e->n; i++) {
        if (!isfinite(e->gops[i]) || strcmp(e->item[i].precision, precision) != 0) continue;
        if (best < 0 || e->gops[i] > e->gops[best]) best = i;
    }
    return best;
}

static int32_t auto_of(const cli_engines *e, const char *precision)
{
    for (int32_t i = 0; i < e->n; i++)
        if (e->item[i].is_auto && strcmp(e->item[i].precision, precision) == 0) return i;
    return -1;
}

/* ---- JSON ----------------------------------------------------------------------------------------------------- */

json_t *cli_engines_json(const cli_engines *e)
{
    json_t *list = json_array();
    for (int32_t i = 0; i < e->n; i++) {
        const pare_engine *x = &e->item[i];
        json_t *o = json_object();
        cli_json_text(o, "backend", x->backend);
        cli_json_text(o, "precision", x->precision);
        cli_json_text(o, "needs", x->needs);
        cli_json_bool(o, "runs", x->runs);
        cli_json_bool(o, "auto", x->is_auto);
        cli_json_real(o, "gops", e->gops[i], 1);
        json_array_append_new(list, o);
    }
    return list;
}

json_t *cli_engines_fastest_json(const cli_engines *e)
{
    json_t *fastest = json_object();
    for (int32_t i = 0; i < e->n; i++) {
        if (!is_first_of_precision(e, i)) continue;
        const int32_t best = fastest_of(e, e->item[i].precision);
        cli_json_text(fastest, e->item[i].precision, best >= 0 ? e->item[best].backend : NULL);
    }
    return fastest;
}

/* ---- text ----------------------------------------------------------------------------------------------------- */

void cli_engines_line(const cli_engines *e, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (int32_t i = 0; i < e->n && used < size; i++) {
        const pare_engine *x = &e->item[i];
        if (!x->runs) continue;
        const int n = snprintf(out + used, size - used, "%s%s %s%s", used > 0 ? ", " : "", x->backend, x->precision,
                               x->is_auto ? " (auto)" : "");
        used += n > 0 ? (size_t)n : 0;
    }
}

static void print_engine(const cli_engines *e, int32_t i)
{
    const pare_engine *x = &e->item[i];
    printf("%-18s %-9s %-5s", i == 0 ? "engines" : "", x->backend, x->precision);
    if (isfinite(e->gops[i])) printf(" %8.1f Gop/s", e->gops[i]);
    if (x->is_auto) printf("  auto");
    if (!x->runs) printf("  cannot run here");
    if (x->needs != NULL && x->needs[0] != '\0') printf("  (%s)", x->needs);
    putchar('\n');
}

/* Fewer bits are worth their loss only where they are faster. */
static void print_fastest(const cli_engines *e, const char *precision)
{
    const int32_t best = fastest_of(e, precision), wide = fastest_of(e, "f32");
    printf("fastest %-10s ", precision);
    if (best < 0) {
        printf("none runs here\n");
        return;
    }
    printf("%s, %.1f Gop/s", e->item[best].backend, e->gops[best]);
    if (wide >= 0 && strcmp(precision, "f32") != 0)
        printf(", %.2f x f32%s", e->gops[best] / e->gops[wide],
               e->gops[best] <= e->gops[wide] ? ": not worth asking for here" : "");
    putchar('\n');
}

void cli_engines_print(const cli_engines *e)
{
    for (int32_t i = 0; i < e->n; i++) print_engine(e, i);
    for (int32_t i = 0; i < e->n && e->is_measured; i++)
        if (is_first_of_precision(e, i)) print_fastest(e, e->item[i].precision);
}

void cli_engines_warn(cli_common *c, const cli_engines *e)
{
    char text[256];
    for (int32_t i = 0; i < e->n && e->is_measured; i++) {
        const char *precision = e->item[i].precision;
        const int32_t taken = auto_of(e, precision), best = fastest_of(e, precision);
        if (!is_first_of_precision(e, i) || taken < 0 || best < 0 || !(e->gops[best] > SLACK * e->gops[taken]))
            continue;
        snprintf(text, sizeof text, "at %s auto takes %s (%.1f Gop/s), but %s is faster here (%.1f): --backend %s",
                 precision, e->item[taken].backend, e->gops[taken], e->item[best].backend, e->gops[best],
                 e->item[best].backend);
        cli_log(c, PARE_LOG_WARN, text);
    }
}
