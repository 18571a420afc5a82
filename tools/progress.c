/* SPDX-License-Identifier: MIT */
/* Progress bar and JSON progress (progress.h). Drawn at most ten times a second. */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BAR_WIDTH = 28 };

double cli_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void cli_progress_begin(cli_progress *p, int mode, const char *unit, int64_t total)
{
    int tty = isatty(STDERR_FILENO);
    const char *no_colour = getenv("NO_COLOR");
    if (mode == CLI_PROGRESS_AUTO || mode == CLI_PROGRESS_BAR) mode = tty ? CLI_PROGRESS_BAR : CLI_PROGRESS_NONE;
    *p = (cli_progress){.mode = mode, .unit = unit, .total = total, .began = cli_now()};
    p->colour = tty && (no_colour == NULL || no_colour[0] == '\0');
}

static void draw_bar(cli_progress *p, double rate, double eta)
{
    char bar[BAR_WIDTH + 1];
    int64_t done = p->done < p->total ? p->done : p->total;
    int filled = p->total > 0 ? (int)(done * BAR_WIDTH / p->total) : 0;
    for (int i = 0; i < BAR_WIDTH; i++) bar[i] = i < filled ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    const char *on = p->colour ? "\033[36m" : "", *off = p->colour ? "\033[0m" : "";
    if (p->total > 0)
        fprintf(stderr, "\r%s%s%s %lld/%lld %s  %.1f/s  eta %.0f s\033[K", on, bar, off, (long long)p->done,
                (long long)p->total, p->unit, rate, eta);
    else
        fprintf(stderr, "\r%lld %s  %.1f/s\033[K", (long long)p->done, p->unit, rate);
    fflush(stderr);
    p->drawn = 1;
}

static void show(cli_progress *p)
{
    double elapsed = cli_now() - p->began, rate = elapsed > 0 ? (double)p->done / elapsed : 0;
    double eta = rate > 0 && p->total > p->done ? (double)(p->total - p->done) / rate : 0;
    if (p->mode == CLI_PROGRESS_BAR)
        draw_bar(p, rate, eta);
    else
        fprintf(stderr, "{\"progress\":{\"done\":%lld,\"total\":%lld,\"unit\":\"%s\",\"rate\":%.2f,\"eta_s\":%.1f}}\n",
                (long long)p->done, (long long)p->total, p->unit, rate, eta);
}

void cli_progress_step(cli_progress *p, int64_t done)
{
    double now = cli_now();
    p->done = done;
    if (p->mode == CLI_PROGRESS_NONE || now - p->shown < 0.1) return;
    p->shown = now;
    show(p);
}

void cli_progress_clear(cli_progress *p)
{
    if (p->drawn) fputs("\r\033[K", stderr);
    p->drawn = 0;
}

void cli_progress_end(cli_progress *p)
{
    if (p->mode == CLI_PROGRESS_JSON) show(p);
    cli_progress_clear(p);
    p->mode = CLI_PROGRESS_NONE;
}
