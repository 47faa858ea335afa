/* imgio_private.h - what imgio's files share: a source of bytes, the codec table's row, pixels. */
#ifndef IMGIO_PRIVATE_H
#define IMGIO_PRIVATE_H

#include "imgio.h"
#include "vitc_log.h"

/* One encoded image, and where to report on it. */
typedef struct imgio_source {
    const uint8_t *data;
    size_t size;
    const char *name; /* for messages; never NULL */
    const imgio_limits *limits;
    /* What a codec that can reduce cheaply may reduce to, in stored pixels; 0: do not. */
    uint32_t min_width, min_height;
    const vitc_log *log;
} imgio_source;

/* A format. `match` decides by the first bytes alone and accepts only what it is sure of, except
 * that TGA, which has no signature, judges its header's fields and comes last. `probe` fills in
 * width, height and orientation without decoding. `decode` gets only what `probe` has accepted, so
 * that it need not check again; it applies the limits before it allocates, leaves orientation to
 * the caller, and leaves *image empty when it fails. */
typedef struct imgio_codec {
    imgio_format format;
    const char *string;
    bool (*match)(const uint8_t *data, size_t size);
    vitc_status (*probe)(imgio_info *info, const imgio_source *source);
    vitc_status (*decode)(imgio_image *image, const imgio_source *source);
} imgio_codec;

bool imgio_jpeg_match(const uint8_t *data, size_t size);
vitc_status imgio_jpeg_probe(imgio_info *info, const imgio_source *source);
vitc_status imgio_jpeg_decode(imgio_image *image, const imgio_source *source);
bool imgio_png_match(const uint8_t *data, size_t size);
vitc_status imgio_png_probe(imgio_info *info, const imgio_source *source);
vitc_status imgio_png_decode(imgio_image *image, const imgio_source *source);
bool imgio_webp_match(const uint8_t *data, size_t size);
vitc_status imgio_webp_probe(imgio_info *info, const imgio_source *source);
vitc_status imgio_webp_decode(imgio_image *image, const imgio_source *source);
bool imgio_gif_match(const uint8_t *data, size_t size);
vitc_status imgio_gif_probe(imgio_info *info, const imgio_source *source);
vitc_status imgio_gif_decode(imgio_image *image, const imgio_source *source);
bool imgio_bmp_match(const uint8_t *data, size_t size);
vitc_status imgio_bmp_probe(imgio_info *info, const imgio_source *source);
vitc_status imgio_bmp_decode(imgio_image *image, const imgio_source *source);
bool imgio_psd_match(const uint8_t *data, size_t size);
vitc_status imgio_psd_probe(imgio_info *info, const imgio_source *source);
vitc_status imgio_psd_decode(imgio_image *image, const imgio_source *source);
bool imgio_pnm_match(const uint8_t *data, size_t size);
vitc_status imgio_pnm_probe(imgio_info *info, const imgio_source *source);
vitc_status imgio_pnm_decode(imgio_image *image, const imgio_source *source);
bool imgio_tga_match(const uint8_t *data, size_t size);
vitc_status imgio_tga_probe(imgio_info *info, const imgio_source *source);
vitc_status imgio_tga_decode(imgio_image *image, const imgio_source *source);

/* ---- limits ---- */

/* Refuses a declared size of zero (VITC_ERR_CORRUPT) and one beyond the source's limits
 * (VITC_ERR_TOO_LARGE). Every codec calls it before anything is sized by the header. */
vitc_status imgio_check_size(const imgio_source *source, uint32_t width, uint32_t height);

/* "NAME: the FORMAT data ends early: ..." as VITC_ERR_TRUNCATED. */
vitc_status imgio_fail_truncated(const imgio_source *source, const char *format, const char *where);
vitc_status imgio_fail_corrupt(const imgio_source *source, const char *format, const char *why);
vitc_status imgio_fail_unsupported(const imgio_source *source, const char *format, const char *why);

/* ---- orientation ---- */

/* What the metadata of a file says about orientation, gathered segment by segment. EXIF wins over
 * XMP, as in Pillow; a later segment of the same kind does not replace an earlier one. */
typedef struct imgio_orientation {
    int exif; /* 0: no EXIF orientation; else the tag's value, possibly not in 1-8 */
    int xmp;  /* the same for tiff:Orientation */
} imgio_orientation;

/* The TIFF structure of an EXIF block, with or without the "Exif\0\0" in front. */
void imgio_orientation_add_exif(imgio_orientation *orientation, const uint8_t *data, size_t size);
void imgio_orientation_add_xmp(imgio_orientation *orientation, const uint8_t *data, size_t size);
/* 1-8. */
int imgio_orientation_value(const imgio_orientation *orientation);

/* Turns the stored pixels upright. On failure *image is as before. */
vitc_status imgio_orient(imgio_image *image, int orientation, const vitc_log *log);

/* ---- pixels ---- */

/* Each widens one row in place: the first `width` samples of the row become RGB pixels, in a row
 * that has room for 3 * width bytes. */
void imgio_convert_grey(uint8_t *row, size_t width, unsigned factor);
/* 16-bit samples, most significant byte first, clipped at 255 (Pillow's I;16 to RGB). */
void imgio_convert_grey16(uint8_t *row, size_t width);
/* `palette` has 256 RGB entries. */
void imgio_convert_palette(uint8_t *row, size_t width, const uint8_t *palette);
/* Inverted CMYK, as Adobe writes it, to RGB as Pillow converts it. */
void imgio_convert_cmyk_inverted(uint8_t *rgb, const uint8_t *cmyk, size_t width);

/* ---- reading numbers; the caller has checked that the bytes are there ---- */

static inline uint32_t imgio_le16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static inline uint32_t imgio_be16(const uint8_t *p)
{
    return (uint32_t)p[0] << 8 | (uint32_t)p[1];
}

static inline uint32_t imgio_le32(const uint8_t *p)
{
    return imgio_le16(p) | imgio_le16(p + 2) << 16;
}

static inline uint32_t imgio_be32(const uint8_t *p)
{
    return imgio_be16(p) << 16 | imgio_be16(p + 2);
}

#endif
