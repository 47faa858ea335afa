/* cli_check - what the tests of the program cannot see with shell tools.
 *
 *   cli_check bench             the array of `bench --json` on stdin: each row must have the keys
 *                               that docs/vitc.1 states, and numbers that can be true together;
 *                               prints "config precision batch threads [ops]"
 *   cli_check eval ROWS         the object of `eval --json` on stdin against its rows: keys as
 *                               docs/vitc.1 states them, and every number made again from the rows;
 *                               prints "n n_ok n_bad right"
 *   cli_check rows              rows of `classify --json` on stdin: each must be exactly the object
 *                               that docs/vitc.1 states, keys in order; prints
 *                               "status WIDTHxHEIGHT top-1 path", paths with their controls shown
 *   cli_check distance A B      how far the weights of model file B are from A's, as a part of A's:
 *                               |B - A| / |A|, of all numbers together
 *   cli_check golden FILE       the same rows against tests/golden/bundled.json: sizes, top-5
 *                               order, scores
 *   cli_check json [KEY...]     one JSON document on stdin; prints the value below the keys
 *   cli_check model KIND OP AT FILE
 *                               writes a tiny model with positions of that kind (words of
 *                               patches.h), 3x4 patches, 2 blocks of 2 heads
 *   cli_check npy FILE MODEL T  a NumPy file against tensor T of a safetensors file
 *   cli_check offsets FILE T    "BEGIN END", bytes of tensor T from the start of a safetensors file
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vitc_file.h"
#include "vitc_json.h"
#include "vit_weights.h"

/* Scores of one model in float32 by two programs: sums in another order differ by about 1e-6. */
static const double score_tolerance = 1e-4;
/* The tensor is the same float32 arithmetic on the same pixels. */
static const double tensor_tolerance = 1e-6;

static void say(void *user, vitc_log_level level, const char *message)
{
    (void)user;
    (void)level;
    fprintf(stderr, "cli_check: %s\n", message);
}

static const vitc_log speaking = {say, NULL};

#define fail(...)                                                                                  \
    do {                                                                                           \
        fprintf(stderr, "cli_check: " __VA_ARGS__);                                                \
        fputc('\n', stderr);                                                                       \
        exit(1);                                                                                   \
    } while (0)

static char *read_all(size_t *size)
{
    unsigned char *data;
    if (vitc_file_read_fd(&data, size, STDIN_FILENO, "stdin", 1u << 30, &speaking) != VITC_OK)
        exit(1);
    return (char *)data;
}

static vitc_json *parse(const char *text, size_t size, const char *name)
{
    vitc_json *document;
    if (vitc_json_parse(&document, text, size, name, &speaking) != VITC_OK) exit(1);
    return document;
}

/* ---- rows ---- */

/* The keys of an object, in order, separated by spaces. */
static void keys_of(char *text, size_t size, const vitc_json *object)
{
    size_t used = 0;
    text[0] = 0;
    for (void *it = vitc_json_first(object); it != NULL; it = vitc_json_next(object, it))
        used += (size_t)snprintf(text + used, used < size ? size - used : 0, "%s%s",
                                 used != 0 ? " " : "", vitc_json_key(it));
}

static void check_top(const vitc_json *top, const char *path)
{
    double last = INFINITY, sum = 0;
    if (vitc_json_size(top) == 0) fail("%s: top is empty", path);
    for (size_t i = 0; i < vitc_json_size(top); i++) {
        char keys[64];
        const vitc_json *entry = vitc_json_at(top, i);
        keys_of(keys, sizeof keys, entry);
        if (strcmp(keys, "index label score") != 0) fail("%s: top has keys: %s", path, keys);
        if (!vitc_json_is_integer(vitc_json_get(entry, "index")) ||
            !vitc_json_is_string(vitc_json_get(entry, "label")) ||
            !vitc_json_is_number(vitc_json_get(entry, "score")))
            fail("%s: a value of top has the wrong type", path);
        const double score = vitc_json_number(vitc_json_get(entry, "score"), -1);
        if (!(score >= 0 && score <= 1 && score <= last)) fail("%s: score %g", path, score);
        last = score;
        sum += score;
    }
    if (sum > 1 + 1e-5) fail("%s: scores sum to %g", path, sum);
}

