/* SPDX-License-Identifier: MIT */
/* What VidCom2's score, allocator and selector share: how alike every token is to the centre of the clip and to that of
 * its frame, and how far every frame stands out. */
#ifndef PARE_SELECT_VIDCOM2_H
#define PARE_SELECT_VIDCOM2_H

#include "select/view.h"

/* Entries of the option tables. */
#define PARE__VIDCOM2_TEMPERATURE                                                                                      \
    PARE__OPTION_FLOAT(pare__vidcom2_rule, temperature,                                                                \
                       "of the softmax over frames: the lower, the more one frame takes", 0.01, 1e-4, 100)
#define PARE__VIDCOM2_ALPHAS                                                                                           \
    PARE__OPTION_STRING(pare__vidcom2_rule, alphas, "widths of the bells that measure likeness, rising",               \
                        "0.125/0.25/0.5/1/2")

enum { PARE__VIDCOM2_MAX_ALPHAS = 16 };

typedef struct pare__vidcom2_rule {
    double ratio, temperature;
    char alphas[PARE__OPTION_TEXT];
} pare__vidcom2_rule;

typedef struct pare__vidcom2 {
    int32_t n_channel; /* half of the channels, those that vary least */
    int32_t *channel;  /* [n_channel] ascending */
    double *video;     /* [n] G(token, centre of the view) */
    double *frame;     /* [n] G(token, centre of its frame) */
    double *share;     /* [n_frame] 1 + p - mean p, p = softmax of how far frames stand out; 0 for one without tokens */
} pare__vidcom2;

/* All but the shares; everything lives in the view's arena. Errors: INVALID (no tokens, alphas), NOMEM. */
int pare__vidcom2_measure(const pare__view *v, const pare__vidcom2_rule *rule, pare__vidcom2 *out, pare_error *err);
/* Adds the shares to what was measured. 0 or PARE_E_NOMEM. */
int pare__vidcom2_share(const pare__view *v, const pare__vidcom2_rule *rule, pare__vidcom2 *out);
/* Reads alphas= into alpha[PARE__VIDCOM2_MAX_ALPHAS] and returns how many there are. Errors: INVALID. */
int pare__vidcom2_alphas(const pare__vidcom2_rule *rule, double *alpha, pare_error *err);

#endif
