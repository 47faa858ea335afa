/* test_datasets_pictures.h - small pictures, each with a number of its own, as files of sets. */
#ifndef TEST_DATASETS_PICTURES_H
#define TEST_DATASETS_PICTURES_H

#include "imgio.h"
#include "test_datasets_archives.h"

/* Picture number `n`: 8 to 11 pixels wide, 8 to 10 high, of a pattern that no other number has. */
static inline void picture_make(imgio_image *image, size_t n)
{
    assert_int_equal(imgio_image_create(image, 8 + (uint32_t)(n % 4), 8 + (uint32_t)(n % 3), NULL),
                     VITC_OK);
    for (size_t i = 0; i < (size_t)image->width * image->height * 3; i++)
        image->pixels[i] = (uint8_t)(n * 29 + i * (7 + n % 5) + (n >> 8));
}

static inline bytes picture_encode(size_t n)
{
    imgio_image image;
    bytes all = {0};
    picture_make(&image, n);
    assert_int_equal(imgio_encode_png(&all.data, &all.size, &image, 6, NULL), VITC_OK);
    imgio_image_free(&image);
    return all;
}

static inline void picture_put(const char *path, size_t n)
{
    bytes all = picture_encode(n);
    put_bytes(path, all.data, all.size);
    bytes_free(&all);
}

static inline void picture_add(bytes *tar, const char *name, size_t n)
{
    bytes all = picture_encode(n);
    tar_add_bytes(tar, name, all.data, all.size);
    bytes_free(&all);
}

static inline bool picture_equal(const imgio_image *a, const imgio_image *b)
{
    return a->width == b->width && a->height == b->height &&
           memcmp(a->pixels, b->pixels, (size_t)a->width * a->height * 3) == 0;
}

#endif
