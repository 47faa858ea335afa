/* Two instructions for each register of pairs, as in vit_gemm_int8_avx2.c. */
#define VEC          __m256i
#define SPREAD(bits) _mm256_set1_epi32(bits)
#define SUMS         12
#define OPERAND      0x005A003C
#define MULTIPLY_ADD(s, a, b)                                                                      \
    do {                                                                                           \
        __m256i product;                                                                           \
        __asm__ volatile("vpmaddwd %3, %2, %1\n\t"                                                 \
                         "vpaddd %1, %0, %0"                                                       \
                         : "+x"(s), "=&x"(product)                                                 \
                         : "x"(a), "x"(b));                                                        \
    } while (0)

#include "vit_peak_body.h"

const vit_peak_loop vit_peak_int8_avx2 = {SUMS * 8 * 2 * 2, run};
