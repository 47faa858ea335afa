/* The safetensors container: every rule of the reader with a file that breaks it, truncation at
 * every byte, files of other formats, the writer; and the number formats, exhaustively. */
#include <math.h>

#include "vit_float.h"
#include "vit_weights_support.h"
#include "vitc_file.h"

/* ---- floats ---- */

static float f32(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void f16_every_value(void **unused)
{
    (void)unused;
    for (uint32_t b = 0; b <= 0xFFFF; b++) {
        const float found = vit_float_from_f16((uint16_t)b);
        const int exponent = (int)(b >> 10 & 31);
        const double fraction = b & 1023;
        const double sign = b & 0x8000 ? -1 : 1;
        assert_int_equal(signbit(found) != 0, (b & 0x8000) != 0);
        if (exponent == 31 && fraction > 0) {
            assert_true(isnan(found));
            assert_int_equal(bits_of(found) >> 13 & 1023, b & 1023); /* the payload */
        } else if (exponent == 31) {
            assert_true(isinf(found));
        } else {
            const double expected = exponent == 0 ? sign * ldexp(fraction, -24)
                                                  : sign * ldexp(1024 + fraction, exponent - 25);
            assert_true((double)found == expected);
        }
    }
}

static void bf16_every_value(void **unused)
{
    (void)unused;
    for (uint32_t b = 0; b <= 0xFFFF; b++) {
        const float value = vit_float_from_bf16((uint16_t)b);
        assert_int_equal(bits_of(value), b << 16);
        const uint16_t back = vit_float_to_bf16(value);
        if (isnan(value))
            assert_int_equal(back, b | 0x40); /* made quiet */
        else
            assert_int_equal(back, b);
    }
}

/* Between every two neighbours: below, at and above the middle. */
static void bf16_rounds_to_nearest_even(void **unused)
{
    (void)unused;
    for (uint32_t b = 0; b < 0x7F80; b++) {
        const uint32_t sign = b % 2 == 0 ? 0 : 0x80000000u;
        const uint32_t s16 = sign >> 16;
        assert_int_equal(vit_float_to_bf16(f32(sign | b << 16 | 0x7FFF)), s16 | b);
        assert_int_equal(vit_float_to_bf16(f32(sign | b << 16 | 0x8000)), s16 | (b + (b & 1)));
        assert_int_equal(vit_float_to_bf16(f32(sign | b << 16 | 0x8001)), s16 | (b + 1));
        assert_int_equal(vit_float_to_bf16(f32(sign | b << 16 | 0x0001)), s16 | b);
        assert_int_equal(vit_float_to_bf16(f32(sign | b << 16 | 0xFFFF)), s16 | (b + 1));
    }
    /* NaNs stay NaNs, whichever bits they have. */
    assert_true(isnan(vit_float_from_bf16(vit_float_to_bf16(f32(0x7F800001)))));
    assert_true(isnan(vit_float_from_bf16(vit_float_to_bf16(f32(0x7FFFFFFF)))));
    assert_int_equal(vit_float_to_bf16(f32(0xFFC12345)), 0xFFC1);
}

static void f64_rounds(void **unused)
{
    (void)unused;
    static const struct {
        double value;
        float expected;
    } rows[] = {
        {0.0, 0.0f},
        {-0.0, -0.0f},
        {0.1, 0.1f},
        {1.0 + 0x1p-24, 1.0f}, /* a tie, to even */
        {1.0 + 3 * 0x1p-24, 1.0f + 0x1p-22f},
        {1.0 + 0x1.000001p-24, 1.0f + 0x1p-23f},
        {0x1p-149, 0x1p-149f},
        {0x1p-151, 0.0f},
        {0x1.fffffep127, 0x1.fffffep127f},
        {0x1.fffffefffffp127, 0x1.fffffep127f},
        {0x1.ffffffp127, INFINITY},
        {-1e300, -INFINITY},
        {INFINITY, INFINITY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char bytes[9];
        float found;
        memcpy(bytes + 1, &rows[i].value, 8); /* unaligned */
        vit_floats_from_f64(&found, bytes + 1, 1);
        if (bits_of(found) != bits_of(rows[i].expected))
            fail_msg("%a became %a, expected %a", rows[i].value, (double)found,
                     (double)rows[i].expected);
    }
    const double nan_value = NAN;
    float found;
    vit_floats_from_f64(&found, (const unsigned char *)&nan_value, 1);
    assert_true(isnan(found));
}

/* The first of them, at every place of arrays around the block that is searched at once. */
static void nonfinite_is_found(void **unused)
{
    (void)unused;
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    static const size_t counts[] = {0, 1, 7, 1023, 1024, 1025, 2100};
    static float values[2100];
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        const size_t n = counts[c];
        for (size_t i = 0; i < n; i++) values[i] = i % 2 == 0 ? 0x1.fffffep127f : -0.0f;
        assert_int_equal(vit_floats_first_nonfinite(values, n), n);
        for (size_t i = 0; i < n; i++) {
            const float kept = values[i];
            values[i] = bad[i % 4];
            assert_int_equal(vit_floats_first_nonfinite(values, n), i);
            values[n - 1] = NAN;
            assert_int_equal(vit_floats_first_nonfinite(values, n), i);
            values[n - 1] = n % 2 == 1 ? 0x1.fffffep127f : -0.0f;
            values[i] = kept;
        }
    }
}

/* ---- reading ---- */

enum { DATA_MAX = 64 };

typedef struct header_row {
    const char *what, *header;
    size_t data; /* bytes that follow */
    vitc_status status;
    const char *says; /* part of the message */
} header_row;

#define T(name, dtype, shape, begin, end)                                                          \
    "\"" name "\": {\"dtype\": \"" dtype "\", \"shape\": [" shape "], \"data_offsets\": [" #begin  \
    ", " #end "]}"

static const header_row header_rows[] = {
    {"one tensor", "{" T("a", "F32", "2, 3", 0, 24) "}", 24, VITC_OK, NULL},
    {"spaces after", "{" T("a", "F32", "1", 0, 4) "}      ", 4, VITC_OK, NULL},
    {"a length that is no multiple of 8", "{" T("a", "F32", "1", 0, 4) "} ", 4, VITC_OK, NULL},
    {"a newline and a tab after", "{" T("a", "F32", "1", 0, 4) "}\n\t", 4, VITC_OK, NULL},
    {"metadata", "{\"__metadata__\": {\"k\": \"v\"}, " T("a", "F32", "1", 0, 4) "}", 4, VITC_OK,
     NULL},
    {"null metadata", "{\"__metadata__\": null, " T("a", "F32", "1", 0, 4) "}", 4, VITC_OK, NULL},
    {"no tensors", "{}", 0, VITC_OK, NULL},
    {"a scalar", "{" T("a", "F32", "", 0, 4) "}", 4, VITC_OK, NULL},
    {"an extent of 0", "{" T("a", "F32", "3, 0", 0, 0) ", " T("b", "U8", "1", 0, 1) "}", 1, VITC_OK,
     NULL},
    {"an odd offset", "{" T("a", "U8", "1", 0, 1) ", " T("b", "F32", "1", 1, 5) "}", 5, VITC_OK,
     NULL},
    {"not in the order of offsets", "{" T("b", "F32", "1", 4, 8) ", " T("a", "F32", "1", 0, 4) "}",
     8, VITC_OK, NULL},
    {"an unknown key",
     "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4], \"x\": [{}]}}", 4,
     VITC_OK, NULL},
    {"eight dimensions", "{" T("a", "U8", "1,1,1,1,1,1,1,2", 0, 2) "}", 2, VITC_OK, NULL},
    {"halves of bytes", "{" T("a", "F4", "2, 3", 0, 3) "}", 3, VITC_OK, NULL},
    {"six bits", "{" T("a", "F6_E2M3", "4", 0, 3) "}", 3, VITC_OK, NULL},

    {"half a byte at the end", "{" T("a", "F4", "3", 0, 1) "}", 1, VITC_ERR_CORRUPT, "\"a\""},
    {"a space before", " {}", 0, VITC_ERR_CORRUPT, "does not begin with {"},
    {"an array", "[]", 0, VITC_ERR_CORRUPT, "does not begin with {"},
    {"a NUL after", "{}\0", 0, VITC_ERR_CORRUPT, "JSON"},
    {"text after", "{}x", 0, VITC_ERR_CORRUPT, "JSON"},
    {"a name twice", "{" T("a", "F32", "1", 0, 4) ", " T("a", "F32", "1", 4, 8) "}", 8,
     VITC_ERR_CORRUPT, "duplicate"},
    {"a key twice in an entry",
     "{\"a\": {\"dtype\": \"F32\", \"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}",
     4, VITC_ERR_CORRUPT, "duplicate"},
    {"a hole at the start", "{" T("a", "F32", "1", 4, 8) "}", 8, VITC_ERR_CORRUPT, "hole"},
    {"a hole", "{" T("a", "F32", "1", 0, 4) ", " T("b", "F32", "1", 5, 9) "}", 9, VITC_ERR_CORRUPT,
     "\"b\" leaves a hole"},
    {"an overlap", "{" T("a", "F32", "1", 0, 4) ", " T("b", "F32", "1", 3, 7) "}", 7,
     VITC_ERR_CORRUPT, "\"b\" overlaps"},
    {"the same place", "{" T("a", "F32", "1", 0, 4) ", " T("b", "F32", "1", 0, 4) "}", 4,
     VITC_ERR_CORRUPT, "overlaps"},
    {"one within another", "{" T("a", "F32", "4", 0, 16) ", " T("b", "F32", "1", 4, 8) "}", 16,
     VITC_ERR_CORRUPT, "overlaps"},
    {"bytes after the last", "{" T("a", "F32", "1", 0, 4) "}", 5, VITC_ERR_CORRUPT,
     "1 bytes follow the last tensor"},
    {"bytes without tensors", "{}", 3, VITC_ERR_CORRUPT, "3 bytes follow"},
    {"data too short", "{" T("a", "F32", "2", 0, 8) "}", 7, VITC_ERR_TRUNCATED, "\"a\""},
    {"data beyond 2^62", "{" T("a", "U8", "4611686018427387904", 0, 4611686018427387904) "}", 7,
     VITC_ERR_CORRUPT, "too large"},
    {"end before begin", "{" T("a", "F32", "1", 4, 0) "}", 4, VITC_ERR_CORRUPT, "ends before"},
    {"size against shape", "{" T("a", "F32", "2", 0, 4) "}", 4, VITC_ERR_CORRUPT,
     "takes 4 bytes by its data_offsets, 8 by its shape"},
    {"size against dtype", "{" T("a", "F64", "1", 0, 4) "}", 4, VITC_ERR_CORRUPT, "F64"},
    {"a product that wraps", "{" T("a", "F32", "4294967296, 4294967296, 4294967296", 0, 0) "}", 0,
     VITC_ERR_CORRUPT, "too large"},
    {"a product that wraps to the right size",
     "{" T("a", "U8", "4294967297, 4294967296, 4294967296", 0, 0) "}", 0, VITC_ERR_CORRUPT,
     "too large"},
    {"bits that wrap", "{" T("a", "F64", "288230376151711744", 0, 0) "}", 0, VITC_ERR_CORRUPT,
     "too large"},
    {"an overflow before a 0", "{" T("a", "F32", "4294967296, 4294967296, 0", 0, 0) "}", 0,
     VITC_ERR_CORRUPT, "too large"},
    {"an overflow after a 0", "{" T("a", "F32", "0, 4294967296, 4294967296", 0, 0) "}", 0,
     VITC_ERR_CORRUPT, "too large"},
    {"an extent of 2^63", "{" T("a", "U8", "9223372036854775808", 0, 0) "}", 0, VITC_ERR_CORRUPT,
     "JSON"},
    {"a negative extent", "{" T("a", "F32", "-1", 0, 4) "}", 4, VITC_ERR_CORRUPT, "whole numbers"},
    {"a fraction", "{" T("a", "F32", "1.0", 0, 4) "}", 4, VITC_ERR_CORRUPT, "whole numbers"},
    {"an exponent", "{" T("a", "F32", "1e0", 0, 4) "}", 4, VITC_ERR_CORRUPT, "whole numbers"},
    {"a string as extent", "{" T("a", "F32", "\"1\"", 0, 4) "}", 4, VITC_ERR_CORRUPT,
     "whole numbers"},
    {"a negative offset", "{" T("a", "F32", "1", -4, 0) "}", 0, VITC_ERR_CORRUPT, "data_offsets"},
    {"a fractional offset", "{" T("a", "F32", "1", 0.0, 4) "}", 4, VITC_ERR_CORRUPT,
     "data_offsets"},
    {"three offsets", "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4, 4]}}",
     4, VITC_ERR_CORRUPT, "data_offsets"},
    {"one offset", "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0]}}", 4,
     VITC_ERR_CORRUPT, "data_offsets"},
    {"no offsets", "{\"a\": {\"dtype\": \"F32\", \"shape\": [1]}}", 4, VITC_ERR_CORRUPT,
     "data_offsets"},
    {"no shape", "{\"a\": {\"dtype\": \"F32\", \"data_offsets\": [0, 4]}}", 4, VITC_ERR_CORRUPT,
     "no shape"},
    {"no dtype", "{\"a\": {\"shape\": [1], \"data_offsets\": [0, 4]}}", 4, VITC_ERR_CORRUPT,
     "no dtype"},
    {"an unknown dtype", "{" T("a", "F32x", "1", 0, 4) "}", 4, VITC_ERR_CORRUPT,
     "\"a\" has the unknown dtype \"F32x\""},
    {"an entry that is no object", "{\"a\": 3}", 0, VITC_ERR_CORRUPT, "\"a\""},
    {"nine dimensions", "{" T("a", "U8", "1,1,1,1,1,1,1,1,1", 0, 1) "}", 1, VITC_ERR_CORRUPT,
     "8 dimensions"},
    {"metadata that is no object", "{\"__metadata__\": []}", 0, VITC_ERR_CORRUPT, "__metadata__"},
    {"metadata with a number", "{\"__metadata__\": {\"k\": 1}}", 0, VITC_ERR_CORRUPT,
     "__metadata__"},
    {"an empty name", "{" T("", "F32", "1", 0, 4) "}", 4, VITC_ERR_CORRUPT, "no name"},
    {"a NUL in a name", "{" T("a\\u0000b", "F32", "1", 0, 4) "}", 4, VITC_ERR_CORRUPT, "JSON"},
    {"invalid UTF-8", "{" T("a\xFF", "F32", "1", 0, 4) "}", 4, VITC_ERR_CORRUPT, "JSON"},
    {"half a surrogate pair", "{" T("a\\ud800", "F32", "1", 0, 4) "}", 4, VITC_ERR_CORRUPT, "JSON"},
    {"a control character is not printed", "{" T("a\\u001b[31m", "F32x", "1", 0, 4) "}", 4,
     VITC_ERR_CORRUPT, "\"a?[31m\""},
};

static size_t put_file(unsigned char *file, const char *header, size_t length, size_t data)
{
    for (int i = 0; i < 8; i++) file[i] = (unsigned char)((uint64_t)length >> 8 * i);
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < data; i++) file[8 + length + i] = (unsigned char)(i + 1);
    return 8 + length + data;
}

