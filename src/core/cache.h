/* SPDX-License-Identifier: MIT */
/* Things that are made once and shared, found again by the address of what they are made of or for: packed weights
 * between the encoders of a model. They live as long as the cache. */
#ifndef PARE_CORE_CACHE_H
#define PARE_CORE_CACHE_H

#include <pare/pare.h>

typedef struct pare__cache pare__cache;

/* Errors: NOMEM. */
int pare__cache_create(pare__cache **out, pare_error *err);
/* Destroys every value, the last made first. Nobody may be inside pare__cache_get. */
void pare__cache_free(pare__cache **c);
/* *value = what was made for `key` (compared as an address). The first caller makes it; others, of any key, wait until it is
 * made, so make() must not call this again. A make that fails leaves nothing, its code is returned and the next caller
 * tries again. destroy (may be NULL) is called at pare__cache_free. Any thread. Errors: those of make, NOMEM. */
int pare__cache_get(pare__cache *c, const void *key, int (*make)(void *arg, void **value, pare_error *err), void *arg,
                    void (*destroy)(void *value), void **value, pare_error *err);

#endif
