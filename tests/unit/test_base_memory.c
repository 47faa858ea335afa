/* Checked sizes, aligned blocks and arenas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "vitc_memory.h"
#include "vitc_size.h"

static const size_t awkward_sizes[] = {
    0,
    1,
    2,
    3,
    63,
    64,
    65,
    (size_t)1 << (sizeof(size_t) * 4), /* its square is the first product that wraps */
    ((size_t)1 << (sizeof(size_t) * 4)) - 1,
    SIZE_MAX / 3,
    SIZE_MAX / 3 + 1,
    SIZE_MAX / 2,
    SIZE_MAX / 2 + 1,
    SIZE_MAX - 1,
    SIZE_MAX,
};
enum { AWKWARD = sizeof awkward_sizes / sizeof awkward_sizes[0] };

/* The compiler's own overflow builtins are the oracle. */
static void add_and_mul_agree_with_the_compiler(void **state)
{
    (void)state;
    for (int i = 0; i < AWKWARD; i++) {
        for (int j = 0; j < AWKWARD; j++) {
            const size_t a = awkward_sizes[i], b = awkward_sizes[j];
            size_t sum = 77, product = 77, expected;
            const bool sum_wraps = __builtin_add_overflow(a, b, &expected);
            assert_int_equal(vitc_size_add(a, b, &sum), !sum_wraps);
            assert_true(sum == (sum_wraps ? 77 : expected)); /* nothing stored on overflow */
            const bool product_wraps = __builtin_mul_overflow(a, b, &expected);
            assert_int_equal(vitc_size_mul(a, b, &product), !product_wraps);
            assert_true(product == (product_wraps ? 77 : expected));
        }
    }
}

static void mul3_catches_both_products(void **state)
{
    (void)state;
    size_t out = 77;
    assert_true(vitc_size_mul3(3, 224, 224, &out));
    assert_true(out == 150528);
    out = 77;
    assert_false(vitc_size_mul3(SIZE_MAX, 2, 1, &out));
    assert_false(vitc_size_mul3(2, SIZE_MAX / 4, 3, &out));
    assert_false(vitc_size_mul3(SIZE_MAX, 2, 0, &out)); /* the first product is checked first */
    assert_true(out == 77);
    assert_true(vitc_size_mul3(0, SIZE_MAX, SIZE_MAX, &out));
    assert_true(out == 0);
}

static void round_up(void **state)
{
    (void)state;
    for (size_t value = 0; value < 300; value++) {
        for (size_t step = 1; step < 70; step++) {
            const size_t rounded = vitc_size_round_up(value, step);
            assert_true(rounded % step == 0 && rounded >= value && rounded - value < step);
        }
    }
}

static void blocks_are_aligned(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 63, 64, 65, 4095, 1 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *block = vitc_aligned_alloc(sizes[i]);
        assert_non_null(block);
        assert_int_equal((uintptr_t)block % VITC_ALIGNMENT, 0);
        memset(block, 0xA5, sizes[i]);
        vitc_aligned_free(block);
    }
    assert_null(vitc_aligned_alloc(SIZE_MAX / 2)); /* more than any address space holds */
    vitc_aligned_free(NULL);
}

static void arena_slots_are_aligned_and_apart(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 64, 65, 0, 100, 4096, 7};
    enum { SLOTS = sizeof sizes / sizeof sizes[0] };
    size_t offsets[SLOTS], end = 0;
    vitc_arena arena = {0};
    for (int i = 0; i < SLOTS; i++) {
        offsets[i] = vitc_arena_reserve(&arena, sizes[i]);
        assert_int_equal(offsets[i] % VITC_ALIGNMENT, 0);
        assert_true(offsets[i] >= end);
        end = offsets[i] + sizes[i];
    }
    assert_null(arena.block); /* laid out, nothing allocated yet */
    assert_true(arena.size >= end);
    assert_true(vitc_arena_allocate(&arena));
    for (int i = 0; i < SLOTS; i++) {
        unsigned char *slot = vitc_arena_at(&arena, offsets[i]);
        assert_int_equal((uintptr_t)slot % VITC_ALIGNMENT, 0);
        memset(slot, i + 1, sizes[i]);
    }
    for (int i = 0; i < SLOTS; i++) {
        const unsigned char *slot = vitc_arena_at(&arena, offsets[i]);
        for (size_t j = 0; j < sizes[i]; j++) assert_int_equal(slot[j], i + 1);
    }
    vitc_arena_free(&arena);
    assert_null(arena.block);
    assert_int_equal(arena.size, 0);
    vitc_arena_free(&arena); /* twice is harmless */
}

static void arena_refuses_what_does_not_fit(void **state)
{
    (void)state;
    vitc_arena product = {0};
    vitc_arena_reserve_array(&product, SIZE_MAX / 4 + 1, 4);
    assert_true(product.overflow);
    assert_false(vitc_arena_allocate(&product));

    vitc_arena rounding = {0};
    vitc_arena_reserve(&rounding, SIZE_MAX); /* rounding it up to the alignment would wrap to 0 */
    assert_true(rounding.overflow);
    assert_false(vitc_arena_allocate(&rounding));

    vitc_arena sum = {0};
    vitc_arena_reserve(&sum, SIZE_MAX / 2);
    vitc_arena_reserve(&sum, SIZE_MAX / 2);
    vitc_arena_reserve(&sum, SIZE_MAX / 2);
    assert_true(sum.overflow);
    assert_false(vitc_arena_allocate(&sum));

    vitc_arena huge = {0};
    vitc_arena_reserve(&huge, SIZE_MAX / 2);
    assert_false(huge.overflow); /* a size, though one that no machine has */
    assert_false(vitc_arena_allocate(&huge));
    vitc_arena_free(&huge);
}

/* Some, and not more than there is. */
static void the_machine_has_memory(void **state)
{
    (void)state;
    const size_t bytes = vitc_memory_machine();
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    assert_true(bytes >= (size_t)1 << 20);
    if (pages > 0 && page > 0) assert_true(bytes <= (size_t)pages * (size_t)page);
    assert_true(vitc_memory_available() <= bytes);
}

/* A block that is being used is no longer available. */
static void memory_in_use_is_not_available(void **state)
{
    enum { SIZE = 64 << 20 };
    (void)state;
    const size_t before = vitc_memory_available();
    if (before == SIZE_MAX || before < 16 * (size_t)SIZE) skip();
    bool less = false;
    for (int i = 0; i < 20 && !less; i++) { /* others take and give, too */
        const size_t there = vitc_memory_available();
        unsigned char *block = malloc(SIZE);
        assert_non_null(block);
        memset(block, 1, SIZE);
        assert_int_equal(block[SIZE / 2], 1);
        less = vitc_memory_available() < there;
        free(block);
    }
    assert_true(less);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(add_and_mul_agree_with_the_compiler),
        cmocka_unit_test(mul3_catches_both_products),
        cmocka_unit_test(round_up),
        cmocka_unit_test(blocks_are_aligned),
        cmocka_unit_test(arena_slots_are_aligned_and_apart),
        cmocka_unit_test(arena_refuses_what_does_not_fit),
        cmocka_unit_test(the_machine_has_memory),
        cmocka_unit_test(memory_in_use_is_not_available),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
