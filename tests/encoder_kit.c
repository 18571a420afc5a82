/* SPDX-License-Identifier: MIT */
/* See encoder_kit.h. */
#include "encoder_kit.h"

#include <math.h>
#include <string.h>

#include <check.h>

#include "core/rank.h"

pare_model kit_model;
pare__pool *kit_pool;
uint8_t kit_picture[KIT_PICTURES][KIT_PIXELS * 3];

void kit_use(const pare__hparams *hp, uint64_t seed)
{
    ref_free_model(&kit_model);
    kit_model = (pare_model){.hp = *hp};
    ref_make_model(&kit_model, seed);
}

void kit_setup(void)
{
    kit_model = (pare_model){0};
    kit_pool = NULL;
    kit_forget();
    pare__rng r = pare__rng_make(6, 0, 0);
    for (size_t i = 0; i < sizeof kit_picture; i++) (&kit_picture[0][0])[i] = (uint8_t)pare__rng_below(&r, 256);
    kit_use(&ref_plain, 3);
}

void kit_teardown(void)
{
    ref_free_model(&kit_model);
    pare__pool_free(&kit_pool);
}

pare__encoder *kit_create(const pare__encode_plan *plan, int64_t max_rows)
{
    pare__encoder *e;
    pare_error err;
    ck_assert_msg(pare__encoder_create(&e, &kit_model, kit_pool, plan, max_rows, &err) == 0, "%s", err.text);
    return e;
}

const pare__pack *kit_run(pare__encoder *e, const pare__segment *seg, int32_t n)
{
    const pare__pack *pack;
    pare_error err;
    ck_assert_msg(pare__encoder_run(e, seg, n, &pack, NULL, &err) == 0, "%s", err.text);
    return pack;
}

/* All of picture i. */
pare__segment kit_segment(int i)
{
    return (pare__segment){.rgb = {kit_picture[i], kit_picture[i]},
                           .grid_h = REF_GRID_H,
                           .grid_w = REF_GRID_W,
                           .t = i,
                           .n = REF_GRID_H * REF_GRID_W / (kit_model.hp.unit * kit_model.hp.unit)};
}

void kit_same(const char *what, const float *got, const double *want, int64_t n)
{
    double rms = 0;
    for (int64_t i = 0; i < n; i++) rms += want[i] * want[i] / (double)n;
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabs((double)got[i] - want[i]) <= 5e-5 * (sqrt(rms) + fabs(want[i])), "%s[%lld] is %g, not %g",
                      what, (long long)i, (double)got[i], want[i]);
}

void kit_close(const char *what, const float *got, const float *want, int64_t n, float bound)
{
    for (int64_t i = 0; i < n; i++)
        ck_assert_msg(fabsf(got[i] - want[i]) <= bound, "%s[%lld] is %g, not %g", what, (long long)i, (double)got[i],
                      (double)want[i]);
}

/* ---- stages kept by name ------------------------------------------------------------------------------------------- */

static kit_stage stages[48];
static int n_stage;

int kit_keep_stage(void *user, const char *name, int32_t block, const float *data, int64_t rows, int64_t width)
{
    kit_stage *s = &stages[n_stage++];
    (void)user;
    ck_assert_int_le(rows * width, KIT_STAGE_FLOATS);
    strncpy(s->name, name, sizeof s->name - 1);
    s->block = block;
    s->rows = rows;
    s->width = width;
    memcpy(s->data, data, (size_t)(rows * width) * sizeof *data);
    return 0;
}

void kit_forget(void) { n_stage = 0; }

const kit_stage *kit_find_stage(const char *name, int32_t block)
{
    for (int i = 0; i < n_stage; i++)
        if (strcmp(stages[i].name, name) == 0 && stages[i].block == block) return &stages[i];
    return NULL;
}

/* ---- reductions ---------------------------------------------------------------------------------------------------- */

/* Every third unit goes, the others of a row of units merge in pairs with a gain. Rows of n candidates from `first`. */
int64_t kit_thin(pare__map *map, int64_t first, int64_t n)
{
    int64_t rows = 0;
    for (int64_t i = 0; i + 2 < n; i += 3, rows++) {
        pare__map_row(map, first + i + 1);
        pare__map_add(map, first + i, 0.25);
        pare__map_add(map, first + i + 1, 0.75);
        pare__map_gain(map, 1.5);
    }
    return rows;
}

int kit_on_site(void *user, const pare__pack *p, int32_t block, pare__phase phase, pare__map *map, int64_t *n_out,
                pare_error *err)
{
    int64_t first = 0;
    (void)user, (void)block, (void)phase;
    pare__map_begin(map, pare__candidates(p));
    for (int s = 0; s < p->n_seg; s++) {
        const int64_t n = p->ucu[s + 1] - p->ucu[s] - p->n_prefix;
        n_out[s] = kit_thin(map, first, n);
        first += n;
    }
    return pare__map_finish(map, NULL, 0, err) < 0 ? -1 : 1;
}
