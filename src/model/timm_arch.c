/* SPDX-License-Identifier: MIT */
/* Architectures of timm's VisionTransformer by name: "vit_small_patch14_reg4_dinov2" says as much as its entry point.
 * Positions are resized with antialias.
 * Source: timm/models/vision_transformer.py, timm/models/deit.py, timm/layers/attention_pool.py. */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "model/timm.h"

#define MODEL(field) .offset = offsetof(pare__weights, field)
#define BLOCK(field) .offset = offsetof(pare__block_w, field)
#define HAS(field) offsetof(pare__hparams, field)
#define ARG(field) offsetof(pare__timm_args, field)

/* ---- names of tensors ------------------------------------------------------------------------------------------- */

/* The joint embedding is OpenCLIP's: a linear layer behind the trunk, or the classifier of the trunk. */
const pare__binding pare__timm_model_rows[] = {
    {MODEL(patch), PARE__ROLE_LINEAR, "patch_embed.proj", "DCPP", .bias = HAS(has_patch_bias)},
    {MODEL(cls), PARE__ROLE_ARRAY, "cls_token", "D", HAS(has_cls)},
    {MODEL(registers), PARE__ROLE_ARRAY, "reg_token|dist_token", "RD", HAS(n_register)},
    {MODEL(pos), PARE__ROLE_ARRAY, "pos_embed", "ND", HAS(has_pos)},
    {MODEL(pre_norm), PARE__ROLE_NORM, "norm_pre", "D", HAS(has_pre_norm)},
    {MODEL(norm), PARE__ROLE_NORM, "norm", "D", HAS(has_norm)},
    {MODEL(fc_norm), PARE__ROLE_NORM, "fc_norm", "D", HAS(has_fc_norm)},
    {MODEL(probe.probe), PARE__ROLE_ARRAY, "attn_pool.latent", "D", HAS(has_probe)},
    {MODEL(probe.qkv), PARE__ROLE_LINEAR, "attn_pool.q+attn_pool.kv", "TD", HAS(has_probe)},
    {MODEL(probe.proj), PARE__ROLE_LINEAR, "attn_pool.proj", "DD", HAS(has_probe)},
    {MODEL(probe.norm), PARE__ROLE_NORM, "attn_pool.norm", "D", HAS(has_probe)},
    {MODEL(probe.fc1), PARE__ROLE_LINEAR, "attn_pool.mlp.fc1", "FD", HAS(has_probe)},
    {MODEL(probe.fc2), PARE__ROLE_LINEAR, "attn_pool.mlp.fc2", "DF", HAS(has_probe)},
    {MODEL(head), PARE__ROLE_LINEAR, "head", "KH", HAS(n_class)},
    {MODEL(head2), PARE__ROLE_LINEAR, "head_dist", "KH", HAS(has_head2)},
    {MODEL(embed), PARE__ROLE_LINEAR, "visual.head.proj|visual.trunk.head", "BD", HAS(has_embed), HAS(has_embed_bias),
     PARE__BIND_ROOT},
    {0},
};

const pare__binding pare__timm_block_rows[] = {
    {BLOCK(norm1), PARE__ROLE_NORM, "blocks.%d.norm1", "D"},
    {BLOCK(qkv), PARE__ROLE_LINEAR, "blocks.%d.attn.qkv", "TD", .bias = HAS(has_qkv_bias)},
    {BLOCK(q_norm), PARE__ROLE_NORM, "blocks.%d.attn.q_norm", "A", HAS(has_qk)},
    {BLOCK(k_norm), PARE__ROLE_NORM, "blocks.%d.attn.k_norm", "A", HAS(has_qk)},
    {BLOCK(proj), PARE__ROLE_LINEAR, "blocks.%d.attn.proj", "DD", .bias = HAS(has_attn_bias)},
    {BLOCK(scale1), PARE__ROLE_ARRAY, "blocks.%d.ls1.gamma", "D", HAS(has_scale)},
    {BLOCK(norm2), PARE__ROLE_NORM, "blocks.%d.norm2", "D"},
    {BLOCK(fc1), PARE__ROLE_LINEAR, "blocks.%d.mlp.fc1", "GD", .bias = HAS(has_mlp_bias)},
    {BLOCK(fc2), PARE__ROLE_LINEAR, "blocks.%d.mlp.fc2", "DF", .bias = HAS(has_mlp_bias)},
    {BLOCK(scale2), PARE__ROLE_ARRAY, "blocks.%d.ls2.gamma", "D", HAS(has_scale)},
    {0},
};

const pare__choice pare__timm_pools[] = {
    {"token", PARE__POOL_CLS}, {"avg", PARE__POOL_MEAN}, {"map", PARE__POOL_PROBE}, {NULL, 0}};

/* ---- names of architectures ------------------------------------------------------------------------------------- */

static const char *const read_ones[] = {"vit_", "deit_", "deit3_", "flexivit_", "eva_large_patch14_", "test_vit", NULL};

