/* vitc_zlib.h - what vitc takes from zlib: CRC-32, and files that may be gzip, read in order
 * (private to vitc). */
#ifndef VITC_ZLIB_H
#define VITC_ZLIB_H

#include <stdbool.h>

#include "vitc_base.h"

/* The CRC-32 of PNG, gzip and zip. */
uint32_t vitc_crc32(const void *data, size_t size);

/* A file that is read from its beginning to its end and may be gzip, which its first bytes decide:
 * then what is read is what was compressed, of all members one after the other, with each one's
 * check sum and length verified. */
typedef struct vitc_stream vitc_stream;

/* A regular file or a pipe; anything else, or nothing there, is VITC_ERR_UNREADABLE. Opening a FIFO
 * waits for its writer. `path` is kept for messages. */
VITC_MUST_CHECK vitc_status vitc_stream_open(vitc_stream **stream, const char *path,
                                             const vitc_log *log);
void vitc_stream_close(vitc_stream *stream);

/* Compressed, or a pipe: to pass over bytes is to read them. */
bool vitc_stream_is_sequential(const vitc_stream *stream);

/* Reads `size` bytes, fewer only at the end, of which *got says how many. What comes before a fault
 * is given first: VITC_ERR_UNREADABLE (a read failed), VITC_ERR_TRUNCATED and VITC_ERR_CORRUPT (of
 * gzip) come with the next call, and with every one after it. */
VITC_MUST_CHECK vitc_status vitc_stream_read(size_t *got, vitc_stream *stream, void *data,
                                             size_t size, const vitc_log *log);
/* Passes over `size` bytes, fewer only at the end. */
VITC_MUST_CHECK vitc_status vitc_stream_skip(uint64_t *skipped, vitc_stream *stream, uint64_t size,
                                             const vitc_log *log);

#endif
