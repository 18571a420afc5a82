/* SPDX-License-Identifier: MIT */
/* Checked allocation and the arena. Sizes are 64-bit products checked for overflow and against PARE__MAX_BYTES. */
#ifndef PARE_CORE_MEM_H
#define PARE_CORE_MEM_H

#include <stddef.h>
#include <stdint.h>

#define PARE__ALIGN 64

/* Zeroed, 64-byte aligned; NULL when n * size overflows, exceeds the limit or memory is short. Free with pare__free. */
void *pare__calloc(int64_t n, int64_t size);
/* As pare__calloc but not zeroed. */
void *pare__malloc(int64_t n, int64_t size);
/* Grows *ptr from n_old to at least n elements (contents kept, capacity doubled, *cap updated); 0 or PARE_E_NOMEM. */
int pare__grow(void **ptr, int64_t *cap, int64_t n, int64_t size);
void pare__free(void *ptr);
char *pare__strdup(const char *text);

/* Bump arena made of chunks: grows while it warms up, then allocates nothing. Not thread-safe. Zero is a valid, empty
 * arena. Under ASan the gaps are poisoned. */
typedef struct pare__arena {
    struct pare__chunk *first, *current;
} pare__arena;

typedef struct pare__mark {
    struct pare__chunk *chunk;
    size_t used;
} pare__mark;

/* Not zeroed, 64-byte aligned; NULL as pare__malloc. */
void *pare__arena_alloc(pare__arena *a, int64_t n, int64_t size);
pare__mark pare__arena_mark(const pare__arena *a);
/* Frees everything allocated since the mark; memory stays with the arena. */
void pare__arena_reset(pare__arena *a, pare__mark mark);
void pare__arena_clear(pare__arena *a); /* reset to empty */
void pare__arena_fini(pare__arena *a);

/* Typed shorthands. */
#define PARE__NEW(T, n) ((T *)pare__calloc((int64_t)(n), (int64_t)sizeof(T)))
#define PARE__ARENA(arena, T, n) ((T *)pare__arena_alloc((arena), (int64_t)(n), (int64_t)sizeof(T)))

#endif
