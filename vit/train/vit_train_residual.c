/* Where a residual branch joins the stream: layer scale (arXiv 2103.17239), dropout, and stochastic
 * depth (arXiv 1603.09382):
 *     out = x + keep(gamma * branch)
 * What is kept is drawn by counting, from (seed, number of the pass, image, place, token), so the
 * backward pass draws the same again, and no mask is stored. */
#include <string.h>

#include "vit_train_layout.h"
#include "vitc_size.h"

train_own_rows vit_train_own_rows(size_t count)
{
    const vit_share share = vit_share_tokens(count);
    return (train_own_rows){share.from + share.member, share.to, share.members};
}

void vit_train_settle(size_t tokens)
{
    if (vit_share_tokens(tokens).members > 1) {
#pragma omp barrier
    }
}

/* ---- what is left out ---- */

static float path_probability(const vit_trainer *t, train_place place)
{
    const uint32_t layers = t->config.layers;
    if (place.branch == 0 || layers < 2) return 0;
    return t->drop.path * (float)place.layer / (float)(layers - 1);
}

bool vit_train_drops(const vit_trainer *t, train_place place)
{
    return t->drop.dropout > 0 || path_probability(t, place) > 0;
}

vitc_random vit_train_drop_stream(const vit_trainer *t, vitc_random_use use, train_place place,
                                  size_t image, size_t token)
{
    enum { ROUND_BITS = 24, BRANCHES = 3 };
    const uint64_t number = t->drop.number + image;
    const uint64_t where = (uint64_t)place.layer * BRANCHES + place.branch;
    const uint64_t index = where * vit_config_tokens(&t->config) + token;
    /* numbers beyond what a name holds take another seed */
    const uint64_t seed = t->drop.seed + 0x9E3779B97F4A7C15u * (number >> ROUND_BITS);
    return vitc_random_start(seed, use, (uint32_t)(number & ((1u << ROUND_BITS) - 1)), index);
}

static void drop_row(const vit_trainer *t, float *row, train_place place, size_t image,
                     size_t token)
{
    const size_t d = t->config.width;
    const float path = path_probability(t, place);
    float factor = 1;
    if (path > 0) {
        vitc_random stream = vit_train_drop_stream(t, VITC_RANDOM_DROP_PATH, place, image, 0);
        factor = vitc_random_chance(&stream, (double)path) ? 0 : 1 / (1 - path);
    }
    if (factor == 0) {
        memset(row, 0, d * sizeof *row);
        return;
    }
    if (t->drop.dropout > 0) {
        const double limit = (double)t->drop.dropout * 0x1p32; /* of 32 bits */
        vitc_random stream = vit_train_drop_stream(t, VITC_RANDOM_DROPOUT, place, image, token);
        factor /= 1 - t->drop.dropout;
        for (size_t i = 0; i < d; i++)
            row[i] = (double)vitc_random_word(&stream) < limit ? 0 : row[i] * factor;
        return;
    }
    for (size_t i = 0; i < d; i++) row[i] *= factor;
}

void vit_train_drop(const vit_trainer *t, float *x, train_rows rows, train_place place)
{
    if (!vit_train_drops(t, place)) return;
    const size_t n = t->tokens;
    const train_own_rows own = vit_train_own_rows(rows.count);
    for (size_t r = own.from; r < own.to; r += own.step) {
        const size_t token = r * rows.step;
        drop_row(t, x + token * t->ld.token, place, t->first + token / n, token % n);
    }
}

/* ---- the sum ---- */

void vit_train_residual(const vit_trainer *t, float *out, const float *x, const float *branch,
                        const train_scale *scale, train_rows rows, train_place place)
{
    const size_t d = t->config.width, n = t->tokens;
    const bool drops = vit_train_drops(t, place);
    const train_own_rows own = vit_train_own_rows(rows.count);
    for (size_t r = own.from; r < own.to; r += own.step) {
        const size_t token = r * rows.step, at = token * t->ld.token;
        float *row = out + at;
        if (scale->gamma != NULL)
            for (size_t i = 0; i < d; i++) row[i] = scale->gamma[i] * branch[at + i];
        if (drops) drop_row(t, row, place, t->first + token / n, token % n);
        for (size_t i = 0; i < d; i++) row[i] += x[at + i];
    }
}

/* dgamma[i] += sum over the rows of dy[r][i] * branch[r][i], in double and in the rows' order. */
static void add_scale_gradient(const vit_trainer *t, float *dgamma, const float *dy,
                               const float *branch, train_rows rows)
{
    enum { LINE = 16 };
    const size_t d = t->config.width, stride = rows.step * t->ld.token;
#pragma omp for schedule(static)
    for (size_t from = 0; from < d; from += LINE) {
        const size_t count = vitc_size_min(LINE, d - from);
        double sums[LINE] = {0};
        for (size_t r = 0; r < rows.count; r++)
            for (size_t i = 0; i < count; i++)
                sums[i] +=
                    (double)dy[r * stride + from + i] * (double)branch[r * stride + from + i];
        for (size_t i = 0; i < count; i++) dgamma[from + i] += (float)sums[i];
    }
}

const float *vit_train_residual_backward(const vit_trainer *t, float *dbranch, const float *dx,
                                         const float *branch, const train_scale *scale,
                                         train_rows rows, train_place place)
{
    if (scale->gamma == NULL && !vit_train_drops(t, place)) return dx;
    const size_t d = t->config.width, stride = rows.step * t->ld.token;
    const train_own_rows own = vit_train_own_rows(rows.count);
    for (size_t r = own.from; r < own.to; r += own.step)
        memcpy(dbranch + r * stride, dx + r * stride, d * sizeof *dx);
    vit_train_drop(t, dbranch, rows, place);
    if (scale->gamma != NULL) {
#pragma omp barrier
        add_scale_gradient(t, scale->dgamma, dbranch, branch, rows);
        for (size_t r = own.from; r < own.to; r += own.step)
            for (size_t i = 0; i < d; i++) dbranch[r * stride + i] *= scale->gamma[i];
    }
    vit_train_settle(rows.count);
    return dbranch;
}
