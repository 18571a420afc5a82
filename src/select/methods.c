/* SPDX-License-Identifier: MIT */
/* Published methods and common baselines as recipe steps, with their sources. Selectors that are methods by themselves
 * (tome, rlt, evs, ...) need no line here. */
#include "select/selector.h"

const pare__method pare__methods[] = {
    {"cls-topk", "topk:score=cls-attn@output", "the tokens that the CLS query attends to most, after the encoder",
     "Liang et al., EViT, ICLR 2022 (training-free, last blocks); Haurum et al., Which Tokens to Use?, ICCVW 2023"},
    {"mean-topk", "topk:score=mean-attn@output", "the tokens that receive most attention; needs no CLS",
     "column-mean attention as in HiPrune; Danielement321/HiPrune LLaVA/llava/model/llava_arch.py"},
    {"norm-topk", "topk:score=norm@output", "the longest tokens", "baseline"},
    {"motion-topk", "topk:score=motion@patches", "the patches of every frame that change most", "frame differencing"},
    {"jitter", "spatial-uniform:jitter=1@patches", "one random token in every cell (stratified random)", "baseline"},
    {"dtd-pixel", "dtd@patches", "pixels that differ from the frame before",
     "Yao et al., TimeChat-Online, arXiv 2504.17343 (pixel rule, threshold in 0..1); yaolinli/TimeChat-Online "
     "demo/qwen2_5_vl/modeling_qwen2_5_vl.py"},
    {"rlt-anchored", "rlt:anchor=1@patches", "run-length tokenization against the last kept tubelet",
     "after Choudhury et al., RLT, NeurIPS 2024, arXiv 2411.05222"},
    {"adaptive-pool", "pool:mode=adaptive@output", "mean over the cells of a smaller grid",
     "PyTorch adaptive_avg_pool2d"},
    {0},
};
