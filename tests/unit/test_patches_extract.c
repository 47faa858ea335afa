/* Levels, tensors, patch rows and position embeddings. */
#include <stdlib.h>

#include "test_patches_support.h"

#define CANARY 12345.0F

/* An image whose every sample is different from its neighbours, in all channels. */
static imgio_image pattern_image(uint32_t width, uint32_t height)
{
    imgio_image image = {.width = width, .height = height};
    const size_t samples = (size_t)width * height * 3;
    uint64_t rng = 1 + width + ((uint64_t)height << 20);
    image.pixels = malloc(samples);
    assert_non_null(image.pixels);
    for (size_t i = 0; i < samples; i++) image.pixels[i] = (uint8_t)(random_next(&rng) >> 40);
    return image;
}

/* ---- levels ---- */

static void test_levels(void **state)
{
    /* timm's arithmetic, which is another order of operations: x / 255, all in float32. */
    static const float statistics[][6] = {
        {0.5F, 0.5F, 0.5F, 0.5F, 0.5F, 0.5F},
        {0.485F, 0.456F, 0.406F, 0.229F, 0.224F, 0.225F},
        {0.48145466F, 0.4578275F, 0.40821073F, 0.26862954F, 0.26130258F, 0.27577711F}};
    (void)state;
    for (size_t i = 0; i < sizeof statistics / sizeof *statistics; i++) {
        patches_spec spec = {.rescale = 1 / 255.0, .normalize = true};
        patches_levels levels;
        memcpy(spec.mean, statistics[i], sizeof spec.mean);
        memcpy(spec.std, statistics[i] + 3, sizeof spec.std);
        patches_levels_init(&levels, &spec);
        for (int c = 0; c < 3; c++) {
            assert_int_equal(levels.source[c], c);
            for (int v = 0; v < 256; v++) {
                const float scaled = (float)v / 255.0F;
                const float expected = (scaled - spec.mean[c]) / spec.std[c];
                assert_int_equal(float_bits(levels.table[c][v]), float_bits(expected));
            }
        }
    }
}

static void test_levels_bits(void **state)
{
    /* numpy 2: (float32(float64(v) * 0.0125) - float32(0.4)) / float32(0.3), and without the
     * normalization */
    static const struct {
        int v;
        uint32_t normalized, plain;
    } expected[] = {
        {0, 0xBFAAAAAAU, 0x00000000U},   {1, 0xBFA55555U, 0x3C4CCCCDU},
        {2, 0xBFA00000U, 0x3CCCCCCDU},   {31, 0xBD2AAABAU, 0x3EC66666U},
        {32, 0x00000000U, 0x3ECCCCCDU},  {33, 0x3D2AAAA0U, 0x3ED33333U},
        {77, 0x3FEFFFFFU, 0x3F766666U},  {128, 0x40800000U, 0x3FCCCCCDU},
        {200, 0x40DFFFFFU, 0x40200000U}, {201, 0x40E15554U, 0x4020CCCDU},
        {254, 0x4113FFFFU, 0x404B3333U}, {255, 0x4114AAAAU, 0x404C0000U},
    };
    patches_spec spec = {.rescale = 0.0125,
                         .normalize = true,
                         .mean = {0.4F, 0.4F, 0.4F},
                         .std = {0.3F, 0.3F, 0.3F}};
    patches_levels levels;
    (void)state;
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        spec.normalize = true;
        patches_levels_init(&levels, &spec);
        assert_int_equal(float_bits(levels.table[1][expected[i].v]), expected[i].normalized);
        spec.normalize = false;
        patches_levels_init(&levels, &spec);
        assert_int_equal(float_bits(levels.table[1][expected[i].v]), expected[i].plain);
    }
}

