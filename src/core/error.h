/* SPDX-License-Identifier: MIT */
/* Errors and log of the library. pare_fail() is public; the log callback is process-wide and set once. */
#ifndef PARE_CORE_ERROR_H
#define PARE_CORE_ERROR_H

#include <pare/pare.h>

/* Installs the callback (pare_runtime_init only). */
void pare__log_set(pare_log_fn fn, void *user);
void pare__log(int level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
