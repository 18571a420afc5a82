/* SPDX-License-Identifier: MIT */
/* The model side of Qwen2.5-VL: configuration and names in both kinds of files. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/family.h"
#include "model/store.h"

enum { DIM = 32, MLP = 64, OUT = 5, PATCH = 2, PATH_SIZE = 4096, MAX_FILE = 1 << 18 };

static pare_error err;
static pare__hparams hp;
static pare__prep_rule prep;

/* ---- configuration --------------------------------------------------------------------------------------------- */

#define VISION(more)                                                                                                   \
    "{\"model_type\":\"qwen2_5_vl\",\"hidden_size\":9,\"vision_config\":{\"hidden_size\":64,\"depth\":3,"              \
    "\"num_heads\":2" more "}}"

static int configure(pare__config *c)
{
    const pare__family *family = NULL;
    int rc = pare__family_find(&family, c, &err);
    if (!rc) rc = pare__family_configure(family, c, &hp, &prep);
    if (!rc) ck_assert_str_eq(family->name, "qwen2.5vl");
    pare__config_fini(c);
    return rc;
}

static int configure_hf(const char *config, const char *prep_text)
{
    pare__config c;
    memset(&err, 0, sizeof err);
    ck_assert_int_eq(pare__config_parse(&c, (const uint8_t *)config, strlen(config), (const uint8_t *)prep_text,
                                        prep_text ? strlen(prep_text) : 0, &err),
                     0);
    return configure(&c);
}

static void configured(const char *config, const char *prep_text)
{
    int rc = configure_hf(config, prep_text);
    ck_assert_msg(rc == 0, "%s: %s", config, err.text);
}

static void refused(const char *config, const char *prep_text, int code, const char *text)
{
    ck_assert_int_eq(configure_hf(config, prep_text), code);
    ck_assert_msg(strstr(err.text, text) != NULL, "\"%s\" does not say \"%s\"", err.text, text);
}

START_TEST(test_config)
{
    configured(VISION(""), NULL);
    ck_assert(hp.dim == 64 && hp.n_layer == 3 && hp.n_head == 2 && hp.mlp_dim == 3420 && hp.patch == 14);
    ck_assert(hp.unit == 2 && hp.temporal == 2 && hp.window == 4 && hp.d_out == 3584 && hp.has_projector && hp.rope);
    ck_assert(hp.norm == PARE__NORM_RMS && hp.eps == 1e-6F && hp.gated && hp.act == PARE__ACT_SILU);
    ck_assert(hp.rope_theta == 1e4F && hp.has_mrope && hp.mrope_per_second == 4 && hp.n_prefix == 0);
    ck_assert(!hp.is_full[0] && !hp.is_full[2]);
    ck_assert(prep.resize == PARE__RESIZE_SMART && prep.min_pixels == 3136 && prep.max_pixels == 1003520);
    ck_assert(prep.resample == PARE__RESAMPLE_BICUBIC && prep.mean[0] == .48145466F && prep.std[2] == .27577711F);
    configured(VISION(",\"window_size\":56,\"fullatt_block_indexes\":[0,2],\"tokens_per_second\":2,"
                      "\"out_hidden_size\":32,\"intermediate_size\":96"),
               "{\"min_pixels\":784,\"max_pixels\":12845056,\"merge_size\":2,\"image_mean\":[0,0,0]}");
    ck_assert(hp.window == 2 && hp.is_full[0] && !hp.is_full[1] && hp.is_full[2] && hp.mrope_per_second == 2);
    ck_assert(hp.d_out == 32 && hp.mlp_dim == 96);
    ck_assert(prep.min_pixels == 784 && prep.max_pixels == 12845056 && prep.mean[1] == 0);
    configured("{\"model_type\":\"qwen2_5_vl\",\"vision_config\":{\"hidden_size\":1280}}", NULL);
    ck_assert_int_eq(hp.n_layer, 32);
    for (int i = 0; i < 32; i++) ck_assert_int_eq(hp.is_full[i], i % 8 == 7);
    /* as transformers 5 saves it; plain areas win, as there */
    configured(VISION(""), "{\"size\":{\"shortest_edge\":3136,\"longest_edge\":50176}}");
    ck_assert(prep.min_pixels == 3136 && prep.max_pixels == 50176);
    configured(VISION(""), "{\"size\":{\"shortest_edge\":3136,\"longest_edge\":50176},\"max_pixels\":40000}");
    ck_assert(prep.min_pixels == 3136 && prep.max_pixels == 40000);
}
END_TEST

