#include "vitc_cpu.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#if defined(__x86_64__) && defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* CPUID traps in a virtual machine and takes 20 us there, so the answer is kept. Threads that ask
 * at the same time find the same. */
#define ASKED (UINT32_C(1) << 31)
static _Atomic uint32_t kept_features, kept_allowed;

#if defined(__x86_64__)

#include <cpuid.h>

/* XGETBV with index 0: which register sets the operating system saves on a context switch.
 * Written as an instruction because the intrinsic needs -mxsave, which would let the compiler use
 * XSAVE in code that must run anywhere. */
static uint64_t read_xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

#define BIT(word, n) (((word) >> (n)) & 1u)

/* Linux saves tile registers (8 KiB) for processes that ask, since they make signal frames larger:
 * ARCH_REQ_XCOMP_PERM for XFEATURE_XTILEDATA. It refuses where a thread's alternate signal stack
 * has no room for that, and for all threads alike. ARCH_GET_XCOMP_SUPP tells what may be asked. */
enum { ARCH_GET_XCOMP_SUPP = 0x1021, ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_XTILEDATA = 18 };

static int tiles_are_offered(void)
{
#if defined(__linux__)
    uint64_t offered = 0;
    return syscall(SYS_arch_prctl, ARCH_GET_XCOMP_SUPP, &offered) == 0 &&
           BIT(offered, XFEATURE_XTILEDATA);
#else
    return 0;
#endif
}

bool vitc_cpu_request_tiles(void)
{
#if defined(__linux__)
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0;
#else
    return false;
#endif
}

static uint32_t find_features(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const uint32_t leaf1_c = c;
    if (!BIT(leaf1_c, 27)) return 0; /* OSXSAVE: without it XGETBV faults */
    const uint64_t xcr0 = read_xcr0();
    const int os_ymm = (xcr0 & 0x06) == 0x06; /* XMM and YMM state */
    const int os_zmm = (xcr0 & 0xE6) == 0xE6; /* and opmask, ZMM0-15 high halves, ZMM16-31 */
    const int os_tiles = (xcr0 & 0x60000) == 0x60000; /* their configuration, and their contents */
    if (!os_ymm || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    const uint32_t leaf7_b = b, leaf7_c = c, leaf7_d = d;
    uint32_t leaf71_a = 0;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d)) leaf71_a = a;

    uint32_t features = 0;
    const int avx2_fma = BIT(leaf1_c, 12) && BIT(leaf1_c, 28) && BIT(leaf1_c, 29) &&
                         BIT(leaf7_b, 5) && BIT(leaf7_b, 8);
    if (avx2_fma) features |= VITC_CPU_AVX2_FMA;
    if (avx2_fma && BIT(leaf71_a, 4)) features |= VITC_CPU_AVX_VNNI;
    const int avx512 = avx2_fma && os_zmm && BIT(leaf7_b, 16) && BIT(leaf7_b, 17) &&
                       BIT(leaf7_b, 28) && BIT(leaf7_b, 30) && BIT(leaf7_b, 31);
    if (avx512) features |= VITC_CPU_AVX512;
    if (avx512 && BIT(leaf7_c, 11)) features |= VITC_CPU_AVX512_VNNI;
    if (avx512 && BIT(leaf71_a, 5)) features |= VITC_CPU_AVX512_BF16;
    const uint32_t beside = VITC_CPU_AVX512_VNNI | VITC_CPU_AVX512_BF16;
    const int amx = os_tiles && BIT(leaf7_d, 22) && BIT(leaf7_d, 24) && BIT(leaf7_d, 25);
    if ((features & beside) == beside && amx && tiles_are_offered()) features |= VITC_CPU_AMX;
    return features;
}

static int brand_string(char brand[49])
{
    uint32_t words[12];
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t *w = words + (size_t)4 * i;
        if (!__get_cpuid(0x80000002u + i, &w[0], &w[1], &w[2], &w[3])) return 0;
    }
    memcpy(brand, words, 48);
    brand[48] = 0;
    return brand[0] != 0;
}

#else

bool vitc_cpu_request_tiles(void)
{
    return false;
}

static uint32_t find_features(void)
{
    return 0;
}

static int brand_string(char brand[49])
{
    brand[0] = 0;
    return 0;
}

#endif

uint32_t vitc_cpu_features(void)
{
    uint32_t features = atomic_load_explicit(&kept_features, memory_order_relaxed);
    if (features == 0) {
        features = find_features() | ASKED;
        atomic_store_explicit(&kept_features, features, memory_order_relaxed);
    }
    return features & ~ASKED;
}

static uint32_t find_allowed(void)
{
    const char *isa = getenv("VITC_ISA");
    if (isa != NULL && (strcmp(isa, "generic") == 0 || strcmp(isa, "ref") == 0)) return 0;
    if (isa != NULL && strcmp(isa, "avx2") == 0) return vitc_cpu_features() & VITC_CPU_AVX2_FMA;
    return vitc_cpu_features();
}

uint32_t vitc_cpu_features_allowed(void)
{
    uint32_t features = atomic_load_explicit(&kept_allowed, memory_order_relaxed);
    if (features == 0) {
        features = find_allowed() | ASKED;
        atomic_store_explicit(&kept_allowed, features, memory_order_relaxed);
    }
    return features & ~ASKED;
}

void vitc_cpu_name(char *name, size_t size)
{
    char brand[49];
    struct utsname machine;
    if (brand_string(brand)) {
        const char *start = brand + strspn(brand, " ");
        snprintf(name, size, "%s", start);
        for (size_t n = strlen(name); n > 0 && name[n - 1] == ' '; n--) name[n - 1] = 0;
    } else {
        snprintf(name, size, "%s", uname(&machine) == 0 ? machine.machine : "unknown");
    }
}
