/* app_npy.h - arrays as NumPy files. */
#ifndef VITC_APP_NPY_H
#define VITC_APP_NPY_H

#include <stddef.h>

#include "vitc_base.h"

/* Writes float32 numbers in NumPy's format, version 1.0, C order, little-endian on every machine.
 * At most 4 dimensions. The file appears complete or not at all. */
VITC_MUST_CHECK vitc_status app_npy_write(const char *path, const float *values,
                                          const size_t *shape, size_t dimensions,
                                          const vitc_log *log);

#endif