START_TEST(test_refused)
{
    refused("{\"model_type\":\"qwen2_5_vl\"}", NULL, PARE_E_FORMAT, "vision_config.hidden_size is missing");
    refused(VISION(",\"window_size\":27"), NULL, PARE_E_FORMAT, "window_size 27 is less than a unit of 28 pixels");
    refused(VISION(",\"window_size\":0"), NULL, PARE_E_FORMAT, "vision_config.window_size is 0");
    refused(VISION(",\"fullatt_block_indexes\":7"), NULL, PARE_E_FORMAT, "fullatt_block_indexes must be an array");
    refused(VISION(",\"fullatt_block_indexes\":[1,-1]"), NULL, PARE_E_FORMAT, "fullatt_block_indexes[1] must be");
    refused(VISION(",\"hidden_act\":\"gelu\""), NULL, PARE_E_UNSUPPORTED, "hidden_act \"gelu\"");
    refused(VISION(",\"in_channels\":4"), NULL, PARE_E_LIMIT, "in_channels is 4");
    refused(VISION(",\"temporal_patch_size\":5"), NULL, PARE_E_LIMIT, "temporal_patch_size is 5");
    refused(VISION(",\"spatial_merge_size\":0"), NULL, PARE_E_FORMAT, "spatial_merge_size is 0");
    refused("{\"model_type\":\"qwen2_5_vl\",\"vision_config\":{\"hidden_size\":60,\"num_heads\":2}}", NULL,
            PARE_E_FORMAT, "30 channels of a head cannot turn");
    refused(VISION(""), "{\"merge_size\":4}", PARE_E_LIMIT, "merge_size is 4");
    refused(VISION(""), "{\"min_pixels\":5000,\"max_pixels\":4000}", PARE_E_FORMAT, "min_pixels 5000 is above");
    refused("{\"model_type\":\"blip\"}", NULL, PARE_E_UNSUPPORTED, "\"blip\"");
}
END_TEST

#define CLIP "\"general.architecture\":\"clip\",\"clip.projector_type\":\"qwen2.5vl_merger\","
#define TOWER                                                                                                          \
    "\"clip.vision.embedding_length\":160,\"clip.vision.feed_forward_length\":96,\"clip.vision.block_count\":6,"       \
    "\"clip.vision.attention.head_count\":2,\"clip.vision.projection_dim\":32,\"clip.vision.patch_size\":14,"          \
    "\"clip.vision.image_size\":560,\"clip.vision.image_mean\":[0.5,0.5,0.5]"

static int configure_gguf(const char *meta_text)
{
    pare__config c;
    json_t *meta = json_loads(meta_text, 0, NULL);
    ck_assert_ptr_nonnull(meta);
    memset(&err, 0, sizeof err);
    ck_assert_int_eq(pare__config_from_gguf(&c, meta, &err), 0);
    int rc = configure(&c);
    json_decref(meta);
    return rc;
}

START_TEST(test_config_gguf)
{
    ck_assert_msg(configure_gguf("{" CLIP TOWER ",\"clip.use_silu\":true,\"clip.vision.n_wa_pattern\":2,"
                                 "\"clip.vision.attention.layer_norm_epsilon\":1e-5}") == 0,
                  "%s", err.text);
    ck_assert(hp.dim == 160 && hp.mlp_dim == 96 && hp.n_layer == 6 && hp.n_head == 2 && hp.d_out == 32);
    ck_assert(hp.window == 4 && hp.eps == 1e-5F && hp.mrope_per_second == 2);
    for (int i = 0; i < 6; i++) ck_assert_int_eq(hp.is_full[i], i % 2);
    ck_assert(prep.mean[0] == .5F && prep.std[0] == .26862954F && prep.resize == PARE__RESIZE_SMART);
    ck_assert_int_eq(configure_gguf("{" CLIP TOWER ",\"clip.vision.window_size\":56,"
                                    "\"clip.vision.image_min_pixels\":784,\"clip.vision.image_max_pixels\":7840}"),
                     0);
    ck_assert(hp.window == 2 && hp.eps == 1e-6F && prep.min_pixels == 784 && prep.max_pixels == 7840);
    ck_assert_int_eq(configure_gguf("{" CLIP TOWER ",\"clip.use_silu\":false}"), PARE_E_UNSUPPORTED);
    ck_assert_int_eq(configure_gguf("{" CLIP TOWER ",\"clip.vision.n_wa_pattern\":0}"), PARE_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "vision.n_wa_pattern is 0"));
    ck_assert_int_eq(configure_gguf("{" CLIP "\"clip.vision.embedding_length\":-1}"), PARE_E_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "vision.embedding_length is -1"));
    /* without a projector nothing says whose tower it is */
    ck_assert_int_eq(configure_gguf("{\"general.architecture\":\"clip\"," TOWER "}"), PARE_E_UNSUPPORTED);
}
END_TEST

