#include "vit_float.h"

#include <math.h>
#include <string.h>

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of_float(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* memcpy is a plain load at any alignment, and compilers vectorize loops of it. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define LITTLE16 __builtin_bswap16
#define LITTLE32 __builtin_bswap32
#define LITTLE64 __builtin_bswap64
#else
#define LITTLE16(value) (value)
#define LITTLE32(value) (value)
#define LITTLE64(value) (value)
#endif

static uint16_t load16(const unsigned char *p)
{
    uint16_t value;
    memcpy(&value, p, sizeof value);
    return LITTLE16(value);
}

static uint32_t load32(const unsigned char *p)
{
    uint32_t value;
    memcpy(&value, p, sizeof value);
    return LITTLE32(value);
}

static uint64_t load64(const unsigned char *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof value);
    return LITTLE64(value);
}

float vit_float_from_f16(uint16_t bits)
{
    const uint32_t sign = (uint32_t)(bits & 0x8000u) << 16;
    const uint32_t exponent = (bits >> 10) & 0x1Fu;
    const uint32_t fraction = bits & 0x3FFu;
    if (exponent == 0x1F) return float_of_bits(sign | 0x7F800000u | fraction << 13);
    if (exponent != 0) return float_of_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13);
    /* Zero or subnormal: fraction * 2^-24, which float32 holds exactly. */
    const float magnitude = (float)fraction * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
}

float vit_float_from_bf16(uint16_t bits)
{
    return float_of_bits((uint32_t)bits << 16);
}

uint16_t vit_float_to_bf16(float value)
{
    const uint32_t bits = bits_of_float(value);
    /* Rounding a NaN up could carry it into infinity, and cutting it could clear its payload. */
    if (isnan(value)) return (uint16_t)(bits >> 16 | 0x0040u);
    return (uint16_t)((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
}

void vit_floats_from_f32(float *dst, const unsigned char *src, size_t count)
{
    for (size_t i = 0; i < count; i++) dst[i] = float_of_bits(load32(src + 4 * i));
}

void vit_floats_from_f16(float *dst, const unsigned char *src, size_t count)
{
    for (size_t i = 0; i < count; i++) dst[i] = vit_float_from_f16(load16(src + 2 * i));
}

void vit_floats_from_bf16(float *dst, const unsigned char *src, size_t count)
{
    for (size_t i = 0; i < count; i++) dst[i] = vit_float_from_bf16(load16(src + 2 * i));
}

/* Beyond FLT_MAX the conversion is to infinity by IEEE 754, which C leaves to the implementation;
 * said here so that no sanitizer or compiler has an opinion. */
static float float_of_double(double value)
{
    static const double too_large = 0x1.ffffffp127; /* halfway between FLT_MAX and 2^128 */
    if (value >= too_large) return INFINITY;
    if (value <= -too_large) return -INFINITY;
    return (float)value;
}

void vit_floats_from_f64(float *dst, const unsigned char *src, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint64_t bits = load64(src + 8 * i);
        double value;
        memcpy(&value, &bits, sizeof value);
        dst[i] = float_of_double(value);
    }
}

size_t vit_floats_first_nonfinite(const float *values, size_t count)
{
    static const uint32_t exponent = 0x7F800000u;
    enum { BLOCK = 1024 };
    for (size_t begin = 0; begin < count; begin += BLOCK) {
        const size_t end = count - begin < BLOCK ? count : begin + BLOCK;
        uint32_t found = 0; /* without a branch, so that it vectorizes */
        for (size_t i = begin; i < end; i++)
            found |= (bits_of_float(values[i]) & exponent) == exponent;
        for (size_t i = begin; found != 0 && i < end; i++)
            if (!isfinite(values[i])) return i;
    }
    return count;
}

bool vit_floats_round_bf16(float *values, size_t count)
{
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        const float rounded = vit_float_from_bf16(vit_float_to_bf16(values[i]));
        good &= isfinite(rounded) || !isfinite(values[i]);
        values[i] = rounded;
    }
    return good;
}

void vit_floats_to_f32(unsigned char *dst, const float *src, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint32_t bits = LITTLE32(bits_of_float(src[i]));
        memcpy(dst + 4 * i, &bits, sizeof bits);
    }
}

void vit_floats_to_bf16(unsigned char *dst, const float *src, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint16_t bits = LITTLE16(vit_float_to_bf16(src[i]));
        memcpy(dst + 2 * i, &bits, sizeof bits);
    }
}
