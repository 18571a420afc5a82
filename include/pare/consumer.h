/* SPDX-License-Identifier: MIT */
/* Consumers: who reads pictures and clips, and how many tokens he makes of them, without a checkpoint. Open models follow
 * the configuration they were published with, hosted ones the formula of their documentation. PARE_LIST_CONSUMERS lists
 * them with source and date. Conventions as in pare.h. */
#ifndef PARE_CONSUMER_H
#define PARE_CONSUMER_H

#include <stdint.h>

#include <pare/runtime.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a message to the consumer is built. */
enum {
    PARE_MESSAGE_PLAIN,     /* a list of {"type": "image"} or {"type": "video"}, as transformers' chat templates take */
    PARE_MESSAGE_QWEN,      /* the same; clips as lists of frames with their rate */
    PARE_MESSAGE_OPENAI,    /* parts "image_url" */
    PARE_MESSAGE_ANTHROPIC, /* blocks "image" */
    PARE_MESSAGE_GEMINI     /* parts "inline_data" */
};

typedef struct pare_consumer_info {
    uint32_t struct_size;
    const char *name, *summary;
    const char *source; /* whose rule it is */
    const char *date;   /* when it was read, "2026-11"; of open models the release of transformers */
    int32_t message;    /* PARE_MESSAGE_* */
    int32_t is_hosted;  /* the rule is documentation, which its owner may change without notice */
    int32_t has_clips;  /* a clip is one input with a rule of its own; else every frame is a photo */
    int32_t per_step;   /* frames of a clip that share tokens: 2 (Qwen), else 1 */
    int32_t max_photos; /* in one message; 0 = none told */
    double per_second;  /* frames a second that it takes from a video file of its own accord; 0 = none told */
} pare_consumer_info;

typedef struct pare_consumer_ask {
    uint32_t struct_size;
    int32_t width, height; /* of the picture as it is sent, pixels */
    int64_t n_frames;      /* 0 = one photo; else a clip of so many frames, all of this size */
    double rate;           /* frames a second of the clip, for positions; 0 = the consumer's default, 2 */
    int32_t apart;         /* 1: the frames go as so many photos, also to who takes clips */
} pare_consumer_ask;

typedef struct pare_consumer_count {
    uint32_t struct_size;
    int64_t n_tokens;             /* visual tokens of it all; words and markers around them do not count */
    int64_t n_steps;              /* pictures of a clip that have tokens of their own: frames, or steps of per_step */
    double tokens_per_frame;      /* n_tokens / frames */
    int64_t n_positions;          /* that the visual tokens take in the language model: fewer than tokens with M-RoPE */
    int32_t width, height;        /* what the consumer makes of a picture, or of each of its tiles, pixels */
    int32_t tile_rows, tile_cols; /* 1, 1 = not cut */
    int32_t has_whole;            /* 1: the whole picture stands beside its tiles */
    int32_t grid_h, grid_w;       /* tokens of a picture or tile in rows and columns, before they are pooled; or 0 */
} pare_consumer_count;

/* The consumer of that name; strings are static. `info->struct_size` must be set. Any thread.
 * Errors: INVALID (no such name: the nearest is offered). */
PARE_API int pare_consumer_get(const char *name, pare_consumer_info *info, pare_error *err);

/* Tokens that the consumer makes of a photo or clip. Clips are what the processor is given: it samples no further. Both
 * struct sizes must be set. Any thread.
 * Sources: transformers 5.23's processors with the published configurations; documentation of the hosted ones.
 * Errors: INVALID (name, sizes), LIMIT (a side above the limits, an aspect, a length or a number of photos that
 * the consumer refuses), NOMEM. */
PARE_API int pare_consumer_count_get(const char *name, const pare_consumer_ask *ask, pare_consumer_count *count,
                                     pare_error *err);

#ifdef __cplusplus
}
#endif
#endif
