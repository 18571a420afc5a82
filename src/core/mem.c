/* SPDX-License-Identifier: MIT */
/* Checked allocation and the arena: a list of chunks of growing size, walked from `first` on after every reset. */
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <pare/pare.h>

#include "core/limits.h"

#if defined(__SANITIZE_ADDRESS__)
#define HAVE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAVE_ASAN 1
#endif
#endif
#ifdef HAVE_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
enum { GAP = PARE__ALIGN }; /* poisoned bytes behind every block */
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { GAP = 0 };
#endif

enum { FIRST_CHUNK = 1 << 16, CHUNK_HEADER = PARE__ALIGN };
enum { HUGE_PAGE = 2 << 20, HUGE_FROM = 2 * HUGE_PAGE };

struct pare__chunk {
    struct pare__chunk *next;
    size_t size, used; /* bytes behind the header */
};

_Static_assert(sizeof(struct pare__chunk) <= CHUNK_HEADER, "the header of a chunk must fit its place");

/* n * size rounded up to whole lines, or -1. An empty block is one line, so that NULL always means failure. */
static int64_t line_bytes(int64_t n, int64_t size)
{
    if (n < 0 || size <= 0 || n > PARE__MAX_BYTES / size) return -1;
    int64_t bytes = (n * size + PARE__ALIGN - 1) / PARE__ALIGN * PARE__ALIGN;
    return bytes ? bytes : PARE__ALIGN;
}

/* Touching new memory in small pages costs several times what filling it does. The tail that is no whole huge page stays
 * small, so that no more becomes resident than was asked for. */
static void *large_block(size_t bytes)
{
    void *ptr = NULL;
    if (posix_memalign(&ptr, HUGE_PAGE, bytes)) return NULL;
    madvise(ptr, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
    return ptr;
}

void *pare__malloc(int64_t n, int64_t size)
{
    int64_t bytes = line_bytes(n, size);
    if (bytes < 0) return NULL;
    return bytes < HUGE_FROM ? aligned_alloc(PARE__ALIGN, (size_t)bytes) : large_block((size_t)bytes);
}

void *pare__calloc(int64_t n, int64_t size)
{
    void *ptr = pare__malloc(n, size);
    if (ptr) memset(ptr, 0, (size_t)(n * size));
    return ptr;
}

int pare__grow(void **ptr, int64_t *cap, int64_t n, int64_t size)
{
    if (n <= *cap) return 0;
    int64_t want = *cap < 16 ? 16 : *cap;
    while (want < n && want < PARE__MAX_BYTES) want *= 2;
    void *grown = pare__malloc(want, size);
    if (!grown) {
        want = n;
        grown = pare__malloc(want, size);
    }
    if (!grown) return PARE_E_NOMEM;
    if (*ptr) memcpy(grown, *ptr, (size_t)(*cap * size));
    pare__free(*ptr);
    *ptr = grown;
    *cap = want;
    return 0;
}

void pare__free(void *ptr) { free(ptr); }

char *pare__strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    char *copy = pare__malloc((int64_t)n, 1);
    return copy ? memcpy(copy, text, n) : NULL;
}

static unsigned char *chunk_data(struct pare__chunk *c) { return (unsigned char *)c + CHUNK_HEADER; }

static struct pare__chunk *chunk_new(int64_t bytes)
{
    struct pare__chunk *c = pare__malloc(bytes + CHUNK_HEADER, 1);
    if (!c) return NULL;
    *c = (struct pare__chunk){.size = (size_t)bytes};
    POISON(chunk_data(c), c->size);
    return c;
}

/* Makes `current` a chunk with room for `bytes`: the next empty one that is large enough, or a new one at the end. */
static int arena_advance(pare__arena *a, int64_t bytes)
{
    struct pare__chunk *last = a->current;
    struct pare__chunk *c = last ? last->next : a->first;

    for (; c; last = c, c = c->next) {
        c->used = 0;
        if (c->size < (size_t)bytes) continue;
        a->current = c;
        return 0;
    }
    int64_t size = last ? 2 * (int64_t)last->size : FIRST_CHUNK;
    c = chunk_new(size > bytes ? size : bytes);
    if (!c) c = chunk_new(bytes);
    if (!c) return PARE_E_NOMEM;
    if (last)
        last->next = c;
    else
        a->first = c;
    a->current = c;
    return 0;
}

void *pare__arena_alloc(pare__arena *a, int64_t n, int64_t size)
{
    int64_t bytes = line_bytes(n, size);

    if (bytes < 0) return NULL;
    bytes += GAP;
    if (!a->current || a->current->size - a->current->used < (size_t)bytes)
        if (arena_advance(a, bytes)) return NULL;
    void *ptr = chunk_data(a->current) + a->current->used;
    a->current->used += (size_t)bytes;
    UNPOISON(ptr, (size_t)(n * size));
    return ptr;
}

pare__mark pare__arena_mark(const pare__arena *a)
{
    return (pare__mark){a->current, a->current ? a->current->used : 0};
}

void pare__arena_reset(pare__arena *a, pare__mark mark)
{
    struct pare__chunk *c = mark.chunk ? mark.chunk : a->first;

    if (!c) return;
    c->used = mark.chunk ? mark.used : 0;
    a->current = c;
    POISON(chunk_data(c) + c->used, c->size - c->used);
    for (c = c->next; c; c = c->next) {
        c->used = 0;
        POISON(chunk_data(c), c->size);
    }
}

void pare__arena_clear(pare__arena *a) { pare__arena_reset(a, (pare__mark){NULL, 0}); }

void pare__arena_fini(pare__arena *a)
{
    while (a->first) {
        struct pare__chunk *next = a->first->next;
        UNPOISON(chunk_data(a->first), a->first->size);
        pare__free(a->first);
        a->first = next;
    }
    a->current = NULL;
}
