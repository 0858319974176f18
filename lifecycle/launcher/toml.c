#include "toml.h"

#include "base.h"

#include <setjmp.h>
#include <string.h>

enum { DEEPEST = 64 };

struct reader {
    const char *at, *end, *begin;
    char *problem;
    jmp_buf *out;
};

static struct toml *read_value(struct reader *in, int depth);

static _Noreturn void wrong(struct reader *in, const char *why)
{
    size_t line = 1;
    for (const char *p = in->begin; p < in->at && p < in->end; p++)
        line += *p == '\n';
    in->problem = format_text("line %zu: %s", line, why);
    longjmp(*in->out, 1);
}

static int peek(struct reader *in)
{
    return in->at < in->end ? (unsigned char)*in->at : -1;
}

static int looking_at(struct reader *in, const char *text)
{
    size_t length = strlen(text);
    return (size_t)(in->end - in->at) >= length && !memcmp(in->at, text, length);
}

static void expect(struct reader *in, char wanted)
{
    if (peek(in) != wanted)
        wrong(in, format_text("expected '%c'", wanted));
    in->at++;
}

static void skip_blanks(struct reader *in)
{
    while (peek(in) == ' ' || peek(in) == '\t')
        in->at++;
}

static void skip_comment(struct reader *in)
{
    if (peek(in) == '#')
        while (in->at < in->end && *in->at != '\n')
            in->at++;
}

static int skip_newline(struct reader *in)
{
    if (looking_at(in, "\r\n"))
        in->at++;
    if (peek(in) != '\n')
        return 0;
    in->at++;
    return 1;
}

/* Blanks, comments and line breaks. */
static void skip_space(struct reader *in)
{
    do {
        skip_blanks(in);
        skip_comment(in);
    } while (skip_newline(in));
}

static struct toml *new_value(enum toml_kind kind)
{
    struct toml *value = allocate(sizeof *value);
    value->kind = kind;
    return value;
}

static void append(struct toml *to, char *key, struct toml *value)
{
    if (to->count == to->room) {
        to->room = to->room ? to->room * 2 : 8;
        to->items = reallocate(to->items, to->room * sizeof *to->items);
        to->keys = reallocate(to->keys, to->room * sizeof *to->keys);
    }
    to->keys[to->count] = key;
    to->items[to->count++] = value;
}

static struct toml *find(const struct toml *table, const char *key)
{
    for (size_t i = 0; i < table->count; i++)
        if (!strcmp(table->keys[i], key))
            return table->items[i];
    return NULL;
}

struct buffer {
    char *data;
    size_t used, room;
};

static void put(struct buffer *out, int byte)
{
    if (out->used + 1 >= out->room)
        out->data = reallocate(out->data, out->room = out->room ? out->room * 2 : 32);
    out->data[out->used++] = (char)byte;
    out->data[out->used] = 0;
}

static void put_character(struct reader *in, struct buffer *out, int digits)
{
    unsigned long code = 0;
    for (int i = 0; i < digits; i++, in->at++) {
        int c = peek(in);
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            wrong(in, "a \\u escape needs hexadecimal digits");
        code = code * 16 + (unsigned long)digit;
    }
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        wrong(in, "an escape names no character that can be used here");
    if (code < 0x80) {
        put(out, (int)code);
    } else if (code < 0x800) {
        put(out, (int)(0xC0 | code >> 6));
        put(out, (int)(0x80 | (code & 0x3F)));
    } else if (code < 0x10000) {
        put(out, (int)(0xE0 | code >> 12));
        put(out, (int)(0x80 | (code >> 6 & 0x3F)));
        put(out, (int)(0x80 | (code & 0x3F)));
    } else {
        put(out, (int)(0xF0 | code >> 18));
        put(out, (int)(0x80 | (code >> 12 & 0x3F)));
        put(out, (int)(0x80 | (code >> 6 & 0x3F)));
        put(out, (int)(0x80 | (code & 0x3F)));
    }
}

