/* vit_gemm_amx_body.h - what the GEMMs on AMX share: 32 weights x 32 tokens, in four tile registers
 * of 16 x 16 sums.
 *
 * One instruction adds to 16 x 16 sums the products of 16 rows of 64 bytes, here tokens, with 16
 * rows of 32 bits for each weight. So a unit of inputs is 64 bytes of a token, and panels are token
 * panel:   unit 0: 32 x 64 bytes                        unit 1 ... weight panel:  unit 0: 16 groups
 * of 32 x 32 bits, k-major   unit 1 ...
 *
 * Tile registers have to be configured before use, thread by thread, and hold 8 KiB that a context
 * switch would save: `begin` and `end` of a format do that around the tiles of an operation.
 *
 * The including file defines LANES, 16, and DOT(sums, tokens, weights), on numbers of registers. */
#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vit_fetch.h"
#include "vit_kernels.h"
#include "vit_unroll.h"

#define WEIGHTS     ((size_t)32)
#define TOKENS      ((size_t)32)
#define TOKEN_ROW   ((size_t)64) /* bytes, as those below */
#define WEIGHT_ROW  (WEIGHTS * 4)
#define TOKEN_UNIT  (TOKENS * TOKEN_ROW)
#define WEIGHT_UNIT (UNIT_GROUPS * WEIGHT_ROW)
enum { UNIT_GROUPS = 16, UNIT_FETCHES = 8 };

/* AMX comes with 2 MiB of L2: two weight panels may take a quarter, a run of tokens three eighths.
 */
enum { L2_WEIGHT_PANEL = (2 << 20) / 8, L2_TOKENS = (2 << 20) / 8 * 3 };

typedef struct tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_size[16]; /* bytes */
    uint8_t rows[16];
} tile_config;

#define EIGHT(n) n, n, n, n, n, n, n, n
static const tile_config config = {.palette = 1, .row_size = {EIGHT(64)}, .rows = {EIGHT(16)}};

static void begin(void)
{
    _tile_loadconfig(&config);
}

static void end(void)
{
    _tile_release();
}

/* Registers 0 to 3 hold sums, 4 and 5 tokens, 6 and 7 weights. Intrinsics take numbers of
 * registers, not variables. */
#define SUMS_00   0 /* the first 16 tokens by the first 16 weights */
#define SUMS_01   1
#define SUMS_10   2
#define SUMS_11   3
#define TOKENS_0  4
#define TOKENS_1  5
#define WEIGHTS_0 6
#define WEIGHTS_1 7

/* token_halves and weight_halves (1 or 2) are constants in every call; `sums`, `row` bytes from one
 * token to the next, has room for all of them. They begin with what is there, or with zero. */
VIT_INLINE void multiply_halves(size_t units, const char *w, const char *x, bool accumulate,
                                char *sums, size_t row, const size_t token_halves,
                                const size_t weight_halves, vit_fetch fetch)
{
    const bool more_tokens = token_halves == 2, more_weights = weight_halves == 2;
    char *below = sums + LANES * row;
    if (accumulate) {
        _tile_loadd(SUMS_00, sums, row);
        if (more_weights) _tile_loadd(SUMS_01, sums + TOKEN_ROW, row);
        if (more_tokens) _tile_loadd(SUMS_10, below, row);
        if (more_tokens && more_weights) _tile_loadd(SUMS_11, below + TOKEN_ROW, row);
    } else {
        _tile_zero(SUMS_00);
        if (more_weights) _tile_zero(SUMS_01);
        if (more_tokens) _tile_zero(SUMS_10);
        if (more_tokens && more_weights) _tile_zero(SUMS_11);
    }
    for (; units > 0; units--, w += WEIGHT_UNIT, x += TOKEN_UNIT) {
        VIT_UNROLL
        for (int i = 0; i < UNIT_FETCHES; i++) vit_fetch_step(&fetch);
        _tile_loadd(TOKENS_0, x, TOKEN_ROW);
        _tile_loadd(WEIGHTS_0, w, WEIGHT_ROW);
        DOT(SUMS_00, TOKENS_0, WEIGHTS_0);
        if (more_tokens) {
            _tile_loadd(TOKENS_1, x + LANES * TOKEN_ROW, TOKEN_ROW);
            DOT(SUMS_10, TOKENS_1, WEIGHTS_0);
        }
        if (more_weights) {
            _tile_loadd(WEIGHTS_1, w + LANES * 4, WEIGHT_ROW);
            DOT(SUMS_01, TOKENS_0, WEIGHTS_1);
        }
        if (more_tokens && more_weights) DOT(SUMS_11, TOKENS_1, WEIGHTS_1);
    }
    _tile_stored(SUMS_00, sums, row);
    if (more_weights) _tile_stored(SUMS_01, sums + TOKEN_ROW, row);
    if (more_tokens) _tile_stored(SUMS_10, below, row);
    if (more_tokens && more_weights) _tile_stored(SUMS_11, below + TOKEN_ROW, row);
}

/* Computes whole halves of the tile, as many as `weights` and `tokens` need. */
static void multiply(size_t units, const char *w, const char *x, bool accumulate, void *sums,
                     size_t row, size_t weights, size_t tokens, vit_fetch fetch)
{
    if (tokens > LANES && weights > LANES)
        multiply_halves(units, w, x, accumulate, sums, row, 2, 2, fetch);
    else if (tokens > LANES)
        multiply_halves(units, w, x, accumulate, sums, row, 2, 1, fetch);
    else if (weights > LANES)
        multiply_halves(units, w, x, accumulate, sums, row, 1, 2, fetch);
    else
        multiply_halves(units, w, x, accumulate, sums, row, 1, 1, fetch);
}
