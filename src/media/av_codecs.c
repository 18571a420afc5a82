/* SPDX-License-Identifier: MIT */
/* The codecs of cameras and files, and what their decoders in this FFmpeg tell beside pixels. */
#include <libavcodec/avcodec.h>
#include <string.h>

#include "media/av_motion.h"

static const char *const names[] = {"h264", "mpeg1video", "mpeg2video", "mpeg4", "msmpeg4v1", "msmpeg4v2", "msmpeg4v3",
                                    "wmv1", "wmv2",       "h261",       "h263",  "flv1",      "rv10",      "rv20",
                                    "hevc", "vp8",        "vp9",        "av1",   "vc1",       "theora",    "mjpeg"};

int pare_codec_get(int32_t i, pare_codec_info *out)
{
    if (!out || out->struct_size < sizeof out->struct_size) return PARE_E_INVALID;
    if (i < 0 || i >= (int32_t)(sizeof names / sizeof names[0])) return PARE_E_NOTFOUND;
    const uint32_t size = out->struct_size;
    const AVCodecDescriptor *about = avcodec_descriptor_get_by_name(names[i]);
    pare_codec_info info = {.struct_size = size, .name = names[i]};
    info.has_decoder = about && avcodec_find_decoder(about->id);
    info.has_motion = info.has_decoder && pare__av_has_motion(about->id);
    info.has_types = about && !(about->props & AV_CODEC_PROP_INTRA_ONLY);
    memcpy(out, &info, size < sizeof info ? size : sizeof info);
    return 0;
}
