/* vitc_folder.h - writing a folder of files as one thing (private to vitc).
 *
 *     vitc_folder_writer w;
 *     VITC_TRY(vitc_folder_writer_open(&w, path, log));
 *     ... write files at vitc_path_join(w.temporary, name) ...
 *     VITC_TRY(vitc_folder_writer_commit(&w, log));   // or vitc_folder_writer_abort(&w)
 */
#ifndef VITC_FOLDER_H
#define VITC_FOLDER_H

#include "vitc_base.h"

typedef struct vitc_folder_writer {
    char *path;      /* the final name, without slashes at its end */
    char *temporary; /* the folder that is written into, beside it */
} vitc_folder_writer;

/* VITC_ERR_UNWRITABLE where `path` is anything but missing or an empty folder, or where nothing can
 * be made beside it. The temporary folder has the name of vitc_file_writer_name. */
VITC_MUST_CHECK vitc_status vitc_folder_writer_open(vitc_folder_writer *writer, const char *path,
                                                    const vitc_log *log);
/* Gives the folder its final name, or removes it: VITC_ERR_UNWRITABLE. */
VITC_MUST_CHECK vitc_status vitc_folder_writer_commit(vitc_folder_writer *writer,
                                                      const vitc_log *log);
/* Removes the folder and the files in it. */
void vitc_folder_writer_abort(vitc_folder_writer *writer);

#endif
