/*
 * garrison-gofer: serves the files of one container.
 *
 *   garrison-gofer [--log-fd N] [--log-level N] [--unconfined]
 *                  --export CHANNEL:ROOT:OPTION[,OPTION]... ...
 *
 * CHANNEL is one end of a SOCK_SEQPACKET pair, ROOT an O_PATH fd of a directory
 * or a regular file. Options: ro or rw (default), exclusive or shared (default).
 * It opens what it needs of /proc, confines itself, serves every channel until
 * the peer closes it, and ends with the last one.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <sys/stat.h>

#include "common/confine.h"
#include "common/host_setup.h"
#include "common/host_tree.h"
#include "common/log.h"
#include "common/mem.h"
#include "gofer/server.h"

#define EXPORTS_MAX 256

struct export
{
	int channel, root;
	bool read_only, exclusive;
};

struct options {
	struct export exports[EXPORTS_MAX];
	size_t n;
	int log_fd;
	int log_level;
	bool unconfined;
};

static void usage(const char *why, const char *arg) NORETURN;
static void usage(const char *why, const char *arg)
{
	log_error("%s: %s", why, arg);
	exit(2);
}

static void parse_export(struct options *o, const char *arg)
{
	struct export e = {0};
	char words[64], *save, *word;

	if (o->n == EXPORTS_MAX)
		usage("too many exports", arg);
	if (sscanf(arg, "%d:%d:%63s", &e.channel, &e.root, words) != 3 || e.channel < 3 ||
	    e.root < 3)
		usage("bad --export, want CHANNEL:ROOT:OPTIONS", arg);
	for (word = strtok_r(words, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (!strcmp(word, "ro"))
			e.read_only = true;
		else if (!strcmp(word, "exclusive"))
			e.exclusive = true;
		else if (strcmp(word, "rw") && strcmp(word, "shared"))
			usage("unknown export option", word);
	}
	o->exports[o->n++] = e;
}

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"export", required_argument, NULL, 'e'},
	    {"log-fd", required_argument, NULL, 'f'},
	    {"log-level", required_argument, NULL, 'l'},
	    {"unconfined", no_argument, NULL, 'u'},
	    {0},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'e')
			parse_export(o, optarg);
		else if (c == 'f')
			o->log_fd = atoi(optarg);
		else if (c == 'l')
			o->log_level = atoi(optarg);
		else if (c == 'u')
			o->unconfined = true;
		else
			usage("unknown option", argv[optind - 1]);
	}
	if (!o->n)
		usage("nothing to serve", "give --export");
}

static void check(int err, const char *what)
{
	if (err >= 0)
		return;
	log_error("%s: %s", what, strerror(-err));
	exit(1);
}

/* Drops every fd that is not ours to have. */
static void close_others(const struct options *o, int proc)
{
	int keep[2 * EXPORTS_MAX + 2];
	size_t n = 0;

	keep[n++] = o->log_fd;
	keep[n++] = proc;
	for (size_t i = 0; i < o->n; i++) {
		keep[n++] = o->exports[i].channel;
		keep[n++] = o->exports[i].root;
	}
	check(confine_fds(keep, n), "closing inherited files");
}

/* O_PATH fds are reopened through this directory, which becomes the working directory. */
static int open_proc_fds(void)
{
	int fd = host_openat(AT_FDCWD, "/proc/self/fd", O_PATH | O_DIRECTORY, 0);

	check(fd, "opening /proc/self/fd");
	return fd;
}

static struct server *serve(const struct export *e)
{
	struct server *s;

	check(server_new(e->root, e->read_only, e->exclusive, &s), "setting up an export");
	check(server_serve(s, e->channel), "starting a thread");
	return s;
}

int main(int argc, char **argv)
{
	struct options o = {.log_fd = 2, .log_level = LOG_WARN};
	const char *what = "confinement";
	struct server *servers[EXPORTS_MAX];
	unsigned int nofile;
	int proc;

	parse(&o, argc, argv);
	log_init("garrison-gofer", o.log_fd, (enum log_level)o.log_level);
	umask(0);
	proc = open_proc_fds();
	nofile = host_raise_nofile();
	/* An eighth for open directories, files on their way to the client, and channels. */
	node_set_fd_budget(nofile - nofile / 8 > 64 ? nofile - nofile / 8 - 64 : 1);
	close_others(&o, proc);
	if (!o.unconfined)
		check(confine_gofer(&what), what);
	check(host_fchdir(proc), "entering /proc/self/fd");
	for (size_t i = 0; i < o.n; i++)
		servers[i] = serve(&o.exports[i]);
	server_wait_all();
	for (size_t i = 0; i < o.n; i++)
		server_free(servers[i]);
	return 0;
}
