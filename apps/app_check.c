/* vitc check: reads every image of one or more sets and says what is wrong with them. */
#include "app_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_commands.h"
#include "app_guard.h"
#include "app_inputs.h"
#include "app_model.h"
#include "app_report.h"
#include "app_text.h"

/* ---- one set by itself ---- */

typedef struct sized {
    uint64_t pixels;
    const app_image *image;
} sized;

static int compare_sizes(const void *a, const void *b)
{
    const sized *x = a, *y = b;
    if (x->pixels != y->pixels) return x->pixels > y->pixels ? 1 : -1;
    return (x->image > y->image) - (x->image < y->image);
}

static bool find_sizes(app_check_set *set, const app_scan *scan, size_t number)
{
    const size_t begin = scan->sets[number].begin, end = scan->sets[number].end;
    size_t count = 0;
    sized *order = calloc(end - begin + 1, sizeof *order);
    if (order == NULL) return false;
    for (size_t i = begin; i < end; i++) {
        const app_image *image = &scan->images[i];
        if (image->status == VITC_OK)
            order[count++] = (sized){(uint64_t)image->width * image->height, image};
    }
    qsort(order, count, sizeof *order, compare_sizes);
    if (count > 0) {
        set->smallest = order[0].image;
        set->median = order[count / 2].image;
        set->largest = order[count - 1].image;
    }
    free(order);
    return true;
}

static void count_image(app_check_set *set, const app_image *image)
{
    set->images++;
    set->broken += image->status != VITC_OK;
    set->grey += image->grey;
    set->flat += image->flat;
    set->misnamed += image->misnamed;
    if (image->has_file) set->formats[image->format]++;
    if (image->label == APP_SCAN_NO_CLASS)
        set->unlabelled++;
    else
        set->class_images[image->label]++;
}

static void find_balance(app_check_set *set, const app_scan *scan)
{
    for (uint32_t c = 0; c < scan->class_count; c++) {
        const uint64_t images = set->class_images[c];
        if (images == 0) continue;
        if (set->classes == 0 || images < set->class_images[set->rarest]) set->rarest = c;
        if (set->classes == 0 || images > set->class_images[set->commonest]) set->commonest = c;
        set->classes++;
    }
}

static bool look_at_set(app_check_set *set, const app_scan *scan, size_t number)
{
    set->class_images = calloc((size_t)scan->class_count + 1, sizeof *set->class_images);
    if (set->class_images == NULL) return false;
    for (size_t i = scan->sets[number].begin; i < scan->sets[number].end; i++)
        count_image(set, &scan->images[i]);
    find_balance(set, scan);
    return find_sizes(set, scan, number);
}

/* ---- all together ---- */

/* What leaves no doubt: images that cannot be used, a set that cannot be read to its end, identical
 * images that cannot all be labelled rightly, or of which one set is to judge what another taught.
 * Likeness, sizes and balance are for people to judge. */
static bool has_errors(const app_check *check)
{
    if (check->broken > 0) return true;
    for (size_t i = 0; i < check->scan.set_count; i++)
        if (check->scan.sets[i].error != NULL) return true;
    for (size_t i = 0; i < check->duplicates.identical_count; i++)
        if (check->duplicates.identical[i].labels_differ ||
            check->duplicates.identical[i].sets_differ)
            return true;
    return false;
}

static int examine(app_check *check)
{
    const app_settings *settings = check->settings;
    app_scan *scan = &check->scan;
    for (size_t i = 0; i < settings->operand_count; i++) {
        const int result = app_scan_add(scan, &settings->operands[i], 1, NULL, settings);
        if (result != APP_EXIT_DONE) return result;
    }
    for (size_t i = 0; i < scan->set_count; i++) {
        app_check_set *set = &check->sets[i];
        if (!look_at_set(set, scan, i)) {
            app_error("out of memory for what was found");
            return APP_EXIT_INTERNAL;
        }
        check->broken += set->broken;
        check->flat += set->flat;
        check->misnamed += set->misnamed;
    }
    int result =
        app_duplicates_find(&check->duplicates, scan, (unsigned)settings->distance, settings);
    for (size_t b = 1; b < scan->set_count; b++)
        for (size_t a = 0; a < b && result == APP_EXIT_DONE; a++)
            result = app_duplicates_overlap(&check->overlaps[a][b], &check->duplicates, scan, a, b,
                                            settings);
    if (result == APP_EXIT_DONE && settings->model != NULL)
        result = app_doubts_find(&check->doubts, scan, settings);
    check->errors = has_errors(check);
    return result;
}

static bool settings_are_good(const app_settings *settings)
{
    if (settings->json && settings->csv) {
        app_error("--json and --csv are two forms of the same findings; choose one");
        return false;
    }
    if (settings->map != NULL && settings->model == NULL) {
        app_error("--map says which label of a model each class is; give --model too");
        return false;
    }
    if (settings->operand_count > APP_SCAN_SETS) {
        app_error("%d sets are the most that can be compared with each other", (int)APP_SCAN_SETS);
        return false;
    }
    if (settings->model != NULL) /* which looks after the scan */
        return app_inputs_check_again(settings->operands, settings->operand_count) == APP_EXIT_DONE;
    return true;
}

static int show(const app_check *check)
{
    if (check->settings->csv) {
        app_check_csv(check);
    } else if (check->settings->json) {
        vitc_json *object = app_check_json(check);
        if (!app_text_print_json(object, object != NULL, 2, 9, "\n")) {
            app_error("out of memory for what was found");
            return APP_EXIT_INTERNAL;
        }
    } else {
        app_check_print(check);
    }
    return APP_EXIT_DONE;
}

int app_check_run(const app_settings *settings)
{
    app_check check = {.settings = settings};
    if (!settings_are_good(settings)) return APP_EXIT_USAGE;
    app_guard_output(settings->report_file);
    /* what would be found out only when all is read */
    int result = app_model_check_path(settings->model);
    if (result == APP_EXIT_DONE && settings->report_file != NULL)
        result = app_model_check_output(settings->report_file);
    if (result == APP_EXIT_DONE) result = examine(&check);
    if (result == APP_EXIT_DONE) result = show(&check);
    if (result == APP_EXIT_DONE && settings->report_file != NULL)
        result = app_check_page(settings->report_file, &check);
    if (result == APP_EXIT_DONE && check.errors) result = APP_EXIT_INPUTS;
    for (size_t i = 0; i < check.scan.set_count; i++) free(check.sets[i].class_images);
    app_doubts_free(&check.doubts);
    app_duplicates_free(&check.duplicates);
    app_scan_free(&check.scan);
    return result;
}
