#include "runtime/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/host.h"

int console_new(struct console *c, unsigned short rows, unsigned short cols, struct error *e)
{
	struct winsize size = {.ws_row = rows, .ws_col = cols};
	struct termios t;

	*c = (struct console){-1, -1};
	c->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->master < 0 || unlockpt(c->master) < 0)
		return error_errno(e, -errno, "cannot make a pseudo-terminal");
	c->slave = ioctl(c->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->slave < 0 || tcgetattr(c->slave, &t) < 0)
		return error_errno(e, -errno, "cannot open the pseudo-terminal's slave");
	cfmakeraw(&t);
	if (tcsetattr(c->slave, TCSANOW, &t) < 0)
		return error_errno(e, -errno, "cannot set the pseudo-terminal's mode");
	if (rows && cols && ioctl(c->slave, TIOCSWINSZ, &size) < 0)
		return error_errno(e, -errno, "cannot set the pseudo-terminal's size");
	return 0;
}

static int send_fd(int sock, int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {0};
	char name[] = "/dev/ptmx";
	struct iovec iov = {name, sizeof(name) - 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	ssize_t r;

	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
	r = host_sendmsg(sock, &msg, 0);
	return r < 0 ? (int)r : 0;
}

int console_send(struct console *c, const char *path, struct error *e)
{
	SCOPED_FD int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int r;

	if (sock < 0)
		return error_errno(e, -errno, "cannot make a socket");
	if (strlen(path) >= sizeof(addr.sun_path))
		return error_set(e, -ENAMETOOLONG, "--console-socket: path too long");
	strcpy(addr.sun_path, path);
	if (connect(sock, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_errno(e, -errno, "--console-socket: cannot connect to %s", path);
	r = send_fd(sock, c->master);
	if (r < 0)
		return error_errno(e, r, "--console-socket: cannot send the terminal");
	host_close(c->master);
	c->master = -1;
	return 0;
}

void console_close(struct console *c)
{
	if (c->master >= 0)
		host_close(c->master);
	if (c->slave >= 0)
		host_close(c->slave);
	*c = (struct console){-1, -1};
}

void user_terminal_raw(struct user_terminal *t)
{
	struct termios raw;

	t->active = isatty(0) && tcgetattr(0, &t->saved) == 0;
	if (!t->active)
		return;
	raw = t->saved;
	cfmakeraw(&raw);
	tcsetattr(0, TCSANOW, &raw);
}

void user_terminal_restore(struct user_terminal *t)
{
	if (t->active)
		tcsetattr(0, TCSANOW, &t->saved);
	t->active = false;
}

bool user_terminal_size(unsigned short *rows, unsigned short *cols)
{
	for (int fd = 0; fd < 3; fd++) {
		struct winsize w;

		if (ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_row && w.ws_col) {
			*rows = w.ws_row;
			*cols = w.ws_col;
			return true;
		}
	}
	return false;
}
