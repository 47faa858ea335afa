#define VEC                   __m512i
#define SPREAD(bits)          _mm512_set1_epi32(bits)
#define SUMS                  16
#define OPERAND               0x3F800000 /* 1 */
#define MULTIPLY_ADD(s, a, b) __asm__ volatile("vfmadd231ps %2, %1, %0" : "+v"(s) : "v"(a), "v"(b))

#include "vit_peak_body.h"

const vit_peak_loop vit_peak_f32_avx512 = {SUMS * 16 * 2, run};
