/* A pass: weights are packed as they are now, and the images go forward and backward in groups. */
#include <math.h>
#include <omp.h>
#include <string.h>

#include "vit_train_layout.h"
#include "vitc_log.h"
#include "vitc_size.h"

typedef struct train_pass {
    const float *targets; /* [batch][K]; NULL: forward only */
    float *logits;        /* [batch][K], of a forward pass */
    uint32_t batch;
    float scale;
} train_pass;

/* ---- weights ---- */

static void pack_matrix(const train_linear *linear, bool backward)
{
    vit_linear_pack(&linear->forward, linear->weight, NULL);
    if (backward) vit_linear_pack_transposed(&linear->backward, linear->weight);
}

/* Shared among a team, matrix by matrix; ends in a barrier. */
static void pack_weights(vit_trainer *t, bool backward)
{
    enum { PER_BLOCK = 4 };
    const size_t count = 2 + PER_BLOCK * (size_t)t->config.layers;
#pragma omp for schedule(dynamic)
    for (size_t i = 0; i < count; i++) {
        if (i < 2) {
            /* the pixels' gradient is not asked for */
            pack_matrix(i == 0 ? &t->patch_embedding : &t->head, backward && i > 0);
            continue;
        }
        const train_block *block = &t->blocks[(i - 2) / PER_BLOCK];
        const train_linear *matrices[PER_BLOCK] = {&block->qkv, &block->proj, &block->fc1,
                                                   &block->fc2};
        const bool trained = (i - 2) / PER_BLOCK >= t->options.frozen;
        pack_matrix(matrices[(i - 2) % PER_BLOCK], backward && trained);
    }
}

/* ---- the loss ---- */

static size_t largest(const float *values, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (values[i] > values[best]) best = i;
    return best;
}

/* Of one group, by one thread. */
static void add_loss(vit_trainer *t, const train_pass *pass, uint32_t images)
{
    const size_t k = t->config.classes;
    const float *targets = pass->targets + t->first * k;
    for (uint32_t b = 0; b < images; b++)
        t->right += largest(t->logits + b * k, k) == largest(targets + b * k, k);
    t->loss += vit_loss_cross_entropy(t->dlogits, t->logits, targets, images, k, pass->scale);
    t->failed = !isfinite(t->loss);
}

/* ---- the team ---- */

static void run_team(vit_trainer *t, const train_pass *pass)
{
    const uint32_t group = vit_train_keeps_all(t) ? t->whole_group : t->group;
    const uint32_t groups = (uint32_t)vitc_size_divide_up(pass->batch, group);
    const size_t k = t->config.classes;
    vit_train_choose_patches(t, pass->batch);
    vit_train_fill_positions(t);
    pack_weights(t, pass->targets != NULL);
    for (uint32_t left = groups, first = 0; left > 0; left--) { /* groups as even as can be */
        const uint32_t images = (uint32_t)vitc_size_divide_up(pass->batch - first, left);
        const float *patches = vit_trainer_patches(t, first);
#pragma omp single
        {
            t->first = first;
            t->images = images;
        }
        vit_train_forward(t, patches, images);
#pragma omp single
        {
            if (pass->targets != NULL)
                add_loss(t, pass, images);
            else
                memcpy(pass->logits + first * k, t->logits, images * k * sizeof(float));
        }
        if (t->failed) return; /* every thread: nobody writes it before the next barrier */
        if (pass->targets != NULL) vit_backward(t, patches, images, left == 1);
        first += images;
    }
}

/* `patches` of each image. */
static void run(vit_trainer *t, const train_pass *pass, uint32_t patches)
{
    t->patch_count = patches;
    t->tokens = vit_config_prefix_tokens(&t->config) + patches;
    t->loss = 0;
    t->right = 0;
    t->failed = false;
    /* also of one thread: the caller may be one of a team, which is not to share this work */
#pragma omp parallel num_threads(t->threads)
    run_team(t, pass);
}

/* ---- what is not finite ---- */

static bool all_finite(const float *values, size_t count)
{
    const uint32_t exponent = 0x7F800000;
    uint32_t bad = 0;
    for (size_t i = 0; i < count; i++) { /* in a form that compilers make vectors of */
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bad |= (bits & exponent) == exponent;
    }
    return bad == 0;
}

/* By all threads, as there may be more of them than caches hold. */
static bool gradients_finite(const vit_trainer *t)
{
    enum { PART = 1 << 16 };
    bool finite = true;
#pragma omp parallel for num_threads(t->threads) schedule(static) reduction(&& : finite)
    for (size_t i = 0; i < t->table.elements; i += PART)
        finite = all_finite(t->gradients + i, vitc_size_min(PART, t->table.elements - i)) && finite;
    return finite;
}

static bool rows_finite(const float *x, size_t ld, train_rows rows, size_t width)
{
    for (size_t r = 0; r < rows.count; r++)
        if (!all_finite(x + r * rows.step * ld, width)) return false;
    return true;
}

/* The first parameter of `values`, or the last one, that is not finite; NULL: none. */
static const vit_param *find_nonfinite(const vit_trainer *t, const float *values, bool last)
{
    const size_t count = t->table.count;
    for (size_t i = 0; i < count; i++) {
        const vit_param *param = &t->table.params[last ? count - 1 - i : i];
        if (!all_finite(values + param->offset, param->count)) return param;
    }
    return NULL;
}

