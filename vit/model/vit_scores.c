#include <math.h>

#include "vit.h"

/* In double: K exponentials cost nothing beside the forward pass, and the scores are what people
 * read. */
static void softmax(float *scores, const float *logits, uint32_t count, double temperature)
{
    double highest = (double)logits[0], sum = 0;
    for (uint32_t i = 1; i < count; i++)
        if ((double)logits[i] > highest) highest = (double)logits[i];
    for (uint32_t i = 0; i < count; i++) sum += exp(((double)logits[i] - highest) / temperature);
    for (uint32_t i = 0; i < count; i++)
        scores[i] = (float)(exp(((double)logits[i] - highest) / temperature) / sum);
}

void vit_scores_compute(const vit_config *config, float *scores, const float *logits)
{
    const double temperature = config->temperature > 0 ? (double)config->temperature : 1;
    switch (config->scores) {
    case VIT_SCORES_SOFTMAX:
        softmax(scores, logits, config->classes, temperature);
        return;
    case VIT_SCORES_SIGMOID:
        for (uint32_t i = 0; i < config->classes; i++)
            scores[i] = (float)(1 / (1 + exp(-(double)logits[i] / temperature)));
        return;
    case VIT_SCORES_RAW:
        for (uint32_t i = 0; i < config->classes; i++) scores[i] = logits[i];
        return;
    }
}

void vit_top_k(uint32_t *indices, uint32_t k, const float *scores, uint32_t count)
{
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = found;
        while (at > 0 && scores[i] > scores[indices[at - 1]]) at--;
        if (at >= k) continue;
        if (found < k) found++;
        for (uint32_t j = found - 1; j > at; j--) indices[j] = indices[j - 1];
        indices[at] = i;
    }
}