/* Relatives under similar names that compute something else. */
static const char *const refused[] = {"relpos",    "_rpn",      "_xp",       "hybrid", "_sam",   "resnet",   "dinov3",
                                      "naflex",    "_mci",      "_pe_",      "_rope",  "18x2_",  "_dwee_",   "_pwee_",
                                      "_dpwee",    "_dlittl",   "_r26_",     "_r50_",  "_r_s16", "_sapiens", "_lingbot",
                                      "test_vit3", "test_vit4", "test_vit_", NULL};

typedef struct size_row {
    const char *part; /* of the architecture's name */
    int32_t dim, depth, heads;
    double mlp_ratio;
} size_row;

/* The first that fits counts. */
static const size_row sizes[] = {
    {"giant_patch14_reg1_tipsv2", 1536, 40, 24, 2.66667 * 2},
    {"giant_patch14_reg4_dinov2", 1536, 40, 24, 2.66667 * 2},
    {"giant_patch14_dinov2", 1536, 40, 24, 2.66667 * 2},
    {"base_patch16_gap_", 768, 12, 16, 4},
    {"giant_patch16_radio", 1536, 40, 24, 4},
    {"small_patch16_36x1_", 384, 36, 6, 4},
    {"_plus_", 896, 12, 14, 4},
    {"_wee_", 256, 14, 4, 5},
    {"_tiny_", 192, 12, 3, 4},
    {"_xsmall_", 256, 10, 4, 4},
    {"_little_", 320, 14, 5, 5.6},
    {"_small", 384, 12, 6, 4},
    {"_medium_", 512, 12, 8, 4},
    {"_mediumd_", 512, 20, 8, 4},
    {"_betwixt_", 640, 12, 10, 4},
    {"_base", 768, 12, 12, 4},
    {"_so150m2_", 832, 21, 13, 34.0 / 13},
    {"_so150m_", 896, 18, 14, 2.572},
    {"_intern300m_", 1024, 24, 16, 4},
    {"_large", 1024, 24, 16, 4},
    {"_so400m_", 1152, 27, 16, 3.7362},
    {"_huge_", 1280, 32, 16, 4},
    {"_giantopt_", 1536, 40, 16, 4},
    {"_giant_", 1408, 40, 16, 48.0 / 11},
    {"_gigantic_", 1664, 48, 16, 64.0 / 13},
    {"test_vit2", 64, 8, 2, 3},
    {"test_vit", 64, 6, 2, 3},
    {NULL, 768, 12, 12, 4},
};

typedef struct trait {
    const char *part; /* of the architecture's name */
    size_t field;
    int32_t value;
} trait;

/* Every row that fits is applied, in order. */
static const trait traits[] = {
    {"_reg1_", ARG(registers), 1},
    {"_reg4_", ARG(registers), 4},
    {"_reg8_", ARG(registers), 8},
    {"_dinov2", ARG(has_scale), 1},
    {"_reg4_dinov2", ARG(no_embed_class), 1},
    {"_tipsv2", ARG(has_scale), 1},
    {"_tipsv2", ARG(no_embed_class), 1},
    {"giant_patch14_dinov2", ARG(swiglu), 1},
    {"giant_patch14_reg4_dinov2", ARG(swiglu), 1},
    {"giant_patch14_reg1_tipsv2", ARG(swiglu), 1},
    {"deit3_", ARG(no_embed_class), 1},
    {"deit3_", ARG(has_scale), 1},
    {"_distilled_", ARG(registers), 1},
    {"_distilled_", ARG(distilled), 1},
    {"flexivit_", ARG(no_embed_class), 1},
    {"eva_large_", ARG(pool), PARE__POOL_MEAN},
    {"_miil", ARG(qkv_bias), 0},
    {"_plus_240", ARG(has_scale), 1},
    {"_plus_256", ARG(has_scale), 1},
    {"_36x1_", ARG(has_scale), 1},
    {"_intern300m_", ARG(has_scale), 1},
    {"_intern300m_", ARG(final_norm), 0},
    {"_siglip_", ARG(class_token), 0},
    {"_siglip_", ARG(pool), PARE__POOL_PROBE},
    {"_patch32_siglip_", ARG(act), PARE__ACT_GELU_TANH},
    {"_large_patch16_siglip_512", ARG(act), PARE__ACT_GELU_TANH},
    {"_large_patch16_siglip_gap_512", ARG(act), PARE__ACT_GELU_TANH},
    {"_so400m_patch16_siglip_", ARG(act), PARE__ACT_GELU_TANH},
    {"_giantopt_", ARG(act), PARE__ACT_GELU_TANH},
    {"_map_", ARG(class_token), 0},
    {"_map_", ARG(pool), PARE__POOL_PROBE},
    {"_gap_", ARG(class_token), 0},
    {"_gap_", ARG(pool), PARE__POOL_MEAN},
    {"_siglip_gap_", ARG(fc_norm), 0},
    {"_patch16_gap_", ARG(fc_norm), 0},
    {"_patch14_gap_", ARG(fc_norm), 0},
    {"_medium_patch16_gap_", ARG(qkv_bias), 0},
    {"_medium_patch16_gap_", ARG(has_scale), 1},
    {"_betwixt_patch16_gap_", ARG(qkv_bias), 0},
    {"_betwixt_patch16_gap_", ARG(has_scale), 1},
    {"_reg1_gap_", ARG(no_embed_class), 1},
    {"_reg1_gap_", ARG(has_scale), 1},
    {"_reg4_gap_", ARG(no_embed_class), 1},
    {"_reg4_gap_", ARG(has_scale), 1},
    {"_base_patch16_reg4_gap_", ARG(has_scale), 0},
    {"_so150m_", ARG(no_embed_class), 0},
    {"_so150m_", ARG(has_scale), 0},
    {"_so150m_patch16_reg4_gap_", ARG(fc_norm), 0},
    {"_so150m2_", ARG(no_embed_class), 0},
    {"_so150m2_", ARG(qkv_bias), 0},
    {"_radio_v3", ARG(registers), 7},
    {"_radio_v4", ARG(registers), 9},
    {"_radio_", ARG(no_embed_class), 1},
    {"_radio_", ARG(final_norm), 0},
    {"_base_patch16_radio_v3", ARG(has_scale), 1},
    {"_large_patch16_radio_v3", ARG(has_scale), 1},
    {"_clip_", ARG(pre_norm), 1},
    {"_clip_quickgelu_", ARG(act), PARE__ACT_GELU_QUICK},
    {"test_vit2", ARG(class_token), 0},
    {"test_vit2", ARG(registers), 1},
    {"test_vit2", ARG(pool), PARE__POOL_MEAN},
    {"test_vit2", ARG(has_scale), 1},
};

