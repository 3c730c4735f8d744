#include "core/io.h"

#include <errno.h>
#include <unistd.h>

int
bg_write_all(int fd, struct bg_slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;	/* for which no system has a reason */
		if (n <= 0)
			return -1;
		bytes = bg_slice_skip(bytes, (size_t)n);
	}
	return 0;
}
