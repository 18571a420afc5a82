/* SPDX-License-Identifier: MIT */
/* libpare_media: open files, cameras and URLs as frames; write video. Built on pare.h; no libav type appears here.
 * Conventions as in pare.h. */
#ifndef PARE_MEDIA_H
#define PARE_MEDIA_H

#include <pare/pare.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One opened input. One thread at a time. */
typedef struct pare_source pare_source;

typedef struct pare_source_opts {
    uint32_t struct_size;
    const char *format; /* NULL = by content; "y4m", "rgb24" (needs width, height, rate), "image", or a libav demuxer */
    int32_t width, height; /* rgb24 only, pixels */
    double rate;           /* frames per second: rgb24, or the rate asked of a camera */
    double start, end;     /* seconds after the first frame, half open: [start, end); end 0 = to the last frame */
    double fps;            /* sample at this rate: the first frame at or after every tick, never a frame twice */
    int64_t frames;        /* sample this many, uniformly; all if there are fewer. Not for input that is_live */
    int64_t every;         /* sample every n-th frame. At most one of fps, frames, every */
    int32_t n_threads;     /* decoder threads; 0 = automatic */
    int32_t read_ahead; /* frames that a thread of the source decodes ahead, from the first read on: 0 = none, at most
                            * 64; fewer of large pictures (64 MiB, but one), none of a still. read() then copies
                            * nothing, it hands out one of read_ahead + 1 buffers. Same frames, errors, order and facts
                            * (pare_source_get); count waits for the frame that is being read */
    /* Set to 1 (from a signal handler, say): a read, also a blocked one, then answers PARE_EOF, open and count fail with
     * IO; may be NULL. */
    const volatile int *stop;
    /* 1: JPEG and PNG stills are turned and mirrored as their EXIF orientation says; 0 = as stored, as the reference
     * processors take them. */
    int32_t exif;
    int32_t ignore_alpha; /* 1: colours of stills as stored, as PIL's convert("RGB"); 0 = composited on white */
    int32_t motion; /* 1: frames carry what the decoder predicted them from, where the codec tells (pare_frame.motion,
                     * has_motion), borrowed like their pixels; nothing is decoded twice for it, but decoder
                     * threads then share the slices of a picture instead of taking a picture each */
    /* Seconds without a packet after which a network input or a camera is given up or opened again; 0 = 10. A pipe is
     * waited for as long as its writer lives, unless a time is given. */
    double timeout;
    int32_t reconnects; /* how often in a row a network input that breaks off is opened again; 0 = not */
    int32_t stream;     /* 1 = the first video stream of the file, 2 = the second, ...; 0 = the best one */
} pare_source_opts;

typedef struct pare_source_info {
    uint32_t struct_size;
    const char *driver;    /* "libav", "stb", "y4m", "rgb24" */
    const char *codec;     /* "mpeg4", "png", "rawvideo" */
    int32_t width, height; /* upright, pixels */
    int32_t rotation;      /* degrees clockwise applied to make it upright */
    int32_t is_image;
    int32_t is_live;    /* cannot be read twice */
    double rate;        /* average frames per second, 0 if unknown */
    double duration;    /* seconds, 0 if unknown */
    int64_t n_damaged;  /* frames that could not be decoded so far */
    double origin;      /* pts of the clip's first frame, from which start and end count; known after the first read */
    int32_t mirrored;   /* as in pare_frame */
    int32_t has_motion; /* frames can carry motion: H.264, MPEG-1/2/4 and its kin */
    int32_t n_reconnects;   /* so far */
    int32_t n_size_changes; /* pictures delivered of another size than the one before, so far */
    int32_t n_streams;      /* video streams of the file; pictures attached to it (covers) are none */
    int32_t stream;         /* of them the one that is read, from 1 */
    /* 1: the frames seen so far, or the file's header, have two fields of different moments. They come woven, as stored:
     * what moves has combs. */
    int32_t is_interlaced;
    double pixel_aspect; /* width : height of an upright picture's pixels; 1 if square or unknown. Never applied */
    /* Packets that came damaged and frames that the decoder had to patch, so far. They are delivered; parts of their
     * pictures may be wrong. */
    int32_t n_flawed;
} pare_source_info;

