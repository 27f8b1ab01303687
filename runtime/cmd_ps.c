/*
 * ps: the container's processes as ps(1) would list them: the numbers are the
 * guest's own, which no ps on the host can show. The format is chosen by ps's
 * options, of which the usual ones are known: -ef (the default), -e, aux, -o LIST.
 *
 * As JSON it is what engines ask for: the container's processes on the host, to be
 * looked up there: the monitor, which stands for the container, and the stub process
 * of each guest process.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "common/host.h"
#include "common/host_setup.h"
#include "common/mem.h"
#include "common/text.h"
#include "runtime/client.h"
#include "runtime/command.h"
#include "runtime/show.h"

#define HZ 100 /* of /proc/PID/stat, as the sentry writes it */

/* One process: fields of proc_pid_stat(5), and what else the sentry tells. */
struct row {
	int pid, ppid, pgid, sid, nice, threads;
	unsigned int uid, tty;
	char state;
	char comm[64];
	unsigned long long user, system, start, vsize, rss; /* ticks; bytes; pages */
	const char *command;
};

static bool parse_stat(const char *text, struct row *r)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');

	if (!open || !close || close < open)
		return false;
	snprintf(r->comm, sizeof(r->comm), "%.*s", (int)(close - open - 1), open + 1);
	return sscanf(text, "%d", &r->pid) == 1 &&
	       sscanf(close + 1,
		      " %c %d %d %d %u %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %d %d %*d "
		      "%llu %llu %llu",
		      &r->state, &r->ppid, &r->pgid, &r->sid, &r->tty, &r->user, &r->system,
		      &r->nice, &r->threads, &r->start, &r->vsize, &r->rss) == 12;
}

/* --- columns -------------------------------------------------------------------------- */

static double age(const struct row *r)
{
	double now = (double)host_monotonic_ns() / 1e9;

	return now > (double)r->start / HZ ? now - (double)r->start / HZ : 0;
}

static double busy(const struct row *r)
{
	return (double)(r->user + r->system) / HZ;
}

static double percent(const struct row *r)
{
	return age(r) > 0 ? min(100 * busy(r) / age(r), 999.9) : 0;
}

static void put_user(struct text *t, const struct row *r)
{
	const struct passwd *pw = getpwuid(r->uid);

	if (pw && strlen(pw->pw_name) <= 8)
		text_puts(t, pw->pw_name);
	else
		text_printf(t, "%u", r->uid);
}

static void put_tty(struct text *t, const struct row *r)
{
	if (major(r->tty) == 136)
		text_printf(t, "pts/%u", minor(r->tty));
	else
		text_puts(t, r->tty ? "console" : "?");
}

static void put_start(struct text *t, const struct row *r)
{
	time_t now = time(NULL), then = now - (time_t)age(r);
	struct tm tm;
	char buf[16];

	localtime_r(&then, &tm);
	strftime(buf, sizeof(buf), now - then < 86400 ? "%H:%M" : "%b%d", &tm);
	text_puts(t, buf);
}

