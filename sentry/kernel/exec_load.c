/*
 * From a file to a program ready to run: follows "#!" lines, reads the ELF
 * files, maps them into a fresh space and builds the stack.
 *
 * All of it happens beside the caller's own image, so every failure is an
 * ordinary error (Linux kills the process for some of them). The segments are
 * mapped straight from the file's host fd, one stub command each.
 */
#include <elf.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>

#include "common/host_random.h"
#include "common/mem.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/binfmt_script.h"
#include "sentry/kernel/elf.h"
#include "sentry/kernel/exec.h"

#define MAX_INTERPRETERS 5
#define PIE_BASE 0x555555554000ULL /* two thirds of the address space, as on Linux */
#define STACK_DEFAULT (8ULL << 20)
#define STACK_MAPPED_MAX (64ULL << 20)

struct loader {
	const struct exec_request *req;
	struct exec_args args;			   /* as changed by scripts */
	struct file *opened[MAX_INTERPRETERS + 2]; /* owned; nobody may write to them */
	int nopened;
	char **owned_argv;
	struct script_line lines[MAX_INTERPRETERS];
	struct file *program, *interp; /* borrowed from opened */
	struct elf_image elf, interp_elf;
	uint64_t random[3];
	struct exec_image image;
	struct exec_entry entry;
	struct {
		uint64_t from, to;
	} zero[4]; /* tails of file pages to be cleared once they are mapped */
	int nzero;
	uint64_t end; /* behind the last byte of the program: where the heap may begin */
};

/* --- files ------------------------------------------------------------------------------ */

/* Takes the reference; -ETXTBSY if somebody writes to it. */
static int hold_file(struct loader *l, struct file *f)
{
	int r = inode_deny_write(f->inode);

	if (r < 0) {
		file_put(f);
		return r;
	}
	l->opened[l->nopened++] = f;
	return 0;
}

static int open_interpreter(struct loader *l, const char *name, struct file **out)
{
	int r = vfs_open_exec(l->req->env, NULL, name, WALK_FOLLOW, out);

	return r < 0 ? r : hold_file(l, *out);
}

static ssize_t read_at(struct file *f, void *buf, size_t n, uint64_t pos)
{
	off_t p = (off_t)pos;
	size_t done = 0;

	while (done < n) {
		ssize_t r = file_read(f, (char *)buf + done, n - done, &p);

		if (r < 0)
			return r;
		if (r == 0)
			break;
		done += (size_t)r;
	}
	return (ssize_t)done;
}

/* A file's beginning is kept: most ELF files have all their headers in it. */
struct file_source {
	struct elf_source src;
	struct file *file;
	size_t have;
	char head[1024];
};

static ssize_t source_read(struct elf_source *src, void *buf, size_t n, uint64_t pos)
{
	struct file_source *s = container_of(src, struct file_source, src);

	if (pos <= s->have && n <= s->have - pos) {
		memcpy(buf, s->head + pos, n);
		return (ssize_t)n;
	}
	return read_at(s->file, buf, n, pos);
}

static int source_init(struct file_source *s, struct file *f)
{
	ssize_t n;

	*s = (struct file_source){.src.read = source_read, .file = f};
	n = read_at(f, s->head, sizeof(s->head), 0);
	s->have = n < 0 ? 0 : (size_t)n;
	return n < 0 ? (int)n : 0;
}

/* --- scripts ---------------------------------------------------------------------------- */

/* argv of the interpreter: its name, its argument, the script, and the rest of the old argv. */
static int rewrite_argv(struct loader *l, const struct script_line *line, const char *script)
{
	int rest = l->args.argc > 1 ? l->args.argc - 1 : 0, n = 0;
	char **argv = try_calloc((size_t)rest + 4, sizeof(char *));

	if (!argv)
		return -ENOMEM;
	argv[n++] = (char *)line->interp;
	if (line->arg[0])
		argv[n++] = (char *)line->arg;
	argv[n++] = (char *)script;
	if (rest)
		memcpy(argv + n, l->args.argv + 1, (size_t)rest * sizeof(char *));
	free(l->owned_argv);
	l->owned_argv = l->args.argv = argv;
	l->args.argc = n + rest;
	return 0;
}

