#include "app_html.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app_bundled.h"
#include "app_report.h"
#include "app_text.h"
#include "vitc_sha256.h"

static void put_string(vitc_file_writer *page, const char *text)
{
    vitc_file_writer_append(page, text, strlen(text));
}

void app_html_put(vitc_file_writer *page, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    const int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size >= 0) {
        vitc_file_writer_append(page, text, (size_t)size);
        free(text);
    } else if (page->error == 0) {
        page->error = ENOMEM;
    }
}

/* `text` as it can be shown, with `replace` for each character that it knows. */
static void put_replaced(vitc_file_writer *page, const char *text,
                         const char *(*replace)(char character))
{
    char *safe = app_text_printable(text);
    if (safe == NULL) {
        if (page->error == 0) page->error = ENOMEM;
        return;
    }
    const char *begin = safe;
    for (const char *c = safe; *c != 0; c++) {
        const char *replacement = replace(*c);
        if (replacement == NULL) continue;
        vitc_file_writer_append(page, begin, (size_t)(c - begin));
        put_string(page, replacement);
        begin = c + 1;
    }
    put_string(page, begin);
    free(safe);
}

static const char *replace_markup(char character)
{
    switch (character) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void app_html_text(vitc_file_writer *page, const char *text)
{
    if (text != NULL) put_replaced(page, text, replace_markup);
}

/* A script element ends at "</script", whatever the JSON around it says: so no "<" at all.
 * Control characters have been made visible. */
static const char *replace_json(char character)
{
    return character == '"'    ? "\\\""
           : character == '\\' ? "\\\\"
           : character == '<'  ? "\\u003c"
                               : NULL;
}

void app_html_json(vitc_file_writer *page, const char *text)
{
    put_string(page, "\"");
    put_replaced(page, text, replace_json);
    put_string(page, "\"");
}

void app_html_element(vitc_file_writer *page, const char *element, const char *class,
                      const char *text)
{
    if (class != NULL)
        app_html_put(page, "<%s class=\"%s\">", element, class);
    else
        app_html_put(page, "<%s>", element);
    app_html_text(page, text);
    app_html_put(page, "</%s>", element);
}

void app_html_section(vitc_file_writer *page, const char *id, const char *heading)
{
    app_html_put(page, "<section id=\"%s\" aria-labelledby=\"%s-heading\">\n<h2 id=\"%s-heading\">",
                 id, id, id);
    app_html_text(page, heading);
    put_string(page, "</h2>\n");
}

void app_html_fact(vitc_file_writer *page, const char *name, const char *text)
{
    app_html_element(page, "dt", NULL, name);
    app_html_element(page, "dd", NULL, text);
    put_string(page, "\n");
}

/* RFC 4648 */
static void put_base64(vitc_file_writer *page, const unsigned char *bytes, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const unsigned group = (unsigned)bytes[i] << 16 |
                               (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) |
                               (left > 2 ? (unsigned)bytes[i + 2] : 0);
        const char text[4] = {digits[group >> 18], digits[group >> 12 & 63],
                              left > 1 ? digits[group >> 6 & 63] : '=',
                              left > 2 ? digits[group & 63] : '='};
        vitc_file_writer_append(page, text, sizeof text);
    }
}

void app_html_data(vitc_file_writer *page, const char *type, const void *bytes, size_t size)
{
    app_html_put(page, "data:%s;base64,", type);
    put_base64(page, bytes, size);
}

/* 'sha256-...': allows this one text, as it stands between the tags. */
static void put_policy_hash(vitc_file_writer *page, const char *text, size_t size)
{
    char hex[VITC_SHA256_TEXT_SIZE];
    unsigned char bytes[(VITC_SHA256_TEXT_SIZE - 1) / 2];
    vitc_sha256 hash = vitc_sha256_start();
    vitc_sha256_add(&hash, text, size);
    vitc_sha256_finish(hex, &hash);
    for (size_t i = 0; i < sizeof bytes; i++) {
        const char pair[3] = {hex[2 * i], hex[2 * i + 1], 0};
        bytes[i] = (unsigned char)strtoul(pair, NULL, 16);
    }
    put_string(page, "'sha256-");
    put_base64(page, bytes, sizeof bytes);
    put_string(page, "'");
}

int app_html_open(vitc_file_writer *page, const char *path, const char *title, const char *subtitle,
                  const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    size_t style_size, script_size;
    const char *style = app_bundled_style(&style_size);
    const char *script = app_bundled_script(&script_size);
    const vitc_status status = vitc_file_writer_open(page, path, &log);
    if (status != VITC_OK) return app_exit_status(status);
    put_string(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                     "img-src data:; style-src ");
    put_policy_hash(page, style, style_size);
    put_string(page, "; script-src ");
    put_policy_hash(page, script, script_size);
    put_string(page, "; base-uri 'none'; form-action 'none'\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    app_html_put(page, "<meta name=\"generator\" content=\"vitc %s\">\n<title>", vitc_version());
    app_html_text(page, title);
    put_string(page, "</title>\n<style>");
    vitc_file_writer_append(page, style, style_size);
    put_string(page, "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#content\">Skip to the "
                     "content</a>\n<header>\n<h1>");
    app_html_text(page, title);
    put_string(page, "</h1>\n<p>");
    app_html_text(page, subtitle);
    put_string(page, "</p>\n</header>\n<nav id=\"bar\" aria-label=\"Sections\"></nav>\n"
                     "<main id=\"content\">\n");
    return APP_EXIT_DONE;
}

int app_html_close(vitc_file_writer *page, const app_settings *settings)
{
    const vitc_log log = app_log(settings);
    size_t size;
    const char *script = app_bundled_script(&size);
    app_html_put(page, "</main>\n<footer>Made by vitc %s</footer>\n<script>", vitc_version());
    vitc_file_writer_append(page, script, size);
    put_string(page, "</script>\n</body>\n</html>\n");
    return app_exit_status(vitc_file_writer_commit(page, &log));
}
