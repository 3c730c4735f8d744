/*
 * Stands in for libFuzzer's main where a fuzz target is built without it: runs the target once over every file of the
 * corpus folders named on the command line, and ends with an error when there was none.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned
replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat st;
	uint8_t *data;
	size_t size;

	if (file == NULL || fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode)) {
		if (file != NULL)
			fclose(file);
		return 0;
	}
	size = (size_t)st.st_size;
	/* exactly as large as the input, so that a sanitizer sees one byte too many */
	if ((data = malloc(size > 0 ? size : 1)) == NULL || fread(data, 1, size, file) != size) {
		fprintf(stderr, "replay: %s cannot be read\n", path);
		exit(EXIT_FAILURE);
	}
	fclose(file);
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 1;
}

int
main(int argc, char **argv)
{
	unsigned n = 0;

	for (int i = 1; i < argc; i++) {
		DIR *dir = opendir(argv[i]);
		struct dirent *entry;

		while (dir != NULL && (entry = readdir(dir)) != NULL) {
			char path[4096];
			int len = snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);

			if (len > 0 && (size_t)len < sizeof(path))
				n += replay_file(path);
		}
		if (dir != NULL)
			closedir(dir);
	}
	printf("%u inputs replayed\n", n);
	return n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
