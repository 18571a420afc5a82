/* SPDX-License-Identifier: MIT */
/* The slots behind the tokens of pare_reduce_tokens, from grid_thw and tiles; and the integers of other arrays. */
#include <string.h>

#include "core/limits.h"
#include "encode/tiles.h"
#include "model/tensorfile.h"
#include "reduce/features.h"

static int64_t integer(const pare_tensor *t, int64_t i)
{
    if (t->dtype == PARE_I64) {
        int64_t v;
        memcpy(&v, (const char *)t->data + 8 * i, sizeof v);
        return v;
    }
    int32_t v;
    memcpy(&v, (const char *)t->data + 4 * i, sizeof v);
    return v;
}

static int check_integers(const pare_tensor *t, int64_t multiple, pare_error *err)
{
    const int64_t n = pare__tensor_count(t);
    if ((t->dtype == PARE_I32 || t->dtype == PARE_I64) && n >= multiple && n % multiple == 0) return 0;
    return pare_fail(err, PARE_E_INVALID, "%s: %lld values, must be i32 or i64 and a multiple of %lld", t->name,
                     (long long)n, (long long)multiple);
}

int pare__features_number(const pare_tensor *t, int32_t max, int32_t *out, pare_error *err)
{
    if (!t) return 0;
    const int rc = check_integers(t, 1, err);
    if (rc) return rc;
    const int64_t n = integer(t, 0);
    if (pare__tensor_count(t) != 1 || n < 1 || n > max)
        return pare_fail(err, PARE_E_INVALID, "%s: must be one number, 1..%d", t->name, max);
    *out = (int32_t)n;
    return 0;
}

/* ---- slots ------------------------------------------------------------------------------------------------------- */

/* Tiles of a picture: rows, cols, and where the whole picture stands (0 before them, 1 behind them, -1 nowhere). One slot
 * without the array. */
static int read_tiles(const pare_tensor *t, pare__tiling *tiling, pare_error *err)
{
    *tiling = (pare__tiling){.rows = 1, .cols = 1};
    if (!t) return 0;
    const int64_t n = pare__tensor_count(t);
    const int rc = check_integers(t, n == 3 ? 3 : 2, err);
    if (rc) return rc;
    const int64_t rows = integer(t, 0), cols = integer(t, 1);
    const int64_t whole = n == 3 ? integer(t, 2) : 0, worst = rows < 1 || cols > rows ? cols : rows;
    if (rows < 1 || cols < 1 || rows > PARE__MAX_TILES || cols > PARE__MAX_TILES)
        return pare_fail(err, PARE_E_INVALID, "tiles: %lld, each side must be 1..%d",
                         (long long)(rows < 1 ? rows : worst), PARE__MAX_TILES);
    if (whole < -1 || whole > 1)
        return pare_fail(err, PARE_E_INVALID, "tiles: the whole picture at %lld, must be 0, 1 or -1", (long long)whole);
    *tiling =
        (pare__tiling){.rows = (int32_t)rows, .cols = (int32_t)cols, .has_whole = whole >= 0, .whole_last = whole == 1};
    return 0;
}

/* The t slots of one row (t, h, w) of grid_thw; rows of a tiled picture are the whole and its tiles. */
static int add_slots(pare__features *f, const int64_t g[3], int64_t row, const pare__tiling *tiling, pare_error *err)
{
    for (int i = 0; i < 3; i++)
        if (g[i] < 1 || g[i] > (i ? PARE__MAX_UNITS_PER_FRAME : PARE__MAX_WINDOW))
            return pare_fail(err, PARE_E_INVALID, "grid_thw: %lld x %lld x %lld is no grid", (long long)g[0],
                             (long long)g[1], (long long)g[2]);
    if (f->per_picture > 1 && g[0] != 1)
        return pare_fail(err, PARE_E_INVALID, "grid_thw: %lld steps, but a picture in tiles has 1", (long long)g[0]);
    if (f->n_slot + g[0] > PARE__MAX_WINDOW)
        return pare_fail(err, PARE_E_LIMIT, "grid_thw: more than %d grids", PARE__MAX_WINDOW);
    for (int32_t t = 0; t < g[0]; t++)
        f->slot[f->n_slot++] = (pare_slot){.media = (int32_t)(row / f->per_picture),
                                           .tile = pare__tiling_tile(tiling, (int32_t)(row % f->per_picture)),
                                           .t = t,
                                           .tile_rows = tiling->rows,
                                           .tile_cols = tiling->cols,
                                           .grid_h = (int32_t)g[1],
                                           .grid_w = (int32_t)g[2]};
    if (g[1] > f->grid_h) f->grid_h = (int32_t)g[1];
    if (g[2] > f->grid_w) f->grid_w = (int32_t)g[2];
    return 0;
}

int pare__features_slots(pare__features *f, const pare_tensor *thw, const pare_tensor *tiles, int64_t n,
                         pare_error *err)
{
    pare__tiling tiling;
    int rc = read_tiles(tiles, &tiling, err);
    if (!rc && thw) rc = check_integers(thw, 3, err);
    if (rc) return rc;
    const int64_t n_row = thw ? pare__tensor_count(thw) / 3 : 1;
    f->per_picture = pare__tiling_slots(&tiling);
    if (n_row % f->per_picture)
        return pare_fail(err, PARE_E_INVALID, "grid_thw: %lld rows, but a picture in %d x %d tiles takes %d",
                         (long long)n_row, tiling.rows, tiling.cols, f->per_picture);
    f->slot = PARE__NEW(pare_slot, PARE__MAX_WINDOW);
    if (!f->slot) return PARE_E_NOMEM;
    int64_t units = 0;
    for (int64_t i = 0; !rc && i < n_row && units <= n; i++) {
        const int64_t g[3] = {thw ? integer(thw, 3 * i) : 1, thw ? integer(thw, 3 * i + 1) : 1,
                              thw ? integer(thw, 3 * i + 2) : n};
        rc = add_slots(f, g, i, &tiling, err);
        units += rc ? 0 : g[0] * g[1] * g[2];
    }
    if (!rc && units != n)
        rc = pare_fail(err, PARE_E_INVALID, "grid_thw: %lld units, but tokens has %lld rows", (long long)units,
                       (long long)n);
    return rc;
}
