/* Binary PGM and PPM (P5, P6), any maximum value up to 65535, scaled as Pillow scales it.
 * stb_image would read them too, but neither scales by the maximum nor keeps 16 bits apart. */
#include <math.h>
#include <string.h>

#include "imgio_private.h"
#include "vitc_size.h"

#define FORMAT "PNM"

typedef struct pnm_header {
    uint32_t width, height, maximum;
    unsigned channels;
    size_t pixels; /* where they begin */
} pnm_header;

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool imgio_pnm_match(const uint8_t *data, size_t size)
{
    return size >= 3 && data[0] == 'P' && (data[1] == '5' || data[1] == '6') &&
           (is_space(data[2]) || data[2] == '#');
}

/* One decimal number and the white space that ends it. Comments run from # to the end of a line. */
static vitc_status read_number(uint32_t *value, size_t *at, const imgio_source *source)
{
    uint64_t number = 0;
    unsigned digits = 0;
    while (*at < source->size) {
        const uint8_t c = source->data[(*at)++];
        if (c == '#') {
            while (*at < source->size && source->data[*at] != '\n' && source->data[*at] != '\r')
                (*at)++;
            if (*at < source->size) (*at)++;
        } else if (is_space(c)) {
            if (digits == 0) continue;
            *value = (uint32_t)number;
            return VITC_OK;
        } else if (c >= '0' && c <= '9') {
            number = number * 10 + (c - '0');
            if (++digits > 10 || number > UINT32_MAX)
                return imgio_fail_corrupt(source, FORMAT, "a number in its header is too large");
        } else {
            return imgio_fail_corrupt(source, FORMAT,
                                      "its header holds something else than "
                                      "numbers");
        }
    }
    return imgio_fail_truncated(source, FORMAT, "in its header");
}

static vitc_status read_header(pnm_header *header, const imgio_source *source)
{
    *header = (pnm_header){.channels = source->data[1] == '6' ? 3 : 1, .pixels = 2};
    VITC_TRY(read_number(&header->width, &header->pixels, source));
    VITC_TRY(read_number(&header->height, &header->pixels, source));
    VITC_TRY(read_number(&header->maximum, &header->pixels, source));
    if (header->maximum == 0 || header->maximum > 65535)
        return imgio_fail_corrupt(source, FORMAT, "its maximum value is not in 1-65535");
    return VITC_OK;
}

vitc_status imgio_pnm_probe(imgio_info *info, const imgio_source *source)
{
    pnm_header header;
    VITC_TRY(read_header(&header, source));
    info->width = header.width;
    info->height = header.height;
    return VITC_OK;
}

/* The 8-bit level of every stored value. Pillow keeps grey of more than 8 bits at 16 bits and then
 * clips it, so that all but the darkest 255 of 65536 levels are white. */
static void make_levels(uint8_t *levels, const pnm_header *header)
{
    const double full = header->maximum > 255 && header->channels == 1 ? 65535 : 255;
    const uint32_t values = header->maximum > 255 ? 65536 : 256;
    for (uint32_t v = 0; v < values; v++) {
        const double level = nearbyint(v / (double)header->maximum * full);
        levels[v] = level > 255 ? 255 : (uint8_t)level;
    }
}

vitc_status imgio_pnm_decode(imgio_image *image, const imgio_source *source)
{
    pnm_header header;
    VITC_TRY(read_header(&header, source));
    VITC_TRY(imgio_check_size(source, header.width, header.height));
    const size_t sample = header.maximum > 255 ? 2 : 1, width = header.width;
    const size_t stored = width * header.channels * sample;
    size_t needed;
    if (!vitc_size_mul(stored, header.height, &needed) || source->size - header.pixels < needed)
        return imgio_fail_truncated(source, FORMAT, "before its last row");
    VITC_TRY(imgio_image_create(image, header.width, header.height, source->log));
    uint8_t levels[65536];
    make_levels(levels, &header);
    for (size_t y = 0; y < header.height; y++) {
        const uint8_t *in = source->data + header.pixels + y * stored;
        uint8_t *row = image->pixels + y * width * 3;
        for (size_t i = 0; i < width * header.channels; i++)
            row[i] = levels[sample == 2 ? imgio_be16(in + i * 2) : in[i]];
        if (header.channels == 1) imgio_convert_grey(row, width, 1);
    }
    return VITC_OK;
}
