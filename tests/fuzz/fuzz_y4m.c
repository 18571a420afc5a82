/* SPDX-License-Identifier: MIT */
/* Whole y4m streams from memory: header, frame lines, samples, conversion. Checks that what is delivered is readable
 * and that the number of frames fits the input. */
#include "media/source.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_DIGITS = 4 };

/* Headers that ask for large pictures only cost memory and time; LIMIT has its own test. */
static int asks_for_much(const uint8_t *data, size_t size)
{
    int digits = 0;
    for (size_t i = 0; i < size && data[i] != '\n'; i++) {
        digits = data[i] >= '0' && data[i] <= '9' ? digits + 1 : 0;
        if (digits >= MAX_DIGITS) return 1;
    }
    return 0;
}

static void touch(const pare_frame *f)
{
    volatile uint8_t sum = 0;
    for (int32_t y = 0; y < f->height; y++)
        for (int64_t x = 0; x < (int64_t)f->width * 3; x++) sum = (uint8_t)(sum + f->rgb[y * f->stride + x]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (asks_for_much(data, size)) return 0;
    pare_source_info info = {0};
    pare_error err;
    void *self = NULL;
    if (pare__y4m_open_memory(&self, data, size, &info, &err)) {
        if (self || err.code >= 0) abort();
        return 0;
    }
    pare_frame frame = {.struct_size = sizeof frame};
    int64_t n = 0;
    int rc;
    pare__picture picture = {0};
    while (!(rc = pare__source_y4m.next(self, &frame, &err)) &&
           !(rc = pare__source_y4m.pixels(self, &picture, &frame, &err))) {
        touch(&frame);
        n += (int64_t)frame.width * frame.height;
    }
    if (rc != PARE_EOF || n > (int64_t)size) abort(); /* at least one byte of luma per pixel */
    pare__picture_free(&picture);
    pare__source_y4m.close(self);
    return 0;
}
