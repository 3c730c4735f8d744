/*
 * To be loaded before a program by LD_PRELOAD: another allocator than libc's, as jemalloc and its like are.  It is libc's with a
 * mark before each piece, and ends the program where a piece that it did not allocate is given to it, or libc would be
 * given one of its own.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PUBLIC	__attribute__((visibility("default")))
#define MARK	UINT64_C(0x6265617265726761)

/* glibc's own, which are in no header. */
extern void *__libc_malloc(size_t size);
extern void __libc_free(void *mem);

struct piece {
	_Alignas(max_align_t) uint64_t mark;
	size_t size;
};

PUBLIC void *
malloc(size_t size)
{
	struct piece *piece = size < SIZE_MAX - sizeof(*piece) ? __libc_malloc(size + sizeof(*piece)) : NULL;

	if (piece == NULL)
		return NULL;
	*piece = (struct piece){ .mark = MARK, .size = size };
	return piece + 1;
}

PUBLIC void
free(void *mem)
{
	struct piece *piece = (struct piece *)mem - 1;

	if (mem == NULL)
		return;
	if (piece->mark != MARK)
		abort();
	piece->mark = 0;
	__libc_free(piece);
}

PUBLIC void *
calloc(size_t n, size_t size)
{
	void *mem = size == 0 || n <= SIZE_MAX / size ? malloc(n * size) : NULL;

	return mem != NULL ? memset(mem, 0, n * size) : NULL;
}

PUBLIC void *
realloc(void *mem, size_t size)
{
	void *grown = malloc(size);

	if (mem != NULL && grown != NULL) {
		size_t old = ((struct piece *)mem - 1)->size;

		memcpy(grown, mem, old < size ? old : size);
		free(mem);
	}
	return grown;
}
