/* SPDX-License-Identifier: MIT */
/* EXIF: a TIFF structure in an APP1 segment of a JPEG, or in an eXIf chunk of a PNG. Of its first directory one entry is
 * read, the orientation (tag 0x0112, a SHORT): 1 .. 8, which row and which column of the stored picture are its upper and
 * its left edge. Sources: CIPA DC-008 (Exif 2.32) 4.6.4, TIFF 6.0 section 2, PNG third edition 11.3.4.3. */
#include "media/exif.h"

#include <string.h>

enum {
    MAX_EXIF = 1 << 16, /* bytes; a JPEG segment cannot hold more */
    MAX_SEGMENTS = 1 << 10,
    ORIENTATION = 0x0112,
    SHORT = 3,
    ENTRY = 12 /* bytes of an entry: tag, type, count, value */
};

/* ---- TIFF ------------------------------------------------------------------------------------------------------ */

static uint32_t number(const uint8_t *p, int n_bytes, int is_big)
{
    uint32_t value = 0;
    for (int i = 0; i < n_bytes; i++) value = value << 8 | p[is_big ? i : n_bytes - 1 - i];
    return value;
}

static pare__turn turn_of(uint32_t orientation)
{
    static const pare__turn turns[] = {{0, 0}, {1, 0}, {0, 180}, {1, 180}, {1, 270}, {0, 90}, {1, 90}, {0, 270}};
    return orientation >= 1 && orientation <= 8 ? turns[orientation - 1] : turns[0];
}

pare__turn pare__exif_parse(const uint8_t *tiff, size_t n)
{
    const pare__turn none = {0, 0};
    if (n < 8 || (memcmp(tiff, "II*\0", 4) && memcmp(tiff, "MM\0*", 4))) return none;
    const int is_big = tiff[0] == 'M';
    const size_t at = number(tiff + 4, 4, is_big);
    if (at > n - 2) return none;
    const size_t count = number(tiff + at, 2, is_big), fit = (n - at - 2) / ENTRY;
    for (size_t i = 0; i < count && i < fit; i++) {
        const uint8_t *e = tiff + at + 2 + i * ENTRY;
        if (number(e, 2, is_big) != ORIENTATION) continue;
        return number(e + 2, 2, is_big) == SHORT && number(e + 4, 4, is_big) == 1 ? turn_of(number(e + 8, 2, is_big))
                                                                                  : none;
    }
    return none;
}

/* ---- files ----------------------------------------------------------------------------------------------------- */

static int read_bytes(FILE *f, uint8_t *to, size_t n) { return fread(to, 1, n, f) == n; }

/* The file stands behind the first two bytes. Metadata come before the picture (SOS, 0xda). */
static pare__turn read_jpeg(FILE *f, uint8_t *bytes)
{
    static const uint8_t magic[6] = "Exif\0";
    uint8_t head[4];
    for (int i = 0; i < MAX_SEGMENTS && read_bytes(f, head, 4) && head[0] == 0xff && head[1] != 0xda; i++) {
        const size_t n = number(head + 2, 2, 1);
        if (n < 2) break;
        if (head[1] != 0xe1) {
            if (fseek(f, (long)n - 2, SEEK_CUR)) break;
            continue;
        }
        if (!read_bytes(f, bytes, n - 2)) break;
        if (n - 2 > sizeof magic && !memcmp(bytes, magic, sizeof magic))
            return pare__exif_parse(bytes + sizeof magic, n - 2 - sizeof magic);
    }
    return (pare__turn){0, 0};
}

/* The file stands behind the signature. A chunk: length, type, data, checksum. */
static pare__turn read_png(FILE *f, uint8_t *bytes)
{
    uint8_t head[8];
    for (int i = 0; i < MAX_SEGMENTS && read_bytes(f, head, 8) && memcmp(head + 4, "IEND", 4); i++) {
        const uint32_t n = number(head, 4, 1);
        if (!memcmp(head + 4, "eXIf", 4))
            return n <= MAX_EXIF && read_bytes(f, bytes, n) ? pare__exif_parse(bytes, n) : (pare__turn){0, 0};
        if (n > INT32_MAX || fseek(f, (long)n + 4, SEEK_CUR)) break;
    }
    return (pare__turn){0, 0};
}

pare__turn pare__exif_read(FILE *f)
{
    uint8_t magic[8], bytes[MAX_EXIF];
    pare__turn turn = {0, 0};
    rewind(f);
    if (read_bytes(f, magic, sizeof magic)) {
        if (!memcmp(magic, "\x89PNG\r\n\x1a\n", sizeof magic))
            turn = read_png(f, bytes);
        else if (magic[0] == 0xff && magic[1] == 0xd8 && !fseek(f, 2, SEEK_SET))
            turn = read_jpeg(f, bytes);
    }
    rewind(f);
    return turn;
}

/* ---- pixels ---------------------------------------------------------------------------------------------------- */

/* Every turn is a walk with other steps through the source; a mirror walks its rows backwards. */
void pare__turn_pixels(const uint8_t *rgb, int64_t stride, int32_t width, int32_t height, pare__turn turn, uint8_t *out)
{
    const int r = turn.rotation, is_quarter = r % 180 != 0;
    const int64_t pixel = turn.mirrored ? -3 : 3;
    const int starts_right = (r == 180 || r == 270) != (turn.mirrored != 0), starts_low = r == 90 || r == 180;
    const uint8_t *line =
        rgb + (starts_low ? (height - 1) * stride : 0) + (starts_right ? (int64_t)(width - 1) * 3 : 0);
    const int64_t step_x = r == 0 ? pixel : r == 90 ? -stride : r == 180 ? -pixel : stride;
    const int64_t step_y = r == 0 ? stride : r == 90 ? pixel : r == 180 ? -stride : -pixel;
    const int32_t out_width = is_quarter ? height : width, out_height = is_quarter ? width : height;
    for (int32_t y = 0; y < out_height; y++, line += step_y) {
        const uint8_t *from = line;
        for (int32_t x = 0; x < out_width; x++, from += step_x, out += 3) memcpy(out, from, 3);
    }
}
