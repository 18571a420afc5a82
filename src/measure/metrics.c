/* SPDX-License-Identifier: MIT */
/* The tables of metrics joined, in the order of `pare list metrics`. */
#include <string.h>

#include "measure/metric.h"

static const pare__metric *const tables[] = {pare__met_fidelity, pare__met_coverage, pare__met_uniform,
                                             pare__met_steps,    pare__met_bias,     pare__met_agreement};

enum { N_TABLE = sizeof tables / sizeof *tables };

const pare__metric *pare__metric_at(int32_t i)
{
    for (int t = 0; t < N_TABLE && i >= 0; t++)
        for (const pare__metric *m = tables[t]; m->name; m++)
            if (i-- == 0) return m;
    return NULL;
}

const pare__metric *pare__metric_find(const char *name)
{
    for (int t = 0; t < N_TABLE; t++)
        for (const pare__metric *m = tables[t]; m->name; m++)
            if (!strcmp(m->name, name)) return m;
    return NULL;
}
