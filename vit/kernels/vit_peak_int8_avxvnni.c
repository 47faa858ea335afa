#define VEC          __m256i
#define SPREAD(bits) _mm256_set1_epi32(bits)
#define SUMS         12
#define OPERAND      0x5A3C1E0F
#define MULTIPLY_ADD(s, a, b)                                                                      \
    __asm__ volatile("%{vex%} vpdpbusd %2, %1, %0" : "+x"(s) : "x"(a), "x"(b))

#include "vit_peak_body.h"

const vit_peak_loop vit_peak_int8_avxvnni = {SUMS * 8 * 4 * 2, run};
