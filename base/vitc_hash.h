/* vitc_hash.h - a fast hash of 128 bits, to see whether bytes are the same (private to vitc). */
#ifndef VITC_HASH_H
#define VITC_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct vitc_hash {
    uint64_t low, high;
} vitc_hash;

/* MurmurHash3 x64 128 (Austin Appleby, public domain), the same on every machine. Two different
 * blocks among a million have equal hashes with a chance of about 1e-27, unless somebody made them
 * so: where that matters, vitc_sha256.h. `seed` 0 gives the published values. */
vitc_hash vitc_hash_bytes(const void *data, size_t size, uint64_t seed);

#endif
