#include "vit_checkpoint.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vit_float.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* ---- life ---- */

vitc_status vit_checkpoint_copy(char **copy, const char *text, const vitc_log *log)
{
    *copy = strdup(text);
    return *copy != NULL ? VITC_OK : vitc_fail_memory(log, "a string");
}

vitc_status vit_checkpoint_create(vit_checkpoint **out, const char *name,
                                  const vit_load_options *options, const vitc_log *log)
{
    *out = NULL;
    vit_checkpoint *checkpoint = calloc(1, sizeof *checkpoint);
    if (checkpoint == NULL) return vitc_fail_memory(log, name);
    checkpoint->allow_nonfinite = options != NULL && options->allow_nonfinite;
    const vitc_status status = vit_checkpoint_copy(&checkpoint->name, name, log);
    if (status != VITC_OK) {
        free(checkpoint);
        return status;
    }
    *out = checkpoint;
    return VITC_OK;
}

void vit_checkpoint_free(vit_checkpoint *checkpoint)
{
    if (checkpoint == NULL) return;
    for (size_t i = 0; i < checkpoint->file_count; i++) {
        vit_safetensors_close(&checkpoint->files[i].contents);
        vitc_file_unmap(&checkpoint->files[i].map);
        free(checkpoint->files[i].path);
    }
    free(checkpoint->files);
    free(checkpoint->tensors);
    free(checkpoint->sources);
    vit_params_free(&checkpoint->table);
    vit_description_free(&checkpoint->description);
    free(checkpoint->config_name);
    free(checkpoint->name);
    free(checkpoint);
}

/* ---- tensors ---- */

static int compare_tensors(const void *a, const void *b)
{
    return strcmp(((const vit_checkpoint_tensor *)a)->name,
                  ((const vit_checkpoint_tensor *)b)->name);
}

/* Prefixes that training wrappers put before every name. */
static void strip_prefixes(vit_checkpoint *checkpoint)
{
    static const char *const prefixes[] = {"module.", "model.", "timm_model."};
    size_t p = 0;
    while (checkpoint->tensor_count > 0 && p < sizeof prefixes / sizeof prefixes[0]) {
        const size_t length = strlen(prefixes[p]);
        bool all = true;
        for (size_t i = 0; all && i < checkpoint->tensor_count; i++)
            all = strncmp(checkpoint->tensors[i].name, prefixes[p], length) == 0 &&
                  checkpoint->tensors[i].name[length] != 0;
        for (size_t i = 0; all && i < checkpoint->tensor_count; i++)
            checkpoint->tensors[i].name += length;
        p = all ? 0 : p + 1; /* wrappers nest */
    }
}

vitc_status vit_checkpoint_gather(vit_checkpoint *checkpoint, const vitc_log *log)
{
    size_t total = 0;
    for (size_t f = 0; f < checkpoint->file_count; f++)
        total += checkpoint->files[f].contents.count;
    checkpoint->tensors = malloc((total + 1) * sizeof *checkpoint->tensors);
    if (checkpoint->tensors == NULL) return vitc_fail_memory(log, "a table of tensors");
    for (size_t f = 0; f < checkpoint->file_count; f++) {
        const vit_safetensors *contents = &checkpoint->files[f].contents;
        for (size_t i = 0; i < contents->count; i++)
            checkpoint->tensors[checkpoint->tensor_count++] = (vit_checkpoint_tensor){
                .name = contents->tensors[i].name, .tensor = &contents->tensors[i]};
    }
    qsort(checkpoint->tensors, total, sizeof *checkpoint->tensors, compare_tensors);
    for (size_t i = 1; i < total; i++)
        if (strcmp(checkpoint->tensors[i - 1].name, checkpoint->tensors[i].name) == 0) {
            char shown[VITC_SHOWN_SIZE];
            return vitc_fail(log, VITC_ERR_CORRUPT, "%s: tensor \"%s\" is in two shards",
                             checkpoint->name, vitc_show(shown, checkpoint->tensors[i].name));
        }
    strip_prefixes(checkpoint);
    return VITC_OK;
}

const vit_checkpoint_tensor *vit_checkpoint_find(const vit_checkpoint *checkpoint, const char *name)
{
    const vit_checkpoint_tensor key = {.name = name};
    if (checkpoint->tensor_count == 0) return NULL;
    return bsearch(&key, checkpoint->tensors, checkpoint->tensor_count, sizeof *checkpoint->tensors,
                   compare_tensors);
}

size_t vit_checkpoint_extent(const vit_checkpoint *checkpoint, const char *name, uint32_t i)
{
    const vit_checkpoint_tensor *found = vit_checkpoint_find(checkpoint, name);
    return found != NULL && i < found->tensor->rank ? found->tensor->shape[i] : 0;
}

