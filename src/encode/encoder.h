/* SPDX-License-Identifier: MIT */
/* The encoder: packed ragged batches through the blocks of a ViT. It does not know selectors; at each site it calls
 * back, gets a map over the candidates, and shrinks every array that has one row per token.
 *
 * A pack holds all rows of a few segments (frames):  [prefix | candidates] [prefix | candidates] ...   cu = segment starts
 * Packs are cut by their content only (never by threads), so the same input gives the same bytes. */
#ifndef PARE_ENCODE_ENCODER_H
#define PARE_ENCODE_ENCODER_H

#include <pare/pare.h>

#include "core/map.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/vec.h"
#include "model/model.h"

enum { PARE__PACK_ROWS = 2048 }; /* a pack is closed before it grows past this, unless one segment is larger */

/* Arrays that selectors can ask of a block; one bit each. */
enum {
    PARE__WANT_Q = 1,         /* [n, dim] */
    PARE__WANT_K = 2,         /* [n, dim] */
    PARE__WANT_V = 4,         /* [n, dim] */
    PARE__WANT_K_MEAN = 8,    /* [n, head_dim] keys, mean over heads */
    PARE__WANT_CLS_ROW = 16,  /* [n] attention of the segment's CLS query, mean over heads */
    PARE__WANT_COL_MEAN = 32, /* [n] attention received, mean over heads and queries */
    PARE__WANT_TOKENS = 64,   /* [n, dim] tokens entering the block */
    PARE__WANT_COUNT = 7
};

/* One captured array: row-aligned with the pack's units, reduced with it (weighted means; attention rows too). Where a
 * unit is several patches it holds their mean. */
typedef struct pare__capture {
    int32_t block; /* 0-based */
    uint32_t what; /* one bit */
    int32_t width;
    float *data; /* [n_unit, width] */
} pare__capture;

/* Two levels. Rows are what the blocks compute on: per segment its prefix rows, then `patches` rows for every unit.
 * Units are what sites see: per segment its prefix rows, then one row for every unit. Where a unit is one patch (ViT,
 * CLIP, DINO) the two are the same, and x is tokens. Units of a segment always stand in the order of their anchors
 * (row, col), or in the working order of a selector that keeps one; attention windows gather their rows from there. */
typedef struct pare__pack {
    int32_t n_seg;
    int32_t patches; /* rows per unit: unit^2 */
    int64_t n;       /* rows = cu[n_seg] */
    int64_t *cu;     /* [n_seg + 1] in rows */
    int64_t n_unit;  /* = ucu[n_seg] */
    int64_t *ucu;    /* [n_seg + 1] in units (prefix rows included) */
    int32_t n_prefix;
    int32_t d;
    float *x;               /* [n, d] hidden state */
    const float *tokens;    /* [n_unit, d] at a site: mean over the patches of each unit; x where patches == 1 */
    float *size;            /* [n_unit] units merged within the segment; prefix 1 */
    int32_t has_size;       /* some size != 1: attention adds log(size) of the key */
    int32_t *thw;           /* [n_unit, 3] place of the anchor in units (t = segment.t); prefix rows repeat t, -1, -1 */
    pare__capture *capture; /* [n_capture] */
    int32_t n_capture;
    float *state[PARE__MAX_STEPS]; /* [n_unit, plan.state_width[i]] 0 at first, follows every map; NULL where width 0 */
    const float *y;                /* [n_unit, d_out] after the run: what leaves the encoder (final norm, projector);
                                    * prefix rows are x after the final norm where d_out == d, else 0 */
    int32_t d_out;
    const float *deepstack; /* [n_deepstack, n_unit, d_out] after the run: reduced with everything else; or NULL */
    int64_t cap_rows;
    double flops; /* spent on this pack: what was multiplied, a multiply-add counted as two */
} pare__pack;

typedef enum { PARE__PHASE_PRE, PARE__PHASE_MID, PARE__PHASE_POST } pare__phase;

/* Called for every block and phase that was asked for. Returns 1 with a finished map over the pack's candidates (units;
 * prefix rows left out, segments in order, rows grouped by segment) and the units left per segment in n_out[n_seg]; 0 =
 * keep everything; negative = error, which encode returns. Runs in the calling thread. */
typedef int (*pare__site_fn)(void *user, const pare__pack *pack, int32_t block, pare__phase phase, pare__map *map,
                             int64_t *n_out, pare_error *err);
/* Stages for tracing: name as in pare_stage_fn without batch axis. Non-zero stops. Rows are the pack's, but what goes into
 * and comes out of a projector ("selected", "shuffled", "projector_out", "projected", "deepstack") has one row per unit,
 * prefix rows left out; `block` of "deepstack" counts taps. "projected" is the same array as "projector_out". */
typedef int (*pare__pack_stage_fn)(void *user, const char *name, int32_t block, const float *data, int64_t rows,
                                   int64_t width);

