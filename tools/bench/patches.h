/* SPDX-License-Identifier: MIT */
/* Slot by slot: what became of the patches in boxes, and of what a slot says as a whole. The geometry is the full run's,
 * whose row i is unit i; a row's unit is known by the map, or, where a reduction has a grid of its own (resize), by the
 * row's box. */
#ifndef PARE_TOOLS_BENCH_PATCHES_H
#define PARE_TOOLS_BENCH_PATCHES_H

#include "boxes.h"
#include "task.h"

/* A slot (temporal step) of a run: slot t of the view. */
typedef struct bench_slot {
    const pare_result_view *v; /* NULL: the run has no such slot */
    int32_t t;
    int64_t window; /* result that holds it */
} bench_slot;

/* Slots of a run by their number in the clip: out [n_slot]. */
void bench_slots(const bench_run *run, bench_slot *out, int64_t n_slot);
int64_t bench_slot_count(const bench_run *run);

/* One slot's patches in boxes and its agreement with the full run; sums over slots are sums of these. */
typedef struct bench_tally {
    double n_box; /* box patches: units of the full run whose centre lies in a box */
    double kept;  /* of them, those with a row of their own: anchors of rows of level 0. On a grid of its own: rows
                         * whose centre lies in a box, at most n_box */
    double represented;      /* of them, those that some row stands for: owner by columns or members, else by boxes */
    double cosine;           /* sum over these of the cosine of their row with the full run's token */
    double n_cls, cls;       /* slots with a CLS token, sum of its cosines */
    double n_pooled, pooled; /* the same of the pooled feature */
    double n_agree, agree;   /* slots with logits, those whose best class is the same */
} bench_tally;

/* Where each unit of a window's map went. */
typedef struct bench_owners {
    int32_t *owner;  /* [n] row, -1 = none */
    float *weight;   /* [n] scratch */
    uint8_t *anchor; /* [n] 1: it has a row of level 0 */
    int64_t n, cap;
} bench_owners;

/* Owner of every unit of the result: the row in which it weighs most, else the row that names it as a member. 0 or -1
 * (memory). */
int bench_owners_of(bench_owners *o, const pare_result_view *v);
void bench_owners_free(bench_owners *o);

/* Adds the slot's patches in boxes [n_box]; `o`: owners of run.v. `values`: rows may be compared with the full run's. */
void bench_tally_boxes(const bench_slot *full, const bench_slot *run, const bench_owners *o, const bench_mot_box *box,
                       int64_t n_box, int values, bench_tally *out);
/* Adds the slot's CLS and pooled cosine and the agreement of its best class. */
void bench_tally_whole(const bench_slot *full, const bench_slot *run, bench_tally *out);

#endif
