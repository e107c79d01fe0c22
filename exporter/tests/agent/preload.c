/* Put in front of the C library by LD_PRELOAD: clocks that step and a disk that is full, read-only or silent, for
 * one folder, as a test asks for in a shared control file. Everything else goes through untouched.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct control {
    int64_t wall_step_ns;  /* added to CLOCK_REALTIME */
    int64_t boot_step_ns;  /* added to CLOCK_BOOTTIME */
    int64_t file_limit;    /* bytes that a file in the folder may have; below 0: any number */
    int64_t open_errno;    /* what opening a file in the folder for writing fails with; 0: it does not */
    int64_t open_hangs;    /* whether opening a file in the folder returns no more, until it may */
};

static volatile struct control *control;
static char folder[PATH_MAX];
static size_t folder_length;

static int (*real_clock_gettime)(clockid_t, struct timespec *);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_open)(const char *, int, ...);

__attribute__((constructor)) static void attach(void)
{
    real_clock_gettime = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    real_write = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    real_open = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    const char *path = getenv("PRELOAD_CONTROL"), *under = getenv("PRELOAD_FOLDER");
    if (path == NULL || under == NULL)
        return;
    folder_length = (size_t)snprintf(folder, sizeof folder, "%s/", under);
    int fd = real_open(path, O_RDWR | O_CLOEXEC);
    void *mapped = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *control, PROT_READ, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    if (mapped != MAP_FAILED)
        control = mapped;
}

static int in_folder(const char *path)
{
    return control != NULL && strncmp(path, folder, folder_length) == 0;
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = real_clock_gettime(clock, now);
    if (failed || control == NULL || (clock != CLOCK_REALTIME && clock != CLOCK_BOOTTIME))
        return failed;
    int64_t step = clock == CLOCK_REALTIME ? control->wall_step_ns : control->boot_step_ns;
    int64_t nanoseconds = now->tv_sec * 1000000000LL + now->tv_nsec + step;
    now->tv_sec = nanoseconds / 1000000000LL;
    now->tv_nsec = nanoseconds % 1000000000LL;
    return 0;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    char link[64], path[PATH_MAX];
    if (control != NULL && control->file_limit >= 0) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, path, sizeof path - 1);
        path[length < 0 ? 0 : length] = 0;
        off_t at = lseek(fd, 0, SEEK_CUR);
        if (in_folder(path) && at >= 0) {
            if (at >= control->file_limit && count > 0) {
                errno = ENOSPC;
                return -1;
            }
            if ((int64_t)count > control->file_limit - at)
                count = (size_t)(control->file_limit - at); /* as a full disk: a part is written */
        }
    }
    return real_write(fd, bytes, count);
}

int open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    while (control != NULL && control->open_hangs && in_folder(path))
        usleep(10000);
    if (control != NULL && control->open_errno && (flags & (O_WRONLY | O_RDWR | O_CREAT)) && in_folder(path)) {
        errno = (int)control->open_errno;
        return -1;
    }
    return real_open(path, flags, mode);
}
