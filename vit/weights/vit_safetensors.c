#include "vit_safetensors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vit_float.h"
#include "vitc_log.h"
#include "vitc_size.h"

enum { LENGTH_BYTES = 8 };

static const struct {
    const char *name;
    uint32_t bits;
} types[VIT_TENSOR_TYPE_COUNT] = {
    [VIT_TENSOR_F64] = {"F64", 64},
    [VIT_TENSOR_F32] = {"F32", 32},
    [VIT_TENSOR_F16] = {"F16", 16},
    [VIT_TENSOR_BF16] = {"BF16", 16},
    [VIT_TENSOR_C64] = {"C64", 64},
    [VIT_TENSOR_I64] = {"I64", 64},
    [VIT_TENSOR_U64] = {"U64", 64},
    [VIT_TENSOR_I32] = {"I32", 32},
    [VIT_TENSOR_U32] = {"U32", 32},
    [VIT_TENSOR_I16] = {"I16", 16},
    [VIT_TENSOR_U16] = {"U16", 16},
    [VIT_TENSOR_I8] = {"I8", 8},
    [VIT_TENSOR_U8] = {"U8", 8},
    [VIT_TENSOR_BOOL] = {"BOOL", 8},
    [VIT_TENSOR_F8_E4M3] = {"F8_E4M3", 8},
    [VIT_TENSOR_F8_E5M2] = {"F8_E5M2", 8},
    [VIT_TENSOR_F8_E8M0] = {"F8_E8M0", 8},
    [VIT_TENSOR_F8_E4M3FNUZ] = {"F8_E4M3FNUZ", 8},
    [VIT_TENSOR_F8_E5M2FNUZ] = {"F8_E5M2FNUZ", 8},
    [VIT_TENSOR_F6_E2M3] = {"F6_E2M3", 6},
    [VIT_TENSOR_F6_E3M2] = {"F6_E3M2", 6},
    [VIT_TENSOR_F4] = {"F4", 4},
};

const char *vit_tensor_type_string(vit_tensor_type type)
{
    return (unsigned)type < VIT_TENSOR_TYPE_COUNT ? types[type].name : "unknown";
}

/* ---- files that are something else ---- */

typedef struct foreign_format {
    const char *magic;
    size_t size;
    vitc_status status;
    const char *message;
} foreign_format;

#define SAVE_AS_SAFETENSORS                                                                        \
    "save it as safetensors with Python: import torch, safetensors.torch; "                        \
    "safetensors.torch.save_file({k: v.contiguous() for k, v in torch.load('pytorch_model.bin', "  \
    "map_location='cpu', weights_only=True).items()}, 'model.safetensors')"

static const foreign_format foreign[] = {
    {"version https://git-lfs", 23, VITC_ERR_CORRUPT,
     "a Git LFS pointer, not the weights themselves; run `git lfs pull` in its folder, or download "
     "the file again"},
    {"<!doctype", 9, VITC_ERR_CORRUPT,
     "a web page, not weights: the download went wrong (a login or error page); download it again"},
    {"<html", 5, VITC_ERR_CORRUPT,
     "a web page, not weights: the download went wrong (a login or error page); download it again"},
    {"PK\3\4", 4, VITC_ERR_UNSUPPORTED,
     "a zip archive, as PyTorch (.bin, .pth) and NumPy (.npz) write; vitc reads safetensors only: "
     "for PyTorch, " SAVE_AS_SAFETENSORS},
    {"\x80\2", 2, VITC_ERR_UNSUPPORTED,
     "a Python pickle, which can run any program when it is read; vitc reads safetensors "
     "only: " SAVE_AS_SAFETENSORS},
    {"\x80\4", 2, VITC_ERR_UNSUPPORTED,
     "a Python pickle, which can run any program when it is read; vitc reads safetensors "
     "only: " SAVE_AS_SAFETENSORS},
    {"GGUF", 4, VITC_ERR_UNSUPPORTED,
     "a GGUF file; vitc reads safetensors: use the checkpoint that it was made from"},
    {"lmgg", 4, VITC_ERR_UNSUPPORTED,
     "a ggml file (vit.cpp); vitc reads safetensors: use the checkpoint that it was made from"},
    {"\x89HDF\r\n\x1a\n", 8, VITC_ERR_UNSUPPORTED,
     "an HDF5 file, as Keras and TensorFlow write; vitc reads safetensors only"},
    {"{", 1, VITC_ERR_UNSUPPORTED,
     "JSON text, not weights; give the folder that holds config.json and model.safetensors"},
};

