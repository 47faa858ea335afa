/* The strict JSON reader and the forgiving JSON writer. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "test_base_recorder.h"
#include "vitc_json.h"
#include "vitc_log.h"

static vitc_json *parse(const char *text)
{
    vitc_json *document;
    assert_int_equal(vitc_json_parse(&document, text, strlen(text), "test", NULL), VITC_OK);
    assert_non_null(document);
    return document;
}

static void values_and_types(void **state)
{
    (void)state;
    vitc_json *document =
        parse(" {\"s\":\"\\u00e9\\ud83d\\ude80\",\"i\":-7,\"r\":2.5e-1,\"t\":true,"
              "\"f\":false,\"n\":null,\"a\":[1,[2]],\"o\":{}} \n");
    assert_true(vitc_json_is_object(document));
    assert_int_equal(vitc_json_size(document), 8);
    assert_string_equal(vitc_json_string(vitc_json_get(document, "s"), ""),
                        "\xC3\xA9\xF0\x9F\x9A\x80");
    assert_true(vitc_json_is_integer(vitc_json_get(document, "i")));
    assert_int_equal(vitc_json_integer(vitc_json_get(document, "i"), 0), -7);
    assert_true(vitc_json_number(vitc_json_get(document, "i"), 0) == -7.0);
    assert_true(vitc_json_is_number(vitc_json_get(document, "r")));
    assert_false(vitc_json_is_integer(vitc_json_get(document, "r")));
    assert_true(vitc_json_number(vitc_json_get(document, "r"), 0) == 0.25);
    assert_int_equal(vitc_json_integer(vitc_json_get(document, "r"), 42), 42);
    assert_true(vitc_json_bool(vitc_json_get(document, "t"), false));
    assert_false(vitc_json_bool(vitc_json_get(document, "f"), true));
    assert_true(vitc_json_is_null(vitc_json_get(document, "n")));
    const vitc_json *array = vitc_json_get(document, "a");
    assert_true(vitc_json_is_array(array));
    assert_int_equal(vitc_json_size(array), 2);
    assert_int_equal(vitc_json_integer(vitc_json_at(vitc_json_at(array, 1), 0), 0), 2);
    assert_null(vitc_json_at(array, 2));
    assert_int_equal(vitc_json_size(vitc_json_get(document, "o")), 0);
    vitc_json_free(document);
    vitc_json_free(NULL);
}

static void absent_values_chain(void **state)
{
    (void)state;
    const vitc_json *absent = vitc_json_get(NULL, "key");
    assert_null(absent);
    assert_null(vitc_json_get(absent, "key"));
    assert_null(vitc_json_at(absent, 0));
    assert_null(vitc_json_first(absent));
    assert_false(vitc_json_is_object(absent) || vitc_json_is_array(absent) ||
                 vitc_json_is_string(absent) || vitc_json_is_integer(absent) ||
                 vitc_json_is_number(absent) || vitc_json_is_bool(absent) ||
                 vitc_json_is_null(absent));
    assert_int_equal(vitc_json_size(absent), 0);
    assert_string_equal(vitc_json_string(absent, "otherwise"), "otherwise");
    assert_int_equal(vitc_json_integer(absent, 5), 5);
    assert_true(vitc_json_number(absent, 0.5) == 0.5);
    assert_true(vitc_json_bool(absent, true));
}

static void members_keep_their_order(void **state)
{
    (void)state;
    vitc_json *document = parse("{\"z\":1,\"10\":2,\"9\":3,\"a\":4}");
    char keys[16] = "";
    int64_t expected = 1;
    for (void *it = vitc_json_first(document); it != NULL; it = vitc_json_next(document, it)) {
        strcat(keys, vitc_json_key(it));
        strcat(keys, " ");
        assert_int_equal(vitc_json_integer(vitc_json_value(it), 0), expected++);
    }
    assert_string_equal(keys, "z 10 9 a ");
    vitc_json_free(document);
}

static void what_is_not_json_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[1,",
        "{\"a\":1,}",
        "[1,]",
        "{\"a\" 1}",
        "{a:1}",
        "{'a':1}",
        "[01]",
        "[+1]",
        "[.5]",
        "[1.]",
        "[1e]",
        "[NaN]",
        "[Infinity]",
        "[0x10]",
        "[1] 2",
        "{} {}",
        "[1] // comment",
        "[\"\t\"]",                  /* a raw control character */
        "[\"\\x41\"]",               /* an escape JSON does not have */
        "[\"\\ud800\"]",             /* half a surrogate pair */
        "[\"\\u0000\"]",             /* would end the C string early */
        "[\"\xFF\"]",                /* not UTF-8 */
        "[\"\xC0\xAF\"]",            /* overlong '/' */
        "[\"\xED\xA0\x80\"]",        /* a surrogate in UTF-8 */
        "[\"\xF4\x90\x80\x80\"]",    /* above U+10FFFF */
        "[\"\xE2\x82\"]",            /* cut short */
        "{\"a\":1,\"a\":2}",         /* which one would hold? */
        "{\"o\":{\"a\":1,\"a\":1}}", /* the same, deeper */
        "[123456789012345678901234567890]",
        "[1e999]",
        "tru",
        "\xEF\xBB\xBF{}", /* a byte order mark */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        vitc_json *document = (vitc_json *)&recorder;
        const vitc_status status =
            vitc_json_parse(&document, bad[i], strlen(bad[i]), "config.json", &log);
        if (status != VITC_ERR_CORRUPT) fail_msg("accepted: %s", bad[i]);
        assert_null(document);
        assert_int_equal(recorder.messages, 1);
        assert_non_null(strstr(recorder.last, "config.json"));
    }
}

