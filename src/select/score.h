/* SPDX-License-Identifier: MIT */
/* A score: one float per candidate, higher = keep (the survey's E). One file + one line in scores.c. Scratch comes from
 * view->arena, which is reset after the call. */
#ifndef PARE_SELECT_SCORE_H
#define PARE_SELECT_SCORE_H

#include "select/view.h"

typedef struct pare__score {
    const char *name, *summary, *cite;
    unsigned sites;
    unsigned flags;              /* PARE__SCOPE_WINDOW: looks at all slots of a window, whatever the selector sees */
    const pare__option *options; /* or NULL; given in a recipe on the step that uses the score */
    size_t priv_size;
    /* Fills need[PARE__MAX_NEEDS], returns the count. NULL = needs nothing. */
    int (*needs)(const void *priv, int32_t site, pare__need *need);
    int (*compute)(const void *priv, const pare__view *v, float *out /* [n] */, pare_error *err);
} pare__score;

extern const pare__score *const pare__scores[]; /* ends with NULL */
const pare__score *pare__score_find(const char *name);

#endif
