/* Which images look alike: two perceptual hashes, and all pairs of hashes that differ in few bits.
 *
 * The hashes are those of the Python package imagehash (4.3), which takes an image down to a few
 * grey pixels by Pillow's Lanczos filter. Pairs are found by multi-index hashing (Norouzi, Punjani,
 * Fleet 2012, arXiv 1307.2982) with radii by the general pigeonhole principle (Qin et al. 2018). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* ---- hashes ---- */

enum {
    SIDE = 8, /* a hash is 8 x 8 bits */
    BITS = SIDE * SIDE,
    SAMPLES = 32, /* the grey pixels that the transform sees, each way */
    GREY = SAMPLES * SAMPLES,
    TURN = 4 * SAMPLES /* cosines of a full turn that it takes */
};

/* The picture in grey, Pillow's convert("L"), as RGB with three equal channels. */
static vitc_status make_grey(imgio_image *grey, const imgio_image *image, const vitc_log *log)
{
    VITC_TRY(imgio_image_create(grey, image->width, image->height, log));
    const size_t pixels = (size_t)image->width * image->height;
    for (size_t i = 0; i < pixels; i++) {
        const uint8_t *rgb = image->pixels + 3 * i;
        const uint32_t sum = 19595U * rgb[0] + 38470U * rgb[1] + 7471U * rgb[2] + 0x8000U;
        uint8_t *out = grey->pixels + 3 * i;
        out[0] = out[1] = out[2] = (uint8_t)(sum >> 16);
    }
    return VITC_OK;
}

/* The grey picture at width x height, one byte a pixel. */
static vitc_status shrink(uint8_t *pixels, uint32_t width, uint32_t height,
                          const imgio_image *image, const vitc_log *log)
{
    imgio_image grey, small;
    VITC_TRY(make_grey(&grey, image, log));
    const vitc_status status =
        imgio_resize(&small, &grey, width, height, IMGIO_LANCZOS, IMGIO_ORDER_PILLOW13, log);
    imgio_image_free(&grey);
    VITC_TRY(status);
    for (size_t i = 0; i < (size_t)width * height; i++) pixels[i] = small.pixels[3 * i];
    imgio_image_free(&small);
    return VITC_OK;
}

vitc_status datasets_hash_difference(uint64_t *hash, const imgio_image *image, const vitc_log *log)
{
    enum { WIDTH = SIDE + 1 };
    uint8_t pixels[WIDTH * SIDE];
    *hash = 0;
    VITC_TRY(shrink(pixels, WIDTH, SIDE, image, log));
    for (size_t y = 0; y < SIDE; y++)
        for (size_t x = 0; x < SIDE; x++)
            *hash = *hash << 1 | (pixels[y * WIDTH + x + 1] > pixels[y * WIDTH + x]);
    return VITC_OK;
}

/* The lowest frequencies of 32 samples that are `stride` apart: the DCT-II without its factor 2,
 * which no comparison sees. Samples at equal distance from the middle have the same cosine but for
 * the sign and are joined first; so a symmetric picture's odd coefficients are exactly 0. */
