/* SPDX-License-Identifier: MIT */
/* The public functions of plan.h: checks arguments, calls inward (reduce/clip_plan.c). */
#include <pare/plan.h>

#include "api.h"
#include "reduce/clip_plan.h"

int pare_plan_create(pare_plan **out, const pare_model *model, const pare_reducer_opts *opts, int32_t kind,
                     pare_error *err)
{
    if (!out) return pare__no_argument("pare_plan_create", "out", err);
    *out = NULL;
    if (!model) return pare__no_argument("pare_plan_create", "model", err);
    pare_reducer_opts o;
    pare_custom custom;
    const int rc = pare__take_reducer_opts(&o, &custom, opts, "pare_plan_create", err);
    return rc ? rc : pare__clip_plan_create(out, model, &o, kind, err);
}

int pare_plan_push(pare_plan *p, const pare_frame *frame, pare_error *err)
{
    if (!p) return pare__no_argument("pare_plan_push", "plan", err);
    pare_frame own;
    const int rc = pare__take_frame(&own, frame, "pare_plan_push", err);
    return rc ? rc : pare__clip_plan_push(p, &own, err);
}

int pare_plan_finish(pare_plan *p, pare_error *err)
{
    return p ? pare__clip_plan_finish(p, err) : pare__no_argument("pare_plan_finish", "plan", err);
}

int pare_plan_get(const pare_plan *p, pare_plan_info *info, pare_error *err)
{
    if (!p) return pare__no_argument("pare_plan_get", "plan", err);
    pare_plan_info own;
    pare__clip_plan_get(p, &own);
    return pare__give_struct(info, &own, sizeof own, "pare_plan_get", err);
}

void pare_plan_close(pare_plan **p) { pare__clip_plan_free(p); }
