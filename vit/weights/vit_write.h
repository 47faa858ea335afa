/* vit_write.h - vitc's single file, written (private to vit/weights): what metadata it has, which
 * tensors, and that it appears complete or not at all. README.md has the format. */
#ifndef VIT_WRITE_H
#define VIT_WRITE_H

#include "vit_checkpoint.h"

/* What a file is made of. Values are asked for tensor by tensor, an int8 one twice: once for its
 * scales and once for its numbers, because the file has all scales before all numbers. */
typedef struct vit_write_source {
    const char *name; /* of what is written, for messages */
    const vit_config *config;
    const vit_param_table *table;
    const vit_description *description; /* labels, preprocessing and license are taken from it */
    const char *card;                   /* JSON object texts, NULL: none; the description's own */
    const char *quantization;           /* are not looked at */
    const char *calibration;
    const vit_tensor_type *types; /* of every parameter: F32, BF16 or I8 */
    void *user;
    /* The numbers of a parameter that is not I8, valid until the next call. */
    vitc_status (*read)(void *user, const float **values, size_t param, const vitc_log *log);
    /* Of one that is: row o of shape[0] is q * scale[o]. NULL where no type is I8. */
    vitc_status (*read_quantized)(void *user, const int8_t **q, const float **scale, size_t param,
                                  const vitc_log *log);
} vit_write_source;

/* VITC_ERR_MODEL for a value beyond bfloat16 where that is the type. */
VITC_MUST_CHECK vitc_status vit_write_file(const char *path, const vit_write_source *source,
                                           const vitc_log *log);

/* A JSON object of the caller's; `what` it is, for messages. VITC_ERR_ARGUMENT for other JSON. */
VITC_MUST_CHECK vitc_status vit_write_parse_object(vitc_json **root, const char *text,
                                                   const char *what, const vitc_log *log);

#endif
