#include "vit_optimizer.h"

#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "vit_muon.h"
#include "vit_params.h"
#include "vitc_log.h"
#include "vitc_memory.h"
#include "vitc_size.h"
#include "vitc_threads.h"

/* Numbers of one parameter that one thread works on at once, and whose squares are summed on their
 * own: the same for any number of threads. */
enum { BLOCK = 4096, LANES = 8 };

typedef struct block {
    size_t offset, count, param;
} block;

/* A matrix that Muon sees as one. */
typedef struct muon_matrix {
    size_t offset, rows, cols, param;
} muon_matrix;

struct vit_optimizer {
    vit_optimizer_options options;
    vit_param_table table;
    uint32_t layers; /* L */
    int threads;
    uint64_t steps;
    float *arrays[VIT_OPTIMIZER_ARRAYS_MAX]; /* momentum, square, average; NULL: none */
    vit_optimizer_rule *rules;               /* [table.count] */
    block *blocks;
    double *sums; /* [block_count] */
    size_t block_count;
    vit_muon *muons; /* of MUON, one for each thread, as are: */
    float *updates;  /* [threads][the largest matrix of a block] */
    size_t update_size;
    muon_matrix *matrices; /* in the order of the table */
    size_t matrix_count;
    vitc_arena arena;
};

enum { MOMENTUM, SQUARE, AVERAGE };

/* ---- options ---- */

static const char *const names[VIT_OPTIMIZER_KIND_COUNT] = {"adamw", "sgd", "muon"};

const char *vit_optimizer_string(vit_optimizer_kind kind)
{
    return (size_t)kind < VIT_OPTIMIZER_KIND_COUNT ? names[kind] : NULL;
}

bool vit_optimizer_from_string(vit_optimizer_kind *kind, const char *name)
{
    for (size_t i = 0; i < VIT_OPTIMIZER_KIND_COUNT; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *kind = (vit_optimizer_kind)i;
        return true;
    }
    return false;
}

vit_optimizer_options vit_optimizer_options_default(vit_optimizer_kind kind)
{
    return (vit_optimizer_options){.kind = kind,
                                   .beta1 = 0.9,
                                   .beta2 = 0.999,
                                   .eps = 1e-8,
                                   .momentum = kind == VIT_OPTIMIZER_MUON ? 0.95 : 0.9,
                                   .weight_decay = kind == VIT_OPTIMIZER_SGD ? 0 : 0.05,
                                   .layer_decay = 1};
}

/* A number that must lie in [low, high), or where it is `closed` in (low, high]. */
typedef struct range {
    const char *name;
    double value, low, high;
    bool closed;
} range;

static bool is_inside(const range *r)
{
    if (!isfinite(r->value)) return false;
    return r->closed ? r->value > r->low && r->value <= r->high
                     : r->value >= r->low && r->value < r->high;
}

static vitc_status check_options(const vit_optimizer_options *o, const vitc_log *log)
{
    const range ranges[] = {{"beta1", o->beta1, 0, 1, false},
                            {"beta2", o->beta2, 0, 1, false},
                            {"eps", o->eps, 0, 1, true},
                            {"momentum", o->momentum, 0, 1, false},
                            {"weight decay", o->weight_decay, 0, INFINITY, false},
                            {"layer decay", o->layer_decay, 0, 1, true},
                            {"clip", o->clip, 0, INFINITY, false},
                            {"average", o->average, 0, 1, false}};
    if (vit_optimizer_string(o->kind) == NULL)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "optimizer: %d is none", (int)o->kind);
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        const range *r = &ranges[i];
        if (is_inside(r)) continue;
        return vitc_fail(log, VITC_ERR_ARGUMENT, "optimizer: %s is %g; it must be in %c%g, %g%c",
                         r->name, r->value, r->closed ? '(' : '[', r->low, r->high,
                         r->closed ? ']' : ')');
    }
    if ((unsigned)o->precision > VIT_PRECISION_BF16)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "optimizer: precision %s; it must be f32 or bf16",
                         vit_precision_string(o->precision));
    if (o->kind == VIT_OPTIMIZER_SGD && o->nesterov && o->momentum == 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "optimizer: Nesterov's step needs a momentum");
    return VITC_OK;
}

static bool has_array(const vit_optimizer_options *o, int array)
{
    switch (array) {
    case MOMENTUM:
        return o->kind != VIT_OPTIMIZER_SGD || o->momentum > 0;
    case SQUARE:
        return o->kind != VIT_OPTIMIZER_SGD;
    default:
        return o->average > 0;
    }
}

