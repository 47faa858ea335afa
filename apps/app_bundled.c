#include "app_bundled.h"

/* The assembler reads the files itself: nothing is generated, and megabytes cost no compile time.
 * Only directives that every ELF target's assembler knows. The labels are global (but hidden), so
 * that link-time optimization, which may put the two halves into different units, finds them. */
#define APP_EMBED(label, path)                                                                     \
    __asm__(".section .rodata\n"                                                                   \
            ".globl " label "\n.hidden " label "\n"                                                \
            ".globl " label "_end\n.hidden " label "_end\n"                                        \
            ".balign 64\n" label ":\n"                                                             \
            ".incbin \"" path "\"\n" label "_end:\n"                                               \
            ".byte 0\n"                                                                            \
            ".text\n")

APP_EMBED("app_embedded_completion", APP_COMPLETION_FILE);
extern const char app_embedded_completion[] __attribute__((visibility("hidden")));
extern const char app_embedded_completion_end[] __attribute__((visibility("hidden")));

const char *app_bundled_completion(size_t *size)
{
    *size = (size_t)(app_embedded_completion_end - app_embedded_completion);
    return app_embedded_completion;
}

APP_EMBED("app_embedded_style", APP_STYLE_FILE);
extern const char app_embedded_style[] __attribute__((visibility("hidden")));
extern const char app_embedded_style_end[] __attribute__((visibility("hidden")));

const char *app_bundled_style(size_t *size)
{
    *size = (size_t)(app_embedded_style_end - app_embedded_style);
    return app_embedded_style;
}

APP_EMBED("app_embedded_script", APP_SCRIPT_FILE);
extern const char app_embedded_script[] __attribute__((visibility("hidden")));
extern const char app_embedded_script_end[] __attribute__((visibility("hidden")));

const char *app_bundled_script(size_t *size)
{
    *size = (size_t)(app_embedded_script_end - app_embedded_script);
    return app_embedded_script;
}

#ifdef APP_MODEL_FILE
APP_EMBED("app_embedded_model", APP_MODEL_FILE);
extern const char app_embedded_model[] __attribute__((visibility("hidden")));
extern const char app_embedded_model_end[] __attribute__((visibility("hidden")));

const void *app_bundled_model(size_t *size)
{
    *size = (size_t)(app_embedded_model_end - app_embedded_model);
    return app_embedded_model;
}
#else
const void *app_bundled_model(size_t *size)
{
    *size = 0;
    return NULL;
}
#endif
