/* vit_unroll.h - loops over registers: unrolled whole, so that arrays of vectors need no memory. */
#ifndef VIT_UNROLL_H
#define VIT_UNROLL_H

/* Stands before a loop of a constant number (at most 16) of steps. clang does not know GCC's
 * pragma, and by itself leaves the longer loops rolled up, with the registers in memory. */
#if defined(__clang__)
#define VIT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VIT_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
