#include "common/log.h"

#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <libunwind.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
void __sanitizer_set_report_fd(void *fd);
#endif

static struct {
	const char *name;
	int fd;
	enum log_level level;
	void (*hook)(void);
} logger = {.name = "garrison", .fd = 2, .level = LOG_WARN};

void log_init(const char *name, int fd, enum log_level level)
{
	logger.name = name;
	logger.fd = fd;
	logger.level = level;
#ifdef __SANITIZE_ADDRESS__
	__sanitizer_set_report_fd((void *)(intptr_t)fd);
#endif
}

bool log_enabled(enum log_level level)
{
	return level <= logger.level;
}

void log_raw(const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(logger.fd, text, len);

		if (n <= 0)
			return; /* nowhere left to complain to */
		text += n;
		len -= (size_t)n;
	}
}

static void log_line(const char *tag, const char *fmt, va_list ap)
{
	char line[1024];
	struct timespec now;
	int head, body;
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	head = snprintf(line, sizeof(line), "%lld.%06ld %s[%d] %s: ", (long long)now.tv_sec,
			now.tv_nsec / 1000, logger.name, (int)getpid(), tag);
	body = vsnprintf(line + head, sizeof(line) - (size_t)head - 1, fmt, ap);
	len = min((size_t)head + (size_t)max(body, 0), sizeof(line) - 2);
	line[len++] = '\n';
	log_raw(line, len);
}

void log_at(enum log_level level, const char *fmt, ...)
{
	static const char *const tags[] = {"error", "warning", "info", "debug"};
	va_list ap;

	if (!log_enabled(level))
		return;
	va_start(ap, fmt);
	log_line(tags[level], fmt, ap);
	va_end(ap);
}

void panic_set_hook(void (*hook)(void))
{
	logger.hook = hook;
}

extern const char __ehdr_start[]; /* by the linker: where this program is loaded */

/*
 * Per frame: the address, and where that is: in this program (tools/symbolize knows the
 * function) or in a library. Functions are named from what is in memory only: libunwind's
 * own names need /proc/self/maps and the program's file, which a confined process cannot open.
 */
static void frame_print(unsigned long ip)
{
	unsigned long program = (unsigned long)__ehdr_start;
	char line[512];
	Dl_info in;
	int n;

	if (!dladdr((void *)ip, &in) || !in.dli_fname)
		n = snprintf(line, sizeof(line), "  %#lx\n", ip);
	else if ((unsigned long)in.dli_fbase == program)
		n = snprintf(line, sizeof(line), "  %#lx (%#lx)\n", ip, ip - program);
	else
		n = snprintf(line, sizeof(line), "  %#lx %s+%#lx %s\n", ip, in.dli_fname,
			     ip - (unsigned long)in.dli_fbase, in.dli_sname ? in.dli_sname : "");
	log_raw(line, (size_t)min(n, (int)sizeof(line) - 1));
}

static void backtrace_print(void)
{
	unw_context_t context;
	unw_cursor_t cursor;
	unw_word_t ip;

	unw_getcontext(&context);
	unw_init_local(&cursor, &context);
	while (unw_step(&cursor) > 0 && !unw_get_reg(&cursor, UNW_REG_IP, &ip))
		frame_print(ip);
}

void panic(const char *fmt, ...)
{
	static atomic_flag entered = ATOMIC_FLAG_INIT;
	va_list ap;

	va_start(ap, fmt);
	log_line("panic", fmt, ap);
	va_end(ap);
	if (!atomic_flag_test_and_set(&entered)) {
		backtrace_print();
		if (logger.hook)
			logger.hook();
	}
	/* In a pid 1, abort() gets as far as its faulting instruction, which must not be caught. */
	signal(SIGSEGV, SIG_DFL);
	abort();
}