/* ---- weights ---------------------------------------------------------------------------------------------------- */

/* A tensor of a tiny tower (dim 32, mlp 64, patch 2, units of 2x2, 2 frames, 1 block, width 5 outside) in both kinds of
 * files: values count up from `first`, so stacked parts continue each other. */
typedef struct row {
    const char *hf, *gguf;
    int n_dim;
    int64_t shape[5];
    int first;
} row;

static const row rows[] = {
    {"patch_embed.proj.weight", NULL, 5, {DIM, 3, 2, PATCH, PATCH}, 0},
    {"blocks.0.norm1.weight", "v.blk.0.ln1.weight", 1, {DIM}, 1},
    {"blocks.0.norm2.weight", "v.blk.0.ln2.weight", 1, {DIM}, 2},
    {"blocks.0.attn.qkv.weight", NULL, 2, {3 * DIM, DIM}, 3},
    {"blocks.0.attn.qkv.bias", NULL, 1, {3 * DIM}, 4},
    {NULL, "v.blk.0.attn_q.weight", 2, {DIM, DIM}, 3},
    {NULL, "v.blk.0.attn_k.weight", 2, {DIM, DIM}, 3 + DIM *DIM},
    {NULL, "v.blk.0.attn_v.weight", 2, {DIM, DIM}, 3 + 2 * DIM *DIM},
    {NULL, "v.blk.0.attn_q.bias", 1, {DIM}, 4},
    {NULL, "v.blk.0.attn_k.bias", 1, {DIM}, 4 + DIM},
    {NULL, "v.blk.0.attn_v.bias", 1, {DIM}, 4 + 2 * DIM},
    {"blocks.0.attn.proj.weight", "v.blk.0.attn_out.weight", 2, {DIM, DIM}, 5},
    {"blocks.0.attn.proj.bias", "v.blk.0.attn_out.bias", 1, {DIM}, 6},
    {"blocks.0.mlp.up_proj.weight", "v.blk.0.ffn_up.weight", 2, {MLP, DIM}, 7 + MLP *DIM},
    {"blocks.0.mlp.up_proj.bias", "v.blk.0.ffn_up.bias", 1, {MLP}, 8 + MLP},
    {"blocks.0.mlp.gate_proj.weight", "v.blk.0.ffn_gate.weight", 2, {MLP, DIM}, 7},
    {"blocks.0.mlp.gate_proj.bias", "v.blk.0.ffn_gate.bias", 1, {MLP}, 8},
    {"blocks.0.mlp.down_proj.weight", "v.blk.0.ffn_down.weight", 2, {DIM, MLP}, 9},
    {"blocks.0.mlp.down_proj.bias", "v.blk.0.ffn_down.bias", 1, {DIM}, 10},
    {"merger.ln_q.weight", "v.post_ln.weight", 1, {DIM}, 11},
    {"merger.mlp.0.weight", "mm.0.weight", 2, {4 * DIM, 4 * DIM}, 12},
    {"merger.mlp.0.bias", "mm.0.bias", 1, {4 * DIM}, 13},
    {"merger.mlp.2.weight", "mm.2.weight", 2, {OUT, 4 * DIM}, 14},
    {"merger.mlp.2.bias", "mm.2.bias", 1, {OUT}, 15},
};
enum { N_ROW = sizeof rows / sizeof *rows };

static int64_t count_of(const int64_t *shape, int n_dim)
{
    int64_t n = 1;
    for (int i = 0; i < n_dim; i++) n *= shape[i];
    return n;
}

