/* SPDX-License-Identifier: MIT */
/* Shared services of the commands (session.h). */
#include "session.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* A signal handler can reach nothing but a global; this flag is the only one. */
static volatile int stop_flag;

const cli_option cli_common_options[] = {
    {"model", 'm', CLI_TEXT, offsetof(cli_common, model), "DIR|FILE", 0, 0,
     "checkpoint: directory, .safetensors or .gguf (default: the one shipped with pare)"},
    {"threads", 'j', CLI_INT, offsetof(cli_common, threads), "N", 0, 256, "worker threads (default: every CPU)"},
    {"json", 0, CLI_FLAG, offsetof(cli_common, json), NULL, 0, 0, "results on stdout as JSON"},
    {"progress", 0, CLI_CHOICE, offsetof(cli_common, progress), "auto|bar|json|none", 0, 0, "progress on stderr"},
    {"quiet", 'q', CLI_FLAG, offsetof(cli_common, quiet), NULL, 0, 0, "nothing but errors on stderr"},
    {"verbose", 'v', CLI_FLAG, offsetof(cli_common, verbose), NULL, 0, 0, "say more on stderr"},
    {0},
};

const cli_option cli_engine_options[] = {
    {"backend", 0, CLI_TEXT, offsetof(cli_common, backend), "NAME", 0, 0,
     "who multiplies: auto, openblas, onednn, ... (default auto; pare list backends)"},
    {"precision", 0, CLI_TEXT, offsetof(cli_common, precision), "NAME", 0, 0,
     "of the encoder's linear layers: f32, bf16, int8 (default f32; pare info --measure says what is fast here)"},
    {0},
};

/* ---- log ------------------------------------------------------------------------------------------------------ */

static void say(cli_common *c, const char *format, va_list args)
{
    char text[1024];
    vsnprintf(text, sizeof text, format, args);
    cli_progress_clear(&c->bar);
    fprintf(stderr, "pare: %s\n", text);
}

void cli_say(cli_common *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(c, format, args);
    va_end(args);
}

int cli_usage(cli_common *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(c, format, args);
    va_end(args);
    return CLI_USAGE;
}

void cli_log(void *user, int level, const char *text)
{
    cli_common *c = user;
    int most = c->quiet ? PARE_LOG_ERROR : c->verbose ? PARE_LOG_DEBUG : PARE_LOG_WARN;
    if (level <= most) cli_say(c, "%s", text);
}

int cli_fail(cli_common *c, const pare_error *err, int otherwise)
{
    cli_say(c, "%s", err->text[0] != '\0' ? err->text : pare_strerror(err->code));
    if (stop_flag && otherwise == CLI_UNREADABLE) return CLI_STOPPED;
    return err->code == PARE_E_INVALID ? CLI_USAGE : otherwise;
}

int cli_fail_input(cli_common *c, const char *input, const pare_error *err, int otherwise)
{
    pare_error named = {.code = err->code};
    const char *text = err->text[0] != '\0' ? err->text : pare_strerror(err->code);
    snprintf(named.text, sizeof named.text, "%.80s: %.165s", input, text);
    const int rc = cli_fail(c, &named, otherwise);
    return stop_flag ? CLI_STOPPED : rc;
}

int cli_fail_read(cli_common *c, const pare_error *err)
{
    int rc = cli_fail(c, err, CLI_UNREADABLE);
    return rc == CLI_USAGE ? CLI_UNREADABLE : rc;
}

int cli_close_stdout(cli_common *c, int code)
{
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    cli_say(c, "cannot write to standard output");
    return code == CLI_OK ? CLI_FAILED : code;
}

/* ---- signals -------------------------------------------------------------------------------------------------- */

static void on_signal(int number)
{
    (void)number;
    stop_flag = 1;
}

void cli_catch_signals(void)
{
    struct sigaction inherited, action = {.sa_handler = on_signal, .sa_flags = SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    if (sigaction(SIGHUP, NULL, &inherited) == 0 && inherited.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
}

const volatile int *cli_stop_flag(void) { return &stop_flag; }

/* ---- facts and names ------------------------------------------------------------------------------------------ */

/* VmHWM and not ru_maxrss: the latter survives exec and would report the shell's. */
double cli_peak_rss_mb(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long long kb = 0;
    if (f == NULL) return 0;
    while (fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmHWM: %lld", &kb) == 1) break;
    fclose(f);
    return (double)kb / 1024;
}

/* The 22nd field: ticks from boot to start. The second one is the name in brackets, and may hold anything. */
double cli_process_age_ms(void)
{
    char line[1024] = "";
    unsigned long long ticks = 0;
    struct timespec now;
    FILE *f = fopen("/proc/self/stat", "r");
    if (f == NULL) return NAN;
    const char *name_end = fgets(line, sizeof line, f) != NULL ? strrchr(line, ')') : NULL;
    fclose(f);
    if (name_end == NULL || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return NAN;
    const char *p = name_end + 1;
    for (int field = 3; field < 22 && p != NULL; field++) p = strchr(p + 1, ' ');
    if (p == NULL || sscanf(p, "%llu", &ticks) != 1) return NAN;
    const double started = (double)ticks / (double)sysconf(_SC_CLK_TCK);
    return ((double)now.tv_sec + 1e-9 * (double)now.tv_nsec - started) * 1e3;
}

const char *cli_base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

void cli_stem(const char *path, char *out, size_t size)
{
    const char *base = cli_base_name(path), *dot = strrchr(base, '.');
    int n = dot != NULL && dot != base ? (int)(dot - base) : (int)strlen(base);
    snprintf(out, size, "%.*s", n, base);
}

int cli_has_suffix(const char *path, const char *suffix)
{
    size_t n = strlen(path), m = strlen(suffix);
    return n >= m && strcasecmp(path + n - m, suffix) == 0;
}
