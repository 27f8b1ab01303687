/* SipHash-2-4 (Aumasson, Bernstein 2012): a keyed hash for short inputs that peers choose. */
#ifndef GARRISON_NETSTACK_SIPHASH_H
#define GARRISON_NETSTACK_SIPHASH_H

#include "common/base.h"

uint64_t siphash(const uint64_t key[2], const void *data, size_t n);

#endif
