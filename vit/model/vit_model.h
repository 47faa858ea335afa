/* vit_model.h - building a model from parameters (private to vit).
 *
 * vit/weights creates a model, hands over every parameter of the table once, then finishes it. */
#ifndef VIT_MODEL_H
#define VIT_MODEL_H

#include "vit_params.h"

/* What a checkpoint says besides weights. Strings are owned by whoever holds the struct and freed
 * by vit_description_free; any of them may be NULL. */
typedef struct vit_description {
    const char *source; /* a literal; see vit_model_info */
    char *dtype;        /* as stored */
    char *card;         /* JSON object text */
    char *license;
    char *quantization; /* JSON object text */
    char *calibration;  /* JSON object text */
    /* What was measured at another image size, and is therefore left out above. */
    bool forgot_accuracy, forgot_temperature;
    uint32_t stored_height, stored_width; /* of the images that its positions were stored for; 0: of
                                             no file */
    char **labels;                        /* K strings, or NULL */
    uint32_t label_count;
    patches_spec preprocess;
} vit_description;

void vit_description_free(vit_description *description);

/* Chooses kernels and the precision (`asked`, for matrices that `name` holds as `stored`), and
 * allocates everything that the configuration needs. VITC_ERR_ARGUMENT for a precision that the
 * stored numbers cannot give. */
VITC_MUST_CHECK vitc_status vit_model_create(vit_model **model, const vit_config *config,
                                             vit_precision asked, vit_dtype stored,
                                             const char *name, const vitc_log *log);

/* The same with only the encoder's matrix of that name in the precision, and all else in float32;
 * NULL: all of them. VITC_ERR_ARGUMENT where the encoder has no such matrix. */
VITC_MUST_CHECK vitc_status vit_model_create_only(vit_model **model, const vit_config *config,
                                                  vit_precision asked, vit_dtype stored,
                                                  const char *only, const char *name,
                                                  const vitc_log *log);

const vit_param_table *vit_model_params(const vit_model *model);

/* Takes one parameter: `values` has the table's count and order; matrices are packed for the
 * kernels, the rest is copied. `values` may be freed afterwards. All vectors come before the first
 * matrix, whose packing folds some of them in; different matrices may be set at the same time. */
VITC_MUST_CHECK vitc_status vit_model_set(vit_model *model, size_t param, const float *values,
                                          const vitc_log *log);
/* The same for a matrix of an INT8 model's encoder that was quantized before: row o is q *
 * scale[o]. `scale` may be changed. */
VITC_MUST_CHECK vitc_status vit_model_set_quantized(vit_model *model, size_t param, const int8_t *q,
                                                    float *scale, const vitc_log *log);

/* Quantizes rows [rows, n] as packing floats for an INT8 model does: w is about q * scale[row]. A
 * row that holds a NaN or an infinity gets the scale NaN. */
void vit_quantize_rows(int8_t *q, float *scale, const float *w, size_t rows, size_t n);

/* Checks that every parameter was set and that the preprocessing makes images of the model's size,
 * and takes over *description (which is emptied). */
VITC_MUST_CHECK vitc_status vit_model_finish(vit_model *model, vit_description *description,
                                             const char *name, const vitc_log *log);

/* VITC_ERR_PREPROCESS unless `spec` makes images of the configuration's size. */
VITC_MUST_CHECK vitc_status vit_preprocess_check(const vit_config *config, const patches_spec *spec,
                                                 const char *name, const vitc_log *log);

#endif
