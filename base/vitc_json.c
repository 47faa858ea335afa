#include "vitc_json.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitc_log.h"
#include "vitc_size.h"
#include "vitc_utf8.h"

/* vitc_json is jansson's json_t under a name that keeps its header out of every other file. */

static json_t *node(const vitc_json *value)
{
    return (json_t *)(uintptr_t)value;
}

static vitc_json *wrap(json_t *value)
{
    return (vitc_json *)value;
}

/* ---- parsing ----
 *
 * jansson's lexer ignores a failed allocation when its token buffer has to grow: it drops a
 * character and goes on, to a wrong value, a failed assertion or worse. So the buffer is made to
 * grow where nothing depends on it: what jansson reads is
 *     ["xxx...x",<newline>TEXT<newline>]
 * with as many x as the longest token of TEXT can have bytes. Does that string arrive whole, then
 * no token of TEXT makes the buffer grow; does it not, then memory was short. */

typedef struct feed {
    const char *text;
    size_t size, at;
    size_t padding, padded; /* x to give and given */
    int stage;              /* index into the pieces around padding and text */
} feed;

/* More than any file of a model has; a value takes up to a few hundred bytes of memory. */
enum { VALUES_MAX = 2 * 1000 * 1000, DEPTH_MAX = 64 };

/* What is known of a text before jansson reads it. */
typedef struct extent {
    size_t token;  /* bytes that no token has more of */
    size_t values; /* at most that many objects, lists and things in them */
    size_t depth;
} extent;

/* No token is longer than the distance between two unescaped quotes, or a quote and an end; outside
 * of strings, a bracket begins a list or an object and a comma another value in it. */
static extent survey(const char *text, size_t size)
{
    extent found = {.values = 1};
    size_t from = 0, depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        const char c = text[i];
        if (c == '\\') {
            i++; /* an escaped quote ends nothing */
        } else if (c == '"') {
            found.token = vitc_size_max(found.token, i - from);
            from = i;
            quoted = !quoted;
        } else if (!quoted && (c == '{' || c == '[')) {
            found.values++;
            found.depth = vitc_size_max(found.depth, ++depth);
        } else if (!quoted && (c == '}' || c == ']')) {
            depth -= depth > 0;
        } else if (!quoted && c == ',') {
            found.values++;
        }
    }
    found.token = vitc_size_max(found.token, size - from) + 2; /* both quotes */
    return found;
}

static size_t take(char *to, size_t room, const char *from, size_t left)
{
    const size_t n = room < left ? room : left;
    memcpy(to, from, n);
    return n;
}

static size_t on_feed(void *buffer, size_t room, void *user)
{
    feed *f = user;
    if (room < 4) return (size_t)-1;
    switch (f->stage) {
    case 0:
        f->stage++;
        return take(buffer, room, "[\"", 2);
    case 1:
        if (f->padded < f->padding) {
            const size_t left = f->padding - f->padded, n = room < left ? room : left;
            memset(buffer, 'x', n);
            f->padded += n;
            return n;
        }
        f->stage++;
        return take(buffer, room, "\",\n", 3);
    case 2:
        if (f->at < f->size) {
            const size_t n = take(buffer, room, f->text + f->at, f->size - f->at);
            f->at += n;
            return n;
        }
        f->stage++;
        return take(buffer, room, "\n]", 2);
    default:
        return 0;
    }
}

vitc_status vitc_json_parse(vitc_json **document, const char *text, size_t size, const char *name,
                            const vitc_log *log)
{
    const extent found = survey(text, size);
    feed f = {.text = text, .size = size, .padding = found.token};
    json_error_t error;
    *document = NULL;
    if (found.values > VALUES_MAX)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: JSON of more than %d values", name,
                         VALUES_MAX);
    if (found.depth > DEPTH_MAX)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: JSON of lists and objects more than %d deep",
                         name, DEPTH_MAX);
    errno = 0; /* jansson's other allocations fail cleanly, but not by name: malloc says it here */
    json_t *wrapped = json_load_callback(on_feed, &f, JSON_REJECT_DUPLICATES, &error);
    const bool no_memory =
        errno == ENOMEM ||
        (wrapped != NULL && json_string_length(json_array_get(wrapped, 0)) != f.padding);
    json_t *value = json_incref(json_array_get(wrapped, 1));
    const size_t values = json_array_size(wrapped);
    json_decref(wrapped);
    if (!no_memory && values == 2) {
        *document = wrap(value);
        return VITC_OK;
    }
    json_decref(value);
    if (no_memory) return vitc_fail_memory(log, name);
    if (wrapped != NULL)
        return vitc_fail(log, VITC_ERR_CORRUPT, "%s: not valid JSON: more than one value", name);
    return vitc_fail(log, VITC_ERR_CORRUPT, "%s: not valid JSON: %s (line %d, column %d)", name,
                     error.text, error.line - 1, error.column);
}

