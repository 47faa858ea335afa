/* The rows as the page's script reads them. */
#include <math.h>
#include <string.h>

#include "app_page.h"

enum { TABLE_ROWS = 100000 }; /* more make a page that no browser opens with pleasure */

static void put_labels(const app_page *p)
{
    app_html_put(p->out, "<script type=\"application/json\" id=\"labels\">[");
    for (uint32_t i = 0; i < p->classes; i++) {
        if (i > 0) app_html_put(p->out, ",");
        app_html_json(p->out, vit_model_label(p->e->model, i));
    }
    app_html_put(p->out, "]</script>\n");
}

static int status_index(const char *status)
{
    int index = 0;
    while (index < APP_STATUS_COUNT - 1 && strcmp(app_row_status((size_t)index), status) != 0)
        index++;
    return index;
}

static long in_units(double value, double per_unit)
{
    return lround(value * per_unit);
}

/* One row as report.js reads it; the units are stated there. */
static void put_row(const app_page *p, const app_row *row)
{
    app_html_put(p->out, "[");
    app_html_json(p->out, row->path);
    if (row->error != NULL) {
        app_html_put(p->out, ",%d,%d,", row->label == APP_NO_LABEL ? -1 : (int)row->label,
                     -status_index(row->status));
        app_html_json(p->out, row->error);
    } else {
        app_html_put(p->out, ",%u,%u,%u,%ld,%ld,%u,%u,%ld", row->label, row->answer.prediction,
                     row->answer.rank, in_units(row->answer.confidence, 1e5),
                     in_units(row->answer.nll, 1e3), row->width, row->height,
                     isnan(row->milliseconds) ? -1 : in_units(row->milliseconds, 10));
        for (uint32_t i = 0; i < row->top_count; i++)
            app_html_put(p->out, ",%u,%ld", row->top[i], in_units((double)row->top_scores[i], 1e5));
    }
    app_html_put(p->out, "]");
}

static bool is_wrong(const app_row *row)
{
    return row->error != NULL || row->answer.prediction != row->label;
}

/* Of more rows than a page can hold: those that somebody may look for first, and as many others as
 * there is room for. */
static int put_rows(const app_page *p)
{
    const uint64_t wrong = p->e->n - p->e->results.right;
    uint64_t room_wrong = TABLE_ROWS, room_right = wrong < TABLE_ROWS ? TABLE_ROWS - wrong : 0;
    const char *separator = "\n";
    app_rows_reader *reader = NULL;
    int result = app_rows_open(&reader, p->e->rows, p->e->model, p->e->settings);
    for (bool found = true; result == APP_EXIT_DONE && found;) {
        app_row row;
        result = app_rows_next(&row, &found, reader);
        if (result != APP_EXIT_DONE || !found) continue;
        uint64_t *room = is_wrong(&row) ? &room_wrong : &room_right;
        if (*room == 0) continue;
        (*room)--;
        app_html_put(p->out, "%s", separator);
        put_row(p, &row);
        separator = ",\n";
    }
    app_rows_close(reader);
    return result;
}

int app_page_images(const app_page *p)
{
    app_html_section(p->out, "images", "All images");
    if (p->e->n > TABLE_ROWS) {
        app_html_put(p->out, "<p class=\"note\">The table holds %d of ", TABLE_ROWS);
        app_page_number(p, p->e->n);
        app_html_put(p->out, " images: what is wrong or could not be used first. --rows keeps "
                             "them all.</p>\n");
    }
    app_html_put(p->out, "<noscript><p class=\"note\">The table is made by the page's script."
                         "</p></noscript>\n<div id=\"rows-view\"></div>\n");
    put_labels(p);
    app_html_put(p->out, "<script type=\"application/json\" id=\"rows\">{\"statuses\":[");
    for (size_t i = 0; i < APP_STATUS_COUNT; i++) {
        if (i > 0) app_html_put(p->out, ",");
        app_html_json(p->out, app_row_status(i));
    }
    app_html_put(p->out, "],\"rows\":[");
    const int result = put_rows(p);
    app_html_put(p->out, "]}</script>\n</section>\n");
    return result;
}
