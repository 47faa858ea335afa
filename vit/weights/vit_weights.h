/* vit_weights.h - a model as plain numbers: what training, conversions and exports work on (private
 * to vit and apps).
 *
 * All parameters are float32, one after the other in the order of the configuration's table, as
 * vit_trainer_parameters has them. */
#ifndef VIT_WEIGHTS_H
#define VIT_WEIGHTS_H

#include "vit_model.h"

typedef struct vit_weights {
    vit_config config;
    vit_description description; /* labels, preprocessing, card, license */
    vit_param_table table;
    float *parameters; /* table.elements */
} vit_weights;

/* Reads any checkpoint that vit_model_load reads, with its errors and options (image size,
 * preprocessing); int8 weights are refused with VITC_ERR_ARGUMENT. *weights is empty after a
 * failure. */
VITC_MUST_CHECK vitc_status vit_weights_read(vit_weights *weights, const char *path,
                                             const vit_load_options *options, const vitc_log *log);
VITC_MUST_CHECK vitc_status vit_weights_read_memory(vit_weights *weights, const void *data,
                                                    size_t size, const char *name,
                                                    const vit_load_options *options,
                                                    const vitc_log *log);
/* All zeros, without a description. */
VITC_MUST_CHECK vitc_status vit_weights_create(vit_weights *weights, const vit_config *config,
                                               const vitc_log *log);
void vit_weights_free(vit_weights *weights);

/* Everything once more. *copy is empty after a failure. */
VITC_MUST_CHECK vitc_status vit_weights_copy(vit_weights *copy, const vit_weights *weights,
                                             const vitc_log *log);

/* What no reader would load: VITC_ERR_MODEL for numbers that are not finite, naming the first;
 * VITC_ERR_PREPROCESS where images would have another size than the model's. `name` is for
 * messages. */
VITC_MUST_CHECK vitc_status vit_weights_check(const vit_weights *weights, const char *name,
                                              const vitc_log *log);

/* The labels of a description, one per class, which are copied; NULL with count 0: none.
 * VITC_ERR_ARGUMENT for another number of them. */
VITC_MUST_CHECK vitc_status vit_weights_set_labels(vit_weights *weights, const char *const *labels,
                                                   uint32_t count, const vitc_log *log);

/* The card, JSON object text, which is copied; a license that it states becomes the license. NULL
 * takes the card away. VITC_ERR_ARGUMENT or VITC_ERR_CORRUPT for what is no JSON object. */
VITC_MUST_CHECK vitc_status vit_weights_set_card(vit_weights *weights, const char *card,
                                                 const vitc_log *log);

/* For weights that were trained further: takes away what is only true of the numbers as they were
 * read, the notes of quantizing and calibrating and the temperature. */
void vit_weights_forget_measurements(vit_weights *weights);

/* Gives the weights another configuration: parameters that both have, in the same shape, keep their
 * numbers, all others are zeros. The description stays. The weights are as they were after a
 * failure. */
VITC_MUST_CHECK vitc_status vit_weights_reshape(vit_weights *weights, const vit_config *config,
                                                const vitc_log *log);

/* Whether the one head gives scores to these very classes, in this order. */
bool vit_weights_has_classes(const vit_weights *weights, const char *const *labels,
                             uint32_t classes);
/* Fine-tuning: a head of other classes, of zeros, whose scores are a softmax; a second head (of a
 * distilled model) is left out, the token that it read stays. A head of these very labels keeps its
 * numbers. The labels become these (NULL: none).
 * License and measurements go: what they said was of another model; the card stays. */
VITC_MUST_CHECK vitc_status vit_weights_new_head(vit_weights *weights, const char *const *labels,
                                                 uint32_t classes, const vitc_log *log);

/* Why no table of N x D that other tools add to the embedded patches gives the same logits ("are
 * multiplied with the tokens"); NULL where one does. */
const char *vit_weights_inexpressible_position(const vit_config *config);

/* For other tools: learned-2d, factorized-sum and sincos-2d tables that are added at the stem
 * become one of N x D (learned-1d without slots for prefix tokens), which gives the same logits to
 * the last bit. VITC_ERR_UNSUPPORTED, saying why, for what no such table can express: relative,
 * rope-2d, multiplied tables, and all that are not at the stem. learned-1d and none at the stem
 * stay as they are. `name` is for messages. */
VITC_MUST_CHECK vitc_status vit_weights_flatten_position(vit_weights *weights, const char *name,
                                                         const vitc_log *log);

/* Writes vitc's single file, as vit_model_convert does: matrices in `dtype` (F32 or BF16), all else
 * in float32. The file appears complete or not at all. As vit_weights_check, and VITC_ERR_MODEL for
 * numbers beyond bfloat16. */
VITC_MUST_CHECK vitc_status vit_weights_write(const vit_weights *weights, const char *path,
                                              vit_dtype dtype, const vitc_log *log);

/* VITC_ERR_ARGUMENT where the file `out` is a part of the checkpoint `in`, by whatever name. */
VITC_MUST_CHECK vitc_status vit_weights_check_output(const char *in, const char *out,
                                                     const vit_load_options *options,
                                                     const vitc_log *log);

/* For a file that was written of weights read at another image size than they were stored for: a
 * warning of what it no longer tells, unless that has been given anew. */
void vit_weights_tell_forgotten(const char *out, bool accuracy, bool temperature,
                                const vitc_log *log);

/* Writes a directory that transformers (config.json, preprocessor_config.json, model.safetensors)
 * or timm.create_model("local-dir:...") (config.json, model.safetensors) load, in float32, with the
 * same logits. Positions are flattened as above; other changes that change no number are made
 * (zeros for a table or a bias that the library always has; layer scale multiplied into the
 * matrices, for transformers). VITC_ERR_UNSUPPORTED, naming what, for a model that the library's
 * class cannot express, or whose preprocessing it cannot follow; warnings for what is lost without
 * changing logits. As vit_weights_check too. The directory must not exist, or be empty; it appears
 * complete or not at all. */
VITC_MUST_CHECK vitc_status vit_weights_export_hf(const vit_weights *weights, const char *directory,
                                                  const vitc_log *log);
VITC_MUST_CHECK vitc_status vit_weights_export_timm(const vit_weights *weights,
                                                    const char *directory, const vitc_log *log);

/* A model that runs them, to the last bit as vit_model_load of the file written in float32 would
 * give it; `precision` F32 or BF16. The weights are copied. */
VITC_MUST_CHECK vitc_status vit_weights_model(vit_model **model, const vit_weights *weights,
                                              vit_precision precision, const vitc_log *log);

/* The same classifier for images enlarged by a whole factor: patches of factor * P pixels whose
 * kernels first undo the enlargement by `filter`, as imgio resizes: exactly for patches away from
 * the border (vit_enlarge.h). The preprocessing enlarges every size by the factor and resizes with
 * that filter. VITC_ERR_ARGUMENT for a factor below 2, sizes that cannot be, and a filter that
 * loses pixels so that no kernel can undo it (bicubic with factor 2); VITC_ERR_MODEL as
 * vit_config_check; VITC_ERR_PREPROCESS where the preprocessing does not resize. The weights are as
 * they were after a failure. docs/parity.md has the error at borders and of 8-bit rounding. */
VITC_MUST_CHECK vitc_status vit_weights_enlarge(vit_weights *weights, uint32_t factor,
                                                imgio_filter filter, const vitc_log *log);

#endif
