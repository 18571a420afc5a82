/* SPDX-License-Identifier: MIT */
/* Opening a checkpoint: files, configuration, family, weights, labels. */
#include "model/model.h"

#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cache.h"
#include "core/mem.h"
#include "model/family.h"
#include "model/store.h"

/* general.name, else the name of the directory or of the GGUF file. */
static char *model_name(const pare__store *s)
{
    const char *given = json_string_value(json_object_get(pare__store_gguf(s), "general.name"));
    if (given && *given) return pare__strdup(given);
    char *full = realpath(pare__store_gguf(s) ? s->path : s->dir, NULL);
    char *name = full ? pare__strdup(basename(full)) : NULL;
    free(full);
    char *dot = name && pare__store_gguf(s) ? strrchr(name, '.') : NULL;
    if (dot) *dot = 0;
    return name ? name : pare__strdup("model");
}

static int read_config(pare__config *c, pare__store *s, pare_error *err)
{
    const json_t *gguf = pare__store_gguf(s);
    int rc =
        gguf ? pare__config_from_gguf(c, gguf, err) : pare__config_read(c, s->dir, pare__store_is_openclip(s), err);
    if (gguf) c->file = c->prep_file = c->clip_file = s->path;
    c->files = s;
    return rc;
}

/* All labels or none. */
static int read_labels(pare_model *m, const pare__config *c, pare_error *err)
{
    if (m->hp.n_class == 0 || !pare__config_label(c, 0)) return 0;
    m->label = PARE__NEW(char *, m->hp.n_class);
    if (!m->label) return pare_fail(err, PARE_E_NOMEM, "%s: no memory for %d labels", m->path, m->hp.n_class);
    for (int32_t i = 0; i < m->hp.n_class; i++) {
        const char *label = pare__config_label(c, i);
        if (!label) return pare_fail(err, PARE_E_FORMAT, "%s: class %d of %d has no label", c->file, i, m->hp.n_class);
        m->label[i] = pare__strdup(label);
        if (!m->label[i]) return pare_fail(err, PARE_E_NOMEM, "%s: no memory for labels", m->path);
    }
    return 0;
}

static int fill(pare_model *m, pare__config *c, pare_error *err)
{
    int rc = pare__cache_create(&m->cache, err);
    if (!rc) rc = pare__store_open(&m->store, m->path, err);
    if (!rc) rc = read_config(c, m->store, err);
    if (!rc) rc = pare__family_find(&m->family, c, err);
    if (!rc) rc = pare__family_configure(m->family, c, &m->hp, &m->prep);
    if (!rc) rc = pare__weights_bind(m, err);
    if (!rc && m->family->finish) rc = m->family->finish(m, err);
    if (!rc) rc = read_labels(m, c, err);
    if (rc) return rc;
    m->name = model_name(m->store);
    pare__store_trim(m->store);
    return m->name ? 0 : pare_fail(err, PARE_E_NOMEM, "%s: no memory", m->path);
}

int pare__model_load(pare_model **out, const char *path, pare_error *err)
{
    pare__config c = {0};
    pare_model *m = PARE__NEW(pare_model, 1);
    *out = NULL;
    if (!m) return pare_fail(err, PARE_E_NOMEM, "%s: no memory", path);
    m->path = pare__strdup(path);
    int rc = m->path ? fill(m, &c, err) : pare_fail(err, PARE_E_NOMEM, "%s: no memory", path);
    pare__config_fini(&c);
    if (rc) pare__model_free(&m);
    *out = m;
    return rc;
}

void pare__model_free(pare_model **m)
{
    if (!*m) return;
    for (int32_t i = 0; (*m)->label && i < (*m)->hp.n_class; i++) pare__free((*m)->label[i]);
    pare__free((*m)->label);
    pare__cache_free(&(*m)->cache);
    pare__weights_fini(&(*m)->w);
    pare__store_free(&(*m)->store);
    pare__free((*m)->name);
    pare__free((*m)->missing);
    pare__free((*m)->path);
    pare__free(*m);
    *m = NULL;
}

void pare__model_need(const pare_model *m, const float *w)
{
    if (m->store) pare__store_need(m->store, w);
}

void pare__model_unneed(const pare_model *m, const float *w, int64_t n)
{
    if (m->store) pare__store_unneed(m->store, w, n);
}

const char *pare__model_default_path(void)
{
    static const char installed[] = PARE_DATA_DIR "/" PARE__DEFAULT_MODEL;
    static const char beside[] = PARE_SOURCE_DATA_DIR "/" PARE__DEFAULT_MODEL;
    if (!access(installed, R_OK)) return installed;
    return access(beside, R_OK) ? NULL : beside;
}
