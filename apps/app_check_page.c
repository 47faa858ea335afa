/* The page of vitc check: what was found, with pictures. */
#include "app_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "app_html.h"
#include "app_output.h"
#include "app_pictures.h"
#include "app_report.h"
#include "app_text.h"
#include "vitc_size.h"

enum {
    SHOWN_GROUPS = 48, /* in each section */
    SHOWN_MEMBERS = 6, /* of a group */
    SHOWN_DOUBTS = 96,
    SHOWN_ROWS = 1000
};

typedef struct page_state {
    const app_check *check;
    vitc_file_writer *page;
    app_pictures pictures[APP_SCAN_SETS];
    uint64_t *indices[APP_SCAN_SETS]; /* of the images that are shown */
    size_t index_count[APP_SCAN_SETS];
} page_state;

static const app_image *image_at(const page_state *p, size_t i)
{
    return &p->check->scan.images[i];
}

/* ---- which images are shown ---- */

/* Groups with a conflict of labels come in a section of their own. */
static size_t count_groups(const app_group *groups, size_t count, bool labels_differ)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) n += groups[i].labels_differ == labels_differ;
    return n;
}

static void want_groups(page_state *p, const app_group *groups, size_t count, bool labels_differ)
{
    size_t shown = 0;
    for (size_t g = 0; g < count && shown < SHOWN_GROUPS; g++) {
        if (groups[g].labels_differ != labels_differ) continue;
        shown++;
        for (size_t i = 0; i < groups[g].count && i < SHOWN_MEMBERS; i++) {
            const app_image *image = image_at(p, p->check->duplicates.members[groups[g].begin + i]);
            p->indices[image->set][p->index_count[image->set]++] = image->index;
        }
    }
}

static void want_doubts(page_state *p)
{
    for (size_t i = 0; i < p->check->doubts.count && i < SHOWN_DOUBTS; i++) {
        const app_image *image = image_at(p, p->check->doubts.items[i].image);
        p->indices[image->set][p->index_count[image->set]++] = image->index;
    }
}

static int load_pictures(page_state *p)
{
    enum { MOST = 4 * SHOWN_GROUPS * SHOWN_MEMBERS + SHOWN_DOUBTS };
    const app_check *check = p->check;
    const app_duplicates *d = &check->duplicates;
    for (size_t s = 0; s < check->scan.set_count; s++) {
        p->indices[s] = calloc(MOST, sizeof *p->indices[s]);
        if (p->indices[s] == NULL) {
            app_error("out of memory for the report");
            return APP_EXIT_INTERNAL;
        }
    }
    for (int differ = 0; differ <= 1; differ++) {
        want_groups(p, d->identical, d->identical_count, differ != 0);
        want_groups(p, d->alike, d->alike_count, differ != 0);
    }
    want_doubts(p);
    int result = APP_EXIT_DONE;
    for (size_t s = 0; s < check->scan.set_count && result == APP_EXIT_DONE; s++)
        result = app_pictures_load(&p->pictures[s], p->indices[s], p->index_count[s],
                                   &check->scan.sets[s].name, 1, &check->scan.sets[s].options,
                                   check->settings);
    return result;
}

/* ---- sets ---- */

static void put_number(vitc_file_writer *page, uint64_t n)
{
    char text[32];
    app_html_put(page, "%s", app_text_number(text, sizeof text, n));
}

static void put_fact_number(vitc_file_writer *page, const char *name, uint64_t n)
{
    char text[32];
    app_html_fact(page, name, app_text_number(text, sizeof text, n));
}

static void put_size(vitc_file_writer *page, const char *name, const app_image *image)
{
    char text[48];
    if (image == NULL) return;
    snprintf(text, sizeof text, "%u x %u", image->width, image->height);
    app_html_fact(page, name, text);
}

static void put_classes(const page_state *p, const app_check_set *set)
{
    const app_scan *scan = &p->check->scan;
    if (set->classes == 0) return;
    app_html_put(p->page, "<div class=\"scroll\" tabindex=\"0\"><table class=\"sortable\" "
                          "aria-label=\"Images by class\"><thead><tr><th scope=\"col\">Class</th>"
                          "<th scope=\"col\" class=\"num\">Images</th>"
                          "<th scope=\"col\" class=\"num\">Share</th></tr></thead>\n<tbody>\n");
    for (uint32_t c = 0; c < scan->class_count; c++) {
        if (set->class_images[c] == 0) continue;
        app_html_put(p->page, "<tr>");
        app_html_element(p->page, "td", NULL, app_scan_class(scan, c));
        app_html_put(p->page, "<td class=\"num\">%llu</td><td class=\"num\">%.2f %%</td></tr>\n",
                     (unsigned long long)set->class_images[c],
                     100 * (double)set->class_images[c] / (double)set->images);
    }
    app_html_put(p->page, "</tbody></table></div>\n");
}

