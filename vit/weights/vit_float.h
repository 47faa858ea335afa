/* vit_float.h - the floating-point formats of checkpoints, to and from float32 (private to vit).
 * Scalar and exact; sources need no alignment and are little-endian on any machine.
 */
#ifndef VIT_FLOAT_H
#define VIT_FLOAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* IEEE 754 binary16; every value, subnormals and NaN payloads included, has its float32. */
float vit_float_from_f16(uint16_t bits);

/* bfloat16 is the upper half of a float32. */
float vit_float_from_bf16(uint16_t bits);

/* To the nearest bfloat16, ties to even, as PyTorch rounds; beyond the largest finite bfloat16 the
 * nearest is infinity. A NaN stays a NaN, with its sign and the upper bits of its payload. */
uint16_t vit_float_to_bf16(float value);

/* dst[i] = element i of src. F64 is rounded to nearest even; beyond float32 it becomes infinity. */
void vit_floats_from_f32(float *dst, const unsigned char *src, size_t count);
void vit_floats_from_f16(float *dst, const unsigned char *src, size_t count);
void vit_floats_from_bf16(float *dst, const unsigned char *src, size_t count);
void vit_floats_from_f64(float *dst, const unsigned char *src, size_t count);

/* The index of the first NaN or infinity, or `count`. */
size_t vit_floats_first_nonfinite(const float *values, size_t count);

/* Rounds to bfloat16 in place. False when a finite value is beyond it. */
bool vit_floats_round_bf16(float *values, size_t count);

/* The reverse: little-endian bytes, 4 or 2 for each value. */
void vit_floats_to_f32(unsigned char *dst, const float *src, size_t count);
void vit_floats_to_bf16(unsigned char *dst, const float *src, size_t count);

#endif