/* The first operation of the group's forward pass whose results are not finite. With `recompute`
 * only the streams between blocks are still there. */
static vit_op find_operation(const vit_trainer *t, uint32_t *layer)
{
    const vit_config *config = &t->config;
    const uint32_t images = t->images;
    const size_t d = config->width;
    const train_rows all = {(size_t)images * t->tokens, 1};
    if (!rows_finite(t->blocks[0].x, t->ld.token, all, d)) return VIT_OP_EMBED;
    for (*layer = 0; *layer < config->layers; ++*layer) {
        const train_block *block = &t->blocks[*layer];
        const train_rows rows = vit_train_block_rows(t, *layer, images);
        const bool kept = !t->options.recompute || *layer + 1 == config->layers;
        if (kept && !rows_finite(block->qkv_rows, t->ld.qkv, all, 3 * d)) return VIT_OP_QKV;
        if (kept && !rows_finite(block->attended, t->ld.token, rows, d)) return VIT_OP_ATTENTION;
        if (kept && !rows_finite(block->middle, t->ld.token, rows, d)) return VIT_OP_PROJ;
        const train_rows hidden = {rows.count, 1};
        if (kept && !rows_finite(block->z, t->ld.hidden, hidden, config->mlp)) return VIT_OP_FC1;
        if (!rows_finite(block->out, t->ld.token, rows, d)) return VIT_OP_FC2;
    }
    return VIT_OP_HEAD;
}

static vitc_status report_loss(vit_trainer *t, const train_pass *pass, const vitc_log *log)
{
    const size_t k = t->config.classes;
    const size_t image = (size_t)(vit_trainer_patches(t, 1) - vit_trainer_patches(t, 0));
    for (uint32_t b = 0; b < pass->batch; b++) {
        if (!all_finite(vit_trainer_patches(t, b), image))
            return vitc_fail(log, VITC_ERR_INTERNAL,
                             "image %u of the batch: not all pixels are "
                             "finite numbers",
                             b);
        if (!all_finite(pass->targets + b * k, k))
            return vitc_fail(log, VITC_ERR_INTERNAL,
                             "image %u of the batch: not all targets are "
                             "finite numbers",
                             b);
    }
    const vit_param *param = find_nonfinite(t, t->parameters, false);
    if (param != NULL)
        return vitc_fail(log, VITC_ERR_INTERNAL, "%s: not all of its numbers are finite",
                         param->name);
    uint32_t layer = 0;
    const vit_op op = find_operation(t, &layer);
    if (op == VIT_OP_EMBED || op == VIT_OP_HEAD)
        return vitc_fail(log, VITC_ERR_INTERNAL,
                         "the loss is not finite, from the %s on; a lower learning rate may help",
                         vit_op_string(op));
    return vitc_fail(
        log, VITC_ERR_INTERNAL,
        "the loss is not finite, from block %u, %s, on; a lower learning rate may help", layer,
        vit_op_string(op));
}

/* Gradients come from the loss to the pixels: the last one in table order is the first to fail. */
static vitc_status report_gradient(const vit_trainer *t, const vitc_log *log)
{
    const vit_param *param = find_nonfinite(t, t->gradients, true);
    return vitc_fail(log, VITC_ERR_INTERNAL,
                     "the gradient of %s is not finite; a lower learning rate may help",
                     param != NULL ? param->name : "a parameter");
}

/* ---- public ---- */

static vitc_status check_batch(const vit_trainer *t, uint32_t batch, const vitc_log *log)
{
    if (batch > 0 && batch <= t->options.batch) return VITC_OK;
    return vitc_fail(log, VITC_ERR_ARGUMENT, "a pass of %u images through a trainer for %u", batch,
                     t->options.batch);
}

vitc_status vit_trainer_run(vit_trainer *t, vit_pass *result, const float *targets, uint32_t batch,
                            float scale, uint64_t number, const vitc_log *log)
{
    *result = (vit_pass){0};
    VITC_TRY(check_batch(t, batch, log));
    const train_pass pass = {.targets = targets, .batch = batch, .scale = scale};
    t->drop = (train_drop){t->options.seed, number, t->options.drop_path, t->options.dropout};
    run(t, &pass, t->keep_all ? vit_config_patches(&t->config) : t->kept);
    if (t->failed) return report_loss(t, &pass, log);
    /* what is handed over while it is made belongs to somebody else by now */
    if (t->options.ready == NULL && !gradients_finite(t)) return report_gradient(t, log);
    *result = (vit_pass){.loss = t->loss / batch, .right = t->right};
    return VITC_OK;
}

void vit_trainer_keep_patches(vit_trainer *t, bool all)
{
    t->keep_all = all;
}

/* NOLINTNEXTLINE(readability-non-const-parameter): the pass writes there */
vitc_status vit_trainer_logits(vit_trainer *t, float *logits, uint32_t batch, const vitc_log *log)
{
    VITC_TRY(check_batch(t, batch, log));
    const train_pass pass = {.logits = logits, .batch = batch};
    t->drop = (train_drop){0};
    run(t, &pass, vit_config_patches(&t->config));
    return VITC_OK;
}
