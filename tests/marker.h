/* SPDX-License-Identifier: MIT */
/* A marker on a plain stored picture, and the judgement whether the token that saw it has the right box. */
#ifndef PARE_TESTS_MARKER_H
#define PARE_TESTS_MARKER_H

#include <pare/pare.h>

enum { PLAIN = 60, MARKED = 240, MAX_TRIES = 40 };

/* Random choices of the tests; set the seed first. */
void chance_seed(uint64_t seed);
int32_t chance(int32_t low, int32_t high); /* low..high */

typedef struct picture {
    int32_t stored_w, stored_h, rotation;
    int32_t width, height; /* upright */
    uint8_t *rgb;          /* [height, width, 3] */
} picture;

/* Sides in low..high, any rotation; free(rgb). */
picture new_picture(int32_t low, int32_t high);
/* Plain, with a square of 2 radius + 1 pixels around the stored pixel (x, y); radius < 0: none. */
void draw(picture *p, int32_t x, int32_t y, int32_t radius);
/* Where a stored pixel lies after `rotation` degrees clockwise. */
void turn(const picture *p, int32_t x, int32_t y, int32_t *ux, int32_t *uy);
pare_frame frame_of(const picture *p, double pts);

typedef struct marker {
    int32_t x, y, radius;
    float blur; /* source pixels that the resize may smear it */
} marker;

/* A marker of about three pixels after a resize by `scale`. */
marker new_marker(const picture *p, double scale);

/* One token of a layer: tokens whose boxes share nothing but edges. */
typedef struct cell {
    const float *box; /* [4] stored pixels */
    double reaction;  /* to the marker */
} cell;

/* The cell that reacts alone; -1 = none does; -2 = several do. */
int64_t strongest(const cell *c, int64_t n);
/* The found token's box holds the marker and no other does. Where the marker's centre was cropped away, what is left of
 * it lies at the edge of the token that saw it. 0 = too close to a border between tokens to tell. */
int judge(const cell *c, int64_t n, const marker *m, const char *what);

#endif
