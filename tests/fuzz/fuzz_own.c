/* SPDX-License-Identifier: MIT */
/* What strangers give the command: npy files, and replies of selector programs to a view of 6 rows (the first byte is the
 * number of rows asked for, 255 = open; then the line, then data). An accepted array lies within its bytes; accepted rows
 * are a valid map of exactly that many. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../tools/npy.h"
#include "../../tools/selector_reply.h"
#include "core/map.h"
#include "select/selection.h"

enum { N = 6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int condition)
{
    if (!condition) abort();
}

static void try_npy(const uint8_t *data, size_t size)
{
    static const int32_t size_of[PARE_DTYPE_COUNT] = {4, 2, 2, 8, 4, 8, 1, 1, 1};
    pare_tensor t;
    pare_error err;
    char shape[32];
    if (cli_npy_parse("x", data, (int64_t)size, &t, &err) != 0) {
        require(err.text[0] != '\0');
        return;
    }
    int64_t bytes = size_of[t.dtype];
    for (int32_t i = 0; i < t.n_dim; i++) bytes *= t.shape[i];
    require((const uint8_t *)t.data >= data && (const uint8_t *)t.data + bytes == data + size);
    require(strlen(cli_shape_text(&t, shape, sizeof shape)) < sizeof shape);
}

static void try_reply(const uint8_t *data, size_t size)
{
    const pare_custom_view v = {.n = N, .k = data[0] == 255 ? -1 : data[0] % (N + 1), .site = "output"};
    const uint8_t *end = memchr(data + 1, '\n', size - 1);
    cli_reply reply;
    pare__map map = {0};
    pare_error err;
    if (end == NULL || end - data - 1 > CLI_MAX_REPLY_LINE) return;
    if (cli_reply_parse("x", (const char *)data + 1, (size_t)(end - data - 1), &v, &reply, &err) != 0) return;
    require(reply.n_bytes >= 0 && reply.n_bytes <= (int64_t)4 * N * N);
    if ((int64_t)(data + size - end - 1) < reply.n_bytes) {
        cli_reply_fini(&reply);
        return;
    }
    pare__map_begin(&map, N);
    pare_selection out = {.map = &map, .n = N};
    if (cli_reply_apply("x", &reply, end + 1, &v, &out, &err) == 0) {
        require(pare__map_finish(&map, NULL, 1, &err) == 0);
        require(pare__map_check(&map.m, PARE__MAP_SORTED, &err) == 0);
        require(v.k < 0 || map.m.n_out == v.k);
    }
    cli_reply_fini(&reply);
    pare__map_fini(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    try_npy(data, size);
    if (size > 1) try_reply(data, size);
    return 0;
}
