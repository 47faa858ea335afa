/* vit_optimizer.h - from gradients to better parameters (private to vit and apps).
 *
 * Parameters and gradients are arrays of all numbers of a model in the order of its parameter
 * table, as vit_trainer hands them out; what the optimizer remembers of earlier steps has the same
 * order, so that a checkpoint writes plain arrays. All is float32 but for sums and for what is
 * computed once a step, which are double.
 *
 * Functions are called by one thread and share their work among `threads`; the number of threads
 * does not change a bit of the result, nor does the vector length of the machine but for Muon,
 * whose products are those of the kernels chosen. */
#ifndef VIT_OPTIMIZER_H
#define VIT_OPTIMIZER_H

#include "vit.h"

typedef enum vit_optimizer_kind {
    /* Adam with decoupled weight decay (arXiv 1711.05101), as torch.optim.AdamW:
     *     w -= rate * decay * w
     *     m += (1 - beta1) (g - m),  v = beta2 v + (1 - beta2) g^2
     *     w -= rate / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)       t from 1 */
    VIT_OPTIMIZER_ADAMW = 0,
    /* Gradient descent with momentum, as torch.optim.SGD without dampening:
     *     g += decay * w,  m = momentum m + g
     *     w -= rate * m                  or, Nesterov's,  w -= rate * (g + momentum m) */
    VIT_OPTIMIZER_SGD,
    /* Muon for the matrices of the blocks (queries, keys and values each for themselves), as
     * torch.optim.Muon with adjust_lr_fn="match_rms_adamw", and ADAMW for everything else at the
     * same rate and decay:
     *     m += (1 - momentum) (g - m)
     *     w -= rate * decay * w
     *     w -= rate * 0.2 sqrt(max(rows, columns)) * orthogonal(g + momentum (m - g))
     * (vit_muon.h). */
    VIT_OPTIMIZER_MUON,
    VIT_OPTIMIZER_KIND_COUNT
} vit_optimizer_kind;

/* "adamw", "sgd", "muon"; NULL for a number that is none. */
const char *vit_optimizer_string(vit_optimizer_kind kind);
/* The reverse; false when there is none. */
bool vit_optimizer_from_string(vit_optimizer_kind *kind, const char *name);

typedef struct vit_optimizer_options {
    vit_optimizer_kind kind;
    double beta1, beta2, eps; /* ADAMW: 0.9, 0.999, 1e-8 */
    double momentum;          /* SGD: 0.9; below 1, 0 for none; MUON: 0.95 */
    bool nesterov;            /* SGD; needs momentum */
    double weight_decay;      /* 0.05 (SGD: 0), of matrices; biases, norms, layer scale, positions
                                 and tokens have none */
    double layer_decay;       /* 1 for none, or the factor from each layer to the one before it, see
                                 vit_optimizer_rule */
    double clip;             /* the largest norm of all gradients together, to which larger ones are
                                scaled down: by clip / (norm + 1e-6), as torch does; 0 for none */
    double average;          /* decay of the running average of parameters, 0.9998; 0 for none */
    vit_precision precision; /* of MUON's products: F32 (and DEFAULT), or BF16, as its authors do */
    int threads;             /* 0 chooses as vit_workspace_create does */
} vit_optimizer_options;

vit_optimizer_options vit_optimizer_options_default(vit_optimizer_kind kind); /* clip, average 0 */

typedef struct vit_optimizer vit_optimizer;

/* Bytes that an optimizer takes; 0 on overflow or for a configuration that is none. */
size_t vit_optimizer_size(const vit_config *config, const vit_optimizer_options *options);

/* VITC_ERR_ARGUMENT, naming the option; VITC_ERR_MEMORY. */
VITC_MUST_CHECK vitc_status vit_optimizer_create(vit_optimizer **optimizer,
                                                 const vit_config *config,
                                                 const vit_optimizer_options *options,
                                                 const vitc_log *log);
void vit_optimizer_free(vit_optimizer *optimizer);

/* ---- what holds for one parameter ---- */

/* After vit_optimizer_create:
 *   rate   layer_decay^(L + 1 - layer), where the layer of the embeddings (patches, positions,
 *          tokens, the norm before the blocks) is 0, of block i is i + 1, and of what follows, and
 *          of relative biases that all blocks share, is L + 1: the rule of BEiT (arXiv 2106.08254)
 *   decay  of matrices, weight_decay; else 0
 * The caller may change them between steps. A parameter that is not trained stays as it is, and its
 * gradient, which need not be there, has no part in the norm. */
typedef struct vit_optimizer_rule {
    const char *name; /* "blocks.0.norm1.weight" */
    double rate;      /* times the learning rate */
    double decay;
    bool trained;
} vit_optimizer_rule;

/* One for each parameter of the table; they live as long as the optimizer. */
vit_optimizer_rule *vit_optimizer_rules(vit_optimizer *optimizer, size_t *count);

/* Leaves of what is trained the last `blocks` blocks (0 to L), the norms behind them, and the head;
 * with 0 blocks the head alone, a linear probe. */
void vit_optimizer_train_last(vit_optimizer *optimizer, uint32_t blocks);

/* ---- steps ---- */

/* One step at learning rate `rate` * rule. *norm (may be NULL) becomes that of the gradients,
 * before clipping. VITC_ERR_INTERNAL, naming the first parameter, when a gradient is not finite;
 * VITC_ERR_ARGUMENT for a rate that is negative or not finite: nothing is changed then. */
VITC_MUST_CHECK vitc_status vit_optimizer_step(vit_optimizer *optimizer, float *parameters,
                                               const float *gradients, double rate, double *norm,
                                               const vitc_log *log);

/* The decay of the running average in step t, from 1: min(average, 1 - t^(-2/3)), so that it begins
 * as the parameters and soon forgets them; timm's ModelEmaV3 with warm-up. */
double vit_optimizer_average_decay(double average, uint64_t step);

/* The running average, after the last step; NULL when there is none, zeros before the first. */
const float *vit_optimizer_average(const vit_optimizer *optimizer);

/* ---- state, for checkpoints: the rules, the steps taken and these arrays are all of it ---- */

enum { VIT_OPTIMIZER_ARRAYS_MAX = 3 };

typedef struct vit_optimizer_array {
    const char *name; /* "momentum", "square", "average" */
    float *values;    /* one for each number of the model */
} vit_optimizer_array;

/* How many there are. */
size_t vit_optimizer_arrays(const vit_optimizer *optimizer,
                            vit_optimizer_array arrays[VIT_OPTIMIZER_ARRAYS_MAX]);
uint64_t vit_optimizer_steps(const vit_optimizer *optimizer);
void vit_optimizer_set_steps(vit_optimizer *optimizer, uint64_t steps);

#endif
