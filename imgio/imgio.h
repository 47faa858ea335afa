/* imgio.h - bytes <-> pixels: decode, EXIF orientation, RGB conversion, resize, encode.
 *
 * Pixels equal Pillow's: what `Image.open(f).convert("RGB")` and `.resize()` give, byte for byte.
 * imgio knows nothing of Vision Transformers; it depends on base/ and the codec libraries only.
 * All functions are thread-safe; none keeps state between calls.
 */
#ifndef VITC_IMGIO_H
#define VITC_IMGIO_H

#include <stdbool.h>

#include "vitc_base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- limits, checked against the header before pixels are allocated ---- */

typedef struct imgio_limits {
    uint64_t max_pixels;     /* width * height;               default 100,000,000 */
    uint32_t max_side;       /* width, height, in pixels;     default 65,535 */
    uint32_t max_jpeg_scans; /* scans of a JPEG; default 1,000. A large image may have fewer: all
                                its scans together may touch 32 * max_pixels pixels */
    size_t max_metadata;     /* bytes of one PNG ancillary chunk; default 8,000,000 */
    size_t max_file_size;    /* bytes of a file;              default 1 GiB */
} imgio_limits;

VITC_API imgio_limits imgio_limits_default(void);

/* ---- formats, decided by the first bytes and never by the file's name ---- */

typedef enum imgio_format {
    IMGIO_UNKNOWN = 0,
    IMGIO_JPEG,
    IMGIO_PNG,
    IMGIO_WEBP,
    IMGIO_GIF,
    IMGIO_BMP,
    IMGIO_TGA,
    IMGIO_PNM, /* PBM excepted: binary PGM and PPM */
    IMGIO_PSD
} imgio_format;

/* "JPEG", "PNG", ...; "unknown" for IMGIO_UNKNOWN. */
VITC_API const char *imgio_format_string(imgio_format format);

typedef struct imgio_info {
    imgio_format format;
    uint32_t width, height; /* pixels, as stored: before EXIF orientation */
    int orientation;        /* EXIF orientation 1-8; 1 when absent or invalid */
} imgio_info;

/* Reads the header only: type, size, orientation. Limits are not applied, so that a caller can show
 * the size of an image that is too large. */
VITC_API VITC_MUST_CHECK vitc_status imgio_probe_memory(imgio_info *info, const void *data,
                                                        size_t size, const char *name,
                                                        const vitc_log *log);
VITC_API VITC_MUST_CHECK vitc_status imgio_probe_file(imgio_info *info, const char *path,
                                                      const vitc_log *log);

/* Whether bytes begin as those of an image do, or of another kind of picture that imgio knows by
 * name and refuses (HEIF, TIFF, ...). The first 512 bytes of a file are enough. */
VITC_API bool imgio_is_picture(const void *data, size_t size);

/* ---- images ---- */

/* An owned 8-bit RGB image: pixel (x, y) is pixels[(y * width + x) * 3 + {0 R, 1 G, 2 B}].
 * full_width x full_height is the size of the picture that it was decoded from; it differs from
 * width x height only after a fast decode that reduced it. 0 x 0 stands for width x height. */
typedef struct imgio_image {
    uint8_t *pixels;
    uint32_t width, height;
    uint32_t full_width, full_height;
} imgio_image;

VITC_API void imgio_image_free(imgio_image *image); /* also resets *image to zeros */

/* Allocates width x height uninitialized pixels. Both sides must be at least 1. */
VITC_API VITC_MUST_CHECK vitc_status imgio_image_create(imgio_image *image, uint32_t width,
                                                        uint32_t height, const vitc_log *log);

/* ---- decode ---- */

typedef struct imgio_decode_options {
    imgio_limits limits;
    bool ignore_exif; /* leave the pixels as stored instead of turning them upright */

    /* Decode a JPEG to 1/2, 1/4 or 1/8 of its size (rounded up) where the result still is at least
     * min_width x min_height, as the picture is seen: upright, unless ignore_exif. Its inverse DCT
     * then makes 4x4, 2x2 or 1 pixels of a block of 8x8, which saves time and memory. Pixels are
     * near what Pillow's draft mode gives, and no longer those of a full decode and a resize.
     * Other formats, and images of which less would be left, are decoded in full. Limits are for
     * the full size. */
    bool fast;
    uint32_t min_width, min_height; /* 0: decode in full */
} imgio_decode_options;