static void size_counts_not_a_zero_byte(void **state)
{
    (void)state;
    vitc_json *document;
    assert_int_equal(vitc_json_parse(&document, "[1]x", 3, "test", NULL), VITC_OK);
    vitc_json_free(document);
    assert_int_equal(vitc_json_parse(&document, "[1]\0", 4, "test", NULL), VITC_ERR_CORRUPT);
    assert_int_equal(vitc_json_parse(&document, "[\"a\0b\"]", 7, "test", NULL), VITC_ERR_CORRUPT);
}

static void depth_is_bounded(void **state)
{
    (void)state;
    enum { DEPTH = 1 << 20, MOST = 64 };
    char *text = malloc(DEPTH);
    assert_non_null(text);
    memset(text, '[', DEPTH);
    vitc_json *document;
    assert_int_equal(vitc_json_parse(&document, text, DEPTH, "test", NULL), VITC_ERR_TOO_LARGE);
    assert_null(document);
    for (size_t depth = MOST; depth <= MOST + 1; depth++) { /* brackets in a string do not count */
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        memset(text, '[', depth);
        memset(text + depth + 4, ']', depth);
        memcpy(text + depth, "\"[[\"", 4);
        assert_int_equal(vitc_json_parse(&document, text, 2 * depth + 4, "deep.json", &log),
                         depth <= MOST ? VITC_OK : VITC_ERR_TOO_LARGE);
        if (depth > MOST)
            assert_string_equal(recorder.last,
                                "deep.json: JSON of lists and objects more than 64 deep");
        vitc_json_free(document);
    }
    free(text);
}

/* A few bytes of text may be a hundred of memory. */
static void values_are_bounded(void **state)
{
    (void)state;
    enum { MOST = 2000000, ROOM = 4 * MOST };
    char *text = malloc(ROOM);
    assert_non_null(text);
    for (size_t values = MOST; values <= MOST + 1; values++) {
        log_recorder recorder;
        const vitc_log log = log_recorder_start(&recorder);
        vitc_json *document;
        size_t n = 0;
        text[n++] = '[';
        for (size_t i = 0; i + 2 < values; i++) n += (size_t)sprintf(text + n, "1,");
        n += (size_t)sprintf(text + n, "\",,\"]");
        assert_int_equal(vitc_json_parse(&document, text, n, "many.json", &log),
                         values <= MOST ? VITC_OK : VITC_ERR_TOO_LARGE);
        if (values > MOST)
            assert_string_equal(recorder.last, "many.json: JSON of more than 2000000 values");
        vitc_json_free(document);
    }
    free(text);
}

static void described_as_written(void **state)
{
    (void)state;
    vitc_json *document = parse("[32, 32.0, 0.5, 1e300, -0.0]");
    static const char *const words[] = {"32", "32.0", "0.5", "1e+300", "-0.0"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char text[64];
        vitc_json_describe(text, sizeof text, vitc_json_at(document, i));
        assert_string_equal(text, words[i]);
    }
    vitc_json_free(document);
}

static char *dump_string(const char *bytes)
{
    vitc_json *object = vitc_json_object();
    assert_true(vitc_json_set_string(object, "s", bytes));
    char *text = vitc_json_dump(object, 0, 9);
    assert_non_null(text);
    vitc_json_free(object);
    return text;
}

