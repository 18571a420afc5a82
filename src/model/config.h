/* SPDX-License-Identifier: MIT */
/* What a checkpoint says about itself, in one form whatever the files: `root` in the spelling of Hugging Face's
 * config.json (or timm's), `prep` in that of preprocessor_config.json. GGUF keys are brought into these spellings.
 *
 * Getters remember the first error in `rc` and go on with the default, so a family reads everything and returns rc.
 * Keys are dotted paths ("pretrained_cfg.crop_pct"), alternatives by '|': the first that is there counts. Absent and
 * null mean the default. */
#ifndef PARE_MODEL_CONFIG_H
#define PARE_MODEL_CONFIG_H

#include <jansson.h>
#include <pare/pare.h>

#include "model/model.h"

/* Longer paths are shown by their last part, so that messages have room for what is wrong. */
enum { PARE__CONFIG_SHOWN = 128 };

typedef struct pare__config {
    json_t *root;
    json_t *prep;          /* NULL: the checkpoint brings no preprocessing rule */
    json_t *clip;          /* the same of clips, NULL: as photos */
    const char *file;      /* how messages call root: "DIR/config.json", or without a directory */
    const char *prep_file; /* "DIR/preprocessor_config.json" */
    const char *clip_file; /* "DIR/video_preprocessor_config.json" */
    char shown[3][PARE__CONFIG_SHOWN];
    struct pare__store *files; /* whose tensors settle what the rest leaves open; NULL: none */
    int rc;
    pare_error *err;
} pare__config;

/* Where a getter looks. */
typedef enum { PARE__CONFIG, PARE__PREP, PARE__CLIP } pare__config_part;

/* A name in a config and its meaning here. A table ends with NULL. */
typedef struct pare__choice {
    const char *name;
    int32_t value;
} pare__choice;

/* All zero, with the names of the files for messages. */
void pare__config_init(pare__config *c, pare_error *err);
/* Reads config.json, or first open_clip_config.json, of a directory, and, where present, the rules of photos and of clips:
 * preprocessor_config.json, video_preprocessor_config.json, else image_processor and video_processor of
 * processor_config.json. Errors: NOTFOUND, IO, FORMAT, LIMIT. `c` can be passed to fini in every case. */
int pare__config_read(pare__config *c, const char *dir, int is_openclip, pare_error *err);
/* The same from bytes (for fuzzing): prep may be NULL. */
int pare__config_parse(pare__config *c, const uint8_t *bytes, size_t size, const uint8_t *prep, size_t prep_size,
                       pare_error *err);
/* The same from the key-values of a GGUF file. */
int pare__config_from_gguf(pare__config *c, const json_t *meta, pare_error *err);
void pare__config_fini(pare__config *c);

/* Fails once: the first message stays. Returns c->rc. */
int pare__config_fail(pare__config *c, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

json_t *pare__config_at(const pare__config *c, pare__config_part part, const char *key); /* NULL if absent or null */
int32_t pare__config_bool(pare__config *c, pare__config_part part, const char *key, int32_t def);
/* def < min means: must be there. Below min is FORMAT, above max LIMIT. */
int32_t pare__config_int(pare__config *c, pare__config_part part, const char *key, int32_t def, int32_t min,
                         int32_t max);
double pare__config_float(pare__config *c, pare__config_part part, const char *key, double def, double min, double max);
/* An integer of the config in 1..max. */
int32_t pare__config_count(pare__config *c, const char *key, int32_t def, int32_t max);
/* 1 if the text of the config at the key is this. */
int pare__config_is(const pare__config *c, const char *key, const char *text);
/* An mmproj file of llama.cpp (GGUF architecture "clip"); with this projector. */
int pare__config_is_mmproj(const pare__config *c);
int pare__config_is_projector(const pare__config *c, const char *type);
/* NULL if absent. */
const char *pare__config_text(pare__config *c, pare__config_part part, const char *key);
/* Unknown names are UNSUPPORTED. */
int32_t pare__config_choice(pare__config *c, pare__config_part part, const char *key, const pare__choice *table,
                            int32_t def);
/* n or [h, w] or [3, h, w] or {"height", "width"}: returns 1 if present. Sides in 1..PARE__MAX_SIDE. */
int pare__config_size(pare__config *c, pare__config_part part, const char *key, int32_t *height, int32_t *width);
/* Three numbers; untouched if absent. */
void pare__config_vec3(pare__config *c, pare__config_part part, const char *key, double min, double max, float out[3]);

/* Activations by the names of Hugging Face and timm. */
extern const pare__choice pare__act_names[];
/* Classifier outputs: 0 unless the architecture is one for classification. Labels stay in root (pare__config_label). */
int32_t pare__config_classes(pare__config *c);
/* Label of class i (id2label, a GGUF label list, timm's label_names), or NULL. */
const char *pare__config_label(const pare__config *c, int32_t i);

/* Applies a Hugging Face image processor over the family's default already in `rule`. square != 0: a plain number in
 * "size" means a square, else the shortest edge. A default of the SMART rule stays one: "size" then holds areas.
 * One of PATCHES stays one, with max_num_patches, and where tiles go by the longest edge "size" is left to the family. Without
 * prep the default stays and a line is logged. */
void pare__config_prep(pare__config *c, int square, pare__prep_rule *rule);

#endif
