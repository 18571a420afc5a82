/* SPDX-License-Identifier: MIT */
/* A clip before it is decoded (clip.h). */
#include "clip.h"

#include <math.h>

/* The first ask.frames frames: an end half a frame later, so that the rest is not even decoded. */
static void cut(const bench_section *s, const pare_source_info *info, bench_clip *clip)
{
    const double most = (double)s->ask.frames;
    if (most < 1 || !clip->is_plain || !(info->rate > 0)) return;
    const double end = clip->pick.start + (most - 0.5) / info->rate;
    if (clip->pick.end <= 0 || end < clip->pick.end) clip->pick.end = end;
}

static int64_t count(const bench_clip *clip)
{
    pare_source *source = NULL;
    pare_source_info info = {.struct_size = sizeof info};
    pare_error err = {0};
    int64_t n = 0;
    if (cli_source_try(&clip->pick, clip->path, &source, &info, &err) == 0 && pare_source_count(source, &n, &err) != 0)
        n = 0;
    pare_source_close(&source);
    return n;
}

/* Stamps count from the clip's first frame, which is known once a frame was read. */
static double origin_of(const bench_clip *clip)
{
    pare_source *source = NULL;
    pare_source_info info = {.struct_size = sizeof info};
    pare_frame frame = {.struct_size = sizeof frame};
    pare_error err = {0};
    int rc = cli_source_try(&clip->pick, clip->path, &source, &info, &err);
    if (rc == 0) rc = pare_source_read(source, &frame, &err);
    if (rc == 0) rc = pare_source_get(source, &info, &err);
    pare_source_close(&source);
    return rc == 0 ? info.origin : 0;
}

void bench_clip_probe(const bench_section *s, const char *path, bench_clip *out)
{
    const cli_pick *pick = &s->ask.pick;
    pare_source *source = NULL;
    pare_source_info info = {.struct_size = sizeof info};
    pare_error err = {0};
    *out = (bench_clip){.path = path, .pick = *pick};
    out->is_plain = pick->frames == 0 && pick->every == 0 && !(pick->fps > 0) && !(pick->start > 0);
    const int rc = cli_source_try(pick, path, &source, &info, &err);
    pare_source_close(&source);
    if (rc != 0) return;
    out->rate = info.rate;
    cut(s, &info, out);
    out->n_frame = count(out);
    if (s->ask.frames > 0 && out->n_frame > s->ask.frames) out->n_frame = s->ask.frames;
    if (!out->is_plain) out->origin = origin_of(out);
}

int bench_clip_add_items(bench *b, bench_section *s, bench_clip *clip)
{
    clip->first_item = s->n_item;
    int rc = clip->n_frame > 0 ? CLI_OK : bench_add_item(b, s, clip->path, -1);
    for (int64_t i = 0; i < clip->n_frame; i += BENCH_SEGMENT) {
        char name[4200];
        const int64_t end = i + BENCH_SEGMENT < clip->n_frame ? i + BENCH_SEGMENT : clip->n_frame;
        snprintf(name, sizeof name, "%.4096s:%lld-%lld", clip->path, (long long)i + 1, (long long)end);
        rc = bench_add_item(b, s, name, -1);
        if (rc != CLI_OK) break;
        s->item[s->n_item - 1].n_frame = (int32_t)(end - i);
        s->item[s->n_item - 1].is_part = i > 0;
    }
    clip->n_item = s->n_item - clip->first_item;
    return rc;
}

int32_t bench_clip_item(const bench_clip *clip, int64_t slot, int32_t temporal)
{
    const int64_t i = slot * (temporal > 1 ? temporal : 1) / BENCH_SEGMENT;
    return clip->first_item + (int32_t)(i < clip->n_item ? i : clip->n_item - 1);
}

int64_t bench_clip_frame_number(const bench_clip *clip, int64_t i, double pts)
{
    if (clip->is_plain || !(clip->rate > 0)) return i + 1;
    return 1 + llround((pts - clip->origin) * clip->rate);
}

int64_t bench_clip_boxes(const bench_clip *clip, const bench_boxes *boxes)
{
    int64_t n = 0;
    if (!clip->is_plain || clip->n_frame == 0) return boxes->n;
    while (n < boxes->n && boxes->item[n].frame <= clip->n_frame) n++;
    return n;
}
