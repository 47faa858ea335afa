/* app_model.h - the model of a run: the one built in, or what -m names. */
#ifndef VITC_APP_MODEL_H
#define VITC_APP_MODEL_H

#include "app_options.h"
#include "vit.h"
#include "vit_weights.h"
#include "vitc_sha256.h"

/* Whether the built-in model is meant: by NULL, or by the name "bundled". A file or folder of that
 * name is ./bundled. */
bool app_model_is_bundled(const char *model);

/* MODEL of a command that takes it as operand number `index` or by -m: an exit status, after a
 * message where there is neither, or both. */
int app_model_named(const char **model, size_t index, const app_settings *settings);

/* Loads it. APP_EXIT_DONE, or another exit status after a message. */
int app_model_load(vit_model **model, const app_settings *settings);

/* vit_model_load, vit_model_convert, vit_model_quantize and vit_weights_read for any model that can
 * be named, the built-in one too. */
VITC_MUST_CHECK vitc_status app_model_open(vit_model **model, const char *name,
                                           const vit_load_options *options, const vitc_log *log);
VITC_MUST_CHECK vitc_status app_model_convert(const char *name, const char *out, vit_dtype dtype,
                                              const char *card, const vit_load_options *options,
                                              const vitc_log *log);
VITC_MUST_CHECK vitc_status app_model_quantize(const char *name, const char *out, vit_dtype dtype,
                                               const char *measurement,
                                               const vit_load_options *options,
                                               const vitc_log *log);
VITC_MUST_CHECK vitc_status app_model_read_weights(vit_weights *weights, const char *name,
                                                   const vit_load_options *options,
                                                   const vitc_log *log);

/* What the options say of loading; *text is what options->preprocess points into, for the caller to
 * free. APP_EXIT_DONE, or another exit status after a message. */
int app_model_read_options(vit_load_options *options, char **text, const app_settings *settings);

/* What the options say of decoding images. */
imgio_decode_options app_decode_options(const app_settings *settings);

/* The text of a file that an option names (a spec, a card): malloc'd, with a NUL after it. */
int app_model_read_text(char **text, size_t *size, const char *path, const app_settings *settings);

/* The SHA-256 of a file, as sha256sum prints it. */
int app_file_hash(char hash[VITC_SHA256_TEXT_SIZE], const char *path, const app_settings *settings);
/* The same of the model's file; of a folder, that of its .json and
 * .safetensors files one after the other, by the bytes of their names. */
int app_model_hash(char hash[VITC_SHA256_TEXT_SIZE], const app_settings *settings);

/* Whether a model's file or folder is there, for what would be missed only after long work. NULL is
 * the built-in one. */
int app_model_check_path(const char *path);
/* Whether a file can be created in the place of `out`, which would otherwise be found out only
 * after a long run: APP_EXIT_DONE, or APP_EXIT_INTERNAL after a message. */
int app_model_check_output(const char *out);

/* For people: "built into this program", or the path. */
const char *app_model_origin(const app_settings *settings);

#endif