static const char *check_row(const vitc_json *row)
{
    static const char *const failures[] = {"truncated", "corrupt",    "unsupported",
                                           "too_large", "unreadable", "overflow"};
    char keys[128];
    const char *path = vitc_json_string(vitc_json_get(row, "path"), NULL);
    const char *status = vitc_json_string(vitc_json_get(row, "status"), NULL);
    if (path == NULL || status == NULL) fail("a row without path or status");
    keys_of(keys, sizeof keys, row);
    if (strcmp(status, "ok") == 0) {
        if (strcmp(keys, "path status width height top") != 0 &&
            strcmp(keys, "path status width height top logits") != 0)
            fail("%s: keys of a good row: %s", path, keys);
        if (vitc_json_integer(vitc_json_get(row, "width"), 0) < 1 ||
            vitc_json_integer(vitc_json_get(row, "height"), 0) < 1)
            fail("%s: no size", path);
        check_top(vitc_json_get(row, "top"), path);
        const vitc_json *logits = vitc_json_get(row, "logits");
        for (size_t i = 0; i < vitc_json_size(logits); i++)
            if (!vitc_json_is_number(vitc_json_at(logits, i))) fail("%s: logit %zu", path, i);
        return path;
    }
    if (strcmp(keys, "path status error") != 0 &&
        strcmp(keys, "path status width height error") != 0)
        fail("%s: keys of a failed row: %s", path, keys);
    if (vitc_json_string(vitc_json_get(row, "error"), "")[0] == 0) fail("%s: no reason", path);
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        if (strcmp(status, failures[i]) == 0) return path;
    fail("%s: unknown status %s", path, status);
}

static void print_row(const vitc_json *row, const char *path)
{
    const vitc_json *best = vitc_json_at(vitc_json_get(row, "top"), 0);
    printf("%s ", vitc_json_string(vitc_json_get(row, "status"), "?"));
    if (vitc_json_get(row, "width") != NULL)
        printf("%lldx%lld ", (long long)vitc_json_integer(vitc_json_get(row, "width"), 0),
               (long long)vitc_json_integer(vitc_json_get(row, "height"), 0));
    else
        fputs("- ", stdout);
    printf("%s ", vitc_json_string(vitc_json_get(best, "label"), "-"));
    for (const char *c = path; *c != 0; c++)
        if ((unsigned char)*c < 0x20)
            printf("\\x%02x", (unsigned)*c);
        else
            putchar(*c);
    putchar('\n');
}

/* Calls `visit` for every row of stdin; the number of rows. */
static size_t each_row(void (*visit)(const vitc_json *row, const char *path, void *user),
                       void *user)
{
    size_t size, count = 0;
    char *text = read_all(&size);
    for (size_t at = 0; at < size; count++) {
        const char *end = memchr(text + at, '\n', size - at);
        if (end == NULL) fail("the last row has no end");
        const size_t length = (size_t)(end - (text + at));
        vitc_json *row = parse(text + at, length, "row");
        visit(row, check_row(row), user);
        vitc_json_free(row);
        at += length + 1;
    }
    free(text);
    return count;
}

static void visit_print(const vitc_json *row, const char *path, void *user)
{
    (void)user;
    print_row(row, path);
}

static void visit_golden(const vitc_json *row, const char *path, void *user)
{
    const vitc_json *images = user;
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    const vitc_json *golden = NULL;
    for (size_t i = 0; i < vitc_json_size(images); i++)
        if (strcmp(vitc_json_string(vitc_json_get(vitc_json_at(images, i), "file"), ""), name) == 0)
            golden = vitc_json_at(images, i);
    if (golden == NULL) fail("%s: not among the golden images", name);
    static const char *const sides[] = {"width", "height"};
    for (int s = 0; s < 2; s++)
        if (vitc_json_integer(vitc_json_get(row, sides[s]), -1) !=
            vitc_json_integer(vitc_json_get(golden, sides[s]), -2))
            fail("%s: %s differs", name, sides[s]);
    const vitc_json *a = vitc_json_get(row, "top"), *b = vitc_json_get(golden, "top");
    if (vitc_json_size(a) != 5 || vitc_json_size(b) != 5) fail("%s: not five labels", name);
    for (size_t i = 0; i < 5; i++) {
        const char *label = vitc_json_string(vitc_json_get(vitc_json_at(a, i), "label"), "a");
        const char *other = vitc_json_string(vitc_json_get(vitc_json_at(b, i), "label"), "b");
        const double score = vitc_json_number(vitc_json_get(vitc_json_at(a, i), "score"), -1);
        const double right = vitc_json_number(vitc_json_get(vitc_json_at(b, i), "score"), -2);
        if (strcmp(label, other) != 0) fail("%s: place %zu: %s, not %s", name, i, label, other);
        if (!(fabs(score - right) <= score_tolerance))
            fail("%s: %s has score %.6f, not %.6f", name, label, score, right);
    }
}

