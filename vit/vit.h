/* vit.h - Vision Transformer classifiers: configurations, models, the forward pass, and the facade
 * most embedders use (vit_classifier: bytes, a file or pixels in, labels and scores out).
 *
 * Letters: B batch, N tokens, Gh x Gw patch grid, P patch side, C input channels (3), D width,
 * H heads, Dh = D/H, M MLP width, K classes, L layers.
 *
 * Threads: a vit_model is read-only after loading and may be used by any number of threads, each
 * with its own vit_workspace or vit_classifier.
 */
#ifndef VITC_VIT_H
#define VITC_VIT_H

#include "patches.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- configuration ---- */

typedef enum vit_activation {
    VIT_GELU_ERF = 0, /* x/2 (1 + erf(x/sqrt 2)) */
    VIT_GELU_TANH,    /* x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
    VIT_GELU_QUICK,   /* x sigmoid(1.702 x) */
    VIT_RELU,
    VIT_SILU, /* x sigmoid(x) */
    VIT_ACTIVATION_COUNT
} vit_activation;

typedef enum vit_pool {
    VIT_POOL_TOKEN = 0, /* the class token */
    VIT_POOL_AVG,       /* mean of the patch tokens */
    VIT_POOL_MAX,       /* maximum of the patch tokens, per feature */
    VIT_POOL_AVGMAX     /* half the sum of both */
} vit_pool;

typedef enum vit_scores {
    VIT_SCORES_SOFTMAX = 0, /* one label per image */
    VIT_SCORES_SIGMOID,     /* independent labels */
    VIT_SCORES_RAW          /* regression: the logits themselves */
} vit_scores;

/* Everything the forward pass needs to know; plain data, no pointers. */
typedef struct vit_config {
    char architecture[96]; /* for people: "vit_base_patch16_224", "ViTForImageClassification" */
    uint32_t image_height, image_width; /* pixels */
    uint32_t patch;                     /* P */
    uint32_t width, layers, heads, mlp; /* D, L, H, M */
    uint32_t classes;                   /* K */
    float norm_eps;                     /* of every LayerNorm */
    vit_activation activation;          /* of the MLP */
    vit_pool pool;
    vit_scores scores;
    float temperature; /* divides the logits before softmax or sigmoid (arXiv 1706.04599); 1, or 0
                          in a struct that never set it: scores are the logits' own */

    bool class_token;
    bool distillation_token; /* DeiT (arXiv 2012.12877); token order: class, distillation, registers
                              */
    uint32_t registers;      /* arXiv 2309.16588 */
    patches_position_kind position;
    patches_position_op position_op;         /* ADD for kinds without a table */
    patches_position_at position_at;         /* of RELATIVE and ROPE_2D EVERY or EVERY_SHARED */
    bool position_covers_prefix;             /* the table has slots for the prefix tokens */
    patches_position_filter position_filter; /* that resamples the table for another image size */

    bool patch_bias, qkv_bias;
    bool qk_norm;     /* LayerNorm on each head's queries and keys */
    bool layer_scale; /* per-feature factor on each residual branch */
    bool norm_pre;    /* LayerNorm between the embeddings and the first block (CLIP) */
    bool norm_final;  /* LayerNorm on the tokens, before pooling */
    bool norm_pooled; /* LayerNorm on the pooled feature ("fc_norm") */
    bool
        distilled_head; /* two heads, on the class and distillation tokens; their logits averaged */
} vit_config;

/* Named configurations, patch 16 unless the name says otherwise, 224x224, 1000 classes:
 * "vit-ti16", "vit-s16", "vit-b16", "vit-l16" (ViT and DeiT sizes), "vit-h14", and "testing", which
 * is tiny. Names ignore case; "Ti/16", "S/16", "B/16", "L/16", "H/14" are accepted. */
VITC_API VITC_MUST_CHECK vitc_status vit_config_named(vit_config *config, const char *name,
                                                      const vitc_log *log);
