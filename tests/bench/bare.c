#include <stdio.h>
#include <unistd.h>

/*
 * The floor of what a wrapper costs: a program of libc that does nothing but execute another one.
 *
 *	bare PROGRAM
 */
int
main(int argc, char **argv)
{
	if (argc != 2) {
		(void)fputs("usage: bare PROGRAM\n", stderr);
		return 2;
	}
	execv(argv[1], argv + 1);
	perror(argv[1]);
	return 1;
}
