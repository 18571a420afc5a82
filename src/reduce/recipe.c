/* SPDX-License-Identifier: MIT */
/* Recipe parser. The text is copied into a bounded buffer and cut in place: steps at ',', keys at ':', site at '@'. */
#include "reduce/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_KEYS = 32 };

typedef struct pair {
    const char *key, *value;
    int used;
} pair;

/* One step as text, cut into its parts. */
typedef struct parts {
    const char *name;
    pair pair[MAX_KEYS];
    int32_t n_pair;
    const char *site; /* NULL = not given */
} parts;

static const struct {
    const char *name;
    int32_t bit;
} sites[] = {{"frames", PARE__SITE_FRAMES},
             {"patches", PARE__SITE_PATCHES},
             {"block", PARE__SITE_BLOCK},
             {"output", PARE__SITE_OUTPUT}};
enum { N_SITES = sizeof sites / sizeof sites[0] };

const char *pare__site_name(int32_t site)
{
    for (size_t i = 0; i < N_SITES; i++)
        if (sites[i].bit == site) return sites[i].name;
    return "?";
}

/* Cuts `text` at the first `c`; returns what follows, or NULL. */
static char *cut(char *text, char c)
{
    char *at = strchr(text, c);
    if (!at) return NULL;
    *at = 0;
    return at + 1;
}

static int split_step(char *text, parts *p, pare_error *err)
{
    *p = (parts){.name = text};
    p->site = cut(text, '@');
    char *rest = cut(text, ':');
    while (rest) {
        char *item = rest;
        rest = cut(item, ':');
        char *value = cut(item, '=');
        if (!value || !*item)
            return pare_fail(err, PARE_E_INVALID, "recipe step '%s': '%s' is not key=value", p->name, item);
        if (p->n_pair == MAX_KEYS)
            return pare_fail(err, PARE_E_LIMIT, "recipe step '%s': more than %d options", p->name, MAX_KEYS);
        for (int32_t i = 0; i < p->n_pair; i++)
            if (!strcmp(p->pair[i].key, item))
                return pare_fail(err, PARE_E_INVALID, "recipe step '%s': '%s' is given twice", p->name, item);
        p->pair[p->n_pair++] = (pair){.key = item, .value = value};
    }
    return 0;
}

/* ---- names ---------------------------------------------------------------------------------------------------- */

static int unknown(const char *what, const char *given, const char *const *names, int32_t n, pare_error *err)
{
    const char *near = pare__nearest(given, names, n);
    if (near) return pare_fail(err, PARE_E_INVALID, "recipe: unknown %s '%s', did you mean '%s'?", what, given, near);
    return pare_fail(err, PARE_E_INVALID, "recipe: unknown %s '%s' (`pare list %ss` shows all)", what, given, what);
}

enum { MAX_NAMES = 256 };

static int unknown_selector(const char *given, pare_error *err)
{
    const char *names[MAX_NAMES];
    int32_t n = 0;
    for (int32_t i = 0; pare__selectors[i] && n < MAX_NAMES; i++) names[n++] = pare__selectors[i]->name;
    for (int32_t i = 0; pare__methods[i].name && n < MAX_NAMES; i++) names[n++] = pare__methods[i].name;
    return unknown("selector", given, names, n, err);
}

static int unknown_score(const char *given, pare_error *err)
{
    const char *names[MAX_NAMES];
    int32_t n = 0;
    for (int32_t i = 0; pare__scores[i] && n < MAX_NAMES; i++) names[n++] = pare__scores[i]->name;
    return unknown("score", given, names, n, err);
}

static int unknown_allocator(const char *given, pare_error *err)
{
    const char *names[MAX_NAMES];
    int32_t n = 0;
    for (int32_t i = 0; pare__allocators[i] && n < MAX_NAMES; i++) names[n++] = pare__allocators[i]->name;
    return unknown("allocator", given, names, n, err);
}

static const pare__method *method_find(const char *name)
{
    for (const pare__method *m = pare__methods; m->name; m++)
        if (!strcmp(m->name, name)) return m;
    return NULL;
}

/* ---- keys ----------------------------------------------------------------------------------------------------- */

