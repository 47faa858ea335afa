#include "vit_peak.h"
#include "vit_unroll.h"

/* Every baseline with vector registers has them this long; others run it in scalars. */
typedef float vector __attribute__((vector_size(16)));

/* For the compiler `v` is another number afterwards, so that it neither computes a product once
 * for all nor drops one. */
#if defined(__x86_64__)
#define CHANGE(v) __asm__ volatile("" : "+x"(v))
#elif defined(__aarch64__)
#define CHANGE(v) __asm__ volatile("" : "+w"(v))
#else
#define CHANGE(v) __asm__ volatile("" : "+m"(v))
#endif

enum { SUMS = 12 };

static void run(uint64_t steps)
{
    vector a = {1, 1, 1, 1}, b = a, sum[SUMS];
    CHANGE(b);
    VIT_UNROLL
    for (int i = 0; i < SUMS; i++) sum[i] = a;
    for (; steps > 0; steps--) {
        VIT_UNROLL
        for (int i = 0; i < SUMS; i++) {
            CHANGE(a);
            sum[i] += a * b;
        }
    }
    VIT_UNROLL
    for (int i = 0; i < SUMS; i++) CHANGE(sum[i]);
}

const vit_peak_loop vit_peak_f32_generic = {SUMS * 4 * 2, run};
