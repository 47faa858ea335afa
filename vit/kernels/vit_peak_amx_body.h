/* vit_peak_amx_body.h - the loop of the files vit_peak_*_amx.c; registers are tiles there, no
 * vectors. The including file defines GEMM, the kernel that configures them, and DOT(sums, a, b).
 */
#include <immintrin.h>

#include "vit_peak.h"

/* Four sums cover the latency, about three times what an instruction keeps the unit busy. */
enum { SUMS = 4 };

static void run(uint64_t steps)
{
    GEMM.begin(); /* which sets all tiles to zero */
    for (; steps > 0; steps--) {
        DOT(0, 4, 6);
        DOT(1, 4, 7);
        DOT(2, 5, 6);
        DOT(3, 5, 7);
    }
    GEMM.end();
}
