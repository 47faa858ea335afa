/* The gradient of a linear layer's weights, dW += dy^T x: a product whose inputs are the tokens.
 *
 * Rows of dW take the place of tokens, and columns, which are contiguous, that of weights. A thread
 * has a rectangle of dW to itself and packs what that needs of x and dy, so that threads neither
 * wait for each other nor share a sum.
 *
 * Tokens are cut into passes, columns into blocks: a block of x is packed and stays in L2, while
 * one panel of dy^T after the other is packed, in L1, and meets all of it. x and dy were written
 * long ago and come from memory; so every tile fetches some lines of the next panel and the next
 * block. */
#include <omp.h>

#include "vit_ops_backward.h"
#include "vit_product.h"
#include "vitc_memory.h"
#include "vitc_size.h"

/* PASS: most tokens of a pass, so that a block of x and its successor, which is being fetched, stay
 * in L2, and a panel of dy^T in L1. PACKED: tokens that all panels of x take theirs of while the
 * rows are in L1. BLOCK_SIZE: most bytes of a block. */
enum { PASS = 256, PACKED = 32, BLOCK_SIZE = 1 << 18 };

/* One thread's block of memory: a block of x in panels, a panel of dy^T, rows of x after their
 * norm. */
typedef struct weight_scratch {
    size_t pass, columns;
    size_t x, dy, normed; /* offsets in bytes */
    vitc_arena arena;
} weight_scratch;

/* Even passes, which do not depend on the number of threads. */
static size_t pass_of(const vit_gemm *gemm, size_t tokens)
{
    const size_t passes = vitc_size_divide_up(tokens, vitc_size_min(PASS, gemm->k_block));
    return vitc_size_round_up(vitc_size_divide_up(tokens, vitc_size_max(1, passes)), gemm->k_unit);
}

static weight_scratch lay_out(const vit_gemm *gemm, size_t tokens, size_t in)
{
    const size_t wr = gemm->weight_panel, pass = pass_of(gemm, tokens);
    const size_t x_panel = vit_gemm_weight_panel_size(gemm, pass);
    const size_t dy_panel = vit_gemm_token_panel_size(gemm, pass);
    const size_t panels =
        vitc_size_min(vitc_size_divide_up(in, wr), vitc_size_max(1, BLOCK_SIZE / x_panel));
    weight_scratch layout = {.pass = pass, .columns = panels * wr};
    layout.x = vitc_arena_reserve_array(&layout.arena, panels, x_panel);
    layout.dy = vitc_arena_reserve(&layout.arena, dy_panel);
    layout.normed = vitc_arena_reserve_array(&layout.arena, in, PACKED * sizeof(float));
    return layout;
}

size_t vit_op_linear_backward_thread(const vit_gemm *gemm, size_t tokens, size_t in)
{
    if (in > SIZE_MAX / 2 || tokens > SIZE_MAX / 2) return 0;
    const weight_scratch layout = lay_out(gemm, tokens, in);
    return layout.arena.overflow ? 0 : layout.arena.size;
}

/* What the threads of a team have in common. */
typedef struct weight_gradient {
    float *dw, *db;
    const float *dy, *x;
    size_t lddy, ldx, tokens, in;
    const vit_norm *norm;
    const vit_gemm *gemm;
    const vit_rows_f32 *rows;
    weight_scratch layout;
} weight_gradient;

/* A rectangle of dW. */
typedef struct rectangle {
    size_t row, row_end, column, column_end;
} rectangle;

/* Part `index` of `parts` of `size`, in whole panels of `lanes`. */
static void cut(size_t size, size_t lanes, size_t index, size_t parts, size_t *from, size_t *to)
{
    const size_t panels = vitc_size_divide_up(size, lanes);
    const size_t whole = panels / parts, rest = panels % parts;
    const size_t first = index * whole + vitc_size_min(index, rest);
    *from = vitc_size_min(first * lanes, size);
    *to = vitc_size_min((first + whole + (index < rest ? 1 : 0)) * lanes, size);
}