uint32_t vit_checkpoint_layers(const vit_checkpoint *checkpoint, const char *prefix)
{
    enum { MOST = 1000 * 1000 }; /* more than any model; keeps the number from wrapping */
    const size_t length = strlen(prefix);
    uint32_t layers = 0;
    for (size_t i = 0; i < checkpoint->tensor_count; i++) {
        const char *digit = checkpoint->tensors[i].name;
        if (strncmp(digit, prefix, length) != 0) continue;
        digit += length;
        if (*digit < '0' || *digit > '9') continue;
        uint32_t layer = 0;
        while (*digit >= '0' && *digit <= '9' && layer < MOST)
            layer = layer * 10 + (uint32_t)(*digit++ - '0');
        if (*digit == '.' && layer + 1 > layers) layers = layer + 1;
    }
    return layers;
}

/* ---- config against weights ---- */

vitc_status vit_checkpoint_disagree(const vit_checkpoint *checkpoint, const char *key,
                                    const char *value, const char *tensor, const vitc_log *log)
{
    char shape[128] = "";
    const vit_checkpoint_tensor *found = vit_checkpoint_find(checkpoint, tensor);
    if (found == NULL)
        return vitc_fail(log, VITC_ERR_MODEL, "%s: \"%s\" is %s, but the weights have no tensor %s",
                         checkpoint->config_name, key, value, tensor);
    vit_shape_format(shape, sizeof shape, found->tensor->shape, found->tensor->rank);
    return vitc_fail(log, VITC_ERR_MODEL,
                     "%s: \"%s\" is %s, but tensor %s has the shape %s: the config and the "
                     "weights do not belong together",
                     checkpoint->config_name, key, value, tensor, shape);
}

vitc_status vit_checkpoint_check_extent(const vit_checkpoint *checkpoint, const char *key,
                                        uint32_t value, const char *tensor, uint32_t i,
                                        size_t expected, const vitc_log *log)
{
    const vit_checkpoint_tensor *found = vit_checkpoint_find(checkpoint, tensor);
    if (found == NULL || i >= found->tensor->rank || found->tensor->shape[i] == expected)
        return VITC_OK;
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    return vit_checkpoint_disagree(checkpoint, key, text, tensor, log);
}

void vit_checkpoint_set_architecture(vit_config *config, const char *text)
{
    size_t size = strnlen(text, sizeof config->architecture - 1);
    if (text[size] != 0) /* not in the middle of a character */
        while (size > 0 && ((unsigned char)text[size] & 0xC0) == 0x80) size--;
    memcpy(config->architecture, text, size);
    config->architecture[size] = 0;
}

/* ---- labels ---- */

/* The class that a key such as "10" stands for; `classes` for anything else. */
static uint32_t class_of_key(const char *key, uint32_t classes)
{
    uint32_t index = 0;
    if (key[0] == 0) return classes;
    for (; *key != 0; key++) {
        if (*key < '0' || *key > '9' || index >= classes) return classes;
        index = index * 10 + (uint32_t)(*key - '0');
    }
    return index < classes ? index : classes;
}

static vitc_status set_label(vit_checkpoint *checkpoint, const vit_config_reader *reader,
                             const char *key, uint32_t index, const vitc_json *value)
{
    char number[24];
    const char *text = vitc_json_string(value, NULL);
    if (text == NULL && vitc_json_is_integer(value)) {
        snprintf(number, sizeof number, "%lld", (long long)vitc_json_integer(value, 0));
        text = number;
    }
    if (text == NULL) return vit_config_fail(reader, key, value, "strings as labels");
    char **label = &checkpoint->description.labels[index];
    if (*label != NULL)
        return vitc_fail(reader->log, VITC_ERR_MODEL, "%s: \"%s\" names class %u twice",
                         reader->name, key, index);
    return vit_checkpoint_copy(label, text, reader->log);
}

/* What an unlabelled model's classes are called too (vit_model_label). */
static vitc_status fill_gaps(vit_description *description, const vitc_log *log)
{
    for (uint32_t i = 0; i < description->label_count; i++) {
        char name[24];
        if (description->labels[i] != NULL) continue;
        snprintf(name, sizeof name, "class %u", i);
        VITC_TRY(vit_checkpoint_copy(&description->labels[i], name, log));
    }
    return VITC_OK;
}