static void test_levels_bgr(void **state)
{
    const patches_spec spec = {
        .rescale = 1, .normalize = true, .mean = {1, 2, 3}, .std = {1, 1, 1}, .bgr = true};
    uint8_t pixels[] = {10, 20, 30, 40, 50, 60};
    const imgio_image image = {.pixels = pixels, .width = 2, .height = 1};
    /* mean[0] belongs to the first output channel, which is blue */
    static const float expected[] = {29, 59, 18, 48, 7, 37};
    patches_levels levels;
    float tensor[6];
    (void)state;
    patches_levels_init(&levels, &spec);
    patches_tensor_image(tensor, &image, &levels);
    for (size_t i = 0; i < 6; i++) assert_true(tensor[i] == expected[i]);
}

/* ---- layout ---- */

/* rows[(gy * Gw + gx) * stride + (c * P + y) * P + x], one value at a time. */
static void expect_rows(const float *rows, size_t stride, const imgio_image *image, uint32_t patch,
                        const patches_levels *levels)
{
    const size_t p = patch, gw = image->width / p, gh = image->height / p;
    for (size_t gy = 0; gy < gh; gy++)
        for (size_t gx = 0; gx < gw; gx++) {
            const float *row = rows + (gy * gw + gx) * stride;
            for (size_t c = 0; c < 3; c++)
                for (size_t y = 0; y < p; y++)
                    for (size_t x = 0; x < p; x++) {
                        const size_t pixel = (gy * p + y) * image->width + gx * p + x;
                        const uint8_t v = image->pixels[pixel * 3 + (size_t)levels->source[c]];
                        const float want = levels->table[c][v];
                        if (row[(c * p + y) * p + x] != want)
                            fail_msg("patch %zu %zu channel %zu y %zu x %zu", gy, gx, c, y, x);
                    }
            for (size_t i = 3 * p * p; i < stride; i++) assert_true(row[i] == CANARY);
        }
}

static void test_rows(void **state)
{
    static const struct {
        uint32_t patch, columns, rows, slack;
    } cases[] = {{1, 1, 1, 0},  {1, 5, 3, 2},  {2, 3, 2, 0},   {7, 2, 3, 1},  {8, 1, 4, 0},
                 {14, 3, 2, 5}, {16, 4, 3, 0}, {16, 3, 4, 64}, {32, 2, 1, 0}, {13, 1, 1, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int bgr = 0; bgr < 2; bgr++) {
            const uint32_t p = cases[i].patch;
            const patches_spec spec = {.rescale = 1 / 255.0,
                                       .normalize = true,
                                       .mean = {0.1F, 0.2F, 0.3F},
                                       .std = {0.4F, 0.5F, 0.6F},
                                       .bgr = bgr != 0};
            imgio_image image = pattern_image(cases[i].columns * p, cases[i].rows * p);
            const size_t stride = (size_t)3 * p * p + cases[i].slack;
            const size_t floats = (size_t)cases[i].columns * cases[i].rows * stride;
            const size_t samples = (size_t)image.width * image.height * 3;
            float *direct = malloc((floats + 1) * sizeof *direct);
            float *through = malloc((floats + 1) * sizeof *through);
            float *tensor = malloc(samples * sizeof *tensor);
            patches_levels levels;
            assert_true(direct != NULL && through != NULL && tensor != NULL);
            for (size_t k = 0; k <= floats; k++) direct[k] = through[k] = CANARY;
            patches_levels_init(&levels, &spec);
            assert_int_equal(patches_extract_image(direct, stride, &image, p, &levels, NULL),
                             VITC_OK);
            expect_rows(direct, stride, &image, p, &levels);
            patches_tensor_image(tensor, &image, &levels);
            assert_int_equal(
                patches_extract_tensor(through, stride, tensor, image.height, image.width, p, NULL),
                VITC_OK);
            assert_memory_equal(direct, through, (floats + 1) * sizeof *direct);
            assert_true(direct[floats] == CANARY);
            free(direct);
            free(through);
            free(tensor);
            free(image.pixels);
        }
}

static void test_rows_refused(void **state)
{
    static const struct {
        uint32_t width, height, patch;
        size_t stride;
        const char *part;
    } cases[] = {
        {130, 128, 16, 768, "130 pixels wide and 128 high does not divide into 16x16"},
        {128, 130, 16, 768, "0 columns and 2 rows are left over"},
        {12, 12, 16, 768, "does not divide into 16x16"},
        {16, 16, 0, 768, "patches of 0"},
        {0, 16, 16, 768, "cannot be cut"},
        {16, 0, 16, 768, "cannot be cut"},
        {32, 32, 16, 767, "rows of 767 floats are too short for 16x16"},
        {4294967295u, 4294967295u, 4294967295u, 768, "too short"},
    };
    patches_levels levels;
    patches_levels_init(&levels, &(patches_spec){.rescale = 1});
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        /* neither pixels nor rows may be touched */
        const imgio_image image = {.width = cases[i].width, .height = cases[i].height};
        capture c;
        vitc_log log = capture_log(&c);
        assert_int_equal(
            patches_extract_image(NULL, cases[i].stride, &image, cases[i].patch, &levels, &log),
            VITC_ERR_ARGUMENT);
        capture_expect(&c, cases[i].part);
        log = capture_log(&c);
        assert_int_equal(patches_extract_tensor(NULL, cases[i].stride, NULL, cases[i].height,
                                                cases[i].width, cases[i].patch, &log),
                         VITC_ERR_ARGUMENT);
        capture_expect(&c, cases[i].part);
    }
}

