/* patches.h - pixels -> model input: the preprocessing spec, patch rows, position embeddings.
 *
 * Letters: P patch side in pixels, Gh x Gw patch grid, C channels (3), D token width,
 * N tokens = prefix tokens (class, distillation, registers) + Gh * Gw.
 */
#ifndef VITC_PATCHES_H
#define VITC_PATCHES_H

#include "imgio.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PATCHES_CHANNELS 3

/* ---- the preprocessing spec: part of the model, stored with it ---- */

typedef enum patches_resize {
    PATCHES_RESIZE_NONE = 0,
    PATCHES_RESIZE_EXACT,    /* to height x width, the aspect ratio is not kept ("squash") */
    PATCHES_RESIZE_SHORTEST, /* the shorter side to `height`, the longer to floor(s*long/short) */
    PATCHES_RESIZE_FIT,      /* timm "border": the largest that fits inside height x width */
    PATCHES_RESIZE_COVER /* timm "center", not square: the smallest that covers height x width */
} patches_resize;

/* How a centre crop rounds and where it pads an image that is smaller than the crop. */
typedef enum patches_crop_rule {
    PATCHES_CROP_HF = 0,     /* offset floor((i - c) / 2); the odd padded pixel at top and left */
    PATCHES_CROP_TORCHVISION /* offset round-half-even((i - c) / 2); odd pixel at bottom and right.
                                timm uses the same rule. */
} patches_crop_rule;

typedef struct patches_spec {
    bool ignore_exif; /* do not turn photos upright (parity with tools that do not) */

    patches_resize resize;
    uint32_t resize_height, resize_width; /* pixels, 1-65535; SHORTEST uses resize_height only */
    uint32_t longest_edge;                /* SHORTEST: upper bound of the longer side; 0 = none */
    imgio_filter filter;
    imgio_pass_order order;

    bool crop;
    uint32_t crop_height, crop_width; /* pixels */
    patches_crop_rule crop_rule;
    uint8_t fill[PATCHES_CHANNELS]; /* RGB of padded pixels, 0 unless the spec says otherwise */

    double rescale; /* factor on 0..255, normally 1/255; 1 when the spec does not rescale */
    bool normalize;
    float mean[PATCHES_CHANNELS], std[PATCHES_CHANNELS]; /* per output channel, after rescaling */
    bool bgr;                                            /* output channels are B, G, R */
} patches_spec;

/* Reads a spec from JSON text in any of three dialects, told apart by their keys:
 *   Hugging Face preprocessor_config.json (image_processor_type / feature_extractor_type, with the
 *     class defaults of transformers 5; `model_type` of config.json, or NULL, decides where the
 *     file does not name its class),
 *   timm config.json (architecture + pretrained_cfg, or the keys at the root),
 *   vitc's own (what patches_spec_format writes; patches/README.md lists its keys).
 * `name` stands for the text in messages; NULL means "preprocessing spec".
 * VITC_ERR_CORRUPT when the text is not JSON, VITC_ERR_TOO_LARGE when it is more than two million
 * values of it or more than 64 deep. VITC_ERR_PREPROCESS, naming the key, when a value
 * cannot be followed, and when the text is JSON that says nothing about preprocessing. The spec
 * passes patches_spec_check; fields that its rules do not use are 0. */
VITC_API VITC_MUST_CHECK vitc_status patches_spec_parse(patches_spec *spec, const char *json,
                                                        size_t size, const char *name,
                                                        const char *model_type,
                                                        const vitc_log *log);

/* vitc's own JSON for a spec, one line, malloc'd (free it with free()); parsed again it gives the
 * same spec, floats to the last bit. The spec is checked first, as by patches_spec_check. */
VITC_API VITC_MUST_CHECK vitc_status patches_spec_format(char **json, const patches_spec *spec,
                                                         const vitc_log *log);

/* VITC_ERR_PREPROCESS, naming the field, when the spec cannot be followed: sizes outside 1-65535,
 * pictures over 100 megapixels, unknown enum values, a rescale factor or std of 0, numbers that are
 * not finite or whose levels are not. */
VITC_API VITC_MUST_CHECK vitc_status patches_spec_check(const patches_spec *spec, const char *name,
                                                        const vitc_log *log);

/* Adds to decoding options what the spec says of decoding: whether EXIF is ignored, and how small a
 * fast decode may be. That is twice the size that the picture is resized to, so that the resize
 * still has two pixels and more to make each of its own from; 0, no reducing, without a resize. */