static const char *take(parts *p, const char *key)
{
    const char *value = NULL;
    for (int32_t i = 0; i < p->n_pair; i++) {
        if (p->pair[i].used || strcmp(p->pair[i].key, key)) continue;
        p->pair[i].used = 1;
        value = p->pair[i].value;
    }
    return value;
}

static int set_amount(pare__step *s, parts *p, pare_error *err)
{
    const char *keep = take(p, "keep");
    if (keep && (pare__parse_float(keep, &s->keep) || !(s->keep > 0 && s->keep <= 1)))
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s': keep=%s, must be above 0 and at most 1", s->sel->name,
                         keep);
    const int wants_k = !pare__option_find(s->sel->options, "k");
    const char *k = wants_k ? take(p, "k") : NULL;
    if (k && (pare__parse_int(k, &s->k) || s->k < 1 || s->k > PARE__MAX_UNITS_PER_FRAME))
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s': k=%s, must be 1..%d", s->sel->name, k,
                         PARE__MAX_UNITS_PER_FRAME);
    if (keep && k)
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s': keep= and k= exclude each other", s->sel->name);
    return 0;
}

static int make_priv(void **priv, size_t size, const pare__option *options)
{
    *priv = pare__calloc(1, size ? (int64_t)size : 1);
    if (!*priv) return PARE_E_NOMEM;
    if (options) pare__option_defaults(options, *priv);
    return 0;
}

static int choose_score(pare__step *s, parts *p, pare_error *err)
{
    if (!(s->sel->flags & PARE__USES_SCORE)) return 0;
    const char *name = take(p, "score");
    if (!name) name = s->sel->default_score;
    s->score = pare__score_find(name);
    if (!s->score) return unknown_score(name, err);
    return make_priv(&s->score_priv, s->score->priv_size, s->score->options);
}

static int choose_allocator(pare__step *s, parts *p, pare_error *err)
{
    const char *name = take(p, "alloc");
    s->alloc = name ? pare__allocator_find(name) : pare__allocators[0];
    if (!s->alloc) return unknown_allocator(name, err);
    return make_priv(&s->alloc_priv, s->alloc->priv_size, s->alloc->options);
}

/* A method has chosen one already; the user's comes in its place. */
static int replace_allocator(pare__step *s, parts *p, pare_error *err)
{
    int is_given = 0;
    for (int32_t i = 0; i < p->n_pair; i++) is_given |= !strcmp(p->pair[i].key, "alloc");
    if (!is_given) return 0;
    pare__free(s->alloc_priv);
    s->alloc_priv = NULL;
    return choose_allocator(s, p, err);
}

static int unknown_key(const pare__step *s, const char *key, pare_error *err)
{
    const char *names[MAX_NAMES] = {"keep", "k", "alloc"};
    int32_t n = 3;
    if (s->score && strcmp(key, "score")) names[n++] = "score";
    const pare__option *tables[3] = {s->sel->options, s->score ? s->score->options : NULL, s->alloc->options};
    for (int t = 0; t < 3; t++)
        for (const pare__option *o = tables[t]; o && o->name && n < MAX_NAMES; o++) names[n++] = o->name;
    const char *near = pare__nearest(key, names, n);
    if (near)
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s': unknown option '%s', did you mean '%s'?", s->sel->name,
                         key, near);
    return pare_fail(err, PARE_E_INVALID, "recipe step '%s': unknown option '%s' (`pare list %s` shows all)",
                     s->sel->name, key, s->sel->name);
}

static int set_option(pare__step *s, const pair *kv, pare_error *err)
{
    const struct {
        const pare__option *options;
        void *priv;
        const char *name;
    } part[] = {{s->sel->options, s->priv, s->sel->name},
                {s->score ? s->score->options : NULL, s->score_priv, s->score ? s->score->name : NULL},
                {s->alloc->options, s->alloc_priv, s->alloc->name}};
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        const pare__option *o = part[i].options ? pare__option_find(part[i].options, kv->key) : NULL;
        if (!o) continue;
        s->gives_block |= pare__option_is_block(o) || o->type == PARE__TEXT; /* a text may name some */
        return pare__option_set(o, part[i].priv, part[i].name, kv->value, err);
    }
    return unknown_key(s, kv->key, err);
}

