/* The kinds of position embeddings, formula by formula, forward and backward: their published
 * values and what must hold whatever the numbers. The forward pass of whole models is
 * test_vit_position.c's.
 */
#include "patches.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { GH = 3, GW = 4, PATCHES = GH * GW };

/* Numbers of -1 to 1 that look random. */
static void fill(float *x, size_t count, uint64_t seed)
{
    for (size_t i = 0; i < count; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        x[i] = (float)((double)(seed >> 40) / 0x1p23 - 1);
    }
}

static patches_position make(patches_position_kind kind, uint32_t width, const float *table)
{
    return (patches_position){
        .kind = kind, .grid_height = GH, .grid_width = GW, .width = width, .table = table};
}

/* ---- tables ---- */

/* numpy: MAE's get_2d_sincos_pos_embed, D 8, row 1, column 2. */
static void sincos_has_maes_values(void **unused)
{
    (void)unused;
    enum { D = 8 };
    static const double expected[D] = {.909297, .019999, -.416147, .9998,
                                       .841471, .01,     .540302,  .99995};
    float table[PATCHES * D];
    const patches_position position = make(PATCHES_POSITION_SINCOS_2D, D, NULL);
    patches_position_fill(table, &position, NULL, NULL);
    for (size_t i = 0; i < D; i++)
        assert_true(fabs((double)table[(1 * GW + 2) * D + i] - expected[i]) < 1e-6);
    /* the first patch: sines 0, cosines 1 */
    for (size_t i = 0; i < D; i++) assert_true(table[i] == (float)(i / 2 % 2));
}

static void learned_2d_has_columns_then_rows(void **unused)
{
    (void)unused;
    enum { D = 6, HALF = D / 2 };
    float rows[GH * HALF], columns[GW * HALF], table[PATCHES * D];
    fill(rows, GH * HALF, 1);
    fill(columns, GW * HALF, 2);
    const patches_position position = make(PATCHES_POSITION_LEARNED_2D, D, NULL);
    patches_position_fill(table, &position, rows, columns);
    for (size_t y = 0; y < GH; y++)
        for (size_t x = 0; x < GW; x++)
            for (size_t i = 0; i < HALF; i++) {
                const float *slot = table + (y * GW + x) * D;
                assert_true(slot[i] == columns[x * HALF + i]);
                assert_true(slot[HALF + i] == rows[y * HALF + i]);
            }
}

static void factorized_sums_rows_and_columns(void **unused)
{
    (void)unused;
    enum { D = 5 };
    float rows[GH * D], columns[GW * D], table[PATCHES * D];
    fill(rows, GH * D, 1);
    fill(columns, GW * D, 2);
    const patches_position position = make(PATCHES_POSITION_FACTORIZED, D, NULL);
    patches_position_fill(table, &position, rows, columns);
    for (size_t y = 0; y < GH; y++)
        for (size_t x = 0; x < GW; x++)
            for (size_t i = 0; i < D; i++)
                assert_true(table[(y * GW + x) * D + i] == rows[y * D + i] + columns[x * D + i]);
}

/* A table's gradient becomes its row and column sums, added to what is there. */
static void axes_get_sums_of_the_tables_gradient(void **unused)
{
    (void)unused;
    enum { D = 6 };
    float dtable[PATCHES * D], drows[GH * D], dcolumns[GW * D];
    fill(dtable, PATCHES * D, 3);
    for (int kind = PATCHES_POSITION_LEARNED_2D; kind <= PATCHES_POSITION_FACTORIZED; kind++) {
        const patches_position position = make((patches_position_kind)kind, D, NULL);
        const bool halves = kind == PATCHES_POSITION_LEARNED_2D;
        const size_t part = halves ? D / 2 : D, shift = halves ? part : 0;
        for (size_t i = 0; i < GH * D; i++) drows[i] = 1;
        for (size_t i = 0; i < GW * D; i++) dcolumns[i] = 2;
        patches_position_fill_backward(drows, dcolumns, dtable, &position);
        for (size_t i = 0; i < part; i++) {
            for (size_t y = 0; y < GH; y++) {
                double sum = 1;
                for (size_t x = 0; x < GW; x++) sum += (double)dtable[(y * GW + x) * D + shift + i];
                assert_true(fabs((double)drows[y * part + i] - sum) < 1e-6);
            }
            for (size_t x = 0; x < GW; x++) {
                double sum = 2;
                for (size_t y = 0; y < GH; y++) sum += (double)dtable[(y * GW + x) * D + i];
                assert_true(fabs((double)dcolumns[x * part + i] - sum) < 1e-6);
            }
        }
        for (size_t i = GH * part; i < GH * D; i++) assert_true(drows[i] == 1);
        for (size_t i = GW * part; i < GW * D; i++) assert_true(dcolumns[i] == 2);
    }
}

