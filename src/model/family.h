/* SPDX-License-Identifier: MIT */
/* A family: the data that describes one kind of checkpoint. Tensor names are a table; everything else is written into
 * pare__hparams, so nothing outside fam_*.c asks which family a model belongs to.
 *
 * One file + one line in families.c. */
#ifndef PARE_MODEL_FAMILY_H
#define PARE_MODEL_FAMILY_H

#include <stddef.h>

#include "model/config.h"
#include "model/model.h"

typedef enum {
    PARE__ROLE_ARRAY,  /* const float *: the name itself */
    PARE__ROLE_LINEAR, /* pare__linear: name.weight and name.bias */
    PARE__ROLE_NORM,   /* pare__norm_w: name.weight and name.bias; of an RMS norm the weight alone */
    PARE__ROLE_SCALE   /* pare__norm_w without bias: name.weight */
} pare__role;

enum {
    PARE__BIND_ROOT = 1,          /* the name takes no prefix (classifier heads) */
    PARE__BIND_OPTIONAL = 2,      /* may be absent from the file: pare_model.missing tells */
    PARE__BIND_TRANSPOSED = 4,    /* the file holds [in, out]; `shape` tells what is wanted, [out, in] */
    PARE__BIND_CHANNELS_LAST = 8, /* the file holds [D, P P C] or [D, P, P, C]; `shape` is DCPP */
    PARE__BIND_PLUS_ONE = 16,     /* 1 is added to every value of safetensors (Gemma's norms); in GGUF it already is */
    PARE__BIND_BIAS_PARTS = 32    /* parts of a stacked bias that the file lacks are 0, if it has one of them */
};

/* One row of a tensor-name table.
 *
 * names: alternatives by '|', parts that are stacked along the first axis by '+', %d is the block: the fused
 *        "blocks.%d.attn.qkv" and "...query+...key+...value" both end in one matrix. Parts joined by '/' are slices of
 *        the axis E instead. ".weight" and ".bias" go to the end of a name, or to its '*'; a weight whose name ends
 *        in "weight", or that the file holds under the name as it stands, gets none.
 * shape: of the whole, one letter per axis; axes of length 1 are ignored, as GGUF and PyTorch disagree about them.
 *            D dim   T 3 dim   F mlp   G rows of fc1   C colours (3)   P patch   X CLS tokens   R registers
 *            N rows of the position table   K classes   H inputs of the classifier   E frames of a temporal step
 *            U all channels of the patches of a unit   J what the projector reads   M rows of its fc1   O d_out
 *            B n_embed   A channels of a head   S temporal steps (1 if 0)
 *        Parts that are stacked may differ in height: they add up to the whole.
 * bias_names: where biases are not NAME.bias: spelled in full, parts as in `names`; an empty part is 0.
 * need, bias: offset in pare__hparams of an int32; when it is 0 the tensor (its bias) does not exist.
 *             Left out they are dim: always. */
typedef struct pare__binding {
    size_t offset; /* in pare__weights or pare__block_w */
    pare__role role;
    const char *names, *shape;
    size_t need, bias;
    unsigned flags;
    const char *bias_names;
} pare__binding;

typedef struct pare__family {
    const char *name, *summary, *cite;
    const char *const *prefixes; /* tried in this order; ends with NULL */
    const char *probe;           /* the tensor whose presence decides for a prefix; alternatives by '|' */
    const pare__binding *model;  /* ends with names == NULL */
    const pare__binding *block;
    const pare__binding *deepstack; /* offsets in pare__projector_w; %d counts taps, %b is the block; NULL = none */
    int (*matches)(const pare__config *c);
    /* Fills both from zero. Errors in c->rc, which is returned. */
    int (*configure)(pare__config *c, pare__hparams *hp, pare__prep_rule *prep);
    /* What the files leave open, from shapes of tensors, before configure's result is checked (GGUF that lies about its
     * widths); or NULL. The shape is that of the file, outermost axis first; NULL if there is no such tensor. */
    int (*settle)(pare__config *c, pare__hparams *hp, const pare_tensor *(*find)(void *files, const char *name),
                  void *files);
    /* Weights that are computed instead of read (sinusoids); or NULL. Floats from pare__store_floats. */
    int (*finish)(pare_model *m, pare_error *err);
} pare__family;

/* ends with NULL */
extern const pare__family *const pare__families[];

/* The family of a config. Errors: FORMAT (it names no model type), UNSUPPORTED. */
int pare__family_find(const pare__family **out, const pare__config *c, pare_error *err);
/* configure, settle where c->files are given, then every limit and relation that holds for all families. */
int pare__family_configure(const pare__family *family, pare__config *c, pare__hparams *hp, pare__prep_rule *prep);
/* Length of the axis called `letter` in pare__binding.shape. */
int64_t pare__family_axis(const pare__hparams *hp, char letter);

/* Binds and converts all tensors of m->family into m->w and counts m->n_params. Errors: NOTFOUND (all missing names),
 * FORMAT (shape, non-finite value), UNSUPPORTED (dtype), NOMEM, those of opening shards. */
int pare__weights_bind(pare_model *m, pare_error *err);
void pare__weights_fini(pare__weights *w);

#endif
