/* SPDX-License-Identifier: MIT */
/* --head FILE.safetensors: a linear classifier of the user's own instead of the checkpoint's. Tensors `weight` [C, d] or
 * [C, 2 d] and `bias` [C] (may be missing), also under the names classifier.weight and classifier.bias. Width d reads the
 * size-weighted mean of the tokens, width 2 d reads [CLS; mean]. Library code. */
#ifndef PARE_TOOLS_BENCH_LINEAR_HEAD_H
#define PARE_TOOLS_BENCH_LINEAR_HEAD_H

#include <pare/pare.h>

typedef struct bench_head {
    float *weight; /* [n_class, width] */
    float *bias;   /* [n_class] or NULL */
    int32_t n_class, width, d;
} bench_head;

/* `d`: width of the model's tokens; `has_cls`: it has a CLS token. Errors: those of pare_tensors_open, NOTFOUND, INVALID,
 * LIMIT, NOMEM; the text names the file, the tensor and both numbers. bench_head_free accepts a zeroed one. */
int bench_head_open(const char *path, int32_t d, int has_cls, bench_head *out, pare_error *err);
/* logits [n_class] of mean [d] and cls [d]; NULL: the mean stands in for it, as where the tokens alone are judged. */
void bench_head_logits(const bench_head *h, const float *cls, const float *mean, float *logits);
void bench_head_free(bench_head *h);

#endif
