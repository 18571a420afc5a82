/* SPDX-License-Identifier: MIT */
/* The encoder once more, as plain loops in double over one segment: the oracle of test_units and test_ways. Rows are
 * [prefix | unit 0 patch 0, patch 1, ... | unit 1 ...]. Also a small random model of any shape. */
#ifndef PARE_ENCODER_REF_H
#define PARE_ENCODER_REF_H

#include "encode/encoder.h"

enum { REF_ROWS = 192, REF_DIM = 32, REF_UNITS = 64 };
enum { REF_PATCH = 4, REF_GRID_H = 6, REF_GRID_W = 10, REF_LAYERS = 3, REF_D_OUT = 24 };

/* Windows of 2 x 2 units on 3 x 5 of them, full attention in the middle block, temporal pairs, SwiGLU, RMS norms. */
extern const pare__hparams ref_bent;
/* A CLS row before units of 2 x 2 patches, learned positions, layer norms, no projector. */
extern const pare__hparams ref_plain;

typedef struct ref_state {
    const pare_model *m;
    int n_unit, n_prefix, patches; /* units without prefix */
    int place[REF_UNITS][2];       /* in units */
    double size[REF_UNITS];
    double x[REF_ROWS][REF_DIM];
} ref_state;

static inline int ref_rows(const ref_state *s) { return s->n_prefix + s->n_unit * s->patches; }

/* Embeds what the segment says; seg->pixels must be NULL. */
void ref_open(ref_state *s, const pare_model *m, const pare__segment *seg);
/* x += attention; keys [rows, head_dim] (mean over heads) and col_mean [rows] may be NULL. */
void ref_attend(ref_state *s, int block, double *keys, double *col_mean);
void ref_mlp(ref_state *s, int block);
/* x = gain R x, places of the anchors, sizes as the map says. */
void ref_reduce(ref_state *s, const pare_map *map);
/* y [n_unit, d_out] without prefix rows: after the final norm and the projector */
void ref_close(const ref_state *s, double *y);
/* What deepstack tap i makes of the rows as they are: y [n_unit, d_out]. */
void ref_tap(const ref_state *s, int i, double *y);

/* Weights for m->hp, which says all sizes; freed by ref_free_model. */
void ref_make_model(pare_model *m, uint64_t seed);
void ref_free_model(pare_model *m);

#endif