/* What the bytes are if they are no safetensors file, or NULL. Asked only after they turned out to
 * be none: a header length can look like any of these. */
static const foreign_format *recognize(const unsigned char *data, size_t size)
{
    while (size > 0 && (*data == ' ' || *data == '\n' || *data == '\r' || *data == '\t')) {
        data++;
        size--;
    }
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (size >= foreign[i].size &&
            (foreign[i].magic[0] == '<'
                 ? strncasecmp((const char *)data, foreign[i].magic, foreign[i].size) == 0
                 : memcmp(data, foreign[i].magic, foreign[i].size) == 0))
            return &foreign[i];
    return NULL;
}

/* ---- reading ---- */

/* One tensor of the header with its place in the data, until places are checked. */
typedef struct placed_tensor {
    vit_tensor tensor;
    uint64_t begin, end;
} placed_tensor;

typedef struct header_reader {
    const char *name;
    const vitc_log *log;
} header_reader;

static vitc_status bad_tensor(const header_reader *reader, const char *tensor, const char *problem)
{
    char shown[VITC_SHOWN_SIZE];
    return vitc_fail(reader->log, VITC_ERR_CORRUPT, "%s: tensor \"%s\" %s", reader->name,
                     vitc_show(shown, tensor), problem);
}

static vitc_status read_type(vit_tensor *tensor, const header_reader *reader,
                             const vitc_json *value)
{
    const char *type = vitc_json_string(value, NULL);
    if (type == NULL) return bad_tensor(reader, tensor->name, "has no dtype");
    for (int i = 0; i < VIT_TENSOR_TYPE_COUNT; i++)
        if (strcmp(type, types[i].name) == 0) {
            tensor->type = (vit_tensor_type)i;
            return VITC_OK;
        }
    char shown[VITC_SHOWN_SIZE], problem[VITC_SHOWN_SIZE + 32];
    snprintf(problem, sizeof problem, "has the unknown dtype \"%s\"", vitc_show(shown, type));
    return bad_tensor(reader, tensor->name, problem);
}

static vitc_status read_shape(vit_tensor *tensor, const header_reader *reader,
                              const vitc_json *shape)
{
    if (!vitc_json_is_array(shape)) return bad_tensor(reader, tensor->name, "has no shape");
    if (vitc_json_size(shape) > VIT_TENSOR_RANK_MAX)
        return bad_tensor(reader, tensor->name, "has more than 8 dimensions");
    size_t nonzero = 1; /* so that an extent of 0 does not hide an overflow behind it */
    tensor->rank = (uint32_t)vitc_json_size(shape);
    tensor->count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) {
        const vitc_json *extent = vitc_json_at(shape, i);
        const int64_t value = vitc_json_integer(extent, -1);
        if (value < 0 || (uint64_t)value > SIZE_MAX)
            return bad_tensor(reader, tensor->name,
                              "has a shape that is not a list of whole numbers");
        tensor->shape[i] = (size_t)value;
        if (!vitc_size_mul(nonzero, value == 0 ? 1 : (size_t)value, &nonzero))
            return bad_tensor(reader, tensor->name, "has a shape too large to count");
        tensor->count *= (size_t)value;
    }
    return VITC_OK;
}

static vitc_status read_place(placed_tensor *placed, const header_reader *reader,
                              const vitc_json *offsets)
{
    const char *name = placed->tensor.name;
    const int64_t begin = vitc_json_integer(vitc_json_at(offsets, 0), -1);
    const int64_t end = vitc_json_integer(vitc_json_at(offsets, 1), -1);
    if (!vitc_json_is_array(offsets) || vitc_json_size(offsets) != 2 || begin < 0 || end < 0)
        return bad_tensor(reader, name, "has data_offsets that are not two whole numbers");
    if (begin > end) return bad_tensor(reader, name, "ends before it begins");
    placed->begin = (uint64_t)begin;
    placed->end = (uint64_t)end;
    size_t bits;
    if (!vitc_size_mul(placed->tensor.count, types[placed->tensor.type].bits, &bits))
        return bad_tensor(reader, name, "has a shape too large to count");
    if (bits % 8 != 0 || bits / 8 != placed->end - placed->begin) {
        char problem[160];
        snprintf(problem, sizeof problem,
                 "takes %llu bytes by its data_offsets, %zu by its shape and dtype %s",
                 (unsigned long long)(placed->end - placed->begin), bits / 8,
                 types[placed->tensor.type].name);
        return bad_tensor(reader, name, problem);
    }
    placed->tensor.size = bits / 8;
    return VITC_OK;
}

