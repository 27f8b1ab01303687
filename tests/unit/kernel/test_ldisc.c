/* kernel/tty: the line discipline against the host's own: the same keys, typed on a host pty and
 * on ours, must give the same echo and the same reads. */
/* link: sentry/kernel/tty/ldisc*.c sentry/kernel/tty/output.c sentry/core/timer.c sentry/core/sleeper.c sentry/core/waitq.c sentry/locks.c common/[a-z]*.c */
#include <asm/termbits.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/mem.h"
#include "sentry/kernel/tty/internal.h"

/* What tty.c and jobctl.c would give. */
static int signals;

void tty_signal(struct tty *tty, int sig)
{
	signals++;
}

void tty_wake_locked(struct tty *tty, uint32_t events)
{
}

void packet_note_locked(struct tty *tty, unsigned char set, unsigned char clear)
{
}

static void nothing(struct tty *tty)
{
}

static const struct tty_ops ops = {.output = nothing, .input_room = nothing};

struct native {
	int master, slave;
};

static bool native_open(struct native *n, const struct termios2 *t)
{
	int zero = 0;

	n->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK);
	if (n->master < 0 || ioctl(n->master, TIOCSPTLCK, &zero))
		return false;
	n->slave = ioctl(n->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK);
	return n->slave >= 0 && ioctl(n->slave, TCSETS2, t) == 0;
}

/* The host passes keys on from a thread of its own, which a busy machine runs when it likes. */
#define PATIENCE_MS 3000

/* All that comes from fd until it has been silent for a moment, and at least `expected` bytes. */
static size_t drain(int fd, unsigned char *buf, size_t size, size_t expected)
{
	size_t n = 0;
	ssize_t r;

	for (;;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};

		if (poll(&p, 1, n < expected ? PATIENCE_MS : 10) <= 0 || n == size)
			return n;
		r = read(fd, buf + n, size - n);
		if (r <= 0)
			return n;
		n += (size_t)r;
	}
}

/* Waits for something to come if `expected` says that it will; -errno as the sentry has it. */
static ssize_t native_read(int fd, unsigned char *buf, size_t size, bool expected)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	ssize_t r;

	if (expected)
		poll(&p, 1, PATIENCE_MS);
	r = read(fd, buf, size);
	return r < 0 ? -errno : r;
}

static void show(char *to, size_t size, const unsigned char *buf, size_t n)
{
	size_t at = 0;

	to[0] = '\0';
	for (size_t i = 0; i < n && at + 8 < size; i++)
		at += (size_t)snprintf(to + at, size - at,
				       buf[i] < 32 || buf[i] > 126 ? "<%02x>" : "%c", buf[i]);
}

static struct tty *ours_new(const struct termios2 *t)
{
	struct tty *tty = NEW(struct tty);

	mutex_init(&tty->lock, RANK_OBJECT);
	waitq_init(&tty->wq);
	tty->ops = &ops;
	tty->termios = *t;
	ldisc_init(&tty->ldisc);
	return tty;
}

/* One read's result as text: what came, or why nothing. */
static void show_read(char *to, size_t size, ssize_t r, const unsigned char *buf)
{
	if (r < 0)
		snprintf(to, size, "-%d", (int)-r);
	else
		show(to, size, buf, (size_t)r);
}

/* Output is written between keys, so that erasing starts in a column that is not 0. */
static void compare(const struct termios2 *t, const char *prompt, const char *keys, size_t n,
		    size_t read_size)
{
	unsigned char a[8192], b[8192];
	char native_text[40000], our_text[40000];
	struct native nat;
	struct tty *tty = ours_new(t);
	size_t len;

	ck_assert(native_open(&nat, t));
	ck_assert_int_eq(write(nat.slave, prompt, strlen(prompt)), (ssize_t)strlen(prompt));
	tty_output(tty, (const unsigned char *)prompt, strlen(prompt));
	ck_assert_int_eq(write(nat.master, keys, n), (ssize_t)n);
	ck_assert_uint_eq(ldisc_input(tty, (const unsigned char *)keys, n), n);
	len = ring_take(&tty->out, b, sizeof(b));
	show(our_text, sizeof(our_text), b, len);
	len = drain(nat.master, a, sizeof(a), len);
	show(native_text, sizeof(native_text), a, len);
	ck_assert_str_eq(our_text, native_text);
	for (int i = 0; i < 6; i++) {
		ssize_t r = ldisc_read(tty, b, read_size, true);

		show_read(our_text, sizeof(our_text), r, b);
		r = native_read(nat.slave, a, read_size, r != -EAGAIN);
		show_read(native_text, sizeof(native_text), r, a);
		ck_assert_str_eq(our_text, native_text);
	}
	close(nat.slave);
	close(nat.master);
	ktimer_cancel(&tty->timer);
	free(tty);
}

