/*
 * Feeds stdin to the ELF and script parsers, and checks what the loader relies
 * on in a file that was accepted. Ends by abort() on a broken promise; the
 * sanitizers see the rest.
 */
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "sentry/kernel/binfmt_script.h"
#include "sentry/kernel/elf.h"

struct memory_source {
	struct elf_source src;
	const char *data;
	size_t size;
};

static ssize_t memory_read(struct elf_source *src, void *buf, size_t n, uint64_t pos)
{
	struct memory_source *m = container_of(src, struct memory_source, src);

	if (pos >= m->size)
		return 0;
	n = min(n, m->size - pos);
	memcpy(buf, m->data + pos, n);
	return (ssize_t)n;
}

static void check(const struct elf_image *e)
{
	const uint64_t top = 0x7ffffffff000;

	if (e->nsegments < 1 || e->low >= e->high || (e->align & (e->align - 1)) || e->align < 4096)
		abort();
	for (int i = 0; i < e->nsegments; i++) {
		const struct elf_segment *s = &e->segments[i];

		if (s->filesz > s->memsz || s->memsz == 0 || s->memsz > top ||
		    s->vaddr > top - s->memsz || s->vaddr < e->low || s->vaddr + s->memsz > e->high)
			abort();
		if (s->filesz &&
		    (s->offset % 4096 != s->vaddr % 4096 || s->offset > INT64_MAX - s->filesz))
			abort();
	}
	if (e->interp && strlen(e->interp) >= 4096)
		abort();
}

int main(void)
{
	static char data[1 << 20];
	struct memory_source m = {.src.read = memory_read, .data = data};
	char head[SCRIPT_HEAD] = "";
	struct script_line line;
	struct elf_image e;

	m.size = fread(data, 1, sizeof(data), stdin);
	if (elf_parse(&m.src, &e) == 0) {
		check(&e);
		elf_image_fini(&e);
	}
	memcpy(head, data, min(m.size, sizeof(head)));
	if (script_parse(head, &line) && line.interp[0] == '\0')
		abort();
	return 0;
}
