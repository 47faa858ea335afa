/* CPU features against the kernel's view of the same processor, which masks what it does not save
 * on a context switch just as vitc must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#include "vitc_cpu.h"

/* The first line of /proc/cpuinfo that starts with `key`, value only, malloc'd; or NULL. */
static char *cpuinfo_value(const char *key)
{
    FILE *stream = fopen("/proc/cpuinfo", "re");
    if (stream == NULL) return NULL;
    char *line = NULL, *value = NULL;
    size_t capacity = 0;
    while (value == NULL && getline(&line, &capacity, stream) > 0) {
        const char *colon = strchr(line, ':');
        if (colon == NULL || strncmp(line, key, strlen(key)) != 0) continue;
        line[strcspn(line, "\n")] = 0;
        value = strdup(colon + 1 + strspn(colon + 1, " "));
    }
    free(line);
    fclose(stream);
    return value;
}

static bool has_words(const char *flags, const char *const *words)
{
    for (; *words != NULL; words++) {
        const size_t length = strlen(*words);
        const char *at = flags;
        while ((at = strstr(at, *words)) != NULL) {
            const bool starts = at == flags || at[-1] == ' ';
            if (starts && (at[length] == 0 || at[length] == ' ')) break;
            at += length;
        }
        if (at == NULL) return false;
    }
    return true;
}

static void features_are_those_of_the_kernel(void **state)
{
    (void)state;
    const uint32_t features = vitc_cpu_features();
#if defined(__x86_64__)
#define AVX2_WORDS   "avx", "avx2", "fma", "f16c", "bmi2"
#define AVX512_WORDS AVX2_WORDS, "avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"
    static const struct {
        uint32_t bit;
        const char *words[16];
    } table[] = {
        {VITC_CPU_AVX2_FMA, {AVX2_WORDS}},
        {VITC_CPU_AVX_VNNI, {AVX2_WORDS, "avx_vnni"}},
        {VITC_CPU_AVX512, {AVX512_WORDS}},
        {VITC_CPU_AVX512_VNNI, {AVX512_WORDS, "avx512_vnni"}},
        {VITC_CPU_AVX512_BF16, {AVX512_WORDS, "avx512_bf16"}},
        {VITC_CPU_AMX,
         {AVX512_WORDS, "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "amx_int8"}},
    };
    char *flags = cpuinfo_value("flags");
    if (flags == NULL) {
        print_message("no flags in /proc/cpuinfo\n");
        skip();
        return;
    }
    uint32_t known = 0;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const bool set = (features & table[i].bit) != 0;
        const bool refused = !set && table[i].bit == VITC_CPU_AMX; /* a sandbox may, or old Linux */
        if (set != has_words(flags, table[i].words) && !refused)
            fail_msg("bit %#x is %d, the kernel says otherwise: %s", (unsigned)table[i].bit, set,
                     flags);
        known |= table[i].bit;
    }
    assert_int_equal(features & ~known, 0); /* a new feature needs its line above */
    free(flags);
#else
    assert_int_equal(features, 0);
#endif
}

/* The permission for tile registers stays for the life of the process: to look is not to ask. */
static void looking_asks_for_no_tiles(void **state)
{
    (void)state;
#if defined(__x86_64__) && defined(__linux__)
    enum { ARCH_GET_XCOMP_PERM = 0x1022, XFEATURE_XTILEDATA = 18 };
    uint64_t before = 0, after = 0;
    if ((vitc_cpu_features() & VITC_CPU_AMX) == 0) {
        print_message("this machine has no tile registers\n");
        skip();
        return;
    }
    (void)vitc_cpu_features_allowed();
    assert_int_equal(syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &before), 0);
    assert_int_equal(before >> XFEATURE_XTILEDATA & 1, 0);
    if (!vitc_cpu_request_tiles()) skip();
    assert_int_equal(syscall(SYS_arch_prctl, ARCH_GET_XCOMP_PERM, &after), 0);
    assert_int_equal(after >> XFEATURE_XTILEDATA & 1, 1);
#else
    assert_false(vitc_cpu_request_tiles());
#endif
}

static void features_do_not_change(void **state)
{
    (void)state;
    assert_int_equal(vitc_cpu_features(), vitc_cpu_features());
}

static void name_is_the_kernels_and_fits(void **state)
{
    (void)state;
    char name[64], small[5];
    memset(name, 'x', sizeof name);
    vitc_cpu_name(name, sizeof name);
    assert_true(strlen(name) > 0);
    assert_int_not_equal(name[0], ' ');
    assert_int_not_equal(name[strlen(name) - 1], ' ');
    char *model = cpuinfo_value("model name");
    if (model != NULL) assert_string_equal(name, model);
    free(model);
    vitc_cpu_name(small, sizeof small);
    assert_in_range(strlen(small), 1, 4); /* a space at the cut goes too */
    assert_memory_equal(small, name, strlen(small));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(features_are_those_of_the_kernel),
        cmocka_unit_test(looking_asks_for_no_tiles),
        cmocka_unit_test(features_do_not_change),
        cmocka_unit_test(name_is_the_kernels_and_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
