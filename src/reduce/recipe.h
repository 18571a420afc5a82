/* SPDX-License-Identifier: MIT */
/* Recipes: what a user writes, parsed into steps with their plug-ins and options.
 *
 *     recipe = step {"," step}      step = name {":" key "=" value} ["@" site]
 *     site   = "frames" | "patches" | "block" ["=" l {"/" l}] | "output"
 *
 * name is a selector, or a method (a preset of methods.c; keys and site then go to its last step). Keys: keep, k, score
 * and alloc are common to all steps; the others belong to the selector, then to the score, then to the allocator. */
#ifndef PARE_REDUCE_RECIPE_H
#define PARE_REDUCE_RECIPE_H

#include <pare/pare.h>

#include "core/limits.h"
#include "select/allocator.h"
#include "select/score.h"
#include "select/selector.h"

typedef struct pare__step {
    const pare__selector *sel;
    void *priv;
    const pare__score *score; /* NULL unless the selector uses one */
    void *score_priv;
    const pare__allocator *alloc;
    void *alloc_priv;
    int32_t site;    /* one PARE__SITE_* bit */
    int32_t n_block; /* block site: blocks named; 0 = every block (until the plan resolves it) */
    int32_t block[PARE__MAX_BLOCKS];
    double keep;         /* own share of the step's input, 0 = not given */
    int64_t k;           /* own rows per frame, 0 = not given */
    int32_t gives_block; /* an option of the user's own names a block: it has to be there */
    void *carry;         /* selector state from window to window */
    size_t carry_size;
} pare__step;

typedef struct pare__recipe {
    pare__step step[PARE__MAX_STEPS];
    int32_t n;
} pare__recipe;

/* Errors: INVALID; the text quotes the step, names what is wrong and offers the nearest name. On failure `out` is
 * empty. */
int pare__recipe_parse(pare__recipe *out, const char *text, pare_error *err);
void pare__recipe_fini(pare__recipe *recipe);
/* The recipe spelt out: every option that differs from its default. snprintf rules. */
int pare__recipe_print(const pare__recipe *recipe, char *out, size_t size);
const char *pare__site_name(int32_t site);

#endif
