/* vitc_cpu.h - what this processor and its operating system can run (private to vitc). */
#ifndef VITC_CPU_H
#define VITC_CPU_H

#include <stdbool.h>

#include "vitc_base.h"

/* Bits are set only when the CPU has the instructions AND the OS saves the registers they use
 * (CPUID with XGETBV; for tile registers the OS has to be asked first, below). On other
 * architectures no x86 bit is ever set. */
enum {
    VITC_CPU_AVX2_FMA = 1u << 0,    /* AVX2, FMA3, F16C, BMI2 */
    VITC_CPU_AVX512 = 1u << 1,      /* F, DQ, BW, VL, CD with full ZMM state: x86-64-v4 */
    VITC_CPU_AVX512_VNNI = 1u << 2, /* int8 dot products, 512-bit */
    VITC_CPU_AVX512_BF16 = 1u << 3, /* bf16 dot products, 512-bit */
    VITC_CPU_AVX_VNNI = 1u << 4,    /* int8 dot products, VEX-encoded 256-bit */
    VITC_CPU_AMX = 1u << 5          /* bf16 and int8 products of tile registers; with it come all of
                                       AVX512, AVX512_VNNI and AVX512_BF16 */
};

uint32_t vitc_cpu_features(void);

/* Has tile registers saved for all threads of the process, before which the instructions of
 * VITC_CPU_AMX end it; false where the OS refuses. Nothing takes that back, and it makes every
 * signal frame larger: only for code that is about to use them. */
bool vitc_cpu_request_tiles(void);

/* Those of the features that the environment variable VITC_ISA leaves to code which has no error to
 * give for a wrong one: none for "generic" and "ref", VITC_CPU_AVX2_FMA for "avx2", all otherwise.
 * The variable is read once per process, so that nobody reads the environment while somebody else
 * may be changing it. */
uint32_t vitc_cpu_features_allowed(void);

/* Copies the processor's own name ("AMD EPYC 9R14 96-Core Processor"), or the architecture's name
 * where it has none, into `name`, NUL-terminated. */
void vitc_cpu_name(char *name, size_t size);

#endif
