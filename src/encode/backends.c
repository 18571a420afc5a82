/* SPDX-License-Identifier: MIT */
/* The table of backends. A new one is one file and one line here. Where two are fast at a precision, `auto` takes the
 * first. */
#include "encode/backend.h"

#ifdef PARE_ONEDNN
#define ONEDNN &pare__backend_onednn,
#else
#define ONEDNN
#endif

const pare__backend *const pare__backends[] = {&pare__backend_openblas, &pare__backend_strassen, &pare__backend_native,
                                               ONEDNN &pare__backend_c, NULL};
