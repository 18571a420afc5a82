/* SPDX-License-Identifier: MIT */
/* Bytes as a safetensors file: parse, then read every tensor that can be read. */
#include <stdlib.h>

#include "model/tensorfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pare_tensors *t = NULL;
    pare_error err;
    if (pare__safetensors_parse(&t, "fuzz", data, size, &err)) return 0;
    for (int64_t i = 0; i < t->n; i++) {
        if (pare__tensors_find(t, t->t[i].name) != &t->t[i]) abort();
        if (i >= t->n_public) continue;
        float *out = malloc((size_t)pare__tensor_count(&t->t[i]) * sizeof(float) + 1);
        if (!out) abort();
        pare__tensor_f32(&t->t[i], out);
        free(out);
    }
    pare__tensors_free(&t);
    return 0;
}