/* ---- tables and tokens ---- */

enum { WIDTH = 4, PREFIX_TOKENS = 3, TOKENS = PREFIX_TOKENS + PATCHES, STRIDE = WIDTH + 3 };

static void positions_are_added_or_multiplied(void **unused)
{
    (void)unused;
    float table[(PREFIX_TOKENS + PATCHES) * WIDTH], x[TOKENS * STRIDE], before[TOKENS * STRIDE];
    fill(table, sizeof table / sizeof table[0], 4);
    fill(before, TOKENS * STRIDE, 5);
    for (int op = 0; op < PATCHES_POSITION_OP_COUNT; op++)
        for (uint32_t covered = 0; covered <= PREFIX_TOKENS; covered++) {
            patches_position position = make(PATCHES_POSITION_LEARNED_1D, WIDTH, table);
            position.op = (patches_position_op)op;
            position.prefix = covered;
            memcpy(x, before, sizeof x);
            patches_position_apply(x, STRIDE, &position, PREFIX_TOKENS);
            for (size_t n = 0; n < TOKENS; n++)
                for (size_t i = 0; i < STRIDE; i++) {
                    const float from = before[n * STRIDE + i];
                    const bool has = i < WIDTH && (n < covered || n >= PREFIX_TOKENS);
                    const size_t slot = n < PREFIX_TOKENS ? n : n - PREFIX_TOKENS + covered;
                    const float p = has ? table[slot * WIDTH + i] : 0;
                    const float expected = !has                         ? from
                                           : op == PATCHES_POSITION_ADD ? from + p
                                                                        : from * (1 + p);
                    assert_true(x[n * STRIDE + i] == expected);
                }
        }
}

/* Multiplied by 1 + 0, tokens keep their bits, negative zeros too; as they do without positions. */
static void no_position_is_no_change(void **unused)
{
    (void)unused;
    float table[PATCHES * WIDTH] = {0}, x[TOKENS * STRIDE], before[TOKENS * STRIDE];
    fill(before, TOKENS * STRIDE, 6);
    before[0] = before[PREFIX_TOKENS * STRIDE] = -0.0F;
    for (int kind = 0; kind < PATCHES_POSITION_KIND_COUNT; kind++) {
        patches_position position = make((patches_position_kind)kind, WIDTH, table);
        position.op = PATCHES_POSITION_MUL;
        memcpy(x, before, sizeof x);
        patches_position_apply(x, STRIDE, &position, PREFIX_TOKENS);
        assert_memory_equal(x, before, sizeof x);
    }
}

/* The loss that makes dy the gradient of a token: sum of dy * y. */
static double loss(const double *dy, const float *x, const float *table, uint32_t n,
                   const patches_position *position)
{
    double sum = 0;
    for (size_t i = 0; i < WIDTH; i++) {
        const bool has = n < position->prefix || n >= PREFIX_TOKENS;
        const size_t slot = n < PREFIX_TOKENS ? n : n - PREFIX_TOKENS + position->prefix;
        const double p = has ? (double)table[slot * WIDTH + i] : 0, from = (double)x[i];
        sum += dy[i] * (!has || position->op == PATCHES_POSITION_ADD ? from + p : from * (1 + p));
    }
    return sum;
}

