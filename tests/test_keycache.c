#include "core/keycache.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/support/run.h"
#include "tests/support/tmp.h"

#define ISSUER	"https://issuer.example/"
#define SET	"{\"keys\":[]}"		/* whether it is a good one is not asked here */

#define NOW	INT64_C(1700000200)

#define SINCE_EVER	((struct bg_keycache_stamp){ 1, 1, 1 })	/* before whatever there is was written */

static const struct bg_keyrecord_owner owner = { ISSUER, "" };

static void
fill(struct bg_keyrecord *record, int64_t fetched)
{
	bg_keyrecord_init(record);
	bg_buf_put_str(&record->text, SET);
	bg_format(record->jwks_uri, sizeof(record->jwks_uri), "https://keys.example/set?a=b");
	bg_format(record->etag, sizeof(record->etag), "W/\"tag\"");
	record->private_peer = true;
	record->fetched = fetched;
	record->lifetime = 600;
	record->failed = 1700000100;
	bg_format(record->error, sizeof(record->error), "status 500");
}

static const char *
record_path(struct bg_test_dir *dir)
{
	static char path[4096];
	struct bg_buf buf;
	struct bg_slice text;

	bg_buf_init(&buf, sizeof(path) - 1);
	ck_assert_int_eq(bg_keycache_path(dir->path, &owner, &buf, NULL), 0);
	ck_assert_int_eq(bg_buf_finish(&buf, &text, NULL), 0);
	snprintf(path, sizeof(path), "%s", text.ptr);
	bg_buf_clear(&buf);
	return path;
}

static void
begin(struct bg_test_dir *dir, int64_t fetched)
{
	struct bg_keyrecord record;
	struct bg_error err = { 0 };

	bg_test_dir_make(dir);
	fill(&record, fetched);
	ck_reason(bg_keycache_write(dir->path, &owner, &record, SINCE_EVER, NOW, &err), err, BG_R_OK, "write");
	bg_keyrecord_clear(&record);
}

/* What reading comes to: the time of the set found, 0 for none; in words what was wrong. */
static int64_t
found(struct bg_test_dir *dir, char words[BG_DETAIL_MAX])
{
	struct bg_keyrecord record;
	struct bg_error err = { 0 };
	int64_t fetched;
	int rc;

	bg_keyrecord_init(&record);
	rc = bg_keycache_read(dir->path, &owner, &record, &err);
	fetched = record.fetched;
	ck_assert_int_eq(rc == 0, err.reason == BG_R_OK);
	if (rc != 0) {
		ck_assert_int_eq(err.reason, BG_R_BAD_CACHE);
		ck_assert_int_eq(fetched, 0);
		ck_assert_uint_eq(record.text.len, 0);
	}
	bg_format(words, BG_DETAIL_MAX, "%s", err.detail);
	bg_keyrecord_clear(&record);
	return fetched;
}

