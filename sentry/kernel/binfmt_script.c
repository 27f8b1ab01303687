#include "sentry/kernel/binfmt_script.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_blank(*p))
		p++;
	return p;
}

static const char *skip_word(const char *p, const char *end)
{
	while (p < end && *p && !is_blank(*p))
		p++;
	return p;
}

static void copy(char *to, const char *from, const char *end)
{
	memcpy(to, from, (size_t)(end - from));
	to[end - from] = '\0';
}

bool script_parse(const char head[SCRIPT_HEAD], struct script_line *out)
{
	const char *last = head + SCRIPT_HEAD, *end, *name, *name_end;

	if (head[0] != '#' || head[1] != '!')
		return false;
	end = memchr(head, '\n', SCRIPT_HEAD);
	if (!end) {
		/* A longer line will do if the interpreter's name is whole. */
		name = skip_blanks(head + 2, last);
		if (skip_word(name, last) == last)
			return false;
		end = last - 1;
	}
	while (end > head + 2 && is_blank(end[-1]))
		end--;
	name = skip_blanks(head + 2, end);
	name_end = skip_word(name, end);
	if (name == name_end)
		return false;
	copy(out->interp, name, name_end);
	name = skip_blanks(name_end, end);
	if (name < end && memchr(name, '\0', (size_t)(end - name)))
		end = memchr(name, '\0', (size_t)(end - name));
	copy(out->arg, name, end);
	return true;
}
