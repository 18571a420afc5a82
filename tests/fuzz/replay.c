/* SPDX-License-Identifier: MIT */
/* Stands in for libFuzzer: feeds every file of the given files and folders to the target once, then truncations and
 * single-byte changes of it (a fixed, small number), so that CI without clang still exercises the parser. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A fresh allocation of exactly `size` bytes, so that ASan sees every overrun. */
static void feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) abort();
    if (size) memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void mutate(uint8_t *data, size_t size)
{
    feed(data, size);
    for (int i = 1; i < 16; i++) feed(data, size * (size_t)i / 16);
    size_t span = size < 4096 ? size : 4096;
    for (size_t i = 0; i < 64 && span; i++) {
        size_t at = i * 2654435761u % span;
        uint8_t old = data[at];
        data[at] = (uint8_t)(i % 2 ? (size_t)~old : old + 1 + i);
        feed(data, size);
        data[at] = old;
    }
}

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    uint8_t *data = malloc(size > 0 ? (size_t)size : 1);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size) abort();
    fclose(f);
    mutate(data, (size_t)size);
    free(data);
    return 1;
}

static int replay_any(const char *path)
{
    struct stat st;
    if (stat(path, &st)) return 0;
    if (!S_ISDIR(st.st_mode)) return replay(path);
    int n = 0;
    struct dirent **entry;
    int n_entry = scandir(path, &entry, NULL, alphasort);
    for (int i = 0; i < n_entry; i++) {
        char child[4096];
        snprintf(child, sizeof child, "%s/%s", path, entry[i]->d_name);
        if (entry[i]->d_name[0] != '.') n += replay_any(child);
        free(entry[i]);
    }
    if (n_entry >= 0) free(entry);
    return n;
}

int main(int argc, char **argv)
{
    int n = 0;
    for (int i = 1; i < argc; i++) n += replay_any(argv[i]);
    printf("%d files replayed\n", n);
    return n ? 0 : 1;
}