static void put_time(struct text *t, const struct row *r)
{
	unsigned int s = (unsigned int)busy(r);

	text_printf(t, "%02u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
}

static void put_elapsed(struct text *t, const struct row *r)
{
	unsigned int s = (unsigned int)age(r);

	if (s >= 3600)
		text_printf(t, "%02u:", s / 3600);
	text_printf(t, "%02u:%02u", s / 60 % 60, s % 60);
}

static void put_memory(struct text *t, const struct row *r)
{
	double total = (double)sysconf(_SC_PHYS_PAGES);

	text_printf(t, "%.1f", total > 0 ? 100 * (double)r->rss / total : 0);
}

static void put_command(struct text *t, const struct row *r)
{
	if (*r->command)
		text_puts(t, r->command);
	else
		text_printf(t, "[%s]", r->comm);
}

#define NUMBER(name, field, format)                                                                \
	static void put_##name(struct text *t, const struct row *r)                                \
	{                                                                                          \
		text_printf(t, format, field);                                                     \
	}
NUMBER(uid, r->uid, "%u")
NUMBER(pid, r->pid, "%d")
NUMBER(ppid, r->ppid, "%d")
NUMBER(pgid, r->pgid, "%d")
NUMBER(sid, r->sid, "%d")
NUMBER(nice, r->nice, "%d")
NUMBER(threads, r->threads, "%d")
NUMBER(state, r->state, "%c")
NUMBER(comm, r->comm, "%s")
NUMBER(c, (int)percent(r), "%d")
NUMBER(percent, percent(r), "%.1f")
NUMBER(vsize, r->vsize >> 10, "%llu")
NUMBER(rss, r->rss *((unsigned long long)sysconf(_SC_PAGESIZE) >> 10), "%llu")

struct column {
	const char *name, *header;
	int width; /* negative: left-aligned */
	void (*put)(struct text *t, const struct row *r);
};

static const struct column columns[] = {
    {"uid", "UID", 5, put_uid},
    {"user", "UID", -8, put_user},
    {"euser", "USER", -8, put_user},
    {"pid", "PID", 7, put_pid},
    {"ppid", "PPID", 7, put_ppid},
    {"pgid", "PGID", 7, put_pgid},
    {"sid", "SID", 7, put_sid},
    {"c", "C", 2, put_c},
    {"pcpu", "%CPU", 4, put_percent},
    {"pmem", "%MEM", 4, put_memory},
    {"vsz", "VSZ", 6, put_vsize},
    {"rss", "RSS", 5, put_rss},
    {"ni", "NI", 3, put_nice},
    {"nlwp", "NLWP", 4, put_threads},
    {"stime", "STIME", -5, put_start},
    {"start", "START", -5, put_start},
    {"tty", "TTY", -8, put_tty},
    {"stat", "STAT", -4, put_state},
    {"time", "TIME", 8, put_time},
    {"etime", "ELAPSED", 11, put_elapsed},
    {"comm", "CMD", -15, put_comm},
    {"args", "CMD", -27, put_command},
    {"command", "COMMAND", -27, put_command},
};

static const struct {
	const char *other, *name;
} synonyms[] = {
    {"cmd", "args"},	 {"%cpu", "pcpu"},	{"%mem", "pmem"}, {"tt", "tty"},
    {"s", "stat"},	 {"state", "stat"},	{"vsize", "vsz"}, {"rssize", "rss"},
    {"sess", "sid"},	 {"thcount", "nlwp"},	{"ucmd", "comm"}, {"nice", "ni"},
    {"cputime", "time"}, {"bsdstart", "start"},
};

static const struct column *find_column(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(synonyms); i++)
		if (strcmp(synonyms[i].other, name) == 0)
			name = synonyms[i].name;
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (strcmp(columns[i].name, name) == 0)
			return &columns[i];
	return NULL;
}

#define MAX_COLUMNS 32

struct format {
	const struct column *column[MAX_COLUMNS];
	char *header[MAX_COLUMNS]; /* owned */
	size_t n;
};

static void format_free(struct format *f)
{
	for (size_t i = 0; i < f->n; i++)
		free(f->header[i]);
}

/* "pid,comm=NAME args": blanks and commas part the columns. */
static int add_columns(struct format *f, const char *list, struct error *e)
{
	SCOPED_FREE char *copy = xstrdup(list);
	char *save;

	for (char *p = strtok_r(copy, ", ", &save); p; p = strtok_r(NULL, ", ", &save)) {
		char *header = strchr(p, '=');
		const struct column *c;

		if (header)
			*header++ = '\0';
		c = find_column(p);
		if (!c || f->n == MAX_COLUMNS)
			return error_set(e, -EINVAL, "ps: unknown column \"%s\" in -o", p);
		f->header[f->n] = xstrdup(header ? header : c->header);
		f->column[f->n++] = c;
	}
	return 0;
}

/* One word of ps's options. `list`: its -o wants the next word. */
static int read_word(const char *word, struct format *f, const char **standard, bool *list,
		     struct error *e)
{
	const char *letters = *word == '-' ? word + 1 : word;

	if (strncmp(word, "--", 2) == 0)
		return error_set(e, -EINVAL, "ps: unknown option %s of ps", word);
	for (; *letters; letters++) {
		switch (*letters) {
		case 'o':
		case 'O':
			*list = !letters[1];
			return *list ? 0 : add_columns(f, letters + 1, e);
		case 'f':
		case 'F':
			*standard = "user,pid,ppid,c,stime,tty,time,args";
			break;
		case 'u':
			*standard = "euser=USER,pid,pcpu,pmem,vsz,rss,tty,stat,start,time,command";
			break;
		case 'e':
		case 'A':
		case 'a':
		case 'x':
		case 'w':
		case 'H':
			break;
		default:
			return error_set(e, -EINVAL, "ps: unknown option -%c of ps", *letters);
		}
	}
	return 0;
}

static int read_format(char *const *words, struct format *f, struct error *e)
{
	const char *standard = *words ? "pid,tty,time,comm" : "user,pid,ppid,c,stime,tty,time,args";
	bool list = false;
	int r = 0;

	for (; r == 0 && *words; words++) {
		if (list) {
			r = add_columns(f, *words, e);
			list = false;
		} else if (strcmp(*words, "--") != 0) {
			r = read_word(*words, f, &standard, &list, e);
		}
	}
	if (r == 0 && list)
		r = error_set(e, -EINVAL, "ps: -o needs a list of columns");
	return r == 0 && f->n == 0 ? add_columns(f, standard, e) : r;
}

/* --- lines ----------------------------------------------------------------------------- */

