#define VEC                   __m256i
#define SPREAD(bits)          _mm256_set1_epi32(bits)
#define SUMS                  12
#define OPERAND               0x3F800000 /* 1 */
#define MULTIPLY_ADD(s, a, b) __asm__ volatile("vfmadd231ps %2, %1, %0" : "+x"(s) : "x"(a), "x"(b))

#include "vit_peak_body.h"

const vit_peak_loop vit_peak_f32_avx2 = {SUMS * 8 * 2, run};
