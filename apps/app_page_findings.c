/* What is worth looking at, with pictures. */
#include "app_page.h"

/* ---- pictures ---- */

static void put_said(const app_page *p, const app_finding *f)
{
    const bool is_right = f->prediction == f->label;
    app_html_put(p->out, "<span class=\"%s\">", is_right ? "true" : "said");
    app_html_text(p->out, vit_model_label(p->e->model, f->prediction));
    app_html_put(p->out, " %.1f&nbsp;%%</span>", 100 * f->score);
    if (is_right) return;
    app_html_put(p->out, "<span>is ");
    app_html_text(p->out, vit_model_label(p->e->model, f->label));
    app_html_put(p->out, "</span>");
}

static void put_shot(const app_page *p, const app_finding *f)
{
    app_html_put(p->out, "<figure class=\"shot\">");
    app_pictures_put(p->out, app_pictures_find(&p->pictures, f->index), f->path);
    app_html_put(p->out, "<figcaption>");
    put_said(p, f);
    app_html_element(p->out, "span", "path", f->path);
    app_html_put(p->out, "</figcaption></figure>\n");
}

static void put_gallery(const app_page *p, const app_finding_list *list, const char *empty)
{
    if (list->count == 0) {
        app_html_put(p->out, "<p class=\"empty\">%s</p>\n", empty);
        return;
    }
    app_html_put(p->out, "<div class=\"gallery\">\n");
    for (size_t i = 0; i < list->count; i++) put_shot(p, &list->items[i]);
    app_html_put(p->out, "</div>\n");
}

static void put_galleries(const app_page *p)
{
    app_html_section(p->out, "errors", "Worst errors");
    app_html_put(p->out, "<p class=\"soft\">Wrong with the highest score: often labels that are "
                         "wrong themselves, or pictures of two things.</p>\n");
    put_gallery(p, &p->findings.worst, "No prediction was wrong.");
    app_html_put(p->out, "</section>\n");
    app_html_section(p->out, "uncertain", "Least certain");
    app_html_put(p->out, "<p class=\"soft\">The lowest score of all predictions, right or wrong."
                         "</p>\n");
    put_gallery(p, &p->findings.uncertain, "There is no image.");
    app_html_put(p->out, "</section>\n");
}

static void put_twin(const app_page *p, const app_twin *twin)
{
    const app_picture *picture = app_pictures_find(&p->pictures, twin->index);
    const char *path = picture != NULL && picture->path != NULL ? picture->path : "";
    app_html_put(p->out, "<div>");
    app_pictures_put(p->out, picture, path);
    app_html_element(p->out, "span", "true", vit_model_label(p->e->model, twin->label));
    app_html_put(p->out, " ");
    app_html_element(p->out, "span", "path", path);
    app_html_put(p->out, "</div>");
}

static void put_alike(const app_page *p)
{
    const app_findings *f = &p->findings;
    app_html_section(p->out, "alike", "Look-alikes");
    if (f->unhashed > 0) {
        app_html_put(p->out, "<p class=\"empty\">");
        app_page_number(p, f->unhashed);
        app_html_put(p->out, " images were not compared: their rows were made without --report."
                             "</p>\n");
    }
    if (f->alike_all == 0) {
        if (f->unhashed == 0)
            app_html_put(p->out, "<p class=\"empty\">No two images of different classes look alike."
                                 "</p>\n");
        app_html_put(p->out, "</section>\n");
        return;
    }
    app_html_put(p->out, "<p class=\"soft\">%s", f->alike_more ? "More than " : "");
    app_page_number(p, f->alike_all);
    app_html_put(p->out,
                 " pair%s whose difference hashes differ in at most %d of 64 bits: one of the "
                 "labels may be wrong. The most alike come first.</p>\n"
                 "<div class=\"gallery pairs\">\n",
                 f->alike_all == 1 ? "" : "s", APP_FINDINGS_BITS);
    for (size_t i = 0; i < f->alike_count; i++) {
        const app_likeness *pair = &f->alike[i];
        app_html_put(p->out, "<figure class=\"shot\"><div class=\"couple\">");
        put_twin(p, &pair->a);
        put_twin(p, &pair->b);
        app_html_put(p->out,
                     "</div><figcaption><span>%u bit%s differ%s</span></figcaption>"
                     "</figure>\n",
                     pair->distance, pair->distance == 1 ? "" : "s",
                     pair->distance == 1 ? "s" : "");
    }
    app_html_put(p->out, "</div>\n</section>\n");
}

/* ---- files that could not be used ---- */

static void put_bad(const app_page *p)
{
    const app_finding_list *list = &p->findings.bad;
    app_html_section(p->out, "bad", "Unusable files");
    if (list->count == 0) {
        app_html_put(p->out, "<p class=\"empty\">None: every file was read.</p>\n</section>\n");
        return;
    }
    app_html_put(p->out, "<p>");
    app_page_number(p, p->e->n_bad);
    app_html_put(p->out, " in all:");
    const char *separator = " ";
    for (size_t i = 1; i < APP_STATUS_COUNT; i++) {
        if (p->e->by_status[i] == 0) continue;
        app_html_put(p->out, "%s%llu %s", separator, (unsigned long long)p->e->by_status[i],
                     app_row_status(i));
        separator = ", ";
    }
    app_html_put(p->out,
                 ".%s</p>\n<div class=\"scroll\" tabindex=\"0\"><table class=\"sortable\" "
                 "aria-label=\"Files that could not be used\"><thead><tr>"
                 "<th scope=\"col\">File</th><th scope=\"col\">Status</th>"
                 "<th scope=\"col\">Reason</th></tr></thead>\n<tbody>\n",
                 p->e->n_bad > list->count ? " The first of them:" : "");
    for (size_t i = 0; i < list->count; i++) {
        app_html_put(p->out, "<tr>");
        app_html_element(p->out, "td", "path", list->items[i].path);
        app_html_element(p->out, "td", NULL, list->items[i].status);
        app_html_element(p->out, "td", NULL, list->items[i].error);
        app_html_put(p->out, "</tr>\n");
    }
    app_html_put(p->out, "</tbody></table></div>\n</section>\n");
}

void app_page_findings(const app_page *p)
{
    put_galleries(p);
    put_alike(p);
    put_bad(p);
}