int pare__timm_reads(const char *name)
{
    int is_known = 0;
    for (const char *const *start = read_ones; *start; start++) is_known |= !strncmp(name, *start, strlen(*start));
    for (const char *const *part = refused; *part; part++) is_known &= !strstr(name, *part);
    return is_known;
}

pare__timm_args pare__timm_defaults(const char *name)
{
    const size_row *size = sizes;
    while (size->part && !strstr(name, size->part)) size++;
    pare__timm_args a = {.dim = size->dim,
                         .depth = size->depth,
                         .heads = size->heads,
                         .mlp_ratio = size->mlp_ratio,
                         .class_token = 1,
                         .qkv_bias = 1,
                         .proj_bias = 1,
                         .final_norm = 1,
                         .has_pos = 1,
                         .fc_norm = -1,
                         .pool = PARE__POOL_CLS,
                         .act = PARE__ACT_GELU};
    for (size_t i = 0; i < sizeof traits / sizeof traits[0]; i++)
        if (strstr(name, traits[i].part)) memcpy((char *)&a + traits[i].field, &traits[i].value, sizeof(int32_t));
    a.eps = a.pre_norm ? 1e-5 : 1e-6;
    return a;
}

int32_t pare__timm_patch(const char *name)
{
    static const char part[] = "_patch";
    const char *at = strstr(name, part);
    const long n = at ? strtol(at + strlen(part), NULL, 10) : 0;
    return n > 0 && n <= PARE__MAX_SIDE ? (int32_t)n : 16;
}

/* ---- what they mean --------------------------------------------------------------------------------------------- */

static void use_parts(const pare__timm_args *a, pare__hparams *hp)
{
    const int uses_fc_norm = a->fc_norm < 0 ? a->pool == PARE__POOL_MEAN : a->fc_norm;
    hp->has_fc_norm = a->final_norm && uses_fc_norm;
    hp->has_norm = a->final_norm && !uses_fc_norm;
    hp->has_pre_norm = a->pre_norm;
    hp->has_patch_bias = !a->pre_norm;
    hp->has_qkv_bias = a->qkv_bias;
    hp->has_attn_bias = hp->has_mlp_bias = a->proj_bias;
    hp->has_scale = a->has_scale;
    hp->has_pos = a->has_pos;
    hp->has_qk = a->qk_norm;
    hp->qk_norm = a->qk_norm ? PARE__QK_NORM_HEAD : PARE__QK_PLAIN;
    hp->has_probe = a->pool == PARE__POOL_PROBE;
}

void pare__timm_use(const pare__timm_args *a, pare__hparams *hp)
{
    const int32_t hidden = (int32_t)(a->dim * a->mlp_ratio);
    hp->dim = a->dim;
    hp->n_layer = a->depth;
    hp->n_head = a->heads;
    hp->gated = a->swiglu;
    hp->mlp_dim = a->swiglu ? hidden / 2 : hidden;
    hp->act = a->swiglu ? PARE__ACT_SILU : (pare__act)a->act;
    hp->eps = (float)a->eps;
    hp->has_cls = a->class_token;
    hp->n_register = a->registers;
    hp->pos_prefix = a->no_embed_class ? PARE__POS_NO_PREFIX : PARE__POS_ALL_PREFIX;
    hp->interp = PARE__INTERP_BICUBIC_AA;
    hp->pool = a->pool == PARE__POOL_MEAN && a->pool_all ? PARE__POOL_MEAN_ALL : (pare__pool_kind)a->pool;
    hp->logits = a->distilled ? PARE__LOGITS_TEACHER : PARE__LOGITS_POOLED;
    use_parts(a, hp);
}
