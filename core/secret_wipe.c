#include "core/secret.h"

/* Apart from core/secret.c, since it needs no OpenSSL: whoever has read a password wipes it, whatever else it can do. */
void
bg_secret_wipe(void *mem, size_t len)
{
	if (len > 0)
		explicit_bzero(mem, len);
}
