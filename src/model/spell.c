/* SPDX-License-Identifier: MIT */
/* Tensor names out of patterns; see pare__binding. A name is built once per row of a table and block. */
#include "model/spell.h"

#include <stdio.h>
#include <string.h>

typedef struct writer {
    char *text; /* [PARE__MAX_NAME + 1] */
    size_t n;
} writer;

/* What does not fit is cut: such a name is in no file. */
static void put(writer *w, const char *text, size_t n)
{
    const size_t room = PARE__MAX_NAME - w->n;
    if (n > room) n = room;
    memcpy(w->text + w->n, text, n);
    w->n += n;
    w->text[w->n] = 0;
}

static void put_number(writer *w, int32_t number)
{
    char digits[16];
    put(w, digits, (size_t)snprintf(digits, sizeof digits, "%d", number));
}

static int ends_with(const char *text, size_t n, const char *end)
{
    const size_t m = strlen(end);
    return n >= m && !memcmp(text + n - m, end, m);
}

/* prefix + pattern [n] with its numbers; the suffix stands where '*' is, else at the end. */
static void spell(const pare__speller *p, char *out, const char *prefix, const char *pattern, size_t n,
                  const char *suffix)
{
    writer w = {.text = out};
    int is_open = 1;
    put(&w, prefix, strlen(prefix));
    for (size_t i = 0; i < n; i++) {
        const int is_number = pattern[i] == '%' && i + 1 < n;
        if (is_number)
            put_number(&w, pattern[++i] == 'b' ? p->b : p->d);
        else if (pattern[i] == '*')
            put(&w, suffix, strlen(suffix));
        else
            put(&w, pattern + i, 1);
        is_open = is_open && pattern[i] != '*';
    }
    if (is_open) put(&w, suffix, strlen(suffix));
}

/* The name with its suffix; that of a whole tensor ("attn.in_proj_weight", "visual.proj") stands as it is. */
static void spell_part(const pare__speller *p, char *out, const char *prefix, const char *pattern, size_t n,
                       const char *suffix)
{
    spell(p, out, prefix, pattern, n, "");
    const int is_weight = !strcmp(suffix, ".weight");
    if (is_weight && (ends_with(pattern, n, "weight") || pare__store_has(p->s, out))) return;
    spell(p, out, prefix, pattern, n, suffix);
}

/* Splits one alternative at '+' or '/' into names. */
static void spell_parts(const pare__speller *p, const char *prefix, const char *names, size_t n, const char *suffix,
                        pare__spelling *out)
{
    out->n_part = 0;
    out->in_slices = memchr(names, '/', n) != NULL;
    for (size_t at = 0; at <= n && out->n_part < PARE__MAX_PARTS;) {
        size_t end = at;
        while (end < n && names[end] != '+' && names[end] != '/') end++;
        char *name = out->name[out->n_part++];
        name[0] = 0;
        if (end > at) spell_part(p, name, prefix, names + at, end - at, suffix);
        at = end + 1;
    }
}

/* One of the first n parts is in the checkpoint. */
static int is_there(const pare__speller *p, const pare__spelling *x, int n)
{
    for (int i = 0; i < n; i++)
        if (x->name[i][0] && pare__store_has(p->s, x->name[i])) return 1;
    return 0;
}

/* The first alternative of which the checkpoint holds the first part, or any, else the first: 1 if it does. *at: where in
 * `all` it is. */
static int choose(const pare__speller *p, const char *prefix, const char *all, const char *suffix, int any,
                  const char **at, pare__spelling *out)
{
    for (*at = all; **at;) {
        const size_t n = strcspn(*at, "|");
        spell_parts(p, prefix, *at, n, suffix, out);
        if (is_there(p, out, any ? out->n_part : 1)) return 1;
        *at += n + ((*at)[n] == '|');
    }
    *at = all;
    spell_parts(p, prefix, all, strcspn(all, "|"), suffix, out);
    return 0;
}

int pare__spell_row(const pare__speller *p, const pare__binding *row, const char *suffix, pare__spelling *out)
{
    const char *at, *prefix = row->flags & PARE__BIND_ROOT ? "" : p->prefix;
    if (strcmp(suffix, ".bias") != 0) return choose(p, prefix, row->names, suffix, 0, &at, out);
    if (row->bias_names) return choose(p, prefix, row->bias_names, "", 1, &at, out);
    choose(p, prefix, row->names, ".weight", 0, &at, out);
    spell_parts(p, prefix, at, strcspn(at, "|"), suffix, out);
    return is_there(p, out, out->n_part);
}

/* 1 if the checkpoint holds one of the family's probes behind this prefix. */
static int has_probe(const pare__speller *p, const char *probe)
{
    char name[PARE__MAX_NAME + 1];
    while (*probe) {
        const size_t n = strcspn(probe, "|");
        spell(p, name, p->prefix, probe, n, "");
        if (pare__store_has(p->s, name)) return 1;
        probe += n + (probe[n] == '|');
    }
    return 0;
}

const char *pare__spell_prefix(const pare__store *s, const pare__family *family)
{
    for (const char *const *prefix = family->prefixes; *prefix; prefix++) {
        const pare__speller p = {.s = s, .prefix = *prefix};
        if (has_probe(&p, family->probe)) return *prefix;
    }
    return family->prefixes[0];
}
