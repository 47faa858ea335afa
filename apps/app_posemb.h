/* app_posemb.h - what `vitc posemb show` draws and prints: maps of positions and their numbers. */
#ifndef VITC_APP_POSEMB_H
#define VITC_APP_POSEMB_H

#include <stdio.h>

#include "app_canvas.h"
#include "app_options.h"
#include "app_text.h"
#include "vit.h"
#include "vitc_json.h"

/* Small maps of one size in a grid: one for each patch, over the patches (ViT's figure 7), or one
 * for each head, over the offsets from a query to its key. */
typedef struct app_posemb_maps {
    uint32_t rows, columns;    /* of maps */
    uint32_t count;            /* of maps; the last row may have fewer */
    uint32_t height, width;    /* cells of a map */
    double *values;            /* [count][height][width] */
    double low, high;          /* what the ends of the color scale stand for */
    bool heads;                /* one map for each head */
    bool narrow;               /* cosines that are all near 1: the scale hides how they differ */
    uint32_t every_y, every_x; /* every how many rows, and columns, of patches have maps */
    char title[96], subtitle[96];
    const char *scale; /* what the colors are */
} app_posemb_maps;

/* The maps of a model's positions in block `layer`. The caller frees maps->values. Kinds without
 * positions have none: count 0. */
vitc_status app_posemb_maps_make(app_posemb_maps *maps, const vit_model *model, uint32_t layer,
                                 bool centred, const vitc_log *log);

/* The table whose rows stand for places: the model's own; of rope-2d, which has none, vectors of
 * ones [Gh*Gw, Dh] turned as a head's queries and keys are, in *made for the caller to free. Their
 * kind is LEARNED_2D, which has a part for x and one for y as they have.
 * position->table NULL for other kinds, and for blocks without one. */
vitc_status app_posemb_table(patches_position *position, float **made, const vit_model *model,
                             uint32_t layer, const vitc_log *log);

/* ---- drawing ---- */

/* Of the scale: 0 its low end, 1 its high one. Lightness rises evenly, so that the maps can be read
 * in grey too; a diverging scale, for numbers about 0, is light in its middle and has a color for
 * each side. */
app_color app_posemb_color(double share, bool diverging);

/* Writes the picture, PNG or SVG by the ending of `path` (which app_posemb_is_picture knows), with
 * axes and a scale. The file appears complete or not at all. */
bool app_posemb_is_picture(const char *path);
int app_posemb_draw(const char *path, const app_posemb_maps *maps, const app_settings *settings);

/* As many maps as fit on a terminal, two cells to a character. */
void app_posemb_preview(FILE *out, const app_posemb_maps *maps, size_t columns);

/* ---- numbers ---- */

/* For people: what a table holds, beside what chance gives, and what that means. */
void app_posemb_print_structure(FILE *out, const patches_structure *structure,
                                const patches_structure *chance, const patches_structure *limit,
                                const patches_position *position);
/* The same of many blocks, shorter: a heading, a line for each, and what they mean. */
void app_posemb_print_blocks_heading(FILE *out);
void app_posemb_print_block(FILE *out, uint32_t layer, const patches_structure *structure,
                            const patches_structure *limit);
void app_posemb_print_blocks_meaning(FILE *out);
/* {"rows": ..., "effective_rank": ...}; NULL without memory. */
vitc_json *app_posemb_structure_json(const patches_structure *structure);

/* One head's relative positions. Offsets are from a query to its key: dx 1 is the patch to the
 * right. Shares and the correlation count an offset as often as it has pairs of patches, which is
 * how attention meets it. They are NaN where all biases between patches are the same, and there is
 * no highest; rows and columns also for a grid of one row or one column. */
typedef struct app_posemb_head {
    double least, most;   /* of the biases between patches */
    int64_t dy, dx;       /* where the highest is */
    double rows, columns; /* shares of the variance that dy alone and dx alone have */
    double distance;      /* correlation of bias and distance: -1, the nearer the higher */
    /* From a query to a key, one of them a prefix token or both; 0 for a model without. */
    double prefix_to_patch, patch_to_prefix, prefix_to_prefix;
} app_posemb_head;
void app_posemb_measure_head(app_posemb_head *head, const float *table,
                             const patches_relative *relative, uint32_t which);

#endif