static vitc_status read_tensor(placed_tensor *placed, const header_reader *reader, const char *name,
                               const vitc_json *entry)
{
    *placed = (placed_tensor){.tensor = {.name = name}};
    if (name[0] == 0)
        return vitc_fail(reader->log, VITC_ERR_CORRUPT, "%s: a tensor has no name", reader->name);
    if (strlen(name) > VIT_TENSOR_NAME_MAX) {
        char shown[VITC_SHOWN_SIZE];
        return vitc_fail(reader->log, VITC_ERR_TOO_LARGE,
                         "%s: the tensor name \"%s\" is longer than %d bytes", reader->name,
                         vitc_show(shown, name), VIT_TENSOR_NAME_MAX);
    }
    if (!vitc_json_is_object(entry)) return bad_tensor(reader, name, "is not described");
    VITC_TRY(read_type(&placed->tensor, reader, vitc_json_get(entry, "dtype")));
    VITC_TRY(read_shape(&placed->tensor, reader, vitc_json_get(entry, "shape")));
    return read_place(placed, reader, vitc_json_get(entry, "data_offsets"));
}

static vitc_status check_metadata(const header_reader *reader, const vitc_json *metadata)
{
    if (vitc_json_is_null(metadata)) return VITC_OK;
    bool good = vitc_json_is_object(metadata);
    for (void *it = vitc_json_first(metadata); good && it != NULL;
         it = vitc_json_next(metadata, it))
        good = vitc_json_is_string(vitc_json_value(it));
    if (good) return VITC_OK;
    return vitc_fail(reader->log, VITC_ERR_CORRUPT,
                     "%s: __metadata__ is not an object whose values are strings", reader->name);
}

static int compare_places(const void *a, const void *b)
{
    const placed_tensor *p = a, *q = b;
    if (p->begin != q->begin) return p->begin < q->begin ? -1 : 1;
    return p->end < q->end ? -1 : p->end > q->end;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const vit_tensor *)a)->name, ((const vit_tensor *)b)->name);
}

/* The tensors, in the order of their places, must cover the data's `size` bytes. */
static vitc_status check_cover(const header_reader *reader, const placed_tensor *placed,
                               size_t count, size_t size)
{
    uint64_t covered = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = placed[i].tensor.name;
        if (placed[i].begin < covered)
            return bad_tensor(reader, name, "overlaps the tensor before it");
        if (placed[i].begin > covered)
            return bad_tensor(reader, name, "leaves a hole between it and what comes before");
        covered = placed[i].end;
        if (covered > size) {
            char shown[VITC_SHOWN_SIZE];
            return vitc_fail(reader->log, VITC_ERR_TRUNCATED,
                             "%s: the file is truncated: tensor \"%s\" ends at byte %llu of the "
                             "data, and there are %zu; download or copy it again",
                             reader->name, vitc_show(shown, name), (unsigned long long)covered,
                             size);
        }
    }
    if (covered == size) return VITC_OK;
    return vitc_fail(reader->log, VITC_ERR_CORRUPT, "%s: %llu bytes follow the last tensor",
                     reader->name, (unsigned long long)(size - covered));
}

static vitc_status read_tensors(vit_safetensors *file, const header_reader *reader,
                                const unsigned char *data, size_t size)
{
    const vitc_json *root = file->header;
    const size_t members = vitc_json_size(root);
    if (members > VIT_TENSOR_COUNT_MAX)
        return vitc_fail(reader->log, VITC_ERR_TOO_LARGE, "%s: %zu tensors; the limit is %d",
                         reader->name, members, VIT_TENSOR_COUNT_MAX);
    vitc_status status = VITC_OK;
    size_t count = 0;
    placed_tensor *placed = malloc((members + 1) * sizeof *placed);
    file->tensors = malloc((members + 1) * sizeof *file->tensors);
    if (placed == NULL || file->tensors == NULL) {
        status = vitc_fail_memory(reader->log, "a table of tensors");
        goto cleanup;
    }
    for (void *it = vitc_json_first(root); status == VITC_OK && it != NULL;
         it = vitc_json_next(root, it)) {
        if (strcmp(vitc_json_key(it), "__metadata__") == 0)
            status = check_metadata(reader, vitc_json_value(it));
        else
            status = read_tensor(&placed[count++], reader, vitc_json_key(it), vitc_json_value(it));
    }
    if (status != VITC_OK) goto cleanup;
    qsort(placed, count, sizeof *placed, compare_places);
    status = check_cover(reader, placed, count, size);
    if (status != VITC_OK) goto cleanup;
    for (size_t i = 0; i < count; i++) {
        file->tensors[i] = placed[i].tensor;
        file->tensors[i].data = data + (size_t)placed[i].begin;
    }
    qsort(file->tensors, count, sizeof *file->tensors, compare_names);
    file->count = count;

cleanup:
    free(placed);
    return status;
}

