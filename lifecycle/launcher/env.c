#include "env.h"

#include <string.h>

static char *position(const struct texts *env, const char *name, size_t *index)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < env->count; i++)
        if (!strncmp(env->items[i], name, length) && env->items[i][length] == '=') {
            *index = i;
            return env->items[i] + length + 1;
        }
    return NULL;
}

struct texts env_import(char **variables)
{
    struct texts env = {0};
    for (; *variables; variables++)
        if (strchr(*variables, '='))
            add_text(&env, *variables);
    return env;
}

const char *env_get(const struct texts *env, const char *name)
{
    size_t index;
    return position(env, name, &index);
}

void env_set(struct texts *env, const char *name, const char *value)
{
    size_t index;
    char *variable = format_text("%s=%s", name, value);
    if (position(env, name, &index))
        env->items[index] = variable;
    else
        add_text(env, variable);
}

void env_remove(struct texts *env, const char *name)
{
    size_t index;
    while (position(env, name, &index)) {
        memmove(env->items + index, env->items + index + 1, (env->count - index) * sizeof *env->items);
        env->count--;
    }
}

void env_prepend(struct texts *env, const char *name, const char *value, const char *delimiter)
{
    const char *old = env_get(env, name);
    if (old && *old)
        env_set(env, name, format_text("%s%s%s", value, delimiter, old));
    else
        env_set(env, name, value);
}

static void append(struct texts *env, const char *name, const char *value, const char *delimiter)
{
    const char *old = env_get(env, name);
    if (old && *old)
        env_set(env, name, format_text("%s%s%s", old, delimiter, value));
    else
        env_set(env, name, value);
}

void env_apply_directory(struct texts *env, const char *directory)
{
    struct texts files = list_directory(directory, 0);
    for (size_t i = 0; i < files.count; i++) {
        const char *file = strrchr(files.items[i], '/') + 1;
        const char *suffix = strchr(file, '.');
        char *name = copy_text(file, suffix ? (size_t)(suffix - file) : strlen(file));
        size_t length = 0;
        if (!*name || strchr(name, '=') || (suffix && !strcmp(suffix, ".delim")))
            continue;
        char *value = read_file(files.items[i], &length);
        if (!value)
            continue;
        if (strlen(value) != length)
            fail(EXIT_LAUNCH, "%s holds a NUL, which no variable can", files.items[i]);
        char *delimiter = read_file(format_text("%s/%s.delim", directory, name), &length);
        if (!delimiter)
            delimiter = "";
        if (!suffix || !strcmp(suffix, ".override")) {
            env_set(env, name, value);
        } else if (!strcmp(suffix, ".append")) {
            append(env, name, value, delimiter);
        } else if (!strcmp(suffix, ".prepend")) {
            env_prepend(env, name, value, delimiter);
        } else if (!strcmp(suffix, ".default")) {
            const char *old = env_get(env, name);
            if (!old || !*old)
                env_set(env, name, value);
        }
    }
}

static int is_ours(const char *element, size_t length)
{
    static const char *const ours[] = {"/cnb/process", "/cnb/lifecycle"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (strlen(ours[i]) == length && !memcmp(ours[i], element, length))
            return 1;
    return 0;
}

void env_clean_path(struct texts *env)
{
    const char *path = env_get(env, "PATH");
    if (!path)
        return;
    char *clean = NULL;
    for (const char *element = path;; element++) {
        size_t length = strcspn(element, ":");
        if (!is_ours(element, length)) {
            char *kept = copy_text(element, length);
            clean = clean ? format_text("%s:%s", clean, kept) : kept;
        }
        element += length;
        if (!*element)
            break;
    }
    env_set(env, "PATH", clean ? clean : "");
}