VITC_API void patches_spec_decode_options(imgio_decode_options *options, const patches_spec *spec);

/* The size that an image of height x width gets. False, and nothing stored, when the picture or the
 * resized picture that the crop is taken from would have a side of 0 or beyond 65,535 pixels, or
 * more than 100 megapixels. */
VITC_API bool patches_spec_output_size(const patches_spec *spec, uint32_t height, uint32_t width,
                                       uint32_t *out_height, uint32_t *out_width);

/* The spec for a model that takes images of another size: width x height pixels, 0 as the spec
 * makes them. What is cut away keeps its share: where a spec resizes to r pixels and crops c of
 * them, the new one resizes to floor(c' / f), f being the roundest fraction with floor(c / f) = r;
 * that is timm's rule, whose f is crop_pct (224 of 256 is 0.875, 224 of 248 is 0.9), so that timm's
 * own specs become what timm makes of them. Where there is no such fraction it is r c' / c, rounded
 * down. `crop`, when it is not 0, is the fraction instead, 0 < crop <= 1; a spec that resized to
 * the model's size without a crop gets one. A shortest-side resize becomes COVER where height and
 * width change unlike each other, and COVER becomes shortest-side for a square, both as in timm.
 * `out` may be `spec`. VITC_ERR_ARGUMENT for a crop outside 0-1; VITC_ERR_PREPROCESS where the spec
 * does not make images of one size (nothing to start from), has no resize that a crop fraction
 * could change, or where the new sizes are beyond patches_spec_check's. */
VITC_API VITC_MUST_CHECK vitc_status patches_spec_with_size(patches_spec *out,
                                                            const patches_spec *spec,
                                                            uint32_t width, uint32_t height,
                                                            double crop, const vitc_log *log);

/* One sentence for people, e.g.
 * "resize to 128x128 (bicubic), scale 1/255, mean 0.5 0.5 0.5, std 0.5 0.5 0.5". */
VITC_API void patches_spec_describe(const patches_spec *spec, char *text, size_t size);

/* ---- pixels to tensor ---- */

/* Resize and crop, still 8-bit: the picture that the model sees. The sizes follow from the full
 * size of `in`, so that they do not depend on a fast decode. `out` is created here (free it with
 * imgio_image_free) and must not be `in`; it is empty after a failure. VITC_ERR_TOO_LARGE or
 * VITC_ERR_UNSUPPORTED when this image's shape gives no usable size (patches_spec_output_size),
 * VITC_ERR_PREPROCESS when the spec cannot be followed, VITC_ERR_ARGUMENT when `in` is empty. */
VITC_API VITC_MUST_CHECK vitc_status patches_preprocess_image(imgio_image *out,
                                                              const imgio_image *in,
                                                              const patches_spec *spec,
                                                              const vitc_log *log);

/* What can be taken of one image. A corner is where the resized picture is larger than the crop: on
 * a side where it is not, and where the spec does not crop, a corner view is as the centre one. */
typedef enum patches_view {
    PATCHES_VIEW_CENTER = 0, /* what patches_preprocess_image gives */
    PATCHES_VIEW_MIRROR,     /* the same with left and right exchanged */
    PATCHES_VIEW_TOP_LEFT,   /* the crop, moved into each corner of the resized picture: */
    PATCHES_VIEW_TOP_RIGHT,  /* torchvision's FiveCrop */
    PATCHES_VIEW_BOTTOM_LEFT,
    PATCHES_VIEW_BOTTOM_RIGHT
} patches_view;

/* The same for `count` views of an image, which is resized once: out[v] becomes views[v]. All of
 * them are empty after a failure; VITC_ERR_ARGUMENT for an unknown view too. */
VITC_API VITC_MUST_CHECK vitc_status patches_preprocess_views(imgio_image *out,
                                                              const patches_view *views,
                                                              size_t count, const imgio_image *in,
                                                              const patches_spec *spec,
                                                              const vitc_log *log);

/* Whether corner views of some image differ from its centre view. */
VITC_API bool patches_spec_has_corners(const patches_spec *spec);

/* The 256 possible values of each output channel: table[c][v] is what 8-bit value v becomes, as
 * timm and Hugging Face's PIL processors compute it, bit for bit:
 *     (float(v * rescale) - mean[c]) / std[c]   in float32 after the double product.
 * (without the last two steps when the spec does not normalize).
 * source[c] is the RGB index that feeds output channel c. */
