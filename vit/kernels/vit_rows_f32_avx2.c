#define VIT_ROWS_TABLE vit_rows_f32_avx2
#include "vit_rows_f32_body.h"