/* The team as a grid over dW: of all grids the one whose largest rectangle takes the least time.
 * Packing a number of dy takes about as long as multiplying it by 16 others; one of x, 32. */
static rectangle share_rectangle(const weight_gradient *g, size_t out)
{
    enum { PACK_DY = 16, PACK_X = 32 };
    const size_t wr = g->gemm->weight_panel, xr = g->gemm->token_panel;
    const size_t threads = (size_t)omp_get_num_threads(), thread = (size_t)omp_get_thread_num();
    size_t best = 1, least = SIZE_MAX;
    for (size_t down = 1; down <= threads; down++) {
        if (threads % down != 0) continue;
        size_t from, rows, columns;
        cut(out, xr, 0, down, &from, &rows);
        cut(g->in, wr, 0, threads / down, &from, &columns);
        const size_t cost = rows * columns + PACK_DY * rows + PACK_X * columns;
        if (cost < least) {
            least = cost;
            best = down;
        }
    }
    rectangle r;
    cut(out, xr, thread % best, best, &r.row, &r.row_end);
    cut(g->in, wr, thread / best, threads / best, &r.column, &r.column_end);
    return r;
}

/* Tokens [t, t + k), columns [c, c + columns) of x. */
typedef struct block {
    size_t t, k, c, columns;
} block;

static block make_block(const weight_gradient *g, const rectangle *r, size_t t, size_t c)
{
    return (block){t, vitc_size_min(g->layout.pass, g->tokens - t), c,
                   vitc_size_min(g->layout.columns, r->column_end - c)};
}

/* Tokens are the outermost loop; past the last block, k is 0. */
static block next_block(const weight_gradient *g, const rectangle *r, const block *b)
{
    if (b->c + b->columns < r->column_end) return make_block(g, r, b->t, b->c + b->columns);
    return make_block(g, r, b->t + b->k, r->column);
}

/* A block of x as weight panels. */
static void pack_x(const weight_gradient *g, const block *b, unsigned char *scratch)
{
    const vit_gemm *gemm = g->gemm;
    const size_t wr = gemm->weight_panel, size = vit_gemm_weight_panel_size(gemm, b->k);
    float *normed = (float *)(scratch + g->layout.normed);
    for (size_t t = 0; t < b->k; t += PACKED) {
        const size_t count = vitc_size_min(PACKED, b->k - t);
        const float *x = g->x + (b->t + t) * g->ldx;
        size_t ldx = g->ldx;
        if (g->norm != NULL) {
            for (size_t i = 0; i < count; i++)
                g->rows->layernorm(normed + i * g->in, x + i * ldx, g->norm->weight, g->norm->bias,
                                   g->in, g->norm->eps);
            x = normed;
            ldx = g->in;
        }
        unsigned char *panel = scratch + g->layout.x + t * wr * gemm->weight_element;
        for (size_t i = 0; i < b->columns; i += wr, panel += size)
            gemm->pack_weights(gemm, panel, x + b->c + i, 1, ldx, NULL,
                               vitc_size_min(wr, b->columns - i), count);
    }
}

/* Floats in a line of cache. */
static const size_t line = 16;

/* Rows that are read after what is being computed, `width` floats each. */
typedef struct ahead {
    const float *rows;
    size_t ld, width;
} ahead;

/* Tiles that it takes to fetch them: each fetches a line of every `unit`-th row. */
static size_t ahead_tiles(const ahead *next, size_t unit)
{
    return (next->width + 2 * (line - 1)) / line * unit;
}

/* What the tile-th of these fetches: every line of a row, in whole lines or at its end. */
static const float *ahead_at(const ahead *next, size_t unit, size_t tile)
{
    return next->rows + tile % unit * next->ld + vitc_size_min(tile / unit * line, next->width - 1);
}

/* Rows [o, o + rows) of a block of dW. Its tiles fetch what is next: a panel of dy^T, and this
 * panel's share of a block of x, from tile `x_tile` of it on. */
