#define VIT_ROWS_TABLE vit_rows_f32_generic
#include "vit_rows_f32_body.h"