/* Against differences of the loss, which is linear in each number: exact but for rounding. */
static void gradients_equal_differences(void **unused)
{
    (void)unused;
    enum { SLOTS = PREFIX_TOKENS + PATCHES };
    float table[SLOTS * WIDTH], dtable[SLOTS * WIDTH], x[WIDTH], dx[WIDTH];
    double dy[WIDTH];
    fill(table, SLOTS * WIDTH, 7);
    fill(x, WIDTH, 8);
    for (int op = 0; op < PATCHES_POSITION_OP_COUNT; op++)
        for (uint32_t covered = 0; covered <= PREFIX_TOKENS; covered += PREFIX_TOKENS)
            for (uint32_t n = 0; n < TOKENS; n++) {
                patches_position position = make(PATCHES_POSITION_LEARNED_1D, WIDTH, table);
                position.op = (patches_position_op)op;
                position.prefix = covered;
                fill(dx, WIDTH, 9 + n);
                for (size_t i = 0; i < WIDTH; i++) dy[i] = (double)dx[i];
                memset(dtable, 0, sizeof dtable);
                patches_position_backward_token(dx, dtable, x, n, &position, PREFIX_TOKENS);
                for (size_t i = 0; i < WIDTH; i++) {
                    const float kept = x[i];
                    const double low = loss(dy, x, table, n, &position);
                    x[i] += 1;
                    const double step = (double)x[i] - (double)kept;
                    const double slope = (loss(dy, x, table, n, &position) - low) / step;
                    x[i] = kept;
                    assert_true(fabs((double)dx[i] - slope) < 1e-6);
                }
                for (size_t i = 0; i < SLOTS * WIDTH; i++) {
                    const float kept = table[i];
                    const double low = loss(dy, x, table, n, &position);
                    table[i] += 1;
                    const double step = (double)table[i] - (double)kept;
                    const double slope = (loss(dy, x, table, n, &position) - low) / step;
                    table[i] = kept;
                    assert_true(fabs((double)dtable[i] - slope) < 1e-6);
                }
            }
}

/* ---- relative positions ---- */

enum { HEADS = 2, OFFSETS = (2 * GH - 1) * (2 * GW - 1), ROWS_MAX = OFFSETS + 3 };

static patches_relative make_relative(uint32_t prefix)
{
    return (patches_relative){
        .grid_height = GH, .grid_width = GW, .prefix = prefix, .heads = HEADS};
}

static void relative_indices(void **unused)
{
    (void)unused;
    for (uint32_t prefix = 0; prefix <= 2; prefix++) {
        const patches_relative r = make_relative(prefix);
        bool seen[ROWS_MAX] = {false};
        assert_int_equal(patches_relative_rows(&r), prefix > 0 ? OFFSETS + 3 : OFFSETS);
        for (uint32_t q = 0; q < prefix + PATCHES; q++)
            for (uint32_t k = 0; k < prefix + PATCHES; k++) {
                const size_t index = patches_relative_index(&r, q, k);
                assert_true(index < patches_relative_rows(&r));
                seen[index] = true;
                if (q < prefix || k < prefix) {
                    /* BEiT: prefix to patch, patch to prefix, prefix to prefix */
                    const size_t row = q >= prefix ? 1 : k >= prefix ? 0 : 2;
                    assert_int_equal(index, OFFSETS + row);
                    continue;
                }
                /* Swin's formula, and its symmetry */
                const int dy = (int)((q - prefix) / GW) - (int)((k - prefix) / GW);
                const int dx = (int)((q - prefix) % GW) - (int)((k - prefix) % GW);
                assert_int_equal(index, (dy + GH - 1) * (2 * GW - 1) + dx + GW - 1);
                assert_int_equal(index + patches_relative_index(&r, k, q), OFFSETS - 1);
            }
        for (size_t i = 0; i < patches_relative_rows(&r); i++) assert_true(seen[i]);
    }
}

