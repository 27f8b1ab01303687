/* checkpoint, restore: refused, but with the options that engines give, so that the reason shows. */
#include <errno.h>

#include "runtime/command.h"

static const struct option_def checkpoint_options[] = {
    {"image-path", 0, "DIR", NULL},
    {"work-path", 0, "DIR", NULL},
    {"parent-path", 0, "DIR", NULL},
    {"leave-running", 0, NULL, NULL},
    {"tcp-established", 0, NULL, NULL},
    {"tcp-skip-in-flight", 0, NULL, NULL},
    {"ext-unix-sk", 0, NULL, NULL},
    {"shell-job", 0, NULL, NULL},
    {"lazy-pages", 0, NULL, NULL},
    {"status-fd", 0, "FD", NULL},
    {"page-server", 0, "ADDRESS", NULL},
    {"file-locks", 0, NULL, NULL},
    {"pre-dump", 0, NULL, NULL},
    {"manage-cgroups-mode", 0, "MODE", NULL},
    {"empty-ns", 0, "NAME", NULL},
    {"auto-dedup", 0, NULL, NULL},
    /* restore */
    {"bundle", 'b', "DIR", NULL},
    {"console-socket", 0, "PATH", NULL},
    {"pid-file", 0, "FILE", NULL},
    {"detach", 'd', NULL, NULL},
    {"no-subreaper", 0, NULL, NULL},
    {"no-pivot", 0, NULL, NULL},
    {"lsm-profile", 0, "TYPE:NAME", NULL},
    {"lsm-mount-context", 0, "TEXT", NULL},
    {0},
};

static int refuse(const struct command *c, int argc, char **argv, struct error *e)
{
	int r = options_parse(&c->line, NULL, argc, argv, e);

	return r < 0 ? r
		     : error_set(e, -ENOTSUP,
				 "%s: saving and restoring a container's state is not supported",
				 c->line.name);
}

static int checkpoint_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	return refuse(&cmd_checkpoint, argc, argv, e);
}

static int restore_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	return refuse(&cmd_restore, argc, argv, e);
}

const struct command cmd_checkpoint = {
    {"checkpoint", "ID", "not supported", .options = checkpoint_options}, checkpoint_main};
const struct command cmd_restore = {
    {"restore", "ID", "not supported", .options = checkpoint_options}, restore_main};
