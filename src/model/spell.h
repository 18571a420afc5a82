/* SPDX-License-Identifier: MIT */
/* Rows of a family's tables as the names of one checkpoint: prefix, alternatives, parts, numbers. */
#ifndef PARE_MODEL_SPELL_H
#define PARE_MODEL_SPELL_H

#include "core/limits.h"
#include "model/family.h"
#include "model/store.h"

enum { PARE__MAX_PARTS = 4 };

typedef struct pare__speller {
    const pare__store *s;
    const char *prefix;
    int32_t d, b; /* what %d and %b stand for; d is -1 outside blocks and taps */
} pare__speller;

/* What one array is made of. */
typedef struct pare__spelling {
    char name[PARE__MAX_PARTS][PARE__MAX_NAME + 1]; /* "" is a part of zeros */
    int n_part;
    int in_slices; /* the parts are slices of the axis E, else stacked along the first axis */
} pare__spelling;

/* The first prefix behind which the checkpoint holds one of the family's probes, else the first. */
const char *pare__spell_prefix(const pare__store *s, const pare__family *family);
/* The first alternative of the row's tensor of which the checkpoint holds the first part: 1, else 0 and the first one.
 * suffix: "", ".weight" or ".bias". A bias is that of the weight that is there, or of bias_names; any part of it counts. */
int pare__spell_row(const pare__speller *p, const pare__binding *row, const char *suffix, pare__spelling *out);

#endif
