/* A reader of TOML 1.0 documents: metadata.toml, and what exec.d programs write. */
#ifndef TOML_H
#define TOML_H

#include <stddef.h>

enum toml_kind { TOML_STRING, TOML_BOOLEAN, TOML_SCALAR, TOML_ARRAY, TOML_TABLE };

/* One value. `text` is that of a string, or a number or date as written; `truth` that of a boolean.
   Arrays have `items`; tables have `items` with a name in `keys` each. */
struct toml {
    enum toml_kind kind;
    char *text;
    int truth;
    struct toml **items;
    char **keys;
    size_t count, room;
    int closed; /* written in one piece: headers may not add to it */
};

/* The document as a table, or NULL with the reason in `*problem`. Strings that hold a NUL are refused. */
struct toml *toml_parse(const char *text, size_t length, char **problem);

/* The value of that key of a table, or NULL. `table` may be NULL. */
const struct toml *toml_get(const struct toml *table, const char *key);
/* The string at that key, or `otherwise`. */
const char *toml_text(const struct toml *table, const char *key, const char *otherwise);

#endif