static void put_set(const page_state *p, size_t i)
{
    const app_check_set *set = &p->check->sets[i];
    vitc_file_writer *page = p->page;
    app_html_element(page, "h3", "path", p->check->scan.sets[i].name);
    app_html_put(page, "\n<div class=\"split\">\n<dl class=\"facts fit\">\n");
    put_fact_number(page, "Images", set->images);
    put_fact_number(page, "Broken", set->broken);
    put_fact_number(page, "Classes", set->classes);
    put_size(page, "Smallest", set->smallest);
    put_size(page, "Median size", set->median);
    put_size(page, "Largest", set->largest);
    for (int f = 0; f <= IMGIO_PSD; f++)
        if (set->formats[f] > 0)
            put_fact_number(page, imgio_format_string((imgio_format)f), set->formats[f]);
    if (set->grey > 0) put_fact_number(page, "Without colour", set->grey);
    if (p->check->scan.sets[i].error != NULL)
        app_html_fact(page, "Damaged", p->check->scan.sets[i].error);
    app_html_put(page, "</dl>\n");
    put_classes(p, set);
    app_html_put(page, "</div>\n");
}

static void put_sets(const page_state *p)
{
    app_html_section(p->page, "sets", "Data");
    for (size_t i = 0; i < p->check->scan.set_count; i++) put_set(p, i);
    app_html_put(p->page, "</section>\n");
}

static void put_overlaps(const page_state *p)
{
    const app_scan *scan = &p->check->scan;
    if (scan->set_count < 2) return;
    app_html_section(p->page, "shared", "In more than one set");
    app_html_put(p->page,
                 "<p>Accuracy on images that a model was trained on tells how well it remembers. "
                 "With the same label they make a result look better than it is; with another one "
                 "a label is wrong.</p>\n<div class=\"scroll\" tabindex=\"0\"><table "
                 "class=\"sortable\" aria-label=\"Shared images\"><thead><tr>"
                 "<th scope=\"col\">Images of</th><th scope=\"col\">that are in</th>"
                 "<th scope=\"col\" class=\"num\">Identical</th>"
                 "<th scope=\"col\" class=\"num\">other label</th>"
                 "<th scope=\"col\" class=\"num\">Alike</th>"
                 "<th scope=\"col\" class=\"num\">other label</th></tr></thead>\n<tbody>\n");
    for (size_t b = 1; b < scan->set_count; b++)
        for (size_t a = 0; a < b; a++) {
            const app_overlap *n = &p->check->overlaps[a][b];
            const uint64_t numbers[] = {n->identical, n->identical_other_label, n->alike,
                                        n->alike_other_label};
            app_html_put(p->page, "<tr>");
            app_html_element(p->page, "td", "path", scan->sets[b].name);
            app_html_element(p->page, "td", "path", scan->sets[a].name);
            for (size_t i = 0; i < 4; i++)
                app_html_put(p->page, "<td class=\"num\">%llu</td>",
                             (unsigned long long)numbers[i]);
            app_html_put(p->page, "</tr>\n");
        }
    app_html_put(p->page, "</tbody></table></div>\n</section>\n");
}

/* ---- groups ---- */

/* `said` is NULL, or what a model takes it for. */
static void put_member(const page_state *p, const app_image *image, const char *said)
{
    const app_scan *scan = &p->check->scan;
    const char *label = app_scan_class(scan, image->label);
    app_html_put(p->page, "<figure class=\"shot\">");
    app_pictures_put(p->page, app_pictures_find(&p->pictures[image->set], image->index),
                     label != NULL ? label : "an image");
    app_html_put(p->page, "<figcaption>");
    if (label != NULL) app_html_element(p->page, "strong", NULL, label);
    if (said != NULL) app_html_element(p->page, "span", "said", said);
    app_html_element(p->page, "span", "path", app_scan_path(scan, image));
    app_html_put(p->page, "</figcaption></figure>\n");
}

static void put_group(const page_state *p, const app_group *group)
{
    app_html_put(p->page, "<h3>%zu images%s</h3>\n<div class=\"gallery\">\n", group->count,
                 group->sets_differ ? ", in more than one set" : "");
    for (size_t i = 0; i < group->count && i < SHOWN_MEMBERS; i++)
        put_member(p, image_at(p, p->check->duplicates.members[group->begin + i]), NULL);
    app_html_put(p->page, "</div>\n");
}

static void put_groups(const page_state *p, const char *id, const char *heading, const char *advice,
                       const app_group *groups, size_t count, bool labels_differ)
{
    const size_t all = count_groups(groups, count, labels_differ);
    size_t shown = 0;
    if (all == 0) return;
    app_html_section(p->page, id, heading);
    app_html_put(p->page, "<p>");
    put_number(p->page, all);
    app_html_put(p->page, " group%s. %s%s</p>\n", all == 1 ? "" : "s", advice,
                 all > SHOWN_GROUPS ? " The first of them are shown; --csv lists all." : "");
    for (size_t g = 0; g < count && shown < SHOWN_GROUPS; g++) {
        if (groups[g].labels_differ != labels_differ) continue;
        put_group(p, &groups[g]);
        shown++;
    }
    app_html_put(p->page, "</section>\n");
}

