#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/internal.h"
#include "core/secret.h"

/* What an option of replay is for. */
enum need { LMDB, REDIS, REDIS_TLS };

static const char *
name_of(enum bg_opt opt)
{
	return bg_options[opt].name;
}

/* dpop, or the two names that Auth0's SDK has for it.  requirements/sdk-parity.md section 7.1. */
static int
settle_mode(struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	const struct bg_said *enabled = &top[BG_OPT_SHORT_dpop_enabled], *required = &top[BG_OPT_SHORT_dpop_required];
	const struct bg_said *mode = &top[BG_OPT_TOP_dpop], *one = enabled->n > 0 ? enabled : required;
	bool on = enabled->n == 0 || strcmp(enabled->text[0], "true") == 0;
	bool only = required->n > 0 && strcmp(required->text[0], "true") == 0;

	if (one->n == 0)
		return 0;
	if (mode->n > 0) {
		bg_report(report, one->at, "%s beside dpop, which stands at %s; one of the two was expected",
		    name_of(one == enabled ? BG_OPT_SHORT_dpop_enabled : BG_OPT_SHORT_dpop_required), mode->at);
		return EX_CONFIG;
	}
	if (only && !on) {
		bg_report(report, required->at, "dpop_required is true and dpop_enabled, at %s, is false; "
		    "what is required was expected to be enabled", enabled->at);
		return EX_CONFIG;
	}
	conf->dpop = !on ? BG_DPOP_DISABLED : only ? BG_DPOP_REQUIRED : BG_DPOP_ALLOWED;
	return 0;
}

static int
settle_public(struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	const struct bg_said *proxies = &top[BG_OPT_TOP_trusted_proxies], *all = &top[BG_OPT_TOP_trust_proxy];
	struct bg_slice text;
	struct bg_buf url;
	char *normal = NULL;

	if (conf->public_url != NULL) {
		bg_buf_init(&url, BG_URI_MAX);
		if (bg_public_url_parse(conf->public_url, &url) == NULL && bg_buf_finish(&url, &text, NULL) == 0)
			normal = strdup(text.ptr);
		bg_buf_clear(&url);
		if (normal == NULL)
			return bg_report_memory(report);	/* it was good when it was read */
		free(conf->public_url);
		conf->public_url = normal;
	}
	if (conf->trust_proxy && proxies->n > 0) {
		bg_report(report, all->at, "trust_proxy is true, so trusted_proxies, at %s, would mean nothing; "
		    "one of the two was expected", proxies->at);
		return EX_CONFIG;
	}
	return 0;
}

/* Read a file whose contents were good when its option was read, but may have changed since. */
static int
read_again(const char *path, enum bg_opt opt, const struct bg_said *said, char **out, size_t *len, struct bg_buf *report)
{
	struct bg_buf words;
	struct bg_slice text;
	int rc = 0;

	bg_buf_init(&words, BG_DETAIL_MAX);
	if (bg_secret_read(path, bg_options[opt].type, out, len, &words) != 0) {
		bg_report(report, said->at, "%s %s", name_of(opt), bg_buf_finish(&words, &text, NULL) == 0 ? text.ptr : "is wrong");
		rc = EX_CONFIG;
	}
	bg_buf_clear(&words);
	return rc;
}

static int
settle_nonces(struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	char *key;
	int rc;

	if (!conf->dpop_nonce)
		return 0;
	if (conf->dpop_nonce_key_file == NULL) {
		bg_report(report, top[BG_OPT_TOP_dpop_nonce].at, "dpop_nonce \"required\" has no key to make nonces with; "
		    "dpop_nonce_key_file was expected");
		return EX_CONFIG;
	}
	if ((rc = read_again(conf->dpop_nonce_key_file, BG_OPT_TOP_dpop_nonce_key_file, &top[BG_OPT_TOP_dpop_nonce_key_file],
	    &key, &conf->nonce_key_len, report)) != 0)
		return rc;
	conf->nonce_key = (unsigned char *)key;
	return 0;
}

/* Where nobody named a store: the directory of the installation, or the memory of this process. */
static int
settle_default_store(struct bg_conf *conf, const char *source, struct bg_buf *report)
{
	if (!bg_judge_lmdb()) {
		bg_report(report, source, "DPoP proofs that were used cannot be remembered, since this program was built without "
		    "LMDB; %sdpop = \"disabled\" was expected", bg_judge_redis() ? "replay = \"redis://HOST\" or " : "");
		return EX_CONFIG;
	}
	if (bg_directory_wrong(STATEDIR) != NULL || faccessat(AT_FDCWD, STATEDIR, W_OK | X_OK, AT_EACCESS) != 0) {
		bg_report(report, source, "remark: DPoP proofs that were used are remembered by this process alone, until it ends; "
		    "a directory %s that it may write to, or replay = \"lmdb:/PATH\", changes that", STATEDIR);
		return 0;
	}
	return (conf->replay = strdup("lmdb:" STATEDIR "/replay")) != NULL ? 0 : bg_report_memory(report);
}