static void multiply_panel(const weight_gradient *g, const block *b, unsigned char *scratch,
                           size_t o, size_t rows, const ahead *dy, const ahead *x, size_t x_tile)
{
    const vit_gemm *gemm = g->gemm;
    const size_t wr = gemm->weight_panel, size = vit_gemm_weight_panel_size(gemm, b->k);
    const size_t dy_tiles = ahead_tiles(dy, gemm->fetch_unit);
    const size_t x_tiles = ahead_tiles(x, gemm->fetch_unit);
    const unsigned char *panel = scratch + g->layout.x;
    for (size_t c = 0, i = 0; c < b->columns; c += wr, i++, panel += size) {
        const size_t columns = vitc_size_min(wr, b->columns - c);
        float *tile = g->dw + o * g->in + b->c + c;
        const ahead *next = i < dy_tiles ? dy : x;
        const size_t part = i < dy_tiles ? i : x_tile + i - dy_tiles;
        const float *from = NULL;
        if (i < dy_tiles || part < x_tiles) from = ahead_at(next, gemm->fetch_unit, part);
        vit_product_fetch_tile(tile, g->in, columns, rows);
        gemm->tile(gemm, b->k, panel, scratch + g->layout.dy, true, tile, g->in, columns, rows,
                   from, b->k * next->ld * sizeof(float));
    }
}

static void add_block(const weight_gradient *g, const rectangle *r, const block *b,
                      const block *next, unsigned char *scratch)
{
    const vit_gemm *gemm = g->gemm;
    const size_t xr = gemm->token_panel;
    const ahead x = {g->x + next->t * g->ldx + next->c, g->ldx, next->columns};
    const size_t tiles = vitc_size_divide_up(b->columns, gemm->weight_panel);
    size_t x_tile = 0;
    pack_x(g, b, scratch);
    for (size_t o = r->row; o < r->row_end; o += xr) {
        const bool last = o + xr >= r->row_end;
        const size_t rows = vitc_size_min(xr, r->row_end - o);
        const size_t after = last ? r->row : o + xr;
        const float *dy = g->dy + b->t * g->lddy + o;
        const ahead dy_next = {g->dy + (last ? next->t : b->t) * g->lddy + after, g->lddy,
                               vitc_size_min(xr, r->row_end - after)};
        const size_t dy_tiles = ahead_tiles(&dy_next, gemm->fetch_unit);
        gemm->pack_token_columns(gemm, scratch + g->layout.dy, dy, g->lddy, rows, b->k);
        if (g->db != NULL && b->c == 0) g->rows->add_rows(g->db + o, dy, g->lddy, b->k, rows);
        multiply_panel(g, b, scratch, o, rows, &dy_next, &x, x_tile);
        if (tiles > dy_tiles) x_tile += tiles - dy_tiles;
    }
}

void vit_op_linear_backward_weight(float *dw, float *db, const float *dy, size_t lddy,
                                   const float *x, size_t ldx, size_t tokens, const vit_norm *norm,
                                   size_t out, size_t in, const vit_gemm *gemm,
                                   const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    weight_gradient g = {.dy = dy,
                         .x = x,
                         .lddy = lddy,
                         .ldx = ldx,
                         .tokens = tokens,
                         .in = in,
                         .norm = norm,
                         .gemm = gemm,
                         .rows = rows,
                         .layout = lay_out(gemm, tokens, in)};
    g.dw = dw;
    g.db = db;
    const rectangle r = share_rectangle(&g, out);
    unsigned char *own = scratch->thread + (size_t)omp_get_thread_num() * scratch->thread_size;
    if (r.row == r.row_end || r.column == r.column_end) return;
    vit_gemm_begin(gemm);
    for (block b = make_block(&g, &r, 0, r.column), next; b.k > 0; b = next) {
        next = next_block(&g, &r, &b);
        add_block(&g, &r, &b, &next, own);
    }
    vit_gemm_end(gemm);
}
