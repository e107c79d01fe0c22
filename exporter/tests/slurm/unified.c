/* Shows a program only the unified line of /proc/PID/cgroup.
 *
 * On machines that still have version 1 hierarchies beside the unified one, Slurm's cgroup/v2 refuses to start as soon
 * as it reads of them, although all that it does to hold processes together works there.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int is_cgroup_file(const char *path)
{
	size_t length = strlen(path);

	return length > 13 && strncmp(path, "/proc/", 6) == 0 && strcmp(path + length - 7, "/cgroup") == 0;
}

static int unified_only(int fd)
{
	char text[16384];
	ssize_t length = read(fd, text, sizeof text - 1);
	int shown = memfd_create("cgroup", MFD_CLOEXEC);
	char *rest = text;

	close(fd);
	text[length < 0 ? 0 : length] = '\0';
	for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n"))
		if (strncmp(line, "0::", 3) == 0)
			dprintf(shown, "%s\n", line);
	lseek(shown, 0, SEEK_SET);
	return shown;
}

int open(const char *path, int flags, ...)
{
	static int (*next)(const char *, int, ...);
	va_list rest;
	mode_t mode;
	int fd;

	va_start(rest, flags);
	mode = va_arg(rest, mode_t);
	va_end(rest);
	if (next == NULL)
		next = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
	fd = next(path, flags, mode);
	return fd >= 0 && is_cgroup_file(path) ? unified_only(fd) : fd;
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

FILE *fopen(const char *path, const char *mode)
{
	static FILE *(*next)(const char *, const char *);
	int fd;

	if (next == NULL)
		next = (FILE *(*)(const char *, const char *))dlsym(RTLD_NEXT, "fopen");
	if (!is_cgroup_file(path))
		return next(path, mode);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? NULL : fdopen(fd, "r");
}

FILE *fopen64(const char *path, const char *mode) __attribute__((alias("fopen")));
