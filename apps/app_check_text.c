/* What vitc check found: for people, as JSON, as CSV. */
#include "app_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_output.h"
#include "app_text.h"
#include "vitc_size.h"

enum { SHOWN_GROUPS = 10, SHOWN_MEMBERS = 6, SHOWN_IMAGES = 20 };

/* A number for printf, as long as the call that it is made in. */
typedef struct shown_number {
    char text[32];
} shown_number;

static shown_number number(uint64_t n)
{
    shown_number shown;
    app_text_number(shown.text, sizeof shown.text, n);
    return shown;
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void print_safe(const char *text)
{
    char *safe = app_text_printable(text);
    fputs(safe != NULL ? safe : "?", stdout);
    free(safe);
}

/* ---- one set, for people ---- */

static void print_row(const char *name)
{
    printf("  %-9s ", name);
}

static void print_class(const app_scan *scan, const app_check_set *set, uint32_t label)
{
    printf("%s (", number(set->class_images[label]).text);
    print_safe(app_scan_class(scan, label));
    putchar(')');
}

static void print_classes(const app_scan *scan, const app_check_set *set)
{
    print_row("classes");
    if (set->classes == 0) {
        puts("none: these images have no labels");
        return;
    }
    const uint64_t least = set->class_images[set->rarest];
    const uint64_t most = set->class_images[set->commonest];
    printf("%s, ", number(set->classes).text);
    if (least == most) {
        printf("%s image%s each\n", number(least).text, plural(least));
        return;
    }
    fputs("from ", stdout);
    print_class(scan, set, set->rarest);
    fputs(" to ", stdout);
    print_class(scan, set, set->commonest);
    printf(" images: 1 to %.*f\n", (double)most / (double)least < 10 ? 1 : 0,
           (double)most / (double)least);
}

static void print_sizes(const app_check_set *set)
{
    if (set->median == NULL) return;
    const app_image *small = set->smallest, *large = set->largest;
    print_row("sizes");
    if (small->width == large->width && small->height == large->height)
        printf("%ux%u\n", small->width, small->height);
    else
        printf("from %ux%u to %ux%u, median %ux%u\n", small->width, small->height, large->width,
               large->height, set->median->width, set->median->height);
}

static void print_formats(const app_check_set *set)
{
    const char *between = "";
    print_row("formats");
    for (int f = IMGIO_PSD; f >= 0; f--) {
        if (set->formats[f] == 0) continue;
        printf("%s%s %s", between, number(set->formats[f]).text,
               imgio_format_string((imgio_format)f));
        between = ", ";
    }
    puts(between[0] == 0 ? "pixels that are no files" : "");
}

static void print_set(const app_check *check, size_t i)
{
    const app_check_set *set = &check->sets[i];
    print_safe(check->scan.sets[i].name);
    putchar('\n');
    print_row("images");
    printf("%s", number(set->images).text);
    if (set->broken == 0)
        puts(set->images == 0 ? "" : ", all can be used");
    else
        printf(", of which %s cannot be used\n", number(set->broken).text);
    print_classes(&check->scan, set);
    print_sizes(set);
    if (set->images > set->broken) print_formats(set);
    if (set->grey > 0) {
        print_row("grey");
        printf("%s image%s without colour\n", number(set->grey).text, plural(set->grey));
    }
    if (check->scan.sets[i].error != NULL) {
        print_row("damaged");
        print_safe(check->scan.sets[i].error);
        puts("; what comes after this was not seen");
    }
}

/* ---- findings, for people ---- */

static void print_more(const app_check *check, size_t all, size_t shown)
{
    if (all > shown)
        printf("  ... and %s more; %s lists all\n", number(all - shown).text,
               check->settings->report_file != NULL ? "--csv or --json" : "--csv");
}

typedef bool image_test(const app_image *image);

static bool is_broken(const app_image *image)
{
    return image->status != VITC_OK;
}

static bool is_flat(const app_image *image)
{
    return image->flat;
}

static bool is_misnamed(const app_image *image)
{
    return image->misnamed;
}

/* Why an image is in the list that it is in; NULL where the list says all. */
static const char *detail(const app_scan *scan, const app_image *image)
{
    if (image->status != VITC_OK) return app_scan_error(scan, image);
    return image->misnamed ? imgio_format_string(image->format) : NULL;
}

static void print_images(const app_check *check, image_test *test, uint64_t count,
                         const char *heading)
{
    const app_scan *scan = &check->scan;
    size_t shown = 0;
    if (count == 0) return;
    printf("\n%s: %s\n", heading, number(count).text);
    for (size_t i = 0; i < scan->count && shown < SHOWN_IMAGES; i++) {
        const app_image *image = &scan->images[i];
        if (!test(image)) continue;
        fputs("  ", stdout);
        print_safe(app_scan_path(scan, image));
        if (image->status != VITC_OK) printf("  %s", app_output_status(image->status));
        if (detail(scan, image) != NULL) {
            fputs(image->status != VITC_OK ? ": " : "  is ", stdout);
            print_safe(detail(scan, image));
        }
        putchar('\n');
        shown++;
    }
    print_more(check, (size_t)count, shown);
}

static void print_group(const app_check *check, const app_group *group)
{
    const app_scan *scan = &check->scan;
    const size_t shown = group->count > SHOWN_MEMBERS ? (size_t)SHOWN_MEMBERS - 1 : group->count;
    for (size_t i = 0; i < shown; i++) {
        const app_image *image = &scan->images[check->duplicates.members[group->begin + i]];
        fputs(i == 0 ? "  - " : "    ", stdout);
        print_safe(app_scan_path(scan, image));
        if (group->labels_differ) {
            fputs("  ", stdout);
            print_safe(image->label != APP_SCAN_NO_CLASS ? app_scan_class(scan, image->label)
                                                         : "(no label)");
        }
        putchar('\n');
    }
    if (shown < group->count) printf("    and %s more\n", number(group->count - shown).text);
}

/* The groups whose labels differ, or the others. */
static void print_groups(const app_check *check, const app_group *groups, size_t count,
                         bool labels_differ, const char *heading)
{
    size_t all = 0, images = 0, shown = 0;
    for (size_t i = 0; i < count; i++) {
        if (groups[i].labels_differ != labels_differ) continue;
        all++;
        images += groups[i].count;
    }
    if (all == 0) return;
    printf("\n%s: %s group%s of %s images\n", heading, number(all).text, plural(all),
           number(images).text);
    for (size_t i = 0; i < count && shown < SHOWN_GROUPS; i++) {
        if (groups[i].labels_differ != labels_differ) continue;
        print_group(check, &groups[i]);
        shown++;
    }
    print_more(check, all, shown);
}

static void print_shared(const char *what, uint64_t n, uint64_t other_label)
{
    if (n == 0) return;
    printf("    %s %s", number(n).text, what);
    if (other_label > 0) printf(", %s with another label", number(other_label).text);
    putchar('\n');
}

/* Accuracy on what a model was trained on says how well it remembers. */
static void print_overlaps(const app_check *check)
{
    const app_scan *scan = &check->scan;
    bool first = true;
    for (size_t b = 1; b < scan->set_count; b++)
        for (size_t a = 0; a < b; a++) {
            const app_overlap *overlap = &check->overlaps[a][b];
            if (overlap->identical + overlap->alike == 0) continue;
            if (first) puts("\nImages in more than one set (train on one of them, not on both)");
            first = false;
            fputs("  of ", stdout);
            print_safe(scan->sets[b].name);
            fputs(", in ", stdout);
            print_safe(scan->sets[a].name);
            puts(":");
            print_shared("identical", overlap->identical, overlap->identical_other_label);
            print_shared("alike", overlap->alike, overlap->alike_other_label);
        }
}

static void print_doubts(const app_check *check)
{
    const app_doubts *doubts = &check->doubts;
    size_t shown = 0;
    if (doubts->count == 0) return;
    printf("\nLabels that the model doubts (look at them; it must not have learned them): %s\n",
           number(doubts->count).text);
    for (; shown < doubts->count && shown < SHOWN_IMAGES; shown++) {
        const app_doubt *doubt = &doubts->items[shown];
        const app_image *image = &check->scan.images[doubt->image];
        fputs("  ", stdout);
        print_safe(app_scan_path(&check->scan, image));
        fputs("  ", stdout);
        print_safe(app_scan_class(&check->scan, image->label));
        printf(" %.3g, ", (double)doubt->score_label);
        print_safe(vit_model_label(doubts->model, doubt->guess));
        printf(" %.3g\n", (double)doubt->score_guess);
    }
    print_more(check, doubts->count, shown);
}

void app_check_print(const app_check *check)
{
    const app_duplicates *d = &check->duplicates;
    char alike[96];
    for (size_t i = 0; i < check->scan.set_count; i++) print_set(check, i);

    print_images(check, is_broken, check->broken, "Broken images (replace or delete them)");
    print_groups(check, d->identical, d->identical_count, true,
                 "Identical images with different labels (at least one label is wrong)");
    print_groups(check, d->alike, d->alike_count, true,
                 "Images that look alike with different labels (look at them)");
    print_doubts(check);
    print_overlaps(check);
    print_groups(check, d->identical, d->identical_count, false,
                 "Identical images (keep one of each group)");
    snprintf(alike, sizeof alike, "Images that look alike (%u of 64 bits or fewer differ)",
             d->distance);
    print_groups(check, d->alike, d->alike_count, false, alike);
    print_images(check, is_flat, check->flat, "Images of one colour");
    print_images(check, is_misnamed, check->misnamed,
                 "Images of another format than their names say");
    if (d->distance != check->settings->distance)
        printf("\nSo many images look alike that %u bits were allowed instead of %u%s\n",
               d->distance, (unsigned)check->settings->distance,
               d->complete ? "" : ", and still not all were compared");
    if (check->doubts.count + check->broken + check->flat + check->misnamed + d->identical_count +
                d->alike_count ==
            0 &&
        !check->errors)
        puts("\nNothing to repair was found");
}

/* ---- JSON ---- */

static bool set_size(vitc_json *sizes, const char *key, const app_scan *scan,
                     const app_image *image)
{
    vitc_json *o = vitc_json_object();
    const bool ok = o != NULL && vitc_json_set_integer(o, "width", image->width) &&
                    vitc_json_set_integer(o, "height", image->height) &&
                    vitc_json_set_string(o, "path", app_scan_path(scan, image));
    return vitc_json_set(sizes, key, o) && ok;
}

static vitc_json *sizes_json(const app_scan *scan, const app_check_set *set)
{
    vitc_json *sizes = vitc_json_object();
    if (sizes == NULL || set->median == NULL) return sizes;
    if (set_size(sizes, "smallest", scan, set->smallest) &&
        set_size(sizes, "median", scan, set->median) &&
        set_size(sizes, "largest", scan, set->largest))
        return sizes;
    vitc_json_free(sizes);
    return NULL;
}

static vitc_json *formats_json(const app_check_set *set)
{
    vitc_json *formats = vitc_json_object();
    bool ok = formats != NULL;
    for (int f = 0; f <= IMGIO_PSD && ok; f++)
        if (set->formats[f] > 0)
            ok = vitc_json_set_integer(formats, imgio_format_string((imgio_format)f),
                                       (int64_t)set->formats[f]);
    if (ok) return formats;
    vitc_json_free(formats);
    return NULL;
}

/* A list, because a name may be no valid key. */
static vitc_json *classes_json(const app_scan *scan, const app_check_set *set)
{
    vitc_json *classes = vitc_json_array();
    bool ok = classes != NULL;
    for (uint32_t c = 0; c < scan->class_count && ok; c++) {
        if (set->class_images[c] == 0) continue;
        vitc_json *o = vitc_json_object();
        ok = o != NULL && vitc_json_set_string(o, "label", app_scan_class(scan, c)) &&
             vitc_json_set_integer(o, "images", (int64_t)set->class_images[c]);
        ok = vitc_json_append(classes, o) && ok;
    }
    if (ok) return classes;
    vitc_json_free(classes);
    return NULL;
}

static bool append_set(vitc_json *sets, const app_check *check, size_t i)
{
    const app_scan *scan = &check->scan;
    const app_check_set *set = &check->sets[i];
    vitc_json *o = vitc_json_object();
    bool ok = o != NULL && vitc_json_set_string(o, "data", scan->sets[i].name) &&
              vitc_json_set_string(o, "kind",
                                   datasets_kind_string(datasets_set_kind(scan->sets[i].set))) &&
              vitc_json_set_string(o, "damaged", scan->sets[i].error) &&
              vitc_json_set_integer(o, "images", (int64_t)set->images) &&
              vitc_json_set_integer(o, "broken", (int64_t)set->broken) &&
              vitc_json_set_integer(o, "unlabelled", (int64_t)set->unlabelled) &&
              vitc_json_set_integer(o, "grey", (int64_t)set->grey);
    ok = ok && vitc_json_set(o, "classes", classes_json(scan, set)) &&
         vitc_json_set(o, "sizes", sizes_json(scan, set)) &&
         vitc_json_set(o, "formats", formats_json(set));
    return vitc_json_append(sets, o) && ok;
}

static vitc_json *image_json(const app_scan *scan, const app_image *image)
{
    vitc_json *o = vitc_json_object();
    if (o != NULL && vitc_json_set_integer(o, "set", image->set) &&
        vitc_json_set_string(o, "path", app_scan_path(scan, image)) &&
        vitc_json_set_string(o, "label", app_scan_class(scan, image->label)))
        return o;
    vitc_json_free(o);
    return NULL;
}

static vitc_json *images_json(const app_scan *scan, image_test *test)
{
    vitc_json *list = vitc_json_array();
    bool ok = list != NULL;
    for (size_t i = 0; i < scan->count && ok; i++) {
        const app_image *image = &scan->images[i];
        if (!test(image)) continue;
        vitc_json *o = image_json(scan, image);
        ok = o != NULL;
        if (ok && image->status != VITC_OK)
            ok = vitc_json_set_string(o, "status", app_output_status(image->status)) &&
                 vitc_json_set_string(o, "error", app_scan_error(scan, image));
        if (ok && image->misnamed)
            ok = vitc_json_set_string(o, "format", imgio_format_string(image->format));
        ok = vitc_json_append(list, o) && ok;
    }
    if (ok) return list;
    vitc_json_free(list);
    return NULL;
}

static bool append_group(vitc_json *list, const app_check *check, const app_group *group,
                         bool identical)
{
    vitc_json *o = vitc_json_object(), *images = vitc_json_array();
    bool ok = o != NULL && images != NULL &&
              vitc_json_set_bool(o, "labels_differ", group->labels_differ) &&
              vitc_json_set_bool(o, "sets_differ", group->sets_differ);
    if (ok && identical) ok = vitc_json_set_bool(o, "same_file", group->same_file);
    for (size_t i = 0; i < group->count && ok; i++) {
        const size_t image = check->duplicates.members[group->begin + i];
        ok = vitc_json_append(images, image_json(&check->scan, &check->scan.images[image]));
    }
    if (o == NULL)
        vitc_json_free(images);
    else
        ok = vitc_json_set(o, "images", images) && ok;
    return vitc_json_append(list, o) && ok;
}

static vitc_json *groups_json(const app_check *check, const app_group *groups, size_t count,
                              bool identical)
{
    vitc_json *list = vitc_json_array();
    bool ok = list != NULL;
    for (size_t i = 0; i < count && ok; i++) ok = append_group(list, check, &groups[i], identical);
    if (ok) return list;
    vitc_json_free(list);
    return NULL;
}

static vitc_json *overlaps_json(const app_check *check)
{
    vitc_json *list = vitc_json_array();
    bool ok = list != NULL;
    for (size_t b = 1; b < check->scan.set_count; b++)
        for (size_t a = 0; a < b && ok; a++) {
            const app_overlap *n = &check->overlaps[a][b];
            vitc_json *o = vitc_json_object();
            ok = o != NULL && vitc_json_set_integer(o, "of", (int64_t)b) &&
                 vitc_json_set_integer(o, "in", (int64_t)a) &&
                 vitc_json_set_integer(o, "identical", (int64_t)n->identical) &&
                 vitc_json_set_integer(o, "identical_other_label",
                                       (int64_t)n->identical_other_label) &&
                 vitc_json_set_integer(o, "alike", (int64_t)n->alike) &&
                 vitc_json_set_integer(o, "alike_other_label", (int64_t)n->alike_other_label);
            ok = vitc_json_append(list, o) && ok;
        }
    if (ok) return list;
    vitc_json_free(list);
    return NULL;
}

static vitc_json *doubts_json(const app_check *check)
{
    vitc_json *list = vitc_json_array();
    bool ok = list != NULL;
    for (size_t i = 0; i < check->doubts.count && ok; i++) {
        const app_doubt *doubt = &check->doubts.items[i];
        vitc_json *o = image_json(&check->scan, &check->scan.images[doubt->image]);
        ok = o != NULL && vitc_json_set_number(o, "score", (double)doubt->score_label) &&
             vitc_json_set_string(o, "guess", vit_model_label(check->doubts.model, doubt->guess)) &&
             vitc_json_set_number(o, "guess_score", (double)doubt->score_guess);
        ok = vitc_json_append(list, o) && ok;
    }
    if (ok) return list;
    vitc_json_free(list);
    return NULL;
}

vitc_json *app_check_json(const app_check *check)
{
    const app_scan *scan = &check->scan;
    const app_duplicates *d = &check->duplicates;
    vitc_json *o = vitc_json_object(), *sets = vitc_json_array();
    bool ok = o != NULL && sets != NULL;
    for (size_t i = 0; i < scan->set_count && ok; i++) ok = append_set(sets, check, i);
    if (!ok) {
        vitc_json_free(o);
        vitc_json_free(sets);
        return NULL;
    }
    ok = vitc_json_set_bool(o, "errors", check->errors) &&
         vitc_json_set_integer(o, "distance", d->distance) &&
         vitc_json_set_bool(o, "complete", d->complete);
    ok = vitc_json_set(o, "sets", sets) && ok;
    ok =
        ok && vitc_json_set(o, "overlaps", overlaps_json(check)) &&
        vitc_json_set(o, "broken", images_json(scan, is_broken)) &&
        vitc_json_set(o, "identical", groups_json(check, d->identical, d->identical_count, true)) &&
        vitc_json_set(o, "alike", groups_json(check, d->alike, d->alike_count, false)) &&
        vitc_json_set(o, "one_colour", images_json(scan, is_flat)) &&
        vitc_json_set(o, "misnamed", images_json(scan, is_misnamed));
    if (check->doubts.model != NULL) ok = ok && vitc_json_set(o, "doubted", doubts_json(check));
    if (ok) return o;
    vitc_json_free(o);
    return NULL;
}

/* ---- CSV ---- */

static void put_record(const app_scan *scan, const char *finding, size_t group,
                       const app_image *image, const char *text)
{
    printf("%s,", finding);
    if (group > 0) printf("%zu", group);
    putchar(',');
    app_text_csv(stdout, scan->sets[image->set].name);
    putchar(',');
    app_text_csv(stdout, app_scan_path(scan, image));
    putchar(',');
    if (image->label != APP_SCAN_NO_CLASS) app_text_csv(stdout, app_scan_class(scan, image->label));
    printf(",%s,", app_output_status(image->status));
    if (text != NULL) app_text_csv(stdout, text);
    fputs("\r\n", stdout);
}

static void put_images(const app_scan *scan, const char *finding, image_test *test)
{
    for (size_t i = 0; i < scan->count; i++) {
        const app_image *image = &scan->images[i];
        if (test(image)) put_record(scan, finding, 0, image, detail(scan, image));
    }
}

static void put_groups(const app_check *check, const char *finding, const app_group *groups,
                       size_t count, size_t first)
{
    for (size_t g = 0; g < count; g++) {
        const app_group *group = &groups[g];
        const char *text = group->labels_differ && group->sets_differ
                               ? "labels differ; in several sets"
                           : group->labels_differ ? "labels differ"
                           : group->sets_differ   ? "in several sets"
                                                  : NULL;
        for (size_t i = 0; i < group->count; i++) {
            const size_t image = check->duplicates.members[group->begin + i];
            put_record(&check->scan, finding, first + g, &check->scan.images[image], text);
        }
    }
}

void app_check_csv(const app_check *check)
{
    const app_scan *scan = &check->scan;
    const app_duplicates *d = &check->duplicates;
    fputs("finding,group,set,path,label,status,detail\r\n", stdout);
    put_images(scan, "broken", is_broken);
    put_groups(check, "identical", d->identical, d->identical_count, 1);
    put_groups(check, "alike", d->alike, d->alike_count, d->identical_count + 1);
    for (size_t i = 0; i < check->doubts.count; i++)
        put_record(scan, "doubted", 0, &scan->images[check->doubts.items[i].image],
                   vit_model_label(check->doubts.model, check->doubts.items[i].guess));
    put_images(scan, "one_colour", is_flat);
    put_images(scan, "misnamed", is_misnamed);
}
