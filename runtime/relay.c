#include "runtime/relay.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "common/wire.h"
#include "runtime/client.h"

static sigset_t forwarded(bool job_control)
{
	static const int not_ours[] = {SIGCHLD, SIGPIPE, SIGTTIN, SIGTTOU, SIGSEGV,
				       SIGBUS,	SIGFPE,	 SIGILL,  SIGABRT};
	sigset_t set;

	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(not_ours); i++)
		sigdelset(&set, not_ours[i]);
	if (!job_control)
		sigdelset(&set, SIGTSTP);
	return set;
}

void relay_prepare(bool job_control)
{
	sigset_t set = forwarded(job_control);

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

/* group: the terminal or the shell means the whole job. */
static void send_signal(struct relay *r, int sig, bool group)
{
	send_request(r, json_pack("{ss,ss,si,si,sb}", "op", "signal", "id", r->id, "pid", r->pid,
				  "signal", sig, "group", group));
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
	send_signal(r, sig, r->job_control && (info.ssi_code == SI_KERNEL || sig == SIGCONT));
}

/*
 * It has stopped: so must we, for our shell to take the terminal back. On a terminal of its own
 * the ^Z went there only, so the rest of our job stops with us. The shell's SIGCONT waits in the
 * signalfd then; if there is none, we were not stopped (nobody could continue us): go on.
 */
static void stop_alike(struct relay *r)
{
	sigset_t stop, old, pending;
	bool terminal = r->user.active;

	sigemptyset(&stop);
	sigaddset(&stop, SIGTSTP);
	user_terminal_restore(&r->user);
	kill(terminal ? 0 : getpid(), SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &stop, &old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (terminal)
		user_terminal_raw(&r->user);
	forward_size(r);
	sigpending(&pending);
	if (!sigismember(&pending, SIGCONT))
		send_signal(r, SIGCONT, true);
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
	if (r->job_control && json_object_get(o, "stopped"))
		stop_alike(r);
	else if (json_is_true(json_object_get(o, "exited")))
		status = (int)json_integer_value(json_object_get(o, "status"));
	json_decref(o);
	return status;
}

/* Copies what is there; the number of bytes, 0 at the end of file or on an error. */
static ssize_t copy(int from, int to, char *last)
{
	char buf[8192];
	ssize_t n = host_read(from, buf, sizeof(buf));

	if (n == -EINTR || n == -EAGAIN)
		return 1;
	if (n <= 0 || host_write_full(to, buf, (size_t)n) < 0)
		return 0;
	*last = buf[n - 1];
	return n;
}

/* Our input has ended: as if ^D were typed, twice where a line is unfinished (termios(3), VEOF). */
static void end_input(struct relay *r)
{
	const char *eof = "\4\4";
	size_t n = r->last == '\n' || !r->last ? 1 : 2;

	if (host_write_full(r->console->master, eof, n) < 0)
		return; /* it is at its end, too */
}

/* Our output is gone: its terminal hangs up. What it still writes is thrown away, or it would
 * wait for ever. */
static int hang_up(struct relay *r)
{
	send_signal(r, SIGHUP, true);
	return host_openat(AT_FDCWD, "/dev/null", O_WRONLY, 0);
}

/* What the container wrote before its end is still in the pty. */
static void drain(int master, int out)
{
	struct pollfd p = {.fd = master, .events = POLLIN};
	char last;

	while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN) && copy(master, out, &last))
		;
}

static void from_terminal(struct relay *r, struct pollfd *p, int *out)
{
	char last;

	if (copy(p->fd, *out, &last))
		return;
	if (*out == 1 && !(p->revents & POLLHUP))
		*out = hang_up(r);
	else
		p->fd = -1;
}

static int serve(struct relay *r, int signal_fd)
{
	int master = r->console->master, status = -1, out = 1;
	struct pollfd p[4] = {{.fd = signal_fd, .events = POLLIN},
			      {.fd = r->control, .events = POLLIN},
			      {.fd = master, .events = POLLIN},
			      {.fd = master >= 0 ? 0 : -1, .events = POLLIN}};

	while (status < 0) {
		if (poll(p, 4, -1) < 0)
			continue;
		if (p[0].revents)
			on_signal(r, signal_fd);
		if (p[2].revents)
			from_terminal(r, &p[2], &out);
		if (p[3].revents && !copy(0, master, &r->last)) {
			end_input(r);
			p[3].fd = -1;
		}
		if (p[1].revents)
			status = on_answer(r);
	}
	if (master >= 0)
		drain(master, out);
	if (out != 1)
		host_close(out);
	return status;
}

int relay_run(struct relay *r)
{
	sigset_t set = forwarded(r->job_control);
	SCOPED_FD int signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
	int status;

	if (r->console->master >= 0) {
		user_terminal_raw(&r->user);
		forward_size(r);
	}
	status = serve(r, signal_fd);
	user_terminal_restore(&r->user);
	return status;
}

void relay_die_alike(int status)
{
	int sig = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	sigset_t set;

	if (sig != SIGINT && sig != SIGQUIT)
		return;
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* no core file of ours */
	signal(sig, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, sig);
	raise(sig);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

int relay_exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