/* What a codec tells beside pixels. */
typedef struct pare_codec_info {
    uint32_t struct_size;
    const char *name;    /* "h264", as pare_source_info.codec; static */
    int32_t has_decoder; /* this FFmpeg can decode it */
    int32_t has_motion;  /* and its decoder tells the vectors of predicted blocks (pare_frame.motion) */
    int32_t has_types;   /* it has frames of several types (pare_motion.frame_type); 0: every frame stands alone */
} pare_codec_info;

/* The i-th of the codecs that are common in cameras and files; `out->struct_size` must be set. Any thread. Errors: NOTFOUND
 * past the end (without FFmpeg: always), INVALID (struct_size). */
PARE_API int pare_codec_get(int32_t i, pare_codec_info *out);

/* `path`: a file, URL, device, "-" (stdin), or a printf pattern of numbered images (frame_%03d.png).
 * A pattern starts at its first existing index, 0 or 1; its rate is opts.rate, or 25. opts may be NULL.
 * stdin may hold whatever a file may, if it can be read from its beginning to its end: y4m and, with a size and a rate, raw
 * RGB are read by pare itself.
 * Time is what the file says: `pts` of the frames of a clip are its stamps, of variable distance and possibly negative; a
 * frame without one comes a frame after the one before. A network input that was opened again goes on where it stopped: a
 * file at the next frame; a broadcast, whatever its new stamps, as much later as passed on the clock.
 * A broadcast has no end of its own: a network stream that announces neither size nor duration ends with IO, when its
 * sender has gone.
 * Of high dynamic range 8 bits of every channel are kept and no tone is mapped.
 * FFmpeg logs to stderr by default: the first open sets its log level to quiet unless the host has set a level.
 * Errors: IO, FORMAT, UNSUPPORTED, INVALID (options), LIMIT (pixels); the text names the path. */
PARE_API int pare_source_open(pare_source **out, const char *path, const pare_source_opts *opts, pare_error *err);
PARE_API int pare_source_get(const pare_source *s, pare_source_info *info, pare_error *err);
/* Number of frames that read() will deliver, by a pass over the time stamps (no decoding). For
 * a damaged file, or a codec with hidden frames, it is an estimate. The reading position stays where it is.
 * Errors: UNSUPPORTED for input that cannot be read twice. */
PARE_API int pare_source_count(pare_source *s, int64_t *n, pare_error *err);
/* Next sampled frame, or PARE_EOF after the decoder is drained. `frame->struct_size` must be set and stays; the rest is
 * filled as far as it goes. The pixels are borrowed until the next call on `s`.
 * Damaged frames are skipped and counted; a source that yields none fails with FORMAT, one whose range holds none with
 * INVALID. A file that is cut off ends there; a live input that breaks off fails with IO. */
PARE_API int pare_source_read(pare_source *s, pare_frame *frame, pare_error *err);
PARE_API void pare_source_close(pare_source **s);

/* H.264 (MPEG-4 part 2 without libx264) in .mp4 .m4v .mov .mkv .ts, VP9 in .webm. One thread at a time; the file appears
 * on finish only, and replaces an older one then; links are followed, permissions kept. */
typedef struct pare_video_writer pare_video_writer;

/* Width and height must be positive; odd sizes are padded by one pixel. 1 / rate (0 = 25) is the
 * duration of the last frame.
 * Errors: IO (unwritable path, not a regular file), UNSUPPORTED (suffix), INVALID, LIMIT; before any work. */
PARE_API int pare_video_writer_open(pare_video_writer **out, const char *path, int32_t width, int32_t height,
                                    double rate, pare_error *err);
/* RGB [height, width, 3], dense; pts in seconds. A stamp that is not after the previous one moves just behind it. */
PARE_API int pare_video_writer_append(pare_video_writer *w, const uint8_t *rgb, double pts, pare_error *err);
PARE_API int pare_video_writer_finish(pare_video_writer *w, pare_error *err);
/* Without finish: what was written is gone. */
PARE_API void pare_video_writer_close(pare_video_writer **w);

#ifdef __cplusplus
}
#endif
#endif
