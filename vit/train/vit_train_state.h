/* vit_train_state.h - the state of a training run in one file, from which it goes on as if nothing
 * had happened (private to vit and apps).
 *
 * Random numbers, the order of images and the learning rate are functions of seed and step, so the
 * state is: all parameters, the optimizer's arrays, the number of steps, and a text of the
 * caller's. The file is safetensors: tensors "parameters", "momentum", ..., and the metadata
 * entries vitc.train_state (the version), vitc.train (the caller's text), vitc.steps, vitc.sha256.
 * The last one is of the text and of the steps, each with a NUL behind it, and of the tensors'
 * names, each with its NUL, and bytes, in the order of the file. */
#ifndef VIT_TRAIN_STATE_H
#define VIT_TRAIN_STATE_H

#include "vit_optimizer.h"
#include "vit_train.h"

/* Writes to a temporary file beside `path`, to the disk (fsync), then under its name. The file that
 * was there before, if any, is kept as `previous` (NULL: it is not). VITC_ERR_UNWRITABLE:
 * a full disk for instance; what was there is as it was then. */
VITC_MUST_CHECK vitc_status vit_train_state_write(const char *path, const char *previous,
                                                  vit_trainer *trainer,
                                                  const vit_optimizer *optimizer, const char *text,
                                                  const vitc_log *log);

/* The caller's text of a state, malloc'd: what the trainer and the optimizer to read it into are
 * made from. The whole file is checked first. VITC_ERR_UNREADABLE, VITC_ERR_TRUNCATED,
 * VITC_ERR_CORRUPT where the checksum is another, VITC_ERR_UNSUPPORTED for another kind of file or
 * one of a later version, VITC_ERR_MEMORY. */
VITC_MUST_CHECK vitc_status vit_train_state_text(char **text, const char *path,
                                                 const vitc_log *log);

/* Reads everything back, to the last bit. Failures as above, and VITC_ERR_MODEL where the numbers
 * are of another model or optimizer. The trainer and the optimizer are then as they were. */
VITC_MUST_CHECK vitc_status vit_train_state_read(const char *path, vit_trainer *trainer,
                                                 vit_optimizer *optimizer, const vitc_log *log);

#endif
