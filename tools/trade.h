/* SPDX-License-Identifier: MIT */
/* --fps auto and --size auto of pare reduce: what is chosen for one input, and why. */
#ifndef PARE_TOOLS_TRADE_H
#define PARE_TOOLS_TRADE_H

#include <jansson.h>
#include <pare/plan.h>

#include "reduce.h"

/* Watches the whole input of the job and puts what is chosen into job->pick and job->layout; a line on stderr says so.
 * Input that cannot be read twice is refused. Exit codes. */
int cli_trade_read(cli_reduce_job *j);
/* All candidates, the choice and its reason. The caller releases it. */
json_t *cli_trade_json(const pare_trade *trade);

#endif
