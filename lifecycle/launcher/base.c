#include "base.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const size_t FILE_LIMIT = 16u << 20;

void fail(int code, const char *format, ...)
{
    va_list arguments;
    fputs("ERROR: failed to launch: ", stderr);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(code);
}

void *reallocate(void *old, size_t size)
{
    void *memory = realloc(old, size ? size : 1);
    if (!memory)
        fail(EXIT_LAUNCH, "out of memory");
    return memory;
}

void *allocate(size_t size)
{
    return memset(reallocate(NULL, size), 0, size);
}

char *copy_text(const char *text, size_t length)
{
    char *copy = allocate(length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *format_text(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0)
        fail(EXIT_LAUNCH, "a text is too long");
    char *text = allocate((size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return text;
}

void add_text(struct texts *list, char *text)
{
    if (list->count + 2 > list->room) {
        list->room = list->room ? list->room * 2 : 16;
        list->items = reallocate(list->items, list->room * sizeof *list->items);
    }
    list->items[list->count++] = text;
    list->items[list->count] = NULL;
}

char *read_all(int descriptor, const char *what, size_t *length)
{
    size_t room = 4096, used = 0;
    char *data = allocate(room);
    for (;;) {
        if (used + 1 == room)
            data = reallocate(data, room *= 2);
        ssize_t count = read(descriptor, data + used, room - used - 1);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            fail(EXIT_LAUNCH, "%s cannot be read: %s", what, strerror(errno));
        if (count == 0)
            break;
        used += (size_t)count;
        if (used > FILE_LIMIT)
            fail(EXIT_LAUNCH, "%s is larger than 16 MiB", what);
    }
    data[used] = 0;
    *length = used;
    return data;
}

char *read_file(const char *path, size_t *length)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return NULL;
        fail(EXIT_LAUNCH, "%s cannot be opened: %s", path, strerror(errno));
    }
    char *data = read_all(descriptor, path, length);
    close(descriptor);
    return data;
}

int is_directory(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

int is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && !S_ISDIR(status.st_mode);
}

static int by_bytes(const void *one, const void *other)
{
    return strcmp(*(char *const *)one, *(char *const *)other);
}

struct texts list_directory(const char *path, int directories)
{
    struct texts found = {0};
    struct dirent *entry;
    DIR *directory = opendir(path);
    if (!directory) {
        if (errno == ENOENT || errno == ENOTDIR)
            return found;
        fail(EXIT_LAUNCH, "the directory %s cannot be read: %s", path, strerror(errno));
    }
    while ((entry = readdir(directory))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        char *child = format_text("%s/%s", path, entry->d_name);
        if (directories ? is_directory(child) : is_file(child))
            add_text(&found, child);
    }
    closedir(directory);
    if (found.count)
        qsort(found.items, found.count, sizeof *found.items, by_bytes);
    return found;
}
