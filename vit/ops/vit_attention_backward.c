/* With S = (Q K^T + bias) / sqrt(Dh), P = softmax(S) and O = P V, per image and head:
 *     dV = P^T dO     dP = dO V^T     dS = P (dP - rowsum(P dP)) / sqrt(Dh)
 *     dQ = dS K       dK = dS^T Q     dbias = dS, summed where the offset is the same
 * A run of queries meets all keys. Its P and dS are stored, cut to stay in L2, so that the
 * sums over queries of dV and dK are long enough for the kernels. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "vit_ops_backward.h"
#include "vit_product.h"
#include "vitc_memory.h"
#include "vitc_size.h"

/* One thread's block, in bytes, each part 64-byte aligned; R queries in a run:
 *     keys, values      panels of WR keys, Dh-major     the weights of  S = q k^T  and  dP = dO v^T
 *     key_columns       panels of WR of Dh, N-major     the weights of  dQ = dS k
 *     queries, douts    panels of WR of Dh, R-major     the weights of  dK = dS^T q  and  dV = P^T
 * dO tokens            panels of XR: queries, Dh-major; rows of dS, N-major; columns, R-major p, ds
 * R rows of N floats */
typedef struct backward_scratch {
    size_t run; /* queries, a multiple of XR */
    size_t keys, values, key_columns, queries, douts, rows, columns, p, ds;
    size_t stride; /* of p and ds, in floats */
    vitc_arena arena;
} backward_scratch;

/* Even runs of whole panels, whose p and ds take at most about RUN_SIZE bytes. */
static size_t run_of(const vit_gemm *gemm, size_t tokens, size_t stride)
{
    enum { RUN_SIZE = 3 << 17 };
    const size_t xr = gemm->token_panel, panels = vitc_size_divide_up(tokens, xr);
    const size_t most = vitc_size_max(1, RUN_SIZE / (2 * sizeof(float)) / stride / xr);
    return vitc_size_divide_up(panels, vitc_size_divide_up(panels, most)) * xr;
}

static backward_scratch lay_out(const vit_gemm *gemm, size_t tokens, size_t head_width)
{
    const size_t wr = gemm->weight_panel, xr = gemm->token_panel;
    const size_t key_panels = vitc_size_divide_up(tokens, wr);
    const size_t width_panels = vitc_size_divide_up(head_width, wr);
    const size_t stride = vitc_size_round_up(tokens, 16) + 16;
    backward_scratch layout = {.run = run_of(gemm, tokens, stride), .stride = stride};
    vitc_arena *arena = &layout.arena;
    const size_t key = vit_gemm_weight_panel_size(gemm, head_width);
    const size_t key_column = vit_gemm_weight_panel_size(gemm, tokens);
    const size_t query = vit_gemm_weight_panel_size(gemm, layout.run);
    const size_t query_rows = vitc_size_divide_up(layout.run, xr);
    const size_t most = vitc_size_max(tokens, head_width); /* inputs of a query's panel */
    const size_t row = vit_gemm_token_panel_size(gemm, most);
    const size_t column = vit_gemm_token_panel_size(gemm, layout.run);
    if (key == 0 || key_column == 0 || query == 0 || row == 0 || column == 0)
        arena->overflow = true;
    layout.keys = vitc_arena_reserve_array(arena, key_panels, key);
    layout.values = vitc_arena_reserve_array(arena, key_panels, key);
    layout.key_columns = vitc_arena_reserve_array(arena, width_panels, key_column);
    layout.queries = vitc_arena_reserve_array(arena, width_panels, query);
    layout.douts = vitc_arena_reserve_array(arena, width_panels, query);
    layout.rows = vitc_arena_reserve_array(arena, query_rows, row);
    layout.columns = vitc_arena_reserve_array(arena, vitc_size_divide_up(tokens, xr), column);
    layout.p = vitc_arena_reserve_array(arena, layout.run, stride * sizeof(float));
    layout.ds = vitc_arena_reserve_array(arena, layout.run, stride * sizeof(float));
    return layout;
}

size_t vit_op_attention_backward_thread(const vit_gemm *gemm, size_t tokens, size_t head_width)
{
    if (tokens == 0 || tokens > SIZE_MAX / 64) return 0;
    const backward_scratch layout = lay_out(gemm, tokens, head_width);
    return layout.arena.overflow ? 0 : layout.arena.size;
}