typedef struct patches_levels {
    float table[PATCHES_CHANNELS][256];
    int source[PATCHES_CHANNELS];
} patches_levels;

VITC_API void patches_levels_init(patches_levels *levels, const patches_spec *spec);

/* tensor[c][y][x], C x H x W float32: the exact input of the model, as PyTorch has it. */
VITC_API void patches_tensor_image(float *tensor, const imgio_image *image,
                                   const patches_levels *levels);

/* Cuts a preprocessed image into patch rows and normalizes them in one pass over the pixels:
 *     rows[(gy * Gw + gx) * row_stride + (c * P + y) * P + x]
 * which is the order of a convolution weight [D, C, P, P], so that the projection is rows * W^T.
 * row_stride >= C*P*P, in floats. VITC_ERR_ARGUMENT when P does not divide both sides. */
VITC_API VITC_MUST_CHECK vitc_status patches_extract_image(float *rows, size_t row_stride,
                                                           const imgio_image *image, uint32_t patch,
                                                           const patches_levels *levels,
                                                           const vitc_log *log);

/* And back: the picture of height x width that such rows come from, each pixel the nearest of the
 * 256 levels whatever has been done to the rows since. The picture is created, to be freed with
 * imgio_image_free; the errors are the same, and VITC_ERR_MEMORY. */
VITC_API VITC_MUST_CHECK vitc_status patches_restore_image(imgio_image *image, const float *rows,
                                                           size_t row_stride, uint32_t height,
                                                           uint32_t width, uint32_t patch,
                                                           const patches_levels *levels,
                                                           const vitc_log *log);

/* The same rows from a C x H x W tensor that is normalized already; the same errors. */
VITC_API VITC_MUST_CHECK vitc_status patches_extract_tensor(float *rows, size_t row_stride,
                                                            const float *tensor, uint32_t height,
                                                            uint32_t width, uint32_t patch,
                                                            const vitc_log *log);

/* ---- position embeddings ---- */

/* What says where a patch is. LEARNED_1D to SINCOS_2D make a table of N x D that is combined with
 * the tokens; the last two work inside attention. Grid positions: row y of Gh, column x of Gw,
 * patch y Gw + x. */
typedef enum patches_position_kind {
    PATCHES_POSITION_NONE = 0,
    PATCHES_POSITION_LEARNED_1D, /* one learned row per token; ViT (arXiv 2010.11929) section 3.1 */
    PATCHES_POSITION_LEARNED_2D, /* a learned table for columns [Gw, D/2] and one for rows
                                    [Gh, D/2]; (y, x) has [column x | row y]: the ViT paper's 2-D
                                    variant, appendix D.4 */
    PATCHES_POSITION_FACTORIZED, /* learned tables for rows [Gh, D] and columns [Gw, D]; (y, x) has
                                    row y + column x: the sum of NaViT (arXiv 2307.06304) */
    PATCHES_POSITION_SINCOS_2D, /* fixed, D a multiple of 4: [sin x w | cos x w | sin y w | cos y w]
                                   with w_k = 10000^(-k / (D/4)): MAE (arXiv 2111.06377) */
    PATCHES_POSITION_RELATIVE,  /* a learned bias per head and 2-D offset on the attention's
                                   logits: patches_relative */
    PATCHES_POSITION_ROPE_2D,   /* queries and keys turned by their place, axial: patches_rope */
    PATCHES_POSITION_KIND_COUNT
} patches_position_kind;

/* How a table is combined with tokens. */
typedef enum patches_position_op {
    PATCHES_POSITION_ADD = 0, /* x + p */
    PATCHES_POSITION_MUL,     /* x (1 + p), so that p = 0 changes nothing */
    PATCHES_POSITION_OP_COUNT
} patches_position_op;

/* Where: a table by the tokens' embedding, or at the beginning of each block, which the first
 * shares with the embedding; kinds inside attention in every block. ViT appendix D.4 compares them.
 */
typedef enum patches_position_at {
    PATCHES_POSITION_STEM = 0,
    PATCHES_POSITION_EVERY,        /* each block has learned parameters of its own */
    PATCHES_POSITION_EVERY_SHARED, /* all have the same */
    PATCHES_POSITION_AT_COUNT
} patches_position_at;

