/* vit_export.h - what exports to other libraries' directories share (private to vit/weights).
 *
 * vit_export_hf.c and vit_export_timm.c know what their library's class can express; they turn a
 * copy of the weights into that, describe it in config.json, and check that what they say of the
 * preprocessing reads back as the model's own. */
#ifndef VIT_EXPORT_H
#define VIT_EXPORT_H

#include "vit_checkpoint.h"
#include "vit_weights.h"

/* A directory that is being written. */
typedef struct vit_export {
    const char *name;    /* of the directory, for messages */
    const char *library; /* "transformers", "timm" */
    const vitc_log *log;
    vit_weights weights; /* the copy, which may be changed */
} vit_export;

/* A library's part: makes the copy what its class computes, VITC_ERR_UNSUPPORTED where it cannot,
 * and its JSON files. */
typedef struct vit_export_library {
    const char *name;
    const vit_dialect *dialect; /* of the tensors' names */
    vitc_status (*adapt)(vit_export *e);
    /* What name_param of the dialect looks at. */
    void (*describe)(vit_checkpoint *checkpoint, const vit_config *config);
    vitc_status (*make_config)(vitc_json **root, const vit_export *e);
    /* preprocessor_config.json; NULL where config.json has it. */
    vitc_status (*make_preprocessor)(vitc_json **root, const vit_export *e);
    const char *model_type; /* that patches_spec_parse takes; NULL: none */
} vit_export_library;

/* Writes the directory: complete, or nothing of it. */
vitc_status vit_export_write(const vit_weights *weights, const char *directory,
                             const vit_export_library *library, const vitc_log *log);

/* VITC_ERR_UNSUPPORTED: "<directory>: <class> <what>". */
vitc_status vit_export_refuse(const vit_export *e, const char *class, const char *what);

/* The position table with a slot for every token: where prefix tokens have none, zeros, and where
 * there is no table at all, zeros. Sums with zeros are the same numbers. */
vitc_status vit_export_cover_prefix(vit_export *e);
/* The patch projection with a bias, of zeros where it has none. */
vitc_status vit_export_add_patch_bias(vit_export *e);

/* The double with the fewest digits that is this float: 0.1, not 0.100000001490116. */
double vit_export_number(float value);
/* [red, green, blue]; NULL without memory. */
vitc_json *vit_export_channels(const float values[PATCHES_CHANNELS]);

#endif
