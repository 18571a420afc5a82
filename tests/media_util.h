/* SPDX-License-Identifier: MIT */
/* What the tests of pare_media share: a scratch folder, pictures whose number can be read back, small files. */
#ifndef PARE_TESTS_MEDIA_UTIL_H
#define PARE_TESTS_MEDIA_UTIL_H

#include <pare/media.h>

#ifndef PARE_TEST_AHEAD
#define PARE_TEST_AHEAD 0
#endif

/* Name of a file in the scratch folder of this process; four names are valid at a time. */
const char *scratch(const char *name);
/* Files in the scratch folder whose name contains `part`. */
int scratch_files(const char *part);
void scratch_remove(void);

/* RGB [h, w, 3] in which frame i can be recognised after lossy coding: a grey of 20 + 20 (i % 11), a red square in the
 * upper left quarter. */
void paint(uint8_t *rgb, int width, int height, int i);
/* i % 11 of a picture made by paint(). */
int number_of(const pare_frame *f);

/* Writes n painted frames at the stamps pts[n] (NULL: i / rate) with pare_video_writer. */
void write_clip(const char *path, int width, int height, int n, double rate, const double *pts);

/* Writes the display matrix of a quarter turn clockwise, `turns` times (4 to 7: mirrored left to
 * right, then turned turns - 4 times), into the tkhd box of an MP4 file. */
void turn_clip(const char *path, int turns);

/* PNG of 8 or 16 bit with 1 to 4 channels; data [h, w, channels], 16 bit big endian. */
void write_png(const char *path, int width, int height, int channels, int bits, const uint8_t *data);
void write_file(const char *path, const void *data, size_t n);
void append_file(const char *to, const char *from, double share);

/* Hash of the visible pixels. */
uint64_t hash_frame(const pare_frame *f);

/* Opens or fails the test; reads PARE_TEST_AHEAD frames ahead unless `opts` says otherwise. */
pare_source *open_or_fail(const char *path, const pare_source_opts *opts);

/* Reads to the end and closes: how many frames; up to `max` stamps and hashes are stored where not NULL. */
int read_all(pare_source *s, double *pts, uint64_t *hash, int max, pare_source_info *info);

#endif
