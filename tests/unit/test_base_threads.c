/* How many threads, and why. */
#include <setjmp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "vitc_threads.h"

static int clear_environment(void **state)
{
    (void)state;
    unsetenv("VITC_THREADS");
    unsetenv("OMP_NUM_THREADS");
    return 0;
}

static void the_request_wins(void **state)
{
    (void)state;
    char reason[96];
    setenv("VITC_THREADS", "3", 1);
    setenv("OMP_NUM_THREADS", "5", 1);
    assert_int_equal(vitc_threads_choose(7, reason, sizeof reason), 7);
    assert_string_equal(reason, "as requested");
    assert_int_equal(vitc_threads_choose(INT32_MAX, NULL, 0), VITC_THREADS_MAX);
}

static void our_variable_comes_before_openmps(void **state)
{
    (void)state;
    char reason[96];
    setenv("VITC_THREADS", "3", 1);
    setenv("OMP_NUM_THREADS", "5", 1);
    assert_int_equal(vitc_threads_choose(0, reason, sizeof reason), 3);
    assert_string_equal(reason, "VITC_THREADS");
    unsetenv("VITC_THREADS");
    assert_int_equal(vitc_threads_choose(0, reason, sizeof reason), 5);
    assert_string_equal(reason, "OMP_NUM_THREADS");
}

static void openmps_list_means_its_first_level(void **state)
{
    (void)state;
    setenv("OMP_NUM_THREADS", "6,2,1", 1);
    assert_int_equal(vitc_threads_choose(0, NULL, 0), 6);
}

static void nonsense_in_the_environment_is_ignored(void **state)
{
    (void)state;
    static const char *const nonsense[] = {
        "", "0", "-2", "two", "2x", "1.5", "99999999999999999999"};
    const int expected = vitc_threads_choose(0, NULL, 0);
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        setenv("VITC_THREADS", nonsense[i], 1);
        char reason[96];
        assert_int_equal(vitc_threads_choose(0, reason, sizeof reason), expected);
        assert_string_not_equal(reason, "VITC_THREADS");
    }
    /* a number, but more threads than any machine of ours has: clamped */
    setenv("VITC_THREADS", "1000000", 1);
    assert_int_equal(vitc_threads_choose(0, NULL, 0), VITC_THREADS_MAX);
}

static void affinity_bounds_the_default(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    const int threads = vitc_threads_choose(0, NULL, 0);
    assert_in_range(threads, 1, CPU_COUNT(&all));

    size_t cpu = 0;
    while (!CPU_ISSET(cpu, &all)) cpu++;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    char reason[96];
    const int pinned = vitc_threads_choose(0, reason, sizeof reason);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
    assert_int_equal(pinned, 1);
    assert_true(strlen(reason) > 0);
}

static void reasons_are_cut_to_their_buffer(void **state)
{
    (void)state;
    char reason[6] = "xxxxx";
    vitc_threads_choose(2, reason, sizeof reason);
    assert_string_equal(reason, "as re");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_request_wins, clear_environment, clear_environment),
        cmocka_unit_test_setup_teardown(our_variable_comes_before_openmps, clear_environment,
                                        clear_environment),
        cmocka_unit_test_setup_teardown(openmps_list_means_its_first_level, clear_environment,
                                        clear_environment),
        cmocka_unit_test_setup_teardown(nonsense_in_the_environment_is_ignored, clear_environment,
                                        clear_environment),
        cmocka_unit_test_setup_teardown(affinity_bounds_the_default, clear_environment,
                                        clear_environment),
        cmocka_unit_test_setup_teardown(reasons_are_cut_to_their_buffer, clear_environment,
                                        clear_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
