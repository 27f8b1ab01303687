#include "sentry/kernel/elf.h"

#include <errno.h>
#include <limits.h>
#include <sys/mman.h>

#include "common/mem.h"

#define PAGE 4096ULL
#define TASK_SIZE 0x7ffffffff000ULL

/* Exactly n bytes; a short file is junk. */
static int read_exact(struct elf_source *src, void *buf, size_t n, uint64_t pos)
{
	ssize_t r = pos > INT64_MAX ? 0 : src->read(src, buf, n, pos);

	if (r < 0)
		return (int)r;
	return (size_t)r == n ? 0 : -ENOEXEC;
}

static bool header_ok(const Elf64_Ehdr *h)
{
	return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == ELFDATA2LSB &&
	       (h->e_type == ET_EXEC || h->e_type == ET_DYN) && h->e_machine == EM_X86_64 &&
	       h->e_phentsize == sizeof(Elf64_Phdr) && h->e_phnum > 0 &&
	       h->e_phnum <= ELF_MAX_PHDRS;
}

static int read_interp(struct elf_source *src, const Elf64_Phdr *p, struct elf_image *out)
{
	int r;

	if (out->interp) /* Linux takes the first */
		return 0;
	if (p->p_filesz > PATH_MAX || p->p_filesz < 2)
		return -ENOEXEC;
	out->interp = try_calloc(1, p->p_filesz);
	if (!out->interp)
		return -ENOMEM;
	r = read_exact(src, out->interp, p->p_filesz, p->p_offset);
	if (r < 0)
		return r == -ENOEXEC ? -EIO : r;
	return out->interp[p->p_filesz - 1] == '\0' ? 0 : -ENOEXEC;
}

static int segment_prot(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

static int add_segment(const Elf64_Phdr *p, struct elf_image *out)
{
	struct elf_segment *s = &out->segments[out->nsegments];

	if (p->p_filesz > p->p_memsz || p->p_memsz > TASK_SIZE || p->p_vaddr > TASK_SIZE ||
	    TASK_SIZE - p->p_memsz < p->p_vaddr)
		return -EINVAL;
	if (p->p_filesz &&
	    (p->p_offset > INT64_MAX - p->p_filesz || p->p_offset % PAGE != p->p_vaddr % PAGE))
		return -EINVAL;
	if (p->p_memsz == 0)
		return 0;
	*s = (struct elf_segment){.vaddr = p->p_vaddr,
				  .filesz = p->p_filesz,
				  .memsz = p->p_memsz,
				  .offset = p->p_offset,
				  .prot = segment_prot(p->p_flags)};
	if (p->p_align > out->align && (p->p_align & (p->p_align - 1)) == 0)
		out->align = min(p->p_align, (uint64_t)1 << 30);
	if (out->nsegments == 0 || s->vaddr < out->low)
		out->low = ROUND_DOWN(s->vaddr, PAGE);
	out->high = max(out->high, ROUND_UP(s->vaddr + s->memsz, PAGE));
	out->nsegments++;
	return 0;
}

static int take_phdr(struct elf_source *src, const Elf64_Ehdr *h, const Elf64_Phdr *p,
		     struct elf_image *out)
{
	switch (p->p_type) {
	case PT_INTERP:
		return read_interp(src, p, out);
	case PT_GNU_STACK:
		out->exec_stack = p->p_flags & PF_X;
		return 0;
	case PT_LOAD:
		if (p->p_offset <= h->e_phoff && h->e_phoff - p->p_offset < p->p_filesz)
			out->phdr_vaddr = h->e_phoff - p->p_offset + p->p_vaddr;
		return add_segment(p, out);
	default:
		return 0;
	}
}

static int parse(struct elf_source *src, const Elf64_Ehdr *h, struct elf_image *out)
{
	size_t size = h->e_phnum * sizeof(Elf64_Phdr);
	SCOPED_FREE Elf64_Phdr *phdrs = try_malloc(size);
	int r;

	out->segments = try_calloc(h->e_phnum, sizeof(struct elf_segment));
	if (!phdrs || !out->segments)
		return -ENOMEM;
	r = read_exact(src, phdrs, size, h->e_phoff);
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < h->e_phnum && r == 0; i++)
		r = take_phdr(src, h, &phdrs[i], out);
	if (r == 0 && out->nsegments == 0)
		r = -ENOEXEC;
	return r;
}

int elf_parse(struct elf_source *src, struct elf_image *out)
{
	Elf64_Ehdr h;
	int r = read_exact(src, &h, sizeof(h), 0);

	if (r < 0)
		return r;
	if (!header_ok(&h))
		return -ENOEXEC;
	*out = (struct elf_image){.dynamic_position = h.e_type == ET_DYN,
				  .entry = h.e_entry,
				  .phnum = h.e_phnum,
				  .align = PAGE};
	r = parse(src, &h, out);
	if (r < 0)
		elf_image_fini(out);
	return r;
}

void elf_image_fini(struct elf_image *image)
{
	free(image->interp);
	free(image->segments);
	image->interp = NULL;
	image->segments = NULL;
}
