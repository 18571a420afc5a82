/* SPDX-License-Identifier: MIT */
/* The table of selectors: the order of `pare list selectors`. */
#include "select/selector.h"

#include <string.h>

/* One line per selector; X(name) stands for pare__sel_name. */
#define SELECTORS(X)                                                                                                   \
    X(none)                                                                                                            \
    X(random)                                                                                                          \
    X(spatial_uniform)                                                                                                 \
    X(stride)                                                                                                          \
    X(topk)                                                                                                            \
    X(temporal_redundancy)                                                                                             \
    X(background)                                                                                                      \
    X(rlt)                                                                                                             \
    X(evs)                                                                                                             \
    X(dtd)                                                                                                             \
    X(vidcom2)                                                                                                         \
    X(vcast)                                                                                                           \
    X(fastvid)                                                                                                         \
    X(sttm)                                                                                                            \
    X(pool)                                                                                                            \
    X(tome)                                                                                                            \
    X(visionzip)                                                                                                       \
    X(pitome)                                                                                                          \
    X(tofu)                                                                                                            \
    X(evit)                                                                                                            \
    X(diffrate)                                                                                                        \
    X(mustdrop)                                                                                                        \
    X(hiprune)                                                                                                         \
    X(vscan)                                                                                                           \
    X(flowcut)                                                                                                         \
    X(mctf)                                                                                                            \
    X(prumerge)                                                                                                        \
    X(prumerge_plus)                                                                                                   \
    X(ats)                                                                                                             \
    X(resize)                                                                                                          \
    X(custom)                                                                                                          \
    X(custom_window)                                                                                                   \
    X(divprune)                                                                                                        \
    X(cdpruner)                                                                                                        \
    X(scope)                                                                                                           \
    X(vispruner)                                                                                                       \
    X(dart)                                                                                                            \
    X(pixelprune)                                                                                                      \
    X(globalcom2)                                                                                                      \
    X(hired)

#define X(name) extern const pare__selector pare__sel_##name;
SELECTORS(X)
#undef X

#define X(name) &pare__sel_##name,
const pare__selector *const pare__selectors[] = {SELECTORS(X) NULL};
#undef X

const pare__selector *pare__selector_find(const char *name)
{
    for (int i = 0; pare__selectors[i]; i++)
        if (!strcmp(pare__selectors[i]->name, name)) return pare__selectors[i];
    return NULL;
}
