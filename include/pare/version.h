/* SPDX-License-Identifier: MIT */
/* Version of the library. The API version moves only when a public declaration changes; the release version moves
 * with every release. `pare_version()` of pare.h reports the version that is linked, these macros the one compiled
 * against. */
#ifndef PARE_VERSION_H
#define PARE_VERSION_H

#define PARE_VERSION_MAJOR 0
#define PARE_VERSION_MINOR 6
#define PARE_VERSION_PATCH 0
#define PARE_VERSION_TEXT "0.6.0"

#endif
