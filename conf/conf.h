#ifndef BG_CONF_CONF_H
#define BG_CONF_CONF_H

#include <stdint.h>
#include <sys/types.h>

#include "core/gate.h"
#include "core/log.h"

/* The configuration as plain data: what was said, checked and completed, and nothing else.  All text is owned. */
struct bg_conf_issuer {
	char   *name;		/* the issuer, exactly as iss must be */
	char   *said_at;	/* "FILE:LINE" or "environment": for messages */
	char  **audience;
	size_t  n_audience;
	bool    any_audience;	/* audience = "none" */
	char  **algorithms;
	size_t  n_algorithms;
	char   *require_typ;	/* NULL when not said */
	char   *jwks_uri;	/* NULL when not said */
	char   *jwks_file;	/* NULL when not said */
};

/*
 * A condition, or several: what core/rule.h knows, with patterns and names as text.
 * A claim block with several conditions is ALL with a claim.  REF has names of policies in values, all to be met.
 */
struct bg_conf_rule {
	enum bg_rule_kind    kind;
	char                *claim;
	char               **values;
	size_t               n_values;
	struct bg_conf_rule *rules;
	size_t               n_rules;
};

struct bg_conf_policy {
	char               *name;
	char               *said_at;
	struct bg_conf_rule rule;	/* ALL; REF in it names policies before this one */
};

struct bg_conf_location {
	char               *path;
	char               *said_at;
	char              **methods;	/* none: all */
	size_t              n_methods;
	bool                says_auth;
	enum bg_auth        auth;
	struct bg_conf_rule rule;	/* ALL, perhaps of nothing */
};

struct bg_conf_site {
	char   *host;
	char   *said_at;
	char  **issuers;	/* names, those of its domains among them */
	size_t  n_issuers;
};

struct bg_conf_export {
	char            *claim;
	char            *said_at;	/* NULL: exported by default */
	char            *as;		/* the name of the variable, also where none was said */
	char            *join;		/* NULL when not said */
	enum bg_encoding encoding;
};

enum bg_compat { BG_COMPAT_NONE, BG_COMPAT_AUTH0 };

struct bg_conf {
	struct bg_conf_issuer *issuers;
	size_t   n_issuers;
	struct bg_conf_policy   *policies;
	size_t   n_policies;
	struct bg_conf_location *locations;
	size_t   n_locations;
	struct bg_conf_site     *sites;
	size_t   n_sites;
	struct bg_conf_export   *exports;	/* all, the default ones first */
	size_t   n_exports;
	char    *realm;
	int64_t  leeway;		/* this and all times below in seconds */
	int      missing_status;	/* 401 or 400 */
	enum bg_compat compat;
	bool     preflight;
	char    *user_claim;
	bool     export_defaults;
	bool     export_json;
	char    *ca_file;		/* NULL, with ca_dir NULL too: the system's authorities */
	char    *ca_dir;
	char    *proxy;			/* NULL: none */
	char    *cache_dir;		/* where key sets are kept; NULL: nowhere */
	int64_t  fetch_timeout;
	int64_t  cache_ttl_min;
	int64_t  cache_ttl_max;
	int64_t  stale_if_error;
	int64_t  refresh_cooldown;
	/* bound tokens: see core/proof.h for what the times mean */
	enum bg_dpop_mode dpop;
	char   **dpop_algorithms;
	size_t   n_dpop_algorithms;
	int64_t  dpop_iat_offset;
	int64_t  dpop_iat_leeway;
	int      dpop_error_status;	/* 400 or 401 */
	bool     dpop_nonce;		/* required */
	char    *dpop_nonce_key_file;	/* NULL when not said */
	unsigned char *nonce_key;	/* what it held, wiped when freed; NULL where no nonces are wanted */
	size_t   nonce_key_len;
	int64_t  dpop_nonce_window;
	char    *public_url;		/* in the normal form of core/htu.h without a slash at its end; NULL when not said */
	char   **trusted_proxies;	/* addresses, networks, "unix" */
	size_t   n_trusted_proxies;
	bool     trust_proxy;		/* all of them */
	char    *replay;		/* the store; NULL: private to this process, or none with BG_DPOP_DISABLED */
	char    *replay_password;	/* for Redis, from the file too, wiped when freed; NULL: none */
	char    *replay_password_file;	/* NULL when not said */
	char    *replay_ca_file;	/* NULL, with replay_ca_dir NULL too: the system's authorities */
	char    *replay_ca_dir;
	int64_t  replay_timeout;
	int      replay_max_proofs;	/* in LMDB */
	bool     replay_on_error;	/* allow */
	char   **listen;		/* addresses as after -l */
	size_t   n_listen;
	char    *listen_owner;		/* names or numbers as in core/account.h; NULL when not said */
	char    *listen_group;
	int      listen_mode;		/* permission bits */
	int      listen_backlog;
	char   **listen_allowed_clients;	/* "user:NAME", "group:NAME", "unix", addresses, networks; none: see fcgi/peers.h */
	size_t   n_listen_allowed_clients;
	char    *user;			/* NULL when not said */
	char    *group;
	int      threads;		/* 0: see bg_conf_threads */
	int      token_cache;		/* tokens; 0: none */
	char    *log;			/* "stderr", "syslog" as in core/log.h, or the path of a file */
	enum bg_log_level log_level;
	enum bg_log_format log_format;
	bool     log_decisions;		/* denials alone */
	int      log_rate;		/* 0: no limit */
	/* of the CGI wrapper, see cgi/ask.h and cgi/script.h */
	char    *daemon;		/* "unix:/PATH"; then all that is not for the wrapper is unset.  NULL: it decides by itself */
	int64_t  daemon_timeout;
	char    *daemon_user;		/* NULL when not said */
	uid_t    daemon_uid;		/* who that is; (uid_t)-1 where none was said */
	char    *script;		/* NULL when not said */
	char    *script_root;		/* NULL when not said */
	char    *script_owner;		/* NULL when not said */
	uid_t    script_uid;		/* who that is; 0: root, as where none was said */
	bool     pass_credentials;
};