START_TEST(a_record_comes_back_as_it_was)
{
	struct bg_keyrecord record, back;
	struct bg_error err = { 0 };
	struct bg_test_dir dir;
	struct stat st;

	bg_test_dir_make(&dir);
	bg_keyrecord_init(&back);
	ck_reason(bg_keycache_read(dir.path, &owner, &back, &err), err, BG_R_OK, "none yet");
	ck_assert_int_eq(back.fetched, 0);
	fill(&record, 1700000000);
	(void)umask(0177);
	ck_reason(bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, NOW, &err), err, BG_R_OK, "write");
	ck_reason(bg_keycache_read(dir.path, &owner, &back, &err), err, BG_R_OK, "read");
	ck_assert_uint_eq(back.text.len, strlen(SET));
	ck_assert_mem_eq(back.text.data, SET, strlen(SET));
	ck_assert_str_eq(back.jwks_uri, record.jwks_uri);
	ck_assert_str_eq(back.etag, record.etag);
	ck_assert(back.private_peer);
	ck_assert_int_eq(back.fetched, 1700000000);
	ck_assert_int_eq(back.lifetime, 600);
	ck_assert_int_eq(back.failed, 1700000100);
	ck_assert_str_eq(back.error, "status 500");
	ck_assert_int_eq(stat(record_path(&dir), &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644);	/* whatever the umask is */
	/* Another issuer, or another place for its keys, is another record. */
	ck_assert_int_eq(bg_keycache_read(dir.path, &(struct bg_keyrecord_owner){ ISSUER, "https://k.example/" }, &back, &err), 0);
	ck_assert_int_eq(back.fetched, 0);
	bg_keyrecord_clear(&record);
	bg_keyrecord_clear(&back);
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_failure_without_a_set_is_kept_too)
{
	struct bg_keyrecord record;
	struct bg_error err = { 0 };
	struct bg_test_dir dir;

	bg_test_dir_make(&dir);
	bg_keyrecord_init(&record);
	record.failed = 5;
	bg_format(record.error, sizeof(record.error), "an issuer's \n words \x7f");
	ck_reason(bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, NOW, &err), err, BG_R_OK, "write");
	ck_reason(bg_keycache_read(dir.path, &owner, &record, &err), err, BG_R_OK, "read");
	ck_assert_int_eq(record.failed, 5);
	ck_assert_str_eq(record.error, "an issuer's ? words ?");	/* no line of its own in our file */
	bg_keyrecord_clear(&record);
	bg_test_dir_remove(&dir);
}
END_TEST

static size_t
set_length(struct bg_test_dir *dir)
{
	struct bg_keyrecord record;
	size_t len;

	bg_keyrecord_init(&record);
	ck_assert_int_eq(bg_keycache_read(dir->path, &owner, &record, NULL), 0);
	len = record.text.len;
	bg_keyrecord_clear(&record);
	return len;
}

START_TEST(what_was_fetched_later_stays)
{
	struct bg_keycache_stamp before;
	char words[BG_DETAIL_MAX];
	struct bg_keyrecord record;
	struct bg_error err = { 0 };
	struct bg_test_dir dir;

	begin(&dir, 2000);
	fill(&record, 1999);
	ck_reason(bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, NOW, &err), err, BG_R_OK, "older");
	ck_assert_int_eq(found(&dir, words), 2000);
	record.fetched = 2001;
	ck_reason(bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, NOW, &err), err, BG_R_OK, "newer");
	ck_assert_int_eq(found(&dir, words), 2001);
	/* of two in one second that were under way at one time, the first to be there stays */
	bg_buf_reset(&record.text);
	bg_buf_put_str(&record.text, "{ }");
	ck_reason(bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, NOW, &err), err, BG_R_OK, "in the same second");
	ck_assert_uint_eq(set_length(&dir), strlen(SET));
	/* but where nobody has written since the fetch began, it brought the newer one, whatever clocks say */
	before = bg_keycache_stamp(dir.path, &owner);
	ck_reason(bg_keycache_write(dir.path, &owner, &record, before, NOW, &err), err, BG_R_OK, "in the same second, later");
	ck_assert_uint_eq(set_length(&dir), 3);
	record.fetched = 1900;
	ck_reason(bg_keycache_write(dir.path, &owner, &record, before, NOW, &err), err, BG_R_OK, "with a stamp of before");
	ck_assert_int_eq(found(&dir, words), 2001);
	before = bg_keycache_stamp(dir.path, &owner);
	ck_reason(bg_keycache_write(dir.path, &owner, &record, before, NOW, &err), err, BG_R_OK, "with the stamp of now");
	ck_assert_int_eq(found(&dir, words), 1900);
	record.fetched = 2001;
	ck_reason(bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, NOW, &err), err, BG_R_OK, "newer again");
	/* the clock was set back: what is there came before, whatever it says */
	record.fetched = 1500;
	record.failed = 0;
	record.error[0] = '\0';
	ck_reason(bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, 1500, &err), err, BG_R_OK, "after the clock was set back");
	ck_assert_int_eq(found(&dir, words), 1500);
	bg_keyrecord_clear(&record);
	bg_test_dir_remove(&dir);
}
END_TEST

