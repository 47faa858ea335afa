/* Perceptual hashes against the Python package imagehash (tests/golden/likeness), and the search
 * for pairs against comparing all with all. */
#include "datasets.h"
#include "test_imgio_support.h"
#include "test_malloc_fail.h"

/* ---- hashes ---- */

/* "-" where imagehash's own bits depend on rounding: nothing to compare with. */
static bool is_hash(uint64_t hash, const char *text)
{
    char shown[24];
    snprintf(shown, sizeof shown, "%016llx", (unsigned long long)hash);
    return strcmp(text, "-") == 0 || strcmp(shown, text) == 0;
}

static bool has_hashes(const char *name, const imgio_image *image, const char *difference,
                       const char *frequency)
{
    uint64_t found[2];
    assert_int_equal(datasets_hash_difference(&found[0], image, NULL), VITC_OK);
    assert_int_equal(datasets_hash_frequency(&found[1], image, NULL), VITC_OK);
    if (is_hash(found[0], difference) && is_hash(found[1], frequency)) return true;
    print_error("%s: %016llx %016llx instead of %s %s\n", name, (unsigned long long)found[0],
                (unsigned long long)found[1], difference, frequency);
    return false;
}

static void pictures_have_imagehashs_hashes(void **state)
{
    (void)state;
    FILE *list = fopen(VITC_GOLDEN_DIR "/likeness/images.txt", "r");
    assert_non_null(list);
    char name[64], difference[24], frequency[24], path[512];
    size_t cases = 0, settled = 0, failures = 0;
    while (fscanf(list, "%63s %23s %23s", name, difference, frequency) == 3) {
        imgio_image image;
        snprintf(path, sizeof path, "%s/%s", VITC_GOLDEN_DIR, name);
        assert_int_equal(imgio_decode_file(&image, path, NULL, NULL), VITC_OK);
        failures += !has_hashes(name, &image, difference, frequency);
        imgio_image_free(&image);
        settled += strcmp(frequency, "-") != 0;
        cases++;
    }
    assert_true(feof(list));
    fclose(list);
    assert_true(cases >= 300 && settled >= 250);
    assert_int_equal(failures, 0);
}

/* noise() of make_likeness.py */
static imgio_image noise_image(uint32_t width, uint32_t height)
{
    imgio_image image;
    assert_int_equal(imgio_image_create(&image, width, height, NULL), VITC_OK);
    for (uint64_t i = 0; i < (uint64_t)width * height * 3; i++) {
        const uint32_t mixed = (uint32_t)(i * 2654435761U + (i * i % 4294967296U) * 40503U);
        image.pixels[i] = i % 97 < 31 ? (uint8_t)(i / 97 % 2 * 255)
                                      : (uint8_t)((mixed >> 13 ^ mixed >> 24) & 255);
    }
    return image;
}

static void noise_has_imagehashs_hashes(void **state)
{
    (void)state;
    FILE *list = fopen(VITC_GOLDEN_DIR "/likeness/noise.txt", "r");
    assert_non_null(list);
    char difference[24], frequency[24];
    unsigned width, height;
    size_t cases = 0;
    while (fscanf(list, "%u %u %23s %23s", &width, &height, difference, frequency) == 4) {
        imgio_image image = noise_image(width, height);
        assert_true(has_hashes("noise", &image, difference, frequency));
        imgio_image_free(&image);
        cases++;
    }
    assert_true(feof(list));
    fclose(list);
    assert_true(cases >= 10);
}

static void paint(imgio_image *image, uint32_t x, uint32_t y, uint8_t value)
{
    memset(image->pixels + ((size_t)y * image->width + x) * 3, value, 3);
}

/* Of a picture that is its own mirror image only every second coefficient of a row is not 0; the
 * median is then 0 or less, and the others' bits are all the same. */
static void symmetry_is_exact(void **state)
{
    (void)state;
    imgio_image image = noise_image(32, 32);
    uint64_t hash;
    for (uint32_t y = 0; y < 32; y++)
        for (uint32_t x = 0; x < 16; x++)
            memcpy(image.pixels + ((size_t)y * 32 + 31 - x) * 3,
                   image.pixels + ((size_t)y * 32 + x) * 3, 3);
    assert_int_equal(datasets_hash_frequency(&hash, &image, NULL), VITC_OK);
    const uint64_t odd = hash & 0x5555555555555555U;
    assert_true(odd == 0 || odd == 0x5555555555555555U);
    assert_true((hash & ~odd) != 0);
    imgio_image_free(&image);
}

/* A ramp that is 9 x 8 already is not resized: its bits can be read off. */
static void bits_are_in_order(void **state)
{
    (void)state;
    imgio_image image;
    uint64_t hash;
    assert_int_equal(imgio_image_create(&image, 9, 8, NULL), VITC_OK);
    memset(image.pixels, 10, (size_t)9 * 8 * 3);
    paint(&image, 1, 0, 11); /* brighter than its left neighbour: bit 63; and the next is darker */
    paint(&image, 8, 7, 11); /* the last comparison: bit 0 */
    paint(&image, 0, 3, 9);  /* row 3, first comparison: bit 63 - 24 */
    assert_int_equal(datasets_hash_difference(&hash, &image, NULL), VITC_OK);
    assert_true(hash == ((uint64_t)1 << 63 | (uint64_t)1 << 39 | 1));
    imgio_image_free(&image);
}

/* ---- pairs ---- */

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t z = *state += 0x9E3779B97F4A7C15U;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9U;
    z = (z ^ z >> 27) * 0x94D049BB133111EBU;
    return z ^ z >> 31;
}

