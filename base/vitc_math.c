#include "vitc_math.h"

#include <math.h>

static const double half_root = 0.70710678118654752440;
/* ln 2 in two parts, of which the first has 21 bits that are 0: its product with an exponent is
 * exact. */
static const double ln2_high = 0x1.62e42fee00000p-1, ln2_low = 0x1.a39ef35793c76p-33;

/* The same of pi / 2, of which 20 bits are 0. */
static const double quarter_high = 0x1.921fb54400000p+0, quarter_low = 0x1.0b4611a626331p-34;

/* m 2^e with m in [sqrt(1/2), sqrt(2)): log m = 2 artanh((m - 1) / (m + 1)), whose series in
 * s <= 0.1716 is below 1e-18 after s^21. */
double vitc_math_log(double x)
{
    int exponent;
    double m = frexp(x, &exponent);
    if (m < half_root) {
        m *= 2;
        exponent--;
    }
    const double s = (m - 1) / (m + 1), square = s * s;
    double sum = 0;
    for (int n = 21; n >= 3; n -= 2) sum = (sum + 1.0 / n) * square;
    return exponent * ln2_high + (2 * s + (2 * s * sum + exponent * ln2_low));
}

/* 2^k e^r with |r| <= ln(2) / 2, and e^r by its series, below 1e-17 after r^13. */
double vitc_math_exp(double x)
{
    const double k = floor(x / (ln2_high + ln2_low) + 0.5);
    const double r = (x - k * ln2_high) - k * ln2_low;
    double sum = 1;
    for (int n = 13; n >= 1; n--) sum = 1 + sum * r / n;
    return ldexp(sum, (int)k);
}

/* Both series for |x| <= pi / 4 are below 1e-17 after x^17. */
static double sine_of(double x)
{
    const double square = x * x;
    double sum = 1;
    for (int n = 16; n >= 2; n -= 2) sum = 1 - sum * square / (n * (n + 1));
    return x * sum;
}

static double cosine_of(double x)
{
    const double square = x * x;
    double sum = 1;
    for (int n = 16; n >= 2; n -= 2) sum = 1 - sum * square / ((n - 1) * n);
    return sum;
}

void vitc_math_sine_cosine(double *sine, double *cosine, double x)
{
    const double quarters = floor(x / (quarter_high + quarter_low) + 0.5);
    const double rest = (x - quarters * quarter_high) - quarters * quarter_low;
    const double s = sine_of(rest), c = cosine_of(rest);
    switch ((unsigned)(long)quarters & 3U) {
    case 0:
        *sine = s;
        *cosine = c;
        break;
    case 1:
        *sine = c;
        *cosine = -s;
        break;
    case 2:
        *sine = -s;
        *cosine = -c;
        break;
    default:
        *sine = -c;
        *cosine = s;
        break;
    }
}