vitc_status vit_checkpoint_read_labels(vit_checkpoint *checkpoint, const vitc_json *labels,
                                       const char *key, const char *head, const vitc_log *log)
{
    const vit_config_reader reader = {.name = checkpoint->config_name, .log = log};
    const uint32_t classes = checkpoint->config.classes;
    vit_description *description = &checkpoint->description;
    /* vit_params_create refuses it, with a message, and nothing is allocated for it before. */
    if (classes == 0 || vit_config_check(&checkpoint->config, NULL) != VITC_OK) return VITC_OK;
    if (!vitc_json_is_array(labels) && !vitc_json_is_object(labels))
        return vit_config_fail(&reader, key, labels,
                               "a list of labels, or an object from index to label");
    const size_t count = vitc_json_size(labels);
    const bool gaps = vitc_json_is_object(labels) && strcmp(key, "label_names") == 0;
    if (gaps ? count < 1 || count > classes : count != classes) {
        char text[48];
        snprintf(text, sizeof text, "%zu labels", count);
        return vit_checkpoint_disagree(checkpoint, key, text, head, log);
    }
    description->labels = calloc(classes, sizeof *description->labels);
    if (description->labels == NULL) return vitc_fail_memory(log, "labels");
    description->label_count = classes;
    if (vitc_json_is_array(labels)) {
        for (uint32_t i = 0; i < classes; i++)
            VITC_TRY(set_label(checkpoint, &reader, key, i, vitc_json_at(labels, i)));
        return VITC_OK;
    }
    for (void *it = vitc_json_first(labels); it != NULL; it = vitc_json_next(labels, it)) {
        const uint32_t index = class_of_key(vitc_json_key(it), classes);
        if (index == classes) {
            char shown[VITC_SHOWN_SIZE];
            return vitc_fail(log, VITC_ERR_MODEL,
                             "%s: \"%s\" has the key \"%s\", which is none of the %u classes",
                             reader.name, key, vitc_show(shown, vitc_json_key(it)), classes);
        }
        VITC_TRY(set_label(checkpoint, &reader, key, index, vitc_json_value(it)));
    }
    return VITC_OK; /* gaps are filled when the head is known to be there */
}

/* ---- every parameter's source ---- */

/* Names for one message: the first few, and how many there are. */
typedef struct name_list {
    char text[800];
    size_t used, shown, total;
} name_list;

static void list_add(name_list *list, const char *format, ...) VITC_PRINTF(2, 3);
static void list_add(name_list *list, const char *format, ...)
{
    enum { MOST = 8 };
    list->total++;
    if (list->shown == MOST || list->shown + 1 < list->total) return;
    char item[400];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(item, sizeof item, format, arguments);
    va_end(arguments);
    const size_t length = strlen(item) + 2;
    if (list->used + length >= sizeof list->text) return;
    list->used += (size_t)snprintf(list->text + list->used, sizeof list->text - list->used, "%s%s",
                                   list->shown > 0 ? "; " : "", item);
    list->shown++;
}

static void list_report(const name_list *list, const char *name, const char *what,
                        const vitc_log *log)
{
    char more[40] = "";
    if (list->total == 0) return;
    if (list->shown < list->total)
        snprintf(more, sizeof more, " and %zu more", list->total - list->shown);
    vitc_log_write(log, VITC_LOG_ERROR, "%s: %zu tensor%s %s: %s%s", name, list->total,
                   list->total == 1 ? "" : "s", what, list->text, more);
}

/* Tensors that checkpoints carry and no classifier needs. */
static bool is_ignorable(const char *name)
{
    static const char *const endings[] = {
        "mask_token",          "embeddings.position_ids", "relative_position_index",
        "num_batches_tracked", "pooler.dense.weight",     "pooler.dense.bias"};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t ending = strlen(endings[i]);
        if (length < ending || strcmp(name + length - ending, endings[i]) != 0) continue;
        if (length == ending || name[length - ending - 1] == '.') return true;
    }
    return false;
}

static bool is_weight_type(vit_tensor_type type)
{
    return type == VIT_TENSOR_F32 || type == VIT_TENSOR_F16 || type == VIT_TENSOR_BF16 ||
           type == VIT_TENSOR_F64;
}

typedef struct match_report {
    name_list missing, mis_shaped, unexpected;
    const vit_checkpoint_tensor *mis_typed, *scale_mis_typed;
    const vit_checkpoint_tensor *quantized, *not_quantized; /* one of the encoder's, of each kind */
} match_report;

/* vitc's own files may hold the encoder's matrices in int8. */
static bool may_be_quantized(const vit_checkpoint *checkpoint, const vit_param *param)
{
    return checkpoint->dialect == &vit_dialect_vitc && vit_param_in_encoder(param->id);
}

static void match_scale(vit_checkpoint *checkpoint, match_report *report, size_t index,
                        const char *weight)
{
    const size_t rows = checkpoint->table.params[index].shape[0];
    char name[VIT_SOURCE_NAME_SIZE + sizeof VIT_SCALE_SUFFIX], shape[128];
    snprintf(name, sizeof name, "%s" VIT_SCALE_SUFFIX, weight);
    const vit_checkpoint_tensor *found = vit_checkpoint_find(checkpoint, name);
    checkpoint->sources[index].scale = found;
    if (found == NULL) {
        list_add(&report->missing, "%s [%zu]", name, rows);
        return;
    }
    checkpoint->tensors[found - checkpoint->tensors].used = true;
    if (found->tensor->rank != 1 || found->tensor->shape[0] != rows) {
        vit_shape_format(shape, sizeof shape, found->tensor->shape, found->tensor->rank);
        list_add(&report->mis_shaped, "%s is %s, expected [%zu]", name, shape, rows);
    } else if (found->tensor->type != VIT_TENSOR_F32 && report->scale_mis_typed == NULL) {
        report->scale_mis_typed = found;
    }
}

