/* app_classes.h - which class of the model each class of a set is: by name, never by its number. */
#ifndef VITC_APP_CLASSES_H
#define VITC_APP_CLASSES_H

#include "app_options.h"
#include "datasets.h"
#include "vit.h"

typedef struct app_classes app_classes;

/* Matches every class of the set to a label of the model: by the file of --map (lines "class of the
 * data, TAB or comma, label of the model"), else exactly, else but for upper and lower case and
 * what stands between words (_ - space), else by one of the label's synonyms ("tench, Tinca
 * tinca"). Classes without a label, and two classes for one label, end it with a message that shows
 * both lists' differences. Labels without a class are fine, and counted. */
int app_classes_match(app_classes **classes, const datasets_set *set, const vit_model *model,
                      const app_settings *settings);
void app_classes_free(app_classes *classes);

/* The model's class for a label of the set: also for one that came after the matching (compressed
 * tar files): APP_EXIT_DONE, or an exit status after the same message. */
int app_classes_label(uint32_t *index, app_classes *classes, int64_t label);

/* The same for one name, such as a folder's, without messages: false when none or several fit. */
bool app_classes_find(uint32_t *index, const vit_model *model, const char *name);

#endif
