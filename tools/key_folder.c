/* SPDX-License-Identifier: MIT */
/* Folders of key frames (key_folder.h). Killed at any moment, the target is the old folder or the new one; what may be left
 * beside it is TARGET.PID-N.tmp. */
#include "key_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TRIES = 1000 };

static int cannot(cli_common *c, const char *path, int code)
{
    cli_say(c, "cannot write %s: %s", path, strerror(code));
    return CLI_FAILED;
}

static int is_dots(const char *name) { return strcmp(name, ".") == 0 || strcmp(name, "..") == 0; }

static int is_ours(const char *name)
{
    return strncmp(name, "frame_", 6) == 0 || strcmp(name, CLI_MANIFEST) == 0 || strcmp(name, "frames.mp4") == 0;
}

/* 1: holds nothing but files that this command writes, the manifest among them, or nothing at all. */
static int is_replaceable(const char *path)
{
    DIR *dir = opendir(path);
    int n = 0, has_manifest = 0, foreign = 0;
    if (dir == NULL) return 0;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (is_dots(e->d_name)) continue;
        n++;
        has_manifest |= strcmp(e->d_name, CLI_MANIFEST) == 0;
        foreign |= !is_ours(e->d_name);
    }
    closedir(dir);
    return !foreign && (n == 0 || has_manifest);
}

/* A folder of files alone. */
static void remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) return;
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        if (!is_dots(e->d_name)) unlinkat(dirfd(dir), e->d_name, 0);
    closedir(dir);
    rmdir(path);
}

static int make_temporary(cli_folder *f)
{
    for (int i = 0; i < MAX_TRIES; i++) {
        f->tmp = NULL;
        if (asprintf(&f->tmp, "%s.%ld-%d.tmp", f->path, (long)getpid(), i) < 0) {
            f->tmp = NULL;
            return ENOMEM;
        }
        if (mkdir(f->tmp, 0777) == 0) return 0;
        const int code = errno;
        free(f->tmp);
        f->tmp = NULL;
        if (code != EEXIST) return code;
    }
    return EEXIST;
}

/* "a/b///" -> "a/b" */
static char *without_slash(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    return strndup(path, n);
}

int cli_folder_open(cli_common *c, const char *path, cli_folder *f)
{
    struct stat st;
    *f = (cli_folder){.path = without_slash(path)};
    if (f->path == NULL) return cannot(c, path, ENOMEM);
    if (stat(f->path, &st) == 0 && !S_ISDIR(st.st_mode)) return cannot(c, path, ENOTDIR);
    if (access(f->path, F_OK) == 0 && !is_replaceable(f->path))
        return cli_usage(c, "%s is a folder that pare frames did not write; name a new one", f->path);
    const int code = make_temporary(f);
    return code == 0 ? CLI_OK : cannot(c, f->path, code);
}

char *cli_folder_file(const cli_folder *f, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", f->tmp, name) < 0 ? NULL : path;
}

/* What is renamed must be on the disk before its name is. */
static int sync_folder(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return errno;
    const int code = fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
    close(fd);
    return code;
}

/* Exchanges the two at one stroke; where the file system cannot, the old one steps aside first. */
static int replace(const cli_folder *f)
{
    char *aside = NULL;
    if (renameat2(AT_FDCWD, f->tmp, AT_FDCWD, f->path, RENAME_EXCHANGE) == 0) return 0;
    if (errno != EINVAL && errno != ENOSYS) return errno;
    if (asprintf(&aside, "%s.old", f->tmp) < 0) return ENOMEM;
    int code = rename(f->path, aside) == 0 && rename(f->tmp, f->path) == 0 ? 0 : errno;
    if (code == 0 && rename(aside, f->tmp) != 0) code = errno;
    free(aside);
    return code;
}

int cli_folder_commit(cli_common *c, cli_folder *f)
{
    int code = sync_folder(f->tmp);
    if (code == 0 && rename(f->tmp, f->path) != 0) code = errno;
    const int is_old = code == ENOTEMPTY || code == EEXIST;
    if (is_old) code = replace(f);
    if (code != 0) return cannot(c, f->path, code);
    if (!is_old) {
        free(f->tmp);
        f->tmp = NULL;
    }
    return CLI_OK;
}

void cli_folder_close(cli_folder *f)
{
    if (f->tmp != NULL) remove_folder(f->tmp);
    free(f->tmp);
    free(f->path);
    *f = (cli_folder){0};
}
