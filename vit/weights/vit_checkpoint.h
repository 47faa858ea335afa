/* vit_checkpoint.h - an opened checkpoint of any kind, as a configuration, a description and one
 * source for every parameter of vitc's table (private to vit/weights).
 *
 *     vit_checkpoint *c;
 *     VITC_TRY(vit_checkpoint_open(&c, path, options, log));
 *     ... c->config, c->description, c->table are complete and agree with each other and with
 *     the tensors' names, shapes and types; only their values have not been looked at ...
 *     VITC_TRY(vit_checkpoint_read(c, i, values, log));   // for i < c->table.count
 *     vit_checkpoint_free(c);
 *
 * Three dialects know what a kind of checkpoint calls things: vit_checkpoint_hf.c, _timm.c and
 * _vitc.c. vit_checkpoint_files.c finds and maps files, vit_checkpoint.c does the rest. */
#ifndef VIT_CHECKPOINT_H
#define VIT_CHECKPOINT_H

#include "vit_checkpoint_config.h"
#include "vit_model.h"
#include "vit_safetensors.h"

/* A tensor of int8 weights has its rows' scales beside it, under its name with this after it. */
#define VIT_SCALE_SUFFIX "_scale"

/* Tensors that make up one parameter: query, key and value are stored apart by some. */
#define VIT_SOURCE_PARTS_MAX 3
#define VIT_SOURCE_NAME_SIZE 128

/* One tensor of any of the checkpoint's files. */
typedef struct vit_checkpoint_tensor {
    const char *name; /* without a prefix that all tensors have */
    const vit_tensor *tensor;
    bool used;
} vit_checkpoint_tensor;

typedef struct vit_checkpoint_source {
    uint32_t count; /* parts, concatenated along the first dimension */
    const vit_checkpoint_tensor *parts[VIT_SOURCE_PARTS_MAX];
    const vit_checkpoint_tensor *scale; /* of the one part, which is int8; else NULL */
} vit_checkpoint_source;

typedef struct vit_checkpoint_file {
    char *path; /* NULL for bytes of the caller */
    vitc_file map;
    vit_safetensors contents;
} vit_checkpoint_file;

typedef struct vit_checkpoint vit_checkpoint;

typedef struct vit_checkpoint_names {
    uint32_t count;
    char names[VIT_SOURCE_PARTS_MAX][VIT_SOURCE_NAME_SIZE];
} vit_checkpoint_names;

/* What a kind of checkpoint knows. */
typedef struct vit_dialect {
    const char *source; /* as vit_model_info has it */
    /* Fills config, labels, license and card from the config's JSON and the tensors' shapes. */
    vitc_status (*configure)(vit_checkpoint *checkpoint, const vitc_json *config,
                             const vitc_log *log);
    /* What the checkpoint calls a parameter. */
    void (*name)(vit_checkpoint_names *names, const vit_checkpoint *checkpoint,
                 const vit_param *param);
} vit_dialect;

extern const vit_dialect vit_dialect_hf, vit_dialect_timm, vit_dialect_vitc;

struct vit_checkpoint {
    char *name;        /* the path that was opened, for messages */
    char *config_name; /* of the file or entry that holds the config */
    const vit_dialect *dialect;
    vit_config config; /* with the image size that was asked for */
    vit_config stored; /* the same with that of the tensors */
    vit_description description;
    vit_param_table table;
    vit_checkpoint_source *sources; /* one for each entry of the table */
    vit_checkpoint_file *files;
    size_t file_count;
    vit_checkpoint_tensor *tensors; /* of all files, sorted by name */
    size_t tensor_count;
    bool allow_nonfinite;
    /* Of the Hugging Face dialect: */
    const char *hf_prefix; /* "vit" or "deit" */
    bool hf_memory_names;  /* the names that transformers 5 uses in memory */
    bool hf_teacher;       /* two heads: cls_classifier and distillation_classifier */
};

/* Opens a folder or a file; `options` NULL means the defaults. After a failure *out is NULL, and
 * the log has one message, or one for each list of tensors that are missing, unexpected or of
 * another shape. */
VITC_MUST_CHECK vitc_status vit_checkpoint_open(vit_checkpoint **out, const char *path,
                                                const vit_load_options *options,
                                                const vitc_log *log);
/* vitc's single file in memory; `data` must outlive the checkpoint. */
VITC_MUST_CHECK vitc_status vit_checkpoint_open_memory(vit_checkpoint **out, const void *data,
                                                       size_t size, const char *name,
                                                       const vit_load_options *options,
                                                       const vitc_log *log);

/* A folder's files as bytes; weights are one safetensors file. NULL for what is not there. */
typedef struct vit_checkpoint_texts {
    const char *config;
    size_t config_size;
    const char *preprocessor; /* preprocessor_config.json */
    size_t preprocessor_size;
    const char *processor; /* processor_config.json */
    size_t processor_size;
    const void *weights;
    size_t weights_size;
} vit_checkpoint_texts;
VITC_MUST_CHECK vitc_status vit_checkpoint_open_texts(vit_checkpoint **out,
                                                      const vit_checkpoint_texts *texts,
                                                      const char *name,
                                                      const vit_load_options *options,
                                                      const vitc_log *log);