static void match_part(vit_checkpoint *checkpoint, match_report *report, size_t index,
                       const vit_checkpoint_names *names, uint32_t part)
{
    const vit_param *param = &checkpoint->table.params[index];
    const char *name = names->names[part];
    size_t expected[VIT_PARAM_RANK_MAX];
    memcpy(expected, param->shape, sizeof expected);
    expected[0] /= names->count;
    char shape[128], wanted[128];
    vit_shape_format(wanted, sizeof wanted, expected, param->rank);

    const vit_checkpoint_tensor *found = vit_checkpoint_find(checkpoint, name);
    checkpoint->sources[index].parts[part] = found;
    if (found == NULL) {
        list_add(&report->missing, "%s %s", name, wanted);
        return;
    }
    checkpoint->tensors[found - checkpoint->tensors].used = true;
    const vit_tensor *tensor = found->tensor;
    const bool quantized = tensor->type == VIT_TENSOR_I8 && may_be_quantized(checkpoint, param);
    if (quantized) match_scale(checkpoint, report, index, name);
    if (quantized)
        report->quantized = found;
    else if (vit_param_in_encoder(param->id))
        report->not_quantized = found;
    if (tensor->rank != param->rank ||
        memcmp(tensor->shape, expected, param->rank * sizeof *expected) != 0) {
        vit_shape_format(shape, sizeof shape, tensor->shape, tensor->rank);
        list_add(&report->mis_shaped, "%s is %s, expected %s", name, shape, wanted);
    } else if (!quantized && !is_weight_type(tensor->type) && report->mis_typed == NULL) {
        report->mis_typed = found;
    }
}

static vitc_status match_tensors(vit_checkpoint *checkpoint, const vitc_log *log)
{
    match_report report = {0};
    vit_checkpoint_names names;
    checkpoint->sources = calloc(checkpoint->table.count, sizeof *checkpoint->sources);
    if (checkpoint->sources == NULL) return vitc_fail_memory(log, "a table of tensors");
    for (size_t i = 0; i < checkpoint->table.count; i++) {
        checkpoint->dialect->name(&names, checkpoint, &checkpoint->table.params[i]);
        checkpoint->sources[i].count = names.count;
        for (uint32_t part = 0; part < names.count; part++)
            match_part(checkpoint, &report, i, &names, part);
    }
    for (size_t i = 0; i < checkpoint->tensor_count; i++) {
        const vit_checkpoint_tensor *t = &checkpoint->tensors[i];
        char shown[VITC_SHOWN_SIZE], shape[128];
        if (t->used || is_ignorable(t->name)) continue;
        vit_shape_format(shape, sizeof shape, t->tensor->shape, t->tensor->rank);
        list_add(&report.unexpected, "%s %s", vitc_show(shown, t->name), shape);
    }
    list_report(&report.missing, checkpoint->name, "missing", log);
    list_report(&report.mis_shaped, checkpoint->name, "with the wrong shape", log);
    list_report(&report.unexpected, checkpoint->name, "that this kind of model has no place for",
                log);
    if (report.missing.total + report.mis_shaped.total + report.unexpected.total > 0)
        return VITC_ERR_MODEL;
    if (report.mis_typed != NULL)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: tensor %s is %s; vitc reads weights as F32, F16, BF16 or F64",
                         checkpoint->name, report.mis_typed->name,
                         vit_tensor_type_string(report.mis_typed->tensor->type));
    if (report.scale_mis_typed != NULL)
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: tensor %s is %s; the scales of int8 weights are F32",
                         checkpoint->name, report.scale_mis_typed->name,
                         vit_tensor_type_string(report.scale_mis_typed->tensor->type));
    if (report.quantized != NULL && report.not_quantized != NULL)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "%s: tensor %s is I8 and %s is %s: a quantized file holds all of the "
                         "encoder's matrices as I8",
                         checkpoint->name, report.quantized->name, report.not_quantized->name,
                         vit_tensor_type_string(report.not_quantized->tensor->type));
    return VITC_OK;
}

/* The type of the matrices, which is what matters: vitc's own BF16 files keep the rest in F32, and
 * its I8 files all but the encoder's. */
static vitc_status describe_dtype(vit_checkpoint *checkpoint, const vitc_log *log)
{
    const char *dtype = NULL;
    for (size_t i = 0; i < checkpoint->table.count; i++) {
        if (checkpoint->table.params[i].kind != VIT_PARAM_MATRIX) continue;
        if (vit_checkpoint_is_quantized(checkpoint, i)) {
            dtype = vit_tensor_type_string(VIT_TENSOR_I8);
            break;
        }
        for (uint32_t part = 0; part < checkpoint->sources[i].count; part++) {
            const vit_tensor *tensor = checkpoint->sources[i].parts[part]->tensor;
            const char *found = vit_tensor_type_string(tensor->type);
            dtype = dtype == NULL || strcmp(dtype, found) == 0 ? found : "mixed";
            if (strcmp(dtype, found) != 0) break;
        }
    }
    return vit_checkpoint_copy(&checkpoint->description.dtype, dtype != NULL ? dtype : "mixed",
                               log);
}

