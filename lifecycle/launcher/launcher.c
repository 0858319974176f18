/* The launcher: the entry point of every app image. It finds the process to start, builds its environment from the
   layers of the buildpacks, and becomes that process.

   Source: CNB platform.md, "Launch"; buildpack.md, "Environment". Where programs in use and prose differ, it does as
   the programs do. */
#include "base.h"
#include "env.h"
#include "toml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OLDEST_PLATFORM = 7, NEWEST_PLATFORM = 15, OLDEST_BUILDPACK = 7, NEWEST_BUILDPACK = 12 };

extern char **environ;

struct process {
    const char *type; /* empty for a command of the user's own */
    const char *command;
    struct texts arguments;
    const char *directory;
    int direct;
};

struct launch {
    const char *app, *layers;
    int platform;
    const struct toml *metadata;
    struct texts env;
    const char *execution; /* CNB_EXEC_ENV */
};

static const char *or_else(const char *value, const char *otherwise)
{
    return value && *value ? value : otherwise;
}

/* The minor number of an API version "0.N", or -1. */
static int minor_of(const char *version)
{
    char *end;
    if (strncmp(version, "0.", 2) || version[2] < '0' || version[2] > '9')
        return -1;
    long minor = strtol(version + 2, &end, 10);
    return *end || minor > 999 ? -1 : (int)minor;
}

static int read_platform(const struct texts *env)
{
    const char *text = env_get(env, "CNB_PLATFORM_API");
    if (!text || !*text)
        fail(EXIT_PLATFORM_API, "CNB_PLATFORM_API is not set: the image's environment must name the Platform API");
    int minor = minor_of(text);
    if (minor < OLDEST_PLATFORM || minor > NEWEST_PLATFORM)
        fail(EXIT_PLATFORM_API, "CNB_PLATFORM_API is '%s': this launcher knows 0.%d to 0.%d", text, OLDEST_PLATFORM,
             NEWEST_PLATFORM);
    return minor;
}

static const struct toml *read_metadata(const char *layers)
{
    char *path = format_text("%s/config/metadata.toml", layers), *problem = NULL;
    size_t length;
    char *text = read_file(path, &length);
    if (!text)
        return NULL; /* a command of the user's own can still be started */
    const struct toml *document = toml_parse(text, length, &problem);
    if (!document)
        fail(EXIT_LAUNCH, "%s is not valid TOML: %s", path, problem);
    return document;
}

/* The tables of an array of tables. */
static const struct toml *table_at(const struct toml *array, size_t index)
{
    const struct toml *table = array->items[index];
    if (table->kind != TOML_TABLE)
        fail(EXIT_LAUNCH, "metadata.toml holds something else than a table where a table is due");
    return table;
}

static const struct toml *array_of(const struct launch *launch, const char *key)
{
    static const struct toml none = {.kind = TOML_ARRAY};
    const struct toml *array = toml_get(launch->metadata, key);
    if (array && array->kind != TOML_ARRAY)
        fail(EXIT_LAUNCH, "'%s' in metadata.toml is no array of tables", key);
    return array ? array : &none;
}

static void check_buildpacks(const struct launch *launch)
{
    const struct toml *buildpacks = array_of(launch, "buildpacks");
    for (size_t i = 0; i < buildpacks->count; i++) {
        const struct toml *buildpack = table_at(buildpacks, i);
        const char *api = toml_text(buildpack, "api", "");
        int minor = minor_of(api);
        if (minor < OLDEST_BUILDPACK || minor > NEWEST_BUILDPACK)
            fail(EXIT_BUILDPACK_API, "the buildpack '%s' has API '%s': this launcher knows 0.%d to 0.%d",
                 toml_text(buildpack, "id", "?"), api, OLDEST_BUILDPACK, NEWEST_BUILDPACK);
    }
}

static void add_strings(struct texts *list, const struct toml *array, const char *key)
{
    if (array && array->kind != TOML_ARRAY)
        fail(EXIT_LAUNCH, "'%s' of a process in metadata.toml is no array", key);
    for (size_t i = 0; array && i < array->count; i++) {
        if (array->items[i]->kind != TOML_STRING)
            fail(EXIT_LAUNCH, "'%s' of a process in metadata.toml holds something else than strings", key);
        add_text(list, array->items[i]->text);
    }
}

/* Whether a process is meant for the execution environment at hand (Platform API 0.15). */
static int runs_here(const struct launch *launch, const struct toml *process)
{
    struct texts wanted = {0};
    if (launch->platform < 15)
        return 1;
    add_strings(&wanted, toml_get(process, "exec-env"), "exec-env");
    for (size_t i = 0; i < wanted.count; i++)
        if (!strcmp(wanted.items[i], "*") || !strcmp(wanted.items[i], launch->execution))
            return 1;
    return wanted.count == 0;
}

