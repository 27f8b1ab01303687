#include "runtime/options.h"

#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"

#define MAX_OPTIONS 64
#define FIRST_VALUE 256 /* getopt's values: above every letter, '?' and ':' */

/* A table with what it includes, and getopt's view of it. */
struct flat {
	const struct option_def *defs[MAX_OPTIONS];
	size_t base[MAX_OPTIONS]; /* where the struct of the definition begins in the command's */
	size_t n;
	struct option longs[MAX_OPTIONS + 2];
	char letters[2 * MAX_OPTIONS + 4];
};

static void flatten(struct flat *f, const struct option_def *defs, size_t base)
{
	for (; defs && (defs->name || defs->include); defs++) {
		if (defs->include) {
			flatten(f, defs->include, base + defs->at);
			continue;
		}
		assert(f->n < MAX_OPTIONS);
		f->defs[f->n] = defs;
		f->base[f->n++] = base;
	}
}

/* Ends with "..." or "...]": a command with its own options may follow. */
static bool takes_command(const struct command_line *c)
{
	return c->arguments && strstr(c->arguments, "...");
}

static void to_getopt(struct flat *f, bool stop_early)
{
	char *p = f->letters;

	if (stop_early)
		*p++ = '+';
	*p++ = ':';
	for (size_t i = 0; i < f->n; i++) {
		const struct option_def *d = f->defs[i];

		f->longs[i] = (struct option){d->name, d->arg ? required_argument : no_argument,
					      NULL, FIRST_VALUE + (int)i};
		if (!d->letter)
			continue;
		*p++ = d->letter;
		if (d->arg)
			*p++ = ':';
	}
	f->longs[f->n] = (struct option){"help", no_argument, NULL, FIRST_VALUE + MAX_OPTIONS};
}

static const struct option_def *find(const struct flat *f, int c, size_t *index)
{
	for (size_t i = 0; i < f->n; i++) {
		if (c != FIRST_VALUE + (int)i && !(c < FIRST_VALUE && c == f->defs[i]->letter))
			continue;
		*index = i;
		return f->defs[i];
	}
	return NULL;
}

static int see_help(const struct command_line *c, struct error *e, const char *what)
{
	return error_set(e, -EINVAL, "%s%s%s; see garrison%s%s --help", c->name,
			 *c->name ? ": " : "", what, *c->name ? " " : "", c->name);
}

/* After '?' (optopt: a known option's value if it only should not have had an argument). */
static int unknown(const struct command_line *c, const struct flat *f, char **argv, struct error *e)
{
	SCOPED_FREE char *what = NULL;
	const char *word = optind > 0 ? argv[optind - 1] : "";
	size_t i;

	if (optopt >= FIRST_VALUE && find(f, optopt, &i))
		what = xasprintf("option --%s takes no argument", f->defs[i]->name);
	else if (optopt && optopt < FIRST_VALUE)
		what = xasprintf("unknown option \"-%c\"", optopt);
	else
		what = xasprintf("unknown or ambiguous option \"%s\"", word);
	return see_help(c, e, what);
}

static int missing(const struct command_line *c, const struct flat *f, struct error *e)
{
	SCOPED_FREE char *what = NULL;
	const struct option_def *d;
	size_t i;

	d = find(f, optopt, &i);
	what = d ? xasprintf("option --%s needs an argument (%s)", d->name, d->arg) : xstrdup("?");
	return see_help(c, e, what);
}

static int set(const struct option_def *d, void *to, const char *arg, struct error *e)
{
	void *member = (char *)to + d->at;
	json_t **list = member, *value;

	switch (d->kind) {
	case OPTION_FLAG:
		*(bool *)member = true;
		return 0;
	case OPTION_STRING:
		*(const char **)member = arg;
		return 0;
	case OPTION_LIST:
		if (!*list)
			*list = json_array();
		/* Bytes as they are: whoever passes them on cares for what is not UTF-8. */
		value = json_string_nocheck(arg);
		json_array_append_new(*list, value);
		return 0;
	default:
		return d->fn ? d->fn(to, arg, e) : 0;
	}
}

/* --- arguments --------------------------------------------------------------------- */

/* Compares what is there with "ID [SIGNAL]" and the like. */
static int check_arguments(const struct command_line *c, int argc, char **argv, int first,
			   struct error *e)
{
	SCOPED_FREE char *copy = xstrdup(c->arguments ? c->arguments : "");
	SCOPED_FREE char *what = NULL;
	char *save, *word;
	int n = argc - first;

	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (strcmp(word, "[--]") == 0)
			continue;
		if (n == 0 && *word != '[') {
			word[strcspn(word, ".")] = '\0';
			what = xasprintf("%s missing", word);
			return see_help(c, e, what);
		}
		if (strstr(word, "..."))
			return 0;
		n -= n > 0;
	}
	if (n > 0) {
		what = xasprintf("unexpected argument \"%s\"", argv[argc - n]);
		return see_help(c, e, what);
	}
	return 0;
}

static int parse(const struct command_line *c, const struct flat *f, void *to, int argc,
		 char **argv, struct error *e)
{
	int v, r = 0;

	opterr = 0;
	optind = 0; /* getopt starts anew */
	while (r == 0 && (v = getopt_long(argc, argv, f->letters, f->longs, NULL)) != -1) {
		const struct option_def *d;
		size_t i;

		if (v == FIRST_VALUE + MAX_OPTIONS || (v == '?' && optopt == 'h')) {
			options_help(c);
			exit(0);
		}
		if (v == '?')
			return unknown(c, f, argv, e);
		if (v == ':')
			return missing(c, f, e);
		d = find(f, v, &i);
		assert(d);
		r = set(d, (char *)to + f->base[i], optarg, e);
		if (r < 0 && *c->name)
			error_wrap(e, "%s", c->name);
	}
	return r < 0 ? r : optind;
}

int options_parse(const struct command_line *c, void *to, int argc, char **argv, struct error *e)
{
	struct flat f = {.n = 0};
	int r, first;

	flatten(&f, c->options, 0);
	to_getopt(&f, takes_command(c));
	first = parse(c, &f, to, argc, argv, e);
	if (first < 0)
		return first;
	r = check_arguments(c, argc, argv, first, e);
	return r < 0 ? r : first;
}

/* --- help ---------------------------------------------------------------------------- */

static void help_option(const struct option_def *d)
{
	char left[64];
	int n;

	if (!d->help)
		return;
	n = d->letter ? snprintf(left, sizeof(left), "-%c, ", d->letter)
		      : snprintf(left, sizeof(left), "    ");
	snprintf(left + n, sizeof(left) - (size_t)n, "--%s%s%s", d->name, d->arg ? " " : "",
		 d->arg ? d->arg : "");
	if (strlen(left) > 28)
		printf("  %s\n  %-28s  %s\n", left, "", d->help);
	else
		printf("  %-28s  %s\n", left, d->help);
}

void options_help(const struct command_line *c)
{
	static const struct option_def help = {.name = "help", .letter = 'h', .help = "this text"};
	struct flat f = {.n = 0};

	flatten(&f, c->options, 0);
	printf("usage: garrison %s%s%s[options]%s%s\n\n%s\n", *c->name ? "[global options] " : "",
	       c->name, *c->name ? " " : "", c->arguments ? " " : "",
	       c->arguments ? c->arguments : "", c->summary);
	if (c->description)
		printf("\n%s\n", c->description);
	printf("\nOptions:\n");
	for (size_t i = 0; i < f.n; i++)
		help_option(f.defs[i]);
	if (*c->name)
		help_option(&help);
}
