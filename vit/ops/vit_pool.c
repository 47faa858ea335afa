#include "vit_ops.h"

void vit_pool_tokens(float *out, const float *tokens, size_t ldx, size_t count, size_t width,
                     bool mean, bool maximum)
{
    const float share = mean && maximum ? 0.5f : 1.0f;
    for (size_t d = 0; d < width; d++) {
        double sum = 0;
        float highest = tokens[d];
        for (size_t n = 0; n < count; n++) {
            const float value = tokens[n * ldx + d];
            sum += (double)value;
            highest = value > highest ? value : highest;
        }
        out[d] =
            share * ((mean ? (float)(sum / (double)count) : 0.0f) + (maximum ? highest : 0.0f));
    }
}