/* ---- memory ---- */

static size_t count_blocks(const vit_param_table *table)
{
    size_t count = 0;
    for (size_t i = 0; i < table->count; i++)
        count += vitc_size_divide_up(table->params[i].count, BLOCK);
    return count;
}

/* Of a parameter that Muon steps, how many matrices stand below each other in it: queries, keys
 * and values are three. */
static size_t stacked(const vit_param *param)
{
    return param->id == VIT_QKV_WEIGHT ? 3 : 1;
}

/* The matrices of the blocks, and what the largest of them need. */
static vit_muon_extent find_extent(size_t *count, const vit_param_table *table,
                                   const vit_gemm *gemm)
{
    vit_muon_extent e = {0};
    *count = 0;
    for (size_t i = 0; i < table->count; i++) {
        const vit_param *param = &table->params[i];
        if (!vit_param_in_encoder(param->id)) continue;
        *count += stacked(param);
        vit_muon_extend(&e, gemm, param->shape[0] / stacked(param), param->shape[1]);
    }
    return e;
}

/* Where everything lies in the arena. */
typedef struct layout {
    vitc_arena arena;
    size_t arrays[VIT_OPTIMIZER_ARRAYS_MAX], rules, blocks, sums;
    size_t muons, matrices, updates;
    vit_muon_layout muon;
} layout;

static const vit_gemm *muon_gemm(const vit_kernels *kernels, const vit_optimizer_options *options)
{
    return options->precision == VIT_PRECISION_BF16 ? &kernels->bf16 : &kernels->f32;
}

static void lay_out_muon(layout *l, const vit_param_table *table, const vit_gemm *gemm, int threads)
{
    size_t matrices;
    const vit_muon_extent e = find_extent(&matrices, table, gemm);
    l->muons = vitc_arena_reserve_array(&l->arena, (size_t)threads, sizeof(vit_muon));
    l->matrices = vitc_arena_reserve_array(&l->arena, matrices, sizeof(muon_matrix));
    l->updates =
        vitc_arena_reserve_array(&l->arena, (size_t)threads, e.rows * e.cols * sizeof(float));
    l->muon = vit_muon_reserve(&l->arena, &e, threads);
}

static layout lay_out(const vit_param_table *table, const vit_optimizer_options *options,
                      const vit_kernels *kernels, int threads)
{
    layout l = {0};
    const size_t blocks = count_blocks(table);
    if (options->kind == VIT_OPTIMIZER_MUON)
        lay_out_muon(&l, table, muon_gemm(kernels, options), threads);
    for (int i = 0; i < VIT_OPTIMIZER_ARRAYS_MAX; i++)
        if (has_array(options, i))
            l.arrays[i] = vitc_arena_reserve_array(&l.arena, table->elements, sizeof(float));
    l.rules = vitc_arena_reserve_array(&l.arena, table->count, sizeof(vit_optimizer_rule));
    l.blocks = vitc_arena_reserve_array(&l.arena, blocks, sizeof(block));
    l.sums = vitc_arena_reserve_array(&l.arena, blocks, sizeof(double));
    return l;
}

size_t vit_optimizer_size(const vit_config *config, const vit_optimizer_options *options)
{
    vit_param_table table;
    vit_kernels kernels;
    if (vit_kernels_select(&kernels, NULL) != VITC_OK ||
        vit_params_create(&table, config, NULL) != VITC_OK)
        return 0;
    const layout l =
        lay_out(&table, options, &kernels, vitc_threads_choose(options->threads, NULL, 0));
    vit_params_free(&table);
    return l.arena.overflow ? 0 : l.arena.size;
}

static void fill_blocks(vit_optimizer *o)
{
    for (size_t i = 0; i < o->table.count; i++) {
        const vit_param *param = &o->table.params[i];
        for (size_t at = 0; at < param->count; at += BLOCK)
            o->blocks[o->block_count++] =
                (block){param->offset + at, vitc_size_min(BLOCK, param->count - at), i};
    }
}

/* Of a parameter: 0 for the embeddings, i + 1 for block i, L + 1 behind the blocks. */
static uint32_t layer_of(const vit_param *param, uint32_t layers)
{
    if (vit_param_in_block(param->id)) return param->layer + 1;
    return param->id < VIT_NORM1_WEIGHT ? 0 : layers + 1;
}

