#include "cgi/part.h"

/* Made by make: the version, and a checksum of all headers, which say what the structs are that both sides share. */
const char *const bg_part_build =
#include "cgi/build.inc"
    ;
