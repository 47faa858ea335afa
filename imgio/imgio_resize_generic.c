/* Both passes in portable C: what the other versions have to equal. */
#include "imgio_resize.h"

static uint8_t to_byte(int32_t sum)
{
    const int32_t value = sum >> IMGIO_RESIZE_PRECISION;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void columns(uint8_t *out, const uint8_t *in, size_t rows, const imgio_axis *a,
                    void *scratch)
{
    (void)scratch;
    const size_t in_stride = (size_t)a->in * 3;
    for (; rows > 0; rows--, in += in_stride) {
        for (uint32_t x = 0; x < a->out; x++, out += 3) {
            const uint8_t *pixel = in + (size_t)a->first[x] * 3;
            const uint32_t *weights = a->weights + x * a->stride;
            int32_t red = IMGIO_RESIZE_HALF, green = red, blue = red;
            for (uint32_t i = a->groups[x]; i > 0; i--, pixel += 3, weights++) {
                const int32_t weight = (int32_t)*weights;
                red += pixel[0] * weight;
                green += pixel[1] * weight;
                blue += pixel[2] * weight;
            }
            out[0] = to_byte(red);
            out[1] = to_byte(green);
            out[2] = to_byte(blue);
        }
    }
}

/* In strips that keep the sums in the first-level cache. */
static void row(uint8_t *out, const uint8_t *in, size_t stride, uint32_t skipped,
                const imgio_axis *a, uint32_t y)
{
    enum { STRIP = 1024 };
    int32_t sums[STRIP];
    const uint32_t *weights = a->weights + y * a->stride;
    in += (a->first[y] - skipped) * stride;
    for (size_t start = 0; start < stride; start += STRIP) {
        const size_t width = stride - start < STRIP ? stride - start : STRIP;
        for (size_t i = 0; i < width; i++) sums[i] = IMGIO_RESIZE_HALF;
        for (uint32_t k = 0; k < a->groups[y]; k++) {
            const uint8_t *from = in + k * stride + start;
            const int32_t weight = (int32_t)weights[k];
            for (size_t i = 0; i < width; i++) sums[i] += from[i] * weight;
        }
        for (size_t i = 0; i < width; i++) out[start + i] = to_byte(sums[i]);
    }
}

const imgio_resizer imgio_resizer_generic = {
    .name = "generic", .group = 1, .digits = 1, .columns = columns, .row = row};
