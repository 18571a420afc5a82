/* SPDX-License-Identifier: MIT */
/* The table of backends. A new one is one file and one line here. Where two are fast at a precision, `auto` takes the
 * first. */
#include "encode/backend.h"

const pare__backend *const pare__backends[] = {
    &pare__backend_openblas,
#ifdef PARE_ONEDNN
    &pare__backend_onednn,
#endif
    &pare__backend_native,   &pare__backend_c, NULL,
};
