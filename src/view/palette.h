/* SPDX-License-Identifier: MIT */
/* Colour maps as 256 RGB entries. */
#ifndef PARE_VIEW_PALETTE_H
#define PARE_VIEW_PALETTE_H

#include <stdint.h>

typedef struct pare__palette {
    const char *name;
    const uint8_t (*rgb)[3]; /* [256] */
} pare__palette;

extern const pare__palette pare__palettes[]; /* ends with name == NULL; [0] is the default */
/* NULL = the default. NULL if there is none of this name. */
const pare__palette *pare__palette_find(const char *name);

#endif