/* "none", "learned-1d", "learned-2d", "factorized-sum", "sincos-2d", "relative", "rope-2d"; "add",
 * "mul"; "stem", "every", "every-shared": the words of options. NULL for a number that is none. */
VITC_API const char *patches_position_string(patches_position_kind kind);
VITC_API const char *patches_position_op_string(patches_position_op op);
VITC_API const char *patches_position_at_string(patches_position_at at);

/* True for the kinds that make a table of N x D. */
VITC_API bool patches_position_has_table(patches_position_kind kind);
/* True for those that make it of one table for rows and one for columns. */
VITC_API bool patches_position_has_axes(patches_position_kind kind);

/* A view of a position table: table[slot * width + d]. The first `prefix` slots belong to the
 * prefix tokens they cover (class, then distillation, then registers); the others to the patches,
 * row by row. prefix is 0 where a checkpoint gives prefix tokens no position (no_embed_class), and
 * for all kinds but LEARNED_1D: those tokens are learned themselves. */
typedef struct patches_position {
    patches_position_kind kind;
    patches_position_op op;
    uint32_t grid_height, grid_width;
    uint32_t prefix;
    uint32_t width; /* D */
    const float *table;
} patches_position;

/* The table [Gh * Gw, D] of the kinds that are made of others: LEARNED_2D and FACTORIZED from
 * `rows` [Gh, W] and `columns` [Gw, W], W being D/2 or D; SINCOS_2D from nothing. Only kind, grid
 * and width of `position` are looked at. */
VITC_API void patches_position_fill(float *table, const patches_position *position,
                                    const float *rows, const float *columns);
/* And backward: drows and dcolumns += the sums of dtable that are theirs. */
VITC_API void patches_position_fill_backward(float *drows, float *dcolumns, const float *dtable,
                                             const patches_position *position);

/* tokens[n][:] combined with the position of token n, for one image: row n starts at tokens[n *
 * token_stride] (token_stride >= D, in floats). The first prefix_tokens of the prefix_tokens +
 * Gh*Gw rows are prefix tokens; those without a slot are left as they are, and slots without a
 * token are unused. Kinds without a table change nothing. */
VITC_API void patches_position_apply(float *tokens, size_t token_stride,
                                     const patches_position *position, uint32_t prefix_tokens);
/* The same for token n alone. */
VITC_API void patches_position_apply_token(float *token, uint32_t n,
                                           const patches_position *position,
                                           uint32_t prefix_tokens);
/* Backward, for token n of one image: dtable, laid out as the table, += its gradient (dy for ADD,
 * dy x for MUL), and for MUL dy becomes the gradient of x, dy (1 + p). x is what the token was
 * before; for ADD it is not looked at. dtable NULL: the table's gradient is not asked for. */
VITC_API void patches_position_backward_token(float *dy, float *dtable, const float *x, uint32_t n,
                                              const patches_position *position,
                                              uint32_t prefix_tokens);

/* RELATIVE: bias[query, key] = table[index][head], added to q k^T / sqrt(Dh). Between patches,
 *     index = (yq - yk + Gh - 1) (2 Gw - 1) + (xq - xk + Gw - 1)
 * as in Swin (arXiv 2103.14030) and timm; where there are prefix tokens three more rows follow, as
 * in BEiT: prefix to patch, patch to prefix, prefix to prefix. */
typedef struct patches_relative {
    uint32_t grid_height, grid_width;
    uint32_t prefix; /* prefix tokens */
    uint32_t heads;
} patches_relative;

VITC_API size_t patches_relative_rows(const patches_relative *relative);
VITC_API size_t patches_relative_index(const patches_relative *relative, uint32_t query,
                                       uint32_t key);
/* biases[head][rows] times `factor`, from table[rows][head], in the order in which one query's keys
 * follow each other: offsets are turned round, so that each row of keys is one run of numbers. */
VITC_API void patches_relative_arrange(float *biases, const float *table, float factor,
                                       const patches_relative *relative);
/* Where the bias of a pair stands in one head's of these. */
VITC_API size_t patches_relative_place(const patches_relative *relative, uint32_t query,
                                       uint32_t key);
/* scores[key] += bias[query, key] for all keys, `biases` being one head's. */
VITC_API void patches_relative_add(float *scores, const float *biases, uint32_t query,
                                   const patches_relative *relative);
/* Backward: dbiases (one head's) [..] += dscores[key]. */
VITC_API void patches_relative_add_backward(float *dbiases, const float *dscores, uint32_t query,
                                            const patches_relative *relative);