VITC_API imgio_decode_options imgio_decode_options_default(void);

/* Decodes one image (of an animation: the first frame) to RGB. `options` NULL means the defaults.
 * `name` stands for the image in messages; NULL means "image".
 * Conversions are those of Pillow 13's convert("RGB"): alpha dropped, 16-bit grey clipped at 255,
 * other 16-bit samples >> 8, CMYK without colour management, no gamma, no ICC profile. Orientation
 * is that of EXIF or, where EXIF has none, of XMP. imgio/README.md lists what is not as in Pillow.
 *
 * Failures: VITC_ERR_TRUNCATED (data ends early), VITC_ERR_CORRUPT, VITC_ERR_UNSUPPORTED (not an
 * image, or a kind that is not read), VITC_ERR_TOO_LARGE (limits), VITC_ERR_UNREADABLE (file),
 * VITC_ERR_MEMORY. A damaged image is an error, never a picture filled with grey. */
VITC_API VITC_MUST_CHECK vitc_status imgio_decode_memory(imgio_image *image, const void *data,
                                                         size_t size, const char *name,
                                                         const imgio_decode_options *options,
                                                         const vitc_log *log);
VITC_API VITC_MUST_CHECK vitc_status imgio_decode_file(imgio_image *image, const char *path,
                                                       const imgio_decode_options *options,
                                                       const vitc_log *log);

/* ---- resize ---- */

/* The filters of Pillow's Image.Resampling, with its numbers. */
typedef enum imgio_filter {
    IMGIO_NEAREST = 0,
    IMGIO_LANCZOS = 1,
    IMGIO_BILINEAR = 2,
    IMGIO_BICUBIC = 3,
    IMGIO_BOX = 4,
    IMGIO_HAMMING = 5
} imgio_filter;

/* "nearest", "lanczos", ...; NULL for a number that is none. */
VITC_API const char *imgio_filter_string(imgio_filter filter);
/* The reverse, by name; false when there is none. */
VITC_API bool imgio_filter_from_string(imgio_filter *filter, const char *name);

/* Each of the two passes rounds to 8 bits, so their order shows in the result. Pillow 13.0 runs
 * the vertical pass first when the height shrinks and (in_h - out_h) > 2 * (in_w - out_w); Pillow
 * before 13 runs the horizontal pass first, unless in_h > 100 * in_w and the height shrinks. */
typedef enum imgio_pass_order {
    IMGIO_ORDER_PILLOW13 = 0,
    IMGIO_ORDER_PILLOW12 = 1
} imgio_pass_order;

/* Resamples the whole of `in` to width x height, equal to Pillow's 8-bit Image.resize bit for bit
 * (two passes, 22-bit fixed-point coefficients). `out` is created here and must not be `in`. */
VITC_API VITC_MUST_CHECK vitc_status imgio_resize(imgio_image *out, const imgio_image *in,
                                                  uint32_t width, uint32_t height,
                                                  imgio_filter filter, imgio_pass_order order,
                                                  const vitc_log *log);

/* What imgio_resize makes pixel o (< out) of an axis from, before its weights are rounded to fixed
 * point and the sum to 8 bits: the pixels of `in` from *first on, times weights[0 ..), whose number
 * is returned and at most imgio_resize_taps(in, out, filter). They sum to 1; where the filter
 * reaches over the edge, what is there shares out the rest. in and out are at least 1. */
VITC_API size_t imgio_resize_taps(uint32_t in, uint32_t out, imgio_filter filter);
VITC_API uint32_t imgio_resize_weights(double *weights, uint32_t *first, uint32_t in, uint32_t out,
                                       uint32_t o, imgio_filter filter);

/* ---- encode ---- */

/* Encodes to memory: *data is malloc'd, free it with free(). `level` is zlib's, 0-9. */
VITC_API VITC_MUST_CHECK vitc_status imgio_encode_png(uint8_t **data, size_t *size,
                                                      const imgio_image *image, int level,
                                                      const vitc_log *log);
/* `quality` 1-100; 4:2:0 chroma below 90, 4:4:4 from there. */
VITC_API VITC_MUST_CHECK vitc_status imgio_encode_jpeg(uint8_t **data, size_t *size,
                                                       const imgio_image *image, int quality,
                                                       const vitc_log *log);

#ifdef __cplusplus
}
#endif
#endif
