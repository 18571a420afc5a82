/* SPDX-License-Identifier: MIT */
/* What pare frames decides before it writes anything: how many frames, which, at what size, for whom. Functions that return
 * `int` return an exit code and have said on stderr what went wrong. */
#ifndef PARE_TOOLS_KEY_FRAMES_H
#define PARE_TOOLS_KEY_FRAMES_H

#include <pare/consumer.h>
#include <pare/frames.h>

#include "session.h"

enum { CLI_MAX_CONSUMERS = 64, CLI_MAX_SIZES = 24, CLI_DEFAULT_FRAMES = 16 };

/* What was asked for. 0 = not given. */
typedef struct cli_key_budget {
    int64_t tokens, tokens_per_frame, frames;
    double keep, evenness, min_gap;
    int32_t uniform;
    cli_size size;     /* 0, 0 = the source's, or auto */
    int32_t auto_size; /* sizes and counts are weighed against each other */
    int32_t as_clip;   /* frames go out as one clip where consumers take any, else each as a photo */
} cli_key_budget;

typedef struct cli_key_consumer {
    pare_consumer_info info;
    pare_consumer_count count; /* of what was chosen */
    int32_t is_clip;           /* the chosen frames are one clip to it */
    int64_t budget;            /* of all tokens; 0 = none */
    pare_error refusal;        /* why it takes none of these pictures; code 0 = it does */
} cli_key_consumer;

/* A size that was weighed. */
typedef struct cli_key_size {
    int32_t width, height;
    int64_t frames, tokens; /* tokens: of the consumer that pays most */
    double coverage, detail;
} cli_key_size;

typedef struct cli_key_plan {
    cli_key_consumer consumer[CLI_MAX_CONSUMERS];
    int32_t n_consumer;
    cli_key_size size[CLI_MAX_SIZES];
    int32_t n_size, chosen; /* of size */
    int64_t *index;         /* [n] ascending */
    int64_t n;
    double coverage_uniform;
} cli_key_plan;

/* Names of consumers, or "all"; none = all of them, unless tokens are budgeted. */
int cli_key_consumers(cli_common *c, const cli_list *names, const cli_key_budget *budget, cli_key_plan *plan);
/* Decides. `input` is named in complaints. The caller frees the plan in every case. */
int cli_key_decide(cli_common *c, const char *input, const pare_survey *survey, const cli_key_budget *budget,
                   int is_photo, cli_key_plan *plan);
/* 1 if sizes will be weighed, so that the survey must judge them. */
int cli_key_weighs(const cli_key_budget *budget);
void cli_key_free(cli_key_plan *plan);

#endif
