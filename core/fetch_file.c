#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fetch.h"
#include "core/limits.h"

/* fd is a regular file; one that grows while it is read ends at the ceiling. */
static int
read_all(int fd, const char *path, struct bg_buf *body, struct bg_error *err)
{
	char chunk[16 * 1024];
	ssize_t n;

	for (;;) {
		n = read(fd, chunk, sizeof(chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return bg_fail(err, BG_R_FETCH_FAILED, "%s: %m", path);
		if (n == 0)
			return 0;
		bg_buf_put(body, (struct bg_slice){ chunk, (size_t)n });
		if (body->failed || body->len > BG_FETCH_MAX)
			return bg_fail(err, BG_R_FETCH_FAILED, "%s: larger than %zu bytes", path,
			    body->max < BG_FETCH_MAX ? body->max : (size_t)BG_FETCH_MAX);
	}
}

static int
get(const struct bg_fetcher *self, const struct bg_fetch_request *request, struct bg_buf *body,
    struct bg_fetch_meta *meta, struct bg_error *err)
{
	const char *path = request->location;
	struct stat st;
	int fd, rc = -1;

	(void)self;	/* nor request->timeout: a regular file does not keep one waiting; what does is refused */
	*meta = (struct bg_fetch_meta){ .max_age = -1 };
	bg_buf_reset(body);
	/* O_NONBLOCK: a named pipe must not hold us in open(2) before we see that it is one. */
	if ((fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK)) == -1)
		return bg_fail(err, BG_R_FETCH_FAILED, "%s: %m", path);
	if (fstat(fd, &st) != 0)
		bg_fail(err, BG_R_FETCH_FAILED, "%s: %m", path);
	else if (!S_ISREG(st.st_mode))
		bg_fail(err, BG_R_FETCH_FAILED, "%s: not a regular file", path);
	else if ((st.st_mode & S_IWOTH) != 0)	/* who can write keys can write tokens */
		bg_fail(err, BG_R_FETCH_FAILED, "%s: may be written to by everybody", path);
	else if (read_all(fd, path, body, err) == 0)
		rc = 0;
	close(fd);
	return rc;
}

const struct bg_fetcher bg_fetch_file = { .get = get };
