/* SPDX-License-Identifier: MIT */
/* A quadtree of means over every frame of a view, and its cut at a threshold.
 *
 * Level 0 holds the places of the grid; each level halves the one below, rounding up; where a side is odd, its first row
 * or column stands alone. A cell is the mean of its children (of its patches, by size: weighted). Cells whose patches
 * are all gone are not there. */
#ifndef PARE_SELECT_QUADTREE_H
#define PARE_SELECT_QUADTREE_H

#include "select/view.h"

enum { PARE__QUADTREE_LEVELS = 20 };

typedef struct pare__quadtree {
    const pare__view *v;
    const float *x; /* [n, d] */
    int64_t d;
    int32_t weighted;
    int32_t root; /* the coarsest level in use */
    int32_t h[PARE__QUADTREE_LEVELS], w[PARE__QUADTREE_LEVELS];
    int64_t start[PARE__QUADTREE_LEVELS + 1]; /* first cell of each level */
    int64_t n_place, n_cell;                  /* of a frame: places, and cells of all levels */
    int32_t *row;                             /* [n_frame, n_place] the row there, or -1 */
    float *mean;                              /* [n_frame, n_cell - n_place, d] */
    double *mass, *square;                    /* [n_frame, n_cell] sizes; squared length of the mean */
    double *likeness;                         /* [n_frame, n_cell] least cosine to a child */
} pare__quadtree;

/* Disjoint cells that cover all rows, numbered by their first row. */
typedef struct pare__nodes {
    int64_t n;
    int32_t *frame, *cell, *first; /* [n] first = the earliest row in it */
    int32_t *at;                   /* [n_frame, n_place] node that covers the place, or -1 */
} pare__nodes;

/* root_level cells finer than the coarsest level, at which a side is 2. gridsafe = 0: where a side is odd, a cell that
 * lacks children must also resemble the frame's first cell of the level below, as in the authors' code. 0 or NOMEM. */
int pare__quadtree_init(pare__quadtree *q, const pare__view *v, const float *x, int64_t d, int32_t weighted,
                        int32_t root_level, int32_t gridsafe);
/* Mean of a cell [d]. */
const float *pare__quadtree_mean(const pare__quadtree *q, int32_t frame, int64_t cell);
/* Places of a cell: top, left, bottom, right (exclusive). */
void pare__quadtree_box(const pare__quadtree *q, int64_t cell, int32_t box[4]);

/* Arrays for any cut of q. 0 or NOMEM. */
int pare__nodes_alloc(pare__nodes *nodes, const pare__quadtree *q);
/* From the root level down: a cell stays whole if its least cosine to a child reaches tau. */
void pare__nodes_cut(pare__nodes *nodes, const pare__quadtree *q, double tau);
/* weight [n] of every row in the mean of its node, which sum to 1 over each. */
void pare__nodes_weigh(const pare__nodes *nodes, const pare__quadtree *q, double *weight);

#endif