static size_t header_length(const header_row *row)
{
    /* The only header whose own text has a NUL. */
    return strcmp(row->what, "a NUL after") == 0 ? 3 : strlen(row->header);
}

/* A copy of the exact size, so that AddressSanitizer sees a read past the end. */
static vitc_status open_exact(const unsigned char *file, size_t size, message_log *messages)
{
    const vitc_log log = message_log_start(messages);
    vit_safetensors opened;
    unsigned char *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, file, size);
    const vitc_status status = vit_safetensors_open(&opened, copy, size, "test.safetensors", &log);
    if (status == VITC_OK) {
        size_t total = 0;
        for (size_t i = 0; i < opened.count; i++) {
            const vit_tensor *t = &opened.tensors[i];
            float *values = malloc((t->count + 1) * sizeof *values);
            assert_non_null(values);
            vit_tensor_floats(values, t);
            free(values);
            total += t->size;
            assert_ptr_equal(vit_safetensors_find(&opened, t->name), t);
        }
        assert_true(total <= size);
        assert_null(vit_safetensors_find(&opened, "not there"));
    } else {
        assert_int_equal(messages->errors, 1);
        assert_says(messages, "test.safetensors: ");
        assert_null(opened.tensors);
        assert_null(opened.header);
    }
    vit_safetensors_close(&opened);
    free(copy);
    return status;
}