static const struct termios2 cooked = {
    .c_iflag = ICRNL | IXON,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = B38400 | CS8 | CREAD,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .c_cc = {[VINTR] = 3,
	     [VQUIT] = 28,
	     [VERASE] = 127,
	     [VKILL] = 21,
	     [VEOF] = 4,
	     [VMIN] = 1,
	     [VSTART] = 17,
	     [VSTOP] = 19,
	     [VSUSP] = 26,
	     [VREPRINT] = 18,
	     [VDISCARD] = 15,
	     [VWERASE] = 23,
	     [VLNEXT] = 22},
};

#define KEYS(text) text, sizeof(text) - 1

START_TEST(typed_lines)
{
	compare(&cooked, "$ ", KEYS("hello\n"), 100);
	compare(&cooked, "$ ", KEYS("hello\r\nsecond\n"), 3);
	compare(&cooked, "$ ", KEYS("abc\004def\n\004\004"), 3);
	compare(&cooked, "", KEYS("abc\004"), 3);
	compare(&cooked, "", KEYS("not finished"), 100);
}
END_TEST

START_TEST(editing)
{
	compare(&cooked, "$ ", KEYS("helxx\177\177lo\n"), 100);
	compare(&cooked, "$ ", KEYS("\177\177ab\177\177\177x\n"), 100);
	compare(&cooked, "$ ", KEYS("one two  three_4\027\027x\n"), 100);
	compare(&cooked, "$ ", KEYS("kill me\025again\n"), 100);
	compare(&cooked, "$ ", KEYS("a\tb\tc\177\177\177\177x\n"), 100);
	compare(&cooked, "a\tbc", KEYS("\t\001\tz\177\177\177\177\n"), 100);
	compare(&cooked, "$ ", KEYS("re\001print\022ed\n"), 100);
	compare(&cooked, "$ ", KEYS("\026\003\026\177x\177\177y\n"), 100);
	compare(&cooked, "$ ", KEYS("\001\002\177\177z\n"), 100);
}
END_TEST

START_TEST(signal_keys_flush)
{
	signals = 0;
	compare(&cooked, "$ ", KEYS("abc\003def\n"), 100);
	compare(&cooked, "$ ", KEYS("abc\n\032def\034g\n"), 100);
	ck_assert_int_eq(signals, 3);
}
END_TEST

static void with(unsigned int iflag, unsigned int oflag, unsigned int lflag, unsigned int without,
		 const char *prompt, const char *keys, size_t n)
{
	struct termios2 t = cooked;

	t.c_iflag |= iflag;
	t.c_oflag |= oflag;
	t.c_lflag = (t.c_lflag | lflag) & ~without;
	compare(&t, prompt, keys, n, 100);
}