/* Follows "#!" lines; at the end l->program is no script, and *src reads it. */
static int find_program(struct loader *l, struct file_source *src)
{
	const char *name = l->args.path;

	for (int depth = 0;; depth++) {
		struct script_line *line = &l->lines[min(depth, MAX_INTERPRETERS - 1)];
		struct script_line parsed;
		int r = source_init(src, l->program);

		if (r < 0)
			return r;
		if (src->head[0] != '#' || src->head[1] != '!')
			return 0;
		if (!script_parse(src->head, &parsed))
			return -ENOEXEC;
		if (depth == MAX_INTERPRETERS)
			return -ELOOP;
		if (depth == 0 && l->args.path_inaccessible)
			return -ENOENT;
		*line = parsed;
		r = rewrite_argv(l, line, name);
		if (r == 0)
			r = open_interpreter(l, line->interp, &l->program);
		if (r < 0)
			return r;
		name = line->interp;
	}
}

static int read_images(struct loader *l)
{
	struct file_source *src = NEW(struct file_source);
	int r = find_program(l, src);

	if (r == 0)
		r = elf_parse(&src->src, &l->elf);
	if (r == 0 && l->elf.interp) {
		r = open_interpreter(l, l->elf.interp, &l->interp);
		if (r == 0)
			r = source_init(src, l->interp);
		if (r == 0)
			r = elf_parse(&src->src, &l->interp_elf);
		if (r == -ENOEXEC && l->interp)
			r = -ELIBBAD;
	}
	free(src);
	return r;
}

/* --- mapping ------------------------------------------------------------------------------ */

static int map(struct loader *l, uint64_t start, uint64_t end, int prot, struct file *f,
	       uint64_t offset)
{
	int flags = MAP_PRIVATE | MAP_FIXED | (f ? 0 : MAP_ANONYMOUS);
	int64_t r = mm_mmap(l->image.mm, l->image.pt, &l->req->limits, UADDR(start), end - start,
			    prot, flags, f, offset);

	return r < 0 ? (int)r : 0;
}

/* The rest of the last page of a segment's file part is the beginning of its bss. */
static int zero_tails(struct loader *l)
{
	static const char zeros[GUEST_PAGE];

	for (int i = 0; i < l->nzero; i++) {
		ssize_t r = pf_space_write(l->image.mm->space, UADDR(l->zero[i].from), zeros,
					   l->zero[i].to - l->zero[i].from);

		if (r < 0)
			return (int)r;
	}
	l->nzero = 0;
	return 0;
}

/* What is mapped so far must exist before memory is written. */
static int flush(struct loader *l)
{
	int r = mm_batch_flush(l->image.mm, l->image.pt);

	return r < 0 ? r : zero_tails(l);
}

static int note_tail(struct loader *l, uint64_t from, uint64_t to)
{
	int r = 0;

	if (l->nzero == ARRAY_SIZE(l->zero)) { /* no sane file has so many */
		r = flush(l);
		mm_batch_begin(l->image.mm);
	}
	l->zero[l->nzero].from = from;
	l->zero[l->nzero++].to = to;
	return r;
}

static int map_segment(struct loader *l, const struct elf_segment *s, struct file *f, uint64_t bias)
{
	uint64_t start = bias + s->vaddr, file_end = start + s->filesz, end = start + s->memsz;
	uint64_t in_page = start % GUEST_PAGE, file_pages_end = ROUND_DOWN(start, GUEST_PAGE);
	int r = 0;

	if (s->filesz) {
		file_pages_end = ROUND_UP(file_end, GUEST_PAGE);
		r = map(l, start - in_page, file_pages_end, s->prot, f, s->offset - in_page);
	}
	if (r == 0 && ROUND_UP(end, GUEST_PAGE) > file_pages_end)
		r = map(l, file_pages_end, ROUND_UP(end, GUEST_PAGE), s->prot, NULL, 0);
	if (r == 0 && s->filesz && end > file_end && file_end < file_pages_end &&
	    (s->prot & PROT_WRITE))
		r = note_tail(l, file_end, file_pages_end);
	return r;
}

static int map_image(struct loader *l, const struct elf_image *e, struct file *f, uint64_t bias)
{
	for (int i = 0; i < e->nsegments; i++) {
		int r = map_segment(l, &e->segments[i], f, bias);

		if (r < 0)
			return r;
	}
	return 0;
}

