#ifndef BG_TESTS_SUPPORT_TMP_H
#define BG_TESTS_SUPPORT_TMP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <check.h>

/* A directory of a test's own, and files in it. */
struct bg_test_dir {
	char path[1024];
	char file[2048];	/* what bg_test_file last returned */
};

static inline void
bg_test_dir_make(struct bg_test_dir *dir)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir->path, sizeof(dir->path), "%s/bearergate-test-XXXXXX", tmp != NULL && tmp[0] != '\0' ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir->path));
}

/* The path of a file in it; borrowed until the next call. */
static inline const char *
bg_test_file(struct bg_test_dir *dir, const char *name)
{
	snprintf(dir->file, sizeof(dir->file), "%s/%s", dir->path, name);
	return dir->file;
}

static inline void
bg_test_file_write(struct bg_test_dir *dir, const char *name, const char *text, size_t len)
{
	FILE *file = fopen(bg_test_file(dir, name), "we");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(text, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
}

/* With the files in it; a directory in it must have gone before. */
static inline void
bg_test_dir_remove(struct bg_test_dir *dir)
{
	DIR *list = opendir(dir->path);
	struct dirent *entry;

	ck_assert_ptr_nonnull(list);
	while ((entry = readdir(list)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)unlink(bg_test_file(dir, entry->d_name));
	closedir(list);
	ck_assert_int_eq(rmdir(dir->path), 0);
}

#endif