static void relative_biases_are_the_tables(void **unused)
{
    (void)unused;
    enum { FACTOR = 4 };
    float table[ROWS_MAX * HEADS], biases[HEADS * ROWS_MAX], scores[2 + PATCHES];
    fill(table, ROWS_MAX * HEADS, 10);
    for (uint32_t prefix = 0; prefix <= 2; prefix++) {
        const patches_relative r = make_relative(prefix);
        const size_t rows = patches_relative_rows(&r);
        patches_relative_arrange(biases, table, FACTOR, &r);
        for (size_t h = 0; h < HEADS; h++)
            for (uint32_t q = 0; q < prefix + PATCHES; q++) {
                memset(scores, 0, sizeof scores);
                patches_relative_add(scores, biases + h * rows, q, &r);
                for (uint32_t k = 0; k < prefix + PATCHES; k++) {
                    const float bias = FACTOR * table[patches_relative_index(&r, q, k) * HEADS + h];
                    assert_true(scores[k] == bias);
                    assert_true(biases[h * rows + patches_relative_place(&r, q, k)] == bias);
                }
            }
    }
}

static void a_relative_table_of_zeros_changes_nothing(void **unused)
{
    (void)unused;
    const float table[ROWS_MAX * HEADS] = {0};
    float biases[HEADS * ROWS_MAX], scores[2 + PATCHES], before[2 + PATCHES];
    const patches_relative r = make_relative(2);
    fill(before, 2 + PATCHES, 11);
    patches_relative_arrange(biases, table, 3, &r);
    for (uint32_t q = 0; q < 2 + PATCHES; q++) {
        memcpy(scores, before, sizeof scores);
        patches_relative_add(scores, biases, q, &r);
        assert_memory_equal(scores, before, sizeof scores);
    }
}

/* The scores' gradient reaches each row of the table from all of its pairs. */
static void relative_gradients_are_sums_over_pairs(void **unused)
{
    (void)unused;
    enum { MOST = 2 + PATCHES, FACTOR = 2 };
    float dscores[MOST * MOST], dbiases[HEADS * ROWS_MAX], dtable[ROWS_MAX * HEADS];
    for (uint32_t prefix = 0; prefix <= 2; prefix += 2) {
        const patches_relative r = make_relative(prefix);
        const size_t rows = patches_relative_rows(&r), n = prefix + PATCHES;
        double expected[ROWS_MAX * HEADS];
        for (size_t i = 0; i < rows * HEADS; i++) {
            dtable[i] = 1;
            expected[i] = 1;
        }
        memset(dbiases, 0, sizeof dbiases);
        for (size_t h = 0; h < HEADS; h++) {
            fill(dscores, n * n, 12 + h);
            for (uint32_t q = 0; q < n; q++) {
                patches_relative_add_backward(dbiases + h * rows, dscores + q * n, q, &r);
                for (uint32_t k = 0; k < n; k++)
                    expected[patches_relative_index(&r, q, k) * HEADS + h] +=
                        FACTOR * (double)dscores[q * n + k];
            }
        }
        patches_relative_arrange_backward(dtable, dbiases, FACTOR, &r);
        for (size_t i = 0; i < rows * HEADS; i++)
            assert_true(fabs((double)dtable[i] - expected[i]) < 2e-6);
    }
}

/* ---- rotary positions ---- */

enum { HEAD = 8, PAIRS = HEAD / 2 };

static void dot(double *sum, const float *a, const float *b)
{
    *sum = 0;
    for (size_t i = 0; i < HEAD; i++) *sum += (double)a[i] * (double)b[i];
}

static void turn(float *out, const float *x, const float *cosines, const float *sines, size_t patch)
{
    memcpy(out, x, HEAD * sizeof *out);
    patches_rope_turn(out, cosines + patch * PAIRS, sines + patch * PAIRS, HEAD, false);
}

