/* SPDX-License-Identifier: MIT */
/* A limit on everything that a file or a caller can ask for. Exceeding one is PARE_E_LIMIT. */
#ifndef PARE_CORE_LIMITS_H
#define PARE_CORE_LIMITS_H

enum {
    PARE__MAX_SIDE = 16384,     /* pixels of a frame side */
    PARE__MOTION_BLOCK = 16,    /* pixels of a block side of pare_motion */
    PARE__MAX_PIXELS = 1 << 28, /* pixels of a frame */
    PARE__MAX_UNITS_PER_FRAME = 1 << 16,
    PARE__MAX_WINDOW = 1 << 14,     /* temporal steps decided together */
    PARE__MAX_QUEUE = 4096,         /* frames or results that wait between threads */
    PARE__MAX_WAIT = 1 << 30,       /* seconds */
    PARE__MAX_PLAN_STEPS = 1 << 24, /* temporal steps of a plan */
    PARE__MAX_TILES = 64,           /* tiles of a picture in a row or column */
    PARE__MAX_STEPS = 16,           /* steps of a recipe */
    PARE__MAX_BLOCKS = 256,
    PARE__MAX_DIM = 16384,
    PARE__MAX_HEADS = 256,
    PARE__MAX_REGISTERS = 64,
    PARE__MAX_THREADS = 256,
    PARE__MAX_TENSORS = 65536,
    PARE__MAX_NAME = 1024,         /* bytes of a tensor name */
    PARE__MAX_HEADER = 100000000,  /* bytes of a safetensors header */
    PARE__MAX_META = 1 << 20,      /* values kept of the metadata of a tensor file */
    PARE__MAX_CONFIG = 64 << 20,   /* bytes of a JSON configuration */
    PARE__MAX_TEXT_ROWS = 1 << 16, /* embedded text tokens */
    PARE__MAX_MEASURED = 4096,     /* units of a window whose features are measured; of more, evenly spaced ones */
    PARE__MAX_CLASSES = 1 << 18,
    PARE__MAX_PATH = 4096, /* bytes of a file name with its directories */
    PARE__MAX_TEXT = 4096  /* bytes of a recipe */
};

#define PARE__MAX_BYTES ((int64_t)1 << 38)      /* one allocation */
#define PARE__MAX_CLIP_BYTES ((int64_t)8 << 30) /* window = the whole clip */

#endif
