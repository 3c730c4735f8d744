#include "tool/auth0.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "core/json.h"
#include "tool/issuer.h"
#include "tool/tool.h"

extern char **environ;	/* POSIX leaves this line to the program */

#define ANSWER_MAX	(64 * 1024)	/* bytes of what the program says of the API it made; real answers have about 1 KiB */
#define TEXT_MAX	(4 * 1024)	/* bytes of the file of variables */

/* Is there such a program?  As posix_spawnp looks for it. */
static bool
is_on_path(const char *program)
{
	const char *path = getenv("PATH");
	char file[4096];

	while (path != NULL && *path != '\0') {
		size_t len = strcspn(path, ":");
		struct stat st;

		bg_format(file, sizeof(file), "%.*s/%s", (int)len, path, program);
		if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && access(file, X_OK) == 0)
			return true;
		path += len + (path[len] == ':');
	}
	return false;
}

static int
say_by_hand(const struct bg_auth0 *api)
{
	bg_verb_say("the program auth0 is not on PATH (https://github.com/auth0/auth0-cli); by hand it is done so:");
	bg_verb_say("1. in Auth0's dashboard, Applications, APIs, Create API: name %s, identifier %s, signing algorithm RS256",
	    api->name, api->audience);
	bg_verb_say("2. put these two lines into a file that only its owner can read, for --env-file:");
	bg_verb_say("AUTH0_DOMAIN=%s", api->domain);
	bg_verb_say("AUTH0_AUDIENCE=%s", api->audience);
	return EX_UNAVAILABLE;
}

/* On the terminal, wherever the standard streams go. */
static int
ask(const struct bg_auth0 *api)
{
	FILE *terminal = fopen("/dev/tty", "r+");
	char answer[16] = "";

	if (terminal == NULL)
		return bg_verb_usage("there is no terminal to ask on; --yes registers the API without asking");
	(void)fprintf(terminal, "Register the API \"%s\", identifier %s, at %s? [y/N] ", api->name, api->audience, api->domain);
	(void)fflush(terminal);
	if (fgets(answer, sizeof(answer), terminal) == NULL)
		answer[0] = '\0';
	(void)fclose(terminal);
	answer[strcspn(answer, "\r\n")] = '\0';
	if (strcmp(answer, "y") == 0 || strcmp(answer, "yes") == 0)
		return EX_OK;
	bg_verb_say("nothing was registered");
	return EX_UNAVAILABLE;
}

/* Run argv and take what it prints; its complaints go where ours go.  No shell sees any of it. */
static int
run(char *const *argv, struct bg_buf *answer)
{
	posix_spawn_file_actions_t actions;
	int ends[2], status = 0, rc;
	ssize_t len = -1;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0) {
		bg_verb_say("%s", strerror(errno));
		return EX_OSERR;
	}
	if ((rc = posix_spawn_file_actions_init(&actions)) == 0) {
		if ((rc = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)) == 0)
			rc = posix_spawnp(&pid, argv[0], &actions, NULL, argv, environ);
		posix_spawn_file_actions_destroy(&actions);
	}
	close(ends[1]);
	if (rc != 0) {
		bg_verb_say("%s: %s", argv[0], strerror(rc));
		close(ends[0]);
		return EX_UNAVAILABLE;
	}
	if (bg_buf_extend(answer, ANSWER_MAX) != NULL)
		len = bg_issuer_read_all(ends[0], answer->data, ANSWER_MAX);
	close(ends[0]);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		;
	answer->len = len > 0 ? (size_t)len : 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		bg_verb_say("%s %s %s failed; nothing was written", argv[0], argv[1], argv[2]);
		return EX_UNAVAILABLE;
	}
	return EX_OK;
}

/* The API that was made must be the one that tokens are to be for. */
static int
check_answer(const struct bg_auth0 *api, struct bg_slice answer)
{
	struct bg_error err = { 0 };
	json_t *made = NULL;
	struct bg_slice identifier;
	int rc = EX_OK;

	if (bg_json_object(answer, BG_R_INTERNAL, &made, &err) != 0) {
		bg_verb_say("what auth0 answers is not understood: %s; see in the dashboard what was registered", err.detail);
		return EX_PROTOCOL;
	}
	identifier = bg_json_string(json_object_get(made, "identifier"));
	if (!bg_slice_equal(identifier, bg_slice_str(api->audience))) {
		bg_verb_say("auth0 says that the API's identifier is \"%.*s\", not %s; nothing was written",
		    BG_SLICE_ARG(identifier),
		    api->audience);
		rc = EX_PROTOCOL;
	}
	json_decref(made);
	return rc;
}

static int
write_variables(const struct bg_auth0 *api)
{
	struct bg_error err = { 0 };
	struct bg_slice text;
	struct bg_buf out;
	int rc = EX_OSERR;

	bg_buf_init(&out, TEXT_MAX);
	bg_buf_put_format(&out, "AUTH0_DOMAIN=%s\nAUTH0_AUDIENCE=%s\n", api->domain, api->audience);
	if (bg_buf_finish(&out, &text, &err) != 0)
		bg_verb_say("%s", err.detail);
	else if (api->output == NULL)
		rc = bg_verb_print(text);
	else
		rc = bg_verb_write(api->output, text, 0600, api->force);
	bg_buf_clear(&out);
	return rc;
}

int
bg_auth0_create(const struct bg_auth0 *api)
{
	char program[] = "auth0", apis[] = "apis", create[] = "create", opt_name[] = "--name", opt_identifier[] = "--identifier",
	    opt_alg[] = "--signing-alg", alg[] = "RS256", opt_json[] = "--json", opt_tenant[] = "--tenant",
	    opt_no_input[] = "--no-input";
	char *argv[] = { program, apis, create, opt_name, (char *)api->name, opt_identifier, (char *)api->audience, opt_alg, alg,
	    opt_json, opt_tenant, (char *)api->domain, opt_no_input, NULL };
	struct bg_buf answer;
	int rc;

	/* Before anything is registered, not after. */
	if (api->output != NULL && !api->force && access(api->output, F_OK) == 0) {
		bg_verb_say("%s: it is there already; -f replaces it", api->output);
		return EX_CANTCREAT;
	}
	if (!is_on_path(program))
		return say_by_hand(api);
	if (!api->yes && (rc = ask(api)) != EX_OK)
		return rc;
	bg_buf_init(&answer, ANSWER_MAX);
	if ((rc = run(argv, &answer)) == EX_OK &&
	    (rc = check_answer(api, (struct bg_slice){ answer.data, answer.len })) == EX_OK)
		rc = write_variables(api);
	bg_buf_clear(&answer);
	return rc;
}
