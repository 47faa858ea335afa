/* vitc_utf8.h - reading UTF-8 out of bytes that may be anything (private to vitc). */
#ifndef VITC_UTF8_H
#define VITC_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Decodes the sequence at `text`, NUL-terminated: its length in bytes and *point, or 0, with *point
 * untouched, when the bytes are not UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing
 * above U+10FFFF). At the end of the text the sequence is its NUL: length 1, *point 0. */
size_t vitc_utf8_decode(uint32_t *point, const char *text);

#endif