static void bind_muon(vit_optimizer *o, const layout *l, const vit_kernels *kernels)
{
    o->muons = vitc_arena_at(&l->arena, l->muons);
    o->matrices = vitc_arena_at(&l->arena, l->matrices);
    o->updates = vitc_arena_at(&l->arena, l->updates);
    o->update_size = l->muon.extent.rows * l->muon.extent.cols;
    for (int i = 0; i < o->threads; i++)
        o->muons[i] =
            vit_muon_bind(&l->arena, muon_gemm(kernels, &o->options), kernels->rows, &l->muon, i);
    for (size_t i = 0; i < o->table.count; i++) {
        const vit_param *param = &o->table.params[i];
        if (!vit_param_in_encoder(param->id)) continue;
        const size_t rows = param->shape[0] / stacked(param), cols = param->shape[1];
        for (size_t k = 0; k < stacked(param); k++)
            o->matrices[o->matrix_count++] =
                (muon_matrix){param->offset + k * rows * cols, rows, cols, i};
    }
}

static void fill_rules(vit_optimizer *o)
{
    for (size_t i = 0; i < o->table.count; i++) {
        const vit_param *param = &o->table.params[i];
        /* biases of all blocks have the rate of the last, as BEiT's, not that of the first */
        const bool shared_biases = param->id == VIT_RELATIVE_TABLE;
        const uint32_t above = shared_biases ? 0 : o->layers + 1 - layer_of(param, o->layers);
        o->rules[i] = (vit_optimizer_rule){
            .name = param->name,
            .rate = pow(o->options.layer_decay, above),
            .decay = param->kind == VIT_PARAM_MATRIX ? o->options.weight_decay : 0,
            .trained = true};
    }
}

vitc_status vit_optimizer_create(vit_optimizer **out, const vit_config *config,
                                 const vit_optimizer_options *options, const vitc_log *log)
{
    *out = NULL;
    VITC_TRY(check_options(options, log));
    vit_optimizer *o = calloc(1, sizeof *o);
    if (o == NULL) return vitc_fail_memory(log, "the optimizer");
    o->options = *options;
    o->threads = vitc_threads_choose(options->threads, NULL, 0);
    vit_kernels kernels;
    vitc_status status = vit_kernels_select(&kernels, log);
    if (status == VITC_OK) status = vit_params_create(&o->table, config, log);
    if (status != VITC_OK) {
        free(o);
        return status;
    }
    layout l = lay_out(&o->table, options, &kernels, o->threads);
    if (!vitc_arena_allocate(&l.arena)) {
        vit_optimizer_free(o);
        return vitc_fail_memory(log, "what the optimizer remembers");
    }
    o->arena = l.arena;
    o->layers = config->layers;
    if (options->kind == VIT_OPTIMIZER_MUON) bind_muon(o, &l, &kernels);
    for (int i = 0; i < VIT_OPTIMIZER_ARRAYS_MAX; i++) {
        if (!has_array(options, i)) continue;
        o->arrays[i] = vitc_arena_at(&l.arena, l.arrays[i]);
        memset(o->arrays[i], 0, o->table.elements * sizeof(float));
    }
    o->rules = vitc_arena_at(&l.arena, l.rules);
    o->blocks = vitc_arena_at(&l.arena, l.blocks);
    o->sums = vitc_arena_at(&l.arena, l.sums);
    fill_blocks(o);
    fill_rules(o);
    *out = o;
    return VITC_OK;
}

void vit_optimizer_free(vit_optimizer *optimizer)
{
    if (optimizer == NULL) return;
    vitc_arena_free(&optimizer->arena);
    vit_params_free(&optimizer->table);
    free(optimizer);
}

/* ---- rules and state ---- */

vit_optimizer_rule *vit_optimizer_rules(vit_optimizer *optimizer, size_t *count)
{
    *count = optimizer->table.count;
    return optimizer->rules;
}

void vit_optimizer_train_last(vit_optimizer *o, uint32_t blocks)
{
    const uint32_t first = o->layers + 1 - (blocks < o->layers ? blocks : o->layers);
    for (size_t i = 0; i < o->table.count; i++) {
        const vit_param *param = &o->table.params[i];
        const bool head = param->id >= VIT_HEAD_WEIGHT;
        if (!head && (blocks == 0 || layer_of(param, o->layers) < first))
            o->rules[i].trained = false;
    }
}

size_t vit_optimizer_arrays(const vit_optimizer *optimizer,
                            vit_optimizer_array arrays[VIT_OPTIMIZER_ARRAYS_MAX])
{
    static const char *const array_names[VIT_OPTIMIZER_ARRAYS_MAX] = {"momentum", "square",
                                                                      "average"};
    size_t count = 0;
    for (int i = 0; i < VIT_OPTIMIZER_ARRAYS_MAX; i++)
        if (optimizer->arrays[i] != NULL)
            arrays[count++] = (vit_optimizer_array){array_names[i], optimizer->arrays[i]};
    return count;
}