/* The header's length, after every check that needs no parsing. */
static vitc_status check_length(size_t *length, const unsigned char *data, size_t size,
                                const char *name, const vitc_log *log)
{
    uint64_t n = 0;
    for (int i = 0; size >= LENGTH_BYTES && i < LENGTH_BYTES; i++) n |= (uint64_t)data[i] << 8 * i;
    const bool fits = size >= LENGTH_BYTES && n <= size - LENGTH_BYTES;
    if (fits && n > 0 && n <= VIT_SAFETENSORS_HEADER_MAX && data[LENGTH_BYTES] == '{') {
        *length = (size_t)n;
        return VITC_OK;
    }
    const foreign_format *other = recognize(data, size);
    if (other != NULL) return vitc_fail(log, other->status, "%s: %s", name, other->message);
    if (size < LENGTH_BYTES)
        return vitc_fail(log, VITC_ERR_TRUNCATED,
                         "%s: %zu bytes are too few for a safetensors file", name, size);
    if (n > VIT_SAFETENSORS_HEADER_MAX)
        return vitc_fail(log, VITC_ERR_TOO_LARGE,
                         "%s: not a safetensors file, or a damaged one: its header would take %llu "
                         "bytes, and the limit is %d",
                         name, (unsigned long long)n, VIT_SAFETENSORS_HEADER_MAX);
    if (!fits)
        return vitc_fail(log, VITC_ERR_TRUNCATED,
                         "%s: the header takes %llu bytes, and the file has %zu after its length; "
                         "download or copy it again",
                         name, (unsigned long long)n, size - LENGTH_BYTES);
    return vitc_fail(log, VITC_ERR_CORRUPT,
                     "%s: not a safetensors file: the header does not begin with {", name);
}

vitc_status vit_safetensors_open(vit_safetensors *file, const void *data, size_t size,
                                 const char *name, const vitc_log *log)
{
    const unsigned char *bytes = data;
    const header_reader reader = {.name = name, .log = log};
    size_t length = 0;
    *file = (vit_safetensors){0};
    VITC_TRY(check_length(&length, bytes, size, name, log));
    vitc_status status =
        vitc_json_parse(&file->header, (const char *)bytes + LENGTH_BYTES, length, name, log);
    if (status == VITC_OK)
        status = read_tensors(file, &reader, bytes + LENGTH_BYTES + length,
                              size - LENGTH_BYTES - length);
    if (status != VITC_OK) vit_safetensors_close(file);
    return status;
}

void vit_safetensors_close(vit_safetensors *file)
{
    if (file == NULL) return;
    free(file->tensors);
    vitc_json_free(file->header);
    *file = (vit_safetensors){0};
}

const vit_tensor *vit_safetensors_find(const vit_safetensors *file, const char *name)
{
    const vit_tensor key = {.name = name};
    if (file->count == 0) return NULL;
    return bsearch(&key, file->tensors, file->count, sizeof *file->tensors, compare_names);
}

const char *vit_safetensors_metadata(const vit_safetensors *file, const char *key)
{
    return vitc_json_string(vitc_json_get(vitc_json_get(file->header, "__metadata__"), key), NULL);
}

bool vit_tensor_floats(float *dst, const vit_tensor *tensor)
{
    switch (tensor->type) {
    case VIT_TENSOR_F32:
        vit_floats_from_f32(dst, tensor->data, tensor->count);
        return true;
    case VIT_TENSOR_F16:
        vit_floats_from_f16(dst, tensor->data, tensor->count);
        return true;
    case VIT_TENSOR_BF16:
        vit_floats_from_bf16(dst, tensor->data, tensor->count);
        return true;
    case VIT_TENSOR_F64:
        vit_floats_from_f64(dst, tensor->data, tensor->count);
        return true;
    default:
        return false;
    }
}
