#include "vitc_random.h"

#include <math.h>

#include "vitc_math.h"

void vitc_random_philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    enum { ROUNDS = 10 };
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int i = 0; i < ROUNDS; i++) {
        const uint64_t a = (uint64_t)0xD2511F53 * c0, b = (uint64_t)0xCD9E8D57 * c2;
        c0 = (uint32_t)(b >> 32) ^ c1 ^ k0;
        c2 = (uint32_t)(a >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)b;
        c3 = (uint32_t)a;
        k0 += 0x9E3779B9; /* the golden ratio */
        k1 += 0xBB67AE85; /* sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

vitc_random vitc_random_start(uint64_t seed, vitc_random_use use, uint32_t round, uint64_t index)
{
    return (vitc_random){.key = {(uint32_t)seed, (uint32_t)(seed >> 32)},
                         .counter = {0, (uint32_t)use << 24 | (round & 0xFFFFFF), (uint32_t)index,
                                     (uint32_t)(index >> 32)}};
}

uint32_t vitc_random_word(vitc_random *random)
{
    if (random->left == 0) {
        vitc_random_philox(random->words, random->counter, random->key);
        random->counter[0]++;
        random->left = 4;
    }
    return random->words[--random->left];
}

static uint64_t two_words(vitc_random *random)
{
    const uint64_t high = vitc_random_word(random);
    return high << 32 | vitc_random_word(random);
}

double vitc_random_uniform(vitc_random *random)
{
    return (double)(two_words(random) >> 11) * 0x1p-53;
}

double vitc_random_between(vitc_random *random, double low, double high)
{
    return fmin(low + (high - low) * vitc_random_uniform(random),
                high); /* rounding may go beyond */
}

double vitc_random_between_logs(vitc_random *random, double low, double high)
{
    const double x = vitc_random_between(random, vitc_math_log(low), vitc_math_log(high));
    return fmin(fmax(vitc_math_exp(x), low), high);
}

bool vitc_random_chance(vitc_random *random, double p)
{
    return vitc_random_uniform(random) < p;
}

uint64_t vitc_random_below(vitc_random *random, uint64_t n)
{
    const uint64_t unfair = (0 - n) % n; /* 2^64 mod n: so many of the 2^64 are too many */
    uint64_t x;
    do x = two_words(random);
    while (x < unfair);
    return x % n;
}

/* Marsaglia's polar method (SIAM Review 6, 1964); of its two numbers one is dropped, so that a
 * stream has no state but its counter. */
double vitc_random_normal(vitc_random *random)
{
    double x, square;
    do {
        const double y = vitc_random_between(random, -1, 1);
        x = vitc_random_between(random, -1, 1);
        square = x * x + y * y;
    } while (square >= 1 || square == 0);
    return x * sqrt(-2 * vitc_math_log(square) / square);
}

/* The logarithm of a number from Gamma(shape), which itself may be too small for a double.
 * Marsaglia and Tsang: A Simple Method for Generating Gamma Variables (2000); below a shape of 1 by
 * Gamma(shape) = Gamma(shape + 1) U^(1 / shape). */
static double log_gamma_variate(vitc_random *random, double shape)
{
    double boost = 0;
    if (shape < 1) {
        boost = vitc_math_log(1 - vitc_random_uniform(random)) / shape;
        shape += 1;
    }
    const double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        const double x = vitc_random_normal(random), root = 1 + c * x;
        if (root <= 0) continue;
        const double log_v = 3 * vitc_math_log(root), v = root * root * root;
        const double log_u = vitc_math_log(1 - vitc_random_uniform(random));
        if (log_u < x * x / 2 + d - d * v + d * log_v) return vitc_math_log(d) + log_v + boost;
    }
}

/* X / (X + Y) of X from Gamma(alpha) and Y from Gamma(beta). */
double vitc_random_beta(vitc_random *random, double alpha, double beta)
{
    const double x = log_gamma_variate(random, alpha), y = log_gamma_variate(random, beta);
    const double smaller = vitc_math_exp(fmax(-fabs(x - y), -700));
    return (x < y ? smaller : 1) / (1 + smaller);
}

/* Fisher and Yates, from the inside out. */
void vitc_random_permutation(uint32_t *order, size_t n, vitc_random *random)
{
    for (size_t i = 0; i < n; i++) {
        const size_t j = (size_t)vitc_random_below(random, i + 1);
        if (j < i) order[i] = order[j];
        order[j] = (uint32_t)i;
    }
}