void vitc_json_free(vitc_json *document)
{
    json_decref(node(document));
}

const vitc_json *vitc_json_get(const vitc_json *object, const char *key)
{
    return wrap(json_object_get(node(object), key));
}

bool vitc_json_is_object(const vitc_json *value)
{
    return json_is_object(node(value));
}

bool vitc_json_is_array(const vitc_json *value)
{
    return json_is_array(node(value));
}

bool vitc_json_is_string(const vitc_json *value)
{
    return json_is_string(node(value));
}

bool vitc_json_is_integer(const vitc_json *value)
{
    return json_is_integer(node(value));
}

bool vitc_json_is_number(const vitc_json *value)
{
    return json_is_number(node(value));
}

bool vitc_json_is_bool(const vitc_json *value)
{
    return json_is_boolean(node(value));
}

bool vitc_json_is_null(const vitc_json *value)
{
    return json_is_null(node(value));
}

size_t vitc_json_size(const vitc_json *value)
{
    if (json_is_array(node(value))) return json_array_size(node(value));
    return json_object_size(node(value));
}

const vitc_json *vitc_json_at(const vitc_json *array, size_t index)
{
    return wrap(json_array_get(node(array), index));
}

const char *vitc_json_string(const vitc_json *value, const char *otherwise)
{
    const char *string = json_string_value(node(value));
    return string != NULL ? string : otherwise;
}

int64_t vitc_json_integer(const vitc_json *value, int64_t otherwise)
{
    return json_is_integer(node(value)) ? (int64_t)json_integer_value(node(value)) : otherwise;
}

double vitc_json_number(const vitc_json *value, double otherwise)
{
    return json_is_number(node(value)) ? json_number_value(node(value)) : otherwise;
}

bool vitc_json_bool(const vitc_json *value, bool otherwise)
{
    return json_is_boolean(node(value)) ? json_is_true(node(value)) : otherwise;
}

void *vitc_json_first(const vitc_json *object)
{
    return json_object_iter(node(object));
}

void *vitc_json_next(const vitc_json *object, void *iterator)
{
    return json_object_iter_next(node(object), iterator);
}

const char *vitc_json_key(void *iterator)
{
    return json_object_iter_key(iterator);
}

const vitc_json *vitc_json_value(void *iterator)
{
    return wrap(json_object_iter_value(iterator));
}

void vitc_json_describe(char *text, size_t size, const vitc_json *value)
{
    const char *string = vitc_json_string(value, NULL);
    if (string != NULL) {
        char shown[VITC_SHOWN_SIZE];
        snprintf(text, size, "\"%s\"", vitc_show(shown, string));
    } else if (vitc_json_is_integer(value)) {
        snprintf(text, size, "%lld", (long long)vitc_json_integer(value, 0));
    } else if (vitc_json_is_number(value)) {
        char number[32]; /* 32.0 is no whole number, and is not shown as one */
        snprintf(number, sizeof number, "%.9g", vitc_json_number(value, 0));
        snprintf(text, size, "%s%s", number, strpbrk(number, ".e") == NULL ? ".0" : "");
    } else if (vitc_json_is_bool(value)) {
        snprintf(text, size, "%s", vitc_json_bool(value, false) ? "true" : "false");
    } else if (vitc_json_is_array(value)) {
        snprintf(text, size, "a list of %zu", vitc_json_size(value));
    } else {
        snprintf(text, size, "%s",
                 vitc_json_is_object(value) ? "an object"
                 : vitc_json_is_null(value) ? "null"
                                            : "missing");
    }
}

/* ---- building ---- */

