/* PatchDropout (arXiv 2208.07220): of each image some patches only, drawn anew in every pass, are
 * embedded and go through the blocks. Each keeps its position. */
#include <string.h>

#include "vit_train_layout.h"

bool vit_train_keeps_all(const vit_trainer *t)
{
    return t->patch_count == vit_config_patches(&t->config);
}

static const uint32_t *chosen_of(const vit_trainer *t, uint32_t b)
{
    return t->chosen + (size_t)(t->first + b) * t->patch_count;
}

/* One after the other is asked, and taken with the chance that makes all choices equally likely:
 * what is still wanted among what is still there. */
void vit_train_choose_patches(vit_trainer *t, uint32_t batch)
{
    if (vit_train_keeps_all(t)) return;
    const uint32_t patches = vit_config_patches(&t->config);
#pragma omp for schedule(static)
    for (uint32_t b = 0; b < batch; b++) {
        uint32_t *chosen = t->chosen + (size_t)b * t->patch_count, taken = 0;
        vitc_random stream =
            vit_train_drop_stream(t, VITC_RANDOM_DROP_PATCH, (train_place){0}, b, 0);
        for (uint32_t i = 0; i < patches; i++)
            if (vitc_random_below(&stream, patches - i) < t->patch_count - taken)
                chosen[taken++] = i;
    }
}

const float *vit_train_patch_rows(const vit_trainer *t, const float *patches)
{
    return vit_train_keeps_all(t) ? patches : t->kept_rows;
}

const float *vit_train_gather_patches(vit_trainer *t, const float *patches, uint32_t images)
{
    if (vit_train_keeps_all(t)) return patches;
    const size_t all = vit_config_patches(&t->config), size = t->patch_embedding.forward.in;
    const size_t kept = t->patch_count;
#pragma omp for schedule(static)
    for (size_t i = 0; i < images * kept; i++) {
        const size_t b = i / kept, patch = chosen_of(t, (uint32_t)b)[i % kept];
        memcpy(t->kept_rows + i * size, patches + (b * all + patch) * size, size * sizeof *patches);
    }
    return t->kept_rows;
}

uint32_t vit_train_token_number(const vit_trainer *t, uint32_t b, size_t i)
{
    const uint32_t prefix = vit_config_prefix_tokens(&t->config);
    if (i < prefix || vit_train_keeps_all(t)) return (uint32_t)i;
    return prefix + chosen_of(t, b)[i - prefix];
}

size_t vit_train_find_token(const vit_trainer *t, uint32_t b, uint32_t number)
{
    const uint32_t prefix = vit_config_prefix_tokens(&t->config);
    if (number < prefix || vit_train_keeps_all(t)) return number;
    const uint32_t *chosen = chosen_of(t, b), patch = number - prefix;
    size_t from = 0, to = t->patch_count;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        if (chosen[middle] < patch)
            from = middle + 1;
        else
            to = middle;
    }
    return from < t->patch_count && chosen[from] == patch ? prefix + from : SIZE_MAX;
}
