/* What stands before the text in a message of common/wire.h. */
#ifndef GARRISON_COMMON_WIRE_FORMAT_H
#define GARRISON_COMMON_WIRE_FORMAT_H

#include <stdint.h>

#define WIRE_MAGIC 0x47415257u

struct wire_header {
	uint32_t magic;
	uint32_t len;	 /* of the text */
	uint32_t in_mem; /* 1: the last fd is a memfd with the text */
};

#endif