/* The canonical name number `index`, or NULL past the last. */
VITC_API const char *vit_config_name(size_t index);

/* VITC_ERR_MODEL, naming the field, when no model can have this configuration. */
VITC_API VITC_MUST_CHECK vitc_status vit_config_check(const vit_config *config,
                                                      const vitc_log *log);

VITC_API const char *vit_activation_string(vit_activation activation);
VITC_API const char *vit_pool_string(vit_pool pool);

/* Derived sizes. */
VITC_API uint32_t vit_config_prefix_tokens(const vit_config *config);
VITC_API uint32_t vit_config_patches(const vit_config *config);    /* Gh * Gw */
VITC_API uint32_t vit_config_tokens(const vit_config *config);     /* N */
VITC_API uint64_t vit_config_parameters(const vit_config *config); /* trainable numbers */

/* Multiplications and additions of the products in one image's forward pass, as vit_forward runs
 * them: where the class token alone is pooled, the last block computes nothing else. */
VITC_API double vit_config_flops(const vit_config *config);
/* The same with all tokens in the last block: what published numbers and most programs count. */
VITC_API double vit_config_nominal_flops(const vit_config *config);

/* ---- models ---- */

/* The number format of a file's weight matrices; STORED, of vit_model_convert: as the source has
 * them. */
typedef enum vit_dtype {
    VIT_DTYPE_F32 = 0,
    VIT_DTYPE_BF16,
    VIT_DTYPE_INT8,
    VIT_DTYPE_STORED
} vit_dtype;

/* The number format that the encoder's linear layers compute in; sums, LayerNorm, softmax,
 * activations, the residual stream, positions and the head are float32 in all of them. */
typedef enum vit_precision {
    VIT_PRECISION_DEFAULT = 0, /* int8 for a file quantized to it, else float32 */
    VIT_PRECISION_F32,
    VIT_PRECISION_BF16, /* operands rounded to bfloat16; attention too where the CPU has bf16 */
    VIT_PRECISION_INT8, /* int8 weights per output feature, int8 activations per token */
    VIT_PRECISION_AUTO  /* the fastest that loses nothing of what the file holds: int8 for int8;
                           bf16 for bfloat16 on a CPU that multiplies it; else float32 */
} vit_precision;

/* "default", "f32", "bf16", "int8", "auto" */
VITC_API const char *vit_precision_string(vit_precision precision);

typedef struct vit_model vit_model;

typedef struct vit_load_options {
    /* JSON text of a preprocessing spec that replaces the checkpoint's own; NULL = none.
     * A checkpoint without a spec cannot be loaded without it. */
    const char *preprocess;
    size_t preprocess_size;
    bool allow_nonfinite; /* accept NaN and infinity in the weights */
    vit_precision precision;
    int threads; /* that load; 0 chooses as vit_workspace_create does */
    /* Another size of the model's images in pixels, multiples of P; 0: as stored. Learned positions
     * are resampled to the new grid (patches_position_resize) with `position_filter`, DEFAULT being
     * the one of the model's family: Hugging Face bicubic, timm bicubic with antialias, a vitc file
     * what it records; others are made anew. The preprocessing is derived for the size
     * (patches_spec_with_size), also where `preprocess` gives it. What was measured at the stored
     * size does not hold at another and is left out: the temperature is 1, card and notes say
     * nothing of accuracy. */
    uint32_t image_width, image_height;
    patches_position_filter position_filter;
    double crop; /* which part of the resized picture is seen, 0 < crop <= 1; 0: as the spec says */
    /* To measure what vit_model_quantize to this format would cost, without the file: weights as it
     * would store them. F32, which is 0: as they are. `quantize_only` NULL, or the name of the one
     * matrix of the encoder (vit_model_matrix) that it is done to; all else computes in float32. */
    vit_dtype quantize;
    const char *quantize_only;
} vit_load_options;