static void read_escape(struct reader *in, struct buffer *out, int many_lines)
{
    static const char letters[] = "btnfre\"\\", meant[] = "\b\t\n\f\r\033\"\\";
    int c = peek(in);
    const char *found = c > 0 ? strchr(letters, c) : NULL;
    if (found) {
        in->at++;
        put(out, meant[found - letters]);
        return;
    }
    if (c == 'u' || c == 'U') {
        in->at++;
        put_character(in, out, c == 'u' ? 4 : 8);
        return;
    }
    if (many_lines) { /* a backslash before a line break takes all space away up to the next word */
        skip_blanks(in);
        if (skip_newline(in)) {
            do
                skip_blanks(in);
            while (skip_newline(in));
            return;
        }
    }
    wrong(in, "unknown escape in a string");
}

/* A string in any of the four forms. */
static char *read_string(struct reader *in, int may_have_lines)
{
    struct buffer out = {0};
    int quote = peek(in), many_lines = 0;
    int escapes = quote == '"';
    const char *triple = escapes ? "\"\"\"" : "'''";
    put(&out, 0);
    out.used = 0;
    if (may_have_lines && looking_at(in, triple)) {
        many_lines = 1;
        in->at += 3;
        skip_newline(in);
    } else {
        in->at++;
    }
    for (;;) {
        int c = peek(in);
        if (c < 0)
            wrong(in, "a string is not closed");
        if (c == 0)
            wrong(in, "a string holds a NUL");
        if (c == quote && !many_lines) {
            in->at++;
            return out.data;
        }
        if (c == quote && looking_at(in, triple)) {
            in->at += 3;
            for (int extra = 0; extra < 2 && peek(in) == quote; extra++, in->at++)
                put(&out, quote); /* up to two quotes may stand right before the closing three */
            return out.data;
        }
        if (c == '\n' && !many_lines)
            wrong(in, "a string is not closed on its line");
        in->at++;
        if (c == '\\' && escapes)
            read_escape(in, &out, many_lines);
        else if (!(c == '\r' && peek(in) == '\n'))
            put(&out, c);
    }
}

static int is_bare(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
}

static char *read_key(struct reader *in)
{
    if (peek(in) == '"' || peek(in) == '\'')
        return read_string(in, 0);
    const char *begin = in->at;
    while (is_bare(peek(in)))
        in->at++;
    if (in->at == begin)
        wrong(in, "expected a key");
    return copy_text(begin, (size_t)(in->at - begin));
}

static struct texts read_dotted_key(struct reader *in)
{
    struct texts keys = {0};
    for (;;) {
        skip_blanks(in);
        add_text(&keys, read_key(in));
        if (keys.count > DEEPEST)
            wrong(in, "a key has too many parts");
        skip_blanks(in);
        if (peek(in) != '.')
            return keys;
        in->at++;
    }
}

/* The table that `key` names, made when it is new; the last one of an array of tables. */
static struct toml *descend(struct reader *in, struct toml *table, const char *key)
{
    struct toml *next = find(table, key);
    if (!next)
        append(table, (char *)key, next = new_value(TOML_TABLE));
    else if (next->kind == TOML_ARRAY && !next->closed && next->count)
        next = next->items[next->count - 1];
    if (next->kind != TOML_TABLE || next->closed)
        wrong(in, format_text("'%s' is already something else than a table", key));
    return next;
}

static void read_pair(struct reader *in, struct toml *table, int depth)
{
    struct texts keys = read_dotted_key(in);
    char *last = keys.items[keys.count - 1];
    for (size_t i = 0; i + 1 < keys.count; i++)
        table = descend(in, table, keys.items[i]);
    expect(in, '=');
    skip_blanks(in);
    if (find(table, last))
        wrong(in, format_text("the key '%s' is there twice", last));
    append(table, last, read_value(in, depth));
}

static struct toml *read_array(struct reader *in, int depth)
{
    struct toml *array = new_value(TOML_ARRAY);
    array->closed = 1;
    expect(in, '[');
    for (;;) {
        skip_space(in);
        if (peek(in) == ']')
            break;
        append(array, "", read_value(in, depth + 1));
        skip_space(in);
        if (peek(in) != ',')
            break;
        in->at++;
    }
    expect(in, ']');
    return array;
}

