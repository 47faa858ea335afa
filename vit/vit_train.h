/* vit_train.h - training Vision Transformers: parameters and their gradients.
 *
 * A trainer holds a model's parameters in float32, in the order of its table, and the memory of one
 * forward and backward pass. It knows nothing of optimizers, data or files: those work on the
 * parameters and gradients that it hands out.
 *
 * Sizes and seeds decide all results to the last bit, whatever the number of threads (on one kernel
 * row), so that a run repeats, and goes on after an interruption as if there had been none.
 */
#ifndef VITC_VIT_TRAIN_H
#define VITC_VIT_TRAIN_H

#include "vit.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vit_trainer vit_trainer;

typedef struct vit_train_options {
    uint32_t batch;          /* most images of one pass */
    int threads;             /* 0 chooses as vit_workspace_create does */
    vit_precision precision; /* of the products: F32, or BF16 (operands rounded; sums, norms,
                                residual stream, parameters and gradients are float32) */
    bool recompute;  /* keep each block's input only, and compute the rest again in the backward
                        pass (arXiv 1604.06174): less memory, a third more time */
    float drop_path; /* stochastic depth (arXiv 1603.09382): residual branches of block l of L are
                        left out per image with probability drop_path * l / (L - 1) */
    float dropout;   /* after the positions and at the end of each residual branch */
    uint64_t seed;   /* of what is left out */
} vit_train_options;

VITC_API vit_train_options vit_train_options_default(void); /* 64 images, F32, nothing left out */

/* Bytes that a trainer takes; 0 on overflow. With BF16, more for rounded weights. */
VITC_API size_t vit_trainer_size(const vit_config *config, const vit_train_options *options);

/* Parameters and gradients begin as zeros. VITC_ERR_MEMORY, VITC_ERR_ARGUMENT, VITC_ERR_UNSUPPORTED
 * for a configuration that can be run but not trained, naming what. */
VITC_API VITC_MUST_CHECK vitc_status vit_trainer_create(vit_trainer **trainer,
                                                        const vit_config *config,
                                                        const vit_train_options *options,
                                                        const vitc_log *log);
VITC_API void vit_trainer_free(vit_trainer *trainer);

/* All parameters, one after the other in table order; gradients in the same places. They may be
 * read and written between passes. */
VITC_API float *vit_trainer_parameters(vit_trainer *trainer);
VITC_API float *vit_trainer_gradients(vit_trainer *trainer);
VITC_API size_t vit_trainer_count(const vit_trainer *trainer);

/* Random parameters as timm's "" scheme makes them: matrices and position table of truncated normal
 * numbers (deviation 0.02, the position table `position_std`), class token normal (1e-6), biases 0,
 * norms 1, layer scale 1e-5; a head of zeros. */
VITC_API void vit_trainer_initialize(vit_trainer *trainer, uint64_t seed, float position_std);

/* Where the patch rows of image b are to be written before a pass: as vit_workspace_patches. */
VITC_API float *vit_trainer_patches(vit_trainer *trainer, uint32_t b);

typedef struct vit_pass {
    double loss;    /* mean cross-entropy over the images */
    uint64_t right; /* images whose largest logit is where their largest target is */
} vit_pass;

/* Forward and backward: adds to the gradients those of scale * (sum over images of the
 * cross-entropy of logits[b] against targets[b][K], which are probabilities). `number` makes what
 * is left out another in every pass. VITC_ERR_INTERNAL when the loss or a gradient is not finite,
 * naming the block: the gradients are then of no use, the parameters as they were. */
VITC_API VITC_MUST_CHECK vitc_status vit_trainer_run(vit_trainer *trainer, vit_pass *pass,
                                                     const float *targets, uint32_t batch,
                                                     float scale, uint64_t number,
                                                     const vitc_log *log);
VITC_API void vit_trainer_zero_gradients(vit_trainer *trainer);

/* Forward only, nothing left out: logits[b][K]. */
VITC_API VITC_MUST_CHECK vitc_status vit_trainer_logits(vit_trainer *trainer, float *logits,
                                                        uint32_t batch, const vitc_log *log);

#ifdef __cplusplus
}
#endif
#endif
