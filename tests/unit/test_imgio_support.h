/* test_imgio_support.h - the golden images of tests/golden/images, for the tests of imgio. */
#ifndef TEST_IMGIO_SUPPORT_H
#define TEST_IMGIO_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "imgio.h"
#include "imgio_private.h"
#include "test_base_recorder.h"
#include "vitc_file.h"

#define IMAGES     VITC_GOLDEN_DIR "/images"
#define GOLDEN_MAX 400

typedef struct golden_file {
    char name[64];
    uint32_t width, height; /* as stored */
    int orientation;
    size_t stored, upright; /* offsets into golden_set.pixels */
    uint8_t *data;
    size_t size;
} golden_file;

typedef struct golden_set {
    golden_file files[GOLDEN_MAX];
    size_t count;
    uint8_t *pixels;
    size_t size;
} golden_set;

static uint8_t *golden_read(size_t *size, const char *folder, const char *name)
{
    char path[512];
    unsigned char *data = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (vitc_file_read(&data, size, path, (size_t)1 << 28, NULL) != VITC_OK)
        fail_msg("%s cannot be read", path);
    return data;
}

static inline void golden_free(golden_set *set)
{
    for (size_t i = 0; i < set->count; i++) free(set->files[i].data);
    free(set->pixels);
    free(set);
}

/* Every file of index.txt with its pixels. */
static inline golden_set *golden_load(void)
{
    golden_set *set = calloc(1, sizeof *set);
    assert_non_null(set);
    FILE *index = fopen(IMAGES "/index.txt", "r");
    assert_non_null(index);
    golden_file f;
    memset(&f, 0, sizeof f);
    while (fscanf(index, "%63s %u %u %d %zu %zu", f.name, &f.width, &f.height, &f.orientation,
                  &f.stored, &f.upright) == 6) {
        assert_true(set->count < GOLDEN_MAX);
        f.data = golden_read(&f.size, IMAGES, f.name);
        set->files[set->count++] = f;
    }
    assert_true(feof(index));
    fclose(index);
    set->pixels = golden_read(&set->size, IMAGES, "pixels.rgb");
    assert_true(set->count >= 250); /* an index that has shrunk is a test that no longer tests */
    return set;
}

/* Whether the image is the golden one, upright or as stored; says where it is not. */
static inline bool golden_equal(const golden_set *set, const golden_file *f,
                                const imgio_image *image, bool upright)
{
    const bool turned = upright && f->orientation >= 5;
    const uint32_t width = turned ? f->height : f->width;
    const uint32_t height = turned ? f->width : f->height;
    if (image->width != width || image->height != height) {
        print_error("%s: %u x %u pixels instead of %u x %u\n", f->name, (unsigned)image->width,
                    (unsigned)image->height, (unsigned)width, (unsigned)height);
        return false;
    }
    const size_t offset = upright ? f->upright : f->stored, bytes = (size_t)width * height * 3;
    assert_true(offset <= set->size && bytes <= set->size - offset);
    for (size_t i = 0; i < bytes; i++) {
        if (image->pixels[i] != set->pixels[offset + i]) {
            print_error("%s: pixel (%zu, %zu) channel %zu is %d instead of %d\n", f->name,
                        i / 3 % width, i / 3 / width, i % 3, image->pixels[i],
                        set->pixels[offset + i]);
            return false;
        }
    }
    return true;
}

#endif
