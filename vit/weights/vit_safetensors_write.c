#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vit_float.h"
#include "vit_safetensors.h"
#include "vitc_log.h"
#include "vitc_size.h"

static size_t element_size(vit_tensor_type type)
{
    return type == VIT_TENSOR_I8 ? 1 : type == VIT_TENSOR_BF16 ? 2 : 4;
}

static int compare_entries(const void *a, const void *b)
{
    const vit_safetensors_entry *p = a, *q = b;
    const size_t p_size = element_size(p->type), q_size = element_size(q->type);
    if (p_size != q_size) return p_size > q_size ? -1 : 1;
    return strcmp(p->name, q->name);
}

/* {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}; NULL without memory. */
static vitc_json *describe_entry(const vit_safetensors_entry *entry, size_t begin, size_t end)
{
    vitc_json *object = vitc_json_object(), *shape = vitc_json_array(),
              *offsets = vitc_json_array();
    bool good = object != NULL && shape != NULL && offsets != NULL;
    for (uint32_t i = 0; good && i < entry->rank; i++)
        good = vitc_json_append_integer(shape, (int64_t)entry->shape[i]);
    good = good && vitc_json_append_integer(offsets, (int64_t)begin) &&
           vitc_json_append_integer(offsets, (int64_t)end) &&
           vitc_json_set_string(object, "dtype", vit_tensor_type_string(entry->type));
    /* The setters own what they are given, whether they succeed or not. */
    if (good) {
        good = vitc_json_set(object, "shape", shape);
        shape = NULL;
    }
    if (good) {
        good = vitc_json_set(object, "data_offsets", offsets);
        offsets = NULL;
    }
    vitc_json_free(shape);
    vitc_json_free(offsets);
    if (good) return object;
    vitc_json_free(object);
    return NULL;
}

static vitc_json *copy_strings(const vitc_json *metadata)
{
    vitc_json *copy = vitc_json_object();
    bool good = copy != NULL;
    for (void *it = vitc_json_first(metadata); good && it != NULL;
         it = vitc_json_next(metadata, it))
        good = vitc_json_set_string(copy, vitc_json_key(it),
                                    vitc_json_string(vitc_json_value(it), ""));
    if (good) return copy;
    vitc_json_free(copy);
    return NULL;
}

vitc_status vit_safetensors_write_header(vitc_file_writer *writer, vit_safetensors_entry *entries,
                                         size_t count, const vitc_json *metadata,
                                         const vitc_log *log)
{
    static const char spaces[] = "        ";
    qsort(entries, count, sizeof *entries, compare_entries);
    vitc_json *root = vitc_json_object();
    bool good = root != NULL;
    if (good && metadata != NULL)
        good = vitc_json_set(root, "__metadata__", copy_strings(metadata));
    size_t offset = 0;
    for (size_t i = 0; good && i < count; i++) {
        size_t size, end;
        if (!vitc_size_mul(entries[i].count, element_size(entries[i].type), &size) ||
            !vitc_size_add(offset, size, &end) || end > INT64_MAX) {
            vitc_json_free(root);
            return vitc_fail(log, VITC_ERR_TOO_LARGE, "the weights are too large for one file");
        }
        good = vitc_json_set(root, entries[i].name, describe_entry(&entries[i], offset, end));
        offset = end;
    }
    char *text = good ? vitc_json_dump(root, 0, 17) : NULL;
    vitc_json_free(root);
    if (text == NULL) return vitc_fail_memory(log, "a safetensors header");
    const size_t length = strlen(text), padded = vitc_size_round_up(length, 8);
    if (padded > VIT_SAFETENSORS_HEADER_MAX) {
        free(text);
        return vitc_fail(log, VITC_ERR_TOO_LARGE,
                         "a safetensors header of %zu bytes is more than the format allows (%d); "
                         "use a smaller card and shorter labels",
                         padded, VIT_SAFETENSORS_HEADER_MAX);
    }
    unsigned char prefix[8];
    for (int i = 0; i < 8; i++) prefix[i] = (unsigned char)((uint64_t)padded >> 8 * i);
    vitc_file_writer_append(writer, prefix, sizeof prefix);
    vitc_file_writer_append(writer, text, length);
    vitc_file_writer_append(writer, spaces, padded - length);
    free(text);
    return VITC_OK;
}

bool vit_safetensors_write_floats(vitc_file_writer *writer, vit_tensor_type type,
                                  const float *values, size_t count)
{
    enum { CHUNK = 4096 };
    unsigned char bytes[4 * CHUNK];
    for (size_t done = 0; done < count; done += CHUNK) {
        const size_t n = count - done < CHUNK ? count - done : CHUNK;
        if (type == VIT_TENSOR_BF16) {
            for (size_t i = 0; i < n; i++)
                if (isfinite(values[done + i]) &&
                    !isfinite(vit_float_from_bf16(vit_float_to_bf16(values[done + i]))))
                    return false;
            vit_floats_to_bf16(bytes, values + done, n);
        } else {
            vit_floats_to_f32(bytes, values + done, n);
        }
        vitc_file_writer_append(writer, bytes, n * element_size(type));
    }
    return true;
}