void vit_checkpoint_free(vit_checkpoint *checkpoint);

/* dst[0 .. table.params[param].count) as float32. VITC_ERR_MODEL, naming tensor and index, for a
 * value that is not finite, unless the options allow it. */
VITC_MUST_CHECK vitc_status vit_checkpoint_read(const vit_checkpoint *checkpoint, size_t param,
                                                float *dst, const vitc_log *log);

/* The same for a parameter of which vit_checkpoint_is_quantized is true: *q points at its int8
 * numbers, all of them -127 .. 127, and scale[0 .. shape[0]) gets those of its rows, all of them
 * finite and not negative. */
VITC_MUST_CHECK vitc_status vit_checkpoint_read_quantized(const vit_checkpoint *checkpoint,
                                                          size_t param, const int8_t **q,
                                                          float *scale, const vitc_log *log);
bool vit_checkpoint_is_quantized(const vit_checkpoint *checkpoint, size_t param);

/* Elements of the largest parameter: what a buffer for vit_checkpoint_read needs. */
size_t vit_checkpoint_largest(const vit_checkpoint *checkpoint);
/* Such a buffer, malloc'd. */
VITC_MUST_CHECK vitc_status vit_checkpoint_buffer(float **buffer, const vit_checkpoint *checkpoint,
                                                  const vitc_log *log);

/* ---- for the dialects and the file finder ---- */

/* Messages that loading and writing share: the file's name, and a tensor's. */
#define VIT_ALREADY_INT8                                                                           \
    "%s: holds int8 weights already; use the checkpoint that it was quantized from"
#define VIT_BEYOND_BF16 "%s: tensor %s holds a value beyond bfloat16; convert to f32"

/* Bytes of one JSON file beside the weights. */
#define VIT_CHECKPOINT_JSON_MAX ((size_t)32 << 20)

vitc_status vit_checkpoint_create(vit_checkpoint **out, const char *name,
                                  const vit_load_options *options, const vitc_log *log);
/* Adds an opened file's tensors after vit_safetensors_open; takes over nothing when it fails. */
vitc_status vit_checkpoint_gather(vit_checkpoint *checkpoint, const vitc_log *log);
/* After files are gathered: configures, matches, reads the preprocessing. */
vitc_status vit_checkpoint_finish(vit_checkpoint *checkpoint, const vit_checkpoint_texts *texts,
                                  const vit_load_options *options, const vitc_log *log);
/* The same for vitc's single file, whose texts are in its metadata. */
vitc_status vit_checkpoint_finish_vitc(vit_checkpoint *checkpoint, const vit_load_options *options,
                                       const vitc_log *log);

/* The tensor of that name, or NULL. */
const vit_checkpoint_tensor *vit_checkpoint_find(const vit_checkpoint *checkpoint,
                                                 const char *name);
/* Extent `i` of the tensor of that name; 0 where there is none. */
size_t vit_checkpoint_extent(const vit_checkpoint *checkpoint, const char *name, uint32_t i);
/* 1 + the highest number that follows `prefix` in a tensor's name ("blocks." of "blocks.11.x"). */
uint32_t vit_checkpoint_layers(const vit_checkpoint *checkpoint, const char *prefix);

/* VITC_ERR_MODEL: config and weights disagree about `key`. */
vitc_status vit_checkpoint_disagree(const vit_checkpoint *checkpoint, const char *key,
                                    const char *value, const char *tensor, const vitc_log *log);
/* The same for numbers: fails when extent `i` of `tensor` exists and is not `expected`. */
vitc_status vit_checkpoint_check_extent(const vit_checkpoint *checkpoint, const char *key,
                                        uint32_t value, const char *tensor, uint32_t i,
                                        size_t expected, const vitc_log *log);

/* Keeps the name of an architecture, as much of it as there is room for. */
void vit_checkpoint_set_architecture(vit_config *config, const char *text);

/* Labels from a list of strings, or an object of "index": string; numbers are taken as text.
 * There must be one for each of config.classes, as `head` (a tensor's name) has it; but an object
 * under timm's "label_names" may leave some out: NULL, until they become "class i" when the head
 * is known to have so many. */
vitc_status vit_checkpoint_read_labels(vit_checkpoint *checkpoint, const vitc_json *labels,
                                       const char *key, const char *head, const vitc_log *log);

/* Copies a string; "out of memory" otherwise. */
vitc_status vit_checkpoint_copy(char **copy, const char *text, const vitc_log *log);

/* ---- vitc's own JSON for a configuration ---- */

/* One line, malloc'd; NULL without memory. */
char *vit_config_format(const vit_config *config);
/* Strict: every key must be there, and no other. */
VITC_MUST_CHECK vitc_status vit_config_parse(vit_config *config, const vitc_json *root,
                                             const char *name, const vitc_log *log);

/* ---- what timm's architectures do not say in config.json ---- */

typedef struct vit_timm_rule {
    uint32_t heads;
    float norm_eps;
    vit_activation activation;
    const char *pool;        /* "token", "avg" or "map" */
    const char *unsupported; /* what vitc lacks for it; NULL when it has all */
} vit_timm_rule;

/* False for a name that is none of timm's plain Vision Transformers. */
bool vit_timm_rule_find(vit_timm_rule *rule, const char *architecture);

#endif
