/* SPDX-License-Identifier: MIT */
/* See marker.h. */
#include "marker.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rank.h"

static pare__rng rng;

void chance_seed(uint64_t seed) { rng = pare__rng_make(seed, 0, 0); }

int32_t chance(int32_t low, int32_t high) { return low + (int32_t)pare__rng_below(&rng, high - low + 1); }

/* ---- pictures -------------------------------------------------------------------------------------------------- */

/* One quarter turn after the other. */
void turn(const picture *p, int32_t x, int32_t y, int32_t *ux, int32_t *uy)
{
    int32_t h = p->stored_h, w = p->stored_w;
    for (int32_t r = 0; r < p->rotation; r += 90) {
        const int32_t old_x = x, old_h = h;
        x = h - 1 - y;
        y = old_x;
        h = w;
        w = old_h;
    }
    *ux = x;
    *uy = y;
}

picture new_picture(int32_t low, int32_t high)
{
    picture p = {.stored_w = chance(low, high), .stored_h = chance(low, high), .rotation = 90 * chance(0, 3)};
    p.width = p.rotation % 180 ? p.stored_h : p.stored_w;
    p.height = p.rotation % 180 ? p.stored_w : p.stored_h;
    p.rgb = malloc((size_t)p.width * (size_t)p.height * 3);
    return p;
}

void draw(picture *p, int32_t x, int32_t y, int32_t radius)
{
    memset(p->rgb, PLAIN, (size_t)p->width * (size_t)p->height * 3);
    for (int32_t dy = -radius; dy <= radius; dy++)
        for (int32_t dx = -radius; dx <= radius; dx++) {
            const int32_t sx = x + dx, sy = y + dy;
            int32_t ux, uy;
            if (sx < 0 || sy < 0 || sx >= p->stored_w || sy >= p->stored_h) continue;
            turn(p, sx, sy, &ux, &uy);
            memset(p->rgb + ((int64_t)uy * p->width + ux) * 3, MARKED, 3);
        }
}

pare_frame frame_of(const picture *p, double pts)
{
    return (pare_frame){.struct_size = sizeof(pare_frame),
                        .rgb = p->rgb,
                        .stride = 3 * (int64_t)p->width,
                        .width = p->width,
                        .height = p->height,
                        .rotation = p->rotation,
                        .pts = pts};
}

/* ---- the judgement --------------------------------------------------------------------------------------------- */

static int holds(const float *box, const marker *m, float margin)
{
    const float x = (float)m->x + 0.5F, y = (float)m->y + 0.5F;
    return x > box[0] - margin && x < box[2] + margin && y > box[1] - margin && y < box[3] + margin;
}

static int touches(const float *box, const marker *m)
{
    const float reach = (float)m->radius + 0.5F + m->blur, x = (float)m->x + 0.5F, y = (float)m->y + 0.5F;
    return x + reach > box[0] && x - reach < box[2] && y + reach > box[1] && y - reach < box[3];
}

int64_t strongest(const cell *c, int64_t n)
{
    int64_t best = 0;
    double second = 0;
    for (int64_t i = 1; i < n; i++)
        if (c[i].reaction > c[best].reaction) best = i;
    for (int64_t i = 0; i < n; i++)
        if (i != best && c[i].reaction > second) second = c[i].reaction;
    if (n == 0 || c[best].reaction == 0) return -1;
    return c[best].reaction > 4 * second ? best : -2;
}

int judge(const cell *c, int64_t n, const marker *m, const char *what)
{
    const int64_t found = strongest(c, n);
    int64_t strictly = 0;
    if (found == -2) return 0;
    for (int64_t i = 0; i < n; i++) strictly += holds(c[i].box, m, -0.01F);
    ck_assert_msg(strictly <= 1, "%s: %d boxes hold the pixel %d, %d", what, (int)strictly, m->x, m->y);
    if (found == -1) {
        ck_assert_msg(strictly == 0, "%s: a box holds the pixel %d, %d that no token saw", what, m->x, m->y);
        return 1;
    }
    const float *b = c[found].box;
    ck_assert_msg(strictly ? holds(b, m, -0.01F) : touches(b, m),
                  "%s: pixel %d, %d (radius %d) was seen by the token of %g %g %g %g", what, m->x, m->y, m->radius,
                  (double)b[0], (double)b[1], (double)b[2], (double)b[3]);
    return 1;
}

marker new_marker(const picture *p, double scale)
{
    const int32_t radius = (int32_t)floor(1.5 / scale);
    return (marker){.x = chance(0, p->stored_w - 1),
                    .y = chance(0, p->stored_h - 1),
                    .radius = radius > 8 ? 8 : radius,
                    .blur = (float)fmax(3 / scale, 3)};
}
