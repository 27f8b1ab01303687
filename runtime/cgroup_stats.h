/* What a container has used, from the files of its cgroups, in the form of runc's "events". */
#ifndef GARRISON_RUNTIME_CGROUP_STATS_H
#define GARRISON_RUNTIME_CGROUP_STATS_H

#include <jansson.h>

/* {cpu, memory, pids, blkio, hugetlb}; owned. What the host does not tell is 0. */
json_t *cgroup_stats(const json_t *dirs);

#endif
