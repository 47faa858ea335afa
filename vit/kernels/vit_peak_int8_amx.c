#define GEMM vit_gemm_int8_amx
#define DOT  _tile_dpbssd

#include "vit_peak_amx_body.h"

const vit_peak_loop vit_peak_int8_amx = {SUMS * 16 * 16 * 64 * 2, run};