/* Columns turn the first half of the pairs, rows the other, by 1 and 100^(-1/2). */
static void rope_has_its_angles(void **unused)
{
    (void)unused;
    float cosines[PATCHES * PAIRS], sines[PATCHES * PAIRS];
    patches_rope_fill(cosines, sines, GH, GW, HEAD);
    for (size_t y = 0; y < GH; y++)
        for (size_t x = 0; x < GW; x++) {
            const double angles[PAIRS] = {(double)x, 0.1 * (double)x, (double)y, 0.1 * (double)y};
            for (size_t j = 0; j < PAIRS; j++) {
                assert_true(fabs((double)cosines[(y * GW + x) * PAIRS + j] - cos(angles[j])) <
                            1e-7);
                assert_true(fabs((double)sines[(y * GW + x) * PAIRS + j] - sin(angles[j])) < 1e-7);
            }
        }
    /* a quarter turn of one pair by hand: (1, 0) to (0, 1) */
    float x[4] = {1, 0, 0, 2};
    const float c[2] = {0, 1}, s[2] = {1, 0};
    patches_rope_turn(x, c, s, 4, false);
    assert_true(x[0] == 0 && x[1] == 1 && x[2] == 0 && x[3] == 2);
}

static void rope_keeps_norms_and_knows_offsets_only(void **unused)
{
    (void)unused;
    float cosines[PATCHES * PAIRS], sines[PATCHES * PAIRS], q[HEAD], k[HEAD], a[HEAD], b[HEAD];
    patches_rope_fill(cosines, sines, GH, GW, HEAD);
    fill(q, HEAD, 20);
    fill(k, HEAD, 21);
    turn(a, q, cosines, sines, 0);
    assert_memory_equal(a, q, sizeof a); /* row 0, column 0 is not turned */
    double by_offset[OFFSETS];
    bool known[OFFSETS] = {false};
    const patches_relative r = make_relative(0);
    for (uint32_t i = 0; i < PATCHES; i++) {
        double before, after;
        turn(a, q, cosines, sines, i);
        dot(&before, q, q);
        dot(&after, a, a);
        assert_true(fabs(after - before) < 1e-6);
        for (uint32_t j = 0; j < PATCHES; j++) {
            const size_t offset = patches_relative_index(&r, i, j);
            double product;
            turn(b, k, cosines, sines, j);
            dot(&product, a, b);
            if (known[offset]) assert_true(fabs(product - by_offset[offset]) < 1e-6);
            by_offset[offset] = product;
            known[offset] = true;
        }
    }
    /* and offsets differ */
    assert_true(fabs(by_offset[0] - by_offset[OFFSETS - 1]) > 1e-2);
}

static void rope_turns_back(void **unused)
{
    (void)unused;
    float cosines[PATCHES * PAIRS], sines[PATCHES * PAIRS], x[HEAD], y[HEAD];
    patches_rope_fill(cosines, sines, GH, GW, HEAD);
    fill(x, HEAD, 22);
    for (size_t i = 0; i < PATCHES; i++) {
        turn(y, x, cosines, sines, i);
        patches_rope_turn(y, cosines + i * PAIRS, sines + i * PAIRS, HEAD, true);
        for (size_t d = 0; d < HEAD; d++) assert_true(fabsf(y[d] - x[d]) < 1e-6F);
    }
}

/* ---- another grid ---- */

