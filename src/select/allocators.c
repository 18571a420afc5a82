/* SPDX-License-Identifier: MIT */
/* The table of allocators: the first is the default. */
#include "select/allocator.h"

#include <string.h>

/* One line per allocator; X(name) stands for pare__alloc_name. */
#define ALLOCATORS(X)                                                                                                  \
    X(equal)                                                                                                           \
    X(motion)                                                                                                          \
    X(vidcom2)                                                                                                         \
    X(vcast)                                                                                                           \
    X(globalcom2)                                                                                                      \
    X(hired)

#define X(name) extern const pare__allocator pare__alloc_##name;
ALLOCATORS(X)
#undef X

#define X(name) &pare__alloc_##name,
const pare__allocator *const pare__allocators[] = {ALLOCATORS(X) NULL};
#undef X

const pare__allocator *pare__allocator_find(const char *name)
{
    for (int i = 0; pare__allocators[i]; i++)
        if (!strcmp(pare__allocators[i]->name, name)) return pare__allocators[i];
    return NULL;
}
