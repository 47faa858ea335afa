#define VIT_ROWS_TABLE vit_rows_f32_avx512
#include "vit_pack_f32_avx512.h"
#include "vit_rows_f32_body.h"
