/*
 * garrison-monitor: the process that stands for a container, or for an exec,
 * among the host's processes. Its pid is in the pid file; the engine waits for
 * it, sends signals to it, and finds the container's cgroup through it.
 *
 *     garrison-monitor CONTROL-FD STATE-DIR-FD TTY-FD PID ID
 *
 * The "wait" request was sent on CONTROL-FD before. Signals that arrive here are
 * passed on as "signal" requests; SIGWINCH on the terminal as "resize". When the
 * answer to the wait comes, the status goes into the state directory (unless its
 * fd is -1) and becomes our exit code. When the sentry dies without an answer,
 * that is a SIGKILL of the container. Our own death by SIGKILL closes the
 * connection, at which the sentry kills the process.
 *
 * One exists per container, so it is small: static, no heap, no stdio. It reads
 * what the sentry sends, so it first gives up all capabilities and all system
 * calls but those of its loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/bpf.h"
#include "common/wire_format.h"

#define KILLED SIGKILL /* wait status of a container whose sentry is gone */

static struct {
	int control, tty;
	int status_file; /* or -1 */
	const char *pid, *id;
} m;

static size_t append(char *buf, size_t at, size_t size, const char *text)
{
	size_t n = strlen(text);

	if (at + n >= size)
		return at;
	memcpy(buf + at, text, n + 1);
	return at + n;
}

static size_t append_number(char *buf, size_t at, size_t size, unsigned int value)
{
	char digits[12];
	size_t i = sizeof(digits) - 1;

	digits[i] = '\0';
	do
		digits[--i] = (char)('0' + value % 10);
	while (value /= 10);
	return append(buf, at, size, digits + i);
}

static void send_text(const char *text, size_t len)
{
	struct wire_header h = {.magic = WIRE_MAGIC, .len = (uint32_t)len};
	struct iovec iov[2] = {{&h, sizeof(h)}, {(void *)text, len}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};

	while (sendmsg(m.control, &msg, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

static size_t begin(char *buf, size_t size, const char *op)
{
	size_t n = append(buf, 0, size, "{\"op\":\"");

	n = append(buf, n, size, op);
	n = append(buf, n, size, "\",\"id\":\"");
	n = append(buf, n, size, m.id);
	n = append(buf, n, size, "\",\"pid\":");
	return append(buf, n, size, m.pid);
}

static void forward_signal(unsigned int sig)
{
	char buf[1400];
	size_t n = begin(buf, sizeof(buf), "signal");

	n = append(buf, n, sizeof(buf), ",\"signal\":");
	n = append_number(buf, n, sizeof(buf), sig);
	n = append(buf, n, sizeof(buf), "}");
	send_text(buf, n);
}

static void forward_size(void)
{
	char buf[1400];
	struct winsize w;
	size_t n;

	if (m.tty < 0 || ioctl(m.tty, TIOCGWINSZ, &w) < 0)
		return;
	n = begin(buf, sizeof(buf), "resize");
	n = append(buf, n, sizeof(buf), ",\"rows\":");
	n = append_number(buf, n, sizeof(buf), w.ws_row);
	n = append(buf, n, sizeof(buf), ",\"cols\":");
	n = append_number(buf, n, sizeof(buf), w.ws_col);
	n = append(buf, n, sizeof(buf), "}");
	send_text(buf, n);
}

static void on_signal(int signal_fd)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH)
		forward_size();
	else if (info.ssi_signo != SIGCHLD)
		forward_signal(info.ssi_signo);
}

/* The number behind "status": in an answer that says "exited"; -1: another answer. */
static int parse_answer(const char *text)
{
	const char *p = strstr(text, "\"status\":");
	int value = 0;

	if (!p || !strstr(text, "\"exited\":true"))
		return -1;
	for (p += strlen("\"status\":"); *p == ' ';)
		p++;
	for (; *p >= '0' && *p <= '9'; p++)
		value = value * 10 + (*p - '0');
	return value;
}

/* The wait status, or -1 if this was not the answer that we wait for. */
static int on_answer(void)
{
	char buf[4096];
	ssize_t n = recv(m.control, buf, sizeof(buf) - 1, 0);

	if (n < 0 && errno == EINTR)
		return -1;
	if (n <= 0)
		return KILLED;
	if ((size_t)n < sizeof(struct wire_header))
		return -1;
	buf[n] = '\0';
	return parse_answer(buf + sizeof(struct wire_header));
}

static void write_status(int status)
{
	char buf[16];
	size_t n = append_number(buf, 0, sizeof(buf), (unsigned int)status);

	if (m.status_file >= 0 && write(m.status_file, buf, n) < 0)
		_exit(1);
}

static int open_status(int dir)
{
	return dir < 0 ? -1
		       : openat(dir, "exit-status", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct h = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0};

	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &h, none) < 0)
		return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static int confine(void)
{
	static const struct bpf_rule rules[] = {
	    {__NR_read, -1, 0, 0},	   {__NR_write, -1, 0, 0},
	    {__NR_poll, -1, 0, 0},	   {__NR_recvfrom, -1, 0, 0},
	    {__NR_sendmsg, -1, 0, 0},	   {__NR_ioctl, 1, UINT32_MAX, TIOCGWINSZ},
	    {__NR_rt_sigreturn, -1, 0, 0}, {__NR_restart_syscall, -1, 0, 0},
	    {__NR_exit_group, -1, 0, 0},
	};
	struct sock_filter prog[64];
	int len = bpf_allow_list(rules, sizeof(rules) / sizeof(rules[0]), SECCOMP_RET_KILL_PROCESS,
				 prog, sizeof(prog) / sizeof(prog[0]));
	struct sock_fprog fprog = {.len = (unsigned short)len, .filter = prog};

	if (len < 0 || drop_capabilities() < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &fprog, 0, 0);
}

static int serve(int signal_fd)
{
	struct pollfd p[2] = {{.fd = signal_fd, .events = POLLIN},
			      {.fd = m.control, .events = POLLIN}};
	int status = -1;

	while (status < 0) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[0].revents)
			on_signal(signal_fd);
		if (p[1].revents)
			status = on_answer();
	}
	return status;
}

static int parse_fd(const char *text)
{
	int value = 0;

	if (*text == '-')
		return -1;
	for (; *text >= '0' && *text <= '9'; text++)
		value = value * 10 + (*text - '0');
	return value;
}

int main(int argc, char **argv)
{
	sigset_t all;
	int dir, status, signal_fd;

	if (argc != 6)
		return 2;
	m.control = parse_fd(argv[1]);
	dir = parse_fd(argv[2]);
	m.status_file = open_status(dir);
	m.tty = parse_fd(argv[3]);
	m.pid = argv[4];
	m.id = argv[5];
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal_fd = signalfd(-1, &all, SFD_CLOEXEC);
	if (dir >= 0)
		close(dir);
	if (signal_fd < 0 || confine() < 0)
		return 2;
	forward_size();
	status = serve(signal_fd);
	write_status(status);
	_exit(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}