/* ---- finishing ---- */

/* Messages of lower parts, which do not know the file, with its name before them. */
typedef struct named_log {
    const vitc_log *log;
    const char *name;
} named_log;

static void write_named(void *user, vitc_log_level level, const char *message)
{
    const named_log *named = user;
    vitc_log_write(named->log, level, "%s: %s", named->name, message);
}

static vitc_status read_preprocess(vit_checkpoint *checkpoint, const char *text, size_t size,
                                   const char *file, const char *model_type, const vitc_log *log)
{
    char *name = file != NULL ? vitc_path_join(checkpoint->name, file) : strdup(checkpoint->name);
    if (name == NULL) return vitc_fail_memory(log, "a file name");
    const vitc_status status =
        patches_spec_parse(&checkpoint->description.preprocess, text, size, name, model_type, log);
    free(name);
    return status;
}

/* transformers prefers the image processor inside processor_config.json, where there is one. */
static vitc_status read_hf_preprocess(vit_checkpoint *checkpoint, const vit_checkpoint_texts *texts,
                                      const char *model_type, const vitc_log *log)
{
    if (texts->processor != NULL) {
        vitc_json *root = NULL;
        char *name = vitc_path_join(checkpoint->name, "processor_config.json");
        if (name == NULL) return vitc_fail_memory(log, "a file name");
        const vitc_status parsed =
            vitc_json_parse(&root, texts->processor, texts->processor_size, name, log);
        free(name);
        VITC_TRY(parsed);
        const vitc_json *inner = vit_config_present(root, "image_processor");
        if (inner != NULL) {
            char *text = vitc_json_dump(inner, 0, 17);
            vitc_json_free(root);
            if (text == NULL) return vitc_fail_memory(log, "a preprocessing spec");
            const vitc_status status = read_preprocess(checkpoint, text, strlen(text),
                                                       "processor_config.json", model_type, log);
            free(text);
            return status;
        }
        vitc_json_free(root);
    }
    if (texts->preprocessor != NULL)
        return read_preprocess(checkpoint, texts->preprocessor, texts->preprocessor_size,
                               "preprocessor_config.json", model_type, log);
    return vitc_fail(log, VITC_ERR_PREPROCESS,
                     "%s: there is no preprocessor_config.json, so how the model expects its "
                     "images is unknown; give a preprocessing spec (--preprocess)",
                     checkpoint->name);
}

static vitc_status bind(vit_checkpoint *checkpoint, const vitc_json *config, const vitc_log *log)
{
    named_log named = {.log = log, .name = checkpoint->config_name};
    const vitc_log wrapped = {.write = write_named, .user = &named};
    checkpoint->description.source = checkpoint->dialect->source;
    VITC_TRY(checkpoint->dialect->configure(checkpoint, config, log));
    VITC_TRY(vit_params_create(&checkpoint->table, &checkpoint->config, &wrapped));
    VITC_TRY(match_tensors(checkpoint, log));
    VITC_TRY(fill_gaps(&checkpoint->description, log));
    return describe_dtype(checkpoint, log);
}

static vitc_status fail_multiple(const vit_checkpoint *checkpoint, uint32_t height, uint32_t width,
                                 const vitc_log *log)
{
    const uint32_t patch = checkpoint->config.patch;
    const uint32_t side = width % patch != 0 ? width : height;
    const uint32_t below = side - side % patch;
    return vitc_fail(log, VITC_ERR_ARGUMENT,
                     "%s: images of %ux%u cannot be cut into patches of %ux%u: a side of %u is "
                     "none of their multiples, as %u and %u are",
                     checkpoint->name, height, width, patch, patch, side,
                     below != 0 ? below : patch, below != 0 ? below + patch : 2 * patch);
}

/* A text of JSON becomes that of `root`, which is freed. */
static vitc_status replace_text(char **text, vitc_json *root, const vitc_log *log)
{
    char *made = vitc_json_dump(root, 0, 17);
    vitc_json_free(root);
    if (made == NULL) return vitc_fail_memory(log, "a model's description");
    free(*text);
    *text = made;
    return VITC_OK;
}

/* Takes what vitc train and people write of accuracy out of the card. */
static vitc_status forget_accuracy(vit_checkpoint *checkpoint, const vitc_log *log)
{
    static const char *const measured[] = {"validation_accuracy", "validation_loss"};
    vit_description *description = &checkpoint->description;
    vitc_json *card = NULL;
    if (description->card == NULL) return VITC_OK;
    VITC_TRY(vitc_json_parse(&card, description->card, strlen(description->card), checkpoint->name,
                             log));
    bool forgotten = vitc_json_remove(card, NULL, "accuracy");
    for (size_t i = 0; i < sizeof measured / sizeof *measured; i++)
        if (vitc_json_remove(card, "results", measured[i])) forgotten = true;
    description->forgot_accuracy = forgotten;
    if (forgotten) return replace_text(&description->card, card, log);
    vitc_json_free(card);
    return VITC_OK;
}

