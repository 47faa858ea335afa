/* MurmurHash3 x64 128: values of the reference implementation (SMHasher; also the Python package
 * mmh3 5.3.1, hash64), one for every length of the last block. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "vitc_hash.h"

static void values_are_the_published_ones(void **state)
{
    static const char text[] = "The quick brown fox jumps over the lazy dog";
    static const struct {
        size_t size;
        vitc_hash hash;
    } cases[] = {
        {0, {0x0000000000000000, 0x0000000000000000}},
        {1, {0x8C03777E9184689A, 0x3AB5D6B4BA293E79}},
        {2, {0xD7DD0BEAEE68E3B9, 0xA56FB69099026B97}},
        {3, {0x304F2652DCD66D9A, 0xEF385E5D15EABF42}},
        {4, {0xBD4301BEABA07D9C, 0xDFAE3C4B8026DD1C}},
        {5, {0x6F7AAC75205270FE, 0x76F5EBD390DAC61F}},
        {6, {0x796E1100F3F66746, 0xB2A07E0B1665AB1F}},
        {7, {0xF0D3843A5ABCD5C9, 0x9394B7F9C86D6073}},
        {8, {0x644BAAE4AD5B71CD, 0x8EEEF997E2881CDF}},
        {9, {0x37A06404B2A8F155, 0xADBCC8FF3D6ECCC0}},
        {10, {0x420E44DF457484B8, 0x9CABADD477515FE9}},
        {11, {0x87C320550739A882, 0xFA91E8A5D66E7B9F}},
        {12, {0x61D6A1372F90F9CB, 0xB66353EA7C002529}},
        {13, {0x3C600C93F99BFD3B, 0xC3E13319056F26F4}},
        {14, {0xDCD216A95D6E6007, 0x84C1EEB85C46C838}},
        {15, {0x48137CB864E39216, 0xFD7BAF64397AD64B}},
        {16, {0x9D1244F4AF9B32C4, 0x3D153C8B2C2A3AA6}},
        {17, {0x91F96376E757E9AE, 0x9B44E58DAE83EB0C}},
        {31, {0x9B28B5DDD9C4C509, 0x0D3C1CB80FE2F964}},
        {32, {0xDF6AF91BB29BDACF, 0x91A341C58DF1F3A6}},
        {33, {0x68D135CDAB7BB3DD, 0xE617F8470728BB01}},
        {43, {0xE34BBC7BBC071B6C, 0x7A433CA9C49A9347}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const vitc_hash hash = vitc_hash_bytes(text, cases[i].size, 0);
        assert_true(hash.low == cases[i].hash.low && hash.high == cases[i].hash.high);
    }
}

/* Every bit of the data and of the seed, and the length, count; where the data lies does not. */
static void everything_counts(void **state)
{
    (void)state;
    unsigned char data[48], moved[49];
    for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)(i * 37);
    memcpy(moved + 1, data, sizeof data);
    const vitc_hash hash = vitc_hash_bytes(data, sizeof data, 1);
    const vitc_hash same = vitc_hash_bytes(moved + 1, sizeof data, 1);
    assert_true(hash.low == same.low && hash.high == same.high);
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        const vitc_hash other = vitc_hash_bytes(data, sizeof data, 1);
        assert_true(hash.low != other.low && hash.high != other.high);
        data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    for (unsigned bit = 0; bit < 64; bit++)
        assert_true(vitc_hash_bytes(data, sizeof data, 1 ^ (uint64_t)1 << bit).low != hash.low);
    memset(data, 0, sizeof data);
    for (size_t size = 1; size < sizeof data; size++)
        assert_true(vitc_hash_bytes(data, size, 0).low != vitc_hash_bytes(data, size + 1, 0).low);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values_are_the_published_ones),
                                       cmocka_unit_test(everything_counts)};
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
