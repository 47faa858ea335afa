/* vitc_size.h - size arithmetic that cannot wrap (private to vitc).
 * Each returns true and stores the result, or returns false and stores nothing on overflow. */
#ifndef VITC_SIZE_H
#define VITC_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool vitc_size_add(size_t a, size_t b, size_t *out)
{
    if (b > SIZE_MAX - a) return false;
    *out = a + b;
    return true;
}

static inline bool vitc_size_mul(size_t a, size_t b, size_t *out)
{
    if (a != 0 && b > SIZE_MAX / a) return false;
    *out = a * b;
    return true;
}

static inline bool vitc_size_mul3(size_t a, size_t b, size_t c, size_t *out)
{
    size_t ab;
    return vitc_size_mul(a, b, &ab) && vitc_size_mul(ab, c, out);
}

static inline size_t vitc_size_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t vitc_size_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* value / by, rounded up; by is not 0. */
static inline size_t vitc_size_divide_up(size_t value, size_t by)
{
    return value / by + (value % by != 0);
}

/* The smallest multiple of `step` (not 0) that is >= value. */
static inline size_t vitc_size_round_up(size_t value, size_t step)
{
    return (value + step - 1) / step * step;
}

#endif