/* The note stays true of the format, but what it costs is not measured. */
static vitc_status forget_loss(vit_checkpoint *checkpoint, const vitc_log *log)
{
    vit_description *description = &checkpoint->description;
    vitc_json *note = NULL;
    if (description->quantization == NULL) return VITC_OK;
    VITC_TRY(vitc_json_parse(&note, description->quantization, strlen(description->quantization),
                             checkpoint->name, log));
    if (!vitc_json_is_object(vitc_json_get(note, "measurement"))) {
        vitc_json_free(note);
        return VITC_OK;
    }
    description->forgot_accuracy = true;
    if (!vitc_json_set_string(note, "measurement", "unmeasured")) {
        vitc_json_free(note);
        return vitc_fail_memory(log, "a model's description");
    }
    return replace_text(&description->quantization, note, log);
}

/* With another grid of patches the model is another one: what was measured of it is left out. */
static vitc_status forget_measurements(vit_checkpoint *checkpoint, const vitc_log *log)
{
    vit_description *description = &checkpoint->description;
    VITC_TRY(forget_accuracy(checkpoint, log));
    VITC_TRY(forget_loss(checkpoint, log));
    description->forgot_temperature =
        checkpoint->config.temperature != 1 || description->calibration != NULL;
    checkpoint->config.temperature = 1;
    free(description->calibration);
    description->calibration = NULL;
    return VITC_OK;
}

/* Gives configuration, table and preprocessing the image size and the crop that were asked for. */
static vitc_status apply_size(vit_checkpoint *checkpoint, const vit_load_options *options,
                              const vitc_log *log)
{
    named_log named = {.log = log, .name = checkpoint->name};
    const vitc_log wrapped = {.write = write_named, .user = &named};
    vit_config *config = &checkpoint->config;
    patches_spec *spec = &checkpoint->description.preprocess;
    const uint32_t width = options->image_width != 0 ? options->image_width : config->image_width;
    const uint32_t height =
        options->image_height != 0 ? options->image_height : config->image_height;
    if (width % config->patch != 0 || height % config->patch != 0)
        return fail_multiple(checkpoint, height, width, log);
    if (options->position_filter != PATCHES_POSITION_FILTER_DEFAULT)
        config->position_filter = options->position_filter;
    if (width != config->image_width || height != config->image_height)
        VITC_TRY(forget_measurements(checkpoint, log));
    config->image_width = width;
    config->image_height = height;
    vit_params_free(&checkpoint->table);
    VITC_TRY(vit_params_create(&checkpoint->table, config, &wrapped));
    return patches_spec_with_size(spec, spec, width, height, options->crop, &wrapped);
}

/* The last step of opening: everything is known, and the preprocessing fits. */
static vitc_status settle_size(vit_checkpoint *checkpoint, const vit_load_options *options,
                               const vitc_log *log)
{
    checkpoint->stored = checkpoint->config;
    checkpoint->description.stored_height = checkpoint->config.image_height;
    checkpoint->description.stored_width = checkpoint->config.image_width;
    if (options != NULL &&
        (options->image_width != 0 || options->image_height != 0 || options->crop != 0))
        VITC_TRY(apply_size(checkpoint, options, log));
    return vit_preprocess_check(&checkpoint->config, &checkpoint->description.preprocess,
                                checkpoint->name, log);
}

static vitc_status choose_dialect(vit_checkpoint *checkpoint, const char **model_type,
                                  const vitc_json *config, const vitc_log *log)
{
    const vit_config_reader reader = {.name = checkpoint->config_name, .log = log};
    const char *architecture = NULL;
    *model_type = NULL;
    if (!vitc_json_is_object(config))
        return vitc_fail(log, VITC_ERR_MODEL, "%s: a model's config is a JSON object",
                         checkpoint->config_name);
    VITC_TRY(vit_config_read_string(model_type, &reader, config, "model_type"));
    VITC_TRY(vit_config_read_string(&architecture, &reader, config, "architecture"));
    const bool wrapper = *model_type != NULL && strcmp(*model_type, "timm_wrapper") == 0;
    if (wrapper || (*model_type == NULL && architecture != NULL))
        checkpoint->dialect = &vit_dialect_timm;
    else if (*model_type != NULL)
        checkpoint->dialect = &vit_dialect_hf;
    else
        return vitc_fail(log, VITC_ERR_MODEL,
                         "%s: has neither \"model_type\", as Hugging Face models have, nor "
                         "\"architecture\", as timm's have",
                         checkpoint->config_name);
    return VITC_OK;
}

