#include "runtime/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "common/wire.h"
#include "runtime/client.h"

static sigset_t forwarded(void)
{
	static const int not_ours[] = {SIGCHLD, SIGPIPE, SIGTTIN, SIGTTOU, SIGSEGV,
				       SIGBUS,	SIGFPE,	 SIGILL,  SIGABRT, SIGTSTP};
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(not_ours); i++)
		sigdelset(&set, not_ours[i]);
	return set;
}

void relay_prepare(void)
{
	sigset_t set = forwarded();

	sigprocmask(SIG_BLOCK, &set, NULL);
}

static void send_request(struct relay *r, json_t *request)
{
	struct error e = {0};

	if (client_send(r->control, request, NULL, 0, &e) < 0)
		error_clear(&e);
}

static void forward_size(struct relay *r)
{
	struct winsize w = {0};

	if (r->console->master < 0 || !user_terminal_size(&w.ws_row, &w.ws_col))
		return;
	ioctl(r->console->master, TIOCSWINSZ, &w);
	send_request(r, json_pack("{ss,ss,si,si,si}", "op", "resize", "id", r->id, "pid", r->pid,
				  "rows", w.ws_row, "cols", w.ws_col));
}

/* The third of these within two seconds is meant: an init may ignore or block the others. */
static bool insisted(struct relay *r, int sig)
{
	uint64_t now = host_monotonic_ns();

	if (sig != SIGINT && sig != SIGTERM && sig != SIGQUIT)
		return false;
	if (now - r->first_stop > 2 * NSEC_PER_SEC) {
		r->first_stop = now;
		r->stops = 0;
	}
	return ++r->stops >= 3;
}

static void on_signal(struct relay *r, int signal_fd)
{
	struct signalfd_siginfo info;
	int sig;

	if (host_read(signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	sig = (int)info.ssi_signo;
	if (sig == SIGWINCH) {
		forward_size(r);
		return;
	}
	if (insisted(r, sig))
		sig = SIGKILL;
	send_request(r, json_pack("{ss,ss,si,si}", "op", "signal", "id", r->id, "pid", r->pid,
				  "signal", sig));
}

/* The wait status, or -1 for the answer to something else. */
static int on_answer(struct relay *r)
{
	SCOPED_WIRE_MSG struct wire_msg msg;
	json_t *o;
	int status = -1;

	if (wire_recv(r->control, &msg) < 0)
		return SIGKILL;
	o = json_loadb(msg.text, msg.len, 0, NULL);
	if (json_is_true(json_object_get(o, "exited")))
		status = (int)json_integer_value(json_object_get(o, "status"));
	json_decref(o);
	return status;
}

/* Copies what is there; false at the end of file. */
static bool copy(int from, int to)
{
	char buf[8192];
	ssize_t n = host_read(from, buf, sizeof(buf));

	if (n == -EINTR || n == -EAGAIN)
		return true;
	return n > 0 && host_write_full(to, buf, (size_t)n) == 0;
}

/* What the container wrote before its end is still in the pty. */
static void drain(int master)
{
	struct pollfd p = {.fd = master, .events = POLLIN};

	while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN) && copy(master, 1))
		;
}

static int serve(struct relay *r, int signal_fd)
{
	int master = r->console->master;
	struct pollfd p[4] = {{.fd = signal_fd, .events = POLLIN},
			      {.fd = r->control, .events = POLLIN},
			      {.fd = master, .events = POLLIN},
			      {.fd = master >= 0 ? 0 : -1, .events = POLLIN}};
	int status = -1;

	while (status < 0) {
		if (poll(p, 4, -1) < 0)
			continue;
		if (p[0].revents)
			on_signal(r, signal_fd);
		if (p[2].revents && !copy(master, 1))
			p[2].fd = -1;
		if (p[3].revents && !copy(0, master))
			p[3].fd = -1;
		if (p[1].revents)
			status = on_answer(r);
	}
	return status;
}

int relay_run(struct relay *r)
{
	sigset_t set = forwarded();
	SCOPED_FD int signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	struct user_terminal user = {0};
	int status;

	if (r->console->master >= 0) {
		user_terminal_raw(&user);
		forward_size(r);
	}
	status = serve(r, signal_fd);
	if (r->console->master >= 0)
		drain(r->console->master);
	user_terminal_restore(&user);
	return status;
}

int relay_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
