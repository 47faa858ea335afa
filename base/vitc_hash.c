#include "vitc_hash.h"

#include <string.h>

static const uint64_t first = 0x87C37B91114253D5, second = 0x4CF5AD432745937F;

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* 8 bytes, the first one lowest. */
static uint64_t load(const unsigned char *p)
{
    uint64_t x = 0;
    for (int i = 7; i >= 0; i--) x = x << 8 | p[i];
    return x;
}

static uint64_t finish(uint64_t x)
{
    x = (x ^ x >> 33) * 0xFF51AFD7ED558CCD;
    x = (x ^ x >> 33) * 0xC4CEB9FE1A85EC53;
    return x ^ x >> 33;
}

static uint64_t scatter_low(const unsigned char *block)
{
    return rotate(load(block) * first, 31) * second;
}

static uint64_t scatter_high(const unsigned char *block)
{
    return rotate(load(block + 8) * second, 33) * first;
}

vitc_hash vitc_hash_bytes(const void *data, size_t size, uint64_t seed)
{
    const unsigned char *bytes = data;
    vitc_hash hash = {seed, seed};
    size_t at = 0;
    for (; size - at >= 16; at += 16) {
        hash.low ^= scatter_low(bytes + at);
        hash.low = (rotate(hash.low, 27) + hash.high) * 5 + 0x52DCE729;
        hash.high ^= scatter_high(bytes + at);
        hash.high = (rotate(hash.high, 31) + hash.low) * 5 + 0x38495AB5;
    }
    unsigned char rest[16] = {0};
    if (size > at) memcpy(rest, bytes + at, size - at);
    hash.low ^= scatter_low(rest) ^ size;
    hash.high ^= scatter_high(rest) ^ size;
    hash.low += hash.high;
    hash.high += hash.low;
    hash.low = finish(hash.low);
    hash.high = finish(hash.high);
    hash.low += hash.high;
    hash.high += hash.low;
    return hash;
}