/* An axis is a table of one column; a table made of resampled axes is the made table resampled. */
static void axes_are_resampled_in_one_dimension(void **unused)
{
    (void)unused;
    enum { D = 4, NEW_H = 5, NEW_W = 2 };
    float rows[GH * D], columns[GW * D], table[PATCHES * D];
    float new_rows[NEW_H * D], new_columns[NEW_W * D];
    float made[NEW_H * NEW_W * D], whole[NEW_H * NEW_W * D];
    fill(rows, GH * D, 30);
    fill(columns, GW * D, 31);
    for (int kind = PATCHES_POSITION_LEARNED_2D; kind <= PATCHES_POSITION_FACTORIZED; kind++)
        for (int f = 0; f < PATCHES_POSITION_FILTER_COUNT; f++) {
            const patches_position_filter filter = (patches_position_filter)f;
            const uint32_t part = kind == PATCHES_POSITION_LEARNED_2D ? D / 2 : D;
            patches_position position = make((patches_position_kind)kind, D, table);
            patches_position_fill(table, &position, rows, columns);
            patches_position wanted = position;
            wanted.grid_height = NEW_H;
            wanted.grid_width = NEW_W;
            assert_int_equal(
                patches_position_resize_axis(new_rows, NEW_H, rows, GH, part, filter, NULL), 0);
            assert_int_equal(
                patches_position_resize_axis(new_columns, NEW_W, columns, GW, part, filter, NULL),
                0);
            patches_position_fill(made, &wanted, new_rows, new_columns);
            position.kind = PATCHES_POSITION_LEARNED_1D;
            assert_int_equal(patches_position_resize(whole, NEW_H, NEW_W, &position, filter, NULL),
                             0);
            for (size_t i = 0; i < NEW_H * NEW_W * D; i++)
                assert_true(fabsf(made[i] - whole[i]) < 1e-6F);
            /* the same length: the same bits */
            assert_int_equal(
                patches_position_resize_axis(new_rows, GH, rows, GH, part, filter, NULL), 0);
            assert_memory_equal(new_rows, rows, GH * part * sizeof *rows);
        }
}

/* Offset 0 keeps its place; a bias that falls evenly with the distance does so on the new grid; the
 * rows of prefix tokens are copied. */
