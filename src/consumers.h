/* SPDX-License-Identifier: MIT */
/* One row per consumer: who it is, and whose arithmetic counts its tokens. */
#ifndef PARE_CONSUMERS_H
#define PARE_CONSUMERS_H

#include <pare/consumer.h>

#include "model/model.h"

typedef struct pare__consumer pare__consumer;

struct pare__consumer {
    pare_consumer_info info; /* struct_size 0 */
    /* Fills what it knows: n_tokens always. `ask` is checked, its sizes lie in 1 .. PARE__MAX_SIDE. */
    int (*count)(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out, pare_error *err);
    /* Open models: JSON as in their repositories, as far as tokens hang on it; NULL = none. */
    const char *config, *photo, *clip;
    int32_t min_clip;       /* frames of the shortest clip it takes; 0 = 1 */
    int32_t clip_is_photos; /* the family knows no clips: every frame is a photo that is not cut into tiles */
    /* Hosted ones: tokens of a picture, of a tile or patch of it. */
    double base, each;
    int32_t max_edge, max_patches, side;
    int32_t per_frame;         /* of a clip; 0 = as a photo */
    int32_t max_side;          /* pixels of a photo; 0 = none told */
    int32_t crowd, crowd_side; /* of more photos in a message no side may be longer; 0 = none told */
};

/* Ends with a row without a name. */
extern const pare__consumer pare__consumers[];

int pare__consumer_count_model(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                               pare_error *err);
/* base + each for every tile of 512 pixels. */
int pare__consumer_count_tiles(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                               pare_error *err);
/* each for every patch of `side` pixels, at most max_patches. */
int pare__consumer_count_patches(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                                 pare_error *err);
/* width height / each, or without `each` one for every patch, after the picture is brought below max_edge and max_patches patches of `side` pixels. */
int pare__consumer_count_area(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                              pare_error *err);
/* `each` for every crop of two thirds of the shorter side. */
int pare__consumer_count_crops(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                               pare_error *err);
/* `each`, whatever the size. */
int pare__consumer_count_fixed(const pare__consumer *c, const pare_consumer_ask *ask, pare_consumer_count *out,
                               pare_error *err);

#endif
