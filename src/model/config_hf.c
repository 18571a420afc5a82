/* SPDX-License-Identifier: MIT */
/* What the configurations of all Hugging Face image models have in common: activations, labels, the rule of the image
 * processor. Source: transformers' image_processing_*.py (slow processors), PIL's resampling codes. */
#include <stdio.h>
#include <string.h>

#include "core/error.h"
#include "core/limits.h"
#include "model/config.h"

const pare__choice pare__act_names[] = {
    {"gelu", PARE__ACT_GELU},
    {"gelu_python", PARE__ACT_GELU},
    {"gelu_pytorch_tanh", PARE__ACT_GELU_TANH},
    {"gelu_new", PARE__ACT_GELU_TANH},
    {"gelu_tanh", PARE__ACT_GELU_TANH},
    {"quick_gelu", PARE__ACT_GELU_QUICK},
    {NULL, 0},
};

/* By PIL code; -1 = unsupported (5 is Hamming). */
static const int32_t pil_resample[] = {PARE__RESAMPLE_NEAREST, PARE__RESAMPLE_LANCZOS, PARE__RESAMPLE_BILINEAR,
                                       PARE__RESAMPLE_BICUBIC, PARE__RESAMPLE_BOX,     -1};
enum { N_PIL_RESAMPLE = sizeof pil_resample / sizeof pil_resample[0] };
enum { DEFAULT_PATCHES = 256 }; /* NaFlex without a number of its own */

/* ---- classes ------------------------------------------------------------------------------------------------- */

static int64_t label_count(const json_t *labels)
{
    return json_is_object(labels) ? (int64_t)json_object_size(labels) : (int64_t)json_array_size(labels);
}

int32_t pare__config_classes(pare__config *c)
{
    const json_t *first = json_array_get(pare__config_at(c, PARE__CONFIG, "architectures"), 0);
    const char *architecture = json_string_value(first);
    const int64_t n_label = label_count(pare__config_at(c, PARE__CONFIG, "id2label"));
    if (architecture && !strstr(architecture, "ForImageClassification")) return 0;
    /* Without any label Hugging Face builds two classes, and does not write them down. */
    int32_t n = pare__config_int(c, PARE__CONFIG, "num_labels",
                                 n_label        ? (int32_t)n_label
                                 : architecture ? 2
                                                : 0,
                                 0, PARE__MAX_CLASSES);
    if (n_label && n_label != n)
        pare__config_fail(c, PARE_E_FORMAT, "%s: num_labels is %d, id2label has %lld entries", c->file, n,
                          (long long)n_label);
    return n;
}

const char *pare__config_label(const pare__config *c, int32_t i)
{
    char key[16];
    const json_t *labels = pare__config_at(c, PARE__CONFIG, "id2label");
    if (!labels) labels = pare__config_at(c, PARE__CONFIG, "label_names");
    snprintf(key, sizeof key, "%d", i);
    return json_string_value(json_is_object(labels) ? json_object_get(labels, key) : json_array_get(labels, (size_t)i));
}

/* ---- image processor ----------------------------------------------------------------------------------------- */

static void set_shortest(pare__prep_rule *rule, int32_t edge)
{
    rule->resize = PARE__RESIZE_SHORTEST;
    rule->shortest = edge;
}

static void set_exact(pare__prep_rule *rule, int32_t height, int32_t width)
{
    rule->resize = PARE__RESIZE_EXACT;
    rule->resize_height = height;
    rule->resize_width = width;
}

/* Areas in pixels: plain in the files of the hub, as edges of "size" in those that transformers 5 saves. */
static void read_areas(pare__config *c, pare__prep_rule *rule)
{
    rule->min_pixels = pare__config_int(c, PARE__PREP, "min_pixels|size.min_pixels|size.shortest_edge",
                                        (int32_t)rule->min_pixels, 1, PARE__MAX_PIXELS);
    rule->max_pixels = pare__config_int(c, PARE__PREP, "max_pixels|size.max_pixels|size.longest_edge",
                                        (int32_t)rule->max_pixels, 1, PARE__MAX_PIXELS);
    if (rule->min_pixels > rule->max_pixels)
        pare__config_fail(c, PARE_E_FORMAT, "%s: min_pixels %lld is above max_pixels %lld", c->prep_file,
                          (long long)rule->min_pixels, (long long)rule->max_pixels);
}

static void read_patches(pare__config *c, pare__prep_rule *rule)
{
    const int32_t def = rule->max_patches > 0 ? rule->max_patches : DEFAULT_PATCHES;
    rule->max_patches = pare__config_int(c, PARE__PREP, "max_num_patches", def, 1, PARE__MAX_UNITS_PER_FRAME);
}

