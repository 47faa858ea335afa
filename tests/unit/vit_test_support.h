/* vit_test_support.h - what the vit tests share: random numbers, error measures, the machine's
 * rows. */
#ifndef VIT_TEST_SUPPORT_H
#define VIT_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_kernels.h"
#include "vitc_memory.h"

/* What ctest counts as skipped (SKIP_RETURN_CODE). */
enum { TEST_SKIPPED = 77 };

static inline uint64_t test_random_bits(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15u; /* splitmix64 */
    uint64_t z = *state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Roughly normal: the sum of four uniforms, variance 1. */
static inline float test_random_normal(uint64_t *state)
{
    double sum = -2;
    for (int i = 0; i < 4; i++) sum += (double)(test_random_bits(state) >> 11) * 0x1p-53;
    return (float)(sum * 1.7320508);
}

static inline float *test_random_floats(size_t count, double scale, uint64_t seed)
{
    float *values = vitc_aligned_alloc((count + 256) * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(scale * (double)test_random_normal(&seed));
    return values;
}

static inline float *test_floats(size_t count)
{
    float *values = vitc_aligned_alloc((count + 256) * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < count; i++) values[i] = NAN; /* what is not written shows */
    return values;
}

/* max |a - b| / max |b|, NaN-proof: a NaN in `a` gives infinity. */
static inline double test_relative_error(const float *a, const float *b, size_t count)
{
    double worst = 0, largest = 1e-30;
    for (size_t i = 0; i < count; i++) {
        const double difference = fabs((double)a[i] - (double)b[i]);
        if (!(difference <= worst)) worst = isnan(difference) ? INFINITY : difference;
        if (fabs((double)b[i]) > largest) largest = fabs((double)b[i]);
    }
    return worst / largest;
}

static inline void test_log_line(void *user, vitc_log_level level, const char *message)
{
    (void)user;
    (void)level;
    fprintf(stderr, "log: %s\n", message);
}

/* Selects the row of VITC_ISA, or exits as skipped where this machine cannot run it. */
static inline vit_kernels test_kernels_or_skip(void)
{
    const char *isa = getenv("VITC_ISA");
    bool known = isa == NULL, runs = isa == NULL;
    for (size_t i = 0; isa != NULL && vit_kernels_name(i, NULL) != NULL; i++) {
        bool here;
        if (strcmp(vit_kernels_name(i, &here), isa) == 0) {
            known = true;
            runs = here;
        }
    }
    if (known && !runs) {
        printf("skipped: this machine cannot run the %s row\n", isa);
        exit(TEST_SKIPPED);
    }
    vit_kernels kernels;
    const vitc_log log = {test_log_line, NULL};
    if (vit_kernels_select(&kernels, &log) != VITC_OK) exit(1);
    printf("kernel row: %s\n", kernels.name);
    return kernels;
}

#endif
