/* SPDX-License-Identifier: MIT */
/* The table of consumers. Configurations are those of the repositories named in `source`, cut to the keys that tokens hang
 * on; absent keys mean the defaults of transformers' classes, as everywhere. The same released configurations, whole, are
 * in tests/published; tests/transformers/consumers.py holds every open row to its own processor. */
#include "consumers.h"

#define OPEN_DATE "transformers 5.23, 2026-11"
#define CLAUDE "Anthropic, Vision, Evaluate image size"
#define GEMINI "Google, Gemini API, Understand and count tokens; Media resolution"

#define QWEN_PHOTO                                                                                                     \
    "{\"min_pixels\": 3136, \"max_pixels\": 12845056, \"patch_size\": 14, \"temporal_patch_size\": 2, "                \
    "\"merge_size\": 2}"
#define SIGLIP_27 "\"hidden_size\": 1152, \"intermediate_size\": 4304, \"num_attention_heads\": 16, "
#define CLIP_L                                                                                                         \
    "\"vision_config\": {\"model_type\": \"clip_vision_model\", \"hidden_size\": 1024, \"intermediate_size\": 4096, "  \
    "\"num_attention_heads\": 16, \"num_hidden_layers\": 24, \"image_size\": 336, \"patch_size\": 14}"
#define CLIP_PHOTO                                                                                                     \
    "\"crop_size\": {\"height\": 336, \"width\": 336}, \"do_center_crop\": true, \"do_resize\": true, "                \
    "\"size\": {\"shortest_edge\": 336}"
#define SMOL_VISION                                                                                                    \
    "\"scale_factor\": 4, \"text_config\": {\"hidden_size\": 576}, \"vision_config\": {\"hidden_size\": 768, "         \
    "\"image_size\": 512, \"num_attention_heads\": 12, \"patch_size\": 16}"
#define SMOL_PHOTO                                                                                                     \
    "{\"do_image_splitting\": true, \"do_resize\": true, \"max_image_size\": {\"longest_edge\": 512}, "                \
    "\"size\": {\"longest_edge\": 2048}}"

#define OPEN(name_, summary_, source_) .name = name_, .summary = summary_, .source = source_, .date = OPEN_DATE
#define GPT(name_, summary_)                                                                                           \
    {                                                                                                                  \
        .name = name_, .summary = summary_, .source = "OpenAI, Images and vision, Calculating costs",                  \
        .date = "2025-12", .message = PARE_MESSAGE_OPENAI, .is_hosted = 1, .per_step = 1, .max_photos = 500            \
    }