/* What all heads share. */
typedef struct attention_backward {
    size_t lddq, lddo, ldq, tokens, queries, head_width;
    const vit_relative *relative; /* or NULL */
    const vit_gemm *gemm;
    const vit_rows_f32 *rows;
    backward_scratch layout;
} attention_backward;

/* `count` rows of `x`, k inputs each, as weights; or as many columns of k rows. */
static void pack_weight_rows(const vit_gemm *gemm, unsigned char *panel, const float *x, size_t ldx,
                             size_t count, size_t k)
{
    const size_t wr = gemm->weight_panel, size = vit_gemm_weight_panel_size(gemm, k);
    for (size_t i = 0; i < count; i += wr, panel += size)
        gemm->pack_weights(gemm, panel, x + i * ldx, ldx, 1, NULL, vitc_size_min(wr, count - i), k);
}

static void pack_weight_columns(const vit_gemm *gemm, unsigned char *panel, const float *x,
                                size_t ldx, size_t count, size_t k)
{
    const size_t wr = gemm->weight_panel, size = vit_gemm_weight_panel_size(gemm, k);
    for (size_t i = 0; i < count; i += wr, panel += size)
        gemm->pack_weights(gemm, panel, x + i, 1, ldx, NULL, vitc_size_min(wr, count - i), k);
}

/* The same as tokens. */
static void pack_token_rows(const vit_gemm *gemm, unsigned char *panel, const float *x, size_t ldx,
                            size_t count, size_t k)
{
    const size_t xr = gemm->token_panel, size = vit_gemm_token_panel_size(gemm, k);
    for (size_t i = 0; i < count; i += xr, panel += size)
        gemm->pack_tokens(gemm, panel, x + i * ldx, ldx, vitc_size_min(xr, count - i), k);
}

static void pack_token_columns(const vit_gemm *gemm, unsigned char *panel, const float *x,
                               size_t ldx, size_t count, size_t k)
{
    const size_t xr = gemm->token_panel, size = vit_gemm_token_panel_size(gemm, k);
    for (size_t i = 0; i < count; i += xr, panel += size)
        gemm->pack_token_columns(gemm, panel, x + i, ldx, vitc_size_min(xr, count - i), k);
}

/* out [tokens, outputs] (+)= the packed tokens by the packed weights, over k inputs. */
static void multiply(const vit_gemm *gemm, const unsigned char *weights,
                     const unsigned char *packed, size_t outputs, size_t k, float *out, size_t ldo,
                     size_t tokens, bool accumulate)
{
    vit_product product = {.gemm = gemm,
                           .weights = weights,
                           .tokens = packed,
                           .outputs = outputs,
                           .inputs = k,
                           .ldo = ldo,
                           .accumulate = accumulate};
    product.out = out;
    vit_product_run(&product, tokens, 0, 1);
}

/* The rows of one head of one image, inside qkv, its gradient, and the gradient of its output. */
typedef struct head {
    const float *q, *k, *v, *dout;
    float *dq, *dk, *dv;
    const float *biases; /* of this head, where there are relative positions */
    float *dbiases;      /* or NULL */
} head;

/* Of queries [from, from + count). */
static void add_biases(const attention_backward *a, const head *h, float *scores, size_t from,
                       size_t count)
{
    if (a->relative == NULL) return;
    for (size_t i = 0; i < count; i++)
        patches_relative_add(scores + i * a->layout.stride, h->biases, (uint32_t)(from + i),
                             &a->relative->shape);
}

static void add_bias_gradients(const attention_backward *a, const head *h, const float *ds,
                               size_t from, size_t count)
{
    if (h->dbiases == NULL) return;
    for (size_t i = 0; i < count; i++)
        patches_relative_add_backward(h->dbiases, ds + i * a->layout.stride, (uint32_t)(from + i),
                                      &a->relative->shape);
}