static void header_rules(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < sizeof header_rows / sizeof header_rows[0]; i++) {
        const header_row *row = &header_rows[i];
        unsigned char file[1024];
        message_log messages;
        const size_t size = put_file(file, row->header, header_length(row), row->data);
        const vitc_status status = open_exact(file, size, &messages);
        if (status != row->status)
            fail_msg("%s: %s, expected %s (%s)", row->what, vitc_status_string(status),
                     vitc_status_string(row->status), messages.text);
        if (row->says != NULL) assert_says(&messages, row->says);
    }
}

static void header_lengths(void **unused)
{
    (void)unused;
    static const struct {
        uint64_t length;
        vitc_status status;
    } rows[] = {
        {0, VITC_ERR_CORRUPT},
        {3, VITC_ERR_TRUNCATED},
        {100000000, VITC_ERR_TRUNCATED},
        {100000001, VITC_ERR_TOO_LARGE},
        {UINT64_MAX, VITC_ERR_TOO_LARGE},
        {UINT64_MAX - 7, VITC_ERR_TOO_LARGE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned char file[10] = {0, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
        message_log messages;
        for (int b = 0; b < 8; b++) file[b] = (unsigned char)(rows[i].length >> 8 * b);
        assert_status(open_exact(file, sizeof file, &messages), rows[i].status, &messages);
    }
}

/* Cut anywhere, a file is an error; and so it is with anything appended. */
static void truncated_at_every_byte(void **unused)
{
    (void)unused;
    unsigned char file[1024];
    message_log messages;
    const char *header = "{\"__metadata__\": {\"k\": \"v\"}, " T("a", "F32", "2", 0, 8) ", " T(
        "b", "F16", "3", 8, 14) "}";
    const size_t size = put_file(file, header, strlen(header), 14);
    assert_status(open_exact(file, size, &messages), VITC_OK, &messages);
    for (size_t cut = 0; cut < size; cut++) {
        const vitc_status status = open_exact(file, cut, &messages);
        if (status != VITC_ERR_TRUNCATED)
            fail_msg("cut at %zu of %zu: %s", cut, size, vitc_status_string(status));
    }
    file[size] = 0;
    assert_status(open_exact(file, size + 1, &messages), VITC_ERR_CORRUPT, &messages);
}

/* Any single byte of the header changed to any value: never a crash, and what is accepted covers
 * the data. */
static void every_byte_changed(void **unused)
{
    (void)unused;
    unsigned char file[1024];
    message_log messages;
    const char *header = "{" T("a", "F32", "2", 0, 8) ", " T("b", "F16", "3", 8, 14) "}";
    const size_t size = put_file(file, header, strlen(header), 14);
    size_t accepted = 0, tried = 0;
    for (size_t i = 0; i < 8 + strlen(header); i++) {
        const unsigned char kept = file[i];
        for (int value = 0; value < 256; value++) {
            file[i] = (unsigned char)value;
            accepted += open_exact(file, size, &messages) == VITC_OK;
            tried++;
        }
        file[i] = kept;
    }
    /* Names may change, and little else. */
    assert_true(accepted > 0 && accepted < tried / 10);
}

static void other_formats(void **unused)
{
    (void)unused;
    static const struct {
        const char *bytes;
        size_t size;
        vitc_status status;
        const char *says;
    } rows[] = {
        {"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n", 63,
         VITC_ERR_CORRUPT, "git lfs pull"},
        {"<!DOCTYPE html><html>404</html>", 31, VITC_ERR_CORRUPT, "web page"},
        {"\n\n  <HTML><body>Sign in</body></HTML>", 37, VITC_ERR_CORRUPT, "web page"},
        {"PK\3\4 and then a PyTorch zip archive", 36, VITC_ERR_UNSUPPORTED, "save_file"},
        {"\x80\2}q\0. and then", 15, VITC_ERR_UNSUPPORTED, "pickle"},
        {"GGUF\3\0\0\0\0\0\0\0", 12, VITC_ERR_UNSUPPORTED, "GGUF"},
        {"lmgg\0\0\0\0\1\0\0\0", 12, VITC_ERR_UNSUPPORTED, "ggml"},
        {"\x89HDF\r\n\x1a\n\0\0\0\0", 12, VITC_ERR_UNSUPPORTED, "HDF5"},
        {"{\"model_type\": \"vit\"}", 21, VITC_ERR_UNSUPPORTED, "config.json"},
        {"", 0, VITC_ERR_TRUNCATED, "0 bytes"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        message_log messages;
        assert_status(open_exact((const unsigned char *)rows[i].bytes, rows[i].size, &messages),
                      rows[i].status, &messages);
        assert_says(&messages, rows[i].says);
    }
    /* A length that happens to look like a zip's magic is still a length. */
    const size_t length = 0x04034B50; /* "PK\3\4" */
    unsigned char *file = malloc(8 + length);
    message_log messages;
    assert_non_null(file);
    memset(file, ' ', 8 + length);
    memcpy(file, "PK\3\4\0\0\0\0{}", 10);
    assert_status(open_exact(file, 8 + length, &messages), VITC_OK, &messages);
    free(file);
}

static void limits(void **unused)
{
    (void)unused;
    message_log messages;
    /* Names of 512 bytes, and of 513. */
    for (size_t length = 512; length <= 513; length++) {
        char header[1024];
        unsigned char file[2048];
        char name[600];
        memset(name, 'n', length);
        name[length] = 0;
        snprintf(header, sizeof header,
                 "{\"%s\": {\"dtype\": \"U8\", \"shape\": [0], \"data_offsets\": [0, 0]}}", name);
        const size_t size = put_file(file, header, strlen(header), 0);
        assert_status(open_exact(file, size, &messages),
                      length == 512 ? VITC_OK : VITC_ERR_TOO_LARGE, &messages);
    }
    /* As many tensors as are allowed, and one more. */
    for (size_t count = VIT_TENSOR_COUNT_MAX; count <= VIT_TENSOR_COUNT_MAX + 1; count++) {
        unsigned char *file = malloc(8 + count * 80 + 2);
        assert_non_null(file);
        char *header = (char *)file + 8;
        size_t length = 0;
        header[length++] = '{';
        for (size_t i = 0; i < count; i++)
            length +=
                (size_t)sprintf(header + length,
                                "%s\"%zu\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}",
                                i > 0 ? "," : "", i);
        header[length++] = '}';
        for (int b = 0; b < 8; b++) file[b] = (unsigned char)((uint64_t)length >> 8 * b);
        assert_status(open_exact(file, 8 + length, &messages),
                      count == VIT_TENSOR_COUNT_MAX ? VITC_OK : VITC_ERR_TOO_LARGE, &messages);
        free(file);
    }
}

/* Deep nesting ends in a status, whatever the JSON library does with it. */
static void deep_nesting(void **unused)
{
    (void)unused;
    enum { DEPTH = 200000 };
    unsigned char *file = malloc(8 + 6 + 2 * DEPTH);
    message_log messages;
    assert_non_null(file);
    size_t length = (size_t)sprintf((char *)file + 8, "{\"a\":");
    memset(file + 8 + length, '[', DEPTH);
    length += DEPTH;
    for (int b = 0; b < 8; b++) file[b] = (unsigned char)((uint64_t)length >> 8 * b);
    assert_status(open_exact(file, 8 + length, &messages), VITC_ERR_TOO_LARGE, &messages);
    free(file);
}

/* What the format does not allow is not written. */
static void headers_are_bounded_in_writing(void **unused)
{
    (void)unused;
    const size_t length = VIT_SAFETENSORS_HEADER_MAX;
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    char folder[64], path[128], *text = malloc(length + 1);
    vit_safetensors_entry none[1];
    vitc_file_writer writer;
    vitc_json *metadata = vitc_json_object();
    assert_non_null(text);
    memset(text, 'x', length);
    text[length] = 0;
    assert_true(vitc_json_set_string(metadata, "vitc.card", text));
    free(text);
    test_make_folder(folder);
    snprintf(path, sizeof path, "%s/x", folder);
    assert_int_equal(vitc_file_writer_open(&writer, path, NULL), VITC_OK);
    assert_status(vit_safetensors_write_header(&writer, none, 0, metadata, &log),
                  VITC_ERR_TOO_LARGE, &messages);
    assert_says(&messages, "100000000");
    vitc_file_writer_abort(&writer);
    vitc_json_free(metadata);
    test_remove_folder(folder);
}

static void every_dtype(void **unused)
{
    (void)unused;
    static const struct {
        const char *name;
        size_t bits;
    } rows[] = {{"BOOL", 8},        {"U8", 8},         {"I8", 8},      {"I16", 16},
                {"U16", 16},        {"F16", 16},       {"BF16", 16},   {"I32", 32},
                {"U32", 32},        {"F32", 32},       {"F64", 64},    {"I64", 64},
                {"U64", 64},        {"C64", 64},       {"F8_E4M3", 8}, {"F8_E5M2", 8},
                {"F8_E8M0", 8},     {"F6_E2M3", 6},    {"F6_E3M2", 6}, {"F4", 4},
                {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}};
    assert_int_equal(sizeof rows / sizeof rows[0], VIT_TENSOR_TYPE_COUNT);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char header[200];
        unsigned char file[400];
        message_log messages;
        const size_t bytes = 4 * rows[i].bits / 8;
        snprintf(header, sizeof header,
                 "{\"a\": {\"dtype\": \"%s\", \"shape\": [4], \"data_offsets\": [0, %zu]}}",
                 rows[i].name, bytes);
        const size_t size = put_file(file, header, strlen(header), bytes);
        assert_status(open_exact(file, size, &messages), VITC_OK, &messages);
        /* Weights are these four, and nothing else is read as if it were. */
        vit_safetensors opened;
        float values[4];
        assert_int_equal(vit_safetensors_open(&opened, file, size, "test", NULL), VITC_OK);
        const bool weights = strcmp(rows[i].name, "F32") == 0 || strcmp(rows[i].name, "F16") == 0 ||
                             strcmp(rows[i].name, "BF16") == 0 || strcmp(rows[i].name, "F64") == 0;
        assert_int_equal(vit_tensor_floats(values, &opened.tensors[0]), weights);
        vit_safetensors_close(&opened);
    }
}

static void metadata_is_found(void **unused)
{
    (void)unused;
    unsigned char file[400];
    vit_safetensors opened;
    const char *header = "{\"__metadata__\": {\"k\": \"Käse\", \"__metadata__\": \"x\"}}";
    const size_t size = put_file(file, header, strlen(header), 0);
    assert_int_equal(vit_safetensors_open(&opened, file, size, "test", NULL), VITC_OK);
    assert_string_equal(vit_safetensors_metadata(&opened, "k"), "Käse");
    assert_null(vit_safetensors_metadata(&opened, "absent"));
    assert_int_equal(opened.count, 0);
    vit_safetensors_close(&opened);
}

/* ---- writing ---- */

static void written_as_the_reference_does(void **unused)
{
    (void)unused;
    char folder[64], path[128];
    message_log messages;
    const vitc_log log = message_log_start(&messages);
    static const float values[] = {1.0f, -2.5f, 0x1.01p0f, 3.0e38f, 0.0f, -0.0f};
    vit_safetensors_entry entries[] = {
        {.name = "z", .type = VIT_TENSOR_BF16, .rank = 2, .shape = {1, 2}, .count = 2, .tag = 0},
        {.name = "y", .type = VIT_TENSOR_F32, .rank = 1, .shape = {3}, .count = 3, .tag = 1},
        {.name = "b", .type = VIT_TENSOR_F32, .rank = 0, .count = 1, .tag = 2},
        {.name = "a", .type = VIT_TENSOR_BF16, .rank = 1, .shape = {1}, .count = 1, .tag = 3},
    };
    vitc_json *metadata = vitc_json_object();
    assert_true(vitc_json_set_string(metadata, "k", "quote \" and Käse"));
    test_make_folder(folder);
    snprintf(path, sizeof path, "%s/out.safetensors", folder);

    vitc_file_writer writer;
    assert_int_equal(vitc_file_writer_open(&writer, path, &log), VITC_OK);
    assert_int_equal(vit_safetensors_write_header(&writer, entries, 4, metadata, &log), VITC_OK);
    static const size_t order[] = {2, 1, 3, 0}; /* F32 b y, BF16 a z */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(entries[i].tag, order[i]);
        assert_true(
            vit_safetensors_write_floats(&writer, entries[i].type, values, entries[i].count));
    }
    assert_int_equal(vitc_file_writer_commit(&writer, &log), VITC_OK);
    vitc_json_free(metadata);

    test_bytes bytes = test_read_file(path);
    size_t length = 0;
    for (int i = 0; i < 8; i++) length |= (size_t)bytes.data[i] << 8 * i;
    assert_int_equal(length % 8, 0);
    assert_int_equal(bytes.size, 8 + length + 16 + 6);
    vit_safetensors opened;
    assert_int_equal(vit_safetensors_open(&opened, bytes.data, bytes.size, path, &log), VITC_OK);
    assert_string_equal(vit_safetensors_metadata(&opened, "k"), "quote \" and Käse");
    static const char *const names[] = {"b", "y", "a", "z"};
    static const size_t begins[] = {0, 4, 16, 18}, counts[] = {1, 3, 1, 2};
    for (size_t i = 0; i < 4; i++) {
        float found[3];
        const vit_tensor *t = vit_safetensors_find(&opened, names[i]);
        assert_non_null(t);
        assert_int_equal(t->data - (bytes.data + 8 + length), begins[i]);
        assert_int_equal(t->count, counts[i]);
        assert_true(vit_tensor_floats(found, t));
        for (size_t k = 0; k < t->count; k++)
            assert_true(found[k] == (t->type == VIT_TENSOR_BF16
                                         ? vit_float_from_bf16(vit_float_to_bf16(values[k]))
                                         : values[k]));
    }
    assert_int_equal(vit_safetensors_find(&opened, "z")->rank, 2);
    assert_int_equal(vit_safetensors_find(&opened, "b")->rank, 0);
    vit_safetensors_close(&opened);
    free(bytes.data);

    /* A finite number beyond bfloat16 is refused; infinity itself is not finite and passes. */
    static const float largest[] = {0x1.fep127f, INFINITY, NAN}, beyond[] = {1.0f, 0x1.fffffep127f};
    assert_int_equal(vitc_file_writer_open(&writer, path, &log), VITC_OK);
    assert_true(vit_safetensors_write_floats(&writer, VIT_TENSOR_BF16, largest, 3));
    assert_false(vit_safetensors_write_floats(&writer, VIT_TENSOR_BF16, beyond, 2));
    assert_true(vit_safetensors_write_floats(&writer, VIT_TENSOR_F32, beyond, 2));
    vitc_file_writer_abort(&writer);
    test_remove_folder(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(f16_every_value),
        cmocka_unit_test(bf16_every_value),
        cmocka_unit_test(bf16_rounds_to_nearest_even),
        cmocka_unit_test(f64_rounds),
        cmocka_unit_test(nonfinite_is_found),
        cmocka_unit_test(header_rules),
        cmocka_unit_test(header_lengths),
        cmocka_unit_test(truncated_at_every_byte),
        cmocka_unit_test(every_byte_changed),
        cmocka_unit_test(other_formats),
        cmocka_unit_test(limits),
        cmocka_unit_test(deep_nesting),
        cmocka_unit_test(headers_are_bounded_in_writing),
        cmocka_unit_test(every_dtype),
        cmocka_unit_test(metadata_is_found),
        cmocka_unit_test(written_as_the_reference_does),
    };
    return cmocka_run_group_tests_name("safetensors", tests, NULL, NULL);
}