static void check_golden(const char *path)
{
    unsigned char *text;
    size_t size;
    if (vitc_file_read(&text, &size, path, 1u << 24, &speaking) != VITC_OK) exit(1);
    vitc_json *document = parse((const char *)text, size, path);
    const vitc_json *images = vitc_json_get(document, "images");
    const size_t count = each_row(visit_golden, (void *)(uintptr_t)images);
    if (count == 0 || count != vitc_json_size(images))
        fail("%zu rows for %zu golden images", count, vitc_json_size(images));
    printf("%zu images agree\n", count);
    vitc_json_free(document);
    free(text);
}

/* ---- documents ---- */

static void check_json(char *const *keys, int count)
{
    size_t size;
    char *text = read_all(&size);
    vitc_json *document = parse(text, size, "stdin");
    const vitc_json *value = document;
    for (int i = 0; i < count; i++)
        value = vitc_json_is_array(value) ? vitc_json_at(value, strtoul(keys[i], NULL, 10))
                                          : vitc_json_get(value, keys[i]);
    if (value == NULL) fail("no such key: %s", keys[count - 1]);
    if (count > 0) {
        char *shown = vitc_json_dump(value, 0, 9);
        if (shown == NULL) fail("no memory");
        puts(shown);
        free(shown);
    }
    vitc_json_free(document);
    free(text);
}

/* ---- tensors ---- */

static uint64_t little_endian(const unsigned char *bytes, size_t count)
{
    uint64_t value = 0;
    for (size_t i = count; i-- > 0;) value = value << 8 | bytes[i];
    return value;
}

/* Where a tensor's bytes are; the shape as "(3, 32, 32)". */
static void find_tensor(size_t *begin, size_t *end, char *shape, size_t shape_size,
                        const vitc_file *file, const char *name)
{
    if (file->size < 8) fail("no safetensors file");
    const uint64_t header = little_endian(file->data, 8);
    if (header > file->size - 8) fail("no safetensors file");
    vitc_json *document = parse((const char *)file->data + 8, (size_t)header, "header");
    const vitc_json *tensor = vitc_json_get(document, name);
    const vitc_json *offsets = vitc_json_get(tensor, "data_offsets");
    if (vitc_json_size(offsets) != 2) fail("no tensor %s", name);
    *begin = 8 + (size_t)header + (size_t)vitc_json_integer(vitc_json_at(offsets, 0), 0);
    *end = 8 + (size_t)header + (size_t)vitc_json_integer(vitc_json_at(offsets, 1), 0);
    if (*begin > *end || *end > file->size) fail("tensor %s is not inside the file", name);
    const vitc_json *sides = vitc_json_get(tensor, "shape");
    size_t used = (size_t)snprintf(shape, shape_size, "(");
    for (size_t i = 0; i < vitc_json_size(sides) && used < shape_size; i++)
        used += (size_t)snprintf(shape + used, shape_size - used, "%s%lld", i != 0 ? ", " : "",
                                 (long long)vitc_json_integer(vitc_json_at(sides, i), 0));
    if (used < shape_size) snprintf(shape + used, shape_size - used, ")");
    vitc_json_free(document);
}

static void print_offsets(const char *path, const char *name)
{
    vitc_file file;
    size_t begin, end;
    char shape[64];
    if (vitc_file_map(&file, path, &speaking) != VITC_OK) exit(1);
    find_tensor(&begin, &end, shape, sizeof shape, &file, name);
    printf("%zu %zu\n", begin, end);
    vitc_file_unmap(&file);
}

