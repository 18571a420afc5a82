/* SPDX-License-Identifier: MIT */
/* A list under one lock, which is held while something is made: who asks meanwhile would wait for it anyway. */
#include "core/cache.h"

#include <pthread.h>

#include "core/mem.h"

typedef struct entry {
    struct entry *before; /* made before this one */
    const void *key;
    void *value;
    void (*destroy)(void *value);
} entry;

struct pare__cache {
    pthread_mutex_t lock;
    entry *last;
};

int pare__cache_create(pare__cache **out, pare_error *err)
{
    pare__cache *c = PARE__NEW(pare__cache, 1);
    *out = c;
    if (!c) return pare_fail(err, PARE_E_NOMEM, "no memory for a cache");
    pthread_mutex_init(&c->lock, NULL);
    return 0;
}

void pare__cache_free(pare__cache **c)
{
    if (!*c) return;
    for (entry *e = (*c)->last, *before; e; e = before) {
        before = e->before;
        if (e->destroy) e->destroy(e->value);
        pare__free(e);
    }
    pthread_mutex_destroy(&(*c)->lock);
    pare__free(*c);
    *c = NULL;
}

static entry *find(const pare__cache *c, const void *key)
{
    entry *e = c->last;
    while (e && e->key != key) e = e->before;
    return e;
}

/* Links the entry once its value is there, so that a failure leaves nothing to take back. */
static int add(pare__cache *c, entry made, int (*make)(void *arg, void **value, pare_error *err), void *arg,
               pare_error *err)
{
    entry *e = PARE__NEW(entry, 1);
    if (!e) return pare_fail(err, PARE_E_NOMEM, "no memory for an entry of a cache");
    int rc = make(arg, &made.value, err);
    if (rc) {
        pare__free(e);
        return rc;
    }
    *e = made;
    e->before = c->last;
    c->last = e;
    return 0;
}

int pare__cache_get(pare__cache *c, const void *key, int (*make)(void *arg, void **value, pare_error *err), void *arg,
                    void (*destroy)(void *value), void **value, pare_error *err)
{
    int rc = 0;
    *value = NULL;
    pthread_mutex_lock(&c->lock);
    if (!find(c, key)) rc = add(c, (entry){.key = key, .destroy = destroy}, make, arg, err);
    if (!rc) *value = find(c, key)->value;
    pthread_mutex_unlock(&c->lock);
    return rc;
}