typedef struct writer {
    uint8_t *bytes; /* [MAX_FILE] */
    size_t n;
} writer;

static void put(writer *w, uint64_t v, int n)
{
    ck_assert(w->n + (size_t)n <= MAX_FILE);
    for (int i = 0; i < n; i++) w->bytes[w->n++] = (uint8_t)(v >> (8 * i));
}

static void put_text(writer *w, const char *text)
{
    put(w, strlen(text), 8);
    for (; *text; text++) put(w, (uint8_t)*text, 1);
}

static void put_float(writer *w, float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    put(w, bits, 4);
}

static void write_out(const char *dir, const char *name, const void *bytes, size_t n)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_int_eq((int)fwrite(bytes, 1, n, f), (int)n);
    ck_assert_int_eq(fclose(f), 0);
}

static const char config_text[] =
    "{\"model_type\":\"qwen2_5_vl\",\"vision_config\":{\"hidden_size\":32,\"depth\":1,\"num_heads\":2,"
    "\"intermediate_size\":64,\"out_hidden_size\":5,\"patch_size\":2,\"window_size\":16}}";

/* `skip` leaves a tensor out; lm_head cannot be weights, and nobody may look. */
static void write_safetensors(const char *dir, const char *prefix, const char *skip)
{
    writer w = {calloc(MAX_FILE, 1), 8};
    json_t *header =
        json_pack("{s:{s:s,s:[i],s:[i,i]}}", "lm_head.weight", "dtype", "I64", "shape", 1, "data_offsets", 0, 8);
    int64_t at = 8;
    for (int i = 0; i < N_ROW; i++) {
        if (!rows[i].hf || (skip && !strcmp(skip, rows[i].hf))) continue;
        char name[128];
        const int64_t n = 4 * count_of(rows[i].shape, rows[i].n_dim);
        json_t *shape = json_array();
        snprintf(name, sizeof name, "%s%s", prefix, rows[i].hf);
        for (int k = 0; k < rows[i].n_dim; k++) json_array_append_new(shape, json_integer(rows[i].shape[k]));
        json_object_set_new(header, name,
                            json_pack("{s:s,s:o,s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets",
                                      (json_int_t)at, (json_int_t)(at + n)));
        at += n;
    }
    char *text = json_dumps(header, JSON_COMPACT | JSON_PRESERVE_ORDER);
    for (const char *p = text; *p; p++) put(&w, (uint8_t)*p, 1);
    for (int i = 0; i < 8; i++) w.bytes[i] = (uint8_t)(strlen(text) >> (8 * i));
    put(&w, 0, 8);
    for (int i = 0; i < N_ROW; i++)
        for (int64_t k = 0; rows[i].hf && k < count_of(rows[i].shape, rows[i].n_dim); k++)
            if (!skip || strcmp(skip, rows[i].hf)) put_float(&w, (float)(rows[i].first + k));
    write_out(dir, "model.safetensors", w.bytes, w.n);
    write_out(dir, "config.json", config_text, strlen(config_text));
    free(text);
    free(w.bytes);
    json_decref(header);
}

static void put_info(writer *w, const char *name, int n_dim, const int64_t *shape, uint64_t *offset)
{
    put_text(w, name);
    put(w, (uint64_t)n_dim, 4);
    for (int i = n_dim - 1; i >= 0; i--) put(w, (uint64_t)shape[i], 8);
    put(w, 0, 4);
    put(w, *offset, 8);
    *offset += ((uint64_t)count_of(shape, n_dim) * 4 + 31) / 32 * 32;
}

static void put_number(writer *w, const char *key, uint32_t value)
{
    put_text(w, key);
    put(w, 4, 4);
    put(w, value, 4);
}

/* Frame t of the patch weights, as the converter cuts them out: [DIM, 3, PATCH, PATCH]. */
static void put_slice(writer *w, int t)
{
    for (int64_t o = 0; o < DIM * 3; o++)
        for (int64_t i = 0; i < PATCH * PATCH; i++) put_float(w, (float)((o * 2 + t) * PATCH * PATCH + i));
}

