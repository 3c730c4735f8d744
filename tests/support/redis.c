#include "tests/support/redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "core/buf.h"
#include "core/clock.h"

#define PATIENCE_MS	20000

bool
bg_test_redis_found(void)
{
	const char *path = getenv("PATH");
	char name[4096];
	size_t len;

	for (; path != NULL && path[0] != '\0'; path += len + (path[len] != '\0')) {
		len = strcspn(path, ":");
		bg_format(name, sizeof(name), "%.*s/redis-server", (int)len, path);
		if (access(name, X_OK) == 0)
			return true;
	}
	return false;
}

int
bg_test_free_port(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(addr);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert(fd != -1 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&addr, &len) == 0);
	close(fd);
	return ntohs(addr.sin_port);
}

/* A key in a file, and a certificate that vouches for itself. */
static void
make_cert(const char *key_file, const char *cert_file, const char *names)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = X509_new();
	X509_EXTENSION *extension;
	X509V3_CTX ctx;
	FILE *file;

	ck_assert(key != NULL && cert != NULL);
	ck_assert_int_eq(X509_set_version(cert, X509_VERSION_3), 1);
	ck_assert_int_eq(ASN1_INTEGER_set(X509_get_serialNumber(cert), 1), 1);
	ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notBefore(cert), -3600));
	ck_assert_ptr_nonnull(X509_gmtime_adj(X509_getm_notAfter(cert), 86400));
	ck_assert_int_eq(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
	    (const unsigned char *)"bearergate test redis", -1, -1, 0), 1);
	ck_assert_int_eq(X509_set_issuer_name(cert, X509_get_subject_name(cert)), 1);
	ck_assert_int_eq(X509_set_pubkey(cert, key), 1);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	extension = X509V3_EXT_nconf_nid(NULL, &ctx, NID_subject_alt_name, names);
	ck_assert_ptr_nonnull(extension);
	ck_assert_int_eq(X509_add_ext(cert, extension, -1), 1);
	X509_EXTENSION_free(extension);
	ck_assert_int_gt(X509_sign(cert, key, EVP_sha256()), 0);
	file = fopen(key_file, "we");
	ck_assert(file != NULL && PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0);
	file = fopen(cert_file, "we");
	ck_assert(file != NULL && PEM_write_X509(file, cert) == 1 && fclose(file) == 0);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static int
dial(const struct bg_test_redis *redis)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	ck_assert_int_ne(fd, -1);
	ck_assert_uint_lt(strlen(redis->socket), sizeof(addr.sun_path));
	bg_format(addr.sun_path, sizeof(addr.sun_path), "%.*s", (int)sizeof(addr.sun_path) - 1, redis->socket);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* False when it is gone, or its port is somebody else's. */
static bool
try_start(struct bg_test_redis *redis, const char *tls_name, const char *const args[])
{
	char port[16], tls_port[16], key[1100], log[1100];
	const char *argv[64] = { "redis-server", "--port", port, "--bind", "127.0.0.1", "--unixsocket", redis->socket, "--save", "",
		"--appendonly", "no", "--dir", redis->dir.path, "--logfile", log };
	int64_t until = bg_clock_mono_ms() + PATIENCE_MS;
	int n = 15, fd, status;

	bg_format(port, sizeof(port), "%d", redis->port);
	bg_format(tls_port, sizeof(tls_port), "%d", redis->tls_port);
	bg_format(log, sizeof(log), "%.1000s/log", redis->dir.path);
	bg_format(key, sizeof(key), "%.1000s/key.pem", redis->dir.path);
	if (tls_name != NULL) {
		const char *const tls[] = { "--tls-port", tls_port, "--tls-cert-file", redis->cert, "--tls-key-file", key,
			"--tls-ca-cert-file", redis->cert, "--tls-auth-clients", "no" };

		if (access(key, F_OK) != 0)
			make_cert(key, redis->cert, tls_name);
		memcpy(argv + n, tls, sizeof(tls));
		n += 10;
	}
	for (; args != NULL && *args != NULL && n < 63; args++)
		argv[n++] = *args;
	argv[n] = NULL;
	if ((redis->pid = fork()) == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	ck_assert_int_gt(redis->pid, 0);
	while ((fd = dial(redis)) == -1) {
		if (waitpid(redis->pid, &status, WNOHANG) == redis->pid) {
			redis->pid = 0;
			return false;
		}
		ck_assert_msg(bg_clock_mono_ms() < until, "redis-server does not start");
		(void)poll(NULL, 0, 5);
	}
	close(fd);
	return true;
}

void
bg_test_redis_start(struct bg_test_redis *redis, const char *tls_name, const char *const args[])
{
	bool kept = redis->port != 0;

	if (!kept) {
		bg_test_dir_make(&redis->dir);
		bg_format(redis->socket, sizeof(redis->socket), "%.1000s/socket", redis->dir.path);
		bg_format(redis->cert, sizeof(redis->cert), "%.1000s/cert.pem", redis->dir.path);
	}
	for (int i = 0; i < 10; i++) {
		if (!kept) {
			redis->port = bg_test_free_port();
			redis->tls_port = tls_name != NULL ? bg_test_free_port() : 0;
		}
		if (try_start(redis, tls_name, args))
			return;
	}
	ck_abort_msg("redis-server does not start");
}

void
bg_test_redis_stop(struct bg_test_redis *redis)
{
	int status;

	if (redis->pid == 0)
		return;
	ck_assert_int_eq(kill(redis->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(redis->pid, &status, 0), redis->pid);
	redis->pid = 0;
	(void)unlink(redis->socket);
}

void
bg_test_redis_end(struct bg_test_redis *redis)
{
	bg_test_redis_stop(redis);
	bg_test_dir_remove(&redis->dir);
}

void
bg_test_redis_tell(const struct bg_test_redis *redis, const char *lines, const char *wanted)
{
	int fd = dial(redis);
	struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	char answer[4096] = "";
	size_t len = 0;
	ssize_t n = 1;

	ck_assert_int_ne(fd, -1);
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
	ck_assert_int_eq(write(fd, lines, strlen(lines)), (ssize_t)strlen(lines));
	while (strstr(answer, wanted) == NULL && n > 0) {
		if ((n = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0)
			len += (size_t)n;
		answer[len] = '\0';
	}
	close(fd);
	ck_assert_msg(strstr(answer, wanted) != NULL, "%s: %s", lines, answer);
}
