/* Any bytes as a batch of CIFAR-10 or CIFAR-100, which the first one decides, and as the names of
 * its classes, which begin where the records end: a set that opens gives all its images; none has a
 * label that it has no class for. */
#include "fuzz_datasets_records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char folder[] = "/tmp/vitc-fuzz-XXXXXX", batch[64], names[64];
    if (size < 1) return 0;
    const bool hundred = data[0] % 2 != 0, named = data[0] / 2 % 2 != 0;
    const size_t record = hundred ? 3074 : 3073;
    data++;
    size--;
    const size_t length = named ? size / record * record : size;
    require(mkdtemp(folder) != NULL);
    snprintf(batch, sizeof batch, "%s/%s", folder, hundred ? "test.bin" : "test_batch.bin");
    snprintf(names, sizeof names, "%s/%s", folder,
             hundred ? "fine_label_names.txt" : "batches.meta.txt");
    put(batch, data, length);
    if (named) put(names, data + length, size - length);
    read_set(datasets_cifar_open, batch, true);
    read_set(datasets_cifar_open, batch, false);
    require(unlink(batch) == 0 && (!named || unlink(names) == 0) && rmdir(folder) == 0);
    return 0;
}
