/* vit_peak.h - loops that do nothing but one number format's multiply-adds, to learn how fast the
 * processor can run them (private to vit).
 *
 * Operands stay in registers, and there are more independent sums than an instruction's latency
 * times the units that run it, so no kernel of that format does more operations per second. A loop
 * belongs to one instruction set, like the kernel that it measures the limit of. */
#ifndef VIT_PEAK_H
#define VIT_PEAK_H

#include "vit_kernels.h"

typedef struct vit_peak_loop {
    double operations; /* multiplications and additions in one step */
    void (*run)(uint64_t steps);
} vit_peak_loop;

/* The loop of the instructions that `gemm`, a format of the row `kernels`, is made of; NULL where
 * it has none of its own: it is portable C, or computes in another format. */
const vit_peak_loop *vit_peak_choose(const vit_kernels *kernels, const vit_gemm *gemm);

extern const vit_peak_loop vit_peak_f32_generic;
#if defined(__x86_64__)
extern const vit_peak_loop vit_peak_f32_avx2;
extern const vit_peak_loop vit_peak_f32_avx512;
extern const vit_peak_loop vit_peak_bf16_avx512;                 /* needs VITC_CPU_AVX512_BF16 */
extern const vit_peak_loop vit_peak_bf16_amx, vit_peak_int8_amx; /* need VITC_CPU_AMX */
extern const vit_peak_loop vit_peak_int8_avx2;
extern const vit_peak_loop vit_peak_int8_avxvnni;    /* needs VITC_CPU_AVX_VNNI */
extern const vit_peak_loop vit_peak_int8_avx512vnni; /* needs VITC_CPU_AVX512_VNNI */
#endif

#endif
