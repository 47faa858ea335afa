/* app_html.h - pages of one file: no network, nothing beside them, complete or not at all.
 *
 * A page (or another file of markup: the picture of vitc bench) is written through
 * vitc_file_writer, which keeps write errors until its end. Markup is put as it is; whatever
 * somebody else may have chosen (paths, labels, messages, cards) goes through the functions that
 * escape it. Should one be forgotten, the page's content security policy still lets nothing run but
 * the script that is built into the program.
 *
 * What style and script do with the markup (apps/report):
 *   <table class="sortable">       its headings sort; those with class "num" by number
 *   <div class="scroll">           a long table in a box of its own; all of it in print
 *   <section id="..."> with <h2>   a link in the bar at the top
 *   <figure class="shot">          a picture with its caption, inside <div class="gallery"> */
#ifndef VITC_APP_HTML_H
#define VITC_APP_HTML_H

#include "app_options.h"
#include "vitc_file.h"

/* Begins a page: style, heading, a switch between light and dark. `subtitle` stands below the
 * heading. An exit status as everywhere; after APP_EXIT_DONE the page is ended by app_html_close,
 * or by vitc_file_writer_abort. */
int app_html_open(vitc_file_writer *page, const char *path, const char *title, const char *subtitle,
                  const app_settings *settings);
/* Ends it: script, and the file appears under its name. */
int app_html_close(vitc_file_writer *page, const app_settings *settings);

/* Markup. */
void app_html_put(vitc_file_writer *page, const char *format, ...) VITC_PRINTF(2, 3);
/* Any text, inside an element or a quoted attribute; what cannot be shown is made visible as
 * app_text_printable does. NULL is nothing. */
void app_html_text(vitc_file_writer *page, const char *text);
/* <element class="class">text</element>; `class` NULL for none. */
void app_html_element(vitc_file_writer *page, const char *element, const char *class,
                      const char *text);
/* A section with its heading, to be ended by app_html_put(page, "</section>\n"). */
void app_html_section(vitc_file_writer *page, const char *id, const char *heading);
/* <dt>name</dt><dd>text</dd>, inside <dl class="facts">. */
void app_html_fact(vitc_file_writer *page, const char *name, const char *text);

/* A JSON string with its quotes, for inside a <script type="application/json">. */
void app_html_json(vitc_file_writer *page, const char *text);
/* data:TYPE;base64,... for an attribute. */
void app_html_data(vitc_file_writer *page, const char *type, const void *bytes, size_t size);

#endif
