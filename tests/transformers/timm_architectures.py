# SPDX-License-Identifier: MIT
"""What timm builds for every entry point of its VisionTransformer, one line each, for tests/test_clip_config.c:

    python3 tests/transformers/timm_architectures.py > tests/data/timm_architectures.txt

Networks that differ in more than these columns say (other blocks, attention, norms, patch embeddings) get a "-". Needs
timm (PyPI); models are made without memory for their weights.
"""
import torch
from torch import nn
import timm
from timm.layers import AttentionPoolLatent, GluMlp, LayerNorm, Mlp, PatchEmbed
from timm.layers.attention import Attention
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import Block, VisionTransformer

STARTS = ("vit_", "deit_", "deit3_", "flexivit_", "eva_large_patch14_", "test_vit")
ACTS = {"GELU": "gelu", "GELUTanh": "gelu_tanh", "GELUQuick": "quick_gelu", "QuickGELU": "quick_gelu", "SiLU": "silu"}


def is_plain(m):
    """Only what the columns tell apart."""
    b = m.blocks[0]
    if type(m) not in (VisionTransformer, VisionTransformerDistilled) or type(m.patch_embed) is not PatchEmbed:
        return False
    if any(type(b) is not Block or type(b.attn) is not Attention for b in m.blocks):
        return False
    if type(b.mlp) not in (Mlp, GluMlp) or not isinstance(m.patch_embed.norm, nn.Identity):
        return False
    if not isinstance(b.norm1, LayerNorm) or not isinstance(b.attn.q_norm, nn.Identity):
        return False
    if not isinstance(b.attn.norm, nn.Identity) or not isinstance(b.mlp.norm, nn.Identity):
        return False
    if type(b.mlp) is GluMlp and b.mlp.gate_last:
        return False
    if m.attn_pool is not None and (type(m.attn_pool) is not AttentionPoolLatent or m.pool_include_prefix):
        return False
    return m.global_pool in ("token", "avg", "map")


def has(layer):
    return int(not isinstance(layer, nn.Identity))


def describe(name):
    # entry points of others that start alike (ViTDet's SAM, relative positions, hybrids) have no blocks like these
    with torch.device("meta"):
        m = timm.create_model(name)
    side = m.default_cfg["input_size"][-1]
    if not isinstance(m, VisionTransformer) or not is_plain(m):
        return f"{name} {side} -"
    b = m.blocks[0]
    gated = int(type(b.mlp) is GluMlp)
    hidden = b.mlp.fc1.out_features // (1 + gated)
    act = b.mlp.act
    kind = ACTS[type(act).__name__]
    if getattr(act, "approximate", "none") == "tanh":
        kind = "gelu_tanh"
    pool = "all" if m.global_pool == "avg" and m.pool_include_prefix else m.global_pool
    distilled = int(isinstance(m, VisionTransformerDistilled))
    registers = m.num_prefix_tokens - int(m.has_class_token)
    flags = [
        int(m.patch_embed.proj.bias is not None),
        has(m.norm_pre),
        int(b.attn.qkv.bias is not None),
        int(b.attn.proj.bias is not None),
        has(b.ls1),
        has(m.norm),
        has(m.fc_norm),
    ]
    return (
        f"{name} {side} {m.embed_dim} {len(m.blocks)} {b.attn.num_heads} {hidden} {gated} {m.patch_embed.patch_size[0]} "
        f"{int(m.has_class_token)} {registers} {m.pos_embed.shape[1]} {pool} {kind} {distilled} "
        f"{''.join(map(str, flags))} {b.norm1.eps:.0e}"
    )


def main():
    print(f"# timm {timm.__version__}, made by tests/transformers/timm_architectures.py:")
    print("# name side dim depth heads mlp gated patch cls registers positions pool act distilled flags eps; flags: bias of")
    print("# patches, norm before the blocks, bias of qkv, of the others, layer scale, norm, norm of what is pooled; - = other")
    for name in timm.list_models():
        if name.startswith(STARTS):
            print(describe(name))


if __name__ == "__main__":
    main()
