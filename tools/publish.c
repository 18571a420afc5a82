/* SPDX-License-Identifier: MIT */
/* Output files of the command (publish.h). */
#include "publish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TRIES = 1000 };

int cli_is_stdout(const char *path) { return path != NULL && strcmp(path, "-") == 0; }

int cli_is_folder(const char *path)
{
    struct stat st;
    if (path == NULL) return 0;
    return cli_has_suffix(path, "/") || (stat(path, &st) == 0 && S_ISDIR(st.st_mode));
}

static int cannot_write(cli_common *c, const char *path, int code)
{
    cli_say(c, "cannot write %s: %s", path, strerror(code));
    return CLI_FAILED;
}

/* The directory part of a path; NULL when memory is short. The caller frees. */
static char *folder_of(const char *path)
{
    const char *base = cli_base_name(path);
    if (base == path) return strdup(".");
    return strndup(path, base - path > 1 ? (size_t)(base - path - 1) : 1);
}

/* ---- checks --------------------------------------------------------------------------------------------------- */

static int is_same_file(const struct stat *a, const char *path)
{
    struct stat b;
    return path != NULL && stat(path, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

static int check_folder(cli_common *c, const char *path)
{
    char *folder = folder_of(path);
    int bad = folder == NULL || access(folder, W_OK | X_OK) != 0, code = errno;
    free(folder);
    return bad ? cannot_write(c, path, code) : CLI_OK;
}

int cli_output_check(cli_common *c, const char *path, const cli_list *inputs)
{
    struct stat st;
    if (path == NULL) return CLI_OK;
    if (path[0] == '\0') return cli_usage(c, "-o '' names no file");
    if (cli_is_stdout(path)) return c->json ? cli_usage(c, "-o - and --json both want standard output") : CLI_OK;
    if (stat(path, &st) != 0) return check_folder(c, path);
    if (S_ISDIR(st.st_mode)) return cannot_write(c, path, EISDIR);
    if (!S_ISREG(st.st_mode)) return CLI_OK;
    for (int32_t i = 0; i < inputs->n; i++)
        if (is_same_file(&st, inputs->item[i])) return cli_usage(c, "-o %s is the input %s", path, inputs->item[i]);
    if (is_same_file(&st, c->model)) return cli_usage(c, "-o %s is the model %s", path, c->model);
    return check_folder(c, path);
}

/* ---- publishing ----------------------------------------------------------------------------------------------- */

/* 0, or -1 and errno. */
static int write_all(int fd, const char *text, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t n = write(fd, text + done, size - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return -1;
        done += (size_t)n;
    }
    return 0;
}

static int write_in_place(cli_common *c, const char *path, const char *text, size_t size)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), bad = fd < 0 || write_all(fd, text, size) != 0, code = errno;
    if (fd >= 0 && close(fd) != 0 && !bad) bad = 1, code = errno;
    return bad ? cannot_write(c, path, code) : CLI_OK;
}

/* A new file beside `target`: its descriptor and its name, or -1 and errno. */
static int open_temporary(const char *target, char **name)
{
    for (int i = 0; i < MAX_TRIES; i++) {
        *name = NULL;
        if (asprintf(name, "%s.%ld-%d.tmp", target, (long)getpid(), i) < 0) return -1;
        int fd = open(*name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd >= 0) return fd;
        free(*name);
        *name = NULL;
        if (errno != EEXIST) return -1;
    }
    return -1;
}

/* `old` = the target as it is, or NULL. Not every file system has permissions; the default ones do then. */
static int replace(const char *target, const struct stat *old, const char *text, size_t size)
{
    char *name = NULL;
    int fd = open_temporary(target, &name);
    if (fd < 0) return errno;
    if (old != NULL && fchmod(fd, old->st_mode & 07777) != 0) errno = 0;
    int bad = write_all(fd, text, size) != 0 || fsync(fd) != 0, code = errno;
    if (close(fd) != 0 && !bad) bad = 1, code = errno;
    if (!bad && rename(name, target) != 0) bad = 1, code = errno;
    if (bad) unlink(name);
    free(name);
    return bad ? code : 0;
}

int cli_publish(cli_common *c, const char *path, const char *text, size_t size)
{
    struct stat st;
    if (cli_is_stdout(path)) return fwrite(text, 1, size, stdout) == size ? CLI_OK : cannot_write(c, path, errno);
    int exists = stat(path, &st) == 0;
    if (exists && !S_ISREG(st.st_mode)) return write_in_place(c, path, text, size);
    char *real = realpath(path, NULL);
    int code = replace(real != NULL ? real : path, exists ? &st : NULL, text, size);
    free(real);
    return code == 0 ? CLI_OK : cannot_write(c, path, code);
}
