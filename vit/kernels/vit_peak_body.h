/* vit_peak_body.h - the loop of every x86-64 file vit_peak_*.c. The including file defines
 *     VEC, SPREAD(bits)      a register, and one with `bits` in each of its 32-bit lanes
 *     SUMS                   how many sums, at most 16, which all fit in registers
 *     MULTIPLY_ADD(s, a, b)  s += a . b, as volatile assembly that no compiler removes or merges
 *     OPERAND                bits of numbers which the sums never become infinite or denormal by */
#include <immintrin.h>

#include "vit_peak.h"
#include "vit_unroll.h"

static void run(uint64_t steps)
{
    const VEC a = SPREAD(OPERAND), b = SPREAD(OPERAND);
    VEC sum[SUMS];
    VIT_UNROLL
    for (int i = 0; i < SUMS; i++) sum[i] = a;
    for (; steps > 0; steps--) {
        VIT_UNROLL
        for (int i = 0; i < SUMS; i++) MULTIPLY_ADD(sum[i], a, b);
    }
}