/* Queries [from, from + count) of one head; `first` starts the sums of dK and dV. */
static void run_backward(const attention_backward *a, const head *h, size_t from, size_t count,
                         bool first, unsigned char *scratch)
{
    const vit_gemm *gemm = a->gemm;
    const backward_scratch *layout = &a->layout;
    const size_t n = a->tokens, d = a->head_width, lds = layout->stride;
    unsigned char *packed = scratch + layout->rows, *columns = scratch + layout->columns;
    float *p = (float *)(scratch + layout->p), *ds = (float *)(scratch + layout->ds);
    const float *q = h->q + from * a->ldq, *dout = h->dout + from * a->lddo;
    const float scale = 1.0f / sqrtf((float)d);

    pack_token_rows(gemm, packed, q, a->ldq, count, d);
    multiply(gemm, scratch + layout->keys, packed, n, d, p, lds, count, false);
    add_biases(a, h, p, from, count);
    pack_token_rows(gemm, packed, dout, a->lddo, count, d);
    multiply(gemm, scratch + layout->values, packed, n, d, ds, lds, count, false);
    for (size_t i = 0; i < count; i++) {
        const float inverse = 1.0f / a->rows->softmax(p + i * lds, n, scale);
        a->rows->softmax_backward(p + i * lds, ds + i * lds, n, inverse, scale);
    }
    add_bias_gradients(a, h, ds, from, count);

    pack_token_rows(gemm, packed, ds, lds, count, n);
    multiply(gemm, scratch + layout->key_columns, packed, d, n, h->dq + from * a->lddq, a->lddq,
             count, false);
    pack_weight_columns(gemm, scratch + layout->queries, q, a->ldq, d, count);
    pack_token_columns(gemm, columns, ds, lds, n, count);
    multiply(gemm, scratch + layout->queries, columns, d, count, h->dk, a->lddq, n, !first);
    pack_weight_columns(gemm, scratch + layout->douts, dout, a->lddo, d, count);
    pack_token_columns(gemm, columns, p, lds, n, count);
    multiply(gemm, scratch + layout->douts, columns, d, count, h->dv, a->lddq, n, !first);
}

static void head_backward(const attention_backward *a, const head *h, unsigned char *scratch)
{
    const vit_gemm *gemm = a->gemm;
    const backward_scratch *layout = &a->layout;
    const size_t n = a->tokens, d = a->head_width;
    pack_weight_rows(gemm, scratch + layout->keys, h->k, a->ldq, n, d);
    pack_weight_rows(gemm, scratch + layout->values, h->v, a->ldq, n, d);
    pack_weight_columns(gemm, scratch + layout->key_columns, h->k, a->ldq, d, n);
    for (size_t from = 0; from < a->queries; from += layout->run)
        run_backward(a, h, from, vitc_size_min(layout->run, a->queries - from), from == 0, scratch);
    for (size_t i = a->queries; i < n; i++) memset(h->dq + i * a->lddq, 0, d * sizeof *h->dq);
}

void vit_op_attention_backward(float *dqkv, size_t lddq, const float *dout, size_t lddo,
                               const float *qkv, size_t ldq, size_t images, size_t tokens,
                               size_t queries, size_t heads, size_t head_width,
                               const vit_relative *relative, float *dbiases, const vit_gemm *gemm,
                               const vit_scratch *scratch, const vit_rows_f32 *rows)
{
    const size_t width = heads * head_width;
    const attention_backward a = {.lddq = lddq,
                                  .lddo = lddo,
                                  .ldq = ldq,
                                  .tokens = tokens,
                                  .queries = queries,
                                  .head_width = head_width,
                                  .relative = relative,
                                  .gemm = gemm,
                                  .rows = rows,
                                  .layout = lay_out(gemm, tokens, head_width)};
    const size_t places = relative != NULL ? patches_relative_rows(&relative->shape) : 0;
    unsigned char *block = scratch->thread + (size_t)omp_get_thread_num() * scratch->thread_size;
    vit_gemm_begin(gemm);
#pragma omp for schedule(static) nowait
    for (size_t i = 0; i < images * heads; i++) {
        const size_t first = i / heads * tokens, column = i % heads * head_width;
        const float *q = qkv + first * ldq + column;
        float *dq = dqkv + first * lddq + column;
        head h = {.q = q,
                  .k = q + width,
                  .v = q + 2 * width,
                  .dout = dout + first * lddo + column,
                  .dq = dq,
                  .dk = dq + width,
                  .dv = dq + 2 * width};
        if (relative != NULL) h.biases = relative->biases + i % heads * places;
        if (relative != NULL && dbiases != NULL) {
            h.dbiases = dbiases + i * places;
            memset(h.dbiases, 0, places * sizeof *h.dbiases);
        }
        head_backward(&a, &h, block);
    }
    vit_gemm_end(gemm);
}
