/* app_classes.h - which class of the model each class of a set is: by name, never by its number. */
#ifndef VITC_APP_CLASSES_H
#define VITC_APP_CLASSES_H

#include "app_options.h"
#include "datasets.h"
#include "vit.h"

/* What the options say of a labelled set: its part, the names of its classes. */
datasets_options app_classes_options(const app_settings *settings);

typedef struct app_classes app_classes;

/* Matches every class of the set to a label of the model: by the file of --map, else exactly, else
 * but for upper and lower case and what stands between words (_ - space), else by one of the
 * label's synonyms ("tench, Tinca tinca"). Classes without a label, or with several, and two
 * classes for one label that no map asked for, end it with messages that show how the two lists
 * differ. Labels without a class are fine. `set` and `model` must outlive the result.
 *
 * A line of the map is "class of the data, TAB or comma, label of the model"; a comma after the
 * first, or after a TAB, belongs to the label. #7 is the label with that number, for models that
 * have two of one name. APP_EXIT_DONE, or another exit status after a message. */
int app_classes_match(app_classes **classes, const datasets_set *set, const vit_model *model,
                      const app_settings *settings);
void app_classes_free(app_classes *classes);

/* The model's class for a label of the set: also for one that came after the matching (compressed
 * tar files): APP_EXIT_DONE, or an exit status after the same messages. */
int app_classes_label(uint32_t *index, app_classes *classes, int64_t label);

/* The same for one name, such as a folder's, without messages: false when none or several fit. */
bool app_classes_find(uint32_t *index, const vit_model *model, const char *name);

/* Warns of classes of these images that a slip made two: "Cat" and "cat ". APP_EXIT_DONE, or an
 * exit status after a message. */
int app_classes_warn_alike(const datasets_index *index);

#endif