/* "size" by its own keys. */
static void read_size(pare__config *c, int square, pare__prep_rule *rule)
{
    int32_t height = 0, width = 0;
    if (pare__config_at(c, PARE__PREP, "size.longest_edge")) {
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: size.longest_edge is not supported", c->prep_file);
    } else if (pare__config_at(c, PARE__PREP, "size.shortest_edge")) {
        set_shortest(rule, pare__config_int(c, PARE__PREP, "size.shortest_edge", 0, 1, PARE__MAX_SIDE));
    } else if (pare__config_size(c, PARE__PREP, "size", &height, &width)) {
        int is_plain = json_is_integer(pare__config_at(c, PARE__PREP, "size"));
        if (is_plain && !square)
            set_shortest(rule, height);
        else
            set_exact(rule, height, width);
    } else if (rule->resize == PARE__RESIZE_NONE) {
        pare__config_fail(c, PARE_E_FORMAT, "%s: do_resize without a size", c->prep_file);
    }
}

static void read_resize(pare__config *c, int square, pare__prep_rule *rule)
{
    if (!pare__config_bool(c, PARE__PREP, "do_resize", rule->resize != PARE__RESIZE_NONE))
        rule->resize = PARE__RESIZE_NONE;
    else if (rule->resize == PARE__RESIZE_SMART)
        read_areas(c, rule);
    else if (rule->resize == PARE__RESIZE_PATCHES)
        read_patches(c, rule);
    else if (rule->tiles != PARE__TILES_LONGEST)
        read_size(c, square, rule);
}

/* Processors of clips are torchvision's: its antialias for bicubic, which also stands in for Lanczos. */
static void read_clip_resample(pare__config *c, pare__prep_rule *rule)
{
    if (!pare__config_at(c, PARE__CLIP, "resample")) return;
    const int32_t code = pare__config_int(c, PARE__CLIP, "resample", -1, 0, N_PIL_RESAMPLE - 1);
    const int32_t known = pil_resample[code];
    if (known < 0)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: resample %d is not supported", c->clip_file, code);
    else if (known == PARE__RESAMPLE_BICUBIC || known == PARE__RESAMPLE_LANCZOS)
        rule->clip_resample = PARE__RESAMPLE_BICUBIC_TORCH;
    else
        rule->clip_resample = (pare__resample)known;
}

static void read_crop(pare__config *c, pare__prep_rule *rule)
{
    if (!pare__config_bool(c, PARE__PREP, "do_center_crop", rule->crop != PARE__CROP_NONE)) {
        rule->crop = PARE__CROP_NONE;
        return;
    }
    int is_given = pare__config_size(c, PARE__PREP, "crop_size", &rule->crop_height, &rule->crop_width);
    if (!is_given && rule->crop == PARE__CROP_NONE)
        pare__config_fail(c, PARE_E_FORMAT, "%s: do_center_crop without a crop_size", c->prep_file);
    rule->crop = PARE__CROP_FLOOR;
}

static void read_resample(pare__config *c, pare__prep_rule *rule)
{
    if (!pare__config_at(c, PARE__PREP, "resample")) return;
    int32_t code = pare__config_int(c, PARE__PREP, "resample", -1, 0, N_PIL_RESAMPLE - 1);
    if (pil_resample[code] < 0)
        pare__config_fail(c, PARE_E_UNSUPPORTED, "%s: resample %d is not supported", c->prep_file, code);
    else
        rule->resample = (pare__resample)pil_resample[code];
}

static void read_values(pare__config *c, pare__prep_rule *rule)
{
    int rescale = pare__config_bool(c, PARE__PREP, "do_rescale", 1);
    int normalize = pare__config_bool(c, PARE__PREP, "do_normalize", 1);
    rule->rescale = rescale ? pare__config_float(c, PARE__PREP, "rescale_factor", rule->rescale, 1e-6, 1e6) : 1.0;
    pare__config_vec3(c, PARE__PREP, "image_mean", -1e6, 1e6, rule->mean);
    pare__config_vec3(c, PARE__PREP, "image_std", 1e-6, 1e6, rule->std);
    for (int i = 0; i < 3 && !normalize; i++) {
        rule->mean[i] = 0;
        rule->std[i] = 1;
    }
}

void pare__config_prep(pare__config *c, int square, pare__prep_rule *rule)
{
    read_clip_resample(c, rule);
    if (!c->prep) {
        pare__log(PARE_LOG_INFO, "%s: no preprocessing rule beside it, the family's default is used", c->file);
        return;
    }
    read_resize(c, square, rule);
    read_crop(c, rule);
    read_resample(c, rule);
    read_values(c, rule);
}
