/* SPDX-License-Identifier: MIT */
/* An allocator: one weight per temporal step of a window, saying how much it deserves; rate control turns weights into
 * exact counts. One file + one line in allocators.c. Scratch comes from view->arena, which is reset after the call. */
#ifndef PARE_SELECT_ALLOCATOR_H
#define PARE_SELECT_ALLOCATOR_H

#include "select/view.h"

typedef struct pare__allocator {
    const char *name, *summary, *cite;
    unsigned sites;
    const pare__option *options;
    size_t priv_size;
    int (*needs)(const void *priv, int32_t site, pare__need *need);
    int (*weigh)(const void *priv, const pare__view *v, double *weight /* [n_frame] */, pare_error *err);
} pare__allocator;

extern const pare__allocator *const pare__allocators[]; /* ends with NULL; [0] is the default (equal) */
const pare__allocator *pare__allocator_find(const char *name);

#endif
