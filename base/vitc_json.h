/* vitc_json.h - JSON for every vitc library, over jansson (private to vitc).
 *
 * Reading is strict: UTF-8, no duplicate keys, at most two million values, 64 deep, nothing after
 * the value but white space. A vitc_json is a borrowed pointer into a document; the document is
 * freed once, with vitc_json_free on what vitc_json_parse (or vitc_json_object / vitc_json_array)
 * returned. Every reader accepts NULL and answers as for an absent value, so look-ups chain. */
#ifndef VITC_JSON_H
#define VITC_JSON_H

#include <stdbool.h>

#include "vitc_base.h"

typedef struct vitc_json vitc_json;

/* `name` (a path) is for messages. Anything that is not JSON is VITC_ERR_CORRUPT, and JSON beyond
 * the limits VITC_ERR_TOO_LARGE. */
VITC_MUST_CHECK vitc_status vitc_json_parse(vitc_json **document, const char *text, size_t size,
                                            const char *name, const vitc_log *log);
void vitc_json_free(vitc_json *document);

/* ---- reading ---- */
const vitc_json *vitc_json_get(const vitc_json *object, const char *key); /* NULL when absent */
bool vitc_json_is_object(const vitc_json *value);
bool vitc_json_is_array(const vitc_json *value);
bool vitc_json_is_string(const vitc_json *value);
bool vitc_json_is_integer(const vitc_json *value); /* written without fraction or exponent */
bool vitc_json_is_number(const vitc_json *value);
bool vitc_json_is_bool(const vitc_json *value);
bool vitc_json_is_null(const vitc_json *value); /* a literal null; false for absent */
size_t vitc_json_size(const vitc_json *value);  /* members or elements; 0 for anything else */
const vitc_json *vitc_json_at(const vitc_json *array, size_t index);
const char *vitc_json_string(const vitc_json *value, const char *otherwise);
int64_t vitc_json_integer(const vitc_json *value, int64_t otherwise);
double vitc_json_number(const vitc_json *value, double otherwise); /* integers too */
bool vitc_json_bool(const vitc_json *value, bool otherwise);
/* Members in file order: for (it = vitc_json_first(o); it; it = vitc_json_next(o, it)). */
void *vitc_json_first(const vitc_json *object);
void *vitc_json_next(const vitc_json *object, void *iterator);
const char *vitc_json_key(void *iterator);
const vitc_json *vitc_json_value(void *iterator);

/* What a value is, in words for a message: the text in quotes, the number, "a list of 3",
 * "missing". */
void vitc_json_describe(char *text, size_t size, const vitc_json *value);

/* ---- building ----
 * Every setter returns false when memory runs out; and-ing the results of a whole document is
 * enough. Strings need not be valid UTF-8: bad bytes become U+FFFD. A NULL string is a null. */
vitc_json *vitc_json_object(void);
vitc_json *vitc_json_array(void);
bool vitc_json_set_string(vitc_json *object, const char *key, const char *value);
bool vitc_json_set_integer(vitc_json *object, const char *key, int64_t value);
bool vitc_json_set_number(vitc_json *object, const char *key, double value); /* not finite: null */
bool vitc_json_set_bool(vitc_json *object, const char *key, bool value);
bool vitc_json_set_null(vitc_json *object, const char *key);
/* Takes `key` out of the object, or, where `within` is not NULL, out of the object under that key.
 * False where there is none. */
bool vitc_json_remove(vitc_json *object, const char *within, const char *key);
/* These take ownership of `value`, also when they fail; NULL fails. */
bool vitc_json_set(vitc_json *object, const char *key, vitc_json *value);
bool vitc_json_append(vitc_json *array, vitc_json *value);
bool vitc_json_append_string(vitc_json *array, const char *value);
bool vitc_json_append_integer(vitc_json *array, int64_t value);
bool vitc_json_append_number(vitc_json *array, double value);
/* One line (indent 0) or indented text, malloc'd and NUL-terminated; numbers keep
 * `digits` significant digits (9 carries any float, 17 any double). NULL without memory. */
char *vitc_json_dump(const vitc_json *value, int indent, int digits);

#endif
