/* SPDX-License-Identifier: MIT */
/* Error texts and the log callback. The callback pair below is the only mutable global of the library: pare_runtime_init
 * writes it before other threads exist, everybody else only reads it. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

static pare_log_fn log_fn;
static void *log_user;

const char *pare_strerror(int code)
{
    switch (code) {
    case PARE_OK:
        return "success";
    case PARE_AGAIN:
        return "nothing to pull yet";
    case PARE_EOF:
        return "nothing more will come";
#define PARE_X(name, value, text)                                                                                      \
    case PARE_E_##name:                                                                                                \
        return text;
        PARE_ERROR_MAP(PARE_X)
#undef PARE_X
    default:
        return "unknown error";
    }
}

int pare_fail(pare_error *err, int code, const char *format, ...)
{
    va_list args;

    if (!err) return code;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    err->code = code;
    return code;
}

void pare__log_set(pare_log_fn fn, void *user)
{
    log_fn = fn;
    log_user = user;
}

void pare__log(int level, const char *format, ...)
{
    char text[512];
    va_list args;

    if (!log_fn) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_fn(log_user, level, text);
}
