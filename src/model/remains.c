/* SPDX-License-Identifier: MIT */
/* Tensors beside those that were bound, counted in the largest groups of names that no bound tensor lies in. */
#include "model/remains.h"

#include <stdio.h>
#include <string.h>

#include "core/limits.h"

enum { MAX_SHOWN = 4, TEXT_SIZE = 512, NAME_SHOWN = 60 };

static void add(json_t **set, const char *name)
{
    if (!*set) *set = json_object();
    json_object_set_new(*set, name, json_true());
}

/* The end of the group's name that follows name[0..at): the next '.', or the end. */
static size_t next_end(const char *name, size_t at) { return at + strcspn(name + at, "."); }

void pare__remains_read(pare__remains *r, const char *name)
{
    char group[PARE__MAX_NAME + 1];
    const size_t n = strlen(name);
    if (n > PARE__MAX_NAME) return;
    memcpy(group, name, n + 1);
    while (!json_object_get(r->read, group)) {
        add(&r->read, group);
        char *dot = strrchr(group, '.');
        if (!dot || dot == group) return;
        *dot = 0;
    }
}

void pare__remains_lacks(pare__remains *r, const char *name, size_t size)
{
    char text[NAME_SHOWN];
    snprintf(text, sizeof text, "%.*s", (int)size, name);
    add(&r->lacks, text);
}

typedef struct counting {
    const pare__remains *r;
    json_t *group; /* name -> number of tensors */
} counting;

static void count_one(void *user, const char *name)
{
    const counting *c = user;
    char group[PARE__MAX_NAME + 1];
    const size_t n = strlen(name);
    if (n > PARE__MAX_NAME || json_object_get(c->r->read, name)) return;
    size_t end = next_end(name, 0);
    for (;; end = next_end(name, end + 1)) {
        memcpy(group, name, end);
        group[end] = 0;
        if (end >= n || !json_object_get(c->r->read, group)) break;
    }
    const json_int_t seen = json_integer_value(json_object_get(c->group, group));
    json_object_set_new(c->group, group, json_integer(seen + 1));
}

/* "HEAD name, name (n tensors), ... and n more" behind text. */
static void append(char *text, const char *head, json_t *set)
{
    const char *name;
    json_t *value;
    const size_t n = json_object_size(set);
    size_t used = strlen(text), i = 0;
    json_object_foreach(set, name, value)
    {
        const long long count = (long long)json_integer_value(value);
        if (i == MAX_SHOWN || used + NAME_SHOWN + 40 > TEXT_SIZE) break;
        used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s%s%.*s",
                                 i      ? ", "
                                 : used ? "; "
                                        : "",
                                 i ? "" : head, NAME_SHOWN, name);
        if (count > 1) used += (size_t)snprintf(text + used, TEXT_SIZE - used, " (%lld tensors)", count);
        i++;
    }
    if (i < n) snprintf(text + used, TEXT_SIZE - used, " and %zu more", n - i);
}

char *pare__remains_text(const pare__remains *r, const pare__store *s)
{
    char text[TEXT_SIZE] = "";
    counting c = {.r = r, .group = json_object()};
    pare__store_visit(s, count_one, &c);
    append(text, "lacks ", r->lacks);
    append(text, "not read: ", c.group);
    json_decref(c.group);
    return pare__strdup(text);
}

void pare__remains_fini(pare__remains *r)
{
    json_decref(r->read);
    json_decref(r->lacks);
    *r = (pare__remains){0};
}
