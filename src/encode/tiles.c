/* SPDX-License-Identifier: MIT */
/* Tiles of a photo. Arithmetic in doubles in the order of the Python that it follows, as a count hangs on every rounding. */
#include "encode/tiles.h"

#include <math.h>

#include "core/limits.h"
#include "encode/prep.h"

/* Idefics3 takes no photo with a longer edge into its tiles. */
enum { MAX_FIRST = 4096 };

/* A photo and the pixels of a tile of it. */
typedef struct shot {
    const pare__prep_rule *rule;
    int32_t width, height;
    int32_t tile_width, tile_height;
} shot;

/* ---- grids ----------------------------------------------------------------------------------------------------- */

/* The grid of min .. max tiles whose aspect is nearest; of equally near ones a larger one while it would be filled at
 * least by half. Grids come by their number of tiles, narrow ones first. */
static void choose_ratio(const shot *s, pare__tiling *t)
{
    const double aspect = (double)s->width / s->height, area = (double)s->width * s->height;
    const double half = .5 * s->tile_width * s->tile_height;
    double least = INFINITY;
    for (int32_t n = s->rule->min_tiles; n <= s->rule->max_tiles; n++) {
        for (int32_t cols = 1; cols <= n; cols++) {
            if (n % cols) continue;
            const double off = fabs(aspect - (double)cols / (n / cols));
            if (!(off < least) && !(off == least && area > half * n)) continue;
            least = off;
            t->rows = n / cols;
            t->cols = cols;
        }
    }
    t->has_whole = t->rows * t->cols > 1;
}

/* The pinpoint that keeps most pixels, then the one that wastes least; the first where none keeps any. */
static void choose_pinpoint(const shot *s, pare__tiling *t)
{
    const double w = s->width, h = s->height;
    double most = 0, least = INFINITY;
    int32_t best = 0;
    for (int32_t i = 0; i < s->rule->n_pinpoint; i++) {
        const double ph = s->rule->pinpoint[i][0], pw = s->rule->pinpoint[i][1];
        const double scale = fmin(pw / w, ph / h);
        const double kept = fmin(floor(w * scale) * floor(h * scale), w * h), waste = pw * ph - kept;
        if (!(kept > most) && !(kept == most && waste < least)) continue;
        most = kept;
        least = waste;
        best = i;
    }
    t->rows = s->rule->pinpoint[best][0] / s->tile_height;
    t->cols = s->rule->pinpoint[best][1] / s->tile_width;
    t->has_whole = 1;
}

/* longer to `to`, the other keeps the aspect, up to the next even number if asked. */
static void longest_to(int32_t to, int even, int32_t *width, int32_t *height)
{
    const double aspect = (double)*width / *height;
    const int is_wide = *width >= *height;
    int32_t other = (int32_t)(is_wide ? to / aspect : to * aspect);
    if (even) other += other % 2;
    if (other < 1) other = 1;
    *width = is_wide ? to : other;
    *height = is_wide ? other : to;
}

static void find_first(const shot *s, pare__tiling *t)
{
    int32_t width = s->width, height = s->height;
    longest_to(s->rule->tiles_longest, 1, &width, &height);
    if (width > MAX_FIRST || height > MAX_FIRST) longest_to(MAX_FIRST, 0, &width, &height);
    t->first_resize_width = width;
    t->first_resize_height = height;
}

static int32_t tiles_over(int32_t side, int32_t tile)
{
    const int32_t n = (int32_t)(((int64_t)side + tile - 1) / tile);
    return n < 1 ? 1 : n;
}

/* The longer side up to whole tiles, then the other at the same aspect, up to whole tiles as well. */
static void choose_longest(const shot *s, pare__tiling *t)
{
    const int32_t width = t->first_resize_width, height = t->first_resize_height;
    const double aspect = (double)width / height;
    if (s->rule->max_tiles == 1) return;
    if (width >= height) {
        t->cols = tiles_over(width, s->tile_width);
        t->rows = tiles_over((int32_t)(t->cols * s->tile_width / aspect), s->tile_height);
    } else {
        t->rows = tiles_over(height, s->tile_height);
        t->cols = tiles_over((int32_t)(t->rows * s->tile_height * aspect), s->tile_width);
    }
    t->has_whole = t->rows * t->cols > 1;
}

static void choose(const shot *s, pare__tiling *t)
{
    switch (s->rule->tiles) {
    case PARE__TILES_RATIO:
        choose_ratio(s, t);
        break;
    case PARE__TILES_PINPOINTS:
        choose_pinpoint(s, t);
        break;
    case PARE__TILES_LONGEST:
        choose_longest(s, t);
        break;
    default:
        break;
    }
}

