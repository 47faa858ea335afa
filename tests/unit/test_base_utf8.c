/* Decoding UTF-8, valid and not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "vitc_utf8.h"

static void sequences_are_decoded_or_refused(void **state)
{
    static const struct {
        const char *text;
        size_t length;
        uint32_t point;
    } cases[] = {
        {"", 1, 0},
        {"a", 1, 'a'},
        {"\x7F", 1, 0x7F},
        {"\xC2\x80", 2, 0x80},
        {"\xDF\xBF", 2, 0x7FF},
        {"\xE0\xA0\x80", 3, 0x800},
        {"\xED\x9F\xBF", 3, 0xD7FF},
        {"\xEE\x80\x80", 3, 0xE000},
        {"\xF0\x90\x80\x80", 4, 0x10000},
        {"\xF4\x8F\xBF\xBF", 4, 0x10FFFF},
        {"\x80", 0, 0},             /* a continuation alone */
        {"\xC1\xBF", 0, 0},         /* overlong */
        {"\xE0\x9F\xBF", 0, 0},     /* overlong */
        {"\xF0\x8F\xBF\xBF", 0, 0}, /* overlong */
        {"\xED\xA0\x80", 0, 0},     /* a surrogate */
        {"\xF4\x90\x80\x80", 0, 0}, /* beyond U+10FFFF */
        {"\xF8\x88\x80\x80", 0, 0}, /* five bytes */
        {"\xE2\x82", 0, 0},         /* cut short */
        {"\xC3(", 0, 0},            /* no continuation */
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t point = 0x12345;
        assert_int_equal(vitc_utf8_decode(&point, cases[i].text), cases[i].length);
        assert_int_equal(point, cases[i].length != 0 ? cases[i].point : 0x12345);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sequences_are_decoded_or_refused)};
    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
