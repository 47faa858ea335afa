#include "vit_checkpoint_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "vit_safetensors.h"
#include "vitc_log.h"

enum { COUNT_MAX = 1 << 30 };

const vitc_json *vit_config_present(const vitc_json *object, const char *key)
{
    const vitc_json *value = vitc_json_get(object, key);
    return vitc_json_is_null(value) ? NULL : value;
}

vitc_status vit_config_fail(const vit_config_reader *reader, const char *key,
                            const vitc_json *value, const char *expected)
{
    char shown[VITC_SHOWN_SIZE + 2];
    vitc_json_describe(shown, sizeof shown, value);
    return vitc_fail(reader->log, VITC_ERR_MODEL, "%s: \"%s\" is %s; vitc needs %s", reader->name,
                     key, shown, expected);
}

vitc_status vit_config_read_count(uint32_t *value, const vit_config_reader *reader,
                                  const vitc_json *object, const char *key, uint32_t minimum)
{
    const vitc_json *found = vit_config_present(object, key);
    if (found == NULL) return VITC_OK;
    const int64_t count = vitc_json_integer(found, -1);
    if (!vitc_json_is_integer(found) || count < minimum || count > COUNT_MAX) {
        char expected[64];
        snprintf(expected, sizeof expected, "a whole number from %u to %d", minimum, COUNT_MAX);
        return vit_config_fail(reader, key, found, expected);
    }
    *value = (uint32_t)count;
    return VITC_OK;
}

vitc_status vit_config_read_pair(uint32_t *height, uint32_t *width, const vit_config_reader *reader,
                                 const vitc_json *object, const char *key)
{
    const vitc_json *found = vit_config_present(object, key);
    if (found == NULL) return VITC_OK;
    const bool list = vitc_json_is_array(found);
    const vitc_json *sides[2] = {list ? vitc_json_at(found, 0) : found,
                                 list ? vitc_json_at(found, 1) : found};
    if (list && vitc_json_size(found) != 2)
        return vit_config_fail(reader, key, found,
                               "a whole number, or a list of two: height, width");
    for (int i = 0; i < 2; i++) {
        const int64_t side = vitc_json_integer(sides[i], 0);
        if (side < 1 || side > COUNT_MAX)
            return vit_config_fail(reader, key, sides[i],
                                   "a whole number of at least 1, or a list of two: height, width");
    }
    *height = (uint32_t)vitc_json_integer(sides[0], 0);
    *width = (uint32_t)vitc_json_integer(sides[1], 0);
    return VITC_OK;
}

vitc_status vit_config_read_number(double *value, const vit_config_reader *reader,
                                   const vitc_json *object, const char *key)
{
    const vitc_json *found = vit_config_present(object, key);
    if (found == NULL) return VITC_OK;
    if (!vitc_json_is_number(found)) return vit_config_fail(reader, key, found, "a number");
    const double number = vitc_json_number(found, 0);
    if (!(fabs(number) < 0x1.ffffffp127)) /* less rounds to a finite float */
        return vit_config_fail(reader, key, found, "a number that a 32-bit float can hold");
    *value = number;
    return VITC_OK;
}

vitc_status vit_config_read_flag(bool *value, const vit_config_reader *reader,
                                 const vitc_json *object, const char *key)
{
    const vitc_json *found = vit_config_present(object, key);
    if (found == NULL) return VITC_OK;
    if (!vitc_json_is_bool(found)) return vit_config_fail(reader, key, found, "true or false");
    *value = vitc_json_bool(found, false);
    return VITC_OK;
}

vitc_status vit_config_read_string(const char **value, const vit_config_reader *reader,
                                   const vitc_json *object, const char *key)
{
    const vitc_json *found = vit_config_present(object, key);
    if (found == NULL) return VITC_OK;
    if (!vitc_json_is_string(found)) return vit_config_fail(reader, key, found, "a string");
    *value = vitc_json_string(found, "");
    return VITC_OK;
}

vitc_status vit_config_read_scores(vit_scores *scores, const vit_config_reader *reader,
                                   const vitc_json *config, uint32_t classes)
{
    const char *type = "";
    char shown[VITC_SHOWN_SIZE];
    VITC_TRY(vit_config_read_string(&type, reader, config, "problem_type"));
    /* transformers' image-classification pipeline: one output is a yes or no. */
    if (strcmp(type, "regression") == 0)
        *scores = VIT_SCORES_RAW;
    else if (strcmp(type, "multi_label_classification") == 0 || classes == 1)
        *scores = VIT_SCORES_SIGMOID;
    else if (strcmp(type, "single_label_classification") == 0 || type[0] == 0)
        *scores = VIT_SCORES_SOFTMAX;
    else
        return vitc_fail(reader->log, VITC_ERR_UNSUPPORTED,
                         "%s: \"problem_type\" is \"%s\"; vitc has single_label_classification, "
                         "multi_label_classification and regression",
                         reader->name, vitc_show(shown, type));
    return VITC_OK;
}
