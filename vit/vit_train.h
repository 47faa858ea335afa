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
    uint32_t batch; /* most images of one pass */
    /* Images that go forward and backward together: their activations are all that a trainer keeps.
     * It decides the order in which gradients are summed, so it is a part of what makes a run
     * repeatable. 0 chooses by the configuration alone, for a few cores; many cores want
     * more, up to 4096. */
    uint32_t group;
    int threads;             /* 0 chooses as vit_workspace_create does */
    vit_precision precision; /* of the products: F32 (and DEFAULT), or BF16: operands rounded; sums,
                                norms, residual stream, head, parameters and gradients float32 */
    bool recompute;  /* keep each block's input only, and compute the rest again in the backward
                        pass (arXiv 1604.06174): less memory, a third more time */
    float drop_path; /* stochastic depth (arXiv 1603.09382): residual branches of block l of L are
                        left out per image with probability drop_path * l / (L - 1) */
    float dropout;   /* after the positions and at the end of each residual branch */
    float patch_dropout; /* PatchDropout (arXiv 2208.07220): of each image this share of the patches
                            is left out of a pass, at random, with their positions: less work, and
                            room for activations of those that are kept. Positions at the stem only.
                            One patch at least is kept; vit_trainer_logits sees all of them */
    uint64_t seed;       /* of what is left out */
    /* NULL, or called during the last group's backward pass, by the thread that called
     * vit_trainer_run, when gradients [from, from + count) are complete: last parameters first, a
     * block at a time, all that are trained once; of what is frozen there is no word. Sums over
     * several machines can so be under way while the other threads compute the rest. A pass whose
     * loss is not finite reports nothing. */
    void (*ready)(void *user, size_t from, size_t count);
    void *ready_user;
    uint32_t frozen; /* the first blocks that are not trained, and with them everything before:
                        their gradients stay as they are and cost no time, though activations are
                        kept. 0: all is trained; L: the last norm and the head only */
} vit_train_options;

/* 64 images, F32, nothing left out, all trained. */
VITC_API vit_train_options vit_train_options_default(void);

/* VITC_ERR_UNSUPPORTED for a configuration that can be run but not trained yet, naming what: a
 * distillation head, scores that are not a softmax. VITC_ERR_ARGUMENT for options that make no
 * sense, patch dropout with positions inside the blocks among them; VITC_ERR_MODEL as
 * vit_config_check. */
VITC_API VITC_MUST_CHECK vitc_status vit_trainer_check(const vit_config *config,
                                                       const vit_train_options *options,
                                                       const vitc_log *log);

/* Bytes that a trainer takes, parameters, gradients and packed weights included; 0 when it cannot
 * be created. */
VITC_API size_t vit_trainer_size(const vit_config *config, const vit_train_options *options);

/* Parameters and gradients begin as zeros. VITC_ERR_MEMORY, and as vit_trainer_check. */
VITC_API VITC_MUST_CHECK vitc_status vit_trainer_create(vit_trainer **trainer,
                                                        const vit_config *config,
                                                        const vit_train_options *options,
                                                        const vitc_log *log);
VITC_API void vit_trainer_free(vit_trainer *trainer);

VITC_API const vit_config *vit_trainer_config(const vit_trainer *trainer);
/* With threads, group and precision as they were chosen. */
VITC_API const vit_train_options *vit_trainer_options(const vit_trainer *trainer);

/* All parameters, one after the other in table order; gradients in the same places. They may be
 * read and written between passes. */
VITC_API float *vit_trainer_parameters(vit_trainer *trainer);
VITC_API float *vit_trainer_gradients(vit_trainer *trainer);
VITC_API size_t vit_trainer_count(const vit_trainer *trainer);

/* Random parameters, nearly as timm makes them: matrices and distillation token normal (deviation
 * 0.02), class and register tokens normal (1e-6), biases 0, norms 1, layer scale 1e-5; the head's
 * matrix zeros, so that training begins at the loss of a guess. Position tables, and the rows and
 * columns that they are made of, are normal (`position_std`: 0.02 in ViT's JAX code, timm and DeiT,
 * 1/sqrt(D) in big_vision and CLIP, 0.2 in CCT), of every block alike: multiplied, they then begin
 * near 1. Relative positions begin with zeros, as in BEiT (arXiv 2106.08254). */
VITC_API void vit_trainer_initialize(vit_trainer *trainer, uint64_t seed, float position_std);

/* Where the patch rows of image b are to be written before a pass: as vit_workspace_patches. */
VITC_API float *vit_trainer_patches(vit_trainer *trainer, uint32_t b);

typedef struct vit_pass {
    double loss;    /* mean cross-entropy over the images */
    uint64_t right; /* images whose largest logit is where their largest target is */
} vit_pass;

/* Forward and backward: adds to the gradients those of scale * (sum over images of the
 * cross-entropy of logits[b] against targets[b][K], which are probabilities). `number`
 * is that of the first of them among all images that a run sees: what is left out of an image
 * follows from it and the seed, however a run is cut into batches. Allocates nothing.
 * VITC_ERR_ARGUMENT for more images than the batch. VITC_ERR_INTERNAL when the loss or a gradient
 * is not finite, naming the image, the parameter or the block that it comes from: the gradients are
 * then of no use, the parameters as they were. With `ready`, only the loss is looked at: gradients
 * then belong to whom they were reported to. */
VITC_API VITC_MUST_CHECK vitc_status vit_trainer_run(vit_trainer *trainer, vit_pass *pass,
                                                     const float *targets, uint32_t batch,
                                                     float scale, uint64_t number,
                                                     const vitc_log *log);
VITC_API void vit_trainer_zero_gradients(vit_trainer *trainer);

/* `all`: no patch is left out of passes from now on, whatever `patch_dropout`; else as the options
 * have it. A model that has been trained on some patches sees all of them when it is used: the end
 * of its training should be like that. Such passes go through in smaller groups. */
VITC_API void vit_trainer_keep_patches(vit_trainer *trainer, bool all);

/* Forward only, nothing left out: logits[b][K]. */
VITC_API VITC_MUST_CHECK vitc_status vit_trainer_logits(vit_trainer *trainer, float *logits,
                                                        uint32_t batch, const vitc_log *log);

#ifdef __cplusplus
}
#endif
#endif