/* Each byte of a record changed, and the record cut off at each: none of these is believed, nor crashes the reader. */
START_TEST(a_damaged_record_is_refused)
{
	struct bg_keyrecord record, back;
	struct bg_slice bytes;
	struct bg_buf out;
	char copy[2048];

	fill(&record, 1700000000);
	bg_keyrecord_init(&back);
	bg_buf_init(&out, sizeof(copy));
	bg_keyrecord_write(&record, &owner, &out);
	ck_assert_int_eq(bg_buf_finish(&out, &bytes, NULL), 0);
	ck_assert_int_eq(bg_keyrecord_read(bytes, &owner, &back, NULL), 0);
	for (size_t i = 0; i < bytes.len; i++) {
		struct bg_error err = { 0 };

		ck_reason(bg_keyrecord_read((struct bg_slice){ bytes.ptr, i }, &owner, &back, &err), err, BG_R_BAD_CACHE, "cut");
		ck_assert_uint_eq(back.text.len, 0);
	}
	for (size_t i = 0; i < bytes.len; i++) {
		const char *changed = memmem(bytes.ptr, bytes.len, "sha256: ", 8);

		/* the set and its digest; the lines before are ours to read, and have their own table */
		if (bytes.ptr + i < changed)
			continue;
		memcpy(copy, bytes.ptr, bytes.len);
		copy[i] = (char)(copy[i] ^ 1);
		ck_assert_int_eq(bg_keyrecord_read((struct bg_slice){ copy, bytes.len }, &owner, &back, NULL), -1);
	}
	bg_buf_clear(&out);
	bg_keyrecord_clear(&record);
	bg_keyrecord_clear(&back);
}
END_TEST

#define HEAD	"bearergate-keys 1\nissuer: " ISSUER "\n"
#define TIMES	"fetched: 1\nlifetime: 2\n"
#define DIGEST	"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"	/* of {} */
#define BODY	"length: 2\nsha256: " DIGEST "\n\n{}"

static const struct { const char *name, *text, *words; } records[] = {
	{ "good", HEAD TIMES BODY, NULL },
	{ "nothing", "", "does not begin" },
	{ "another version", "bearergate-keys 2\nissuer: " ISSUER "\n" TIMES BODY, "does not begin" },
	{ "zeros, as a disk leaves them", "\0\0\0\0\0\0\0\0", "does not begin" },
	{ "another issuer", "bearergate-keys 1\nissuer: https://evil.example/\n" TIMES BODY, "another issuer" },
	{ "another source", HEAD "source: https://k.example/\n" TIMES BODY, "another issuer" },
	{ "no times", HEAD BODY, "missing or not in its place" },
	{ "twice", HEAD "fetched: 1\n" TIMES BODY, "missing or not in its place" },
	{ "another order", HEAD "lifetime: 2\nfetched: 1\n" BODY, "missing or not in its place" },
	{ "unknown", HEAD TIMES "length: 2\nsha256: " DIGEST "\nx: y\n\n{}", "unknown" },
	{ "no end", HEAD TIMES "length: 2\n", "no end" },
	{ "a bad jwks_uri", HEAD "jwks_uri: http://k.example/\n" TIMES BODY, "jwks_uri" },
	{ "a bad address", HEAD "address: public\n" TIMES BODY, "address" },
	{ "a control character in etag", HEAD "etag: \"\t\"\n" TIMES BODY, "etag" },
	{ "a negative time", HEAD "fetched: -1\nlifetime: 2\n" BODY, "time" },
	{ "a time that overflows", HEAD "fetched: 99999999999999999999\nlifetime: 2\n" BODY, "time" },
	{ "a time with a zero in front", HEAD "fetched: 01\nlifetime: 2\n" BODY, "time" },
	{ "another length", HEAD TIMES "length: 3\nsha256: " DIGEST "\n\n{}", "as long as it says" },
	{ "another digest", HEAD TIMES "length: 2\nsha256: 44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8b\n\n{}",
	    "was changed" },
	{ "a failure at no time", HEAD TIMES "failed: 0\nerror: x\n" BODY, "error without a time" },
	{ "an error without a time", HEAD TIMES "error: x\n" BODY, "error without a time" },
	{ "a set without a time", HEAD "fetched: 0\nlifetime: 2\n" BODY, "set without a time" },
};

