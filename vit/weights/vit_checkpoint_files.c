/* Finds and maps a checkpoint's files: a folder with config.json and weights (whole or in shards),
 * one file, or bytes of the caller. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "vit_checkpoint.h"
#include "vitc_log.h"

enum { SHARDS_MAX = 1024 };

static vitc_status join(char **path, const char *folder, const char *file, const vitc_log *log)
{
    *path = vitc_path_join(folder, file);
    return *path != NULL ? VITC_OK : vitc_fail_memory(log, "a file name");
}

/* Reads folder/file; *text stays NULL where there is no such file. */
static vitc_status read_optional(char **text, size_t *size, const char *folder, const char *file,
                                 const vitc_log *log)
{
    struct stat info;
    char *path;
    unsigned char *bytes = NULL;
    *text = NULL;
    *size = 0;
    VITC_TRY(join(&path, folder, file, log));
    vitc_status status = VITC_OK;
    /* A link that leads nowhere is not absence: opening it says so. */
    if (lstat(path, &info) == 0 || errno != ENOENT)
        status = vitc_file_read(&bytes, size, path, VIT_CHECKPOINT_JSON_MAX, log);
    free(path);
    *text = (char *)bytes;
    return status;
}

/* 1 when folder/file is there, 0 when not, -1 without memory. */
static int is_there(const char *folder, const char *file, const vitc_log *log)
{
    struct stat info;
    char *path;
    if (join(&path, folder, file, log) != VITC_OK) return -1;
    const int there = lstat(path, &info) == 0;
    free(path);
    return there;
}

static vitc_status add_file(vit_checkpoint *checkpoint, char *path, const vitc_log *log)
{
    vit_checkpoint_file *file = &checkpoint->files[checkpoint->file_count];
    *file = (vit_checkpoint_file){.path = path};
    checkpoint->file_count++; /* from here on the checkpoint frees it */
    VITC_TRY(vitc_file_map(&file->map, path, log));
    return vit_safetensors_open(&file->contents, file->map.data, file->map.size, path, log);
}

static vitc_status reserve_files(vit_checkpoint *checkpoint, size_t count, const vitc_log *log)
{
    checkpoint->files = calloc(count, sizeof *checkpoint->files);
    return checkpoint->files != NULL ? VITC_OK : vitc_fail_memory(log, "a table of files");
}

/* ---- shards ---- */

/* A shard lies in the folder itself: a name that leads elsewhere is an attack or an accident. */
static bool is_shard_name(const char *name)
{
    static const char ending[] = ".safetensors";
    const size_t length = strlen(name), tail = sizeof ending - 1;
    return length > tail && strcmp(name + length - tail, ending) == 0 && name[0] != '.' &&
           strchr(name, '/') == NULL && strchr(name, '\\') == NULL;
}

/* The shard of that name among those added, or NULL. */
static const vit_checkpoint_file *find_shard(const vit_checkpoint *checkpoint, const char *name)
{
    for (size_t i = 0; i < checkpoint->file_count; i++)
        if (strcmp(strrchr(checkpoint->files[i].path, '/') + 1, name) == 0)
            return &checkpoint->files[i];
    return NULL;
}

static vitc_status add_shards(vit_checkpoint *checkpoint, const vitc_json *index,
                              const char *index_name, const vitc_log *log)
{
    const vitc_json *map = vitc_json_get(index, "weight_map");
    if (!vitc_json_is_object(map))
        return vitc_fail(log, VITC_ERR_CORRUPT, "%s: has no \"weight_map\" of tensors to files",
                         index_name);
    VITC_TRY(reserve_files(checkpoint, SHARDS_MAX, log));
    for (void *it = vitc_json_first(map); it != NULL; it = vitc_json_next(map, it)) {
        char shown[VITC_SHOWN_SIZE], shown_tensor[VITC_SHOWN_SIZE];
        const char *tensor = vitc_json_key(it);
        const char *shard = vitc_json_string(vitc_json_value(it), "");
        if (!is_shard_name(shard))
            return vitc_fail(log, VITC_ERR_CORRUPT,
                             "%s: \"%s\" is not the name of a .safetensors file in the same folder",
                             index_name, vitc_show(shown, shard));
        const vit_checkpoint_file *file = find_shard(checkpoint, shard);
        if (file == NULL) {
            char *path;
            if (checkpoint->file_count == SHARDS_MAX)
                return vitc_fail(log, VITC_ERR_TOO_LARGE, "%s: more than %d shards", index_name,
                                 SHARDS_MAX);
            VITC_TRY(join(&path, checkpoint->name, shard, log));
            VITC_TRY(add_file(checkpoint, path, log));
            file = &checkpoint->files[checkpoint->file_count - 1];
        }
        if (vit_safetensors_find(&file->contents, tensor) == NULL)
            return vitc_fail(log, VITC_ERR_MODEL, "%s: tensor %s is said to be in %s and is not",
                             index_name, vitc_show(shown_tensor, tensor), vitc_show(shown, shard));
    }
    return VITC_OK;
}

