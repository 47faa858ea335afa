/* vitc_statistics.h - what a count of right and wrong answers says about the ones not counted
 * (private to vitc). */
#ifndef VITC_STATISTICS_H
#define VITC_STATISTICS_H

#include <stdint.h>

/* Two classifiers on the same n images: `lost` are right with the first only, `gained` with the
 * second only. The upper end of a one-sided 95 % confidence interval for the loss of accuracy from
 * the first to the second, whose estimate is (lost - gained) / n: a fraction, 0.01 for one point.
 * Tango's score interval for the difference of paired proportions (Statistics in Medicine 17, 1998,
 * 891-908), which stays honest where few images change or none. n > 0, lost + gained <= n. */
double vitc_paired_loss_bound(uint64_t lost, uint64_t gained, uint64_t n);

#endif