/* Loads a Hugging Face directory, a timm directory, or one safetensors file written by vitc.
 * `options` NULL means the defaults. Weights are converted to float32 and packed for this machine's
 * kernels; the files may be deleted afterwards. Failures: VITC_ERR_UNREADABLE, VITC_ERR_CORRUPT,
 * VITC_ERR_TRUNCATED, VITC_ERR_UNSUPPORTED, VITC_ERR_TOO_LARGE (JSON, header), VITC_ERR_MODEL
 * (tensors, config), VITC_ERR_PREPROCESS, VITC_ERR_MEMORY; the message names file and tensor or
 * key, and what was expected. */
VITC_API VITC_MUST_CHECK vitc_status vit_model_load(vit_model **model, const char *path,
                                                    const vit_load_options *options,
                                                    const vitc_log *log);
/* The same for vitc's single file held in memory; `data` is not needed after the call. */
VITC_API VITC_MUST_CHECK vitc_status vit_model_load_memory(vit_model **model, const void *data,
                                                           size_t size, const char *name,
                                                           const vit_load_options *options,
                                                           const vitc_log *log);
VITC_API void vit_model_free(vit_model *model);

/* A model of any configuration with random weights (normal, deviation 0.02, from `seed`), for
 * measuring: `precision` DEFAULT is float32, AUTO the fastest of this CPU that is not int8. */
VITC_API VITC_MUST_CHECK vitc_status vit_model_random(vit_model **model, const vit_config *config,
                                                      vit_precision precision, uint64_t seed,
                                                      const vitc_log *log);

/* What a loaded model is; pointers live as long as the model. */
typedef struct vit_model_info {
    const vit_config *config;
    const patches_spec *preprocess;
    const char *source;        /* "Hugging Face directory", "timm directory", "vitc file" */
    const char *weights_dtype; /* as stored: "F32", "BF16", ..., "mixed" */
    const char *card;          /* JSON object text of the model card; NULL when there is none */
    const char *license;       /* from card or config; NULL when unstated */
    const char *quantization;  /* JSON object text: vit_model_quantize's; NULL for another file */
    const char *calibration;   /* JSON object text: vit_model_calibrate's note; NULL without one */
    uint64_t parameters;
    size_t weights_size;          /* bytes of packed weights in memory */
    const char *kernel_row;       /* the row of the kernel table in use, e.g. "avx512" */
    vit_precision precision;      /* F32, BF16 or INT8 */
    const char *precision_reason; /* "asked for", "the file holds int8 weights", ... */
    const char *precision_kernel; /* "AVX-512 FMA", "BLIS", "AVX512-BF16", ... */
    bool labelled;                /* labels come from the checkpoint */
    bool head_trained;            /* false when every head weight is zero */
} vit_model_info;

VITC_API vit_model_info vit_model_describe(const vit_model *model);

/* The label of class `index` (< K), UTF-8; "class 7" where the checkpoint has no labels. */
VITC_API const char *vit_model_label(const vit_model *model, uint32_t index);

/* The table of positions that is combined with the tokens at the beginning of block `layer` (of the
 * first: by the embedding), a view of the model's own numbers. False where there is none: for kinds
 * without a table, for blocks after the first where positions are at the stem, and past the last
 * block. */
VITC_API bool vit_model_position(patches_position *position, const vit_model *model,
                                 uint32_t layer);
/* The learned table [patches_relative_rows][H] of RELATIVE positions in block `layer`; NULL for
 * other kinds, and past the last block. */
VITC_API const float *vit_model_relative(patches_relative *relative, const vit_model *model,
                                         uint32_t layer);

/* The name of matrix number `index` of the encoder's linear layers, which a precision other than
 * float32 changes ("blocks.0.attn.qkv.weight"); NULL past the last. */
VITC_API const char *vit_model_matrix(const vit_model *model, size_t index);

