/* test_datasets_archives.h - tar files made member by member, and gzip, good or damaged. */
#ifndef TEST_DATASETS_ARCHIVES_H
#define TEST_DATASETS_ARCHIVES_H

#include <zlib.h>

#include "test_datasets_support.h"

/* A growing block of bytes. */
typedef struct bytes {
    unsigned char *data;
    size_t size, room;
} bytes;

static inline void bytes_add(bytes *to, const void *data, size_t size)
{
    if (to->data == NULL || to->size + size > to->room) {
        to->room = 2 * (to->size + size) + 64;
        unsigned char *grown = realloc(to->data, to->room);
        if (grown == NULL) abort(); /* unlike a failed assertion it is known not to come back */
        to->data = grown;
    }
    if (size > 0) memcpy(to->data + to->size, data, size);
    to->size += size;
}

static inline void bytes_add_zeros(bytes *to, size_t size)
{
    unsigned char *zeros = calloc(1, size + 1);
    assert_non_null(zeros);
    bytes_add(to, zeros, size);
    free(zeros);
}

static inline void bytes_free(bytes *all)
{
    free(all->data);
    *all = (bytes){0};
}

/* ---- gzip ---- */

static inline void bytes_add_gzip(bytes *to, const void *data, size_t size)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY), Z_OK);
    const uLong room = deflateBound(&z, (uLong)size);
    unsigned char *packed = malloc(room);
    assert_non_null(packed);
    z.next_in = (unsigned char *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = packed;
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    bytes_add(to, packed, room - z.avail_out);
    deflateEnd(&z);
    free(packed);
}

static inline void put_gzip(const char *path, const void *data, size_t size)
{
    bytes packed = {0};
    bytes_add_gzip(&packed, data, size);
    put_bytes(path, packed.data, packed.size);
    bytes_free(&packed);
}

/* ---- tar ---- */

enum { TAR_BLOCK = 512 };

/* The parts of a ustar header (POSIX.1-1988) that tests set; the check sum is made. */
typedef struct tar_header {
    const char *name;
    unsigned long long size;
    char type; /* '0' file, '1' hard link, '2' symbolic link, '5' folder, 'L' long name, 'x' pax */
    const char *link;
    const char *prefix;
} tar_header;

static inline void tar_sum(unsigned char *block)
{
    unsigned sum = 0;
    memset(block + 148, ' ', 8);
    for (size_t i = 0; i < TAR_BLOCK; i++) sum += block[i];
    snprintf((char *)block + 148, 8, "%06o", sum);
}

static inline void tar_add_header(bytes *tar, const tar_header *header)
{
    unsigned char block[TAR_BLOCK] = {0};
    char *text = (char *)block;
    memcpy(text, header->name, strnlen(header->name, 100));
    snprintf(text + 100, 8, "%07o", 0644);
    snprintf(text + 108, 8, "%07o", 0);
    snprintf(text + 116, 8, "%07o", 0);
    snprintf(text + 124, 13, "%011llo", header->size);
    snprintf(text + 136, 13, "%011o", 0);
    block[156] = (unsigned char)header->type;
    if (header->link != NULL) memcpy(text + 157, header->link, strlen(header->link));
    memcpy(text + 257,
           "ustar\0"
           "00",
           8);
    if (header->prefix != NULL) memcpy(text + 345, header->prefix, strlen(header->prefix));
    tar_sum(block);
    bytes_add(tar, block, TAR_BLOCK);
}

static inline void tar_add_data(bytes *tar, const void *data, size_t size)
{
    bytes_add(tar, data, size);
    bytes_add_zeros(tar, (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

static inline void tar_add_bytes(bytes *tar, const char *name, const void *data, size_t size)
{
    tar_add_header(tar, &(tar_header){.name = name, .size = size, .type = '0'});
    tar_add_data(tar, data, size);
}

static inline void tar_add(bytes *tar, const char *name, const char *text)
{
    tar_add_bytes(tar, name, text, strlen(text));
}

static inline void tar_add_end(bytes *tar)
{
    bytes_add_zeros(tar, 2 * (size_t)TAR_BLOCK);
}

/* Ends the tar file and writes it; `tar` is free again. */
static inline void put_tar(const char *path, bytes *tar)
{
    tar_add_end(tar);
    if (datasets_names_ends(path, "gz"))
        put_gzip(path, tar->data, tar->size);
    else
        put_bytes(path, tar->data, tar->size);
    bytes_free(tar);
}

#endif