static void write_gguf(const char *dir, int n_slice)
{
    static const char *const slices[] = {"v.patch_embd.weight", "v.patch_embd.weight.1"};
    static const int64_t slice_shape[] = {DIM, 3, PATCH, PATCH};
    writer w = {calloc(MAX_FILE, 1), 0};
    uint64_t offset = 0, n = (uint64_t)n_slice;
    for (int i = 0; i < N_ROW; i++) n += rows[i].gguf != NULL;
    for (const char *p = "GGUF"; *p; p++) put(&w, (uint8_t)*p, 1);
    put(&w, 3, 4);
    put(&w, n, 8);
    put(&w, 9, 8);
    put_text(&w, "general.architecture");
    put(&w, 8, 4);
    put_text(&w, "clip");
    put_text(&w, "clip.projector_type");
    put(&w, 8, 4);
    put_text(&w, "qwen2.5vl_merger");
    put_number(&w, "clip.vision.embedding_length", DIM);
    put_number(&w, "clip.vision.feed_forward_length", MLP);
    put_number(&w, "clip.vision.block_count", 1);
    put_number(&w, "clip.vision.attention.head_count", 2);
    put_number(&w, "clip.vision.projection_dim", OUT);
    put_number(&w, "clip.vision.patch_size", PATCH);
    put_number(&w, "clip.vision.window_size", 16);
    for (int i = 0; i < n_slice; i++) put_info(&w, slices[i], 4, slice_shape, &offset);
    for (int i = 0; i < N_ROW; i++)
        if (rows[i].gguf) put_info(&w, rows[i].gguf, rows[i].n_dim, rows[i].shape, &offset);
    for (int i = 0; i < n_slice; i++) {
        while (w.n % 32) put(&w, 0, 1);
        put_slice(&w, i);
    }
    for (int i = 0; i < N_ROW; i++) {
        if (!rows[i].gguf) continue;
        while (w.n % 32) put(&w, 0, 1);
        for (int64_t k = 0; k < count_of(rows[i].shape, rows[i].n_dim); k++) put_float(&w, (float)(rows[i].first + k));
    }
    while (w.n % 32) put(&w, 0, 1);
    write_out(dir, "mmproj.gguf", w.bytes, w.n);
    free(w.bytes);
}

static void counts_up(const float *x, int64_t n, int first)
{
    ck_assert_ptr_nonnull(x);
    for (int64_t i = 0; i < n; i++) ck_assert_float_eq(x[i], (float)(first + i));
}

static void check_linear(const pare__linear *l, int32_t n_in, int32_t n_out, int first)
{
    ck_assert_int_eq(l->n_in, n_in);
    ck_assert_int_eq(l->n_out, n_out);
    counts_up(l->w, (int64_t)n_in * n_out, first);
    counts_up(l->b, n_out, first + 1);
}

static void check_tower(const pare_model *m)
{
    const pare__block_w *b = &m->w.block[0];
    ck_assert_str_eq(m->family->name, "qwen2.5vl");
    ck_assert(m->hp.unit == 2 && m->hp.temporal == 2 && m->hp.window == 4 && m->hp.d_out == OUT);
    ck_assert(m->w.patch.n_in == 24 && m->w.patch.n_out == DIM && !m->w.patch.b);
    counts_up(m->w.patch.w, 24 * DIM, 0);
    counts_up(b->norm1.w, DIM, 1);
    counts_up(b->norm2.w, DIM, 2);
    ck_assert(!b->norm1.b && !b->norm2.b && !m->w.projector.norm.b && !m->w.norm.w && !m->w.pos);
    check_linear(&b->qkv, DIM, 3 * DIM, 3);
    check_linear(&b->proj, DIM, DIM, 5);
    check_linear(&b->fc1, DIM, 2 * MLP, 7);
    check_linear(&b->fc2, MLP, DIM, 9);
    counts_up(m->w.projector.norm.w, DIM, 11);
    check_linear(&m->w.projector.fc1, 4 * DIM, 4 * DIM, 12);
    check_linear(&m->w.projector.fc2, 4 * DIM, OUT, 14);
}

static void remove_dir(const char *dir)
{
    static const char *const names[] = {"model.safetensors", "config.json", "mmproj.gguf"};
    char path[PATH_SIZE];
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
}

