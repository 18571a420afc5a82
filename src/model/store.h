/* SPDX-License-Identifier: MIT */
/* The files of a checkpoint and the floats made from them. Owned by the model. */
#ifndef PARE_MODEL_STORE_H
#define PARE_MODEL_STORE_H

#include <pthread.h>

#include "model/lift.h"

typedef struct pare__shard {
    char *name;         /* base name */
    pare_tensors *t;    /* NULL until a tensor of it is asked for */
    int64_t n_in_place; /* weights that point into the mapping */
    int64_t least;      /* bytes of a tensor that may stay where it is */
} pare__shard;

/* Floats made from tensors. */
typedef struct pare__made {
    float *x; /* [n] */
    int64_t n;
    int32_t n_user; /* who said that they need it */
    int is_gone;    /* out of memory until somebody does */
} pare__made;

typedef struct pare__store {
    char *path, *dir;
    json_t *weight_map; /* tensor -> base name; NULL when there is one file */
    pare__shard *shard; /* [n_shard] */
    int64_t n_shard, cap_shard;
    pare__arena floats; /* converted weights: few large blocks are cheap to touch */
    pare__made *made;   /* [n_owned] where in there */
    int64_t n_owned, cap_owned;
    pare__lift lift;      /* how they are made */
    pthread_mutex_t lock; /* of what changes in `made` */
} pare__store;

/* path: a directory (model.safetensors, shards behind *.safetensors.index.json, or open_clip_model.safetensors), a
 * .safetensors or a .gguf file. Errors: NOTFOUND, IO, FORMAT, UNSUPPORTED, LIMIT, NOMEM. */
int pare__store_open(pare__store **out, const char *path, pare_error *err);
void pare__store_free(pare__store **s);
/* Files that no weight points into leave memory. */
void pare__store_trim(pare__store *s);
/* These bytes are not needed for now: their whole pages leave memory if they lie in a file. Any thread. */
void pare__store_drop(const pare__store *s, const void *bytes, int64_t n);
/* w = what pare__store_floats gave, or anything else, which is left alone: see pare__model_need. Any thread. */
void pare__store_need(pare__store *s, const float *w);
void pare__store_unneed(pare__store *s, const float *w, int64_t n);
/* Key-values when it is a GGUF file, else NULL. */
const json_t *pare__store_gguf(const pare__store *s);
/* Calls visit for every tensor of the files, of an index without opening its shards. */
void pare__store_visit(const pare__store *s, void (*visit)(void *user, const char *name), void *user);
/* The files are OpenCLIP's own. */
int pare__store_is_openclip(const pare__store *s);
/* Says whether some file claims to hold the tensor; opens nothing. */
int pare__store_has(const pare__store *s, const char *name);
/* *tensor = NULL if nobody has it. The shard pointer is valid until the next find. Errors: those of opening a shard,
 * NOTFOUND (the index is wrong). */
int pare__store_find(pare__store *s, const char *name, const pare_tensor **tensor, pare__shard **shard,
                     pare_error *err);
/* Uninitialised floats that live as long as the store; NULL when memory is short. */
float *pare__store_floats(pare__store *s, int64_t n);

#endif