static const struct toml *find_process(const struct launch *launch, const char *type)
{
    const struct toml *processes = array_of(launch, "processes");
    for (size_t i = 0; i < processes->count; i++) {
        const struct toml *process = table_at(processes, i);
        if (!strcmp(toml_text(process, "type", ""), type) && *type && runs_here(launch, process))
            return process;
    }
    return NULL;
}

static int buildpack_api(const struct launch *launch, const char *id)
{
    const struct toml *buildpacks = array_of(launch, "buildpacks");
    for (size_t i = 0; i < buildpacks->count; i++)
        if (!strcmp(toml_text(table_at(buildpacks, i), "id", ""), id))
            return minor_of(toml_text(table_at(buildpacks, i), "api", ""));
    fail(EXIT_LAUNCH, "metadata.toml has a process of the buildpack '%s', but not the buildpack", id);
}

/* A process of a buildpack, with what the user gave behind its type. From Buildpack API 0.9 on, `args` are defaults
   that the user's take the place of, and the rest of `command` always stays; before, the user's are added. */
static struct process buildpack_process(const struct launch *launch, const struct toml *table, struct texts given)
{
    const struct toml *command = toml_get(table, "command"), *direct = toml_get(table, "direct");
    struct texts words = {0}, defaults = {0};
    struct process process = {.type = toml_text(table, "type", ""), .directory = toml_text(table, "working-dir", "")};
    if (command && command->kind == TOML_STRING)
        add_text(&words, command->text);
    else
        add_strings(&words, command, "command");
    if (!words.count || !*words.items[0])
        fail(EXIT_LAUNCH, "the process '%s' in metadata.toml has no command", process.type);
    add_strings(&defaults, toml_get(table, "args"), "args");
    process.command = words.items[0];
    process.direct = direct && direct->kind == TOML_BOOLEAN && direct->truth;
    for (size_t i = 1; i < words.count; i++)
        add_text(&process.arguments, words.items[i]);
    int replace = words.count > 1 || (given.count && launch->platform >= 10 &&
                                      buildpack_api(launch, toml_text(table, "buildpack-id", "")) >= 9);
    for (size_t i = 0; i < defaults.count && !(replace && given.count); i++)
        add_text(&process.arguments, defaults.items[i]);
    for (size_t i = 0; i < given.count; i++)
        add_text(&process.arguments, given.items[i]);
    return process;
}

/* The types that can be started, for an error message. */
static char *known_types(const struct launch *launch)
{
    const struct toml *processes = array_of(launch, "processes");
    char *text = NULL;
    for (size_t i = 0; i < processes->count; i++)
        if (runs_here(launch, table_at(processes, i))) {
            const char *type = toml_text(table_at(processes, i), "type", "?");
            text = text ? format_text("%s, %s", text, type) : format_text("%s", type);
        }
    return text ? text : "none";
}

static struct process choose_process(const struct launch *launch, int count, char **words)
{
    const char *self = count > 0 ? words[0] : "launcher", *slash = strrchr(self, '/');
    const char *type = slash ? slash + 1 : self;
    struct texts given = {0};
    for (int i = 1; i < count; i++)
        add_text(&given, words[i]);
    const struct toml *found = find_process(launch, type);
    if (found)
        return buildpack_process(launch, found, given);
    int direct = given.count > 0 && !strcmp(given.items[0], "--");
    size_t first = direct ? 1 : 0;
    if (given.count <= first)
        fail(EXIT_LAUNCH,
             "there is no process '%s' and no command was given (process types: %s; start one with the entry point "
             "/cnb/process/TYPE, or give a command)",
             type, known_types(launch));
    struct process process = {.type = "", .command = given.items[first], .directory = "", .direct = direct};
    for (size_t i = first + 1; i < given.count; i++)
        add_text(&process.arguments, given.items[i]);
    return process;
}

/* The layer directories of each buildpack: buildpacks in their order, layers by name. */
static struct texts *layer_directories(const struct launch *launch, size_t *count)
{
    const struct toml *buildpacks = array_of(launch, "buildpacks");
    struct texts *layers = allocate((buildpacks->count + 1) * sizeof *layers);
    for (size_t i = 0; i < buildpacks->count; i++) {
        const char *id = toml_text(table_at(buildpacks, i), "id", "");
        char *escaped = copy_text(id, strlen(id));
        for (char *c = escaped; *c; c++)
            if (*c == '/')
                *c = '_';
        if (*escaped && strcmp(escaped, ".") && strcmp(escaped, ".."))
            layers[i] = list_directory(format_text("%s/%s", launch->layers, escaped), 1);
    }
    *count = buildpacks->count;
    return layers;
}

