/* SPDX-License-Identifier: MIT */
/* Whole files or none: see atomic.h. A target that exists keeps its permissions; a symbolic link is followed, not
 * replaced. */
#include "write/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/mem.h"

enum { MAX_TRIES = 1000, NAME_SPACE = 48 };

int pare__fd_write(int fd, const void *data, size_t n, const char *path, pare_error *err)
{
    const char *bytes = data;
    for (size_t done = 0; done < n;) {
        const ssize_t wrote = write(fd, bytes + done, n - done);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return pare_fail(err, PARE_E_IO, "cannot write %s: %s", path, strerror(errno));
        done += (size_t)wrote;
    }
    return 0;
}

int pare__path_in_place(const char *path)
{
    struct stat st;
    return strcmp(path, "-") == 0 || (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
}

char *pare__path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) return pare__strdup(".");
    if (slash == path) return pare__strdup("/");
    char *dir = pare__strdup(path);
    if (dir != NULL) dir[slash - path] = '\0';
    return dir;
}

static int create_file(int fd, const char *name)
{
    (void)fd;
    return open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0666);
}

static int link_file(int fd, const char *name)
{
    char from[NAME_SPACE];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, from, AT_FDCWD, name, AT_SYMLINK_FOLLOW);
}

/* Calls `make` with names in `dir` until one is free, and hands that over: what `make` returned, or -1 and errno. */
static int name_temporary(const char *dir, int (*make)(int fd, const char *name), int from, char **name)
{
    const size_t size = strlen(dir) + NAME_SPACE;
    char *text = pare__malloc((int64_t)size, 1);
    int fd = -1;
    errno = ENOMEM;
    for (int i = 0; text != NULL && i < MAX_TRIES; i++) {
        snprintf(text, size, "%s/.pare-%ld-%d.tmp", dir, (long)getpid(), i);
        fd = make(from, text);
        if (fd >= 0 || errno != EEXIST) break;
    }
    if (fd >= 0) {
        *name = text;
        return fd;
    }
    const int why = errno;
    pare__free(text);
    errno = why;
    return -1;
}

int pare__open_temporary(const char *dir, char **name) { return name_temporary(dir, create_file, -1, name); }

static int open_in_place(pare__atomic *a, const char *path, pare_error *err)
{
    const int is_stdout = strcmp(path, "-") == 0;
    a->path = pare__strdup(is_stdout ? "standard output" : path);
    if (a->path == NULL) return pare_fail(err, PARE_E_NOMEM, "out of memory for the name of %s", path);
    a->fd = is_stdout ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0) : open(path, O_WRONLY | O_CLOEXEC);
    if (a->fd < 0) {
        pare_fail(err, PARE_E_IO, "cannot open %s: %s", a->path, strerror(errno));
        pare__atomic_abort(a);
        return PARE_E_IO;
    }
    return 0;
}

/* The file that `path` means: links followed, so that renaming replaces the file and not the link. */
static char *resolve(const char *path)
{
    char *real = realpath(path, NULL);
    char *own = pare__strdup(real != NULL ? real : path);
    free(real);
    return own;
}

/* -1 where there are no such files, or no way to name them afterwards. */
static int open_unnamed(const char *dir)
{
    if (access("/proc/self/fd", X_OK) != 0) return -1;
    return open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
}

static int open_beside(pare__atomic *a, const char *path, pare_error *err)
{
    struct stat st;
    const int exists = stat(path, &st) == 0;
    if (exists && S_ISDIR(st.st_mode)) return pare_fail(err, PARE_E_IO, "cannot write %s: it is a directory", path);
    int rc = PARE_E_NOMEM;
    a->path = resolve(path);
    char *dir = a->path != NULL ? pare__path_dir(a->path) : NULL;
    if (dir == NULL) {
        pare_fail(err, rc, "out of memory for the name of %s", path);
        goto done;
    }
    a->fd = open_unnamed(dir);
    a->is_unnamed = a->fd >= 0;
    if (a->fd < 0) a->fd = pare__open_temporary(dir, &a->tmp);
    if (a->fd < 0) {
        rc = pare_fail(err, PARE_E_IO, "cannot create %s: %s", path, strerror(errno));
        goto done;
    }
    /* Not every file system has permissions; the default ones do then. */
    if (exists && fchmod(a->fd, st.st_mode & 07777) != 0) errno = 0;
    rc = 0;
done:
    pare__free(dir);
    if (rc != 0) pare__atomic_abort(a);
    return rc;
}

int pare__atomic_open(pare__atomic *a, const char *path, pare_error *err)
{
    *a = (pare__atomic){.fd = -1};
    return pare__path_in_place(path) ? open_in_place(a, path, err) : open_beside(a, path, err);
}

int pare__atomic_write(pare__atomic *a, const void *data, size_t n, pare_error *err)
{
    return pare__fd_write(a->fd, data, n, a->path, err);
}

/* The rename itself must survive a power cut. File systems that cannot sync a directory are left alone. */
static void sync_dir(const char *path)
{
    char *dir = pare__path_dir(path);
    const int fd = dir != NULL ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    pare__free(dir);
}

/* Bytes on the disk, under a temporary name. */
static int settle(pare__atomic *a)
{
    if (a->tmp == NULL && !a->is_unnamed) return 0;
    if (fsync(a->fd) != 0) return -1;
    char *dir = a->is_unnamed ? pare__path_dir(a->path) : NULL;
    const int rc = dir != NULL ? name_temporary(dir, link_file, a->fd, &a->tmp) : -(a->tmp == NULL);
    const int why = errno;
    pare__free(dir);
    errno = why;
    return rc;
}

int pare__atomic_commit(pare__atomic *a, pare_error *err)
{
    const int is_bad = settle(a) != 0;
    const int why = errno;
    const int is_closed = close(a->fd) == 0;
    a->fd = -1;
    if (is_bad || !is_closed) {
        pare_fail(err, PARE_E_IO, "cannot finish %s: %s", a->path, strerror(is_bad ? why : errno));
        goto fail;
    }
    if (a->tmp == NULL) goto done;
    if (rename(a->tmp, a->path) != 0) {
        pare_fail(err, PARE_E_IO, "cannot rename a temporary file to %s: %s", a->path, strerror(errno));
        goto fail;
    }
    pare__free(a->tmp);
    a->tmp = NULL;
    sync_dir(a->path);
done:
    pare__atomic_abort(a);
    return 0;
fail:
    pare__atomic_abort(a);
    return PARE_E_IO;
}

void pare__atomic_abort(pare__atomic *a)
{
    if (a->tmp != NULL) unlink(a->tmp);
    if (a->path != NULL && a->fd >= 0) close(a->fd);
    pare__free(a->tmp);
    pare__free(a->path);
    *a = (pare__atomic){.fd = -1};
}
