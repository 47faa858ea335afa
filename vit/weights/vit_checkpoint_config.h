/* vit_checkpoint_config.h - typed reading of config JSON (private to vit/weights).
 *
 * Each reader stores a value when `key` is present and not null, leaves *value as it is (the
 * default) otherwise, and fails with VITC_ERR_MODEL, naming the key, for a value of another type or
 * outside its range. */
#ifndef VIT_CHECKPOINT_CONFIG_H
#define VIT_CHECKPOINT_CONFIG_H

#include "vit.h"
#include "vitc_json.h"

typedef struct vit_config_reader {
    const char *name; /* of the file, for messages */
    const vitc_log *log;
} vit_config_reader;

/* The member `key`, or NULL where it is absent or null. */
const vitc_json *vit_config_present(const vitc_json *object, const char *key);

/* VITC_ERR_MODEL: '<name>: "<key>" is <value>; vitc needs <expected>'. */
VITC_MUST_CHECK vitc_status vit_config_fail(const vit_config_reader *reader, const char *key,
                                            const vitc_json *value, const char *expected);

/* `minimum` to 2^30; dimensions of real models are far below. */
VITC_MUST_CHECK vitc_status vit_config_read_count(uint32_t *value, const vit_config_reader *reader,
                                                  const vitc_json *object, const char *key,
                                                  uint32_t minimum);
/* A number, or a list of two: height, width. */
VITC_MUST_CHECK vitc_status vit_config_read_pair(uint32_t *height, uint32_t *width,
                                                 const vit_config_reader *reader,
                                                 const vitc_json *object, const char *key);
/* Within the range of float32. */
VITC_MUST_CHECK vitc_status vit_config_read_number(double *value, const vit_config_reader *reader,
                                                   const vitc_json *object, const char *key);
VITC_MUST_CHECK vitc_status vit_config_read_flag(bool *value, const vit_config_reader *reader,
                                                 const vitc_json *object, const char *key);
/* *value points into the document. */
VITC_MUST_CHECK vitc_status vit_config_read_string(const char **value,
                                                   const vit_config_reader *reader,
                                                   const vitc_json *object, const char *key);

/* How transformers makes scores of the logits: by "problem_type" and the number of classes. */
VITC_MUST_CHECK vitc_status vit_config_read_scores(vit_scores *scores,
                                                   const vit_config_reader *reader,
                                                   const vitc_json *config, uint32_t classes);

#endif