const pare__consumer pare__consumers[] = {
    {.info = {OPEN("qwen2-vl", "Qwen2-VL, all sizes", "Qwen/Qwen2-VL-2B-Instruct"), .message = PARE_MESSAGE_QWEN,
              .has_clips = 1, .per_step = 2, .per_second = 2},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"qwen2_vl\", \"vision_config\": {}}",
     .photo = QWEN_PHOTO},
    {.info = {OPEN("qwen2.5-vl", "Qwen2.5-VL, all sizes", "Qwen/Qwen2.5-VL-3B-Instruct"), .message = PARE_MESSAGE_QWEN,
              .has_clips = 1, .per_step = 2, .per_second = 2},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"qwen2_5_vl\", \"vision_config\": {\"hidden_size\": 1280, \"tokens_per_second\": 2}}",
     .photo = QWEN_PHOTO},
    {.info = {OPEN("qwen3-vl", "Qwen3-VL, all sizes; a time stamp in words before every step of a clip",
                   "Qwen/Qwen3-VL-8B-Instruct"),
              .message = PARE_MESSAGE_QWEN, .has_clips = 1, .per_step = 2, .per_second = 2},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"qwen3_vl\", \"vision_config\": {\"hidden_size\": 1152}}",
     .photo = "{\"size\": {\"longest_edge\": 16777216, \"shortest_edge\": 65536}, \"patch_size\": 16, "
              "\"temporal_patch_size\": 2, \"merge_size\": 2}",
     .min_clip = 2,
     .clip = "{\"size\": {\"longest_edge\": 25165824, \"shortest_edge\": 4096}, \"patch_size\": 16, "
             "\"temporal_patch_size\": 2, \"merge_size\": 2}"},
    {.info = {OPEN("llava-1.5", "LLaVA-1.5", "llava-hf/llava-1.5-7b-hf"), .per_step = 1},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"llava\", " CLIP_L "}",
     .photo = "{" CLIP_PHOTO "}"},
    {.info = {OPEN("llava-next", "LLaVA-NeXT (1.6)", "llava-hf/llava-v1.6-mistral-7b-hf"), .per_step = 1},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"llava_next\", \"image_grid_pinpoints\": [[336, 672], [672, 336], [672, 672], "
               "[1008, 336], [336, 1008]], " CLIP_L "}",
     .photo =
         "{\"image_grid_pinpoints\": [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]], " CLIP_PHOTO "}"},
    {.info = {OPEN("llava-onevision", "LLaVA-OneVision; clips pooled 2 x 2",
                   "llava-hf/llava-onevision-qwen2-0.5b-ov-hf"),
              .has_clips = 1, .per_step = 1},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"llava_onevision\", \"vision_aspect_ratio\": \"anyres_max_9\", "
               "\"vision_feature_layer\": -1, \"vision_feature_select_strategy\": \"full\", \"vision_config\": "
               "{\"model_type\": \"siglip_vision_model\", " SIGLIP_27
               "\"num_hidden_layers\": 26, \"image_size\": 384, \"patch_size\": 14, \"vision_use_head\": false}}",
     .photo = "{\"do_resize\": true, \"size\": {\"height\": 384, \"width\": 384}}"},
    {.info = {OPEN("internvl", "InternVL 2, 2.5, 3: up to 12 tiles of 448 pixels and the whole; a tile per frame",
                   "OpenGVLab/InternVL3-1B-hf"),
              .has_clips = 1, .per_step = 1},
     .count = pare__consumer_count_model,
     .config =
         "{\"model_type\": \"internvl\", \"downsample_ratio\": 0.5, \"vision_config\": {\"image_size\": [448, 448], "
         "\"patch_size\": [14, 14]}, \"vision_feature_layer\": -1, \"vision_feature_select_strategy\": \"default\"}",
     .photo = "{\"processor_class\": \"InternVLProcessor\", \"min_patches\": 1, \"max_patches\": 12, "
              "\"size\": {\"height\": 448, \"width\": 448}}"},
    {.info = {OPEN("idefics3", "Idefics3 8B", "HuggingFaceM4/Idefics3-8B-Llama3"), .per_step = 1},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"idefics3\", \"scale_factor\": 2, \"text_config\": {\"hidden_size\": 4096}, "
               "\"vision_config\": {" SIGLIP_27 "\"num_hidden_layers\": 27, \"image_size\": 364, \"patch_size\": 14}}",
     .photo = "{\"do_image_splitting\": true, \"do_resize\": true, \"max_image_size\": {\"longest_edge\": 364}, "
              "\"size\": {\"longest_edge\": 1456}}"},
    {.info = {OPEN("smolvlm", "SmolVLM 256M and 500M", "HuggingFaceTB/SmolVLM-256M-Instruct"), .per_step = 1},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"idefics3\", " SMOL_VISION "}",
     .photo = SMOL_PHOTO},
    {.info = {OPEN("smolvlm2", "SmolVLM2 256M and 500M; frames of clips are not cut",
                   "HuggingFaceTB/SmolVLM2-500M-Video-Instruct"),
              .has_clips = 1, .per_step = 1, .per_second = 1},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"smolvlm\", " SMOL_VISION "}",
     .photo = SMOL_PHOTO,
     .clip_is_photos = 1},
    {.info = {OPEN("gemma-3", "Gemma 3 4B, 12B, 27B, without pan and scan", "google/gemma-3-4b-it"), .per_step = 1},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"gemma3\", \"mm_tokens_per_image\": 256, \"text_config\": {\"hidden_size\": 2560}, "
               "\"vision_config\": {\"model_type\": \"siglip_vision_model\", " SIGLIP_27
               "\"num_hidden_layers\": 27, \"image_size\": 896, \"patch_size\": 14, \"vision_use_head\": false}}",
     .photo = "{\"do_resize\": true, \"size\": {\"height\": 896, \"width\": 896}}"},
    {.info = {OPEN("siglip2-naflex", "SigLIP 2 NaFlex, at most 256 patches", "google/siglip2-base-patch16-naflex"),
              .per_step = 1},
     .count = pare__consumer_count_model,
     .config = "{\"model_type\": \"siglip2\", \"vision_config\": {\"model_type\": \"siglip2_vision_model\"}}",
     .photo = "{\"max_num_patches\": 256, \"patch_size\": 16}"},

    {.info = GPT("gpt-4o", "GPT-4o, GPT-4.1, GPT-4.5; detail high"),
     .count = pare__consumer_count_tiles,
     .base = 85,
     .each = 170},
    {.info = GPT("gpt-4o-mini", "GPT-4o mini; detail high"),
     .count = pare__consumer_count_tiles,
     .base = 2833,
     .each = 5667},
    {.info = GPT("gpt-5", "GPT-5; detail high"), .count = pare__consumer_count_tiles, .base = 70, .each = 140},
    {.info = GPT("o3", "o1, o1-pro, o3; detail high"), .count = pare__consumer_count_tiles, .base = 75, .each = 150},
    {.info = GPT("gpt-5-mini", "GPT-5 mini, GPT-4.1 mini"),
     .count = pare__consumer_count_patches,
     .each = 1.62,
     .side = 32,
     .max_patches = 1536},
    {.info = GPT("gpt-5-nano", "GPT-5 nano, GPT-4.1 nano"),
     .count = pare__consumer_count_patches,
     .each = 2.46,
     .side = 32,
     .max_patches = 1536},
    {.info = GPT("o4-mini", "o4-mini"),
     .count = pare__consumer_count_patches,
     .each = 1.72,
     .side = 32,
     .max_patches = 1536},
    {.info = {.name = "claude",
              .summary = "Claude 3 to Opus 4.6: longer side at most 1568 pixels, about w h / 750",
              .source = CLAUDE,
              .date = "2025-12",
              .message = PARE_MESSAGE_ANTHROPIC,
              .is_hosted = 1,
              .per_step = 1,
              .max_photos = 100},
     .count = pare__consumer_count_area,
     .each = 750,
     .side = 28,
     .max_edge = 1568,
     .max_patches = 1568,
     .max_side = 8000,
     .crowd = 20,
     .crowd_side = 2000},
    {.info = {.name = "claude-4.7",
              .summary = "Claude from Opus 4.7 on: longer side at most 2576 pixels, a token a patch of 28",
              .source = "Anthropic, Vision; Browser use tool, as quoted by public clients",
              .date = "2026-11",
              .message = PARE_MESSAGE_ANTHROPIC,
              .is_hosted = 1,
              .per_step = 1,
              .max_photos = 600},
     .count = pare__consumer_count_area,
     .side = 28,
     .max_edge = 2576,
     .max_patches = 4784,
     .max_side = 8000,
     .crowd = 20,
     .crowd_side = 2000},
    {.info = {.name = "gemini-2",
              .summary = "Gemini 2.0 and 2.5: 258 a crop, 258 a frame of a clip",
              .source = GEMINI,
              .date = "2025-12",
              .message = PARE_MESSAGE_GEMINI,
              .is_hosted = 1,
              .has_clips = 1,
              .per_step = 1,
              .max_photos = 3600,
              .per_second = 1},
     .count = pare__consumer_count_crops,
     .each = 258,
     .per_frame = 258},
    {.info = {.name = "gemini-3",
              .summary = "Gemini 3 at its own resolutions: up to 1120 a photo, 70 a frame of a clip",
              .source = GEMINI,
              .date = "2025-12",
              .message = PARE_MESSAGE_GEMINI,
              .is_hosted = 1,
              .has_clips = 1,
              .per_step = 1,
              .max_photos = 3600,
              .per_second = 1},
     .count = pare__consumer_count_fixed,
     .each = 1120,
     .per_frame = 70},
    {.info = {.name = NULL}},
};
