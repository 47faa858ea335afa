#include "vit_peak.h"

const vit_peak_loop *vit_peak_choose(const vit_kernels *kernels, const vit_gemm *gemm)
{
#if defined(__x86_64__)
    if (gemm == &kernels->f32 && kernels->rows == &vit_rows_f32_avx512) return &vit_peak_f32_avx512;
    if (gemm == &kernels->f32 && kernels->rows == &vit_rows_f32_avx2) return &vit_peak_f32_avx2;
    const struct {
        vit_tile_fn tile;
        const vit_peak_loop *loop;
    } loops[] = {
#if VITC_AMX
        {vit_gemm_bf16_amx.tile, &vit_peak_bf16_amx},
        {vit_gemm_int8_amx.tile, &vit_peak_int8_amx},
#endif
        {vit_gemm_bf16_avx512.tile, &vit_peak_bf16_avx512},
        {vit_gemm_int8_avx512vnni.tile, &vit_peak_int8_avx512vnni},
#if VITC_AVXVNNI
        {vit_gemm_int8_avxvnni.tile, &vit_peak_int8_avxvnni},
#endif
        {vit_gemm_int8_avx2.tile, &vit_peak_int8_avx2},
    };
    for (size_t i = 0; i < sizeof loops / sizeof loops[0]; i++)
        if (gemm->tile == loops[i].tile) return loops[i].loop;
#endif
    return gemm == &kernels->f32 ? &vit_peak_f32_generic : NULL;
}
