/* SPDX-License-Identifier: MIT */
/* What is known of a temporal step (or photo) as soon as its frames are there: time, candidates, change, detail, cut.
 * A step is compared with the one before it: their last pictures. Photos have none before them; of a photo in tiles the
 * detail is that of all its slots.
 *
 *     slots [first, first + per_picture) -> r->step[first], r->change [units] of every slot */
#include "reduce/reducer.h"

/* The last picture of the step before, or NULL. */
static const uint8_t *picture_before(const pare_reducer *r, int32_t first)
{
    if (!r->opts.video || r->slot[first].t == 0) return NULL;
    if (first > 0) return pare__reducer_pixels(r, first - 1, r->held[first - 1] - 1);
    return r->has_previous ? pare__reducer_pixels(r, r->cap, 0) : NULL;
}

void pare__reducer_step_frame(pare_reducer *r, const pare_frame *f, int32_t first)
{
    pare_step *step = &r->step[first];
    if (r->held[first] == 1) *step = (pare_step){.pts = f->pts, .tokens = -1, .change = -1};
    step->end = f->pts + f->duration;
}

int pare__reducer_step_take(pare_reducer *r, int32_t first)
{
    pare_step *step = &r->step[first];
    const uint8_t *before = picture_before(r, first);
    const int64_t units = (int64_t)r->ctx.grid_h * r->ctx.grid_w;
    int64_t n_detailed = 0;
    if (!before) r->past = (pare__pulse_past){0};
    for (int32_t s = first; s < first + r->per_picture; s++) {
        pare__pulse p;
        pare__pulse_take(r->ctx.vec, pare__reducer_pixels(r, s, r->held[s] - 1), before, r->ctx.grid_h, r->ctx.grid_w,
                         r->model->hp.patch * r->model->hp.unit, &r->past, r->change + s * units, &p);
        n_detailed += p.n_detailed;
        step->change = p.change;
        step->is_cut = p.is_cut;
    }
    step->units = units * r->per_picture;
    step->detail = (float)n_detailed / (float)step->units;
    return r->watch ? r->watch(r->watch_user, r, first) : 0;
}
