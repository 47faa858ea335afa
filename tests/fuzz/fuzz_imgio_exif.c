/* Any bytes as an EXIF block and as an XMP packet: the orientation is one of 1-8, the same with and
 * without the prefix that JPEG puts before EXIF, and EXIF wins over XMP. */
#include <stdlib.h>
#include <string.h>

#include "imgio_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    imgio_orientation exif = {0}, xmp = {0}, both = {0}, prefixed = {0};
    imgio_orientation_add_exif(&exif, data, size);
    require(imgio_orientation_value(&exif) >= 1 && imgio_orientation_value(&exif) <= 8);
    imgio_orientation_add_xmp(&xmp, data, size);
    require(imgio_orientation_value(&xmp) >= 1 && imgio_orientation_value(&xmp) <= 8);

    imgio_orientation_add_xmp(&both, data, size);
    imgio_orientation_add_exif(&both, data, size);
    const imgio_orientation *winner = exif.exif != 0 ? &exif : &xmp;
    require(imgio_orientation_value(&both) == imgio_orientation_value(winner));

    static const uint8_t prefix[6] = {'E', 'x', 'i', 'f', 0, 0};
    uint8_t *block = malloc(sizeof prefix + size);
    require(block != NULL);
    memcpy(block, prefix, sizeof prefix);
    if (size != 0) memcpy(block + sizeof prefix, data, size);
    imgio_orientation_add_exif(&prefixed, block, sizeof prefix + size);
    free(block);
    require(prefixed.exif == exif.exif);
    return 0;
}
