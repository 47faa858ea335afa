/* Any bytes as vitc's own file, quantized or not: opening never breaks, and what it accepts can be
 * read to the last number: floats, or int8 numbers with scales, within their bounds; or is refused
 * for its values alone. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vit_checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

/* Whether the parameter's values are good. */
static bool read_parameter(const vit_checkpoint *c, size_t i, float *values)
{
    const vit_param *param = &c->table.params[i];
    if (!vit_checkpoint_is_quantized(c, i))
        return vit_checkpoint_read(c, i, values, NULL) == VITC_OK;
    const int8_t *q;
    require(vit_param_in_encoder(param->id));
    const vitc_status status = vit_checkpoint_read_quantized(c, i, &q, values, NULL);
    require(status == VITC_OK || status == VITC_ERR_MODEL);
    if (status != VITC_OK) return false;
    for (size_t k = 0; k < param->count; k++) require(q[k] >= -127);
    for (size_t r = 0; r < param->shape[0]; r++) require(isfinite(values[r]) && values[r] >= 0);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of the exact size, so that a read past the end is seen. */
    unsigned char *bytes = calloc(1, size > 0 ? size : 1);
    require(bytes != NULL);
    if (size > 0) memcpy(bytes, data, size);
    vit_checkpoint *c = NULL;
    vit_model *model = NULL;
    const vitc_status status = vit_checkpoint_open_memory(&c, bytes, size, "fuzz", NULL, NULL);
    const vitc_status loaded = vit_model_load_memory(&model, bytes, size, "fuzz", NULL, NULL);
    if (status != VITC_OK) {
        require(c == NULL && loaded == status);
    } else {
        bool good = true, quantized = false;
        float *values = malloc(vit_checkpoint_largest(c) * sizeof *values);
        require(values != NULL);
        for (size_t i = 0; i < c->table.count; i++) {
            good = read_parameter(c, i, values) && good;
            quantized = quantized || vit_checkpoint_is_quantized(c, i);
        }
        free(values);
        require(loaded == (good ? VITC_OK : VITC_ERR_MODEL));
        if (good) require((vit_model_describe(model).precision == VIT_PRECISION_INT8) == quantized);
    }
    require((model != NULL) == (loaded == VITC_OK));
    vit_model_free(model);
    vit_checkpoint_free(c);
    free(bytes);
    return 0;
}
