/* SPDX-License-Identifier: MIT */
/* Positions of visual tokens in language models with M-RoPE: three ids (t, y, x) per token. Pure functions of grids.
 * Source: Wang et al., arXiv:2409.12191, section 2.1; Bai et al., arXiv:2502.13923, section 2.1.2 (absolute time). */
#ifndef PARE_CORE_MROPE_H
#define PARE_CORE_MROPE_H

#include <pare/pare.h>

/* t of a temporal step of a video, counted from its first. per_second 0: one id per step whatever the time. Multiplied
 * as f32, then truncated, as the models were run: half a second at one id per second is 0, not an error. Not above
 * INT32_MAX. */
int32_t pare__mrope_time(double per_second, double second_per_grid, int64_t step);
/* ids [3, n], `ld` between planes, of the n = grid[0] grid[1] grid[2] units of one video (t, h, w in units), raster
 * order, all moved by `base`. A still picture is a video of one step. */
void pare__mrope_grid(const int64_t grid[3], double per_second, double second_per_grid, int32_t base, int32_t *ids,
                      int64_t ld);
/* The work behind pare_mrope; opts are complete. */
int pare__mrope_prompt(const pare_mrope_opts *opts, const int32_t *token_type, int64_t n, const int64_t *grid_thw,
                       int32_t n_grid, int32_t *ids, int32_t *delta, pare_error *err);

#endif
