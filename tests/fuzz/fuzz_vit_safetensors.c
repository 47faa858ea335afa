/* Any bytes as a safetensors file: reading never breaks, and what it accepts keeps the format's
 * promises: tensors lie in the data, one after another, cover it, and can be read and found. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vit_safetensors.h"
#include "vitc_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) abort();
}

static void check_tensor(const vit_safetensors *file, const vit_tensor *tensor,
                         const unsigned char *bytes, size_t size)
{
    char shown[VITC_SHOWN_SIZE];
    require(tensor->data >= bytes && tensor->size <= size - (size_t)(tensor->data - bytes));
    require(tensor->rank <= VIT_TENSOR_RANK_MAX && tensor->name[0] != 0);
    require(vit_safetensors_find(file, tensor->name) == tensor);
    require(strlen(vitc_show(shown, tensor->name)) < VITC_SHOWN_SIZE);
    const size_t bytes_out = tensor->count * sizeof(float);
    if (bytes_out == 0) return;
    float *first = malloc(bytes_out), *second = malloc(bytes_out);
    require(first != NULL && second != NULL);
    memset(first, 0x00, bytes_out);
    memset(second, 0xFF, bytes_out);
    /* Every value is written, whatever was there. */
    if (vit_tensor_floats(first, tensor) && vit_tensor_floats(second, tensor))
        require(memcmp(first, second, bytes_out) == 0);
    free(first);
    free(second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of the exact size, so that a read past the end is seen. */
    unsigned char *bytes = calloc(1, size > 0 ? size : 1);
    require(bytes != NULL);
    if (size > 0) memcpy(bytes, data, size);
    vit_safetensors file;
    const vitc_status status = vit_safetensors_open(&file, bytes, size, "fuzz", NULL);
    if (status != VITC_OK) {
        require(status == VITC_ERR_CORRUPT || status == VITC_ERR_TRUNCATED ||
                status == VITC_ERR_UNSUPPORTED || status == VITC_ERR_TOO_LARGE);
        require(file.tensors == NULL && file.header == NULL);
    } else {
        size_t covered = 0, header = 0;
        require(size >= 8);
        for (size_t i = 0; i < 8; i++) header |= (size_t)bytes[i] << 8 * i;
        for (size_t i = 0; i < file.count; i++) {
            check_tensor(&file, &file.tensors[i], bytes, size);
            covered += file.tensors[i].size;
        }
        require(covered == size - 8 - header);
        (void)vit_safetensors_metadata(&file, "format");
    }
    vit_safetensors_close(&file);
    free(bytes);
    return 0;
}