/* Rewrites any checkpoint of float weights that vit_model_load reads as vitc's single file: weight
 * matrices in `dtype`, everything else in float32; STORED takes int8 weights too, and keeps them
 * and bfloat16 as they are. `card` is JSON object text for vitc.card; NULL keeps the source's. With
 * another image size in `options`, a warning says what the file no longer tells. The file appears
 * complete or not at all. */
VITC_API VITC_MUST_CHECK vitc_status vit_model_convert(const char *in, const char *out,
                                                       vit_dtype dtype, const char *card,
                                                       const vit_load_options *options,
                                                       const vitc_log *log);
/* The same for vitc's single file held in memory. */
VITC_API VITC_MUST_CHECK vitc_status vit_model_convert_memory(const void *data, size_t size,
                                                              const char *name, const char *out,
                                                              vit_dtype dtype, const char *card,
                                                              const vit_load_options *options,
                                                              const vitc_log *log);

/* The same for fewer bits, saying so in the file. INT8: the encoder's matrices as int8 with one
 * scale per output feature, everything else in float32; BF16: as vit_model_convert does.
 * `measurement` is JSON object text, what is known of the accuracy; NULL: "unmeasured". */
VITC_API VITC_MUST_CHECK vitc_status vit_model_quantize(const char *in, const char *out,
                                                        vit_dtype dtype, const char *measurement,
                                                        const vit_load_options *options,
                                                        const vitc_log *log);

/* The same for vitc's single file held in memory. */
VITC_API VITC_MUST_CHECK vitc_status vit_model_quantize_memory(
    const void *data, size_t size, const char *name, const char *out, vit_dtype dtype,
    const char *measurement, const vit_load_options *options, const vitc_log *log);

/* Copies any checkpoint as vitc's single file whose scores are made at another temperature, which
 * is finite and above 0 and replaces the source's own. Weights keep their bits: int8 and its scales
 * as they are, matrices in bfloat16 as bfloat16, everything else in float32. Logits do not change,
 * and so no label does. `note` is JSON object text, what the temperature was fitted on and with
 * what success; NULL leaves the file without one. VITC_ERR_ARGUMENT where scores are raw. The file
 * appears complete or not at all, and never in the place of its source. */
VITC_API VITC_MUST_CHECK vitc_status vit_model_calibrate(const char *in, const char *out,
                                                         float temperature, const char *note,
                                                         const vit_load_options *options,
                                                         const vitc_log *log);
/* The same for vitc's single file held in memory. */
VITC_API VITC_MUST_CHECK vitc_status vit_model_calibrate_memory(const void *data, size_t size,
                                                                const char *name, const char *out,
                                                                float temperature, const char *note,
                                                                const vit_load_options *options,
                                                                const vitc_log *log);

/* ---- the forward pass ---- */

typedef struct vit_workspace vit_workspace;

/* Bytes that a workspace for up to `batch` images and `threads` threads takes; 0 on overflow. */
VITC_API size_t vit_workspace_size(const vit_model *model, uint32_t batch, int threads);

/* `threads` 0 chooses: VITC_THREADS, OMP_NUM_THREADS, or the CPUs this process may use. */
VITC_API VITC_MUST_CHECK vitc_status vit_workspace_create(vit_workspace **workspace,
                                                          const vit_model *model, uint32_t batch,
                                                          int threads, const vitc_log *log);
VITC_API void vit_workspace_free(vit_workspace *workspace);

/* Where the patch rows of image b (< batch) are to be written before vit_forward:
 * Gh*Gw rows of C*P*P floats, densely, as patches_extract_image makes them. */
VITC_API float *vit_workspace_patches(vit_workspace *workspace, uint32_t b);

/* logits[b][k] for the first `batch` images. Allocates nothing. The same image gives the same bits
 * whatever the batch, its place in it, and the number of threads (on one kernel row). Debug builds
 * (without NDEBUG) fail with VITC_ERR_INTERNAL where numbers stop being finite, naming the block.
 */