/* Options that mean something with certain stores alone. */
static int
check_needs(const struct bg_store *store, bool store_said, const struct bg_said *top, struct bg_buf *report)
{
	static const struct { enum bg_opt opt; enum need need; bool may_be_idle; } needs[] = {
		{ BG_OPT_TOP_replay_password,      REDIS,     false },
		{ BG_OPT_TOP_replay_password_file, REDIS,     false },
		{ BG_OPT_TOP_replay_ca_file,       REDIS_TLS, false },
		{ BG_OPT_TOP_replay_ca_dir,        REDIS_TLS, false },
		{ BG_OPT_TOP_replay_timeout,       REDIS,     true },
		{ BG_OPT_TOP_replay_max_proofs,    LMDB,      true },
	};
	static const struct { const char *name, *words; } stores[] = {
		[LMDB]      = { "LMDB",           "lmdb:/PATH" },
		[REDIS]     = { "Redis",          "redis://HOST" },
		[REDIS_TLS] = { "Redis over TLS", "rediss://HOST" },
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		const struct bg_said *said = &top[needs[i].opt];

		if (needs[i].need == LMDB ? !store->redis : store_said && store->redis && (needs[i].need == REDIS || store->tls))
			continue;
		if (bg_said_is_default(&bg_options[needs[i].opt], said))
			continue;
		if (needs[i].may_be_idle) {
			bg_report(report, said->at, "remark: %s has no effect, it is for %s alone", name_of(needs[i].opt),
			    stores[needs[i].need].name);
			continue;
		}
		bg_report(report, said->at, "%s is for %s alone; replay = \"%s\" was expected", name_of(needs[i].opt),
		    stores[needs[i].need].name, stores[needs[i].need].words);
		return EX_CONFIG;
	}
	return 0;
}

static int
settle_store(struct bg_conf *conf, const struct bg_said *top, const char *source, struct bg_buf *report)
{
	const struct bg_said *replay = &top[BG_OPT_TOP_replay], *password = &top[BG_OPT_TOP_replay_password],
	    *file = &top[BG_OPT_TOP_replay_password_file];
	struct bg_store store = { 0 };
	size_t len;
	int rc;

	if (conf->replay != NULL && bg_store_parse(conf->replay, &store) != NULL) {
		rc = bg_report_memory(report);	/* it was good when it was read */
		goto out;
	}
	if ((rc = check_needs(&store, conf->replay != NULL, top, report)) != 0)
		goto out;
	rc = EX_CONFIG;
	if (password->n > 0 && file->n > 0) {
		bg_report(report, file->at, "replay_password_file beside replay_password, which stands at %s; "
		    "one of the two was expected", password->at);
		goto out;
	}
	if (store.user != NULL && password->n == 0 && file->n == 0) {
		bg_report(report, replay->at, "replay names a user and no password is given; replay_password_file was expected");
		goto out;
	}
	if (conf->replay_password_file != NULL && (rc = read_again(conf->replay_password_file,
	    BG_OPT_TOP_replay_password_file, file, &conf->replay_password, &len, report)) != 0)
		goto out;
	rc = 0;
	if (conf->replay == NULL && conf->dpop != BG_DPOP_DISABLED)
		rc = settle_default_store(conf, source, report);
out:
	bg_store_clear(&store);
	return rc;
}

/* What was said and means nothing, or more than its author may think. */
static void
put_remarks(const struct bg_conf *conf, const struct bg_said *top, struct bg_buf *report)
{
	static const enum bg_opt of_dpop[] = {
		BG_OPT_TOP_dpop_algorithms, BG_OPT_TOP_dpop_iat_offset, BG_OPT_TOP_dpop_iat_leeway, BG_OPT_TOP_dpop_error_status,
		BG_OPT_TOP_dpop_nonce, BG_OPT_TOP_dpop_nonce_key_file, BG_OPT_TOP_dpop_nonce_window, BG_OPT_TOP_public_url,
		BG_OPT_TOP_trusted_proxies, BG_OPT_TOP_trust_proxy, BG_OPT_TOP_replay, BG_OPT_TOP_replay_password,
		BG_OPT_TOP_replay_password_file, BG_OPT_TOP_replay_ca_file, BG_OPT_TOP_replay_ca_dir, BG_OPT_TOP_replay_timeout,
		BG_OPT_TOP_replay_max_proofs, BG_OPT_TOP_replay_on_error,
	};
	static const enum bg_opt of_nonces[] = { BG_OPT_TOP_dpop_nonce_key_file, BG_OPT_TOP_dpop_nonce_window };

	if (conf->dpop == BG_DPOP_DISABLED) {
		for (size_t i = 0; i < sizeof(of_dpop) / sizeof(of_dpop[0]); i++)
			if (!bg_said_is_default(&bg_options[of_dpop[i]], &top[of_dpop[i]]))
				bg_report(report, top[of_dpop[i]].at, "remark: %s has no effect, DPoP is disabled", name_of(of_dpop[i]));
		return;
	}
	for (size_t i = 0; i < sizeof(of_nonces) / sizeof(of_nonces[0]) && !conf->dpop_nonce; i++)
		if (!bg_said_is_default(&bg_options[of_nonces[i]], &top[of_nonces[i]]))
			bg_report(report, top[of_nonces[i]].at, "remark: %s has no effect, dpop_nonce is \"off\"",
			    name_of(of_nonces[i]));
	if (conf->trust_proxy)
		bg_report(report, top[BG_OPT_TOP_trust_proxy].at, "remark: trust_proxy lets every client that reaches the server "
		    "itself choose the URL its DPoP proof is held to; trusted_proxies names those that may say it");
	if (conf->replay_on_error)
		bg_report(report, top[BG_OPT_TOP_replay_on_error].at, "remark: replay_on_error \"allow\" lets a DPoP proof be used "
		    "again while the store cannot answer");
}

int
bg_bound_settle(struct bg_conf *conf, const struct bg_said *top, const char *source, struct bg_buf *report)
{
	int rc;

	if ((rc = settle_mode(conf, top, report)) != 0 || (rc = settle_public(conf, top, report)) != 0 ||
	    (rc = settle_nonces(conf, top, report)) != 0 || (rc = settle_store(conf, top, source, report)) != 0)
		return rc;
	put_remarks(conf, top, report);
	return 0;
}