static struct toml *read_inline_table(struct reader *in, int depth)
{
    struct toml *table = new_value(TOML_TABLE);
    expect(in, '{');
    skip_blanks(in);
    if (peek(in) != '}') {
        for (;;) {
            read_pair(in, table, depth + 1);
            skip_blanks(in);
            if (peek(in) != ',')
                break;
            in->at++;
        }
    }
    expect(in, '}');
    table->closed = 1;
    return table;
}

/* A boolean, a number or a date. */
static struct toml *read_scalar(struct reader *in)
{
    const char *begin = in->at;
    while (is_bare(peek(in)) || peek(in) == '+' || peek(in) == ':' || peek(in) == '.')
        in->at++;
    if (in->at - begin == 10 && begin[4] == '-' && peek(in) == ' ' && in->end - in->at > 1 && in->at[1] >= '0' &&
        in->at[1] <= '9') /* a date, a blank, a time */
        for (in->at++; is_bare(peek(in)) || peek(in) == '+' || peek(in) == ':' || peek(in) == '.';)
            in->at++;
    struct toml *value = new_value(TOML_SCALAR);
    value->text = copy_text(begin, (size_t)(in->at - begin));
    if (!strcmp(value->text, "true") || !strcmp(value->text, "false")) {
        value->kind = TOML_BOOLEAN;
        value->truth = value->text[0] == 't';
    } else if (!strchr("+-0123456789in", value->text[0]) || !value->text[0]) {
        wrong(in, "expected a value");
    }
    return value;
}

static struct toml *read_value(struct reader *in, int depth)
{
    if (depth > DEEPEST)
        wrong(in, "values are nested too deeply");
    switch (peek(in)) {
    case '"':
    case '\'': {
        struct toml *value = new_value(TOML_STRING);
        value->text = read_string(in, 1);
        return value;
    }
    case '[':
        return read_array(in, depth);
    case '{':
        return read_inline_table(in, depth);
    default:
        return read_scalar(in);
    }
}

static struct toml *read_header(struct reader *in, struct toml *document)
{
    int many = looking_at(in, "[[");
    in->at += many ? 2 : 1;
    struct texts keys = read_dotted_key(in);
    char *last = keys.items[keys.count - 1];
    expect(in, ']');
    if (many)
        expect(in, ']');
    struct toml *table = document;
    for (size_t i = 0; i + 1 < keys.count; i++)
        table = descend(in, table, keys.items[i]);
    if (!many)
        return descend(in, table, last);
    struct toml *array = find(table, last);
    if (!array)
        append(table, last, array = new_value(TOML_ARRAY));
    if (array->kind != TOML_ARRAY || array->closed)
        wrong(in, format_text("'%s' is already something else than an array of tables", last));
    struct toml *item = new_value(TOML_TABLE);
    append(array, "", item);
    return item;
}

struct toml *toml_parse(const char *text, size_t length, char **problem)
{
    jmp_buf out;
    struct reader in = {text, text + length, text, NULL, &out};
    struct toml *document = new_value(TOML_TABLE);
    struct reader *volatile reader = &in;
    if (setjmp(out)) {
        *problem = reader->problem;
        return NULL;
    }
    struct toml *table = document;
    for (skip_space(&in); in.at < in.end; skip_space(&in)) {
        if (peek(&in) == '[')
            table = read_header(&in, document);
        else
            read_pair(&in, table, 0);
        skip_blanks(&in);
        skip_comment(&in);
        if (in.at < in.end && !skip_newline(&in))
            wrong(&in, "expected the end of the line");
    }
    return document;
}

const struct toml *toml_get(const struct toml *table, const char *key)
{
    return table && table->kind == TOML_TABLE ? find(table, key) : NULL;
}

const char *toml_text(const struct toml *table, const char *key, const char *otherwise)
{
    const struct toml *value = toml_get(table, key);
    return value && value->kind == TOML_STRING ? value->text : otherwise;
}