VITC_API VITC_MUST_CHECK vitc_status vit_forward(const vit_model *model, vit_workspace *workspace,
                                                 float *logits, uint32_t batch,
                                                 const vitc_log *log);

/* Where the time of vit_forward goes, per part of the model. */
typedef enum vit_op {
    VIT_OP_EMBED = 0, /* patch embedding, tokens, positions, pre-norm */
    VIT_OP_QKV, /* positions of later blocks, LayerNorm, queries, keys, values, turning them */
    VIT_OP_ATTENTION, /* scores, softmax, weighted values */
    VIT_OP_PROJ,      /* output projection, residual */
    VIT_OP_FC1,       /* LayerNorm, first MLP layer, activation */
    VIT_OP_FC2,       /* second MLP layer, residual */
    VIT_OP_HEAD,      /* final norm, pooling, head */
    VIT_OP_COUNT
} vit_op;

typedef struct vit_profile {
    uint64_t forwards;
    double seconds[VIT_OP_COUNT]; /* wall time */
    double flops[VIT_OP_COUNT];   /* of the products */
} vit_profile;

/* "embed", "qkv", ... */
VITC_API const char *vit_op_string(vit_op op);

/* From now on vit_forward adds to *profile, which the caller zeroes and keeps; NULL ends it. */
VITC_API void vit_workspace_profile(vit_workspace *workspace, vit_profile *profile);

/* scores[k] from logits[k] by the configuration's rule and temperature; in place is allowed. */
VITC_API void vit_scores_compute(const vit_config *config, float *scores, const float *logits);

/* indices[0..k) of the k highest scores, highest first, ties by lower index. k <= count. */
VITC_API void vit_top_k(uint32_t *indices, uint32_t k, const float *scores, uint32_t count);

/* ---- the facade: images in, labels and scores out ---- */

typedef struct vit_classifier vit_classifier;

/* What is computed of each image; with several views its logits are their mean, and its scores are
 * those of the mean. */
typedef enum vit_views {
    VIT_VIEWS_ONE = 0, /* what the preprocessing says */
    VIT_VIEWS_HFLIP,   /* and the same with left and right exchanged */
    VIT_VIEWS_FIVE,    /* the crop in the four corners and in the centre of the resized picture */
    VIT_VIEWS_COUNT
} vit_views;

/* "one", "hflip", "five" */
VITC_API const char *vit_views_string(vit_views views);

typedef struct vit_classifier_options {
    uint32_t batch; /* most images computed together, each with all of its views; 0 = 8 */
    vit_views views;
    int threads;                 /* 0 = VITC_THREADS, OMP_NUM_THREADS, or this process's CPUs */
    imgio_decode_options decode; /* limits, of which 0 = the default; EXIF is followed unless this
                                    or the spec says no */
} vit_classifier_options;

VITC_API vit_classifier_options vit_classifier_options_default(void);

/* One per thread; keeps a pointer to the model. `options` NULL means the defaults, and so do
 * options that are all zero. Refuses an untrained head (VITC_ERR_UNTRAINED), and five views where
 * the preprocessing leaves nothing to move the crop in (VITC_ERR_PREPROCESS). Its workspace holds
 * batch times views images. */
VITC_API VITC_MUST_CHECK vitc_status vit_classifier_create(vit_classifier **classifier,
                                                           const vit_model *model,
                                                           const vit_classifier_options *options,
                                                           const vitc_log *log);
VITC_API void vit_classifier_free(vit_classifier *classifier);

/* Bytes of the workspace of a classifier with these options (NULL: the defaults); 0 on overflow. */
VITC_API size_t vit_classifier_size(const vit_model *model, const vit_classifier_options *options);

