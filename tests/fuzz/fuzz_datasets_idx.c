/* Any bytes as an IDX file of images and its labels, the first two saying how long the first is:
 * a set that opens gives all its images; none has a label that it has no class for. */
#include "fuzz_datasets_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char folder[] = "/tmp/vitc-fuzz-XXXXXX", images[64], labels[64];
    if (size < 2) return 0;
    size_t length = (size_t)data[0] << 8 | data[1];
    data += 2;
    size -= 2;
    if (length > size) length = size;
    require(mkdtemp(folder) != NULL);
    snprintf(images, sizeof images, "%s/images-idx3-ubyte", folder);
    snprintf(labels, sizeof labels, "%s/labels-idx1-ubyte", folder);
    put(images, data, length);
    put(labels, data + length, size - length);
    read_set(datasets_idx_open, images, true);
    read_set(datasets_idx_open, images, false);
    require(unlink(images) == 0 && unlink(labels) == 0 && rmdir(folder) == 0);
    return 0;
}
