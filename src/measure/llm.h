/* SPDX-License-Identifier: MIT */
/* Named shapes of language models, and what a prompt costs them: a model of operations, no clock. */
#ifndef PARE_MEASURE_LLM_H
#define PARE_MEASURE_LLM_H

#include <pare/pare.h>

/* A decoder of equal layers: q, k, v, o, and a gated MLP of three matrices. */
typedef struct pare__llm {
    const char *name, *summary, *cite;
    int32_t n_layer, hidden, n_head, n_kv_head, head_dim, ffn, vocab;
    int32_t window, n_windowed; /* layers whose queries see this many tokens at most; 0, 0 = none */
} pare__llm;

extern const pare__llm pare__llms[]; /* ends with name == NULL */
extern const char *const pare__llm_formula;

/* As pare_llm_cost_get, without struct_size. Errors: INVALID. */
int pare__llm_cost(const char *name, int64_t n_visual, int64_t n_text, pare_llm_cost *cost, pare_error *err);

#endif