static void put_cell(struct text *line, const char *cell, int width, bool last)
{
	if (last && width < 0)
		text_puts(line, cell);
	else
		text_printf(line, "%*s%s", width, cell, last ? "" : " ");
}

static void print_headers(const struct format *f)
{
	struct text line = {0};

	for (size_t i = 0; i < f->n; i++)
		put_cell(&line, f->header[i], f->column[i]->width, i + 1 == f->n);
	puts(line.buf);
	text_fini(&line);
}

static void print_row(const struct format *f, const struct row *r)
{
	struct text line = {0};

	for (size_t i = 0; i < f->n; i++) {
		struct text cell = {0};

		f->column[i]->put(&cell, r);
		put_cell(&line, cell.buf ? cell.buf : "", f->column[i]->width, i + 1 == f->n);
		text_fini(&cell);
	}
	puts(line.buf);
	text_fini(&line);
}

static void print_table(const struct format *f, const json_t *list)
{
	const json_t *p;
	size_t i;

	print_headers(f);
	json_array_foreach(list, i, p)
	{
		const char *stat = json_string_value(json_object_get(p, "stat"));
		struct row r = {.command = json_string_value(json_object_get(p, "command"))};

		r.uid = (unsigned int)json_integer_value(json_object_get(p, "uid"));
		if (stat && r.command && parse_stat(stat, &r))
			print_row(f, &r);
	}
}

/* --- pids of the host -------------------------------------------------------------------- */

/* The last number of "NSpid:": the pid in the innermost namespace, that of the sentry. */
static int inner_pid(int pid)
{
	SCOPED_FREE char *path = xasprintf("/proc/%d/status", pid);
	SCOPED_FREE char *text = NULL;
	char *line, *end;

	if (host_read_file(AT_FDCWD, path, 65536, &text) < 0)
		return 0;
	line = strstr(text, "\nNSpid:");
	if (!line)
		return 0;
	end = strchrnul(line + 1, '\n');
	*end = '\0';
	return atoi(strrchr(line, '\t') + 1);
}

static bool is_stub(const json_t *list, int inner)
{
	const json_t *p;
	size_t i;

	json_array_foreach(list, i, p) if (json_integer_value(json_object_get(p, "stub")) ==
					   inner) return inner > 0;
	return false;
}

/* Those of the sentry's children (of all its threads) that run a guest process. */
static void add_stubs(int sentry, const json_t *list, json_t *out)
{
	SCOPED_FREE char *tasks = xasprintf("/proc/%d/task", sentry);
	DIR *d = opendir(tasks);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		SCOPED_FREE char *path = xasprintf("%s/%s/children", tasks, entry->d_name);
		SCOPED_FREE char *text = NULL;
		char *save, *p;

		if (entry->d_name[0] == '.' || host_read_file(AT_FDCWD, path, 1 << 20, &text) < 0)
			continue;
		for (p = strtok_r(text, " \n", &save); p; p = strtok_r(NULL, " \n", &save))
			if (is_stub(list, inner_pid(atoi(p))))
				json_array_append_new(out, json_integer(atoi(p)));
	}
	if (d)
		closedir(d);
}

static void print_host_pids(const struct state *st, const json_t *list)
{
	json_t *out = json_array();

	json_array_append_new(out, json_integer(st->monitor.pid));
	add_stubs(st->sentry.pid, list, out);
	print_json(out);
}

/* --- the command -------------------------------------------------------------------------- */

struct options {
	const char *format;
};

static const struct option_def ps_options[] = {
    {"format", 'f', "table|json", "json: the pids on the host (default: table)",
     OPT_STRING(struct options, format)},
    {0},
};

static int show(const struct state *st, bool json, char *const *words, struct error *e)
{
	struct format f = {.n = 0};
	json_t *answer = NULL;
	const json_t *list;
	int r = read_format(words, &f, e);

	if (r == 0)
		r = client_ask(st, "ps", &answer, e);
	list = json_object_get(answer, "processes");
	if (r == 0 && json)
		print_host_pids(st, list);
	else if (r == 0)
		print_table(&f, list);
	json_decref(answer);
	format_free(&f);
	return r;
}

static int ps_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct options o = {.format = "table"};
	struct state st = {.dir_fd = -1};
	int first = options_parse(&cmd_ps.line, &o, argc, argv, e), r;
	bool json;

	if (first < 0)
		return first;
	r = show_format(o.format, &json, e);
	if (r < 0)
		return error_wrap(e, "ps");
	r = state_load(g, argv[first], false, &st, e);
	if (r == 0)
		r = show(&st, json, argv + first + 1, e);
	state_free(&st);
	return r;
}

const struct command cmd_ps = {
    {"ps", "ID [PS-OPTION...]", "list the container's processes",
     .description = "PS-OPTIONs are those of ps(1): -ef (the default), -e, aux, -o pid,user,args.",
     .options = ps_options},
    ps_main};