static void build_env(struct launch *launch, const char *type, const struct texts *layers, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < layers[i].count; k++) {
            char *bin = format_text("%s/bin", layers[i].items[k]), *lib = format_text("%s/lib", layers[i].items[k]);
            if (is_directory(bin))
                env_prepend(&launch->env, "PATH", bin, ":");
            if (is_directory(lib))
                env_prepend(&launch->env, "LD_LIBRARY_PATH", lib, ":");
        }
        for (size_t k = 0; k < layers[i].count; k++) {
            const char *layer = layers[i].items[k];
            env_apply_directory(&launch->env, format_text("%s/env", layer));
            env_apply_directory(&launch->env, format_text("%s/env.launch", layer));
            if (*type)
                env_apply_directory(&launch->env, format_text("%s/env.launch/%s", layer, type));
        }
    }
}

/* Run one exec.d program and set the variables that it writes to descriptor 3. */
static void run_exec_d(struct launch *launch, const char *program)
{
    int ends[2], status;
    size_t length;
    char *problem;
    if (pipe(ends))
        fail(EXIT_LAUNCH, "no pipe can be made for %s: %s", program, strerror(errno));
    pid_t child = fork();
    if (child < 0)
        fail(EXIT_LAUNCH, "%s cannot be started: %s", program, strerror(errno));
    if (child == 0) {
        if (ends[0] != 3)
            close(ends[0]);
        if (ends[1] != 3) {
            dup2(ends[1], 3);
            close(ends[1]);
        }
        char *words[] = {(char *)program, NULL};
        execve(program, words, launch->env.items);
        fprintf(stderr, "%s cannot be started: %s\n", program, strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    char *text = read_all(ends[0], program, &length);
    close(ends[0]);
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            fail(EXIT_LAUNCH, "%s cannot be waited for: %s", program, strerror(errno));
    if (WIFSIGNALED(status))
        fail(EXIT_LAUNCH, "%s was ended by signal %d", program, WTERMSIG(status));
    if (WEXITSTATUS(status))
        fail(EXIT_LAUNCH, "%s ended with exit code %d", program, WEXITSTATUS(status));
    const struct toml *variables = toml_parse(text, length, &problem);
    if (!variables)
        fail(EXIT_LAUNCH, "what %s wrote is not valid TOML: %s", program, problem);
    for (size_t i = 0; i < variables->count; i++) {
        const char *name = variables->keys[i];
        if (variables->items[i]->kind != TOML_STRING)
            fail(EXIT_LAUNCH, "%s must write strings only: '%s' is none", program, name);
        if (!*name || strchr(name, '='))
            fail(EXIT_LAUNCH, "%s wrote '%s', which is no name of a variable", program, name);
        env_set(&launch->env, name, variables->items[i]->text);
    }
}

static void run_exec_ds(struct launch *launch, const char *directory)
{
    struct texts programs = list_directory(directory, 0);
    for (size_t i = 0; i < programs.count; i++)
        run_exec_d(launch, programs.items[i]);
}

static int may_execute(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/* Where PATH has the command; NULL when it has not. A command with a slash stands for itself. */
static const char *look_up(const struct texts *env, const char *command)
{
    if (strchr(command, '/'))
        return may_execute(command) ? command : NULL;
    const char *path = env_get(env, "PATH");
    while (path && *command) {
        size_t length = strcspn(path, ":");
        char *candidate = format_text("%.*s/%s", (int)length, length ? path : ".", command);
        if (may_execute(candidate))
            return candidate;
        path = path[length] ? path + length + 1 : NULL;
    }
    return NULL;
}

static void enter(const char *directory)
{
    if (chdir(directory))
        fail(EXIT_LAUNCH, "the directory '%s' cannot be entered: %s", directory, strerror(errno));
}

static _Noreturn void become(const struct launch *launch, const char *program, char **words)
{
    execve(program, words, launch->env.items);
    fail(EXIT_LAUNCH, "%s cannot be started: %s", program, strerror(errno));
}

static _Noreturn void launch_direct(struct launch *launch, const struct process *process)
{
    struct texts words = {0};
    if (*process->directory)
        enter(process->directory);
    const char *program = look_up(&launch->env, process->command);
    if (!program)
        fail(EXIT_LAUNCH, "the command '%s' was not found, or is no program (PATH is %s)", process->command,
             or_else(env_get(&launch->env, "PATH"), "empty"));
    add_text(&words, (char *)process->command);
    for (size_t i = 0; i < process->arguments.count; i++)
        add_text(&words, process->arguments.items[i]);
    become(launch, program, words.items);
}

/* `text` as one word of shell. */
static char *quoted(const char *text)
{
    char *out = allocate(strlen(text) * 4 + 3), *end = out;
    *end++ = '\'';
    for (; *text; text++)
        if (*text == '\'')
            end = memcpy(end, "'\\''", 4), end += 4;
        else
            *end++ = *text;
    *end = '\'';
    return out;
}

static void add_profiles(struct texts *profiles, const char *directory)
{
    struct texts files = list_directory(directory, 0);
    for (size_t i = 0; i < files.count; i++)
        add_text(profiles, files.items[i]);
}

/* Start the process by way of bash: profiles first, then a command line with its variables expanded. A command
   without arguments is a script. */
static _Noreturn void launch_with_shell(struct launch *launch, const struct process *process,
                                        const struct texts *layers, size_t count, const char *self)
{
    struct texts profiles = {0}, words = {0};
    char *script = "";
    const char *bash = look_up(&launch->env, "bash");
    if (!bash)
        fail(EXIT_LAUNCH, "the command '%s' needs bash, which this image does not have (PATH is %s)",
             process->command, or_else(env_get(&launch->env, "PATH"), "empty"));
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < layers[i].count; k++) {
            add_profiles(&profiles, format_text("%s/profile.d", layers[i].items[k]));
            if (*process->type)
                add_profiles(&profiles, format_text("%s/profile.d/%s", layers[i].items[k], process->type));
        }
    char *own = format_text("%s/.profile", launch->app);
    if (is_file(own))
        add_text(&profiles, own);
    for (size_t i = 0; i < profiles.count; i++)
        script = format_text("%ssource %s\n", script, quoted(profiles.items[i]));
    if (*process->directory)
        script = format_text("%scd %s || exit %d\n", script, quoted(process->directory), EXIT_LAUNCH);
    if (process->arguments.count == 0) {
        script = format_text("%sexec bash -c \"$@\"", script);
    } else {
        script = format_text("%sexec", script);
        for (size_t i = 1; i <= process->arguments.count + 1; i++)
            script = format_text("%s \"$(eval \"printf %%s \\\"${%zu}\\\"\")\"", script, i);
    }
    add_text(&words, "bash");
    add_text(&words, "-c");
    add_text(&words, script);
    add_text(&words, (char *)self);
    add_text(&words, (char *)process->command);
    for (size_t i = 0; i < process->arguments.count; i++)
        add_text(&words, process->arguments.items[i]);
    become(launch, bash, words.items);
}

int main(int count, char **words)
{
    static const char *const hidden[] = {"CNB_APP_DIR", "CNB_LAYERS_DIR", "CNB_PROCESS_TYPE", "CNB_PLATFORM_API",
                                         "CNB_DEPRECATION_MODE"};
    struct launch launch = {.env = env_import(environ)};
    size_t buildpacks;
    launch.platform = read_platform(&launch.env);
    launch.app = or_else(env_get(&launch.env, "CNB_APP_DIR"), "/workspace");
    launch.layers = or_else(env_get(&launch.env, "CNB_LAYERS_DIR"), "/layers");
    launch.execution = or_else(env_get(&launch.env, "CNB_EXEC_ENV"), "production");
    if (env_get(&launch.env, "CNB_PROCESS_TYPE"))
        fputs("Warning: CNB_PROCESS_TYPE is not used; start a process with the entry point /cnb/process/TYPE\n",
              stderr);
    launch.metadata = read_metadata(launch.layers);
    check_buildpacks(&launch);
    struct process process = choose_process(&launch, count, words);

    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        env_remove(&launch.env, hidden[i]);
    env_clean_path(&launch.env);
    enter(launch.app);
    struct texts *layers = layer_directories(&launch, &buildpacks);
    build_env(&launch, process.type, layers, buildpacks);
    for (size_t i = 0; i < buildpacks; i++)
        for (size_t k = 0; k < layers[i].count; k++) {
            run_exec_ds(&launch, format_text("%s/exec.d", layers[i].items[k]));
            if (*process.type)
                run_exec_ds(&launch, format_text("%s/exec.d/%s", layers[i].items[k], process.type));
        }
    if (process.direct)
        launch_direct(&launch, &process);
    launch_with_shell(&launch, &process, layers, buildpacks, words[0] ? words[0] : "launcher");
}
