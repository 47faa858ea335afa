/* vit_weights_support.h - what the tests of vit/weights share: a log that keeps everything, files
 * and folders that go away, and safetensors files taken apart, changed and put together again. */
#ifndef VIT_WEIGHTS_SUPPORT_H
#define VIT_WEIGHTS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vit_checkpoint.h"

#define CHECKPOINTS VITC_GOLDEN_DIR "/checkpoints"

/* ---- messages ---- */

typedef struct message_log {
    int errors;
    char text[8192]; /* every line so far */
} message_log;

static inline void message_log_write(void *user, vitc_log_level level, const char *message)
{
    message_log *messages = user;
    const size_t used = strlen(messages->text);
    if (level == VITC_LOG_ERROR) messages->errors++;
    snprintf(messages->text + used, sizeof messages->text - used, "%s\n", message);
}

static inline vitc_log message_log_start(message_log *messages)
{
    memset(messages, 0, sizeof *messages);
    return (vitc_log){.write = message_log_write, .user = messages};
}

static inline void assert_says(const message_log *messages, const char *what)
{
    if (strstr(messages->text, what) == NULL)
        fail_msg("expected \"%s\" in:\n%s", what, messages->text);
}

static inline void assert_status(vitc_status found, vitc_status expected,
                                 const message_log *messages)
{
    if (found != expected)
        fail_msg("status is %s, expected %s:\n%s", vitc_status_string(found),
                 vitc_status_string(expected), messages->text);
}

/* ---- files ---- */

typedef struct test_bytes {
    unsigned char *data; /* one byte longer: 0 */
    size_t size;
} test_bytes;

