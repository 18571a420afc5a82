/* SPDX-License-Identifier: MIT */
/* What VidCom2's score, allocator and selector share: how alike every token is to the centre of the clip and to that of
 * its frame, and how far every frame stands out. */
#ifndef PARE_SELECT_VIDCOM2_H
#define PARE_SELECT_VIDCOM2_H

#include "select/view.h"

#define PARE__VIDCOM2_TEMPERATURE 0.01

typedef struct pare__vidcom2 {
    int32_t n_channel; /* half of the channels, those that vary least */
    int32_t *channel;  /* [n_channel] ascending */
    double *video;     /* [n] G(token, centre of the view) */
    double *frame;     /* [n] G(token, centre of its frame) */
    double *share;     /* [n_frame] 1 + p - mean p, p = softmax of how far frames stand out; 0 for one without tokens */
} pare__vidcom2;

/* Everything lives in the view's arena. owner names the plug-in in messages. Errors: INVALID (no tokens), NOMEM. */
int pare__vidcom2_run(const pare__view *v, double temperature, const char *owner, pare__vidcom2 *out, pare_error *err);

#endif
