/* app_position.h - what a model does with positions, in the words of vitc info and vitc train. */
#ifndef VITC_APP_POSITION_H
#define VITC_APP_POSITION_H

#include "vit.h"

enum { APP_POSITION_TEXT = 128 };

/* "learned-2d, 8x8 grid, added at the stem"; "none". */
void app_position_describe(char text[APP_POSITION_TEXT], const vit_config *config);

/* How positions stored for other images came to this grid: "resampled 3x4 to 8x12, bicubic-aa",
 * "made anew for 8x12"; empty where the grid is the same or there are none. */
void app_position_describe_resized(char text[APP_POSITION_TEXT], const vit_config *config,
                                   uint32_t stored_height, uint32_t stored_width);

/* The words of --filter; of DEFAULT those of the filter that it stands for. */
const char *app_position_filter_string(patches_position_filter filter);

/* Whether the kind is computed from the grid alone, so that nothing is ever resampled. */
bool app_position_is_fixed(patches_position_kind kind);

#endif