START_TEST(nothing_but_a_whole_record_is_taken)
{
	struct bg_slice text = bg_slice_str(records[_i].text);
	struct bg_error err = { 0 };
	struct bg_keyrecord record;

	if (text.len == 0 && _i == 3)
		text.len = 8;
	bg_keyrecord_init(&record);
	ck_reason(bg_keyrecord_read(text, &owner, &record, &err), err, records[_i].words == NULL ? BG_R_OK : BG_R_BAD_CACHE,
	    records[_i].name);
	ck_assert_msg(records[_i].words == NULL || strstr(err.detail, records[_i].words) != NULL, "%s: %s", records[_i].name,
	    err.detail);
	bg_keyrecord_clear(&record);
}
END_TEST

/* Whoever may write to file or directory could have put keys there. */
START_TEST(modes_kinds_and_owners_are_looked_at)
{
	char words[BG_DETAIL_MAX], other[4096];
	struct bg_test_dir dir;
	const char *path;

	begin(&dir, 1000);
	path = record_path(&dir);
	ck_assert_int_eq(chmod(path, 0664), 0);
	ck_assert_int_eq(found(&dir, words), 0);
	ck_assert_ptr_nonnull(strstr(words, "may be written to"));
	ck_assert_int_eq(chmod(path, 0646), 0);
	ck_assert_int_eq(found(&dir, words), 0);
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(found(&dir, words), 1000);
	ck_assert_int_eq(chmod(dir.path, 0777), 0);
	ck_assert_int_eq(found(&dir, words), 0);
	ck_assert_ptr_nonnull(strstr(words, "may be written to"));
	ck_assert_int_eq(chmod(dir.path, 0755), 0);
	ck_assert_int_eq(found(&dir, words), 1000);

	snprintf(other, sizeof(other), "%s/other", dir.path);
	ck_assert_int_eq(rename(path, other), 0);
	ck_assert_int_eq(symlink("other", path), 0);	/* a link leads wherever its maker likes */
	ck_assert_int_eq(found(&dir, words), 0);
	ck_assert_str_ne(words, "");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkfifo(path, 0600), 0);	/* and who opens this one waits */
	ck_assert_int_eq(found(&dir, words), 0);
	ck_assert_ptr_nonnull(strstr(words, "not a regular file"));
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(rename(other, path), 0);
	ck_assert_int_eq(truncate(path, (off_t)BG_FETCH_MAX * 2), 0);
	ck_assert_int_eq(found(&dir, words), 0);
	ck_assert_ptr_nonnull(strstr(words, "larger than any record"));
	if (geteuid() == 0) {	/* only root can make what belongs to others */
		ck_assert_int_eq(truncate(path, 0), 0);
		ck_assert_int_eq(chown(path, 65534, 65534), 0);
		ck_assert_int_eq(found(&dir, words), 0);
		ck_assert_ptr_nonnull(strstr(words, "belongs to somebody else"));
		ck_assert_int_eq(chown(dir.path, 65534, 65534), 0);
		ck_assert_int_eq(found(&dir, words), 0);
		ck_assert_ptr_nonnull(strstr(words, "belongs to somebody else"));
		ck_assert_int_eq(chown(dir.path, 0, 0), 0);
	}
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_directory_that_is_none_is_told)
{
	struct bg_test_dir dir = { .path = "/nonexistent/cache" };
	char words[BG_DETAIL_MAX];

	ck_assert_int_eq(found(&dir, words), 0);
	ck_assert_str_eq(words, "/nonexistent/cache: No such file or directory");
}
END_TEST

