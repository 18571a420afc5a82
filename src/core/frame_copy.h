/* SPDX-License-Identifier: MIT */
/* A frame of one's own: what a caller lent for a call, copied with everything that it points to. */
#ifndef PARE_CORE_FRAME_COPY_H
#define PARE_CORE_FRAME_COPY_H

#include <pare/pare.h>

/* Zero is empty. Memory serves from frame to frame: once the largest has been here, copying allocates nothing. */
typedef struct pare__frame_copy {
    pare_frame frame; /* rows dense, in the layout of the original; points into `data` and to `motion` */
    pare_motion motion;
    uint8_t *data;
    int64_t cap;
} pare__frame_copy;

/* `f` is checked (pare__take_frame), its motion has this library's struct. Errors: NOMEM. */
int pare__frame_copy_take(pare__frame_copy *to, const pare_frame *f, pare_error *err);
void pare__frame_copy_fini(pare__frame_copy *copy);

#endif
