/* vit_safetensors.h - the safetensors format: reading from memory, writing as a stream (private to
 * vit).
 *
 *     bytes 0..7     n, the header's length, u64 little-endian, at most 100,000,000
 *     8..8+n         JSON, first byte '{', spaces at its end:
 *                    {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...,
 *                     "__metadata__": {"key": "text", ...}}
 *     8+n..end       data, row-major, little-endian; offsets count from here
 *
 * The reader follows the rules strictly: the tensors cover the data exactly, without gap, overlap
 * or remainder; sizes match shapes; no name stands twice. Tensors may begin at any byte. Nothing is
 * allocated before the length is checked, and no product or sum goes unchecked. */
#ifndef VIT_SAFETENSORS_H
#define VIT_SAFETENSORS_H

#include "vitc_file.h"
#include "vitc_json.h"

#define VIT_TENSOR_RANK_MAX  8
#define VIT_TENSOR_NAME_MAX  512   /* bytes */
#define VIT_TENSOR_COUNT_MAX 65536 /* in one file */

#define VIT_SAFETENSORS_HEADER_MAX 100000000 /* bytes: the format's own limit */

typedef enum vit_tensor_type {
    VIT_TENSOR_F64,
    VIT_TENSOR_F32,
    VIT_TENSOR_F16,
    VIT_TENSOR_BF16,
    /* Known so that a file with such a tensor can be read. I8: quantized weights, in vitc's own
     * files; all others never weights. */
    VIT_TENSOR_C64,
    VIT_TENSOR_I64,
    VIT_TENSOR_U64,
    VIT_TENSOR_I32,
    VIT_TENSOR_U32,
    VIT_TENSOR_I16,
    VIT_TENSOR_U16,
    VIT_TENSOR_I8,
    VIT_TENSOR_U8,
    VIT_TENSOR_BOOL,
    VIT_TENSOR_F8_E4M3,
    VIT_TENSOR_F8_E5M2,
    VIT_TENSOR_F8_E8M0,
    VIT_TENSOR_F8_E4M3FNUZ,
    VIT_TENSOR_F8_E5M2FNUZ,
    VIT_TENSOR_F6_E2M3,
    VIT_TENSOR_F6_E3M2,
    VIT_TENSOR_F4,
    VIT_TENSOR_TYPE_COUNT
} vit_tensor_type;

/* "F32", ... as the format spells it. */
const char *vit_tensor_type_string(vit_tensor_type type);

typedef struct vit_tensor {
    const char *name; /* UTF-8, not empty, lives in the header */
    vit_tensor_type type;
    uint32_t rank;
    size_t shape[VIT_TENSOR_RANK_MAX];
    size_t count;              /* elements */
    const unsigned char *data; /* in the caller's bytes, at any alignment */
    size_t size;               /* bytes */
} vit_tensor;

typedef struct vit_safetensors {
    vit_tensor *tensors; /* sorted by name */
    size_t count;
    vitc_json *header; /* owns the names */
} vit_safetensors;

/* Reads the header of a whole file in memory; `data` must outlive the result. `name` is for
 * messages. VITC_ERR_TRUNCATED, VITC_ERR_CORRUPT, VITC_ERR_TOO_LARGE (header, counts), and
 * VITC_ERR_UNSUPPORTED for another format, which the message names (a pickle, GGUF, ...). */
VITC_MUST_CHECK vitc_status vit_safetensors_open(vit_safetensors *file, const void *data,
                                                 size_t size, const char *name,
                                                 const vitc_log *log);
void vit_safetensors_close(vit_safetensors *file);

/* NULL when there is none. */
const vit_tensor *vit_safetensors_find(const vit_safetensors *file, const char *name);
const char *vit_safetensors_metadata(const vit_safetensors *file, const char *key);

/* dst[i] = element i as float32, for F64, F32, F16 and BF16; false for any other type. */
bool vit_tensor_floats(float *dst, const vit_tensor *tensor);

/* ---- writing ---- */

typedef struct vit_safetensors_entry {
    const char *name;
    vit_tensor_type type; /* F32, BF16 or I8 */
    uint32_t rank;
    size_t shape[VIT_TENSOR_RANK_MAX];
    size_t count; /* elements, the product of the shape */
    size_t tag;   /* the caller's own, to know entries again after sorting */
} vit_safetensors_entry;

/* Sorts the entries into the order of the file (the reference library's: larger elements first,
 * then by name) and appends the header, padded with spaces to a multiple of 8. Then append each
 * entry's data in that order. `metadata` is an object of strings, or NULL. */
VITC_MUST_CHECK vitc_status vit_safetensors_write_header(vitc_file_writer *writer,
                                                         vit_safetensors_entry *entries,
                                                         size_t count, const vitc_json *metadata,
                                                         const vitc_log *log);

/* Appends `count` values in the entry's type, F32 or BF16; int8 numbers are appended as they are,
 * by vitc_file_writer_append. False when a finite value is beyond that type. */
bool vit_safetensors_write_floats(vitc_file_writer *writer, vit_tensor_type type,
                                  const float *values, size_t count);

#endif
