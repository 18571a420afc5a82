/* SPDX-License-Identifier: MIT */
/* EXIF from memory, as a TIFF structure and as a whole JPEG or PNG: whatever it is, one of eight turns, and nothing read
 * behind the end (the bytes lie in memory of their own size). */
#include "media/exif.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(pare__turn t)
{
    if (t.mirrored != 0 && t.mirrored != 1) abort();
    if (t.rotation != 0 && t.rotation != 90 && t.rotation != 180 && t.rotation != 270) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *own = malloc(size ? size : 1);
    if (!own) return 0;
    if (size) memcpy(own, data, size);
    check(pare__exif_parse(own, size));
    FILE *f = size ? fmemopen(own, size, "rb") : NULL;
    if (f) {
        check(pare__exif_read(f));
        if (ftell(f) != 0) abort();
        fclose(f);
    }
    free(own);
    return 0;
}
