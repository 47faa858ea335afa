/* vit_gemm_int8.h - the rule by which float32 becomes int8, which all int8 kernels share.
 *
 * A row (a weight's output channel, or a token) has one scale and no zero point:
 *     scale = max |x| / 127        q = x * (127 / max |x|), rounded half to even, in -127 .. 127
 * A row of zeros, or one so small that its scale would be subnormal, becomes scale 0 and zeros. A
 * row with a NaN or an infinity becomes scale NaN and zeros, so that no output of it is a number.
 */
#ifndef VIT_GEMM_INT8_H
#define VIT_GEMM_INT8_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "vit_kernels.h"

/* A sum over k of products up to 127 * 127 fits in int32 for this many inputs. Kernels that store
 * tokens as q + 128 pass through sums that do not, but those wrap in two's complement and the
 * correction wraps them back. */
enum { VIT_INT8_K_MAX = INT32_MAX / (127 * 127) };

/* From the bits of max |x|, taken as integers, which order like the numbers with infinity and NaN
 * on top: returns the scale, and in *inverse what to multiply the row by, 0 for a row that becomes
 * zeros (and may hold numbers that cannot be converted). */
static inline float vit_int8_scale(int32_t largest_bits, float *inverse)
{
    float largest;
    memcpy(&largest, &largest_bits, sizeof largest);
    *inverse = 0;
    if (!isfinite(largest)) return NAN;
    const float scale = largest / 127.0f;
    if (scale < FLT_MIN) return 0;
    *inverse = 127.0f / largest;
    return scale;
}

#endif