/* One image: set exactly one of `path`, `data` (size bytes of an image file) or `image`. */
typedef struct vit_input {
    const char *path;
    const void *data;
    size_t size;
    const imgio_image *image;
    const char *name; /* for messages where there is no path; NULL = "image" */
    /* NULL, or shown the upright picture before it is preprocessed (after a fast decode the reduced
     * one), which lives until the call returns. Called in any thread, for several images at a time;
     * not for an image that cannot be decoded. */
    void (*inspect)(void *user, const imgio_image *decoded);
    void *inspect_user;
} vit_input;

/* What became of one input. */
typedef struct vit_output {
    vitc_status status;     /* of this image alone */
    char error[1024];       /* why, when status is not VITC_OK; else empty */
    uint32_t width, height; /* pixels of the upright image; 0 when it was not decoded */
    double decode_seconds;  /* wall time in the one thread that had this image: its bytes to pixels,
                               a file's reading included; 0 for an input of pixels */
    double preprocess_seconds; /* pixels to patch rows; a bad image's until it failed */
    const float *logits;       /* K each; NULL when status is not VITC_OK. */
    const float *scores;       /* Both live in the classifier until its next call. */
} vit_output;

/* Classifies `count` inputs (any number up to the classifier's batch), decoding them in parallel.
 * A bad image spoils only its own output, and so does one on which the model's numbers overflow
 * (VITC_ERR_OVERFLOW). The return value reports the call as a whole: VITC_ERR_ARGUMENT or
 * VITC_ERR_INTERNAL; a bad image is not an error of the call. Where the forward pass fails,
 * every output has a status of failure. */
VITC_API VITC_MUST_CHECK vitc_status vit_classify(vit_classifier *classifier, vit_output *outputs,
                                                  const vit_input *inputs, size_t count,
                                                  const vitc_log *log);

/* ---- what was chosen on this machine ---- */

typedef struct vit_runtime_info {
    char cpu[64];             /* the processor's name */
    char features[128];       /* what CPU and OS offer of it: "avx2 avx512 avx512-vnni ..." */
    const char *kernel_row;   /* the row that models loaded now get */
    char kernel_reason[96];   /* why: "best that CPU and OS support", "VITC_ISA" */
    const char *bf16_kernel;  /* what multiplies bf16 in that row: rows of one name differ in it */
    const char *blis_version; /* "0.9.0" */
    const char *blis_config;  /* what BLIS runs with: "skx", "haswell", "generic", ... */
    char blis_reason[96];     /* why: "set by vitc for this CPU", "BLIS_ARCH_TYPE", ... */
    char blis_kernel[64];     /* the micro-kernel's shape: "32x12, columns" */
    int threads;
    char threads_reason[96];
} vit_runtime_info;

VITC_API VITC_MUST_CHECK vitc_status vit_runtime_describe(vit_runtime_info *info, int threads,
                                                          const vitc_log *log);

/* The machine's limits that a model's speed is to be compared with. */
typedef enum vit_peak {
    VIT_PEAK_F32 = 0, /* arithmetic of the kernel row in use: multiplications and additions, */
    VIT_PEAK_BF16,    /* as vit_config_flops counts them, by the instruction that its kernel of */
    VIT_PEAK_INT8,    /* the format is made of */
    VIT_PEAK_MEMORY,  /* bytes read from memory, the fastest of some passes */
    VIT_PEAK_COUNT
} vit_peak;

/* Measures one of them for some milliseconds on `threads` threads (0 chooses as
 * vit_workspace_create does), in operations or bytes per second; 0 where the row has no
 * instruction for the format. Shared machines change their speed all the time: take the median of
 * several. VIT_PEAK_MEMORY takes 128 MiB to 1 GiB while it runs, and may be VITC_ERR_MEMORY. */
VITC_API VITC_MUST_CHECK vitc_status vit_peak_measure(double *per_second, vit_peak peak,
                                                      int threads, const vitc_log *log);

#ifdef __cplusplus
}
#endif
#endif