uint64_t vit_optimizer_steps(const vit_optimizer *optimizer)
{
    return optimizer->steps;
}

void vit_optimizer_set_steps(vit_optimizer *optimizer, uint64_t steps)
{
    optimizer->steps = steps;
}

const float *vit_optimizer_average(const vit_optimizer *optimizer)
{
    return optimizer->arrays[AVERAGE];
}

double vit_optimizer_average_decay(double average, uint64_t step)
{
    return fmin(average, 1 - pow((double)step, -2.0 / 3));
}

/* ---- the norm ---- */

/* In lanes, so that the order of adding does not follow the vector length. */
static double sum_of_squares(const float *values, size_t count)
{
    double lanes[LANES] = {0};
    size_t i = 0;
    for (; count - i >= LANES; i += LANES)
        for (size_t k = 0; k < LANES; k++) {
            const double x = (double)values[i + k];
            lanes[k] += x * x;
        }
    for (size_t k = 0; i + k < count; k++) {
        const double x = (double)values[i + k];
        lanes[k] += x * x;
    }
    double sum = 0;
    for (size_t k = 0; k < LANES; k++) sum += lanes[k];
    return sum;
}

/* The norm of the gradients of all parameters that are trained. */
static vitc_status measure(double *norm, const vit_optimizer *o, const float *gradients,
                           const vitc_log *log)
{
#pragma omp parallel for num_threads(o->threads) schedule(static)
    for (size_t i = 0; i < o->block_count; i++) {
        const block *b = &o->blocks[i];
        o->sums[i] =
            o->rules[b->param].trained ? sum_of_squares(gradients + b->offset, b->count) : 0;
    }
    double sum = 0;
    for (size_t i = 0; i < o->block_count; i++) {
        sum += o->sums[i];
        if (!isfinite(o->sums[i])) /* squares of finite floats do not overflow a double's sum */
            return vitc_fail(
                log, VITC_ERR_INTERNAL,
                "step %llu: the gradient of %s is not finite; a lower learning rate, a "
                "longer warm-up or clipping may help",
                (unsigned long long)o->steps + 1, o->rules[o->blocks[i].param].name);
    }
    *norm = sqrt(sum);
    return VITC_OK;
}

/* ---- one block: loops that compilers vectorize ---- */

/* What is the same for all numbers of a parameter in one step. */
typedef struct factors {
    float gradient; /* times each gradient: clipping */
    float rate, keep, decay;
    float fresh1, keep2, fresh2, root2, eps; /* ADAMW */
    float momentum;                          /* SGD */
    float fresh_average;
} factors;

static factors factors_of(const vit_optimizer *o, const vit_optimizer_rule *rule, double rate,
                          double clip)
{
    const vit_optimizer_options *options = &o->options;
    const double t = (double)o->steps + 1, r = rate * rule->rate;
    factors f = {.gradient = (float)clip,
                 .rate = (float)r,
                 .decay = (float)rule->decay,
                 .momentum = (float)options->momentum,
                 .fresh_average =
                     (float)(1 - vit_optimizer_average_decay(options->average, o->steps + 1))};
    if (options->kind == VIT_OPTIMIZER_SGD) return f;
    f.rate = (float)(r / (1 - pow(options->beta1, t)));
    f.keep = (float)(1 - r * rule->decay);
    f.fresh1 = (float)(1 - options->beta1);
    f.keep2 = (float)options->beta2;
    f.fresh2 = (float)(1 - options->beta2);
    f.root2 = (float)sqrt(1 - pow(options->beta2, t));
    f.eps = (float)options->eps;
    return f;
}

static void step_adamw(float *restrict w, float *restrict m, float *restrict v,
                       const float *restrict gradients, size_t count, const factors *f)
{
    const factors k = *f;
    for (size_t i = 0; i < count; i++) {
        const float g = gradients[i] * k.gradient;
        m[i] += k.fresh1 * (g - m[i]);
        v[i] = k.keep2 * v[i] + k.fresh2 * g * g;
        w[i] = k.keep * w[i] - k.rate * m[i] / (sqrtf(v[i]) / k.root2 + k.eps);
    }
}