static inline test_bytes test_read_file(const char *path)
{
    test_bytes bytes = {0};
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("%s cannot be opened", path);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    bytes.size = (size_t)ftell(file);
    rewind(file);
    bytes.data = calloc(1, bytes.size + 1);
    assert_non_null(bytes.data);
    assert_int_equal(fread(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
    return bytes;
}

static inline test_bytes test_read_golden(const char *name, const char *file)
{
    char path[512];
    snprintf(path, sizeof path, CHECKPOINTS "/%s/%s", name, file);
    return test_read_file(path);
}

static inline void test_write_file(const char *folder, const char *file, const void *data,
                                   size_t size)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *stream = fopen(path, "wb");
    assert_non_null(stream);
    assert_int_equal(fwrite(data, 1, size, stream), size);
    assert_int_equal(fclose(stream), 0);
}

static inline void test_make_folder(char folder[64])
{
    strcpy(folder, "/tmp/vitc-weights-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static inline int test_count_files(const char *folder)
{
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static inline void test_remove_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        assert_int_equal(remove(path), 0);
    }
    closedir(dir);
    assert_int_equal(rmdir(folder), 0);
}

/* Copies a golden checkpoint's files, except golden.safetensors, into an empty folder. */
static inline void test_copy_golden(const char *folder, const char *name)
{
    DIR *dir;
    char path[512];
    snprintf(path, sizeof path, CHECKPOINTS "/%s", name);
    dir = opendir(path);
    assert_non_null(dir);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' || strcmp(entry->d_name, "golden.safetensors") == 0) continue;
        test_bytes bytes = test_read_golden(name, entry->d_name);
        test_write_file(folder, entry->d_name, bytes.data, bytes.size);
        free(bytes.data);
    }
    closedir(dir);
}

/* Replaces the first `from`, which must be there, by `to`. */
static inline void test_replace(test_bytes *text, const char *from, const char *to)
{
    char *at = text->data != NULL ? strstr((char *)text->data, from) : NULL;
    if (at == NULL) {
        fail_msg("\"%s\" is not in the file to change", from);
        return;
    }
    const size_t before = (size_t)(at - (char *)text->data);
    const size_t size = text->size - strlen(from) + strlen(to);
    unsigned char *changed = calloc(1, size + 1);
    assert_non_null(changed);
    memcpy(changed, text->data, before);
    memcpy(changed + before, to, strlen(to));
    memcpy(changed + before + strlen(to), at + strlen(from), text->size - before - strlen(from));
    free(text->data);
    *text = (test_bytes){changed, size};
}

/* ---- safetensors, taken apart ---- */

/* A copy in whose header the first `from` is `to`; the rest may hold zero bytes and stays. */
static inline test_bytes test_change_header(const test_bytes *file, const char *from,
                                            const char *to)
{
    size_t n = 0;
    for (int i = 0; i < 8; i++) n |= (size_t)file->data[i] << 8 * i;
    test_bytes header = {.data = calloc(1, n + 1), .size = n};
    assert_non_null(header.data);
    memcpy(header.data, file->data + 8, n);
    test_replace(&header, from, to);
    test_bytes changed = {.size = header.size + file->size - n};
    changed.data = malloc(changed.size + 1);
    assert_non_null(changed.data);
    for (int i = 0; i < 8; i++) changed.data[i] = (unsigned char)((uint64_t)header.size >> 8 * i);
    memcpy(changed.data + 8, header.data, header.size);
    memcpy(changed.data + 8 + header.size, file->data + 8 + n, file->size - 8 - n);
    changed.data[changed.size] = 0;
    free(header.data);
    return changed;
}

typedef struct test_tensor {
    char name[160];
    char dtype[16];
    uint32_t rank;
    size_t shape[VIT_TENSOR_RANK_MAX];
    unsigned char *data;
    size_t size;
} test_tensor;

typedef struct test_tensors {
    test_tensor items[256];
    size_t count;
} test_tensors;

static inline test_tensors *test_take_apart(const test_bytes *bytes)
{
    vit_safetensors file;
    test_tensors *tensors = calloc(1, sizeof *tensors);
    assert_non_null(tensors);
    assert_int_equal(vit_safetensors_open(&file, bytes->data, bytes->size, "test", NULL), VITC_OK);
    assert_true(file.count < 255);
    for (size_t i = 0; i < file.count; i++) {
        test_tensor *t = &tensors->items[tensors->count++];
        snprintf(t->name, sizeof t->name, "%s", file.tensors[i].name);
        snprintf(t->dtype, sizeof t->dtype, "%s", vit_tensor_type_string(file.tensors[i].type));
        t->rank = file.tensors[i].rank;
        memcpy(t->shape, file.tensors[i].shape, sizeof t->shape);
        t->size = file.tensors[i].size;
        t->data = malloc(t->size + 1);
        assert_non_null(t->data);
        memcpy(t->data, file.tensors[i].data, t->size);
    }
    vit_safetensors_close(&file);
    return tensors;
}

static inline test_tensor *test_tensor_find(test_tensors *tensors, const char *name)
{
    for (size_t i = 0; i < tensors->count; i++)
        if (strcmp(tensors->items[i].name, name) == 0) return &tensors->items[i];
    fail_msg("there is no tensor %s to change", name);
    return NULL;
}

static inline void test_tensor_drop(test_tensors *tensors, const char *name)
{
    test_tensor *t = test_tensor_find(tensors, name);
    free(t->data);
    *t = tensors->items[--tensors->count];
}

/* Adds zeros; the shape ends at the first 0. */
static inline test_tensor *test_tensor_add(test_tensors *tensors, const char *name,
                                           const char *dtype, size_t element, size_t d0, size_t d1)
{
    test_tensor *t = &tensors->items[tensors->count++];
    assert_true(tensors->count < 256);
    memset(t, 0, sizeof *t);
    snprintf(t->name, sizeof t->name, "%s", name);
    snprintf(t->dtype, sizeof t->dtype, "%s", dtype);
    t->size = element;
    if (d0 > 0) t->shape[t->rank++] = d0;
    if (d1 > 0) t->shape[t->rank++] = d1;
    for (uint32_t i = 0; i < t->rank; i++) t->size *= t->shape[i];
    t->data = calloc(1, t->size + 1);
    assert_non_null(t->data);
    return t;
}

/* The file again; frees the parts. */
static inline test_bytes test_put_together(test_tensors *tensors)
{
    size_t size = 0, offset = 0, length = 0;
    const size_t room = 64 + tensors->count * 400;
    for (size_t i = 0; i < tensors->count; i++) size += tensors->items[i].size;
    test_bytes bytes = {.data = calloc(1, 8 + room + size + 1)};
    assert_non_null(bytes.data);
    char *header = (char *)bytes.data + 8;
    length += (size_t)sprintf(header, "{\"__metadata__\": {\"format\": \"pt\"}");
    for (size_t i = 0; i < tensors->count; i++) {
        const test_tensor *t = &tensors->items[i];
        length += (size_t)sprintf(header + length, ", \"%s\": {\"dtype\": \"%s\", \"shape\": [",
                                  t->name, t->dtype);
        for (uint32_t r = 0; r < t->rank; r++)
            length += (size_t)sprintf(header + length, "%s%zu", r > 0 ? ", " : "", t->shape[r]);
        length += (size_t)sprintf(header + length, "], \"data_offsets\": [%zu, %zu]}", offset,
                                  offset + t->size);
        offset += t->size;
    }
    length += (size_t)sprintf(header + length, "}");
    assert_true(length < room);
    bytes.data[0] = (unsigned char)length;
    bytes.data[1] = (unsigned char)(length >> 8);
    bytes.data[2] = (unsigned char)(length >> 16);
    bytes.size = 8 + length;
    for (size_t i = 0; i < tensors->count; i++) {
        memcpy(bytes.data + bytes.size, tensors->items[i].data, tensors->items[i].size);
        bytes.size += tensors->items[i].size;
        free(tensors->items[i].data);
    }
    free(tensors);
    return bytes;
}

/* The same with the metadata of the file that they come from. */
static inline test_bytes test_put_together_again(test_tensors *tensors, const test_bytes *original)
{
    vit_safetensors contents;
    assert_int_equal(vit_safetensors_open(&contents, original->data, original->size, "test", NULL),
                     VITC_OK);
    char *metadata = vitc_json_dump(vitc_json_get(contents.header, "__metadata__"), 0, 17);
    assert_non_null(metadata);
    test_bytes plain = test_put_together(tensors);
    test_bytes bytes = test_change_header(&plain, "{\"format\": \"pt\"}", metadata);
    free(plain.data);
    free(metadata);
    vit_safetensors_close(&contents);
    return bytes;
}

/* Logits of two images of noise, malloc'd. */
static inline float *test_run_noise(const vit_model *model)
{
    const vit_config *config = vit_model_describe(model).config;
    const size_t size = (size_t)PATCHES_CHANNELS * config->image_height * config->image_width;
    vit_workspace *workspace = NULL;
    float *logits = calloc(2 * (size_t)config->classes, sizeof *logits);
    assert_non_null(logits);
    assert_int_equal(vit_workspace_create(&workspace, model, 2, 1, NULL), VITC_OK);
    uint32_t state = 1;
    for (uint32_t b = 0; b < 2; b++)
        for (size_t i = 0; i < size; i++) {
            state = state * 1664525u + 1013904223u;
            vit_workspace_patches(workspace, b)[i] = (float)(state >> 8) * 0x1p-23f - 1;
        }
    assert_int_equal(vit_forward(model, workspace, logits, 2, NULL), VITC_OK);
    vit_workspace_free(workspace);
    return logits;
}

#endif