/* What /proc/PID/stat tells of the program's parts. */
static void note_bounds(struct loader *l, uint64_t bias)
{
	struct mm *mm = l->image.mm;

	mm->start_code = UINT64_MAX;
	for (int i = 0; i < l->elf.nsegments; i++) {
		const struct elf_segment *s = &l->elf.segments[i];
		uint64_t start = s->vaddr + bias, file_end = start + s->filesz;

		mm->start_code = min(mm->start_code, start);
		mm->start_data = max(mm->start_data, start);
		mm->end_data = max(mm->end_data, file_end);
		if (s->prot & PROT_EXEC)
			mm->end_code = max(mm->end_code, file_end);
		l->end = max(l->end, start + s->memsz);
	}
}

static bool randomise(const struct loader *l)
{
	return !(l->image.personality & ADDR_NO_RANDOMIZE);
}

/* A multiple of pages below 2^bits pages. */
static uint64_t random_offset(const struct loader *l, int which, int bits)
{
	return randomise(l) ? (l->random[which] & (BIT(bits) - 1)) * GUEST_PAGE : 0;
}

static int map_program(struct loader *l)
{
	const struct elf_image *e = &l->elf;
	uint64_t bias = 0;
	int r;

	if (e->high > pf_max_addr() || (!e->dynamic_position && e->low < pf_min_addr()))
		return -ENOEXEC;
	if (e->dynamic_position) {
		bias = ROUND_DOWN(PIE_BASE + random_offset(l, 0, 28), e->align) - e->low;
		if (e->high - e->low > pf_max_addr() - PIE_BASE - (2ULL << 40))
			return -ENOMEM;
	}
	r = map_image(l, e, l->program, bias);
	note_bounds(l, bias);
	l->entry.program_entry = l->entry.entry = e->entry + bias;
	l->entry.phdr = e->phdr_vaddr ? e->phdr_vaddr + bias : 0;
	l->entry.phnum = e->phnum;
	return r;
}

static int map_interpreter(struct loader *l)
{
	const struct elf_image *e = &l->interp_elf;
	uint64_t bias = 0;
	int64_t at;

	if (!l->interp)
		return 0;
	if (e->high > pf_max_addr() || (!e->dynamic_position && e->low < pf_min_addr()))
		return -ELIBBAD;
	if (e->dynamic_position) {
		at = mm_free_range(l->image.mm, e->high - e->low, e->align);
		if (at < 0)
			return (int)at;
		bias = (uint64_t)at - e->low;
	}
	l->entry.interp_base = bias;
	l->entry.entry = e->entry + bias;
	return map_image(l, e, l->interp, bias);
}

static void place_heap(struct loader *l)
{
	struct mm *mm = l->image.mm;
	uint64_t start = ROUND_UP(l->end, GUEST_PAGE) + random_offset(l, 1, 18);

	mm->brk_start = mm->brk = min(start, pf_max_addr());
}

static uint64_t stack_limit(const struct loader *l)
{
	uint64_t limit = l->req->limits.stack;

	return l->image.secure ? min(limit, STACK_DEFAULT) : limit;
}

static int map_stack(struct loader *l)
{
	/* Room for the largest arguments, whatever the limit. */
	uint64_t size = max(min(stack_limit(l), STACK_MAPPED_MAX), 256ULL << 10);
	int prot = PROT_READ | PROT_WRITE | (l->elf.exec_stack ? PROT_EXEC : 0);

	l->entry.stack_top = pf_max_addr() - random_offset(l, 2, 22);
	size = ROUND_DOWN(size, GUEST_PAGE);
	mm_pick_layout(l->image.mm, max(stack_limit(l), size),
		       randomise(l) ? l->random[2] >> 32 : 0);
	return mm_map_stack(l->image.mm, l->image.pt, l->entry.stack_top - size, l->entry.stack_top,
			    prot);
}

static int make_space(struct loader *l)
{
	struct pf_space *space;
	int r = pf_space_new(l->req->zygote, &space, &l->image.pt);

	if (r < 0)
		return r;
	l->image.mm = mm_new(space);
	mm_batch_begin(l->image.mm);
	pf_thread_attach(l->image.pt);
	return 0;
}