/* File names may hold any bytes but JSON only UTF-8: what is not becomes U+FFFD. */
static json_t *string_node(const char *text)
{
    if (text == NULL) return json_null();
    json_t *valid = json_string(text);
    if (valid != NULL) return valid;
    const size_t size = strlen(text);
    if (size > SIZE_MAX / 3 - 1) return NULL;
    char *repaired = malloc(size * 3 + 1);
    if (repaired == NULL) return NULL;
    char *to = repaired;
    for (const char *from = text; *from != 0;) {
        uint32_t point;
        const size_t length = vitc_utf8_decode(&point, from);
        if (length == 0) {
            memcpy(to, "\xEF\xBF\xBD", 3);
            to += 3;
            from++;
            continue;
        }
        memcpy(to, from, length);
        to += length;
        from += length;
    }
    *to = 0;
    valid = json_string(repaired);
    free(repaired);
    return valid;
}

static json_t *number_node(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

vitc_json *vitc_json_object(void)
{
    return wrap(json_object());
}

vitc_json *vitc_json_array(void)
{
    return wrap(json_array());
}

bool vitc_json_set(vitc_json *object, const char *key, vitc_json *value)
{
    return json_object_set_new(node(object), key, node(value)) == 0;
}

bool vitc_json_set_string(vitc_json *object, const char *key, const char *value)
{
    return vitc_json_set(object, key, wrap(string_node(value)));
}

bool vitc_json_set_integer(vitc_json *object, const char *key, int64_t value)
{
    return vitc_json_set(object, key, wrap(json_integer(value)));
}

bool vitc_json_set_number(vitc_json *object, const char *key, double value)
{
    return vitc_json_set(object, key, wrap(number_node(value)));
}

bool vitc_json_set_bool(vitc_json *object, const char *key, bool value)
{
    return vitc_json_set(object, key, wrap(json_boolean(value)));
}

bool vitc_json_set_null(vitc_json *object, const char *key)
{
    return vitc_json_set(object, key, wrap(json_null()));
}

bool vitc_json_remove(vitc_json *object, const char *within, const char *key)
{
    json_t *from = node(object);
    if (within != NULL) from = json_object_get(from, within);
    return json_object_del(from, key) == 0;
}

bool vitc_json_append(vitc_json *array, vitc_json *value)
{
    return json_array_append_new(node(array), node(value)) == 0;
}

bool vitc_json_append_string(vitc_json *array, const char *value)
{
    return vitc_json_append(array, wrap(string_node(value)));
}

bool vitc_json_append_integer(vitc_json *array, int64_t value)
{
    return vitc_json_append(array, wrap(json_integer(value)));
}

bool vitc_json_append_number(vitc_json *array, double value)
{
    return vitc_json_append(array, wrap(number_node(value)));
}

/* Text that grows. jansson's own loses a key without a word when memory runs out while it is
 * written, so that failure is kept here. */
typedef struct sink {
    char *text;
    size_t used, size;
    bool failed;
} sink;

static int on_dump(const char *piece, size_t length, void *user)
{
    sink *s = user;
    if (s->failed) return -1;
    if (length >= s->size - s->used) { /* room for the NUL */
        const size_t size = 2 * s->size + length;
        char *grown = size > s->size ? realloc(s->text, size) : NULL;
        s->failed = grown == NULL;
        if (s->failed) return -1;
        s->text = grown;
        s->size = size;
    }
    memcpy(s->text + s->used, piece, length);
    s->used += length;
    return 0;
}

char *vitc_json_dump(const vitc_json *value, int indent, int digits)
{
    enum { FIRST_SIZE = 256 };
    sink s = {.text = malloc(FIRST_SIZE), .size = FIRST_SIZE};
    if (value == NULL || s.text == NULL) {
        free(s.text);
        return NULL;
    }
    const size_t layout = indent > 0 ? JSON_INDENT((size_t)indent) : 0;
    const size_t flags = layout | JSON_REAL_PRECISION((size_t)digits) | JSON_ENCODE_ANY;
    if (json_dump_callback(node(value), on_dump, &s, flags) != 0 || s.failed) {
        free(s.text);
        return NULL;
    }
    s.text[s.used] = 0;
    return s.text;
}
