/* The environment of the process, built up from the layers. */
#ifndef ENV_H
#define ENV_H

#include "base.h"

struct texts env_import(char **variables);
const char *env_get(const struct texts *env, const char *name);
void env_set(struct texts *env, const char *name, const char *value);
void env_remove(struct texts *env, const char *name);
/* Put `value` before what the variable has, with `delimiter` between when it has something. */
void env_prepend(struct texts *env, const char *name, const char *value, const char *delimiter);
/* Apply each file of a directory: NAME, NAME.override, .default, .append or .prepend, with NAME.delim. */
void env_apply_directory(struct texts *env, const char *directory);
/* Take the launcher's own directories out of PATH. */
void env_clean_path(struct texts *env);

#endif
