/* Running out of memory: every allocation of every codec fails once, in turn, and each time the
 * call says so, gives nothing, and keeps nothing. malloc and its kin are replaced for the whole
 * program, the codec libraries included. */
#include <errno.h>
#include "test_imgio_support.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define REPLACEABLE 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define REPLACEABLE 0
#else
#define REPLACEABLE 1
#endif
#else
#define REPLACEABLE 1
#endif

#if REPLACEABLE

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *block);
void *memalign(size_t alignment, size_t size);

static long until_failure = -1; /* allocations that still succeed; -1: all */
static long allocations;
static long blocks; /* allocated and not freed while counting */

static bool fails(void)
{
    allocations++;
    if (until_failure < 0) return false;
    if (until_failure == 0) { /* and all later ones: no second chance */
        errno = ENOMEM;
        return true;
    }
    until_failure--;
    return false;
}

static void *counted(void *block)
{
    if (block != NULL) blocks++;
    return block;
}

/* Visible, so that the shared libraries call these and not the C library's. */
#pragma GCC visibility push(default)

void *malloc(size_t size)
{
    return fails() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
    if (fails()) return NULL;
    void *grown = __libc_realloc(block, size);
    return block == NULL ? counted(grown) : grown;
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    if (fails()) return 12; /* ENOMEM */
    *block = counted(__libc_memalign(alignment, size));
    return *block != NULL ? 0 : 12;
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : counted(__libc_memalign(alignment, size));
}

void *memalign(size_t alignment, size_t size)
{
    return fails() ? NULL : counted(__libc_memalign(alignment, size));
}

void free(void *block)
{
    if (block != NULL) blocks--;
    __libc_free(block);
}

#pragma GCC visibility pop

typedef vitc_status work(const void *argument);

static vitc_status decode_work(const void *argument)
{
    const golden_file *f = argument;
    imgio_image image;
    const vitc_status status = imgio_decode_memory(&image, f->data, f->size, f->name, NULL, NULL);
    if (status != VITC_OK && image.pixels != NULL) return VITC_ERR_INTERNAL;
    imgio_image_free(&image);
    return status;
}

static vitc_status probe_work(const void *argument)
{
    const golden_file *f = argument;
    imgio_info info;
    return imgio_probe_memory(&info, f->data, f->size, f->name, NULL);
}

static vitc_status file_work(const void *argument)
{
    imgio_image image;
    const vitc_status status = imgio_decode_file(&image, argument, NULL, NULL);
    imgio_image_free(&image);
    return status;
}

typedef struct resize_case {
    const imgio_image *image;
    uint32_t width, height;
    imgio_filter filter;
} resize_case;

static vitc_status resize_work(const void *argument)
{
    const resize_case *c = argument;
    imgio_image out;
    const vitc_status status =
        imgio_resize(&out, c->image, c->width, c->height, c->filter, IMGIO_ORDER_PILLOW13, NULL);
    if (status != VITC_OK && out.pixels != NULL) return VITC_ERR_INTERNAL;
    imgio_image_free(&out);
    return status;
}

static vitc_status png_work(const void *argument)
{
    uint8_t *data;
    size_t size;
    const vitc_status status = imgio_encode_png(&data, &size, argument, 6, NULL);
    if (status != VITC_OK && data != NULL) return VITC_ERR_INTERNAL;
    free(data);
    return status;
}

static vitc_status jpeg_work(const void *argument)
{
    uint8_t *data;
    size_t size;
    const vitc_status status = imgio_encode_jpeg(&data, &size, argument, 80, NULL);
    if (status != VITC_OK && data != NULL) return VITC_ERR_INTERNAL;
    free(data);
    return status;
}

/* Runs the work with the first n allocations succeeding, for every n up to its need. Returns how
 * many it needs. */
static long starve(work *function, const void *argument, const char *name)
{
    until_failure = -1;
    if (function(argument) != VITC_OK) fail_msg("%s: fails with enough memory", name);
    allocations = 0;
    (void)function(argument);
    const long needed = allocations;
    for (long n = 0; n < needed; n++) {
        const long before = blocks;
        until_failure = n;
        const vitc_status status = function(argument);
        until_failure = -1;
        const long kept = blocks - before;
        /* A codec may do without an allocation that it only wished for. */
        if (status != VITC_ERR_MEMORY && status != VITC_OK)
            fail_msg("%s: allocation %ld of %ld fails: %s", name, n + 1, needed,
                     vitc_status_string(status));
        if (kept != 0)
            fail_msg("%s: allocation %ld of %ld fails: %ld blocks leak", name, n + 1, needed, kept);
    }
    return needed;
}

static void decoding_survives(void **state)
{
    (void)state;
    golden_set *golden = golden_load();
    long needed = 0;
    for (size_t i = 0; i < golden->count; i++) {
        const golden_file *f = &golden->files[i];
        /* libwebp 1.2 frees tables that it never made when a lossless picture finds no memory. */
        if (memmem(f->data, f->size, "VP8L", 4) != NULL) continue;
        needed += starve(decode_work, f, f->name);
        (void)starve(probe_work, f, f->name);
    }
    assert_true(needed > 1500); /* the libraries' allocations are really seen */
    golden_free(golden);
    assert_true(starve(file_work, IMAGES "/jpeg_exif6.jpg", "file") > 3);
}

static void resizing_survives(void **state)
{
    (void)state;
    imgio_image image;
    assert_int_equal(imgio_image_create(&image, 40, 90, NULL), VITC_OK);
    memset(image.pixels, 5, 40 * 90 * 3);
    static const uint32_t sizes[][2] = {{40, 90}, {20, 90}, {40, 20}, {31, 20}, {80, 100}};
    for (int filter = IMGIO_NEAREST; filter <= IMGIO_HAMMING; filter++) {
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            const resize_case c = {&image, sizes[i][0], sizes[i][1], (imgio_filter)filter};
            assert_true(starve(resize_work, &c, "resize") >= (i == 0 ? 1 : 3));
        }
    }
    imgio_image_free(&image);
}

static void encoding_survives(void **state)
{
    (void)state;
    imgio_image image;
    assert_int_equal(imgio_image_create(&image, 200, 100, NULL), VITC_OK);
    for (size_t i = 0; i < 200 * 100 * 3; i++) image.pixels[i] = (uint8_t)(i * i >> 7);
    assert_true(starve(png_work, &image, "png") > 4);
    assert_true(starve(jpeg_work, &image, "jpeg") > 4);
    imgio_image_free(&image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoding_survives),
        cmocka_unit_test(resizing_survives),
        cmocka_unit_test(encoding_survives),
    };
    return cmocka_run_group_tests_name("imgio_memory", tests, NULL, NULL);
}

#else

int main(void)
{
    puts("skipped: the sanitizers, and C libraries other than glibc, have an allocator of their "
         "own");
    return 77;
}

#endif
