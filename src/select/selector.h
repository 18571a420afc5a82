/* SPDX-License-Identifier: MIT */
/* A selector: turns a view and a budget into a map (the survey's strategy P). One file + one line in selectors.c.
 * The core zero-allocates priv_size bytes, sets the options, calls init; fini is always called, also after a failed
 * init. select() is deterministic and emits one row per survivor into a map that the framework began with view->n columns
 * and will finish (sizes, order) and check. It allocates from view->arena only, which is reset after the call: mark and
 * reset where a loop would grow it (per frame, per round), nowhere else. It is not called for n = 0 or k = 0. */
#ifndef PARE_SELECT_SELECTOR_H
#define PARE_SELECT_SELECTOR_H

#include "select/view.h"

enum {
    PARE__SCOPE_WINDOW = 1, /* sees all frames of a window at once; otherwise one frame at a time */
    PARE__MERGES = 2,
    PARE__RANDOM = 4, /* uses the seed */
    PARE__VARIABLE_COUNT =
        8,                  /* needs no amount: without one view->k is -1 and select() decides; with one it is exact */
    PARE__USES_SCORE = 16,  /* the step takes score=NAME; view->score is filled */
    PARE__KEEPS_ORDER = 32, /* in-block rows stay as emitted (ToMe's [unmerged ; dst]); else sorted by anchor */
    PARE__AT_MOST = 64,     /* the count may stay below the budget (pool: the largest grid that fits) */
    PARE__ORIGINAL = 128,   /* is ours, not published */
    PARE__OWN_SCHEDULE = 256, /* several blocks: decides itself what each but the last leaves (k = -1, k_final known) */
    PARE__OWN_SIZES = 512,    /* sizes are its own (pare__map_size) and need not sum to N */
    PARE__BOUNDED = 1024      /* SCOPE_WINDOW: obeys view->low and view->cap of every slot */
};

/* Where in a block a step acts. AUTO: in the middle if it needs an array of that block, else before. */
enum {
    PARE__PHASE_AUTO,
    PARE__PHASE_BEFORE, /* entering the block; arrays of that block come from a pass that runs ahead */
    PARE__PHASE_MIDDLE, /* between attention and MLP */
    PARE__PHASE_AFTER   /* leaving the block */
};

enum { PARE__AMOUNT_NONE = -1, PARE__AMOUNT_VARIABLE = -2 };

typedef struct pare__selector {
    const char *name, *summary, *cite;
    unsigned sites, flags;
    const char *default_score;   /* USES_SCORE: used when the recipe names none */
    int32_t default_site;        /* one bit: used when the recipe names none */
    int32_t phase;               /* PARE__PHASE_*, block site only */
    const pare__option *options; /* or NULL */
    size_t priv_size;
    int (*init)(void *priv, pare_error *err);                       /* or NULL */
    void (*fini)(void *priv);                                       /* or NULL */
    int (*needs)(const void *priv, int32_t site, pare__need *need); /* or NULL */
    /* The step's own amount: rows left of a frame that has n candidates on a grid_h x grid_w grid, from its options
     * (rows x cols, r, ...); NONE if the options do not say, so that --keep may; VARIABLE if they say that select()
     * decides (an explicit threshold), so that --keep may not. NULL = NONE. `keep=` and `k=` are common to all selectors
     * and handled by the framework first. */
    int64_t (*amount)(const void *priv, int64_t n, int32_t grid_h, int32_t grid_w, int32_t i_block, int32_t n_block);
    /* Bytes kept from window to window. NULL = 0. */
    size_t (*carry)(const void *priv, const pare__view *v);
    /* Floats per candidate kept from block to block (view->state). NULL = 0. */
    int32_t (*state_width)(const void *priv);
    int (*select)(const void *priv, const pare__view *v, pare__map *map, pare_error *err);
    /* Smallest count a single application can reach from n candidates (ToMe: n - floor(n/2)). NULL = 1 (0 if the budget
     * allows empty frames). */
    int64_t (*least)(const void *priv, int64_t n);
    /* Site `frames` only, where select is NULL because there is no map yet: the grid (h, w in units) that the frame is
     * resized to so that at most k units remain of full[0] x full[1]. k < 0: k = round(keep * units). */
    void (*plan_grid)(const void *priv, const int32_t full[2], double keep, int64_t k, int32_t out[2]);
    /* Sets the options so that no unit is dropped that differs by more than 1 - q (0 < q <= 1) from the kept one that
     * stands for it, in a measure of its own where 0 is equal and 1 the most; select() then decides how many remain.
     * NULL = there is no such measure. 0, or INVALID where options contradict. */
    int (*quality)(void *priv, double q, int32_t site, pare_error *err);
    /* 1: later attention must ignore the sizes of merged tokens (ToMe's prop_attn=0). NULL = 0. */
    int (*unbiased)(const void *priv);
} pare__selector;

extern const pare__selector *const pare__selectors[]; /* ends with NULL */
const pare__selector *pare__selector_find(const char *name);

/* A published method: a recipe step under its own name, with its citation (methods.c). */
typedef struct pare__method {
    const char *name, *recipe, *summary, *cite;
} pare__method;
extern const pare__method pare__methods[]; /* ends with name == NULL */

#endif
