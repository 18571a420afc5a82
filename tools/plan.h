/* SPDX-License-Identifier: MIT */
/* Plans on the command line: --plan (what would be spent, nothing is encoded) and --two-pass (the input is read twice). */
#ifndef PARE_TOOLS_PLAN_H
#define PARE_TOOLS_PLAN_H

#include <pare/plan.h>

#include "reduce.h"

/* Reads the whole input of the job into a plan, by the job's own options (j->opts are filled on the way); the source is
 * closed again. TWO_PASS refuses input that cannot be read twice. Exit codes. */
int cli_plan_read(cli_reduce_job *j, int32_t window, int32_t kind, pare_plan **out);
/* The job's plan becomes its budget. */
void cli_plan_spend(cli_reduce_job *j);
/* The plan on stdout: a JSON line, or a table of steps and totals. `plan` is the job's own or what spends it. */
void cli_plan_print(const cli_reduce_job *j, const pare_plan *plan);

#endif
