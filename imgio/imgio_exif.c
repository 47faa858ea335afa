/* Orientation out of EXIF and XMP metadata, and applying it. */
#include <stdlib.h>
#include <string.h>

#include "imgio_private.h"

#define TAG_ORIENTATION 0x0112
#define ENTRY_BYTES     12

static uint32_t read16(const uint8_t *p, bool big)
{
    return big ? imgio_be16(p) : imgio_le16(p);
}

static uint32_t read32(const uint8_t *p, bool big)
{
    return big ? imgio_be32(p) : imgio_le32(p);
}

/* The first value of an entry of integers; false when it has none. */
static bool entry_value(uint32_t *value, const uint8_t *data, size_t size, const uint8_t *entry,
                        bool big)
{
    enum { SHORT = 3, LONG = 4, SSHORT = 8, SLONG = 9 };
    const uint32_t type = read16(entry + 2, big), count = read32(entry + 4, big);
    const bool is_short = type == SHORT || type == SSHORT;
    if (count == 0 || (!is_short && type != LONG && type != SLONG)) return false;
    const uint8_t *at = entry + 8;
    if (count > (is_short ? 2U : 1U)) { /* too many to stand in the entry itself */
        const size_t offset = read32(at, big);
        if (offset > size || size - offset < 4) return false;
        at = data + offset;
    }
    *value = is_short ? read16(at, big) : read32(at, big);
    return true;
}

/* The orientation tag in the first directory (TIFF 6.0, section 2); 0 without one. */
static int tiff_orientation(const uint8_t *data, size_t size)
{
    if (size < 8) return 0;
    const bool big = data[0] == 'M';
    if (memcmp(data, big ? "MM" : "II", 2) != 0 || read16(data + 2, big) != 42) return 0;
    const size_t directory = read32(data + 4, big);
    if (directory > size - 2) return 0;
    const size_t declared = read16(data + directory, big);
    const size_t room = (size - directory - 2) / ENTRY_BYTES;
    const size_t entries = declared < room ? declared : room;
    int value = 0;
    for (size_t i = 0; i < entries; i++) {
        const uint8_t *entry = data + directory + 2 + i * ENTRY_BYTES;
        uint32_t stated;
        if (read16(entry, big) != TAG_ORIENTATION || !entry_value(&stated, data, size, entry, big))
            continue;
        /* Present but meaningless still keeps XMP from being asked. Of repeated tags the last one
         * counts. */
        value = stated >= 1 && stated <= 8 ? (int)stated : 1;
    }
    return value;
}

void imgio_orientation_add_exif(imgio_orientation *orientation, const uint8_t *data, size_t size)
{
    static const uint8_t prefix[6] = {'E', 'x', 'i', 'f', 0, 0};
    if (orientation->exif != 0) return;
    while (size >= sizeof prefix && memcmp(data, prefix, sizeof prefix) == 0) {
        data += sizeof prefix;
        size -= sizeof prefix;
    }
    orientation->exif = tiff_orientation(data, size);
}

void imgio_orientation_add_xmp(imgio_orientation *orientation, const uint8_t *data, size_t size)
{
    /* Written as an attribute, tiff:Orientation="6", or as an element, tiff:Orientation>6<. */
    static const char tag[] = "tiff:Orientation";
    const size_t length = sizeof tag - 1;
    if (orientation->xmp != 0) return;
    const uint8_t *end = data + size;
    while ((size_t)(end - data) > length) {
        const uint8_t *found = memmem(data, (size_t)(end - data), tag, length);
        if (found == NULL) return;
        data = found + length;
        const uint8_t *digit = data;
        if (end - digit >= 3 && digit[0] == '=' && digit[1] == '"')
            digit += 2;
        else if (end - digit >= 2 && digit[0] == '>')
            digit += 1;
        else
            continue;
        if (*digit < '0' || *digit > '9') continue;
        orientation->xmp = *digit >= '1' && *digit <= '8' ? *digit - '0' : 1;
        return;
    }
}

int imgio_orientation_value(const imgio_orientation *orientation)
{
    if (orientation->exif != 0) return orientation->exif;
    return orientation->xmp != 0 ? orientation->xmp : 1;
}

static void swap_pixels(uint8_t *a, uint8_t *b)
{
    for (int c = 0; c < 3; c++) {
        const uint8_t t = a[c];
        a[c] = b[c];
        b[c] = t;
    }
}

static void reverse_pixels(uint8_t *pixels, size_t count)
{
    uint8_t *first = pixels, *last = pixels + count * 3;
    for (; count >= 2; count -= 2) {
        last -= 3;
        swap_pixels(first, last);
        first += 3;
    }
}

static void flip_rows(imgio_image *image)
{
    const size_t stride = (size_t)image->width * 3;
    uint8_t *top = image->pixels, *bottom = image->pixels + stride * image->height;
    for (uint32_t pairs = image->height / 2; pairs > 0; pairs--) {
        bottom -= stride;
        for (size_t i = 0; i < stride; i++) {
            const uint8_t t = top[i];
            top[i] = bottom[i];
            bottom[i] = t;
        }
        top += stride;
    }
}

/* Swaps rows and columns: out(x, y) = in(column y, row x), counting the columns from the right
 * and the rows from the bottom where asked. In tiles, so that both sides stay in the cache. */
static void transpose(imgio_image *out, const imgio_image *in, bool from_right, bool from_bottom)
{
    const size_t tile = 32;
    const size_t width = out->width, height = out->height, stride = (size_t)in->width * 3;
    for (size_t y0 = 0; y0 < height; y0 += tile) {
        const size_t y1 = height - y0 < tile ? height : y0 + tile;
        for (size_t x0 = 0; x0 < width; x0 += tile) {
            const size_t x1 = width - x0 < tile ? width : x0 + tile;
            for (size_t y = y0; y < y1; y++) {
                const uint8_t *column = in->pixels + 3 * (from_right ? height - 1 - y : y);
                for (size_t x = x0; x < x1; x++)
                    memcpy(out->pixels + (y * width + x) * 3,
                           column + stride * (from_bottom ? width - 1 - x : x), 3);
            }
        }
    }
}

vitc_status imgio_orient(imgio_image *image, int orientation, const vitc_log *log)
{
    const size_t width = image->width, height = image->height;
    switch (orientation) {
    case 2: /* mirrored left to right */
        for (size_t y = 0; y < height; y++) reverse_pixels(image->pixels + y * width * 3, width);
        return VITC_OK;
    case 3: /* upside down */
        reverse_pixels(image->pixels, width * height);
        return VITC_OK;
    case 4: /* mirrored top to bottom */
        flip_rows(image);
        return VITC_OK;
    case 5: /* transposed */
    case 6: /* lies on its left side: turn clockwise */
    case 7: /* transposed about the other diagonal */
    case 8: /* lies on its right side: turn anticlockwise */
    {
        imgio_image turned;
        VITC_TRY(imgio_image_create(&turned, image->height, image->width, log));
        transpose(&turned, image, orientation == 7 || orientation == 8,
                  orientation == 6 || orientation == 7);
        turned.full_width = image->full_height;
        turned.full_height = image->full_width;
        imgio_image_free(image);
        *image = turned;
        return VITC_OK;
    }
    default:
        return VITC_OK;
    }
}