static vitc_status open_index(vit_checkpoint *checkpoint, const char *text, size_t size,
                              const vitc_log *log)
{
    char *name;
    vitc_json *index = NULL;
    VITC_TRY(join(&name, checkpoint->name, "model.safetensors.index.json", log));
    vitc_status status = vitc_json_parse(&index, text, size, name, log);
    if (status == VITC_OK) status = add_shards(checkpoint, index, name, log);
    vitc_json_free(index);
    free(name);
    return status;
}

/* ---- a folder ---- */

static vitc_status no_weights(const vit_checkpoint *checkpoint, const vitc_log *log)
{
    static const char *const others[] = {"pytorch_model.bin", "pytorch_model.bin.index.json",
                                         "tf_model.h5", "flax_model.msgpack"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        const int there = is_there(checkpoint->name, others[i], log);
        if (there < 0) return VITC_ERR_MEMORY;
        if (there == 0) continue;
        if (i == 0)
            return vitc_fail(
                log, VITC_ERR_UNSUPPORTED,
                "%s: the weights are a Python pickle, pytorch_model.bin, and vitc reads "
                "safetensors; convert it once, in that folder, with Python: import torch; from "
                "safetensors.torch import save_file; save_file({k: v.contiguous() for k, v in "
                "torch.load('pytorch_model.bin', map_location='cpu', weights_only=True).items()}, "
                "'model.safetensors')",
                checkpoint->name);
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: the weights are in %s, and vitc reads safetensors; load the model "
                         "with transformers and save it again with save_pretrained",
                         checkpoint->name, others[i]);
    }
    return vitc_fail(log, VITC_ERR_UNREADABLE,
                     "%s: has neither model.safetensors nor model.safetensors.index.json",
                     checkpoint->name);
}

static vitc_status open_weights(vit_checkpoint *checkpoint, const vitc_log *log)
{
    static const char single[] = "model.safetensors";
    char *path, *index;
    size_t size;
    const int there = is_there(checkpoint->name, single, log);
    if (there < 0) return VITC_ERR_MEMORY;
    if (there > 0) {
        VITC_TRY(reserve_files(checkpoint, 1, log));
        VITC_TRY(join(&path, checkpoint->name, single, log));
        return add_file(checkpoint, path, log);
    }
    VITC_TRY(read_optional(&index, &size, checkpoint->name, "model.safetensors.index.json", log));
    if (index == NULL) return no_weights(checkpoint, log);
    const vitc_status status = open_index(checkpoint, index, size, log);
    free(index);
    return status;
}

static vitc_status open_folder(vit_checkpoint *checkpoint, const vit_load_options *options,
                               const vitc_log *log)
{
    char *config = NULL, *preprocessor = NULL, *processor = NULL;
    vit_checkpoint_texts texts = {0};
    VITC_TRY(join(&checkpoint->config_name, checkpoint->name, "config.json", log));
    vitc_status status =
        read_optional(&config, &texts.config_size, checkpoint->name, "config.json", log);
    if (status == VITC_OK && config == NULL)
        status = vitc_fail(log, VITC_ERR_UNREADABLE,
                           "%s: has no config.json, so it is not a Hugging Face or timm model",
                           checkpoint->name);
    if (status == VITC_OK)
        status = read_optional(&preprocessor, &texts.preprocessor_size, checkpoint->name,
                               "preprocessor_config.json", log);
    if (status == VITC_OK)
        status = read_optional(&processor, &texts.processor_size, checkpoint->name,
                               "processor_config.json", log);
    if (status == VITC_OK) status = open_weights(checkpoint, log);
    if (status == VITC_OK) status = vit_checkpoint_gather(checkpoint, log);
    texts.config = config;
    texts.preprocessor = preprocessor;
    texts.processor = processor;
    if (status == VITC_OK) status = vit_checkpoint_finish(checkpoint, &texts, options, log);
    free(config);
    free(preprocessor);
    free(processor);
    return status;
}