vitc_status vit_checkpoint_finish(vit_checkpoint *checkpoint, const vit_checkpoint_texts *texts,
                                  const vit_load_options *options, const vitc_log *log)
{
    vitc_json *config = NULL;
    const char *model_type;
    vitc_status status =
        vitc_json_parse(&config, texts->config, texts->config_size, checkpoint->config_name, log);
    if (status == VITC_OK) status = choose_dialect(checkpoint, &model_type, config, log);
    if (status == VITC_OK) status = bind(checkpoint, config, log);
    if (status != VITC_OK) goto cleanup;
    if (options != NULL && options->preprocess != NULL)
        status = patches_spec_parse(&checkpoint->description.preprocess, options->preprocess,
                                    options->preprocess_size, NULL, model_type, log);
    else if (checkpoint->dialect == &vit_dialect_timm)
        status = read_preprocess(checkpoint, texts->config, texts->config_size, "config.json", NULL,
                                 log);
    else
        status = read_hf_preprocess(checkpoint, texts, model_type, log);
    if (status == VITC_OK) status = settle_size(checkpoint, options, log);

cleanup:
    vitc_json_free(config);
    return status;
}

vitc_status vit_checkpoint_finish_vitc(vit_checkpoint *checkpoint, const vit_load_options *options,
                                       const vitc_log *log)
{
    static const char version[] = "1";
    const vit_safetensors *contents = &checkpoint->files[0].contents;
    const char *format = vit_safetensors_metadata(contents, "vitc.format");
    const char *text = vit_safetensors_metadata(contents, "vitc.config");
    const char *preprocess = vit_safetensors_metadata(contents, "vitc.preprocess");
    if (format == NULL)
        return vitc_fail(log, VITC_ERR_MODEL,
                         "%s: safetensors weights alone do not say what model they are of; give "
                         "the folder that holds them and config.json (or a file that `vitc "
                         "convert` wrote)",
                         checkpoint->name);
    if (strcmp(format, version) != 0) {
        char shown[VITC_SHOWN_SIZE];
        return vitc_fail(log, VITC_ERR_UNSUPPORTED,
                         "%s: vitc file of format \"%s\"; this vitc (%s) reads format %s: use a "
                         "newer vitc, or convert the original checkpoint again",
                         checkpoint->name, vitc_show(shown, format), vitc_version(), version);
    }
    if (text == NULL)
        return vitc_fail(log, VITC_ERR_MODEL, "%s: a vitc file without vitc.config",
                         checkpoint->name);
    vitc_json *config = NULL;
    checkpoint->dialect = &vit_dialect_vitc;
    vitc_status status = vitc_json_parse(&config, text, strlen(text), checkpoint->config_name, log);
    if (status == VITC_OK) status = bind(checkpoint, config, log);
    vitc_json_free(config);
    if (status != VITC_OK) return status;

    if (options != NULL && options->preprocess != NULL)
        status = patches_spec_parse(&checkpoint->description.preprocess, options->preprocess,
                                    options->preprocess_size, NULL, NULL, log);
    else if (preprocess != NULL)
        status = read_preprocess(checkpoint, preprocess, strlen(preprocess), NULL, NULL, log);
    else
        status = vitc_fail(log, VITC_ERR_PREPROCESS,
                           "%s: a vitc file without vitc.preprocess; give a preprocessing spec "
                           "(--preprocess)",
                           checkpoint->name);
    if (status != VITC_OK) return status;
    return settle_size(checkpoint, options, log);
}

/* ---- values ---- */

_Static_assert(VIT_TENSOR_RANK_MAX <= VIT_INDEX_RANK_MAX, "any tensor's elements have a place");

static vitc_status check_finite(const vit_checkpoint *checkpoint, const vit_checkpoint_tensor *part,
                                const float *values, const vitc_log *log)
{
    const size_t i = vit_floats_first_nonfinite(values, part->tensor->count);
    if (i == part->tensor->count) return VITC_OK;
    char place[160];
    vit_index_format(place, sizeof place, part->tensor->shape, part->tensor->rank, i);
    return vitc_fail(log, VITC_ERR_MODEL,
                     "%s: tensor %s holds %s at %s: the weights are damaged, or training diverged",
                     checkpoint->name, part->name,
                     isnan(values[i])                       ? "a NaN"
                     : part->tensor->type == VIT_TENSOR_F64 ? "an infinity, or a number beyond "
                                                              "float32,"
                                                            : "an infinity",
                     place);
}

/* A parameter as its tensors have it. */
static vitc_status read_stored(const vit_checkpoint *checkpoint,
                               const vit_checkpoint_source *source, float *dst, const vitc_log *log)
{
    for (uint32_t part = 0; part < source->count; part++) {
        const vit_tensor *tensor = source->parts[part]->tensor;
        if (!vit_tensor_floats(dst, tensor))
            return vitc_fail(log, VITC_ERR_INTERNAL, "%s: tensor %s was matched as %s",
                             checkpoint->name, source->parts[part]->name,
                             vit_tensor_type_string(tensor->type));
        if (!checkpoint->allow_nonfinite)
            VITC_TRY(check_finite(checkpoint, source->parts[part], dst, log));
        dst += tensor->count;
    }
    return VITC_OK;
}

