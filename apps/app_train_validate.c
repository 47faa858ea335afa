/* What a model in training is worth: measured on the validation images as vitc eval would measure
 * its file. */
#include <math.h>

#include "app_classes.h"
#include "app_output.h"
#include "app_ranks.h"
#include "app_report.h"
#include "app_stop.h"
#include "app_stream.h"
#include "app_train.h"

vit_weights app_train_view(const app_train *t, bool average)
{
    vit_weights view = t->weights;
    view.parameters = average ? (float *)(uintptr_t)vit_optimizer_average(t->optimizer)
                              : vit_trainer_parameters(t->trainer);
    return view;
}

/* One pass over the validation images. */
typedef struct pass {
    app_train *t;
    app_settings settings; /* of the stream */
    app_settings opening;  /* of the set */
    vit_model *model;
    datasets_set *set;
    app_classes *classes;
    datasets_metrics *metrics;
    app_train_measure *measure;
} pass;

static void tell_bad(pass *p, const datasets_item *item, const app_answer *answer)
{
    enum { WARN_MOST = 20 };
    if (++p->measure->bad > WARN_MOST || p->settings.quiet || p->t->told_images) return;
    app_warn("%s: %s; it is left out of every measure%s", item->path,
             item->label < 0 && answer->status == VITC_OK
                 ? "has no label"
                 : app_output_reason(answer->status, answer->error, item->path),
             p->measure->bad == WARN_MOST ? " (others like it are only counted)" : "");
}

static int deliver(void *user, const datasets_item *item, const app_answer *answer)
{
    pass *p = user;
    const vitc_log *log = &p->t->log;
    static const datasets_scoring scoring = {.temperature = 1};
    uint32_t label = 0;
    if (answer->status == VITC_ERR_MEMORY) {
        app_error("%s: out of memory", item->path);
        return APP_EXIT_INTERNAL;
    }
    if (answer->status != VITC_OK || item->label < 0) {
        tell_bad(p, item, answer);
        return APP_EXIT_DONE;
    }
    const int result = app_classes_label(&label, p->classes, item->label);
    if (result != APP_EXIT_DONE) return result;
    const datasets_answer a = datasets_answer_make(label, answer->logits, answer->scores,
                                                   p->t->weights.config.classes, &scoring);
    p->measure->images++;
    return app_exit_status(datasets_metrics_add(p->metrics, &a, log));
}

/* Those of other ranks are not. */
static bool is_wanted(void *user, uint64_t index, const char *path)
{
    (void)user;
    return app_ranks_take(index, path);
}

static int open_set(pass *p)
{
    const app_train *t = p->t;
    datasets_options options = datasets_options_default();
    const bool split = t->val_count == 0;
    options.wanted = is_wanted;
    options.class_names = t->recipe.class_names;
    if (split) {
        options.part = DATASETS_CHOSEN;
        options.fraction = t->recipe.val_split;
        options.seed = t->recipe.seed;
    }
    const vitc_log log = app_log(&p->opening);
    return app_exit_status(datasets_open(&p->set, split ? t->data : t->val_data,
                                         split ? t->data_count : t->val_count, &options, &log));
}

/* Model, set and classes: what there is to see before anything is measured. */
static int prepare(pass *p, bool average)
{
    app_train *t = p->t;
    const vit_weights view = app_train_view(t, average);
    vitc_status status = vit_weights_model(&p->model, &view, VIT_PRECISION_F32, &t->log);
    if (status == VITC_OK)
        status = datasets_metrics_create(&p->metrics, view.config.classes, &t->log);
    int result = app_exit_status(status);
    if (result == APP_EXIT_DONE) result = open_set(p);
    return result == APP_EXIT_DONE ? app_classes_match(&p->classes, p->set, p->model, &p->opening)
                                   : result;
}

static pass begin(app_train *t, app_train_measure *measure)
{
    pass p = {.t = t, .settings = *t->settings, .measure = measure};
    p.settings.batch = 32;
    p.settings.no_exif = t->recipe.no_exif;
    p.settings.max_pixels = t->recipe.max_pixels != UINT64_MAX ? t->recipe.max_pixels : 0;
    /* What there is to say of the set is said once: of images held out, when those that are trained
     * on were looked for. */
    p.opening = p.settings;
    p.opening.quiet = t->settings->quiet || t->told_set || t->val_count == 0;
    return p;
}

static void end(pass *p)
{
    app_classes_free(p->classes);
    datasets_close(p->set);
    datasets_metrics_free(p->metrics);
    vit_model_free(p->model);
}

int app_train_check_validation(app_train *t)
{
    pass p = begin(t, NULL);
    const int result = prepare(&p, false);
    end(&p);
    t->told_set = true;
    return result;
}

int app_train_validate(app_train *t, app_train_measure *measure, bool average)
{
    app_times times = {0};
    pass p = begin(t, measure);
    *measure = (app_train_measure){.score = app_train_record_empty().validation};
    int result = prepare(&p, average);
    const app_stream stream = {.settings = &p.settings,
                               .model = p.model,
                               .set = p.set,
                               .images = t->validation_images,
                               .what = "validation",
                               .told = t->told_images || t->val_count == 0,
                               .deliver = deliver,
                               .user = &p};
    result = app_ranks_agree(result);
    if (result == APP_EXIT_DONE && !app_stop_asked())
        result = app_ranks_agree(app_stream_run(&stream, &times));
    if (result == APP_EXIT_DONE && !app_stop_asked() && measure->images > 0) {
        const datasets_results results = datasets_metrics_results(p.metrics);
        measure->score = (app_train_score){.loss = results.loss,
                                           .accuracy = results.top1,
                                           .top5 = results.top5,
                                           .ece = results.ece};
        t->told_images = true;
        t->measured_images = measure->images;
    }
    end(&p);
    return result;
}
