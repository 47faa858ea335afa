#define GEMM vit_gemm_bf16_amx
#define DOT  _tile_dpbf16ps

#include "vit_peak_amx_body.h"

const vit_peak_loop vit_peak_bf16_amx = {SUMS * 16 * 16 * 32 * 2, run};