static void put_doubts(const page_state *p)
{
    const app_doubts *doubts = &p->check->doubts;
    if (doubts->count == 0) return;
    app_html_section(p->page, "doubted", "Labels that the model doubts");
    app_html_put(p->page, "<p>");
    put_number(p->page, doubts->count);
    app_html_put(p->page,
                 ". Look at them: the model takes each for another class, with more confidence "
                 "than it has on average in the images of that class. That means nothing for "
                 "images that it was trained on. The least likely labels come first%s.</p>\n<div "
                 "class=\"gallery\">\n",
                 doubts->count > SHOWN_DOUBTS ? "; --csv lists all" : "");
    for (size_t i = 0; i < doubts->count && i < SHOWN_DOUBTS; i++)
        put_member(p, image_at(p, doubts->items[i].image),
                   vit_model_label(doubts->model, doubts->items[i].guess));
    app_html_put(p->page, "</div>\n</section>\n");
}

/* ---- single images ---- */

static void put_row(const page_state *p, const app_image *image)
{
    const app_scan *scan = &p->check->scan;
    const char *finding = image->status != VITC_OK ? app_output_status(image->status)
                          : image->flat            ? "one colour"
                                                   : "misnamed";
    const char *reason = image->status != VITC_OK ? app_scan_error(scan, image)
                         : image->flat            ? NULL
                                                  : imgio_format_string(image->format);
    app_html_put(p->page, "<tr>");
    app_html_element(p->page, "td", "path", app_scan_path(scan, image));
    app_html_element(p->page, "td", NULL, finding);
    app_html_element(p->page, "td", NULL, reason);
    app_html_put(p->page, "</tr>\n");
}

static void put_images(const page_state *p)
{
    const app_check *check = p->check;
    size_t shown = 0;
    app_html_section(p->page, "images", "Single images");
    if (check->broken + check->flat + check->misnamed == 0) {
        app_html_put(p->page, "<p class=\"empty\">Every image can be used, has more than one "
                              "colour, and is what its name says.</p>\n</section>\n");
        return;
    }
    app_html_put(p->page, "<p>");
    put_number(p->page, check->broken);
    app_html_put(p->page, " broken, ");
    put_number(p->page, check->flat);
    app_html_put(p->page, " of one colour, ");
    put_number(p->page, check->misnamed);
    app_html_put(p->page, " of another format than their names say.</p>\n"
                          "<div class=\"scroll\" tabindex=\"0\"><table class=\"sortable\" "
                          "aria-label=\"Single images\"><thead><tr><th scope=\"col\">File</th>"
                          "<th scope=\"col\">Finding</th><th scope=\"col\">Reason</th></tr>"
                          "</thead>\n<tbody>\n");
    for (size_t i = 0; i < check->scan.count && shown < SHOWN_ROWS; i++) {
        const app_image *image = image_at(p, i);
        if (image->status == VITC_OK && !image->flat && !image->misnamed) continue;
        put_row(p, image);
        shown++;
    }
    app_html_put(p->page, "</tbody></table></div>\n</section>\n");
}

/* ---- all together ---- */

static int write_page(page_state *p, const char *path)
{
    const app_check *check = p->check;
    const app_duplicates *d = &check->duplicates;
    vitc_file_writer page;
    char alike[160];
    char *command = app_text_command(check->settings->argc, check->settings->argv);
    if (command == NULL) {
        app_error("out of memory for the report");
        return APP_EXIT_INTERNAL;
    }
    const int result = app_html_open(&page, path, "Data check", command, check->settings);
    free(command);
    if (result != APP_EXIT_DONE) return result;
    p->page = &page;
    put_sets(p);
    put_groups(p, "mislabelled", "Identical, with different labels",
               "At least one label of each is wrong.", d->identical, d->identical_count, true);
    put_groups(p, "suspicious", "Alike, with different labels",
               "Look at them: one of the labels may be wrong.", d->alike, d->alike_count, true);
    put_doubts(p);
    put_overlaps(p);
    put_groups(p, "identical", "Identical", "Keep one image of each.", d->identical,
               d->identical_count, false);
    snprintf(alike, sizeof alike,
             "%u of 64 bits or fewer differ in each of two perceptual hashes, and the thumbnails "
             "agree.",
             d->distance);
    put_groups(p, "alike", "Alike", alike, d->alike, d->alike_count, false);
    put_images(p);
    p->page = NULL;
    return app_html_close(&page, check->settings);
}

int app_check_page(const char *path, const app_check *check)
{
    page_state p = {.check = check};
    int result = load_pictures(&p);
    if (result == APP_EXIT_DONE) result = write_page(&p, path);
    for (size_t s = 0; s < check->scan.set_count; s++) {
        app_pictures_free(&p.pictures[s]);
        free(p.indices[s]);
    }
    return result;
}
