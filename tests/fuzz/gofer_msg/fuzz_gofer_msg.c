/*
 * Feeds the gofer's request handler from stdin: a sequence of messages, each
 * with a 16-bit length in front, on a scratch directory made for the run, first
 * writable, then again read-only. What must hold: no memory error, every reply
 * well-formed, no fd handed out but of a regular file (and no writable one on
 * the read-only export), nothing changed outside the directory.
 *
 * With an argument it ignores stdin and makes up messages from that seed:
 * valid ones with a few things broken, so that they get past the first checks.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/host.h"
#include "common/log.h"
#include "common/mem.h"
#include "gofer/server.h"

static char in[GOFER_MSG_MAX], out[GOFER_MSG_MAX];
static uint64_t nodes[64]; /* numbers seen in replies */
static unsigned int nnodes;

static void require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "broken promise: %s\n", what);
	abort();
}

static void check_fd(int fd, bool read_only)
{
	struct stat st;

	require(fstat(fd, &st) == 0, "the fd is open");
	if (S_ISSOCK(st.st_mode))
		return; /* a channel */
	require(S_ISREG(st.st_mode), "only regular files are handed out");
	require(!read_only || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY, "read-only fd");
}

static void remember(const char *body, size_t len)
{
	for (size_t i = 0; i + 8 <= len && i < 512; i += 8) {
		uint64_t v;

		memcpy(&v, body + i, sizeof(v));
		if (v && v < 1ULL << 36 && (uint32_t)v < 4096 && (uint32_t)v)
			nodes[nnodes++ % ARRAY_SIZE(nodes)] = v;
	}
}

static void run_message(struct server *s, size_t len)
{
	const struct fuse_out_header *head = (void *)out;
	int fd;
	ssize_t n = server_handle(s, NULL, in, len, out, &fd);

	if (n > 0) {
		require(head->len == (size_t)n && n <= (ssize_t)sizeof(out), "length of the reply");
		require(head->error <= 0 && head->error > -4096, "errno of the reply");
		if (!head->error)
			remember(out + sizeof(*head), (size_t)n - sizeof(*head));
	}
	if (fd >= 0) {
		check_fd(fd, s->read_only);
		host_close(fd);
	}
}

static void replay(struct server *s, const char *data, size_t size)
{
	while (size >= 2) {
		size_t len = (unsigned char)data[0] | (size_t)(unsigned char)data[1] << 8;

		data += 2;
		size -= 2;
		len = min(len, size);
		memcpy(in, data, len);
		run_message(s, len);
		data += len;
		size -= len;
	}
}

/* ------------------------------------------------------------ made-up messages */

static uint64_t rnd(void)
{
	static uint64_t x = 88172645463325252ULL;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

static uint64_t some_node(void)
{
	uint64_t n = rnd();

	if (n % 4 == 0 || !nnodes)
		return FUSE_ROOT_ID;
	if (n % 16 == 1)
		return rnd();
	return nodes[rnd() % min(nnodes, (unsigned int)ARRAY_SIZE(nodes))];
}

static size_t some_name(char *to)
{
	static const char *const names[] = {"a",
					    "b",
					    "dir",
					    "link",
					    "fifo",
					    "null",
					    "..",
					    ".",
					    "a/b",
					    "",
					    "../x",
					    "up",
					    "user.x",
					    "deep",
					    "dir/../x",
					    "/etc",
					    "security.capability"};
	const char *name = names[rnd() % ARRAY_SIZE(names)];

	strcpy(to, name);
	return strlen(name) + (rnd() % 32 != 0);
}

static uint32_t some_opcode(void)
{
	return rnd() % 3 ? (uint32_t)(rnd() % 52)
			 : GOFER_WALK + (uint32_t)(rnd() % (GOFER_OPCODE_END - GOFER_WALK + 1));
}

static size_t make_message(void)
{
	struct fuse_in_header *head = (void *)in;
	char *at = in + sizeof(*head);

	*head = (struct fuse_in_header){
	    .opcode = some_opcode(), .unique = rnd(), .nodeid = some_node(), .uid = rnd() % 2};
	if (head->opcode == GOFER_CHANNEL)
		head->opcode = FUSE_GETATTR; /* threads would race with us */
	for (size_t words = rnd() % 12; words; words--) {
		uint32_t v = rnd() % 4 ? (uint32_t)rnd() % 8 : (uint32_t)rnd();

		if (rnd() % 4 == 0)
			v = (uint32_t)some_node();
		memcpy(at, &v, sizeof(v));
		at += sizeof(v);
	}
	for (size_t strings = rnd() % 4; strings; strings--)
		at += some_name(at);
	head->len = (uint32_t)(at - in) + (rnd() % 64 == 0);
	return (size_t)(at - in);
}

static void make_up(struct server *s, unsigned long count)
{
	while (count--)
		run_message(s, make_message());
}

/* ------------------------------------------------------------ the directory */

static void populate(const char *dir)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd),
		 "cd %s && mkdir export export/dir export/dir/deep outside && echo 1 >export/a &&"
		 " echo 2 >export/dir/b && ln -s ../outside export/up && ln -s /etc export/link &&"
		 " mkfifo export/fifo && echo secret >outside/x",
		 dir);
	require(system(cmd) == 0, "the directory could be made");
}

static struct server *serve(const char *dir, bool read_only)
{
	struct server *s;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/export", dir);
	fd = open(path, O_PATH | O_CLOEXEC);
	require(fd >= 0 && server_new(fd, read_only, !read_only, &s) == 0, "the export opens");
	nnodes = 0;
	return s;
}

static void check_outside(const char *dir)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd),
		 "test \"$(cat %s/outside/x)\" = secret && test $(ls %s/outside | wc -l) = 1 &&"
		 " test $(ls %s | wc -l) = 2; r=$?; rm -rf %s; exit $r",
		 dir, dir, dir, dir);
	require(system(cmd) == 0, "nothing outside of the export changed");
}

int main(int argc, char **argv)
{
	static char data[1 << 20];
	char dir[] = "/dev/shm/fuzz-gofer-XXXXXX";
	size_t size = argc > 1 ? 0 : fread(data, 1, sizeof(data), stdin);

	log_init("fuzz", 2, LOG_ERROR);
	umask(0);
	require(mkdtemp(dir) != NULL, "a directory");
	populate(dir);
	require(chdir("/proc/self/fd") == 0, "/proc");
	for (int i = 0; argc > 1 && i < atoi(argv[1]) % 1000; i++)
		(void)!rnd();
	for (int read_only = 0; read_only < 2; read_only++) {
		struct server *s = serve(dir, read_only);

		if (argc > 1)
			make_up(s, argc > 2 ? strtoul(argv[2], NULL, 0) : 20000);
		else
			replay(s, data, size);
		server_wait_all(); /* channels that messages asked for */
		server_free(s);
	}
	check_outside(dir);
	return 0;
}
