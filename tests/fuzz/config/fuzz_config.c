/*
 * Feeds stdin to the parser of config.json. What must hold: no memory error, no
 * leak, and a refusal always says something.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "runtime/config.h"

static char text[1 << 20];

int main(void)
{
	size_t n = fread(text, 1, sizeof(text) - 1, stdin);
	json_t *json = json_loadb(text, n, 0, NULL);
	struct config c = {0};
	struct error e = {0};
	int r;

	if (!json)
		return 0;
	r = config_from_json(json, "config.json", "/tmp", &c, &e);
	if (r < 0 && (!e.text || !strstr(e.text, "config.json"))) {
		fprintf(stderr, "refused without naming the file: %d %s\n", r,
			e.text ? e.text : "");
		return 1;
	}
	config_free(&c);
	error_clear(&e);
	return 0;
}
