/* SPDX-License-Identifier: MIT */
/* The prompt of pare frames: one JSON document about the chosen frames, their time, the tokens that every consumer makes of
 * them, and the message that he takes. prompt.schema.json beside this file describes it. */
#ifndef PARE_TOOLS_PROMPT_H
#define PARE_TOOLS_PROMPT_H

#include <jansson.h>
#include <pare/media.h>

#include "key_frames.h"

typedef struct cli_prompt {
    const char *input;
    const pare_source_info *info;
    const pare_survey_view *survey;
    const cli_key_budget *budget;
    const cli_key_plan *plan;
    const char *media_type;  /* "image/jpeg", "image/png", "video/mp4" */
    const char *video;       /* name of the video, or NULL: */
    const char *const *file; /* [plan->n] names of the pictures */
    int32_t is_photo;
} cli_prompt;

json_t *cli_prompt_json(const cli_prompt *p);

#endif
