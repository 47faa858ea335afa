/* Any bytes as an image, through the one entry point of all decoders: what comes out is a whole
 * image within the limits, or one error with one message and no image. */
#include <stdlib.h>
#include <string.h>

#include "imgio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

static void count_errors(void *user, vitc_log_level level, const char *message)
{
    require(message != NULL && message[0] != '\0');
    if (level == VITC_LOG_ERROR) ++*(int *)user;
}

static bool is_expected(vitc_status status)
{
    return status == VITC_ERR_TRUNCATED || status == VITC_ERR_CORRUPT ||
           status == VITC_ERR_UNSUPPORTED || status == VITC_ERR_TOO_LARGE;
}

/* Makes every sample matter, for tools that track uninitialized memory. */
static void require_defined(const imgio_image *image)
{
    unsigned sum = 0;
    for (size_t i = 0; i < (size_t)image->width * image->height * 3; i++) sum += image->pixels[i];
    require(sum != UINT32_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    imgio_decode_options options = imgio_decode_options_default();
    /* Small enough that most of the time goes into parsing. */
    options.limits.max_pixels = 1 << 18;
    options.limits.max_side = 4096;
    options.limits.max_jpeg_scans = 50;
    options.limits.max_metadata = 1 << 16;

    int errors = 0;
    const vitc_log log = {.write = count_errors, .user = &errors};
    imgio_info info;
    const vitc_status probed = imgio_probe_memory(&info, data, size, "fuzz", &log);
    require(errors == (probed != VITC_OK));
    if (probed == VITC_OK) {
        require(info.format != IMGIO_UNKNOWN && info.width > 0 && info.height > 0);
        require(info.orientation >= 1 && info.orientation <= 8);
    } else {
        require(is_expected(probed));
    }

    errors = 0;
    imgio_image image = {0};
    const vitc_status status = imgio_decode_memory(&image, data, size, "fuzz", &options, &log);
    require(errors == (status != VITC_OK));
    if (status != VITC_OK) {
        require(is_expected(status));
        require(image.pixels == NULL && image.width == 0 && image.height == 0);
        return 0;
    }
    require(probed == VITC_OK);
    const bool turned = info.orientation >= 5;
    require(image.width == (turned ? info.height : info.width));
    require(image.height == (turned ? info.width : info.height));
    require((uint64_t)image.width * image.height <= options.limits.max_pixels);
    require_defined(&image);

    /* The same, reduced as far as goes. */
    options.fast = true;
    options.min_width = options.min_height = 1;
    imgio_image reduced = {0};
    require(imgio_decode_memory(&reduced, data, size, "fuzz", &options, &log) == VITC_OK);
    require(reduced.full_width == image.width && reduced.full_height == image.height);
    const uint32_t parts = info.format == IMGIO_JPEG ? 8 : 1;
    require(reduced.width == (image.width + parts - 1) / parts);
    require(reduced.height == (image.height + parts - 1) / parts);
    require_defined(&reduced);
    imgio_image_free(&reduced);
    imgio_image_free(&image);
    return 0;
}
