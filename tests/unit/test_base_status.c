/* Status codes, the log and the version. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "test_base_recorder.h"
#include "vitc_log.h"

static const vitc_status all_statuses[] = {
    VITC_OK,
    VITC_ERR_ARGUMENT,
    VITC_ERR_MEMORY,
    VITC_ERR_UNREADABLE,
    VITC_ERR_UNWRITABLE,
    VITC_ERR_TRUNCATED,
    VITC_ERR_CORRUPT,
    VITC_ERR_UNSUPPORTED,
    VITC_ERR_TOO_LARGE,
    VITC_ERR_MODEL,
    VITC_ERR_PREPROCESS,
    VITC_ERR_UNTRAINED,
    VITC_ERR_INTERNAL,
    VITC_ERR_OVERFLOW,
};
enum { STATUS_COUNT = sizeof all_statuses / sizeof all_statuses[0] };

static void values_are_the_abi(void **state)
{
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++) assert_int_equal(all_statuses[i], i);
}

static void every_status_has_its_own_name(void **state)
{
    (void)state;
    for (int i = 0; i < STATUS_COUNT; i++) {
        const char *name = vitc_status_string(all_statuses[i]);
        assert_non_null(name);
        assert_string_not_equal(name, "unknown status");
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, vitc_status_string(all_statuses[j]));
    }
    /* One past the last: fails when a status is added without a name and a line in this test. */
    assert_string_equal(vitc_status_string((vitc_status)STATUS_COUNT), "unknown status");
    assert_string_equal(vitc_status_string((vitc_status)-1), "unknown status");
}

static void version_is_the_macros(void **state)
{
    (void)state;
    char expected[32];
    snprintf(expected, sizeof expected, "%d.%d.%d", VITC_VERSION_MAJOR, VITC_VERSION_MINOR,
             VITC_VERSION_PATCH);
    assert_string_equal(vitc_version(), expected);
    assert_string_equal(VITC_VERSION_STRING, expected);
}

static void fail_logs_once_and_returns_the_status(void **state)
{
    (void)state;
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    assert_int_equal(vitc_fail(&log, VITC_ERR_CORRUPT, "%s: byte %d", "a.png", 7),
                     VITC_ERR_CORRUPT);
    assert_int_equal(recorder.messages, 1);
    assert_int_equal(recorder.level, VITC_LOG_ERROR);
    assert_string_equal(recorder.last, "a.png: byte 7");

    assert_int_equal(vitc_fail_memory(&log, "image pixels"), VITC_ERR_MEMORY);
    assert_int_equal(recorder.messages, 2);
    assert_non_null(strstr(recorder.last, "image pixels"));

    vitc_log_write(&log, VITC_LOG_WARN, "%s", "careful");
    assert_int_equal(recorder.level, VITC_LOG_WARN);
    assert_string_equal(recorder.last, "careful");
}

static void silence_is_allowed(void **state)
{
    (void)state;
    const vitc_log mute = {0};
    assert_int_equal(vitc_fail(NULL, VITC_ERR_MODEL, "x"), VITC_ERR_MODEL);
    assert_int_equal(vitc_fail(&mute, VITC_ERR_MODEL, "x"), VITC_ERR_MODEL);
}

static void long_lines_are_cut_not_overrun(void **state)
{
    (void)state;
    log_recorder recorder;
    const vitc_log log = log_recorder_start(&recorder);
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    vitc_log_write(&log, VITC_LOG_INFO, "%s", text);
    assert_int_equal(strlen(recorder.last), 1023);
    text[1023] = 0;
    vitc_log_write(&log, VITC_LOG_INFO, "%s", text);
    assert_string_equal(recorder.last, text);
    /* two bytes a character, from an odd and from an even byte on */
    for (size_t i = 0; i + 2 < sizeof text; i += 2) memcpy(text + i, "\xC3\xA9", 2);
    vitc_log_write(&log, VITC_LOG_INFO, "%s", text);
    assert_int_equal(strlen(recorder.last), 1022);
    vitc_log_write(&log, VITC_LOG_INFO, "x%s", text);
    assert_int_equal(strlen(recorder.last), 1023);
}

static vitc_status third_call_fails(int *calls)
{
    ++*calls;
    return *calls == 3 ? VITC_ERR_TOO_LARGE : VITC_OK;
}

static vitc_status five_tries(int *calls)
{
    for (int i = 0; i < 5; i++) VITC_TRY(third_call_fails(calls));
    return VITC_OK;
}

static void try_stops_at_the_first_failure(void **state)
{
    (void)state;
    int calls = 0;
    assert_int_equal(five_tries(&calls), VITC_ERR_TOO_LARGE);
    assert_int_equal(calls, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_the_abi),
        cmocka_unit_test(every_status_has_its_own_name),
        cmocka_unit_test(version_is_the_macros),
        cmocka_unit_test(fail_logs_once_and_returns_the_status),
        cmocka_unit_test(silence_is_allowed),
        cmocka_unit_test(long_lines_are_cut_not_overrun),
        cmocka_unit_test(try_stops_at_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