/* Hashes of which many are alike: copies with a few bits changed, exact copies among them. */
static uint64_t *make_hashes(size_t count, unsigned changes, uint64_t seed)
{
    uint64_t *hashes = calloc(count + 1, sizeof *hashes);
    assert_non_null(hashes);
    for (size_t i = 0; i < count; i++) {
        const uint64_t random = next_random(&seed);
        hashes[i] = random;
        if (i == 0 || random % 3 != 0) continue;
        hashes[i] = hashes[next_random(&seed) % i];
        const uint64_t flips = next_random(&seed) % (changes + 1);
        for (uint64_t k = 0; k < flips; k++) hashes[i] ^= (uint64_t)1 << next_random(&seed) % 64;
    }
    return hashes;
}

static unsigned distance_of(uint64_t a, uint64_t b)
{
    return (unsigned)__builtin_popcountll(a ^ b);
}

/* Walks through all pairs in order beside those that were found. */
static void check_pairs(const uint64_t *hashes, size_t count, unsigned distance, size_t limit)
{
    datasets_pair *pairs;
    size_t found, expected = 0;
    bool more;
    assert_int_equal(
        datasets_pairs_find(&pairs, &found, &more, hashes, count, distance, limit, NULL), VITC_OK);
    for (size_t a = 0; a < count; a++)
        for (size_t b = a + 1; b < count; b++) {
            const unsigned bits = distance_of(hashes[a], hashes[b]);
            if (bits > distance) continue;
            if (expected < limit) {
                assert_true(expected < found);
                assert_int_equal(pairs[expected].a, a);
                assert_int_equal(pairs[expected].b, b);
                assert_int_equal(pairs[expected].distance, bits);
            }
            expected++;
        }
    assert_int_equal(found, expected < limit ? expected : limit);
    assert_int_equal(more, expected > limit);
    free(pairs);
}

static void all_pairs_are_found(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, 3, 100, 2500};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (unsigned distance = 0; distance <= 14; distance++) {
            uint64_t *hashes = make_hashes(counts[c], distance + 3, counts[c] + distance);
            check_pairs(hashes, counts[c], distance, SIZE_MAX);
            free(hashes);
        }
    uint64_t *hashes = make_hashes(40, 60, 5);
    for (unsigned distance = 15; distance <= 70; distance++)
        check_pairs(hashes, 40, distance, SIZE_MAX);
    free(hashes);
}

/* Bits that differ crowd in one chunk, or are spread over all: the edges of the search. */
static void edges_of_chunks_are_found(void **state)
{
    (void)state;
    enum { COUNT = 4000 };
    uint64_t *hashes = make_hashes(COUNT, 0, 99);
    for (size_t i = 0; i + 1 < COUNT; i += 2) {
        uint64_t flips = 0;
        const unsigned distance = (unsigned)(i / 2 % 12);
        for (unsigned k = 0; k < distance; k++)
            flips |= i % 4 == 0 ? (uint64_t)1 << (k + 16 * (i / 4 % 4)) /* crowded */
                                : (uint64_t)1 << (k * 16 % 64 + k / 4); /* spread */
        hashes[i + 1] = hashes[i] ^ flips;
    }
    for (unsigned distance = 0; distance <= 11; distance++)
        check_pairs(hashes, COUNT, distance, SIZE_MAX);
    free(hashes);
}

static void pairs_are_limited(void **state)
{
    (void)state;
    uint64_t *hashes = make_hashes(3000, 6, 7);
    for (size_t limit = 0; limit <= 2000; limit = limit * 3 + 1)
        check_pairs(hashes, 3000, 6, limit);
    memset(hashes, 0x55, 3000 * sizeof *hashes); /* all equal: 4.5 million pairs */
    check_pairs(hashes, 3000, 0, 5000);
    check_pairs(hashes, 3000, 10, 5000);
    check_pairs(hashes, 50, 10, 50 * 49 / 2);
    check_pairs(hashes, 50, 10, 50 * 49 / 2 - 1);
    free(hashes);
}

static vitc_status find_some(void *user)
{
    datasets_pair *pairs;
    size_t count;
    bool more;
    const vitc_status status =
        datasets_pairs_find(&pairs, &count, &more, user, 3000, 6, SIZE_MAX, NULL);
    assert_true(status == VITC_OK ? count > 256 : pairs == NULL && count == 0);
    free(pairs);
    return status;
}

static vitc_status hash_both(void *user)
{
    uint64_t hash;
    const vitc_status status = datasets_hash_difference(&hash, user, NULL);
    return status == VITC_OK ? datasets_hash_frequency(&hash, user, NULL) : status;
}

static void memory_may_run_out(void **state)
{
    (void)state;
    if (!MALLOC_FAIL_AVAILABLE) skip();
    uint64_t *hashes = make_hashes(3000, 6, 7);
    imgio_image image = noise_image(50, 40);
    const long failed_finding = malloc_fail_each(find_some, hashes);
    const long failed_hashing = malloc_fail_each(hash_both, &image);
    imgio_image_free(&image);
    free(hashes);
    assert_true(failed_finding >= 14 && failed_hashing >= 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pictures_have_imagehashs_hashes),
                                       cmocka_unit_test(noise_has_imagehashs_hashes),
                                       cmocka_unit_test(symmetry_is_exact),
                                       cmocka_unit_test(bits_are_in_order),
                                       cmocka_unit_test(all_pairs_are_found),
                                       cmocka_unit_test(edges_of_chunks_are_found),
                                       cmocka_unit_test(pairs_are_limited),
                                       cmocka_unit_test(memory_may_run_out)};
    return cmocka_run_group_tests_name("likeness", tests, NULL, NULL);
}