/* Learned positions, from the grid that they are stored for to that of the configuration. */
static vitc_status resize_position(const vit_checkpoint *checkpoint, const vit_param *param,
                                   float *dst, const float *values, const vitc_log *log)
{
    const patches_position_filter filter = checkpoint->config.position_filter;
    const patches_position wanted = vit_config_position(&checkpoint->config);
    patches_position stored = vit_config_position(&checkpoint->stored);
    const patches_relative relative = vit_config_relative(&checkpoint->stored);
    stored.table = values;
    switch (param->id) {
    case VIT_POS_ROWS:
    case VIT_BLOCK_POS_ROWS:
        return patches_position_resize_axis(dst, wanted.grid_height, values, stored.grid_height,
                                            (uint32_t)param->shape[1], filter, log);
    case VIT_POS_COLUMNS:
    case VIT_BLOCK_POS_COLUMNS:
        return patches_position_resize_axis(dst, wanted.grid_width, values, stored.grid_width,
                                            (uint32_t)param->shape[1], filter, log);
    case VIT_RELATIVE_TABLE:
    case VIT_BLOCK_RELATIVE_TABLE:
        return patches_relative_resize(dst, wanted.grid_height, wanted.grid_width, values,
                                       &relative, filter, log);
    default:
        return patches_position_resize(dst, wanted.grid_height, wanted.grid_width, &stored, filter,
                                       log);
    }
}

static vitc_status read_position(const vit_checkpoint *checkpoint, size_t index, float *dst,
                                 const vitc_log *log)
{
    const vit_checkpoint_source *source = &checkpoint->sources[index];
    /* The tensor lies in a file, so that its size is none that wraps. */
    float *values = malloc(source->parts[0]->tensor->count * sizeof *values);
    if (values == NULL) return vitc_fail_memory(log, "the position table");
    vitc_status status = read_stored(checkpoint, source, values, log);
    if (status == VITC_OK)
        status = resize_position(checkpoint, &checkpoint->table.params[index], dst, values, log);
    free(values);
    return status;
}

vitc_status vit_checkpoint_read(const vit_checkpoint *checkpoint, size_t param, float *dst,
                                const vitc_log *log)
{
    if (param >= checkpoint->table.count)
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%s: there is no parameter %zu", checkpoint->name,
                         param);
    if (vit_param_in_position(checkpoint->table.params[param].id))
        return read_position(checkpoint, param, dst, log);
    return read_stored(checkpoint, &checkpoint->sources[param], dst, log);
}

bool vit_checkpoint_is_quantized(const vit_checkpoint *checkpoint, size_t param)
{
    return checkpoint->sources[param].scale != NULL;
}

vitc_status vit_checkpoint_read_quantized(const vit_checkpoint *checkpoint, size_t param,
                                          const int8_t **q, float *scale, const vitc_log *log)
{
    if (param >= checkpoint->table.count || !vit_checkpoint_is_quantized(checkpoint, param))
        return vitc_fail(log, VITC_ERR_ARGUMENT, "%s: parameter %zu is not quantized",
                         checkpoint->name, param);
    const vit_checkpoint_tensor *part = checkpoint->sources[param].parts[0];
    const vit_checkpoint_tensor *scales = checkpoint->sources[param].scale;
    const vit_tensor *tensor = part->tensor;
    const int8_t *numbers = (const int8_t *)tensor->data;
    char place[160];
    bool good = true; /* without a branch, so that it vectorizes */
    for (size_t i = 0; i < tensor->count; i++) good &= numbers[i] != INT8_MIN;
    for (size_t i = 0; !good && i < tensor->count; i++) {
        if (numbers[i] != INT8_MIN) continue;
        vit_index_format(place, sizeof place, tensor->shape, tensor->rank, i);
        return vitc_fail(log, VITC_ERR_MODEL,
                         "%s: tensor %s holds -128 at %s; quantized weights are -127 to 127",
                         checkpoint->name, part->name, place);
    }
    vit_floats_from_f32(scale, scales->tensor->data, scales->tensor->count);
    for (size_t i = 0; i < scales->tensor->count; i++)
        if (!isfinite(scale[i]) || scale[i] < 0) {
            vit_index_format(place, sizeof place, scales->tensor->shape, scales->tensor->rank, i);
            return vitc_fail(log, VITC_ERR_MODEL,
                             "%s: tensor %s holds %g at %s; a scale is finite and not negative",
                             checkpoint->name, scales->name, (double)scale[i], place);
        }
    *q = numbers;
    return VITC_OK;
}

size_t vit_checkpoint_largest(const vit_checkpoint *checkpoint)
{
    size_t largest = 0;
    for (size_t i = 0; i < checkpoint->table.count; i++)
        if (checkpoint->table.params[i].count > largest)
            largest = checkpoint->table.params[i].count;
    return largest;
}

vitc_status vit_checkpoint_buffer(float **buffer, const vit_checkpoint *checkpoint,
                                  const vitc_log *log)
{
    size_t size;
    *buffer = NULL;
    if (vitc_size_mul(vit_checkpoint_largest(checkpoint), sizeof **buffer, &size))
        *buffer = malloc(size);
    return *buffer != NULL ? VITC_OK : vitc_fail_memory(log, "a tensor");
}
