/* SPDX-License-Identifier: MIT */
/* What a checkpoint lacks and what of it is not read, as one line for people. */
#ifndef PARE_MODEL_REMAINS_H
#define PARE_MODEL_REMAINS_H

#include <jansson.h>

#include "model/store.h"

/* Zero is valid and empty. When memory is short the line says less. */
typedef struct pare__remains {
    json_t *read;  /* set: tensors that are read, and all groups they lie in ("a" and "a.b" of "a.b.c") */
    json_t *lacks; /* set: optional parts that the checkpoint does not have */
} pare__remains;

void pare__remains_read(pare__remains *r, const char *name);
void pare__remains_lacks(pare__remains *r, const char *name, size_t size);
/* "lacks pooler.dense; not read: language_model (290 tensors), lm_head": free with pare__free. NULL: no memory. */
char *pare__remains_text(const pare__remains *r, const pare__store *s);
void pare__remains_fini(pare__remains *r);

#endif