/* ---- a file, or bytes ---- */

static vitc_status finish_file(vit_checkpoint *checkpoint, const vit_load_options *options,
                               const vitc_log *log)
{
    VITC_TRY(vit_checkpoint_gather(checkpoint, log));
    if (asprintf(&checkpoint->config_name, "%s: vitc.config", checkpoint->name) < 0) {
        checkpoint->config_name = NULL;
        return vitc_fail_memory(log, "a name");
    }
    return vit_checkpoint_finish_vitc(checkpoint, options, log);
}

static vitc_status open_file(vit_checkpoint *checkpoint, const vit_load_options *options,
                             const vitc_log *log)
{
    char *path;
    VITC_TRY(reserve_files(checkpoint, 1, log));
    VITC_TRY(vit_checkpoint_copy(&path, checkpoint->name, log));
    VITC_TRY(add_file(checkpoint, path, log));
    return finish_file(checkpoint, options, log);
}

static vitc_status open_bytes(vit_checkpoint *checkpoint, const void *data, size_t size,
                              const vitc_log *log)
{
    VITC_TRY(reserve_files(checkpoint, 1, log));
    checkpoint->file_count = 1;
    return vit_safetensors_open(&checkpoint->files[0].contents, data, size, checkpoint->name, log);
}

/* Hands a checkpoint over, or frees what a failure left. */
static vitc_status hand_over(vit_checkpoint **out, vit_checkpoint *checkpoint, vitc_status status)
{
    *out = status == VITC_OK ? checkpoint : NULL;
    if (status != VITC_OK) vit_checkpoint_free(checkpoint);
    return status;
}

vitc_status vit_checkpoint_open(vit_checkpoint **out, const char *path,
                                const vit_load_options *options, const vitc_log *log)
{
    struct stat info;
    vit_checkpoint *checkpoint;
    *out = NULL;
    VITC_TRY(vit_checkpoint_create(&checkpoint, path, options, log));
    const bool folder = stat(path, &info) == 0 && S_ISDIR(info.st_mode);
    return hand_over(out, checkpoint,
                     folder ? open_folder(checkpoint, options, log)
                            : open_file(checkpoint, options, log));
}

vitc_status vit_checkpoint_open_memory(vit_checkpoint **out, const void *data, size_t size,
                                       const char *name, const vit_load_options *options,
                                       const vitc_log *log)
{
    vit_checkpoint *checkpoint;
    *out = NULL;
    VITC_TRY(vit_checkpoint_create(&checkpoint, name, options, log));
    vitc_status status = open_bytes(checkpoint, data, size, log);
    if (status == VITC_OK) status = finish_file(checkpoint, options, log);
    return hand_over(out, checkpoint, status);
}

vitc_status vit_checkpoint_open_texts(vit_checkpoint **out, const vit_checkpoint_texts *texts,
                                      const char *name, const vit_load_options *options,
                                      const vitc_log *log)
{
    vit_checkpoint *checkpoint;
    *out = NULL;
    VITC_TRY(vit_checkpoint_create(&checkpoint, name, options, log));
    vitc_status status = join(&checkpoint->config_name, name, "config.json", log);
    if (status == VITC_OK)
        status = open_bytes(checkpoint, texts->weights, texts->weights_size, log);
    if (status == VITC_OK) status = vit_checkpoint_gather(checkpoint, log);
    if (status == VITC_OK) status = vit_checkpoint_finish(checkpoint, texts, options, log);
    return hand_over(out, checkpoint, status);
}
