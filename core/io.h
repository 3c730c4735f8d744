#ifndef BG_CORE_IO_H
#define BG_CORE_IO_H

#include "core/slice.h"

/* Write all bytes, however often that is interrupted or only done in part.  Returns 0, or -1 with errno. */
int bg_write_all(int fd, struct bg_slice bytes);

#endif
