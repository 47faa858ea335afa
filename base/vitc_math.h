/* vitc_math.h - elementary functions with the same bits on every machine (private to vitc).
 *
 * What libm returns differs in the last bit between C libraries, and within one between CPUs with
 * and without fused multiplication. Where a result decides which pixels a model is trained on, that
 * bit can decide a branch. These use +, -, *, / and sqrt in double only, which IEEE 754 defines to
 * the bit, and are within 3 ulp (sine and cosine: within 3e-16). */
#ifndef VITC_MATH_H
#define VITC_MATH_H

/* x > 0, finite. */
double vitc_math_log(double x);
/* |x| <= 700. */
double vitc_math_exp(double x);
/* Of an angle in radians, |x| <= 1e6. */
void vitc_math_sine_cosine(double *sine, double *cosine, double x);

#endif
