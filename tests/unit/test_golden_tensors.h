/* test_golden_tensors.h - tensors of golden data, which Python wrote as safetensors. */
#ifndef TEST_GOLDEN_TENSORS_H
#define TEST_GOLDEN_TENSORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "vit_safetensors.h"

static inline void golden_log_line(void *user, vitc_log_level level, const char *message)
{
    (void)user;
    (void)level;
    fprintf(stderr, "log: %s\n", message);
}

/* The float32 tensor `name` of a safetensors file, copied; *count elements. Free it with free(). */
static inline float *golden_read_tensor(const char *path, const char *name, size_t *count)
{
    const vitc_log log = {golden_log_line, NULL};
    vitc_file file;
    vit_safetensors contents;
    *count = 0;
    assert_int_equal(vitc_file_map(&file, path, &log), VITC_OK);
    assert_int_equal(vit_safetensors_open(&contents, file.data, file.size, path, &log), VITC_OK);
    const vit_tensor *tensor = vit_safetensors_find(&contents, name);
    if (tensor == NULL) {
        fail_msg("%s has no tensor %s", path, name);
        return NULL;
    }
    assert_int_equal(tensor->type, VIT_TENSOR_F32);
    *count = tensor->count;
    float *values = malloc(*count * sizeof *values);
    assert_non_null(values);
    assert_true(vit_tensor_floats(values, tensor));
    vit_safetensors_close(&contents);
    vitc_file_unmap(&file);
    return values;
}

#endif
