/* Any bytes as a preprocessing spec: parsing never breaks, and what it accepts is a spec that can
 * be followed, described, written, and read back as the same. The first byte picks the model type.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "patches.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const model_types[] = {NULL, "vit", "deit", "dinov2", "siglip", "resnet"};
    static const uint32_t sides[][2] = {{1, 1}, {480, 640}, {65535, 1}, {17, 65535}};
    if (size == 0) return 0;
    const char *model_type = model_types[data[0] % (sizeof model_types / sizeof *model_types)];

    /* A copy of the exact size, so that a read past the end is seen. */
    char *text = malloc(size);
    require(text != NULL);
    memcpy(text, data + 1, size - 1);
    patches_spec spec, again;
    const vitc_status status = patches_spec_parse(&spec, text, size - 1, "fuzz", model_type, NULL);
    free(text);
    if (status != VITC_OK) {
        require(status == VITC_ERR_CORRUPT || status == VITC_ERR_TOO_LARGE ||
                status == VITC_ERR_PREPROCESS);
        return 0;
    }

    char sentence[160];
    patches_spec_describe(&spec, sentence, sizeof sentence);
    require(memchr(sentence, 0, sizeof sentence) != NULL);
    require(patches_spec_check(&spec, NULL, NULL) == VITC_OK);
    for (size_t i = 0; i < sizeof sides / sizeof *sides; i++) {
        uint32_t height, width;
        if (patches_spec_output_size(&spec, sides[i][0], sides[i][1], &height, &width))
            require(height >= 1 && height <= 65535 && width >= 1 && width <= 65535);
    }

    char *json = NULL;
    require(patches_spec_format(&json, &spec, NULL) == VITC_OK);
    require(patches_spec_parse(&again, json, strlen(json), NULL, NULL, NULL) == VITC_OK);
    require(memcmp(&spec, &again, sizeof spec) == 0);
    free(json);
    return 0;
}