START_TEST(another_process_that_keeps_the_lock_does_not_keep_us)
{
	struct bg_keyrecord record;
	struct bg_error err = { 0 };
	struct bg_test_dir dir;
	char words[BG_DETAIL_MAX];
	struct stat st;
	int fd, dir_fd;

	begin(&dir, 1000);
	/* who may only read the directory cannot hold it up */
	dir_fd = open(dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(flock(dir_fd, LOCK_EX), 0);
	fd = open(bg_test_file(&dir, "lock"), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fstat(fd, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
	ck_assert_int_eq(flock(fd, LOCK_EX), 0);
	fill(&record, 2000);
	ck_reason(bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, NOW, &err), err, BG_R_BAD_CACHE, "locked");
	ck_assert_int_eq(found(&dir, words), 1000);	/* and readers need no lock */
	close(fd);
	close(dir_fd);
	bg_error_clear(&err);
	ck_reason(bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, NOW, &err), err, BG_R_OK, "free again");
	ck_assert_int_eq(found(&dir, words), 2000);
	bg_keyrecord_clear(&record);
	bg_test_dir_remove(&dir);
}
END_TEST

/* Two write, one is killed again and again at any moment: whoever reads always finds a whole record, and never an older one. */
START_TEST(a_writer_that_is_killed_leaves_a_whole_record)	/* SR-91 */
{
	char words[BG_DETAIL_MAX];
	struct bg_test_dir dir;
	int64_t last = 1;

	begin(&dir, 1);
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0) {
			struct bg_keyrecord record;

			fill(&record, last);
			for (;; record.fetched++)
				if (bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, NOW, NULL) != 0)
					_exit(1);
		}
		/* until it has written something, and then a little longer by chance */
		for (int64_t at = last; at == last;) {
			at = found(&dir, words);
			ck_assert_msg(at >= last, "%s", words);
			last = at > last ? at : last;
			if (at > 1)
				break;
		}
		for (int reads = i % 7; reads > 0; reads--)
			ck_assert_msg(found(&dir, words) >= last, "%s", words);
		ck_assert_int_eq(kill(pid, SIGKILL), 0);
		ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
		last = found(&dir, words);
		ck_assert_msg(last > 0, "%s", words);
	}
	bg_test_dir_remove(&dir);
}
END_TEST

START_TEST(a_full_disk_leaves_what_there_was)
{
	struct bg_keyrecord record;
	struct bg_error err = { 0 };
	char words[BG_DETAIL_MAX];
	struct bg_test_dir dir;
	pid_t pid;
	int status;

	begin(&dir, 1000);
	/* A limit on the size of files fails a write in the middle as a full disk does; in a process of its own, to be over then. */
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct rlimit limit = { 64, 64 };

		signal(SIGXFSZ, SIG_IGN);
		if (setrlimit(RLIMIT_FSIZE, &limit) != 0)
			_exit(1);
		fill(&record, 2000);
		_exit(bg_keycache_write(dir.path, &owner, &record, SINCE_EVER, NOW, &err) == -1 && err.reason == BG_R_BAD_CACHE ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(found(&dir, words), 1000);
	bg_test_dir_remove(&dir);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("keycache");
	TCase *tc = tcase_create("keycache");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, a_record_comes_back_as_it_was);
	tcase_add_test(tc, a_failure_without_a_set_is_kept_too);
	tcase_add_test(tc, what_was_fetched_later_stays);
	tcase_add_test(tc, a_damaged_record_is_refused);
	tcase_add_loop_test(tc, nothing_but_a_whole_record_is_taken, 0, N(records));
	tcase_add_test(tc, modes_kinds_and_owners_are_looked_at);
	tcase_add_test(tc, a_directory_that_is_none_is_told);
	tcase_add_test(tc, another_process_that_keeps_the_lock_does_not_keep_us);
	tcase_add_test(tc, a_writer_that_is_killed_leaves_a_whole_record);
	tcase_add_test(tc, a_full_disk_leaves_what_there_was);
	suite_add_tcase(suite, tc);
	return bg_test_run(suite);
}
