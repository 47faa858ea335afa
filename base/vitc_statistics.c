#include "vitc_statistics.h"

#include <math.h>

/* Tango's score of the hypothesis that the loss is `loss`: the distance of what was observed from
 * it, in standard deviations as they are under the hypothesis. q is the maximum likelihood estimate
 * of the probability of a gain when the loss is fixed, a root of A q^2 + B q + C. */
static double score(double lost, double gained, double n, double loss)
{
    const double spread = loss * (1 - loss);
    const double a = 2 * n;
    const double b = -lost - gained + (2 * n - lost + gained) * loss;
    const double c = -gained * spread;
    const double q = (sqrt(fmax(b * b - 4 * a * c, 0)) - b) / (2 * a);
    const double variance = n * (2 * q + spread);
    return variance > 0 ? (lost - gained - n * loss) / sqrt(variance) : -INFINITY;
}

double vitc_paired_loss_bound(uint64_t lost, uint64_t gained, uint64_t n)
{
    static const double quantile = 1.6448536269514722; /* of the normal distribution at 95 % */
    const double b = (double)lost, c = (double)gained, count = (double)n;
    double low = (b - c) / count, high = 1;
    /* The score falls from 0 as the loss rises; 60 halvings are a double's precision. */
    for (int i = 0; i < 60; i++) {
        const double middle = low + (high - low) / 2;
        if (score(b, c, count, middle) > -quantile)
            low = middle;
        else
            high = middle;
    }
    return high;
}
