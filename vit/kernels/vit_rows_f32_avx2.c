#define VIT_ROWS_TABLE vit_rows_f32_avx2
#include "vit_pack_f32_avx2.h"
#include "vit_rows_f32_body.h"