/* Where text may come from.  Any member may be NULL. */
struct bg_conf_sources {
	const char  *file;		/* -c; when NULL, BEARERGATE_CONFIG of the environment or the env file */
	const char  *env_file;		/* --env-file */
	char *const *environ;		/* the process's own: libConfuse asks getenv(3) for the ${NAME} in a file */
	bool         guarded;		/* in a CGI program: refuse a file that belongs neither to this user nor to root, or that others
					   can write to, and a ${NAME} that is a variable of the request */
};

/*
 * Read, check and complete a configuration.  Precedence: the file, then the environment, then the env file.
 * report receives text for people, one line each, "FILE:LINE: what is wrong; what was expected": the first error, and
 * remarks ("FILE:LINE: remark: ...") on success too.  It may hold text of the file, escaped.
 * Returns 0, or the exit code of sysexits(3) that fits: EX_NOINPUT for a file that cannot be read, EX_CONFIG for what
 * is wrong in it, EX_OSERR when memory is short; *out is then NULL.  *out belongs to the caller: bg_conf_free.
 * Not for two threads at once: libConfuse's scanner has one state.
 */
int bg_conf_load(struct bg_conf **out, const struct bg_conf_sources *from, struct bg_buf *report) BG_MUST_CHECK;

/* The threads that decide: as many as were said, else one for each processor, and at least four. */
int bg_conf_threads(const struct bg_conf *conf);

void bg_conf_free(struct bg_conf *conf);	/* NULL is fine */

/*
 * The effective configuration, in the syntax of the file and with every default written out; for "bearergate check".
 * bg_conf_load reads it back to the same configuration, but where there is a replay_password: BG_CONF_MASK stands in its
 * place, which bg_conf_load refuses, so that nobody takes what was printed for the whole.
 *
 * SR-85.
 */
#define BG_CONF_MASK	"********"
void bg_conf_print(const struct bg_conf *conf, struct bg_buf *out);

/* Where DPoP proofs that were spent are noted by this configuration. */
enum bg_conf_store {
	BG_STORE_NONE,		/* none are taken */
	BG_STORE_PRIVATE,	/* LMDB, in files without names: see bg_replay_private_dir */
	BG_STORE_LMDB,		/* in the directory *path, which is made where it is missing */
	BG_STORE_REDIS,		/* over TCP */
	BG_STORE_REDIS_SOCKET	/* by the socket *path */
};
enum bg_conf_store bg_conf_store(const struct bg_conf *conf, const char **path);	/* *path: borrowed from conf, or NULL */

/*
 * Make the gate, with its key stores but without their threads, and with its replay store, which is not open yet.  fetcher
 * is borrowed by the key stores; it may be NULL where every issuer has a jwks_file.  conf must outlive the gate: these stores
 * borrow text from it.  *out belongs to the caller: bg_gate_free.  Returns -1 with BG_R_NO_MEMORY or BG_R_INTERNAL, *out NULL;
 * with BG_R_INTERNAL too where a daemon is to be asked: then there is nothing to decide by.
 */
int bg_conf_build(const struct bg_conf *conf, const struct bg_fetcher *fetcher, struct bg_gate **out,
    struct bg_error *err) BG_MUST_CHECK;

/*
 * Read what a file beside a script demands: what a policy block may say, at least one condition.  It is open as fd, and called
 * file in the report, which is as that of bg_conf_load.  conf and policies, those of the gate that was built of it, say
 * which policies it may name; out points into policies.  The environment is not looked at, since a client's headers are there.
 * Returns 0, or a code of sysexits(3).  out is the caller's to clear in any case: bg_rule_clear; after a failure no token
 * meets it.
 */
int bg_conf_load_demands(const struct bg_conf *conf, const struct bg_policies *policies, int fd, const char *file,
    struct bg_rule *out, struct bg_buf *report) BG_MUST_CHECK;

/*
 * The same as it was said, into out, which was cleared and is the caller's to clear in any case.  Without a conf any name of a
 * policy is as good as another.
 */
int  bg_conf_read_demands(const struct bg_conf *conf, int fd, const char *file, struct bg_conf_rule *out,
    struct bg_buf *report) BG_MUST_CHECK;
void bg_conf_rule_clear(struct bg_conf_rule *rule);

#endif
