/*
 * Log lines and panics. A process logs to one fd, chosen at start; each line is
 * written by one write(2), so lines of several processes do not mix.
 */
#ifndef GARRISON_COMMON_LOG_H
#define GARRISON_COMMON_LOG_H

#include "common/base.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* Starts with fd 2 and LOG_WARN. `name` (borrowed for ever) stands before each line. */
void log_init(const char *name, int fd, enum log_level level);
bool log_enabled(enum log_level level);
void log_at(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_DEBUG))                                                        \
			log_at(LOG_DEBUG, __VA_ARGS__);                                            \
	} while (0)

/* Writes raw text, already formatted as whole lines, to the log fd (--strace). */
void log_raw(const char *text, size_t len);

/* Prints the message, a backtrace and what the panic hook adds; ends the process by SIGABRT. */
void panic(const char *fmt, ...) PRINTF_LIKE(1, 2) NORETURN;

/* `hook` runs once inside panic() (the sentry prints the last syscalls). */
void panic_set_hook(void (*hook)(void));

#endif