static void offsets_are_resampled_as_a_picture(void **unused)
{
    (void)unused;
    enum { NEW_H = 6, NEW_W = 3, ROWS = 2 * NEW_H - 1, COLUMNS = 2 * NEW_W - 1 };
    float table[ROWS_MAX * HEADS], out[(ROWS * COLUMNS + 3) * HEADS];
    patches_relative r = make_relative(1);
    for (int i = 0; i < OFFSETS; i++)
        for (int h = 0; h < HEADS; h++) {
            const int dy = i / (2 * GW - 1) - (GH - 1), dx = i % (2 * GW - 1) - (GW - 1);
            table[i * HEADS + h] = (float)(h == 0 ? dy : dx);
        }
    fill(table + OFFSETS * HEADS, 3 * HEADS, 40);
    for (int f = 0; f < PATCHES_POSITION_FILTER_COUNT; f++) {
        const patches_position_filter filter = (patches_position_filter)f;
        assert_int_equal(patches_relative_resize(out, NEW_H, NEW_W, table, &r, filter, NULL), 0);
        const size_t centre = ROWS * COLUMNS / 2;
        for (size_t h = 0; h < HEADS; h++) assert_true(fabsf(out[centre * HEADS + h]) < 1e-6F);
        for (size_t i = 0; i < ROWS * COLUMNS; i++) /* odd about the centre, as the table is */
            for (size_t h = 0; h < HEADS; h++)
                assert_true(fabsf(out[i * HEADS + h] + out[(ROWS * COLUMNS - 1 - i) * HEADS + h]) <
                            2e-6F);
        const float step = out[(centre + COLUMNS) * HEADS]; /* one row on, near the centre */
        const float scale = filter == PATCHES_POSITION_BILINEAR_CORNERS
                                ? (float)(2 * GH - 2) / (2 * NEW_H - 2)
                                : (float)(2 * GH - 1) / (2 * NEW_H - 1);
        if (filter == PATCHES_POSITION_BILINEAR || filter == PATCHES_POSITION_BILINEAR_CORNERS)
            assert_true(fabsf(step - scale) < 1e-6F);
        assert_memory_equal(out + ROWS * COLUMNS * HEADS, table + OFFSETS * HEADS,
                            3 * HEADS * sizeof *out);
        float same[ROWS_MAX * HEADS];
        assert_int_equal(patches_relative_resize(same, GH, GW, table, &r, filter, NULL), 0);
        assert_memory_equal(same, table, sizeof same);
    }
    r.prefix = 0;
    assert_int_equal(patches_relative_resize(out, NEW_H, NEW_W, table, &r, 0, NULL), 0);
    assert_int_equal(patches_relative_resize(out, 0, NEW_W, table, &r, 0, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(patches_position_resize_axis(out, 0, table, 2, 1, 0, NULL), VITC_ERR_ARGUMENT);
    assert_int_equal(
        patches_position_resize_axis(out, 2, table, 2, 1, PATCHES_POSITION_FILTER_COUNT, NULL),
        VITC_ERR_ARGUMENT);
}

static void keep_line(void *user, vitc_log_level level, const char *message)
{
    (void)level;
    snprintf(user, 512, "%s", message);
}

static void only_learned_tables_are_resampled_whole(void **unused)
{
    (void)unused;
    float table[PATCHES * WIDTH] = {0}, out[PATCHES * WIDTH];
    for (int kind = 0; kind <= PATCHES_POSITION_KIND_COUNT; kind++) {
        char line[512] = "";
        const vitc_log log = {keep_line, line};
        const patches_position position = make((patches_position_kind)kind, WIDTH, table);
        const vitc_status status = patches_position_resize(out, 2, 2, &position, 0, &log);
        const char *name = patches_position_string((patches_position_kind)kind);
        if (kind == PATCHES_POSITION_LEARNED_1D) {
            assert_int_equal(status, VITC_OK);
            continue;
        }
        assert_int_equal(status, VITC_ERR_ARGUMENT);
        assert_non_null(strstr(line, name != NULL ? name : "unknown"));
    }
}

/* ---- words ---- */

static void every_number_has_its_word(void **unused)
{
    (void)unused;
    static const char *const kinds[] = {"none",      "learned-1d", "learned-2d", "factorized-sum",
                                        "sincos-2d", "relative",   "rope-2d",    NULL};
    static const char *const ops[] = {"add", "mul", NULL};
    static const char *const places[] = {"stem", "every", "every-shared", NULL};
    for (int i = 0; i < PATCHES_POSITION_KIND_COUNT; i++)
        assert_string_equal(patches_position_string((patches_position_kind)i), kinds[i]);
    for (int i = 0; i < PATCHES_POSITION_OP_COUNT; i++)
        assert_string_equal(patches_position_op_string((patches_position_op)i), ops[i]);
    for (int i = 0; i < PATCHES_POSITION_AT_COUNT; i++)
        assert_string_equal(patches_position_at_string((patches_position_at)i), places[i]);
    assert_null(patches_position_string(PATCHES_POSITION_KIND_COUNT));
    assert_null(patches_position_op_string(PATCHES_POSITION_OP_COUNT));
    assert_null(patches_position_at_string(PATCHES_POSITION_AT_COUNT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sincos_has_maes_values),
        cmocka_unit_test(learned_2d_has_columns_then_rows),
        cmocka_unit_test(factorized_sums_rows_and_columns),
        cmocka_unit_test(axes_get_sums_of_the_tables_gradient),
        cmocka_unit_test(positions_are_added_or_multiplied),
        cmocka_unit_test(no_position_is_no_change),
        cmocka_unit_test(gradients_equal_differences),
        cmocka_unit_test(relative_indices),
        cmocka_unit_test(relative_biases_are_the_tables),
        cmocka_unit_test(a_relative_table_of_zeros_changes_nothing),
        cmocka_unit_test(relative_gradients_are_sums_over_pairs),
        cmocka_unit_test(rope_has_its_angles),
        cmocka_unit_test(rope_keeps_norms_and_knows_offsets_only),
        cmocka_unit_test(rope_turns_back),
        cmocka_unit_test(axes_are_resampled_in_one_dimension),
        cmocka_unit_test(offsets_are_resampled_as_a_picture),
        cmocka_unit_test(only_learned_tables_are_resampled_whole),
        cmocka_unit_test(every_number_has_its_word),
    };
    return cmocka_run_group_tests_name("kinds of positions", tests, NULL, NULL);
}
