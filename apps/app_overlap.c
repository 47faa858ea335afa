#include "app_overlap.h"

#include "app_classes.h"
#include "app_report.h"
#include "app_stop.h"
#include "vitc_file.h"

static void warn(const app_overlap *overlap, uint64_t images)
{
    if (overlap->identical > 0)
        app_warn("%llu of %llu images are in the training data too, %llu of them with another "
                 "label: accuracy on them tells how well the model remembers",
                 (unsigned long long)overlap->identical, (unsigned long long)images,
                 (unsigned long long)overlap->identical_other_label);
    if (overlap->alike > 0)
        app_warn("%llu of %llu images look like images of the training data, %llu of them with "
                 "another label; vitc check shows them",
                 (unsigned long long)overlap->alike, (unsigned long long)images,
                 (unsigned long long)overlap->alike_other_label);
}

int app_overlap_find(app_overlap *overlap, bool *known, const app_settings *settings)
{
    app_scan scan = {0};
    app_duplicates duplicates = {0};
    const datasets_options options = app_classes_options(settings);
    datasets_options all = options;
    all.part = DATASETS_ALL;
    /* What was held out of a set was not trained on. */
    if (options.part != DATASETS_ALL && settings->train_data.count == 1 &&
        settings->operand_count == 1 &&
        vitc_file_is_same(settings->train_data.items[0], settings->operands[0]))
        all.part = options.part == DATASETS_CHOSEN ? DATASETS_REST : DATASETS_CHOSEN;
    *overlap = (app_overlap){0};
    *known = false;
    if (settings->train_data.count == 0) return APP_EXIT_DONE;
    int result =
        app_scan_add(&scan, settings->train_data.items, settings->train_data.count, &all, settings);
    if (result == APP_EXIT_DONE && !app_stop_asked())
        result =
            app_scan_add(&scan, settings->operands, settings->operand_count, &options, settings);
    if (result == APP_EXIT_DONE && !app_stop_asked()) {
        result = app_duplicates_find(&duplicates, &scan, (unsigned)settings->distance, settings);
        if (result == APP_EXIT_DONE)
            result = app_duplicates_overlap(overlap, &duplicates, &scan, 0, 1, settings);
        *known = result == APP_EXIT_DONE;
    }
    if (*known && !settings->quiet) warn(overlap, scan.sets[1].end - scan.sets[1].begin);
    app_duplicates_free(&duplicates);
    app_scan_free(&scan);
    return result;
}