static void transform(double *out, size_t out_stride, const double *in, size_t stride,
                      const double cosines[TURN])
{
    for (size_t k = 0; k < SIDE; k++) {
        double sum = 0;
        for (size_t n = 0; n < SAMPLES / 2; n++) {
            const double near = in[n * stride], far = in[(SAMPLES - 1 - n) * stride];
            const double both = k % 2 == 0 ? near + far : near - far;
            sum += both * cosines[(2 * n + 1) * k % TURN];
        }
        out[k * out_stride] = sum;
    }
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

vitc_status datasets_hash_frequency(uint64_t *hash, const imgio_image *image, const vitc_log *log)
{
    static const double pi = 3.14159265358979323846;
    uint8_t pixels[GREY];
    *hash = 0;
    VITC_TRY(shrink(pixels, SAMPLES, SAMPLES, image, log));

    double cosines[TURN];
    for (size_t i = 0; i < TURN; i++) cosines[i] = cos(2 * pi * (double)i / TURN);
    double samples[GREY];
    double rows[SAMPLES * SIDE]; /* transformed along y: [8][32] */
    double low[BITS], sorted[BITS];
    for (size_t i = 0; i < GREY; i++) samples[i] = pixels[i];
    for (size_t x = 0; x < SAMPLES; x++)
        transform(rows + x, SAMPLES, samples + x, SAMPLES, cosines);
    for (size_t y = 0; y < SIDE; y++) transform(low + y * SIDE, 1, rows + y * SAMPLES, 1, cosines);

    memcpy(sorted, low, sizeof low);
    qsort(sorted, BITS, sizeof *sorted, compare_doubles);
    const double median = (sorted[31] + sorted[32]) / 2;
    for (size_t i = 0; i < BITS; i++) *hash = *hash << 1 | (low[i] > median);
    return VITC_OK;
}

/* ---- pairs ---- */

/* A hash is cut into 4 chunks of 16 bits. Each chunk i has a radius r[i] with
 *     sum of (r[i] + 1) = distance + 1;
 * would two hashes differ by more than r[i] bits in every chunk, they would differ in at least
 * distance + 1 bits. So each pair that is wanted lies within the radius of some chunk, where it is
 * found among the hashes whose chunk is the same but for r[i] bits. A chunk of radius -1 is not
 * looked at. */
enum { CHUNKS = 4, CHUNK_BITS = 16, CHUNK_VALUES = 1 << CHUNK_BITS };

typedef struct chunk {
    int radius;
    size_t flip_count;
    const uint16_t *flips; /* all values of up to `radius` bits */
    uint32_t *begin;       /* [CHUNK_VALUES + 1]: where a value's hashes begin in `order` */
    uint32_t *order;       /* indices of hashes, by value, then index */
    uint64_t *hashes;      /* in that order */
} chunk;

typedef struct search {
    const uint64_t *hashes;
    size_t count;
    unsigned distance;
    size_t limit;
    chunk chunks[CHUNKS];
    uint16_t *flips; /* by number of bits, so that each radius is a beginning of it */
    datasets_pair *pairs;
    size_t pair_count, pair_capacity;
} search;

/* Without the instruction, which not every x86-64 has (Warren, Hacker's Delight, 5-1). */
static unsigned count_bits(uint64_t x)
{
    x -= x >> 1 & 0x5555555555555555U;
    x = (x & 0x3333333333333333U) + (x >> 2 & 0x3333333333333333U);
    x = (x + (x >> 4)) & 0x0F0F0F0F0F0F0F0FU;
    return (unsigned)(x * 0x0101010101010101U >> 56);
}

static unsigned chunk_value(uint64_t hash, size_t index)
{
    return (unsigned)(hash >> index * CHUNK_BITS) & (CHUNK_VALUES - 1);
}

static bool add_pair(search *s, size_t a, size_t b, unsigned distance)
{
    if (s->pair_count == s->pair_capacity) {
        size_t bytes;
        const size_t capacity = vitc_size_max(256, s->pair_capacity * 2);
        if (!vitc_size_mul(capacity, sizeof *s->pairs, &bytes)) return false;
        datasets_pair *pairs = realloc(s->pairs, bytes);
        if (pairs == NULL) return false;
        s->pairs = pairs;
        s->pair_capacity = capacity;
    }
    s->pairs[s->pair_count++] = (datasets_pair){a, b, distance};
    return true;
}

static int compare_pairs(const void *a, const void *b)
{
    const datasets_pair *x = a, *y = b;
    return (x->b > y->b) - (x->b < y->b); /* within one x->a */
}

/* Whether a chunk before `index` finds this pair as well. */
static bool found_before(const search *s, size_t index, uint64_t difference)
{
    for (size_t i = 0; i < index; i++)
        if ((int)count_bits(chunk_value(difference, i)) <= s->chunks[i].radius) return true;
    return false;
}

static bool look_up(search *s, size_t a, size_t chunk_index)
{
    const chunk *c = &s->chunks[chunk_index];
    const uint64_t hash = s->hashes[a];
    const unsigned value = chunk_value(hash, chunk_index);
    for (size_t f = 0; f < c->flip_count; f++) {
        const uint32_t begin = c->begin[value ^ c->flips[f]];
        /* from the end down to a: each pair is seen from its first hash only */
        for (uint32_t i = c->begin[(value ^ c->flips[f]) + 1]; i > begin && c->order[i - 1] > a;
             i--) {
            const uint64_t difference = hash ^ c->hashes[i - 1];
            const unsigned distance = count_bits(difference);
            if (distance <= s->distance && !found_before(s, chunk_index, difference) &&
                !add_pair(s, a, c->order[i - 1], distance))
                return false;
        }
    }
    return true;
}

/* The pairs of hash a with those after it; by comparing with all where that is less work. */
static bool find_pairs_of(search *s, size_t a, bool indexed)
{
    const size_t before = s->pair_count;
    if (!indexed) {
        for (size_t b = a + 1; b < s->count && s->pair_count <= s->limit; b++) {
            const unsigned distance = count_bits(s->hashes[a] ^ s->hashes[b]);
            if (distance <= s->distance && !add_pair(s, a, b, distance)) return false;
        }
        return true;
    }
    for (size_t i = 0; i < CHUNKS; i++)
        if (!look_up(s, a, i)) return false;
    if (s->pair_count > before)
        qsort(s->pairs + before, s->pair_count - before, sizeof *s->pairs, compare_pairs);
    return true;
}

/* Shares the distance out: 10 becomes 2, 2, 2, 1; 3 becomes 0, 0, 0, 0; 0 becomes 0, -1, -1, -1.
 * Returns how many values are looked up for each hash. */
static size_t choose_radii(search *s)
{
    const unsigned budget = s->distance + 1;
    size_t look_ups = 0;
    for (unsigned i = 0; i < CHUNKS; i++) {
        chunk *c = &s->chunks[i];
        const unsigned share = budget / CHUNKS + (i < budget % CHUNKS);
        c->radius = (int)share - 1;
        size_t choices = 1; /* 16 over `bits` */
        for (unsigned bits = 0; bits < share && bits <= CHUNK_BITS; bits++) {
            c->flip_count += choices;
            choices = choices * (CHUNK_BITS - bits) / (bits + 1);
        }
        look_ups += c->flip_count;
    }
    return look_ups;
}

static bool fill_chunk(search *s, size_t index)
{
    chunk *c = &s->chunks[index];
    c->flips = s->flips;
    c->begin = calloc(CHUNK_VALUES + 1, sizeof *c->begin);
    c->order = calloc(s->count, sizeof *c->order);
    c->hashes = calloc(s->count, sizeof *c->hashes);
    if (c->begin == NULL || c->order == NULL || c->hashes == NULL) return false;
    for (size_t i = 0; i < s->count; i++) c->begin[chunk_value(s->hashes[i], index) + 1]++;
    for (size_t v = 0; v < CHUNK_VALUES; v++) c->begin[v + 1] += c->begin[v];
    /* begin[v] moves on to the end of v's hashes, which is the beginning of the next value's */
    for (size_t i = 0; i < s->count; i++) {
        const uint32_t at = c->begin[chunk_value(s->hashes[i], index)]++;
        c->order[at] = (uint32_t)i;
        c->hashes[at] = s->hashes[i];
    }
    memmove(c->begin + 1, c->begin, CHUNK_VALUES * sizeof *c->begin);
    c->begin[0] = 0;
    return true;
}

static bool fill_index(search *s)
{
    size_t used = 0;
    s->flips = malloc(CHUNK_VALUES * sizeof *s->flips);
    if (s->flips == NULL) return false;
    for (unsigned bits = 0; bits <= CHUNK_BITS; bits++)
        for (unsigned v = 0; v < CHUNK_VALUES; v++)
            if (count_bits(v) == bits) s->flips[used++] = (uint16_t)v;
    for (size_t i = 0; i < CHUNKS; i++)
        if (s->chunks[i].flip_count > 0 && !fill_chunk(s, i)) return false;
    return true;
}

static void free_index(search *s)
{
    for (size_t i = 0; i < CHUNKS; i++) {
        free(s->chunks[i].begin);
        free(s->chunks[i].order);
        free(s->chunks[i].hashes);
    }
    free(s->flips);
}

vitc_status datasets_pairs_find(datasets_pair **pairs, size_t *count, bool *more,
                                const uint64_t *hashes, size_t hash_count, unsigned distance,
                                size_t limit, const vitc_log *log)
{
    *pairs = NULL;
    *count = 0;
    *more = false;
    if (hash_count > UINT32_MAX - 1)
        return vitc_fail(log, VITC_ERR_TOO_LARGE, "%zu hashes are too many to compare", hash_count);
    search s = {.hashes = hashes, .count = hash_count, .limit = limit};
    s.distance = distance < 64 ? distance : 64;
    /* visiting a value costs about as much as a hash does */
    const bool indexed = choose_radii(&s) < hash_count / 2;
    bool ok = !indexed || fill_index(&s);
    for (size_t a = 0; a < hash_count && ok && s.pair_count <= limit; a++)
        ok = find_pairs_of(&s, a, indexed);
    free_index(&s);
    if (!ok) {
        free(s.pairs);
        return vitc_fail_memory(log, "pairs of images that look alike");
    }
    *more = s.pair_count > limit;
    *count = vitc_size_min(s.pair_count, limit);
    *pairs = s.pairs;
    return VITC_OK;
}
