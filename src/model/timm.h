/* SPDX-License-Identifier: MIT */
/* timm's VisionTransformer as both its own checkpoints and OpenCLIP's hold it: which architectures are read, what their
 * names imply, and the names of tensors. */
#ifndef PARE_MODEL_TIMM_H
#define PARE_MODEL_TIMM_H

#include "model/family.h"

/* What VisionTransformer's constructor takes. */
typedef struct pare__timm_args {
    int32_t dim, depth, heads, registers;
    int32_t class_token, no_embed_class, pre_norm, qkv_bias, proj_bias, has_scale, swiglu;
    int32_t qk_norm, final_norm, has_pos;
    int32_t distilled; /* the register is DeiT's, with a classifier of its own */
    int32_t pool;      /* pare__pool_kind */
    int32_t pool_all;  /* a mean takes in the prefix tokens */
    int32_t fc_norm;   /* -1 = with average pooling */
    int32_t act;
    double mlp_ratio, eps;
} pare__timm_args;

extern const pare__binding pare__timm_model_rows[], pare__timm_block_rows[];
/* "token", "avg", "map". */
extern const pare__choice pare__timm_pools[];

/* 1 if models of this architecture are read. */
int pare__timm_reads(const char *architecture);
/* What the entry point of the architecture passes on. */
pare__timm_args pare__timm_defaults(const char *architecture);
/* The patch side in the name, else 16. */
int32_t pare__timm_patch(const char *architecture);
/* Everything but grid, patch side, classes and joint embedding. */
void pare__timm_use(const pare__timm_args *a, pare__hparams *hp);

#endif
