/* JSON with every allocation failing in turn: the whole document or VITC_ERR_MEMORY, never one with
 * a character missing. */
#include <stdio.h>

#include "test_malloc_fail.h"
#include "vitc_json.h"

static const char *expected;

static vitc_status parse(void *text)
{
    vitc_json *document;
    const vitc_status status = vitc_json_parse(&document, text, strlen(text), "test", NULL);
    if (status != VITC_OK) return status;
    const char *found = vitc_json_string(vitc_json_get(document, "key"), "");
    const bool same = strcmp(found, expected) == 0;
    vitc_json_free(document);
    return same ? VITC_OK : VITC_ERR_CORRUPT;
}

static void no_character_is_lost(void **unused)
{
    (void)unused;
    char text[4200] = "{\"n\": 1, \"key\": \"", value[2048] = "";
    /* JSON in JSON, as vitc's own files hold it: every quote is escaped */
    for (int i = 0; i < 100; i++) {
        strcat(text, "\\\"a\\\\\\\"b\\\"");
        strcat(value, "\"a\\\"b\"");
    }
    strcat(text, "\", \"last\": 2}");
    expected = value;
    assert_true(malloc_fail_each(parse, text) > 10);
}

/* A document whose text is longer than any first buffer, keys and values both. */
static vitc_status dump(void *user)
{
    char *text = vitc_json_dump(user, 2, 17);
    if (text == NULL) return VITC_ERR_MEMORY;
    const bool same = strcmp(text, expected) == 0;
    free(text);
    return same ? VITC_OK : VITC_ERR_CORRUPT;
}

static void no_key_is_lost(void **unused)
{
    (void)unused;
    if (!MALLOC_FAIL_AVAILABLE) skip(); /* before anything is held that a skip would leak */
    vitc_json *object = vitc_json_object();
    assert_non_null(object);
    for (int i = 0; i < 200; i++) {
        char key[64];
        snprintf(key, sizeof key, "a key of some length, number %d", i);
        assert_true(vitc_json_set_integer(object, key, i));
    }
    char *whole = vitc_json_dump(object, 2, 17);
    assert_non_null(whole);
    expected = whole;
    assert_true(malloc_fail_each(dump, object) > 3);
    free(whole);
    vitc_json_free(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_character_is_lost),
                                       cmocka_unit_test(no_key_is_lost)};
    return cmocka_run_group_tests_name("JSON without memory", tests, NULL, NULL);
}
