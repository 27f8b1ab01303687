/*
 * Command lines: one table per command says which options it takes, and yields
 * their parsing (getopt_long(3)), their errors and `--help`. Tables can contain
 * others, so what several commands share is said once.
 */
#ifndef GARRISON_RUNTIME_OPTIONS_H
#define GARRISON_RUNTIME_OPTIONS_H

#include <stddef.h>

#include "runtime/error.h"

enum option_kind {
	OPTION_CALL = 0,
	OPTION_FLAG,	/* bool */
	OPTION_STRING,	/* const char * */
	OPTION_LIST,	/* json_t *, made when the first one comes: an array of strings */
	OPTION_INCLUDE, /* another table, whose members lie in a struct of ours */
};

/* `to` is the command's struct; arg is NULL for an option that takes none. */
typedef int option_fn(void *to, const char *arg, struct error *e);

struct option_def {
	const char *name;
	char letter;	  /* 0: none */
	const char *arg;  /* what its argument is called in --help; NULL: it takes none */
	const char *help; /* NULL: taken for the sake of engines, and not shown */
	enum option_kind kind;
	size_t at;			  /* of the member; for CALL: of the struct */
	option_fn *fn;			  /* for CALL; NULL: nothing happens */
	const struct option_def *include; /* for INCLUDE */
};
#define OPT_FLAG(type, member) .kind = OPTION_FLAG, .at = offsetof(type, member)
#define OPT_STRING(type, member) .kind = OPTION_STRING, .at = offsetof(type, member)
#define OPT_LIST(type, member) .kind = OPTION_LIST, .at = offsetof(type, member)
#define OPT_INCLUDE(table, type, member)                                                           \
	{                                                                                          \
		.kind = OPTION_INCLUDE, .at = offsetof(type, member), .include = (table)           \
	}

/* A table for the same struct. */
#define OPT_INCLUDE_HERE(table)                                                                    \
	{                                                                                          \
		.kind = OPTION_INCLUDE, .include = (table)                                         \
	}

/* What a command looks like from outside. */
struct command_line {
	const char *name;	 /* "run"; "" for garrison itself */
	const char *arguments;	 /* "ID [SIGNAL]": upper-case names; [optional]; REPEATED... */
	const char *summary;	 /* one line, for the overview */
	const char *description; /* more for --help, or NULL */
	const struct option_def *options; /* ends with an entry without name and kind; or NULL */
};

/*
 * Reads the options into `to`, the index of the first argument is returned. --help (and -h)
 * prints and exits. Errors name the option or the argument that is missing or too much. Where
 * the last argument is repeated (a command follows) options end at the first argument;
 * elsewhere they may stand behind it.
 */
MUST_CHECK int options_parse(const struct command_line *c, void *to, int argc, char **argv,
			     struct error *e);
void options_help(const struct command_line *c);

#endif
