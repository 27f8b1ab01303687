/*
 * Reading of ELF files: from bytes to a checked description of what to map. It
 * knows no task and no memory, so that it can be tested and fuzzed alone. Every
 * field of the file is hostile.
 */
#ifndef GARRISON_SENTRY_KERNEL_ELF_H
#define GARRISON_SENTRY_KERNEL_ELF_H

#include <elf.h>

#include "common/base.h"

/* Bytes of the file from `pos`: how many, or -errno. */
struct elf_source {
	ssize_t (*read)(struct elf_source *src, void *buf, size_t n, uint64_t pos);
};

struct elf_segment {
	uint64_t vaddr, filesz, memsz, offset;
	int prot; /* PROT_* */
};

/* As many program headers as fit into 64 KiB, Linux's own limit. */
#define ELF_MAX_PHDRS (65536 / sizeof(Elf64_Phdr))

struct elf_image {
	bool dynamic_position; /* ET_DYN */
	uint64_t entry;
	uint64_t phdr_vaddr; /* where the program headers will lie; 0 unknown */
	unsigned int phnum;
	bool exec_stack;
	char *interp;	    /* path; NULL: none; owned */
	uint64_t align;	    /* largest p_align of a loadable segment, a power of two, >= 4096 */
	uint64_t low, high; /* page-aligned bounds of all segments */
	int nsegments;
	struct elf_segment *segments; /* owned; rising or not, as in the file */
};

/*
 * 0; -ENOEXEC if it is no ELF file for x86-64 or a malformed one; -EINVAL for segments out of
 * range; -ENOMEM; or what read said. End a parsed image with elf_image_fini.
 */
int elf_parse(struct elf_source *src, struct elf_image *out) MUST_CHECK;
void elf_image_fini(struct elf_image *image);

#endif
