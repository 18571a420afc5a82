/* SPDX-License-Identifier: MIT */
/* The work behind pare_trace. */
#ifndef PARE_ENCODE_TRACE_H
#define PARE_ENCODE_TRACE_H

#include <pare/pare.h>

/* As pare_trace; arguments other than shapes are checked by the caller. `pixels` NULL = frames[n]. */
int pare__trace(const pare_model *model, const pare_trace_opts *opts, const pare_tensor *pixels,
                const pare_frame *frames, int32_t n, pare_stage_fn stage, void *user, pare_error *err);

#endif
