#include "vitc_utf8.h"

size_t vitc_utf8_decode(uint32_t *point, const char *text)
{
    const unsigned char *s = (const unsigned char *)text;
    if (s[0] < 0x80) {
        *point = s[0];
        return 1;
    }
    size_t length;
    uint32_t least, value;
    if ((s[0] & 0xE0) == 0xC0) {
        length = 2;
        least = 0x80;
        value = s[0] & 0x1Fu;
    } else if ((s[0] & 0xF0) == 0xE0) {
        length = 3;
        least = 0x800;
        value = s[0] & 0x0Fu;
    } else if ((s[0] & 0xF8) == 0xF0) {
        length = 4;
        least = 0x10000;
        value = s[0] & 0x07u;
    } else {
        return 0;
    }
    for (size_t i = 1; i < length; i++) { /* a NUL byte is no continuation, so this ends in time */
        if ((s[i] & 0xC0) != 0x80) return 0;
        value = value << 6 | (s[i] & 0x3Fu);
    }
    if (value < least || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) return 0;
    *point = value;
    return length;
}
