#include "vit_ops.h"

void vit_op_layernorm(float *out, size_t ldo, const float *x, size_t ldx, size_t tokens,
                      const float *weight, const float *bias, size_t width, float eps,
                      const vit_kernels *kernels)
{
#pragma omp for schedule(static)
    for (size_t t = 0; t < tokens; t++)
        kernels->rows->layernorm(out + t * ldo, x + t * ldx, weight, bias, width, eps);
}
