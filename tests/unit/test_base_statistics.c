/* The bound on a loss of accuracy: reference values, and what must hold for any counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "vitc_statistics.h"

static void reference_values(void **state)
{
    /* computed in Python from the constrained likelihood itself, to four digits, in points */
    static const struct {
        uint64_t lost, gained, n;
        double points;
    } cases[] = {{30, 30, 10000, 0.1302},
                 {60, 40, 10000, 0.3691},
                 {6, 6, 2000, 0.3150},
                 {0, 0, 1000, 0.2698}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double bound = vitc_paired_loss_bound(cases[i].lost, cases[i].gained, cases[i].n);
        assert_true(fabs(100 * bound - cases[i].points) <= 0.00005);
    }
}

/* With nothing lost or gained the score is -sqrt(n loss / (1 - loss)), which solves in one line. */
static void no_change_has_a_closed_form(void **state)
{
    const double z2 = 1.6448536269514722 * 1.6448536269514722;
    (void)state;
    for (uint64_t n = 1; n < 100000; n *= 3)
        assert_true(fabs(vitc_paired_loss_bound(0, 0, n) - z2 / ((double)n + z2)) < 1e-12);
}

static void bounds_are_ordered(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 12; n++)
        for (uint64_t lost = 0; lost <= n; lost++)
            for (uint64_t gained = 0; gained + lost <= n; gained++) {
                const double loss = ((double)lost - (double)gained) / (double)n;
                const double bound = vitc_paired_loss_bound(lost, gained, n);
                assert_true(bound >= loss && bound <= 1);
                assert_true(bound > loss || lost == n);
                if (lost + gained < n) /* one more lost is worse */
                    assert_true(vitc_paired_loss_bound(lost + 1, gained, n) > bound);
                if (gained > 0) /* one more gained is better */
                    assert_true(vitc_paired_loss_bound(lost, gained - 1, n) > bound);
                /* more images of the same kind say more */
                assert_true(vitc_paired_loss_bound(4 * lost, 4 * gained, 4 * n) <= bound);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reference_values),
                                       cmocka_unit_test(no_change_has_a_closed_form),
                                       cmocka_unit_test(bounds_are_ordered)};
    return cmocka_run_group_tests_name("statistics", tests, NULL, NULL);
}
