#include "vit_train_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_float.h"
#include "vit_safetensors.h"
#include "vitc_log.h"
#include "vitc_sha256.h"

#define VERSION_KEY  "vitc.train_state"
#define TEXT_KEY     "vitc.train"
#define STEPS_KEY    "vitc.steps"
#define HASH_KEY     "vitc.sha256"
#define THIS_VERSION "1"

/* The arrays of a run, parameters first. */
enum { ARRAYS_MAX = 1 + VIT_OPTIMIZER_ARRAYS_MAX };

typedef struct run_arrays {
    vit_optimizer_array items[ARRAYS_MAX];
    size_t count;
    size_t length; /* of each: numbers of the model */
} run_arrays;

static run_arrays gather(vit_trainer *trainer, const vit_optimizer *optimizer)
{
    run_arrays arrays = {.length = vit_trainer_count(trainer)};
    arrays.items[0] = (vit_optimizer_array){"parameters", vit_trainer_parameters(trainer)};
    arrays.count = 1 + vit_optimizer_arrays(optimizer, arrays.items + 1);
    return arrays;
}

/* ---- the checksum ---- */

static vitc_sha256 start_hash(const char *text, const char *steps)
{
    vitc_sha256 hash = vitc_sha256_start();
    vitc_sha256_add(&hash, text, strlen(text) + 1);
    vitc_sha256_add(&hash, steps, strlen(steps) + 1);
    return hash;
}

/* As the file will have it: little-endian. */
static void hash_array(vitc_sha256 *hash, const vit_optimizer_array *array, size_t length)
{
    enum { CHUNK = 4096 };
    unsigned char bytes[4 * CHUNK];
    vitc_sha256_add(hash, array->name, strlen(array->name) + 1);
    for (size_t done = 0; done < length; done += CHUNK) {
        const size_t n = length - done < CHUNK ? length - done : CHUNK;
        vit_floats_to_f32(bytes, array->values + done, n);
        vitc_sha256_add(hash, bytes, 4 * n);
    }
}

static const char *metadata(const vit_safetensors *file, const char *key)
{
    return vit_safetensors_metadata(file, key);
}

static int compare_places(const void *a, const void *b)
{
    const vit_tensor *const *p = a, *const *q = b;
    return (*p)->data < (*q)->data ? -1 : (*p)->data > (*q)->data;
}

/* Of a file, whose tensors come sorted by name. */
static vitc_status hash_file(char text[VITC_SHA256_TEXT_SIZE], const vit_safetensors *file,
                             const vitc_log *log)
{
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    const vit_tensor **sorted = malloc(file->count * sizeof *sorted);
    if (sorted == NULL) return vitc_fail_memory(log, "a training state");
    for (size_t i = 0; i < file->count; i++) sorted[i] = &file->tensors[i];
    /* NOLINTNEXTLINE(bugprone-sizeof-expression) */
    qsort((void *)sorted, file->count, sizeof *sorted, compare_places);
    vitc_sha256 hash = start_hash(metadata(file, TEXT_KEY), metadata(file, STEPS_KEY));
    for (size_t i = 0; i < file->count; i++) {
        vitc_sha256_add(&hash, sorted[i]->name, strlen(sorted[i]->name) + 1);
        vitc_sha256_add(&hash, sorted[i]->data, sorted[i]->size);
    }
    vitc_sha256_finish(text, &hash);
    free((void *)sorted);
    return VITC_OK;
}

/* ---- writing ---- */

/* In the order in which the file will have them, which write_header has put `entries` into. */
static const vit_optimizer_array *array_of(const run_arrays *arrays,
                                           const vit_safetensors_entry *entry)
{
    return &arrays->items[entry->tag];
}

static vitc_json *make_metadata(const run_arrays *arrays, const vit_safetensors_entry *sorted,
                                const char *text, uint64_t steps)
{
    char number[24], sum[VITC_SHA256_TEXT_SIZE];
    snprintf(number, sizeof number, "%" PRIu64, steps);
    vitc_sha256 hash = start_hash(text, number);
    for (size_t i = 0; i < arrays->count; i++)
        hash_array(&hash, array_of(arrays, &sorted[i]), arrays->length);
    vitc_sha256_finish(sum, &hash);
    vitc_json *root = vitc_json_object();
    if (root != NULL && vitc_json_set_string(root, VERSION_KEY, THIS_VERSION) &&
        vitc_json_set_string(root, TEXT_KEY, text) &&
        vitc_json_set_string(root, STEPS_KEY, number) && vitc_json_set_string(root, HASH_KEY, sum))
        return root;
    vitc_json_free(root);
    return NULL;
}

static int compare_names(const void *a, const void *b)
{
    const vit_safetensors_entry *p = a, *q = b;
    return strcmp(p->name, q->name);
}

static vitc_status write_all(vitc_file_writer *writer, const run_arrays *arrays, const char *text,
                             uint64_t steps, const vitc_log *log)
{
    vit_safetensors_entry entries[ARRAYS_MAX];
    for (size_t i = 0; i < arrays->count; i++)
        entries[i] = (vit_safetensors_entry){.name = arrays->items[i].name,
                                             .type = VIT_TENSOR_F32,
                                             .rank = 1,
                                             .shape = {arrays->length},
                                             .count = arrays->length,
                                             .tag = i};
    /* The header's own order for tensors of one type, which the checksum inside of it needs to be
     * known before. */
    qsort(entries, arrays->count, sizeof *entries, compare_names);
    vitc_json *root = make_metadata(arrays, entries, text, steps);
    if (root == NULL) return vitc_fail_memory(log, "a training state");
    const vitc_status status =
        vit_safetensors_write_header(writer, entries, arrays->count, root, log);
    vitc_json_free(root);
    VITC_TRY(status);
    for (size_t i = 0; i < arrays->count; i++)
        (void)vit_safetensors_write_floats(writer, VIT_TENSOR_F32,
                                           array_of(arrays, &entries[i])->values, arrays->length);
    return VITC_OK;
}

