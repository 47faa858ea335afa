/* imgio_private.h - what imgio's codecs share (private to imgio). */
#ifndef IMGIO_PRIVATE_H
#define IMGIO_PRIVATE_H

#include "imgio.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* One image's bytes on their way through a codec. */
typedef struct imgio_source {
    const uint8_t *data;
    size_t size;
    const char *name; /* for messages */
    const imgio_limits *limits;
    const vitc_log *log;
} imgio_source;

/* A codec: how to tell its format, read its header and decode it.
 *  - matches: by the first bytes alone.
 *  - probe: width, height and orientation into *info; no limits, no pixels.
 *  - decode: the first image as 8-bit RGB, as stored (EXIF not applied), after the limits were
 *    checked against the header by imgio__check_size. *image is created by the codec and freed by
 * it on failure. */
typedef struct imgio_codec {
    imgio_format format;
    bool (*matches)(const uint8_t *data, size_t size);
    vitc_status (*probe)(imgio_info *info, const imgio_source *source);
    vitc_status (*decode)(imgio_image *image, const imgio_source *source);
} imgio_codec;

extern const imgio_codec imgio__jpeg, imgio__png, imgio__webp, imgio__gif;
extern const imgio_codec imgio__bmp, imgio__tga, imgio__pnm, imgio__psd; /* stb_image */

/* VITC_ERR_TOO_LARGE when width x height is beyond the source's limits. */
vitc_status imgio__check_size(const imgio_source *source, uint64_t width, uint64_t height);

/* Orientation 1-8 from a TIFF block (what follows "Exif\0\0" in JPEG, or a PNG eXIf or WebP EXIF
 * chunk); 1 when the block is damaged, has no orientation, or one that is none. Never fails: a bad
 * EXIF block must not cost the picture. */
int imgio__exif_orientation(const uint8_t *tiff, size_t size);

/* Turns the picture upright: EXIF 2-8 as flips and rotations, 1 does nothing. */
vitc_status imgio__orient(imgio_image *image, int orientation, const vitc_log *log);

#endif
