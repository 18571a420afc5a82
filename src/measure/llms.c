/* SPDX-License-Identifier: MIT */
/* Shapes of language models as their config.json publishes them, and the cost of a prompt of n tokens:
 *
 *     linears    2 n L (hidden heads head_dim + 2 hidden kv_heads head_dim + heads head_dim hidden + 3 hidden ffn)
 *     attention  2 * 2 heads head_dim * pairs, pairs = n (n + 1) / 2 per layer; where a query sees w tokens at most:
 *                w (w + 1) / 2 + (n - w) w
 *     lm head    2 hidden vocab, for the last token alone
 *     KV cache   n cells of 2 L kv_heads head_dim values of 16 bits, kept by windowed layers too
 *
 * Embedding, norms, softmax and rotation are left out: below 1 % of any of these. */
#include "measure/llm.h"

#include <string.h>

#include "core/option.h"

const pare__llm pare__llms[] = {
    {.name = "vicuna-7b",
     .summary = "Vicuna 7B v1.5, behind LLaVA-1.5-7B",
     .cite = "config.json of lmsys/vicuna-7b-v1.5 and liuhaotian/llava-v1.5-7b",
     .n_layer = 32,
     .hidden = 4096,
     .n_head = 32,
     .n_kv_head = 32,
     .head_dim = 128,
     .ffn = 11008,
     .vocab = 32000},
    {.name = "qwen2-0.5b",
     .summary = "Qwen2 0.5B, behind LLaVA-OneVision-0.5B",
     .cite = "config.json of Qwen/Qwen2-0.5B",
     .n_layer = 24,
     .hidden = 896,
     .n_head = 14,
     .n_kv_head = 2,
     .head_dim = 64,
     .ffn = 4864,
     .vocab = 151936},
    {.name = "qwen2-7b",
     .summary = "Qwen2 7B, behind Qwen2-VL-7B and LLaVA-OneVision-7B",
     .cite = "config.json of Qwen/Qwen2-7B-Instruct and Qwen/Qwen2-VL-7B-Instruct",
     .n_layer = 28,
     .hidden = 3584,
     .n_head = 28,
     .n_kv_head = 4,
     .head_dim = 128,
     .ffn = 18944,
     .vocab = 152064},
    {.name = "qwen2.5-3b",
     .summary = "Qwen2.5 3B, behind Qwen2.5-VL-3B",
     .cite = "config.json of Qwen/Qwen2.5-VL-3B-Instruct",
     .n_layer = 36,
     .hidden = 2048,
     .n_head = 16,
     .n_kv_head = 2,
     .head_dim = 128,
     .ffn = 11008,
     .vocab = 151936},
    {.name = "qwen2.5-7b",
     .summary = "Qwen2.5 7B, behind Qwen2.5-VL-7B",
     .cite = "config.json of Qwen/Qwen2.5-VL-7B-Instruct",
     .n_layer = 28,
     .hidden = 3584,
     .n_head = 28,
     .n_kv_head = 4,
     .head_dim = 128,
     .ffn = 18944,
     .vocab = 152064},
    {.name = "llama-3.1-8b",
     .summary = "Llama 3.1 8B, behind LLaVA-NeXT-8B (as Llama 3) and others",
     .cite = "config.json of meta-llama/Llama-3.1-8B",
     .n_layer = 32,
     .hidden = 4096,
     .n_head = 32,
     .n_kv_head = 8,
     .head_dim = 128,
     .ffn = 14336,
     .vocab = 128256},
    {.name = "gemma-3-4b",
     .summary = "Gemma 3 4B, its own vision-language model; 29 of its 34 layers see 1024 tokens",
     .cite = "config.json (text_config) of google/gemma-3-4b-it",
     .n_layer = 34,
     .hidden = 2560,
     .n_head = 8,
     .n_kv_head = 4,
     .head_dim = 256,
     .ffn = 10240,
     .vocab = 262208,
     .window = 1024,
     .n_windowed = 29},
    {.name = "smollm2-1.7b",
     .summary = "SmolLM2 1.7B, behind SmolVLM",
     .cite = "config.json of HuggingFaceTB/SmolLM2-1.7B",
     .n_layer = 24,
     .hidden = 2048,
     .n_head = 32,
     .n_kv_head = 32,
     .head_dim = 64,
     .ffn = 8192,
     .vocab = 49152},
    {0},
};

const char *const pare__llm_formula =
    "prefill = 2 n P + 2 * 2 heads head_dim * sum over layers of n (n + 1) / 2 (w (w + 1) / 2 + (n - w) w where a "
    "query "
    "sees w < n tokens) + 2 hidden vocab; P = layers * hidden * (2 heads head_dim + 2 kv_heads head_dim + 3 ffn); "
    "KV bytes = 4 n layers kv_heads head_dim";

/* Counts whose sum and square stay exact enough in a double. */
#define MAX_COUNT ((int64_t)1 << 40)

static int find(const char *name, const pare__llm **out, pare_error *err)
{
    const char *names[sizeof pare__llms / sizeof *pare__llms];
    int32_t n = 0;
    for (const pare__llm *m = pare__llms; m->name; m++) {
        *out = m;
        if (!strcmp(m->name, name)) return 0;
        names[n++] = m->name;
    }
    const char *near = pare__nearest(name, names, n);
    if (near) return pare_fail(err, PARE_E_INVALID, "unknown language model '%s', did you mean '%s'?", name, near);
    return pare_fail(err, PARE_E_INVALID, "unknown language model '%s' (`pare list llms` shows all)", name);
}

/* Pairs of query and key in a causal layer whose queries see `window` tokens at most; 0 = all. */
static double pairs(double n, double window)
{
    if (window <= 0 || n <= window) return n * (n + 1) / 2;
    return window * (window + 1) / 2 + (n - window) * window;
}

static double prefill(const pare__llm *m, double n)
{
    const double q = (double)m->n_head * m->head_dim, kv = (double)m->n_kv_head * m->head_dim;
    const double weights = (double)m->n_layer * m->hidden * (2 * q + 2 * kv + 3.0 * m->ffn);
    const double seen = (m->n_layer - m->n_windowed) * pairs(n, 0) + m->n_windowed * pairs(n, m->window);
    return n > 0 ? 2 * n * weights + 4 * q * seen + 2.0 * m->hidden * m->vocab : 0;
}

int pare__llm_cost(const char *name, int64_t n_visual, int64_t n_text, pare_llm_cost *cost, pare_error *err)
{
    const pare__llm *m = NULL;
    const int rc = find(name, &m, err);
    if (rc) return rc;
    if (n_visual < 0 || n_text < 0 || n_visual > MAX_COUNT || n_text > MAX_COUNT)
        return pare_fail(err, PARE_E_INVALID, "a prompt of %lld visual and %lld text tokens: each must be 0..%lld",
                         (long long)n_visual, (long long)n_text, (long long)MAX_COUNT);
    cost->kv_cells = n_visual + n_text;
    cost->prefill_flops = prefill(m, (double)cost->kv_cells);
    cost->kv_bytes = 4.0 * (double)cost->kv_cells * m->n_layer * m->n_kv_head * m->head_dim;
    return 0;
}
