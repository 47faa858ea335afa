#include "app_npy.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "vitc_file.h"
#include "vitc_log.h"
#include "vitc_size.h"

/* Magic, length of the header, a Python dict, padding to 64. */
vitc_status app_npy_write(const char *path, const float *values, const size_t *shape,
                          size_t dimensions, const vitc_log *log)
{
    static const char magic[8] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0};
    char sides[100] = "", dict[160], header[256];
    size_t count = 1, length = 0;
    for (size_t i = 0; i < dimensions; i++) {
        count *= shape[i];
        length += (size_t)snprintf(sides + length, sizeof sides - length, "%s%zu",
                                   i > 0 ? ", " : "", shape[i]);
    }
    const int used =
        snprintf(dict, sizeof dict, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s%s), }",
                 sides, dimensions == 1 ? "," : "");
    const size_t total = vitc_size_round_up(10 + (size_t)used + 1, 64);
    memset(header, ' ', sizeof header);
    memcpy(header, magic, sizeof magic);
    header[8] = (char)((total - 10) & 0xFF);
    header[9] = (char)((total - 10) >> 8);
    memcpy(header + 10, dict, (size_t)used);
    header[total - 1] = '\n';

    vitc_file_writer writer;
    VITC_TRY(vitc_file_writer_open(&writer, path, log));
    vitc_file_writer_append(&writer, header, total);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        const unsigned char bytes[4] = {(unsigned char)bits, (unsigned char)(bits >> 8),
                                        (unsigned char)(bits >> 16), (unsigned char)(bits >> 24)};
        vitc_file_writer_append(&writer, bytes, sizeof bytes);
    }
    return vitc_file_writer_commit(&writer, log);
}
