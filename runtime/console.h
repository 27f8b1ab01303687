/* Terminals: the host's pseudo-terminal that carries a container's console. */
#ifndef GARRISON_RUNTIME_CONSOLE_H
#define GARRISON_RUNTIME_CONSOLE_H

#include <termios.h>

#include "runtime/error.h"

struct console {
	int master, slave; /* owned, or -1 */
};

/* A new pair, the slave in raw mode: the sentry's line discipline does the cooking. */
MUST_CHECK int console_new(struct console *c, unsigned short rows, unsigned short cols,
			   struct error *e);
/* Sends the master to an AF_UNIX stream socket, as engines want it, and closes it. */
MUST_CHECK int console_send(struct console *c, const char *socket_path, struct error *e);
void console_close(struct console *c);

/* The user's own terminal, on fd 0: raw while the container runs. */
struct user_terminal {
	bool active;
	struct termios saved;
};
void user_terminal_raw(struct user_terminal *t);
void user_terminal_restore(struct user_terminal *t);
/* The size of the terminal on fd 0 (or 1, 2); false if there is none. */
bool user_terminal_size(unsigned short *rows, unsigned short *cols);

#endif