START_TEST(test_names)
{
    static const char *const prefixes[] = {"visual.", "model.visual.", "thinker.visual."};
    char dir[] = "/tmp/pare-qwen-XXXXXX", file[PATH_SIZE];
    pare_model *m = NULL;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    for (int i = 0; i < 3; i++) {
        write_safetensors(dir, prefixes[i], NULL);
        ck_assert_msg(pare__model_load(&m, dir, &err) == 0, "%s", err.text);
        check_tower(m);
        pare__model_free(&m);
    }
    write_safetensors(dir, "visual.", "blocks.0.mlp.up_proj.bias");
    ck_assert_int_eq(pare__model_load(&m, dir, &err), PARE_E_NOTFOUND);
    ck_assert_msg(strstr(err.text, "visual.blocks.0.mlp.up_proj.bias") != NULL, "%s", err.text);
    snprintf(file, sizeof file, "%s/mmproj.gguf", dir);
    write_gguf(dir, 2);
    ck_assert_msg(pare__model_load(&m, file, &err) == 0, "%s", err.text);
    check_tower(m);
    pare__model_free(&m);
    write_gguf(dir, 1);
    ck_assert_int_eq(pare__model_load(&m, file, &err), PARE_E_NOTFOUND);
    ck_assert_msg(strstr(err.text, "v.patch_embd.weight.1") != NULL, "%s", err.text);
    remove_dir(dir);
}
END_TEST

/* ---- fixtures ---------------------------------------------------------------------------------------------------- */

static const char *fixtures(void)
{
    const char *dir = getenv("PARE_FIXTURES");
    return dir && *dir ? dir : NULL;
}

static void same(const float *a, const float *b, int64_t n)
{
    ck_assert_ptr_nonnull(a);
    for (int64_t i = 0; i < n; i++) ck_assert_msg(!(a[i] < b[i]) && !(a[i] > b[i]), "value %d", (int)i);
}

static void same_linear(const pare__linear *a, const pare__linear *b)
{
    ck_assert(a->n_in == b->n_in && a->n_out == b->n_out && !a->b == !b->b);
    same(a->w, b->w, (int64_t)a->n_in * a->n_out);
    if (a->b) same(a->b, b->b, a->n_out);
}

/* BF16 weights and their Q8_0 GGUF are the same numbers. */
START_TEST(test_golden_gguf)
{
    char path[PATH_SIZE];
    pare_model *a = NULL, *b = NULL;
    snprintf(path, sizeof path, "%s/golden/models/qwen2.5vl-image", fixtures());
    ck_assert_msg(pare__model_load(&a, path, &err) == 0, "%s", err.text);
    snprintf(path, sizeof path, "%s/golden/models/qwen2.5vl-image/mmproj-q8_0.gguf", fixtures());
    ck_assert_msg(pare__model_load(&b, path, &err) == 0, "%s", err.text);
    ck_assert_int_eq(a->n_params, b->n_params);
    ck_assert(a->hp.window == b->hp.window && a->hp.eps == b->hp.eps && a->hp.d_out == b->hp.d_out);
    ck_assert_mem_eq(a->hp.is_full, b->hp.is_full, 3);
    same_linear(&a->w.patch, &b->w.patch);
    same_linear(&a->w.projector.fc1, &b->w.projector.fc1);
    same_linear(&a->w.projector.fc2, &b->w.projector.fc2);
    for (int i = 0; i < 3; i++) {
        same_linear(&a->w.block[i].qkv, &b->w.block[i].qkv);
        same_linear(&a->w.block[i].proj, &b->w.block[i].proj);
        same_linear(&a->w.block[i].fc1, &b->w.block[i].fc1);
        same_linear(&a->w.block[i].fc2, &b->w.block[i].fc2);
        same(a->w.block[i].norm1.w, b->w.block[i].norm1.w, a->hp.dim);
    }
    pare__model_free(&a);
    pare__model_free(&b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("qwen_model");
    TCase *tc = tcase_create("qwen_model");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_config);
    tcase_add_test(tc, test_refused);
    tcase_add_test(tc, test_config_gguf);
    tcase_add_test(tc, test_names);
    if (fixtures())
        tcase_add_test(tc, test_golden_gguf);
    else
        printf("PARE_FIXTURES is not set: golden checkpoints skipped\n");
    suite_add_tcase(s, tc);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int n_failed = srunner_ntests_failed(r);
    srunner_free(r);
    return n_failed ? 1 : 0;
}
