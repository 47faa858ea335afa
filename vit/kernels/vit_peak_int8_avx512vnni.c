#define VEC                   __m512i
#define SPREAD(bits)          _mm512_set1_epi32(bits)
#define SUMS                  16
#define OPERAND               0x5A3C1E0F
#define MULTIPLY_ADD(s, a, b) __asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(s) : "v"(a), "v"(b))

#include "vit_peak_body.h"

const vit_peak_loop vit_peak_int8_avx512vnni = {SUMS * 16 * 4 * 2, run};
