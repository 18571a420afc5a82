/* SPDX-License-Identifier: MIT */
/* The table of scores: the order of `pare list scores`. */
#include "select/score.h"

#include <string.h>

/* One line per score; X(name) stands for pare__score_name. */
#define SCORES(X)                                                                                                      \
    X(cls_attn)                                                                                                        \
    X(mean_attn)                                                                                                       \
    X(norm)                                                                                                            \
    X(motion)                                                                                                          \
    X(codec)                                                                                                           \
    X(random)                                                                                                          \
    X(uniform)                                                                                                         \
    X(given)                                                                                                           \
    X(text)                                                                                                            \
    X(vidcom2)                                                                                                         \
    X(vcast)

#define X(name) extern const pare__score pare__score_##name;
SCORES(X)
#undef X

#define X(name) &pare__score_##name,
const pare__score *const pare__scores[] = {SCORES(X) NULL};
#undef X

const pare__score *pare__score_find(const char *name)
{
    for (int i = 0; pare__scores[i]; i++)
        if (!strcmp(pare__scores[i]->name, name)) return pare__scores[i];
    return NULL;
}