/* File names are bytes; what is not UTF-8 in them becomes U+FFFD and the rest survives. */
static void bad_utf8_is_repaired(void **state)
{
    (void)state;
#define R "\xEF\xBF\xBD"
    static const struct {
        const char *in, *out;
    } table[] = {
        {"plain", "plain"},
        {"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x9A\x80", "\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x9A\x80"},
        {"a\xFF"
         "b",
         "a" R "b"},
        {"\x80", R},
        {"\xC3", R},
        {"\xC3"
         "A",
         R "A"},
        {"\xE2\x82", R R},
        {"\xE2\x82"
         "x",
         R R "x"},
        {"\xC0\xAF", R R},
        {"\xC1\xBF", R R},
        {"\xE0\x80\xAF", R R R},
        {"\xED\xA0\x80", R R R},
        {"\xED\x9F\xBF", "\xED\x9F\xBF"},
        {"\xF0\x80\x80\xAF", R R R R},
        {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
        {"\xF4\x90\x80\x80", R R R R},
        {"\xF5\x80\x80\x80", R R R R},
        {"\xFE\xFE\xFF\xFF", R R R R},
        {"ok\xF0\x9F\x9A", "ok" R R R},
        {"\xC3\xA9\xFF\xC3\xA9", "\xC3\xA9" R "\xC3\xA9"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char *text = dump_string(table[i].in);
        vitc_json *back = parse(text); /* the strict reader takes it: valid JSON, valid UTF-8 */
        assert_string_equal(vitc_json_string(vitc_json_get(back, "s"), NULL), table[i].out);
        vitc_json_free(back);
        free(text);
    }
#undef R
    char *null = dump_string(NULL);
    assert_string_equal(null, "{\"s\": null}");
    free(null);
}

static void every_pair_of_bytes_gives_valid_json(void **state)
{
    (void)state;
    for (int a = 1; a < 256; a++) {
        for (int b = 1; b < 256; b++) {
            const char bytes[] = {(char)a, (char)b, 'x', 0};
            char *text = dump_string(bytes);
            vitc_json *back = parse(text);
            const char *got = vitc_json_string(vitc_json_get(back, "s"), "");
            assert_int_equal(got[strlen(got) - 1], 'x'); /* repair never eats what follows */
            vitc_json_free(back);
            free(text);
        }
    }
}

static void numbers_survive(void **state)
{
    (void)state;
    uint32_t bits = 1;
    for (int i = 0; i < 20000; i++) {
        bits = bits * 1664525u + 1013904223u;
        float value;
        memcpy(&value, &bits, sizeof value);
        vitc_json *array = vitc_json_array();
        assert_true(vitc_json_append_number(array, (double)value));
        char *text = vitc_json_dump(array, 0, 9);
        vitc_json *back = parse(text);
        if (isfinite(value)) {
            const float again = (float)vitc_json_number(vitc_json_at(back, 0), -1);
            assert_memory_equal(&again, &value, sizeof value);
        } else {
            assert_true(vitc_json_is_null(vitc_json_at(back, 0)));
        }
        vitc_json_free(back);
        free(text);
        vitc_json_free(array);
    }
    vitc_json *object = vitc_json_object();
    assert_true(vitc_json_set_integer(object, "min", INT64_MIN));
    assert_true(vitc_json_set_integer(object, "max", INT64_MAX));
    assert_true(vitc_json_set_number(object, "tenth", 0.1));
    char *text = vitc_json_dump(object, 0, 17);
    vitc_json *back = parse(text);
    assert_true(vitc_json_integer(vitc_json_get(back, "min"), 0) == INT64_MIN);
    assert_true(vitc_json_integer(vitc_json_get(back, "max"), 0) == INT64_MAX);
    assert_true(vitc_json_number(vitc_json_get(back, "tenth"), 0) == 0.1);
    vitc_json_free(back);
    free(text);
    vitc_json_free(object);
}

static void documents_are_built_in_order(void **state)
{
    (void)state;
    vitc_json *object = vitc_json_object(), *array = vitc_json_array(), *inner = vitc_json_object();
    assert_true(vitc_json_set_string(object, "path", "a b.jpg"));
    assert_true(vitc_json_set_bool(object, "ok", true));
    assert_true(vitc_json_set_null(object, "none"));
    assert_true(vitc_json_append_string(array, "x\n\"y\""));
    assert_true(vitc_json_append_integer(array, 3));
    assert_true(vitc_json_set_number(inner, "score", 0.5));
    assert_true(vitc_json_append(array, inner));
    assert_true(vitc_json_set(object, "list", array));
    char *text = vitc_json_dump(object, 0, 9);
    assert_string_equal(text, "{\"path\": \"a b.jpg\", \"ok\": true, \"none\": null, "
                              "\"list\": [\"x\\n\\\"y\\\"\", 3, {\"score\": 0.5}]}");
    free(text);
    text = vitc_json_dump(object, 2, 9);
    assert_non_null(strstr(text, "\n  \"ok\": true"));
    free(text);
    vitc_json_free(object);
    assert_null(vitc_json_dump(NULL, 0, 9));
}

/* Setters own their value even when they fail; a leak checker sees the difference. */
static void members_are_removed(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": 1, \"b\": {\"a\": 2, \"c\": 3}, \"d\": 4}";
    const vitc_log none = {0};
    vitc_json *object;
    assert_int_equal(vitc_json_parse(&object, text, sizeof text - 1, "text", &none), VITC_OK);
    assert_true(vitc_json_remove(object, "b", "a"));
    assert_false(vitc_json_remove(object, "b", "a"));
    assert_true(vitc_json_remove(object, NULL, "a"));
    assert_false(vitc_json_remove(object, NULL, "a"));
    assert_false(vitc_json_remove(object, "d", "a")); /* not an object */
    assert_false(vitc_json_remove(object, "missing", "a"));
    assert_false(vitc_json_remove(NULL, NULL, "a"));
    char *left = vitc_json_dump(object, 0, 9);
    assert_string_equal(left, "{\"b\": {\"c\": 3}, \"d\": 4}");
    free(left);
    vitc_json_free(object);
}

static void setters_take_ownership_when_they_fail(void **state)
{
    (void)state;
    vitc_json *object = vitc_json_object(), *array = vitc_json_array();
    assert_false(vitc_json_set(object, "key", NULL));
    assert_false(vitc_json_append(array, NULL));
    assert_false(vitc_json_set(array, "key", vitc_json_object())); /* not an object */
    assert_false(vitc_json_append(object, vitc_json_array()));     /* not an array */
    assert_false(vitc_json_set(NULL, "key", vitc_json_object()));
    assert_int_equal(vitc_json_size(object), 0);
    assert_int_equal(vitc_json_size(array), 0);
    vitc_json_free(object);
    vitc_json_free(array);
}

static void values_are_described_in_words(void **state)
{
    static const struct {
        const char *json, *words;
    } cases[] = {{"\"a\\tb\"", "\"a?b\""},  {"-7", "-7"},        {"0.25", "0.25"}, {"true", "true"},
                 {"[1, 2]", "a list of 2"}, {"{}", "an object"}, {"null", "null"}};
    char text[VITC_SHOWN_SIZE + 2], shown[VITC_SHOWN_SIZE], longer[200];
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        vitc_json *value = NULL;
        assert_int_equal(
            vitc_json_parse(&value, cases[i].json, strlen(cases[i].json), "case", NULL), VITC_OK);
        vitc_json_describe(text, sizeof text, value);
        assert_string_equal(text, cases[i].words);
        vitc_json_free(value);
    }
    vitc_json_describe(text, sizeof text, NULL);
    assert_string_equal(text, "missing");
    /* 96 shown bytes end inside the two-byte letter: the letter goes too */
    snprintf(longer, sizeof longer, "%095d\xC3\xA9 and more", 0);
    vitc_show(shown, longer);
    assert_int_equal(strlen(shown), 98);
    assert_string_equal(shown + 93, "00...");
    assert_string_equal(vitc_show(shown, "\t\xC3\xA9\x7F"), "?\xC3\xA9?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_described_in_words),
        cmocka_unit_test(values_and_types),
        cmocka_unit_test(absent_values_chain),
        cmocka_unit_test(members_keep_their_order),
        cmocka_unit_test(what_is_not_json_is_refused),
        cmocka_unit_test(size_counts_not_a_zero_byte),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(values_are_bounded),
        cmocka_unit_test(described_as_written),
        cmocka_unit_test(bad_utf8_is_repaired),
        cmocka_unit_test(every_pair_of_bytes_gives_valid_json),
        cmocka_unit_test(numbers_survive),
        cmocka_unit_test(documents_are_built_in_order),
        cmocka_unit_test(members_are_removed),
        cmocka_unit_test(setters_take_ownership_when_they_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