/* And dtable[rows][head] += factor * dbiases[head][rows]. */
VITC_API void patches_relative_arrange_backward(float *dtable, const float *dbiases, float factor,
                                                const patches_relative *relative);

/* ROPE_2D, axial (rope-vit, arXiv 2403.13298): the pairs (2j, 2j + 1) of a head's Dh numbers are
 * complex and turned by angles x f_j for the first Dh/4 pairs, y f_j for the others, f_j =
 * 100^(-4 j / Dh); Dh is a multiple of 4. Prefix tokens are not turned. cosines and sines
 * [Gh * Gw, Dh/2]. */
VITC_API void patches_rope_fill(float *cosines, float *sines, uint32_t grid_height,
                                uint32_t grid_width, uint32_t head_width);
/* Turns x[Dh] of one head of one token, whose row of the two tables is given; `back` turns the
 * other way, which is also the backward pass. */
VITC_API void patches_rope_turn(float *x, const float *cosines, const float *sines,
                                uint32_t head_width, bool back);

/* How a learned table is resampled to another grid. `s` below is the place on the old axis, counted
 * from the centre of its first slot, of slot `o` of the new one; g and n are the lengths of both.
 * Where a filter reaches over the edge, the plain ones take the slot at the edge again; those with
 * antialias leave out what is not there and share out the rest, and when shrinking they are
 * stretched by g/n, so that every old slot counts. */
typedef enum patches_position_filter {
    PATCHES_POSITION_FILTER_DEFAULT = 0, /* what the model's family does; by itself the next */
    PATCHES_POSITION_BICUBIC_ANTIALIAS,  /* timm; a = -0.5, s = (o + 0.5) g/n - 0.5 */
    PATCHES_POSITION_BICUBIC,            /* Hugging Face; a = -0.75, the same s */
    PATCHES_POSITION_BILINEAR_ANTIALIAS, /* the same s */
    PATCHES_POSITION_BILINEAR,           /* timm, for the originals in JAX; the same s */
    PATCHES_POSITION_BILINEAR_CORNERS,   /* those originals themselves (scipy's zoom, order 1):
                                            s = o (g - 1) / (n - 1) */
    PATCHES_POSITION_FILTER_COUNT
} patches_position_filter;

/* Resamples the patches' slots of a table to grid_height x grid_width and copies the prefix slots:
 *     out[(prefix + grid_height * grid_width) * D]
 * which must not overlap position->table. Sums are in double. A grid of the same height and width
 * gives the same bits. Equal to torch.nn.functional.interpolate (align_corners false; bicubic or
 * bilinear, antialias or not) but for rounding, as timm's resample_abs_pos_embed and the
 * interpolate_pos_encoding of transformers call it, and to vision_transformer's (JAX)
 * interpolate_posembed. VITC_ERR_ARGUMENT for an empty grid, a kind other than LEARNED_1D, or an
 * unknown filter; VITC_ERR_MEMORY. */
VITC_API VITC_MUST_CHECK vitc_status patches_position_resize(float *out, uint32_t grid_height,
                                                             uint32_t grid_width,
                                                             const patches_position *position,
                                                             patches_position_filter filter,
                                                             const vitc_log *log);
/* The same in one dimension, for the tables that LEARNED_2D and FACTORIZED have of an axis: from
 * table [stored_length, width] to out [length, width]. */
VITC_API VITC_MUST_CHECK vitc_status patches_position_resize_axis(
    float *out, uint32_t length, const float *table, uint32_t stored_length, uint32_t width,
    patches_position_filter filter, const vitc_log *log);
/* And for RELATIVE: the biases of offsets between patches are resampled as a picture of (2 Gh - 1)
 * x (2 Gw - 1), in whose middle the offset 0 stays; the rows of prefix tokens are copied.
 * table[rows] [head] is of `relative`, out of the same with the other grid. */
VITC_API VITC_MUST_CHECK vitc_status patches_relative_resize(
    float *out, uint32_t grid_height, uint32_t grid_width, const float *table,
    const patches_relative *relative, patches_position_filter filter, const vitc_log *log);

/* ---- what a table of positions holds ---- */

