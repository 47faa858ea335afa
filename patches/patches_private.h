/* patches_private.h - what the files of patches/ share: the three JSON dialects behind
 * patches_spec_parse, typed readers for their keys, and the size rules of the spec. */
#ifndef VITC_PATCHES_PRIVATE_H
#define VITC_PATCHES_PRIVATE_H

#include "patches.h"
#include "vitc_json.h"

#define PATCHES_MAX_SIDE   65535
#define PATCHES_MAX_PIXELS 100000000

/* ---- typed readers: each names the key, what it holds and what was expected ---- */

typedef struct patches_reader {
    const char *name; /* the file, for messages */
    const vitc_log *log;
} patches_reader;

/* Reports that `key` holds `value` where `expected` (a noun phrase) was needed. */
VITC_MUST_CHECK vitc_status patches_read_fail(const patches_reader *reader, const char *key,
                                              const vitc_json *value, const char *expected);

/* There, and not null. */
bool patches_json_present(const vitc_json *value);

/* `value` must be there and have the type; `key` is its path for messages ("size.height"). */
VITC_MUST_CHECK vitc_status patches_read_side(uint32_t *side, const patches_reader *reader,
                                              const char *key, const vitc_json *value);
VITC_MUST_CHECK vitc_status patches_read_number(double *number, const patches_reader *reader,
                                                const char *key, const vitc_json *value);
VITC_MUST_CHECK vitc_status patches_read_flag(bool *flag, const patches_reader *reader,
                                              const char *key, const vitc_json *value);
VITC_MUST_CHECK vitc_status patches_read_object(const patches_reader *reader, const char *key,
                                                const vitc_json *value);
VITC_MUST_CHECK vitc_status patches_read_filter(imgio_filter *filter, const patches_reader *reader,
                                                const char *key, const vitc_json *value);
/* One number for all channels, or [R, G, B]; in double, as the file has them. */
VITC_MUST_CHECK vitc_status patches_read_channels(double channels[PATCHES_CHANNELS],
                                                  const patches_reader *reader, const char *key,
                                                  const vitc_json *value);

/* Rounds mean and std to the float32 that the frameworks compute with. */
void patches_spec_set_normalize(patches_spec *spec, const double mean[PATCHES_CHANNELS],
                                const double std[PATCHES_CHANNELS]);

/* ImageNet's statistics, the "standard" 0.5 and OpenAI CLIP's. */
extern const double patches_imagenet_mean[PATCHES_CHANNELS];
extern const double patches_imagenet_std[PATCHES_CHANNELS];
extern const double patches_half[PATCHES_CHANNELS];
extern const double patches_clip_mean[PATCHES_CHANNELS];
extern const double patches_clip_std[PATCHES_CHANNELS];

/* ---- dialects: `spec` comes zeroed and is checked by the caller afterwards ---- */

bool patches_spec_is_hf(const vitc_json *root, const char *model_type);
VITC_MUST_CHECK vitc_status patches_spec_parse_hf(patches_spec *spec, const patches_reader *reader,
                                                  const vitc_json *root, const char *model_type);

bool patches_spec_is_timm(const vitc_json *root);
VITC_MUST_CHECK vitc_status patches_spec_parse_timm(patches_spec *spec,
                                                    const patches_reader *reader,
                                                    const vitc_json *root);

bool patches_spec_is_own(const vitc_json *root);
VITC_MUST_CHECK vitc_status patches_spec_parse_own(patches_spec *spec, const patches_reader *reader,
                                                   const vitc_json *root);

/* ---- sizes ---- */

/* To the nearest whole number, halves to the even one, as Python's round(). */
double patches_round_half_even(double x);

/* The size after the resize step and before the crop; may be 0 or huge: judge the result. */
void patches_resized_size(const patches_spec *spec, uint32_t height, uint32_t width,
                          double *out_height, double *out_width);

/* Where a crop of `crop` pixels begins on an axis of `length` pixels; negative when it is padded.
 */
int64_t patches_crop_offset(patches_crop_rule rule, uint32_t length, uint32_t crop);

#endif
