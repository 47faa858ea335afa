#include "vit_train_layout.h"
#include "vitc_random.h"

static void fill(float *values, size_t count, float value)
{
    for (size_t i = 0; i < count; i++) values[i] = value;
}

static void fill_normal(float *values, size_t count, double deviation, uint64_t seed, size_t index)
{
    vitc_random stream = vitc_random_start(seed, VITC_RANDOM_INIT, 0, index);
    for (size_t i = 0; i < count; i++) values[i] = (float)(deviation * vitc_random_normal(&stream));
}

void vit_trainer_initialize(vit_trainer *t, uint64_t seed, float position_std)
{
    const double matrix_std = 0.02, token_std = 1e-6;
    const float layer_scale = 1e-5f; /* arXiv 2103.17239, of deep models; timm's default */
    for (size_t i = 0; i < t->table.count; i++) {
        const vit_param *param = &t->table.params[i];
        float *values = t->parameters + param->offset;
        switch (param->id) {
        case VIT_CLS_TOKEN:
        case VIT_REG_TOKEN:
            fill_normal(values, param->count, token_std, seed, i);
            break;
        case VIT_POS_EMBED:
        case VIT_POS_ROWS:
        case VIT_POS_COLUMNS:
        case VIT_BLOCK_POS_EMBED:
        case VIT_BLOCK_POS_ROWS:
        case VIT_BLOCK_POS_COLUMNS:
            fill_normal(values, param->count, (double)position_std, seed, i);
            break;
        case VIT_DIST_TOKEN:
        case VIT_PATCH_WEIGHT:
        case VIT_QKV_WEIGHT:
        case VIT_PROJ_WEIGHT:
        case VIT_FC1_WEIGHT:
        case VIT_FC2_WEIGHT:
            fill_normal(values, param->count, matrix_std, seed, i);
            break;
        case VIT_NORM_PRE_WEIGHT:
        case VIT_NORM1_WEIGHT:
        case VIT_NORM2_WEIGHT:
        case VIT_Q_NORM_WEIGHT:
        case VIT_K_NORM_WEIGHT:
        case VIT_NORM_WEIGHT:
        case VIT_FC_NORM_WEIGHT:
            fill(values, param->count, 1);
            break;
        case VIT_LS1_GAMMA:
        case VIT_LS2_GAMMA:
            fill(values, param->count, layer_scale);
            break;
        default: /* biases, of relative positions too (BEiT, arXiv 2106.08254); heads */
            fill(values, param->count, 0);
            break;
        }
    }
}