/* cosines[p * Gh*Gw + q] = the cosine of the rows of patches p and q, in double: row p is the map
 * of ViT's figure 7 (arXiv 2010.11929) for patch p. `centred`: of the rows less their mean, which
 * shows what a common offset hides. A row of zeros has cosine 0 with all, itself too. Slots of
 * prefix tokens are left out. VITC_ERR_ARGUMENT for a position without a table; VITC_ERR_MEMORY. */
VITC_API VITC_MUST_CHECK vitc_status patches_position_similarity(double *cosines,
                                                                 const patches_position *position,
                                                                 bool centred, const vitc_log *log);

/* How much of the grid a table holds, in numbers; NaN where one is not defined, which is said of
 * each. Of a table whose rows are all the same only `common` is defined. */
typedef struct patches_structure {
    /* Shares of the variance of E = mean + row + column + rest, a two-way decomposition without
     * interaction: 0.5, 0.5, 0 for sincos-2d on a square grid; (g-1)/(g^2-1) twice and what is left
     * for random numbers on g x g. Their sum is 1. Of a grid of one row the columns have all. */
    double rows, columns, rest;
    /* Shares of the variance of the centred cosines of two different patches (R^2) that follow from
     * their offset (dy, dx) alone, and from its length alone. NaN where all pairs are equally
     * alike, as the one pair of two patches is. */
    double shift, radial;
    /* The mean cosine of one row with the next, each the mean of its patches less that of all, and
     * of one column with the next. NaN where there is but one, or all are the same. */
    double row_neighbours, column_neighbours;
    /* The mean centred cosine of neighbours in a row less that of neighbours in a column: above 0,
     * the table tells rows apart more sharply than columns. NaN for one row or one column. */
    double anisotropy;
    /* (sum s^2)^2 / sum s^4, s being the singular values of the centred table: in how many
     * directions it spreads. */
    double effective_rank;
    /* The share of the sum of squares, not centred, that the mean row has, which says nothing of
     * where a patch is. NaN for zeros. */
    double common;
} patches_structure;

/* True for the kinds whose tables are a part of the row and a part of the column, one beside the
 * other or added, whatever their numbers: LEARNED_2D, FACTORIZED, SINCOS_2D. */
VITC_API bool patches_position_is_separable(patches_position_kind kind);

/* `chance` and `limit` (both NULL, or neither) get what is to be expected of a table without
 * structure: those of the same table with its patches shuffled, of separable kinds with its rows
 * shuffled and its columns, `shuffles` times (a multiple of 20 less one is exact: 99), from `seed`.
 * `chance` is their mean; what lies beyond `limit` (of anisotropy: in size) is found in fewer than
 * 1 of 20. Both are NaN for numbers that are the same in any order, and so are no sign of
 * structure: effective_rank and common; of separable kinds, and of one row or one column, rows,
 * columns and rest too. VITC_ERR_ARGUMENT for a position without a table, or no shuffles;
 * VITC_ERR_MEMORY. */
VITC_API VITC_MUST_CHECK vitc_status patches_position_structure(
    patches_structure *structure, patches_structure *chance, patches_structure *limit,
    const patches_position *position, uint32_t shuffles, uint64_t seed, const vitc_log *log);

/* How alike two tables of one grid are, whatever their widths, both less their mean: 1 for tables
 * that are the same but for turning and scale. NaN where a table's rows are all the same. */
typedef struct patches_likeness {
    /* Linear CKA (Kornblith et al., arXiv 1905.00414): for centred tables X and Y of N rows,
     * |Y' X|^2 / (|X' X| |Y' Y|), the norms being Frobenius'; from 0 to 1. */
    double cka;
    /* The correlation of the two tables' cosines of two different patches; -1 to 1. NaN also where
     * all cosines of a table are the same. */
    double cosines;
} patches_likeness;

/* The likeness of a and b. `chance` and `limit` (both NULL, or neither) get that of tables whose
 * patches have nothing to do with each other: those of b shuffled, `shuffles` times from `seed`, as
 * patches_position_structure has it. VITC_ERR_ARGUMENT for tables of two grids, a position without
 * a table, or no shuffles; VITC_ERR_MEMORY. */
VITC_API VITC_MUST_CHECK vitc_status patches_position_compare(
    patches_likeness *likeness, patches_likeness *chance, patches_likeness *limit,
    const patches_position *a, const patches_position *b, uint32_t shuffles, uint64_t seed,
    const vitc_log *log);

/* The root of the mean square of the patches' numbers. */
VITC_API double patches_position_rms(const patches_position *position);

#ifdef __cplusplus
}
#endif
#endif