vitc_status vit_train_state_write(const char *path, const char *previous, vit_trainer *trainer,
                                  const vit_optimizer *optimizer, const char *text,
                                  const vitc_log *log)
{
    const run_arrays arrays = gather(trainer, optimizer);
    vitc_file_writer writer;
    VITC_TRY(vitc_file_writer_open(&writer, path, log));
    const vitc_status status =
        write_all(&writer, &arrays, text, vit_optimizer_steps(optimizer), log);
    if (status != VITC_OK) {
        vitc_file_writer_abort(&writer);
        return status;
    }
    return previous != NULL ? vitc_file_writer_commit_keeping(&writer, previous, log)
                            : vitc_file_writer_commit(&writer, log);
}

/* ---- reading ---- */

/* A state in memory; closed by close_state also after a failure. */
typedef struct state {
    vitc_file file;
    vit_safetensors contents;
} state;

static void close_state(state *s)
{
    vit_safetensors_close(&s->contents);
    vitc_file_unmap(&s->file);
}

static vitc_status check_state(const state *s, const char *path, const vitc_log *log)
{
    char sum[VITC_SHA256_TEXT_SIZE];
    const char *version = metadata(&s->contents, VERSION_KEY);
    if (version == NULL)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED, "%s: is not the state of a training run", path);
    if (strcmp(version, THIS_VERSION) != 0)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: is a training state of version %.8s, which this vitc does not know",
                         path, version);
    const char *expected = metadata(&s->contents, HASH_KEY);
    if (metadata(&s->contents, TEXT_KEY) == NULL || metadata(&s->contents, STEPS_KEY) == NULL ||
        expected == NULL)
        return vitc_fail(log, VITC_ERR_CORRUPT, "%s: a part of the training state is missing",
                         path);
    VITC_TRY(hash_file(sum, &s->contents, log));
    if (strcmp(sum, expected) == 0) return VITC_OK;
    return vitc_fail(log, VITC_ERR_CORRUPT,
                     "%s: its checksum is another: the training state is damaged", path);
}

static vitc_status open_state(state *s, const char *path, const vitc_log *log)
{
    *s = (state){0};
    VITC_TRY(vitc_file_map(&s->file, path, log));
    vitc_status status = vit_safetensors_open(&s->contents, s->file.data, s->file.size, path, NULL);
    if (status == VITC_ERR_TRUNCATED) /* which is no matter of copying it again */
        return vitc_fail(log, status, "%s: the training state is cut short", path);
    if (status != VITC_OK) /* says why */
        status = vit_safetensors_open(&s->contents, s->file.data, s->file.size, path, log);
    VITC_TRY(status);
    return check_state(s, path, log);
}

vitc_status vit_train_state_text(char **text, const char *path, const vitc_log *log)
{
    state s;
    *text = NULL;
    vitc_status status = open_state(&s, path, log);
    if (status == VITC_OK) {
        *text = strdup(metadata(&s.contents, TEXT_KEY));
        if (*text == NULL) status = vitc_fail_memory(log, "a training state");
    }
    close_state(&s);
    return status;
}

/* What the file has for an array, or a failure that says how it differs. */
static vitc_status find_array(const vit_tensor **tensor, const state *s,
                              const vit_optimizer_array *array, size_t length, const char *path,
                              const vitc_log *log)
{
    *tensor = vit_safetensors_find(&s->contents, array->name);
    if (*tensor == NULL)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "%s: has no \"%s\": it is the state of another optimizer", path,
                         array->name);
    if ((*tensor)->type != VIT_TENSOR_F32 || (*tensor)->count != length)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "%s: is the state of another model: \"%s\" has %zu numbers of type %s, "
                         "expected %zu of F32",
                         path, array->name, (*tensor)->count,
                         vit_tensor_type_string((*tensor)->type), length);
    return VITC_OK;
}

static vitc_status read_steps(uint64_t *steps, const state *s, const char *path,
                              const vitc_log *log)
{
    const char *text = metadata(&s->contents, STEPS_KEY);
    char *end;
    errno = 0;
    *steps = strtoull(text, &end, 10);
    if (text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0) return VITC_OK;
    return vitc_fail(log, VITC_ERR_CORRUPT, "%s: its number of steps is none", path);
}

static vitc_status load(const state *s, vit_trainer *trainer, vit_optimizer *optimizer,
                        const char *path, const vitc_log *log)
{
    const run_arrays arrays = gather(trainer, optimizer);
    const vit_tensor *tensors[ARRAYS_MAX];
    uint64_t steps;
    VITC_TRY(read_steps(&steps, s, path, log));
    for (size_t i = 0; i < arrays.count; i++)
        VITC_TRY(find_array(&tensors[i], s, &arrays.items[i], arrays.length, path, log));
    if (s->contents.count != arrays.count)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "%s: has %zu arrays, expected %zu: it is the state of another optimizer",
                         path, s->contents.count, arrays.count);
    for (size_t i = 0; i < arrays.count; i++)
        vit_floats_from_f32(arrays.items[i].values, tensors[i]->data, arrays.length);
    vit_optimizer_set_steps(optimizer, steps);
    return VITC_OK;
}

vitc_status vit_train_state_read(const char *path, vit_trainer *trainer, vit_optimizer *optimizer,
                                 const vitc_log *log)
{
    state s;
    vitc_status status = open_state(&s, path, log);
    if (status == VITC_OK) status = load(&s, trainer, optimizer, path, log);
    close_state(&s);
    return status;
}
