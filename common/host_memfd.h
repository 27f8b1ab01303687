/* Seals of host memfds (see host.h). */
#ifndef GARRISON_COMMON_HOST_MEMFD_H
#define GARRISON_COMMON_HOST_MEMFD_H

#include "common/host.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#define MFD_EXEC 0x0010U
#endif

MUST_CHECK int host_add_seals(int fd, unsigned int seals);
MUST_CHECK int host_get_seals(int fd);

#endif