/* Applies all keys that are left; the step's plug-ins are chosen. */
static int set_options(pare__step *s, parts *p, pare_error *err)
{
    int rc = set_amount(s, p, err);
    for (int32_t i = 0; !rc && i < p->n_pair; i++)
        if (!p->pair[i].used) rc = set_option(s, &p->pair[i], err);
    return rc;
}

/* ---- sites ---------------------------------------------------------------------------------------------------- */

static int parse_blocks(pare__step *s, char *list, pare_error *err)
{
    s->n_block = 0;
    while (list) {
        char *item = list;
        list = cut(item, '/');
        int64_t block;
        if (pare__parse_int(item, &block) || block < 0 || block >= PARE__MAX_BLOCKS)
            return pare_fail(err, PARE_E_INVALID, "recipe step '%s': block '%s' is not a number 0..%d", s->sel->name,
                             item, PARE__MAX_BLOCKS - 1);
        if (s->n_block && block <= s->block[s->n_block - 1])
            return pare_fail(err, PARE_E_INVALID, "recipe step '%s': blocks must ascend, %d comes after %d",
                             s->sel->name, (int)block, s->block[s->n_block - 1]);
        s->block[s->n_block++] = (int32_t)block;
    }
    return 0;
}

static int unsupported_site(const pare__step *s, const char *given, pare_error *err)
{
    char list[64] = "";
    for (size_t i = 0; i < N_SITES; i++) {
        if (!(s->sel->sites & (unsigned)sites[i].bit)) continue;
        if (*list) strcat(list, ", ");
        strcat(list, sites[i].name);
    }
    return pare_fail(err, PARE_E_INVALID, "recipe step '%s' does not act at '%s', only at %s", s->sel->name, given,
                     list);
}

static int set_site(pare__step *s, const char *site, pare_error *err)
{
    if (!site) return 0;
    char text[512];
    if (snprintf(text, sizeof text, "%s", site) >= (int)sizeof text)
        return pare_fail(err, PARE_E_LIMIT, "recipe step '%s': site longer than %d bytes", s->sel->name,
                         (int)sizeof text - 1);
    char *blocks = cut(text, '=');
    const char *names[N_SITES];
    int32_t bit = 0;
    for (size_t i = 0; i < N_SITES; i++) {
        names[i] = sites[i].name;
        if (!strcmp(text, sites[i].name)) bit = sites[i].bit;
    }
    const char *near = bit ? NULL : pare__nearest(text, names, N_SITES);
    if (near) return pare_fail(err, PARE_E_INVALID, "recipe: unknown site '%s', did you mean '%s'?", text, near);
    if (!bit) return unsupported_site(s, text, err);
    if (!(s->sel->sites & (unsigned)bit)) return unsupported_site(s, text, err);
    s->site = bit;
    if (!blocks) return 0;
    if (bit != PARE__SITE_BLOCK)
        return pare_fail(err, PARE_E_INVALID, "recipe step '%s': site '%s' takes no '='", s->sel->name, text);
    return parse_blocks(s, blocks, err);
}

/* ---- steps ---------------------------------------------------------------------------------------------------- */

static int add_selector(pare__recipe *r, const pare__selector *sel, parts *p, pare_error *err)
{
    if (r->n == PARE__MAX_STEPS) return pare_fail(err, PARE_E_LIMIT, "recipe: more than %d steps", PARE__MAX_STEPS);
    pare__step *s = &r->step[r->n++];
    s->sel = sel;
    s->site = sel->default_site;
    int rc = make_priv(&s->priv, sel->priv_size, sel->options);
    if (!rc) rc = choose_score(s, p, err);
    if (!rc) rc = choose_allocator(s, p, err);
    if (!rc) rc = set_options(s, p, err);
    return rc ? rc : set_site(s, p->site, err);
}

static int add_steps(pare__recipe *r, char *text, int depth, pare_error *err);

/* A method is its recipe; keys and site of the user's step go to the last step of it. */
static int add_method(pare__recipe *r, const pare__method *m, parts *p, pare_error *err)
{
    char text[PARE__MAX_TEXT];
    snprintf(text, sizeof text, "%s", m->recipe);
    const int rc = add_steps(r, text, 1, err);
    if (rc) return rc;
    pare__step *s = &r->step[r->n - 1];
    int rc_step = replace_allocator(s, p, err);
    if (!rc_step) rc_step = set_options(s, p, err);
    return rc_step ? rc_step : set_site(s, p->site, err);
}

