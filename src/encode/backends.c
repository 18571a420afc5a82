/* SPDX-License-Identifier: MIT */
/* The table of backends. A new one is one file and one line here. */
#include "encode/backend.h"

const pare__backend *const pare__backends[] = {&pare__backend_openblas, &pare__backend_c, NULL};