START_TEST(flags)
{
	with(0, 0, ECHOPRT, 0, "$ ", KEYS("abcd\177\177xy\177\177\177z\n"));
	with(0, 0, 0, ECHOE, "$ ", KEYS("abc\177x\027\025\n"));
	with(0, 0, 0, ECHOKE, "$ ", KEYS("abc\025x\n"));
	with(0, 0, 0, ECHOCTL, "$ ", KEYS("a\001b\001\177\177\177\n"));
	with(0, 0, ECHONL, ECHO, "$ ", KEYS("secret\n"));
	with(0, 0, NOFLSH, 0, "$ ", KEYS("abc\003def\n"));
	with(0, XTABS, 0, 0, "a\tb\r\n\tc", KEYS("x\ty\177\177\177\n"));
	with(0, OCRNL | ONOCR, 0, 0, "a\rb\r\rc\n\r", KEYS("x\n"));
	with(0, ONLRET | OLCUC, 0, 0, "abc\n\tz", KEYS("qwe\n"));
	with(INLCR, 0, 0, 0, "", KEYS("a\nb\rc\n"));
	with(IGNCR, 0, 0, 0, "", KEYS("a\rb\n"));
	with(ISTRIP | IUCLC, 0, 0, 0, "", KEYS("\xc1\xc2ZZ\n"));
	with(PARMRK, 0, 0, ICANON, "", KEYS("a\xff\xfe\n"));
	with(IUTF8, 0, 0, 0, "", KEYS("a\xc3\xa4\xe2\x82\xac\177\177x\n"));
	with(IUTF8, 0, 0, 0, "\xc3\xa4", KEYS("\xc3\xa4\t\177\177b \xc3\xa4\xc3\xb6\027z\n"));
	with(0, 0, 0, ISIG, "", KEYS("a\003\032\034\n"));
	with(0, 0, 0, IEXTEN, "", KEYS("a b\027\026c\022\n"));
	with(0, 0, EXTPROC, 0, "", KEYS("ab\003\177\n\004"));
}
END_TEST

START_TEST(raw_mode)
{
	struct termios2 t = cooked;

	t.c_lflag = 0;
	t.c_iflag = 0;
	t.c_oflag = 0;
	compare(&t, "a\nb", KEYS("x\003\177\n\r\004"), 3);
	t.c_cc[VMIN] = 0;
	compare(&t, "", KEYS("ab"), 100);
	t.c_cc[VMIN] = 5;
	compare(&t, "", KEYS("abc"), 100);
	t.c_lflag = ECHO | ECHOCTL;
	compare(&t, "\t", KEYS("a\001\t\n"), 100);
}
END_TEST

START_TEST(flow_control_holds_output)
{
	compare(&cooked, "$ ", KEYS("ab\023cd"), 100);
	compare(&cooked, "$ ", KEYS("ab\023cd\021ef\n"), 100);
	with(IXANY, 0, 0, 0, "", KEYS("ab\023cd\n"));
}
END_TEST

START_TEST(long_lines_lose_their_end)
{
	char line[6001];

	memset(line, 'a', sizeof(line));
	line[6000] = '\n';
	with(0, 0, 0, ECHO, "", line, sizeof(line));
}
END_TEST

/* Random keys out of those that matter. */
START_TEST(random_keys)
{
	static const char keys[] = "ab_ \t\n\r\177\025\027\026\022\001\004\003\xc3\xa4z.";
	static const unsigned int lflags[] = {0, ECHOPRT, ECHOK, ECHOCTL, ECHOE, NOFLSH};
	unsigned int seed = (unsigned int)_i * 7919 + 1;
	struct termios2 t = cooked;
	char text[60];
	size_t n = 1 + (size_t)rand_r(&seed) % sizeof(text);

	for (size_t i = 0; i < n; i++)
		text[i] = keys[(unsigned int)rand_r(&seed) % (sizeof(keys) - 1)];
	t.c_lflag ^= lflags[(unsigned int)rand_r(&seed) % ARRAY_SIZE(lflags)];
	t.c_iflag |= rand_r(&seed) % 2 ? IUTF8 : 0;
	compare(&t, rand_r(&seed) % 2 ? "> " : "", text, n, 1 + (size_t)rand_r(&seed) % 20);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ldisc");
	TCase *tc = tcase_create("against the host's line discipline");
	SRunner *runner;
	int failed;

	if (access("/dev/ptmx", R_OK | W_OK)) {
		puts("skip: the host has no /dev/ptmx");
		return 77;
	}
	tcase_set_timeout(tc, 30);
	tcase_add_test(tc, typed_lines);
	tcase_add_test(tc, editing);
	tcase_add_test(tc, signal_keys_flush);
	tcase_add_test(tc, flags);
	tcase_add_test(tc, raw_mode);
	tcase_add_test(tc, flow_control_holds_output);
	tcase_add_test(tc, long_lines_lose_their_end);
	tcase_add_loop_test(tc, random_keys, 0, 40);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
