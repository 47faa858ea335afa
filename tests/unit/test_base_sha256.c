/* SHA-256 against the vectors of FIPS 180-4's examples (NIST), in any pieces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "vitc_sha256.h"

static void vectors(void **state)
{
    static const struct {
        const char *text;
        const char *hash;
    } cases[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqr"
         "lmnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t piece = 1; piece < 130; piece++) {
            const size_t size = strlen(cases[i].text);
            char text[VITC_SHA256_TEXT_SIZE];
            vitc_sha256 hash = vitc_sha256_start();
            for (size_t at = 0; at < size; at += piece)
                vitc_sha256_add(&hash, cases[i].text + at, piece < size - at ? piece : size - at);
            vitc_sha256_finish(text, &hash);
            assert_string_equal(text, cases[i].hash);
        }
}

static void a_million_letters(void **state)
{
    char letters[1000], text[VITC_SHA256_TEXT_SIZE];
    (void)state;
    memset(letters, 'a', sizeof letters);
    vitc_sha256 hash = vitc_sha256_start();
    for (int i = 0; i < 1000; i++) vitc_sha256_add(&hash, letters, sizeof letters);
    vitc_sha256_finish(text, &hash);
    assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Every length around the edges of blocks and of the padding has a hash of its own. */
static void lengths_are_told_apart(void **state)
{
    enum { MOST = 200 };
    static const unsigned char zeros[MOST];
    char text[MOST][VITC_SHA256_TEXT_SIZE];
    (void)state;
    for (size_t n = 0; n < MOST; n++) {
        vitc_sha256 hash = vitc_sha256_start();
        vitc_sha256_add(&hash, zeros, n);
        vitc_sha256_finish(text[n], &hash);
        for (size_t m = 0; m < n; m++) assert_string_not_equal(text[n], text[m]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors),
                                       cmocka_unit_test(a_million_letters),
                                       cmocka_unit_test(lengths_are_told_apart)};
    return cmocka_run_group_tests_name("SHA-256", tests, NULL, NULL);
}
