/* vit_unroll.h - how kernels keep arrays of vectors in registers: functions that are compiled anew
 * for the constants of each call, and loops over registers that are unrolled whole.
 *
 * Under clang's sanitizers neither is done: with their checks in every step, the compiler would
 * take minutes and gigabytes. */
#ifndef VIT_UNROLL_H
#define VIT_UNROLL_H

#if defined(__clang__)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(undefined_behavior_sanitizer)
#define VIT_SANITIZED
#endif
#endif

#if defined(VIT_SANITIZED)
#define VIT_INLINE static inline __attribute__((noinline))
#else
#define VIT_INLINE static inline __attribute__((always_inline))
#endif

/* Stands before a loop of a constant number (at most 16) of steps. clang does not know GCC's
 * pragma, and by itself leaves the longer loops rolled up, with the registers in memory. */
#if defined(VIT_SANITIZED)
#define VIT_UNROLL
#elif defined(__clang__)
#define VIT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define VIT_UNROLL _Pragma("GCC unroll 16")
#endif

#endif
