/* SPDX-License-Identifier: MIT */
/* tar archives (tar.h). Format: POSIX.1-1988 ustar: 512-byte headers, octal sizes, checksum over the header with its own
 * field blank; 'L' (GNU) and 'x' (pax, key path) carry names too long for the header. */
#include "tar.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BLOCK = 512, MAX_NAME = 4096, MAX_MEMBERS = 1 << 24 };

static int64_t read_octal(const uint8_t *field, int n)
{
    int64_t value = 0;
    for (int i = 0; i < n && field[i] != '\0' && field[i] != ' '; i++) {
        if (field[i] < '0' || field[i] > '7') return -1;
        value = value * 8 + (field[i] - '0');
    }
    return value;
}

static int checksum_holds(const uint8_t *header)
{
    int64_t sum = 0;
    for (int i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? ' ' : header[i];
    const uint8_t *field = header + 148;
    while (field < header + 155 && *field == ' ') field++;
    return read_octal(field, (int)(header + 156 - field)) == sum;
}

/* prefix '/' name of a ustar header. */
static void header_name(const uint8_t *header, char out[MAX_NAME])
{
    const char *name = (const char *)header, *prefix = (const char *)header + 345;
    int ustar = memcmp(header + 257, "ustar\0", 6) == 0;
    if (ustar && prefix[0] != '\0')
        snprintf(out, MAX_NAME, "%.155s/%.100s", prefix, name);
    else
        snprintf(out, MAX_NAME, "%.100s", name);
}

/* Value of "path" among pax records "length key=value\n". */
static void pax_name(const uint8_t *data, int64_t size, char out[MAX_NAME])
{
    for (int64_t at = 0; at < size;) {
        int64_t length = 0, i = at;
        while (i < size && data[i] >= '0' && data[i] <= '9' && length < size) length = length * 10 + (data[i++] - '0');
        if (length < 8 || at + length > size || i >= size) return;
        const char *key = (const char *)data + i + 1, *end = (const char *)data + at + length - 1;
        if (end - key > 5 && memcmp(key, "path=", 5) == 0 && end - key - 5 < MAX_NAME)
            snprintf(out, MAX_NAME, "%.*s", (int)(end - key - 5), key + 5);
        at += length;
    }
}

static int add_member(cli_tar *t, const char *name, int64_t offset, int64_t size)
{
    if (t->n >= MAX_MEMBERS) return -1;
    if (t->n == t->cap) {
        int32_t cap = t->cap > 0 ? 2 * t->cap : 256;
        cli_member *grown = realloc(t->member, (size_t)cap * sizeof *grown);
        if (grown == NULL) return -1;
        t->member = grown;
        t->cap = cap;
    }
    char *copy = strdup(strncmp(name, "./", 2) == 0 ? name + 2 : name);
    if (copy == NULL) return -1;
    t->member[t->n++] = (cli_member){copy, offset, size};
    return 0;
}

/* One header at `at`: moves on, remembers a long name, adds a regular file. 0, 1 at the end, -1 when malformed. */
static int read_header(cli_tar *t, int64_t *at, char *long_name)
{
    const uint8_t *header = t->data + *at;
    char name[MAX_NAME];
    if (header[0] == '\0') return 1;
    int64_t size = read_octal(header + 124, 12), offset = *at + BLOCK;
    if (!checksum_holds(header) || size < 0 || size > t->size - offset) return -1;
    *at = offset + (size + BLOCK - 1) / BLOCK * BLOCK;
    switch (header[156]) {
    case 'L':
        snprintf(long_name, MAX_NAME, "%.*s", size < MAX_NAME ? (int)size : 0, (const char *)t->data + offset);
        return 0;
    case 'x':
        pax_name(t->data + offset, size, long_name);
        return 0;
    case '0':
    case '\0':
        break;
    default:
        long_name[0] = '\0';
        return 0;
    }
    header_name(header, name);
    int rc = add_member(t, long_name[0] != '\0' ? long_name : name, offset, size);
    long_name[0] = '\0';
    return rc;
}

static int compare_members(const void *a, const void *b)
{
    return strcmp(((const cli_member *)a)->name, ((const cli_member *)b)->name);
}

static int map_file(cli_tar *t, const char *path, char *why, size_t size)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        snprintf(why, size, "%s", strerror(errno));
        if (fd >= 0) close(fd);
        return -1;
    }
    void *data = st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    close(fd);
    if (data == MAP_FAILED) {
        snprintf(why, size, "empty, or cannot be mapped");
        return -1;
    }
    t->data = data;
    t->size = st.st_size;
    return 0;
}

int cli_tar_open(cli_tar *t, const char *path, char *why, size_t size)
{
    char long_name[MAX_NAME] = "";
    int64_t at = 0;
    int rc = 0;
    if (map_file(t, path, why, size) != 0) return -1;
    while (rc == 0 && at + BLOCK <= t->size) rc = read_header(t, &at, long_name);
    if (rc < 0 || at > t->size) {
        snprintf(why, size, "not a tar archive, or damaged, at byte %lld", (long long)at);
        return -1;
    }
    if (t->n > 0) qsort(t->member, (size_t)t->n, sizeof *t->member, compare_members);
    return 0;
}

void cli_tar_close(cli_tar *t)
{
    for (int32_t i = 0; i < t->n; i++) free(t->member[i].name);
    free(t->member);
    if (t->data != NULL) munmap((void *)(uintptr_t)t->data, (size_t)t->size);
    *t = (cli_tar){0};
}

const cli_member *cli_tar_find(const cli_tar *t, const char *name)
{
    cli_member key = {.name = (char *)(uintptr_t)name};
    if (t->n == 0) return NULL;
    return bsearch(&key, t->member, (size_t)t->n, sizeof *t->member, compare_members);
}
