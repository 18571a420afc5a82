/* SPDX-License-Identifier: MIT */
/* Bytes as config.json, and behind the first NUL as preprocessor_config.json: read, find the family, configure it. What
 * is accepted must satisfy the relations that the encoder relies on. */
#include <stdlib.h>
#include <string.h>

#include "core/limits.h"
#include "model/family.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const pare__hparams *hp, const pare__prep_rule *prep)
{
    int ok = hp->dim > 0 && hp->n_head > 0 && hp->dim % hp->n_head == 0 && hp->n_layer > 0 && hp->patch > 0 &&
             hp->mlp_dim > 0 && ((hp->pos_rows > 0 && hp->pos_cols > 0) || hp->rope) && hp->n_class >= 0 &&
             hp->n_prefix == hp->has_cls + hp->n_register && hp->dim <= PARE__MAX_DIM && hp->eps > 0;
    ok = ok && hp->unit > 0 && hp->temporal > 0 && hp->d_out > 0 && hp->window >= 0 && hp->steps > 0;
    ok = ok && hp->tap > 0 && hp->tap <= hp->n_layer && (hp->has_projector || hp->unit == 1) && hp->n_embed >= 0;
    for (int32_t i = 0; i < hp->n_deepstack; i++) ok = ok && hp->deepstack[i] >= 0 && hp->deepstack[i] < hp->tap;
    ok = ok && (prep->tiles != PARE__TILES_PINPOINTS || prep->n_pinpoint > 0) &&
         prep->clip_min_pixels <= prep->clip_max_pixels;
    if (prep->resize == PARE__RESIZE_PATCHES) ok = ok && prep->max_patches > 0;
    if (hp->rope) ok = ok && hp->dim / hp->n_head % 4 == 0 && hp->rope_theta > 0;
    for (int i = 0; i < 3; i++) ok = ok && prep->std[i] > 0;
    if (prep->resize == PARE__RESIZE_SMART) ok = ok && prep->min_pixels > 0 && prep->min_pixels <= prep->max_pixels;
    if (prep->resize == PARE__RESIZE_EXACT) ok = ok && prep->resize_width > 0 && prep->resize_height > 0;
    if (prep->resize == PARE__RESIZE_SHORTEST) ok = ok && prep->shortest > 0;
    if (prep->crop != PARE__CROP_NONE) ok = ok && prep->crop_width > 0 && prep->crop_height > 0;
    if (!ok) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pare__config c;
    pare_error err;
    pare__hparams hp;
    pare__prep_rule prep;
    const pare__family *family;
    const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
    size_t n = nul ? (size_t)(nul - data) : size;
    int rc = pare__config_parse(&c, data, n, nul ? nul + 1 : NULL, nul ? size - n - 1 : 0, &err);
    if (!rc) rc = pare__family_find(&family, &c, &err);
    if (!rc) rc = pare__family_configure(family, &c, &hp, &prep);
    if (!rc) {
        check(&hp, &prep);
        for (int32_t i = 0; i < hp.n_class && i < 64; i++) pare__config_label(&c, i);
    }
    pare__config_fini(&c);
    return 0;
}
