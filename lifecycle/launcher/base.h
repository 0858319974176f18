/* What every part of the launcher needs: memory that cannot fail, text, files, and the way to give up. */
#ifndef BASE_H
#define BASE_H

#include <stddef.h>

/* Exit codes of the Platform API. */
enum { EXIT_PLATFORM_API = 11, EXIT_BUILDPACK_API = 12, EXIT_LAUNCH = 82 };

/* Say why on stderr and exit with `code`. */
_Noreturn void fail(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Memory is never given back: the launcher lives for milliseconds, then becomes the process. */
void *allocate(size_t size);
void *reallocate(void *old, size_t size);
char *copy_text(const char *text, size_t length);
char *format_text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A growing list of texts, always followed by a NULL. */
struct texts {
    char **items;
    size_t count, room;
};
void add_text(struct texts *list, char *text);

/* A file's content with a NUL behind it; NULL when there is no such file. More than 16 MiB are refused. */
char *read_file(const char *path, size_t *length);
/* All that can be read from a descriptor, with the same limit. */
char *read_all(int descriptor, const char *what, size_t *length);

int is_directory(const char *path);
int is_file(const char *path);
/* The paths of what is in a directory, in byte order; files or directories, symbolic links followed. */
struct texts list_directory(const char *path, int directories);

#endif