static int add_step(pare__recipe *r, char *text, int depth, pare_error *err)
{
    parts p;
    const int rc = split_step(text, &p, err);
    if (rc) return rc;
    if (!*p.name) return pare_fail(err, PARE_E_INVALID, "recipe: empty step");
    const pare__selector *sel = pare__selector_find(p.name);
    if (sel) return add_selector(r, sel, &p, err);
    const pare__method *m = depth ? NULL : method_find(p.name);
    return m ? add_method(r, m, &p, err) : unknown_selector(p.name, err);
}

static int add_steps(pare__recipe *r, char *text, int depth, pare_error *err)
{
    while (text) {
        char *step = text;
        text = cut(step, ',');
        const int rc = add_step(r, step, depth, err);
        if (rc) return rc;
    }
    return 0;
}

/* After all options, a method's and the user's, because init checks them together. */
static int init_step(const pare__step *s, pare_error *err) { return s->sel->init ? s->sel->init(s->priv, err) : 0; }

int pare__recipe_parse(pare__recipe *out, const char *text, pare_error *err)
{
    *out = (pare__recipe){0};
    char copy[PARE__MAX_TEXT];
    if (strlen(text) >= sizeof copy)
        return pare_fail(err, PARE_E_LIMIT, "recipe: %zu bytes, at most %d", strlen(text), PARE__MAX_TEXT - 1);
    strcpy(copy, text);
    int rc = add_steps(out, copy, 0, err);
    for (int32_t i = 0; !rc && i < out->n; i++) rc = init_step(&out->step[i], err);
    if (!rc) return 0;
    if (rc == PARE_E_NOMEM) pare_fail(err, rc, "recipe: out of memory");
    pare__recipe_fini(out);
    return rc;
}

void pare__recipe_fini(pare__recipe *r)
{
    for (int32_t i = 0; i < r->n; i++) {
        pare__step *s = &r->step[i];
        if (s->sel && s->sel->fini && s->priv) s->sel->fini(s->priv);
        pare__free(s->priv);
        pare__free(s->score_priv);
        pare__free(s->alloc_priv);
        pare__free(s->carry);
    }
    *r = (pare__recipe){0};
}

/* ---- printing ------------------------------------------------------------------------------------------------- */

typedef struct sink {
    char *out;
    size_t size, used;
} sink;

static char *sink_at(const sink *s) { return s->used < s->size ? s->out + s->used : NULL; }
static size_t sink_room(const sink *s) { return s->used < s->size ? s->size - s->used : 0; }

#define EMIT(s, ...) ((s)->used += (size_t)snprintf(sink_at(s), sink_room(s), __VA_ARGS__))

static void print_options(sink *s, const pare__option *table, const void *priv)
{
    if (table) s->used += (size_t)pare__option_print(table, priv, sink_at(s), sink_room(s));
}

static void print_step(sink *s, const pare__step *step)
{
    EMIT(s, "%s", step->sel->name);
    if (step->score) EMIT(s, ":score=%s", step->score->name);
    if (step->alloc != pare__allocators[0]) EMIT(s, ":alloc=%s", step->alloc->name);
    print_options(s, step->sel->options, step->priv);
    if (step->score) print_options(s, step->score->options, step->score_priv);
    print_options(s, step->alloc->options, step->alloc_priv);
    char keep[64];
    pare__print_float(step->keep, keep, sizeof keep);
    if (step->keep > 0) EMIT(s, ":keep=%s", keep);
    if (step->k > 0) EMIT(s, ":k=%lld", (long long)step->k);
    EMIT(s, "@%s", pare__site_name(step->site));
    for (int32_t i = 0; i < step->n_block; i++) EMIT(s, "%c%d", i ? '/' : '=', step->block[i]);
}

int pare__recipe_print(const pare__recipe *r, char *out, size_t size)
{
    sink s = {.out = out, .size = size};
    if (size) *out = 0;
    for (int32_t i = 0; i < r->n; i++) {
        if (i) EMIT(&s, ",");
        print_step(&s, &r->step[i]);
    }
    return (int)s.used;
}
