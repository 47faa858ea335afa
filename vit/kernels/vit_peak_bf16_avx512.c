#define VEC                   __m512i
#define SPREAD(bits)          _mm512_set1_epi32(bits)
#define SUMS                  16
#define OPERAND               0x3F803F80 /* 1, 1 */
#define MULTIPLY_ADD(s, a, b) __asm__ volatile("vdpbf16ps %2, %1, %0" : "+v"(s) : "v"(a), "v"(b))

#include "vit_peak_body.h"

const vit_peak_loop vit_peak_bf16_avx512 = {SUMS * 16 * 2 * 2, run};
