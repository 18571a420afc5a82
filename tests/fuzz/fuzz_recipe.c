/* SPDX-License-Identifier: MIT */
/* Any text is either refused with a message or parsed, printed and parsed again to the same print. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reduce/recipe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (!text) return 0;
    memcpy(text, data, size);
    text[size] = 0;
    static char once[4 * PARE__MAX_TEXT], twice[4 * PARE__MAX_TEXT];
    pare__recipe recipe;
    pare_error err = {0};
    if (pare__recipe_parse(&recipe, text, &err)) {
        if (!err.code || !err.text[0]) abort();
    } else {
        pare__recipe_print(&recipe, once, sizeof once);
        pare__recipe_fini(&recipe);
        if (strlen(once) < PARE__MAX_TEXT) {
            if (pare__recipe_parse(&recipe, once, &err)) abort();
            pare__recipe_print(&recipe, twice, sizeof twice);
            pare__recipe_fini(&recipe);
            if (strcmp(once, twice)) abort();
        }
    }
    free(text);
    return 0;
}