typedef struct pare__encode_plan {
    uint32_t hold[PARE__MAX_BLOCKS]; /* part of want that outlives its block */
    uint32_t want[PARE__MAX_BLOCKS]; /* arrays kept for a site of the same or a later block, or for the output */
    uint8_t site[PARE__MAX_BLOCKS];  /* bit (1 << phase): call on_site there */
    uint8_t
        ahead[PARE__MAX_BLOCKS]; /* 1: the site PRE of this block reads arrays of the block itself: norm, q, k, v and
                                      * attention run once ahead for them, then the block runs on what is left */
    int32_t state_width[PARE__MAX_STEPS]; /* floats per candidate that steps carry from block to block; 0 = none */
    pare__site_fn on_site;
    void *user;
    int32_t unbiased;          /* attention ignores the sizes of merged tokens */
    int32_t remembers;         /* room for the keys and values of a reference segment, which later ones attend to;
                                * nothing may be merged then */
    pare__pack_stage_fn stage; /* NULL = no tracing */
    void *stage_user;
    const volatile int *stop;          /* not 0: no further block is run, CANCELLED; or NULL */
    const struct pare__engine *engine; /* who multiplies; NULL = `auto` at f32 */
} pare__encode_plan;

typedef struct pare__encoder pare__encoder;

/* `pool` is borrowed and may be NULL. max_rows: rows of the largest segment (prefix and all patches of its units); with
 * hp.steps a pack has room for as many of them. The plan is copied; it may ask for blocks behind hp.tap only to trace, and
 * never act there: INVALID. */
int pare__encoder_create(pare__encoder **out, const pare_model *model, pare__pool *pool, const pare__encode_plan *plan,
                         int64_t max_rows, pare_error *err);
void pare__encoder_free(pare__encoder **e);

enum { PARE__MAX_TEMPORAL = 4 };

/* Pixels of one segment: u8 RGB at grid size, and which units are embedded. */
typedef struct pare__segment {
    const uint8_t *rgb[PARE__MAX_TEMPORAL]; /* [temporal] each [grid_h * P, grid_w * P, 3] dense; or [0] NULL when
                                             * `pixels` is given */
    const float *pixels; /* normalised (trace): [3, H, W]; where temporal or unit > 1 the flattened patches of the whole
                          * grid [rows, 3 temporal P P], unit by unit */
    int32_t grid_h, grid_w;   /* patches */
    int32_t t;                /* slot within the window */
    const int32_t *unit;      /* [n] raster index of every surviving unit, ascending; NULL = all */
    int64_t n;                /* units */
    const float *size;        /* [n] or NULL = 1; 0: nobody attends to it (padding) */
    int32_t step;             /* of hp.steps steps that attend to each other; > 0 goes on with the segment before */
    int32_t valid_h, valid_w; /* patches down and across that are real; the others are padding: nobody attends to them,
                               * positions are those of the smaller grid, padding has its first. 0 = all */
    const float *tokens;      /* [n_prefix + n patches, d] rows as they enter block 0, instead of pixels; or NULL */
    int32_t is_reference;     /* keys and values of all its rows and blocks are remembered until the next one; such a
                               * segment is the first of its pack. Needs plan.remembers, as `past` does */
    const int32_t *past;      /* [n_past] raster index of units, ascending and none of `unit`, that it attends to with
                               * the keys and values that the last reference has of them */
    int64_t n_past;
} pare__segment;

/* How many of seg[0..n) fit the next pack (>= 1); steps that attend to each other stay together, a reference starts a
 * pack. */
int32_t pare__encoder_fit(const pare__encoder *e, const pare__segment *seg, int32_t n);
/* Embeds the segments into the encoder's pack (positions by original place), runs all blocks with their sites and the
 * final norm. The pack belongs to the encoder and is valid until the next call. times_ms[2] += embed, blocks (site
 * callbacks excluded); may be NULL. */
int pare__encoder_run(pare__encoder *e, const pare__segment *seg, int32_t n_seg, const pare__pack **out,
                      double *times_ms, pare_error *err);

/* Head: prefix rows and reduced tokens of one frame -> pooled [dim], logits [n_class] (may be NULL). Means are weighted
 * by size (NULL = 1) and exclude prefix tokens; without tokens the CLS stands in. `token` is after the final norm; of
 * a model with a merger they are [n, d_out] and pooled [d_out] is their mean. */
void pare__head(const pare_model *m, const float *prefix, const float *token, const float *size, int64_t n,
                float *pooled, float *logits);
/* The joint embedding of what pare__head pooled -> embed [n_embed]. */
void pare__head_embed(const pare_model *m, const float *pooled, float *embed);
/* The two classifiers of PARE__LOGITS_TEACHER on prefix rows [n_prefix, dim]: of CLS and of the first register, whose mean
 * pare__head gives; each [n_class]. */
void pare__head_teacher(const pare_model *m, const float *prefix, float *cls_logits, float *register_logits);
/* Attention [n] of the learned query on the rows x [n, dim], mean over heads; `scratch` [n_head, n]. */
void pare__head_probe(const pare_model *m, const float *x, const float *size, int64_t n, float *attention,
                      float *scratch);
/* The same classifier on what the caller has: cls [dim] or NULL, mean [dim] of the tokens -> logits [n_class]. Without
 * CLS the mean stands in its place. A classifier of a mean over all rows takes `mean` as it is. Errors: UNSUPPORTED. */
int pare__head_logits(const pare_model *m, const float *cls, const float *mean, float *logits, pare_error *err);

#endif