static void set_registers(struct loader *l, uint64_t sp)
{
	struct user_regs_struct *regs = pf_regs_mut(l->image.pt);

	regs->rip = l->entry.entry;
	regs->rsp = sp;
	regs->orig_rax = (unsigned long long)-1;
}

static int populate(struct loader *l)
{
	uint64_t sp;
	int r = make_space(l);

	if (r == 0)
		r = map_stack(l);
	if (r == 0)
		r = map_program(l);
	if (r == 0)
		r = map_interpreter(l);
	if (r == 0)
		r = flush(l);
	if (r == 0) {
		place_heap(l);
		r = exec_build_stack(l->image.mm, &l->args, l->image.cred, &l->entry, randomise(l),
				     &sp);
	}
	if (r == 0)
		r = mm_set_exe(l->image.mm, l->program);
	if (r == 0)
		set_registers(l, sp);
	return r;
}

/* --- all together --------------------------------------------------------------------------- */

/* PER_CLEAR_ON_SETID of Linux, and what a 64-bit program never has. */
static uint64_t new_personality(uint64_t old, bool secure)
{
	const uint64_t unsafe =
	    READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT | MMAP_PAGE_ZERO;

	return secure ? old & ~unsafe : old & ~(uint64_t)READ_IMPLIES_EXEC;
}

/* A program that changed ids, gained privileges, or that its caller cannot read is not to be
 * looked into. */
static int dumpable(const struct loader *l)
{
	const struct cred *old = l->req->cred, *new = l->image.cred;

	return new->euid == new->uid &&new->egid == new->gid &&new->euid == old->euid &&new->egid ==
		   old->egid &&new->fsuid == old->fsuid &&new->fsgid == old->fsgid &&
	       !(new->permitted & ~old->permitted) &&
	       inode_permission(l->program->inode, old, 4) == 0;
}

/* The name of a file that was opened by descriptor alone, into buf. */
static const char *file_name(const struct loader *l, char *buf, size_t size)
{
	return path_name(&l->req->args->file->path, NULL, buf, size) < 0 ? "" : buf;
}

static void set_comm(struct loader *l)
{
	char buf[PATH_MAX + 16];
	const char *path = l->args.path, *name;

	if (l->args.by_descriptor)
		path = file_name(l, buf, sizeof(buf));
	name = strrchr(path, '/');
	snprintf(l->image.comm, sizeof(l->image.comm), "%.15s", name ? name + 1 : path);
}

static int load(struct loader *l)
{
	int r;

	l->program = l->req->args->file;
	r = hold_file(l, file_get(l->program));
	if (r == 0)
		r = read_images(l);
	if (r == 0)
		r = exec_check_args(&l->args, l->req->limits.stack);
	if (r == 0)
		r = exec_creds(l->req->cred, l->program, l->req->traced, &l->image.cred,
			       &l->image.secure);
	if (r < 0)
		return r;
	l->entry.secure = l->image.secure;
	l->image.personality = new_personality(l->req->personality, l->image.secure);
	set_comm(l);
	r = populate(l);
	if (r == 0)
		l->image.mm->dumpable = dumpable(l);
	return r;
}

static void loader_fini(struct loader *l)
{
	for (int i = 0; i < l->nopened; i++) {
		inode_allow_write(l->opened[i]->inode);
		file_put(l->opened[i]);
	}
	elf_image_fini(&l->elf);
	elf_image_fini(&l->interp_elf);
	free(l->owned_argv);
	free(l);
}

int exec_load(const struct exec_request *req, struct exec_image *out)
{
	static char *no_name[] = {(char *)"", NULL};
	struct loader *l = NEW(struct loader);
	int r;

	l->req = req;
	l->args = *req->args;
	if (l->args.argc == 0) { /* since Linux 5.18 nobody starts without argv[0] */
		l->args.argv = no_name;
		l->args.argc = 1;
	}
	host_random(l->random, sizeof(l->random));
	r = load(l);
	if (r == 0)
		*out = l->image;
	else
		exec_image_fini(&l->image);
	loader_fini(l);
	return r;
}

void exec_image_fini(struct exec_image *image)
{
	if (image->pt)
		pf_thread_exit(image->pt);
	if (image->mm)
		mm_put(image->mm);
	if (image->cred)
		cred_put(image->cred);
}