static void step_momentum(float *restrict w, float *restrict m, const float *restrict gradients,
                          size_t count, const factors *f, bool nesterov)
{
    const factors k = *f;
    const float fresh = nesterov ? 1.0f : 0.0f, old = nesterov ? k.momentum : 1.0f;
    for (size_t i = 0; i < count; i++) {
        const float g = gradients[i] * k.gradient + k.decay * w[i];
        m[i] = k.momentum * m[i] + g;
        w[i] -= k.rate * (fresh * g + old * m[i]);
    }
}

static void step_plain(float *restrict w, const float *restrict gradients, size_t count,
                       const factors *f)
{
    const factors k = *f;
    for (size_t i = 0; i < count; i++)
        w[i] -= k.rate * (gradients[i] * k.gradient + k.decay * w[i]);
}

static void average(float *restrict a, const float *restrict w, size_t count, float fresh)
{
    for (size_t i = 0; i < count; i++) a[i] += fresh * (w[i] - a[i]);
}

static void step_block(const vit_optimizer *o, const block *b, float *parameters,
                       const float *gradients, double rate, double clip)
{
    const vit_optimizer_rule *rule = &o->rules[b->param];
    const factors f = factors_of(o, rule, rate, clip);
    float *w = parameters + b->offset;
    const float *g = gradients + b->offset;
    if (rule->trained && o->arrays[SQUARE] != NULL)
        step_adamw(w, o->arrays[MOMENTUM] + b->offset, o->arrays[SQUARE] + b->offset, g, b->count,
                   &f);
    else if (rule->trained && o->arrays[MOMENTUM] != NULL)
        step_momentum(w, o->arrays[MOMENTUM] + b->offset, g, b->count, &f, o->options.nesterov);
    else if (rule->trained)
        step_plain(w, g, b->count, &f);
    if (o->arrays[AVERAGE] != NULL)
        average(o->arrays[AVERAGE] + b->offset, w, b->count, f.fresh_average);
}

/* ---- Muon: each matrix by one thread ---- */

static bool is_muons(const vit_optimizer *o, size_t param)
{
    return o->options.kind == VIT_OPTIMIZER_MUON && o->rules[param].trained &&
           vit_param_in_encoder(o->table.params[param].id);
}

/* By thread number `thread`. */
static void step_matrix(const vit_optimizer *o, const muon_matrix *matrix, float *parameters,
                        const float *gradients, double rate, double clip, int thread)
{
    const vit_optimizer_rule *rule = &o->rules[matrix->param];
    const factors f = factors_of(o, rule, rate, clip);
    const size_t rows = matrix->rows, cols = matrix->cols, count = rows * cols;
    const float step = (float)(rate * rule->rate * 0.2 * sqrt((double)vitc_size_max(rows, cols)));
    float *w = parameters + matrix->offset, *m = o->arrays[MOMENTUM] + matrix->offset;
    float *update = o->updates + (size_t)thread * o->update_size;
    gradients += matrix->offset;
    for (size_t i = 0; i < count; i++) {
        const float g = gradients[i] * f.gradient;
        m[i] += (1 - f.momentum) * (g - m[i]);
        update[i] = g + f.momentum * (m[i] - g);
    }
    vit_muon_orthogonalize(&o->muons[thread], update, update, rows, cols);
    for (size_t i = 0; i < count; i++) w[i] = f.keep * w[i] - step * update[i];
    if (o->arrays[AVERAGE] != NULL)
        average(o->arrays[AVERAGE] + matrix->offset, w, count, f.fresh_average);
}

/* ---- a step ---- */

vitc_status vit_optimizer_step(vit_optimizer *o, float *parameters, const float *gradients,
                               double rate, double *norm, const vitc_log *log)
{
    double measured, clip = 1;
    if (!isfinite(rate) || rate < 0)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "step %llu: a learning rate of %g",
                         (unsigned long long)o->steps + 1, rate);
    VITC_TRY(measure(&measured, o, gradients, log));
    if (norm != NULL) *norm = measured;
    if (o->options.clip > 0) clip = fmin(1, o->options.clip / (measured + 1e-6));
#pragma omp parallel num_threads(o->threads)
    {
#pragma omp for schedule(static) nowait
        for (size_t i = 0; i < o->block_count; i++)
            if (!is_muons(o, o->blocks[i].param))
                step_block(o, &o->blocks[i], parameters, gradients, rate, clip);
#pragma omp for schedule(dynamic)
        for (size_t i = 0; i < o->matrix_count; i++)
            if (is_muons(o, o->matrices[i].param))
                step_matrix(o, &o->matrices[i], parameters, gradients, rate, clip,
                            omp_get_thread_num());
    }
    o->steps++;
    return VITC_OK;
}