/* ---- positions ---- */

static void test_position(void **state)
{
    enum { D = 5, STRIDE = 7, GH = 2, GW = 3, PATCHES = GH * GW, MOST = 6 };
    static const struct {
        uint32_t slots, tokens;                  /* of the prefix */
    } cases[] = {{0, 0}, {1, 1}, {2, 2}, {6, 6}, /* each prefix token has its slot */
                 {0, 1}, {0, 5}, {1, 5}, {2, 6}, /* the later ones have none */
                 {1, 0}, {3, 1}};                /* slots that no token uses */
    float table[(MOST + PATCHES) * D];
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) table[i] = (float)(i + 1) * 0.5F;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const uint32_t slots = cases[k].slots, prefix = cases[k].tokens;
        const patches_position position = {.kind = PATCHES_POSITION_LEARNED_1D,
                                           .grid_height = GH,
                                           .grid_width = GW,
                                           .prefix = slots,
                                           .width = D,
                                           .table = table};
        float tokens[(MOST + PATCHES) * STRIDE + 1];
        for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
            tokens[i] = 1000 + (float)i * 0.25F;
        patches_position_apply(tokens, STRIDE, &position, prefix);
        for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
            const size_t n = i / STRIDE, d = i % STRIDE;
            float want = 1000 + (float)i * 0.25F;
            if (d < D && n < prefix && n < slots) want += table[n * D + d];
            if (d < D && n >= prefix && n < prefix + PATCHES)
                want += table[(slots + n - prefix) * D + d];
            if (tokens[i] != want) fail_msg("case %zu token %zu feature %zu", k, n, d);
        }
    }
}

static void test_position_none(void **state)
{
    const patches_position position = {
        .kind = PATCHES_POSITION_NONE, .grid_height = 2, .grid_width = 2, .width = 1};
    float tokens[] = {1, 2, 3, 4};
    (void)state;
    patches_position_apply(tokens, 1, &position, 0);
    for (size_t i = 0; i < 4; i++) assert_true(tokens[i] == (float)(i + 1));
    assert_string_equal(patches_position_string(PATCHES_POSITION_NONE), "none");
    assert_string_equal(patches_position_string(PATCHES_POSITION_LEARNED_1D), "learned-1d");
    assert_null(patches_position_string((patches_position_kind)99));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_levels),        cmocka_unit_test(test_levels_bits),
        cmocka_unit_test(test_levels_bgr),    cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_refused),  cmocka_unit_test(test_position),
        cmocka_unit_test(test_position_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
