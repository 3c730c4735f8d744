#include "core/policy.h"

static bool
has_word(struct bg_slice list, struct bg_slice wanted)
{
	struct bg_slice word;

	while (bg_slice_word(&list, &word))
		if (bg_slice_equal(word, wanted))
			return true;
	return false;
}

int
bg_policy_check(const struct bg_request *request, const struct bg_claims *claims, struct bg_error *err)
{
	struct bg_slice wanted = request->want_scope, word;

	while (bg_slice_word(&wanted, &word))
		if (!has_word(claims->scope, word))
			return bg_fail(err, BG_R_NO_SCOPE, "scope \"%.*s\" lacks \"%.*s\"", BG_SLICE_ARG(claims->scope),
			    BG_SLICE_ARG(word));
	return 0;
}