/* ---- the canvas ------------------------------------------------------------------------------------------------ */

/* The whole photo inside the canvas, centred on black: sides rounded up. */
static void pad_canvas(const shot *s, pare__fit *canvas)
{
    const double to_width = (double)canvas->width / s->width, to_height = (double)canvas->height / s->height;
    if (to_width < to_height)
        canvas->resized_height = (int32_t)fmin(ceil(s->height * to_width), canvas->height);
    else
        canvas->resized_width = (int32_t)fmin(ceil(s->width * to_height), canvas->width);
    canvas->crop_x = -((canvas->width - canvas->resized_width) / 2);
    canvas->crop_y = -((canvas->height - canvas->resized_height) / 2);
    for (int c = 0; c < 3; c++) canvas->pad[c] = 0;
}

static int set_canvas(const shot *s, pare__tiling *t, pare_error *err)
{
    pare__fit tile = t->whole;
    tile.width = s->tile_width;
    tile.height = s->tile_height;
    const int rc = pare__fit_canvas(&tile, t->rows, t->cols, 0, &t->canvas, err);
    if (rc == 0 && s->rule->tiles == PARE__TILES_PINPOINTS) pad_canvas(s, &t->canvas);
    return rc;
}

static int check_asked(int32_t rows, int32_t cols, pare_error *err)
{
    const int is_rule = rows == 0 && cols == 0, is_none = rows == -1 || cols == -1;
    if (rows > PARE__MAX_TILES || cols > PARE__MAX_TILES)
        return pare_fail(err, PARE_E_LIMIT, "tiles %dx%d: at most %d in a row or column", rows, cols, PARE__MAX_TILES);
    if (is_rule || (is_none && rows <= 0 && cols <= 0) || (rows > 0 && cols > 0)) return 0;
    return pare_fail(err, PARE_E_INVALID, "tiles %dx%d: give rows and columns, both at least 1", rows, cols);
}

/* A tile has the size that the rule makes of a whole photo, before it is cut to whole units. */
static shot shot_of(const pare_model *m, const pare__fit *whole)
{
    const int is_exact = m->prep.tiles != PARE__TILES_NONE && m->prep.resize == PARE__RESIZE_EXACT;
    return (shot){.rule = &m->prep,
                  .width = whole->src_width,
                  .height = whole->src_height,
                  .tile_width = is_exact ? m->prep.resize_width : whole->width,
                  .tile_height = is_exact ? m->prep.resize_height : whole->height};
}

int pare__tiling_find(const pare_model *m, int32_t src_width, int32_t src_height, int32_t rows, int32_t cols,
                      pare__tiling *out, pare_error *err)
{
    pare__tiling t = {.rows = 1, .cols = 1};
    int rc = check_asked(rows, cols, err);
    if (rc == 0) rc = pare__prep_fit(m, src_width, src_height, 0, 0, 0, 0, &t.whole, err);
    if (rc < 0) return rc;
    const shot s = shot_of(m, &t.whole);
    t.canvas = t.whole;
    if (m->prep.tiles == PARE__TILES_LONGEST) find_first(&s, &t);
    if (rows > 0) {
        t.rows = rows;
        t.cols = cols;
        t.has_whole = 1;
    } else if (rows == 0 && cols == 0) {
        choose(&s, &t);
    }
    t.whole_last = t.has_whole && (m->prep.tiles == PARE__TILES_RATIO || m->prep.tiles == PARE__TILES_LONGEST);
    t.whole_of_canvas = t.has_whole && m->prep.tiles == PARE__TILES_LONGEST;
    if (pare__tiling_slots(&t) > 1) rc = set_canvas(&s, &t, err);
    if (rc == 0) *out = t;
    return rc;
}

/* ---- slots ----------------------------------------------------------------------------------------------------- */

int32_t pare__tiling_tile(const pare__tiling *t, int32_t slot)
{
    const int32_t n = t->rows * t->cols;
    if (!t->has_whole) return n == 1 ? 0 : slot + 1;
    if (!t->whole_last) return slot;
    return slot == n ? 0 : slot + 1;
}

void pare__tiling_fit(const pare__tiling *t, int32_t slot, pare__fit *out)
{
    const int32_t tile = pare__tiling_tile(t, slot);
    *out = t->whole;
    if (tile == 0) return;
    pare__fit_tile(&t->canvas, t->rows, t->cols, tile, out);
    out->width = t->whole.width;
    out->height = t->whole.height;
}
