#ifndef BG_TOOL_AUTH0_H
#define BG_TOOL_AUTH0_H

#include <stdbool.h>

/* An API to be registered at Auth0. */
struct bg_auth0 {
	const char *domain;	/* the tenant's */
	const char *audience;	/* what tokens for it are to name */
	const char *name;	/* for people */
	const char *output;	/* where the variables go; NULL: standard output */
	bool        force;	/* replace output */
	bool        yes;	/* do not ask */
};

/*
 * Register it by running "auth0 apis create", after asking on the terminal, and write AUTH0_DOMAIN and AUTH0_AUDIENCE; where
 * there is no such program, say how it is done by hand.  Returns an exit code, the reason said.
 */
int bg_auth0_create(const struct bg_auth0 *api);

#endif
