/* vitc_sha256.h - the hash SHA-256 (FIPS 180-4), to name data by its contents (private to vitc). */
#ifndef VITC_SHA256_H
#define VITC_SHA256_H

#include <stddef.h>
#include <stdint.h>

/* Start from vitc_sha256_start(); add bytes in any pieces; finish once. */
typedef struct vitc_sha256 {
    uint32_t state[8];
    uint64_t size; /* bytes so far */
    unsigned char block[64];
} vitc_sha256;

#define VITC_SHA256_TEXT_SIZE 65 /* 64 hexadecimal digits and a NUL */

vitc_sha256 vitc_sha256_start(void);
void vitc_sha256_add(vitc_sha256 *hash, const void *data, size_t size);
void vitc_sha256_finish(char text[VITC_SHA256_TEXT_SIZE], vitc_sha256 *hash);

#endif