static float float_at(const unsigned char *bytes)
{
    const uint32_t bits = (uint32_t)little_endian(bytes, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void check_npy(const char *path, const char *tensors, const char *name)
{
    vitc_file npy, file;
    size_t begin, end;
    char shape[64], dict[160];
    if (vitc_file_map(&npy, path, &speaking) != VITC_OK ||
        vitc_file_map(&file, tensors, &speaking) != VITC_OK)
        exit(1);
    find_tensor(&begin, &end, shape, sizeof shape, &file, name);
    if (npy.size < 10 || memcmp(npy.data, "\x93NUMPY\x01\x00", 8) != 0) fail("%s: no NumPy", path);
    const size_t start = 10 + (size_t)little_endian(npy.data + 8, 2);
    if (start % 64 != 0 || start > npy.size || npy.data[start - 1] != '\n')
        fail("%s: the header ends wrongly", path);
    const int used = snprintf(dict, sizeof dict,
                              "{'descr': '<f4', 'fortran_order': False, 'shape': %s, }", shape);
    if (memcmp(npy.data + 10, dict, (size_t)used) != 0)
        fail("%s: the header is not %s", path, dict);
    if (npy.size - start != end - begin) fail("%s: %zu bytes", path, npy.size - start);
    for (size_t i = 0; i < end - begin; i += 4) {
        const double a = (double)float_at(npy.data + start + i);
        const double b = (double)float_at(file.data + begin + i);
        if (!(fabs(a - b) <= tensor_tolerance))
            fail("%s: value %zu: %g, not %g", name, i / 4, a, b);
    }
    vitc_file_unmap(&npy);
    vitc_file_unmap(&file);
}

/* ---- bench ---- */

/* Of a peak that is measured in bursts, while other tests share the processor and interrupt them.
 */
static const double fraction_most = 20;

static double positive(const vitc_json *object, const char *key)
{
    const double value = vitc_json_number(vitc_json_get(object, key), NAN);
    if (!(value > 0 && value < 1e9)) fail("bench: %s is %g", key, value);
    return value;
}

/* speed / peak, as far as printed digits go; null where there is no peak. */
static void check_fraction(const vitc_json *object, const vitc_json *peak)
{
    const vitc_json *fraction = vitc_json_get(object, "peak_fraction");
    if (vitc_json_is_null(peak)) {
        if (!vitc_json_is_null(fraction)) fail("bench: a fraction of no peak");
        return;
    }
    const double value = vitc_json_number(fraction, NAN), speed = positive(object, "gflops");
    if (!(value > 0 && value < fraction_most &&
          fabs(value * vitc_json_number(peak, NAN) / speed - 1) < 1e-4))
        fail("bench: peak_fraction is %g", value);
}

static void check_ops(const vitc_json *row)
{
    static const char *const names[] = {"embed", "qkv", "attention", "proj", "fc1", "fc2", "head"};
    const vitc_json *ops = vitc_json_get(row, "ops");
    double shares = 0;
    if (ops == NULL) return;
    if (vitc_json_size(ops) != sizeof names / sizeof *names) fail("bench: not all ops");
    for (size_t i = 0; i < vitc_json_size(ops); i++) {
        char keys[128];
        const vitc_json *op = vitc_json_at(ops, i);
        keys_of(keys, sizeof keys, op);
        if (strcmp(keys, "op ms_per_image gflops peak_fraction share") != 0 ||
            strcmp(vitc_json_string(vitc_json_get(op, "op"), ""), names[i]) != 0)
            fail("bench: op %zu has keys: %s", i, keys);
        check_fraction(op, vitc_json_get(row, "peak_gflops"));
        positive(op, "ms_per_image");
        shares += positive(op, "share");
    }
    if (fabs(shares - 1) > 1e-4) fail("bench: shares sum to %g", shares);
}

static void check_bench_row(const vitc_json *row)
{
    char keys[512] = "";
    keys_of(keys, sizeof keys, row);
    const char *stated = "config precision batch threads ms_per_image q1_ms q3_ms runs gflops "
                         "peak_fraction peak_gflops gflop_per_image nominal_gflop_per_image "
                         "memory_gb_per_s kernel kernels blis_config cpu weights";
    const size_t length = strlen(stated);
    if (strncmp(keys, stated, length) != 0 ||
        (keys[length] != 0 && strcmp(keys + length, " ops") != 0))
        fail("bench: a row has keys: %s", keys);
    const double ms = positive(row, "ms_per_image"), flop = positive(row, "gflop_per_image");
    if (positive(row, "q1_ms") > ms || positive(row, "q3_ms") < ms) fail("bench: quartiles");
    if (positive(row, "runs") < 5) fail("bench: less than five runs");
    if (flop > positive(row, "nominal_gflop_per_image")) fail("bench: more than nominal");
    if (fabs(positive(row, "gflops") * ms / (1e3 * flop) - 1) > 1e-4) fail("bench: gflops");
    positive(row, "memory_gb_per_s");
    if (!vitc_json_is_null(vitc_json_get(row, "peak_gflops"))) positive(row, "peak_gflops");
    check_fraction(row, vitc_json_get(row, "peak_gflops"));
    check_ops(row);
    printf("%s %s %lld %lld%s\n", vitc_json_string(vitc_json_get(row, "config"), "?"),
           vitc_json_string(vitc_json_get(row, "precision"), "?"),
           (long long)vitc_json_integer(vitc_json_get(row, "batch"), 0),
           (long long)vitc_json_integer(vitc_json_get(row, "threads"), 0),
           vitc_json_get(row, "ops") != NULL ? " ops" : "");
}

static void check_bench(void)
{
    size_t size;
    char *text = read_all(&size);
    vitc_json *rows = parse(text, size, "bench");
    if (!vitc_json_is_array(rows) || vitc_json_size(rows) == 0) fail("bench: no rows");
    for (size_t i = 0; i < vitc_json_size(rows); i++) check_bench_row(vitc_json_at(rows, i));
    vitc_json_free(rows);
    free(text);
}

/* ---- eval ---- */

enum { BINS = 15, MOST_CLASSES = 64 };

/* What an object of `eval --json` says, made again from rows by other means. */
typedef struct tally {
    long long n, ok, right, right5;
    double nll, brier, confidence;
    long long bin_n[BINS], bin_right[BINS];
    double bin_confidence[BINS];
    size_t classes;
    long long matrix[MOST_CLASSES][MOST_CLASSES]; /* label, prediction */
} tally;

static long long integer(const vitc_json *object, const char *key)
{
    const vitc_json *value = vitc_json_get(object, key);
    if (!vitc_json_is_integer(value)) fail("eval: %s is no integer", key);
    return vitc_json_integer(value, 0);
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void add_row(tally *t, const vitc_json *row, long long number)
{
    char keys[256];
    keys_of(keys, sizeof keys, row);
    if (integer(row, "index") != number) fail("eval: row %lld is out of place", number);
    t->n++;
    if (strcmp(vitc_json_string(vitc_json_get(row, "status"), ""), "ok") != 0) {
        if (!begins(keys, "index path status label label_index error"))
            fail("eval: a bad row has keys: %s", keys);
        return;
    }
    if (!begins(keys, "index path status label label_index prediction score rank nll brier top"))
        fail("eval: a row has keys: %s", keys);
    check_top(vitc_json_get(row, "top"), "eval");
    const vitc_json *first = vitc_json_at(vitc_json_get(row, "top"), 0);
    const long long label = integer(row, "label_index"), prediction = integer(first, "index");
    const double score = vitc_json_number(vitc_json_get(row, "score"), NAN);
    if (label < 0 || prediction < 0 || label >= MOST_CLASSES || prediction >= MOST_CLASSES)
        fail("eval: too many classes for cli_check");
    int bin = (int)ceil(score * BINS) - 1;
    if (bin < 0) bin = 0;
    t->ok++;
    t->right += label == prediction;
    t->right5 += integer(row, "rank") <= 5;
    t->nll += vitc_json_number(vitc_json_get(row, "nll"), NAN);
    t->brier += vitc_json_number(vitc_json_get(row, "brier"), NAN);
    t->confidence += score;
    t->bin_n[bin]++;
    t->bin_right[bin] += label == prediction;
    t->bin_confidence[bin] += score;
    t->matrix[label][prediction]++;
}

static void read_rows(tally *t, const char *path)
{
    unsigned char *text;
    size_t size;
    long long number = -1;
    if (vitc_file_read(&text, &size, path, 1u << 30, &speaking) != VITC_OK) exit(1);
    for (size_t at = 0; at < size; number++) {
        const unsigned char *end = memchr(text + at, '\n', size - at);
        if (end == NULL) fail("%s: the last row has no end", path);
        const size_t length = (size_t)(end - (text + at));
        vitc_json *row = parse((const char *)text + at, length, "row");
        if (number >= 0)
            add_row(t, row, number);
        else if (integer(row, "vitc_rows") != 1)
            fail("%s: no description", path);
        vitc_json_free(row);
        at += length + 1;
    }
    free(text);
}

static void expect(const vitc_json *object, const char *key, double value)
{
    const vitc_json *found = vitc_json_get(object, key);
    if (isnan(value) ? !vitc_json_is_null(found)
                     : !(fabs(vitc_json_number(found, NAN) - value) <= 1e-9))
        fail("eval: %s is %g, and %.12g by the rows", key, vitc_json_number(found, NAN), value);
}

static double ratio(double a, double b)
{
    return b > 0 ? a / b : NAN;
}

static void expect_bins(const vitc_json *result, const tally *t)
{
    const vitc_json *bins = vitc_json_get(result, "reliability");
    double ece = 0;
    if (vitc_json_size(bins) != BINS) fail("eval: %zu bins", vitc_json_size(bins));
    for (int i = 0; i < BINS; i++) {
        const vitc_json *bin = vitc_json_at(bins, (size_t)i);
        const double n = (double)t->bin_n[i];
        if (integer(bin, "n") != t->bin_n[i]) fail("eval: bin %d has another n", i);
        expect(bin, "accuracy", ratio((double)t->bin_right[i], n));
        expect(bin, "confidence", ratio(t->bin_confidence[i], n));
        ece += fabs((double)t->bin_right[i] - t->bin_confidence[i]);
    }
    expect(result, "ece", ratio(ece, (double)t->ok));
}

static void expect_classes(const vitc_json *result, const tally *t)
{
    const vitc_json *classes = vitc_json_get(result, "classes");
    const vitc_json *pairs = vitc_json_get(result, "confusions");
    const size_t count = vitc_json_size(classes);
    long long wrong = 0;
    if (count == 0 || count > MOST_CLASSES) fail("eval: %zu classes", count);
    for (size_t k = 0; k < count; k++) {
        const vitc_json *class = vitc_json_at(classes, k);
        double support = 0, predicted = 0;
        const double right = (double)t->matrix[k][k];
        for (size_t i = 0; i < count; i++) {
            support += (double)t->matrix[k][i];
            predicted += (double)t->matrix[i][k];
        }
        expect(class, "index", (double)k);
        expect(class, "support", support);
        expect(class, "predicted", predicted);
        expect(class, "right", right);
        expect(class, "recall", ratio(right, support));
        expect(class, "precision", ratio(right, predicted));
        expect(class, "f1", ratio(2 * right, support + predicted));
    }
    for (size_t i = 0; i < vitc_json_size(pairs); i++) {
        const vitc_json *pair = vitc_json_at(pairs, i);
        const long long a = integer(pair, "index"), b = integer(pair, "prediction_index");
        if (a == b || a < 0 || b < 0 || a >= MOST_CLASSES || b >= MOST_CLASSES ||
            integer(pair, "n") != t->matrix[a][b])
            fail("eval: confusion %zu is not that of the rows", i);
        wrong += integer(pair, "n");
    }
    if (wrong != t->ok - t->right) fail("eval: confusions are not all");
}

static void check_eval(const char *path)
{
    static tally t;
    size_t size;
    char keys[512];
    char *text = read_all(&size);
    vitc_json *result = parse(text, size, "eval");
    read_rows(&t, path);
    keys_of(keys, sizeof keys, result);
    const char *stated =
        "model model_sha256 precision data data_kind data_sha256 data_changed "
        "complete stopped n n_ok "
        "n_bad bad other_files top1 top1_interval top5 top5_interval loss brier ece "
        "ece_calibrated ece2_debiased mean_confidence balanced_accuracy macro_f1 "
        "reliability classes confusions";
    if (!begins(keys, stated)) fail("eval: keys: %s", keys);
    const vitc_json *bad = vitc_json_get(result, "bad");
    long long n_bad = 0;
    for (void *it = vitc_json_first(bad); it != NULL; it = vitc_json_next(bad, it))
        n_bad += integer(bad, vitc_json_key(it));
    expect(result, "n", (double)t.n);
    expect(result, "n_ok", (double)t.ok);
    expect(result, "n_bad", (double)(t.n - t.ok));
    if (n_bad != t.n - t.ok) fail("eval: the reasons do not sum to n_bad");
    const double ok = (double)t.ok;
    expect(result, "top1", ratio((double)t.right, ok));
    expect(result, "top5", ratio((double)t.right5, ok));
    expect(result, "loss", ratio(t.nll, ok));
    expect(result, "brier", ratio(t.brier, ok));
    expect(result, "mean_confidence", ratio(t.confidence, ok));
    expect_bins(result, &t);
    expect_classes(result, &t);
    printf("%lld %lld %lld %lld\n", t.n, t.ok, t.n - t.ok, t.right);
    vitc_json_free(result);
    free(text);
}

/* ---- models ---- */

static int index_of(const char *word, const char *(*name)(int), const char *what)
{
    for (int i = 0; name(i) != NULL; i++)
        if (strcmp(name(i), word) == 0) return i;
    fail("%s is no %s", word, what);
}

static const char *kind_name(int i)
{
    return patches_position_string((patches_position_kind)i);
}

static const char *op_name(int i)
{
    return patches_position_op_string((patches_position_op)i);
}

static const char *at_name(int i)
{
    return patches_position_at_string((patches_position_at)i);
}

/* Numbers that every machine makes alike; gains are near 1. */
static void fill_parameters(const vit_weights *weights)
{
    for (size_t p = 0; p < weights->table.count; p++) {
        const vit_param *param = &weights->table.params[p];
        const bool gain =
            strstr(param->name, "norm") != NULL && strstr(param->name, "weight") != NULL;
        for (size_t i = 0; i < param->count; i++)
            weights->parameters[param->offset + i] =
                (float)((i * i * 37 + i * 11 + p * 5) % 23) / 64 - 11.0f / 64 + (gain ? 1 : 0);
    }
}

static void write_model(char **words)
{
    vit_config config;
    vit_weights weights;
    if (vit_config_named(&config, "testing", &speaking) != VITC_OK) exit(1);
    config.patch = 8;
    config.image_height = 24;
    config.image_width = 32;
    config.width = 16;
    config.heads = 2;
    config.layers = 2;
    config.mlp = 24;
    config.classes = 3;
    config.position = (patches_position_kind)index_of(words[0], kind_name, "kind");
    config.position_op = (patches_position_op)index_of(words[1], op_name, "op");
    config.position_at = (patches_position_at)index_of(words[2], at_name, "place");
    config.position_covers_prefix = false;
    if (vit_weights_create(&weights, &config, &speaking) != VITC_OK) exit(1);
    fill_parameters(&weights);
    weights.description.preprocess = (patches_spec){.resize = PATCHES_RESIZE_EXACT,
                                                    .resize_height = config.image_height,
                                                    .resize_width = config.image_width,
                                                    .filter = IMGIO_BICUBIC,
                                                    .rescale = 1 / 255.0};
    if (vit_weights_write(&weights, words[3], VIT_DTYPE_F32, &speaking) != VITC_OK) exit(1);
    vit_weights_free(&weights);
}

static void print_distance(const char *path, const char *other)
{
    vit_weights a, b;
    double difference = 0, size = 0;
    if (vit_weights_read(&a, path, NULL, &speaking) != VITC_OK ||
        vit_weights_read(&b, other, NULL, &speaking) != VITC_OK)
        exit(1);
    if (a.table.elements != b.table.elements) fail("%s, %s: other models", path, other);
    for (size_t i = 0; i < a.table.elements; i++) {
        const double x = (double)a.parameters[i], y = (double)b.parameters[i];
        difference += (y - x) * (y - x);
        size += x * x;
    }
    printf("%.3g\n", sqrt(difference / size));
    vit_weights_free(&a);
    vit_weights_free(&b);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "rows") == 0 && argc == 2) {
        if (each_row(visit_print, NULL) == 0) fail("no rows");
    } else if (strcmp(what, "golden") == 0 && argc == 3) {
        check_golden(argv[2]);
    } else if (strcmp(what, "bench") == 0 && argc == 2) {
        check_bench();
    } else if (strcmp(what, "distance") == 0 && argc == 4) {
        print_distance(argv[2], argv[3]);
    } else if (strcmp(what, "eval") == 0 && argc == 3) {
        check_eval(argv[2]);
    } else if (strcmp(what, "json") == 0) {
        check_json(argv + 2, argc - 2);
    } else if (strcmp(what, "model") == 0 && argc == 6) {
        write_model(argv + 2);
    } else if (strcmp(what, "npy") == 0 && argc == 5) {
        check_npy(argv[2], argv[3], argv[4]);
    } else if (strcmp(what, "offsets") == 0 && argc == 4) {
        print_offsets(argv[2], argv[3]);
    } else {
        fail("see the head of cli_check.c");
    }
    return 0;
}
