/* Load, decode and classify with every allocation failing in turn: each time a clean
 * VITC_ERR_MEMORY, and nothing left behind. BLIS, which aborts without memory, sets itself up in
 * the first, unarmed run; the forward pass allocates nothing. */
#include "vit.h"

#include "test_malloc_fail.h"

#define CHECKPOINTS VITC_GOLDEN_DIR "/checkpoints/"
#define PHOTOS      VITC_GOLDEN_DIR "/photos/"

typedef struct load_case {
    const char *path;
    vit_load_options options;
} load_case;

static vitc_status load(void *user)
{
    const load_case *c = user;
    vit_model *model = NULL;
    const vitc_status status = vit_model_load(&model, c->path, &c->options, NULL);
    vit_model_free(model);
    return status;
}

static void loading_survives(void **unused)
{
    (void)unused;
    static const char *const checkpoints[] = {
        CHECKPOINTS "hf_vit", CHECKPOINTS "hf_vit_sharded", CHECKPOINTS "hf_deit_distilled",
        CHECKPOINTS "timm_vit_labels", CHECKPOINTS "timm_vit_layerscale"};
    /* An OpenMP team's memory is not ours: one thread. Every second one at another image size. */
    for (size_t i = 0; i < sizeof checkpoints / sizeof checkpoints[0]; i++) {
        load_case c = {checkpoints[i], {.threads = 1, .image_width = i % 2 == 0 ? 0 : 48}};
        assert_true(malloc_fail_each(load, &c) > 20);
    }
}

typedef struct classify_case {
    const vit_model *model;
    const char *path;
    vit_views views;
} classify_case;

/* Creates a classifier and classifies one photo; the first failure of either is the answer. */
static vitc_status classify(void *user)
{
    const classify_case *c = user;
    vit_classifier_options options = vit_classifier_options_default();
    options.batch = 2;
    options.threads = 1;
    options.views = c->views;
    vit_classifier *classifier = NULL;
    vitc_status status = vit_classifier_create(&classifier, c->model, &options, NULL);
    if (status != VITC_OK) return status;
    const vit_input input = {.path = c->path};
    vit_output output;
    status = vit_classify(classifier, &output, &input, 1, NULL);
    if (status == VITC_OK) status = output.status;
    vit_classifier_free(classifier);
    return status;
}

static void classifying_survives(void **unused)
{
    (void)unused;
    static const char *const photos[] = {
        PHOTOS "cat_progressive.jpg", PHOTOS "spoon_rgba.png", PHOTOS "launch_lossy.webp",
        PHOTOS "eye_animated.gif",    PHOTOS "astronaut.bmp",  PHOTOS "astronaut_exif6.jpg"};
    if (!MALLOC_FAIL_AVAILABLE) skip(); /* before anything is held that a skip would leak */
    vit_model *model = NULL;
    assert_int_equal(vit_model_load(&model, CHECKPOINTS "hf_vit", NULL, NULL), VITC_OK);
    for (size_t i = 0; i < sizeof photos / sizeof photos[0]; i++) {
        classify_case c = {model, photos[i], i % 2 == 0 ? VIT_VIEWS_ONE : VIT_VIEWS_HFLIP};
        assert_true(malloc_fail_each(classify, &c) > 5);
    }
    vit_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(loading_survives),
                                       cmocka_unit_test(classifying_survives)};
    return cmocka_run_group_tests_name("allocation failures", tests, NULL, NULL);
}
