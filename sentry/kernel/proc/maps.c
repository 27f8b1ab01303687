/*
 * maps, smaps, smaps_rollup, numa_maps. Layout is exact; how much of a VMA is
 * resident is known for the reader's own space (mincore) and estimated from the
 * process's total for others.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>

#include "common/mem.h"
#include "sentry/fs/inode.h"
#include "sentry/fs/memfd.h"
#include "sentry/kernel/proc/names.h"
#include "sentry/kernel/proc/proc.h"

struct writer {
	struct text *out;
	struct path root;
	struct pf_thread *own;	  /* the reader's thread if it reads about itself */
	uint64_t resident, total; /* bytes, of the whole space */
	bool detailed;
	struct sums {
		uint64_t size, rss, anon, file, shared, private, dirty, locked;
	} sum;
	uint64_t first, last;
	char name[PATH_MAX + 64];
};

static void writer_init(struct writer *w, const struct proc_subject *s, struct mm *mm,
			struct text *out)
{
	struct task *reader = task_current();
	uint64_t peak;

	memset(w, 0, offsetof(struct writer, name));
	w->out = out;
	if (reader && reader->fs)
		fs_context_paths(reader->fs, &w->root, NULL);
	if (reader && reader->mm == mm)
		w->own = reader->pt;
	mm_rss(mm, &w->resident, &peak);
	w->resident *= GUEST_PAGE;
	mutex_lock(&mm->lock);
	w->total = max(mm->total_pages, (uint64_t)1) * GUEST_PAGE;
	mutex_unlock(&mm->lock);
}

static const char *vma_name(struct writer *w, const struct vma *v)
{
	if (v->label)
		return v->label;
	if (!v->file)
		return NULL;
	if (proc_file_name(v->file, w->root.mnt ? &w->root : NULL, true, w->name, sizeof(w->name)) <
	    0)
		return "?";
	return w->name;
}

static void map_line(struct writer *w, const struct vma *v)
{
	const char *name = vma_name(w, v);
	size_t from = w->out->len;
	uint64_t dev = 0, ino = 0;

	if (v->file && !v->label) {
		dev = v->file->inode->sb->dev;
		ino = v->file->inode->ino;
	}
	text_printf(w->out, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ",
		    (unsigned long long)v->start, (unsigned long long)v->end,
		    v->prot & PROT_READ ? 'r' : '-', v->prot & PROT_WRITE ? 'w' : '-',
		    v->prot & PROT_EXEC ? 'x' : '-', v->flags & MAP_SHARED ? 's' : 'p',
		    (unsigned long long)(v->file ? v->offset : 0), major(dev), minor(dev),
		    (unsigned long long)ino);
	if (name) {
		text_pad(w->out, from, 73);
		text_escape(w->out, name, "\n");
	}
	text_puts(w->out, "\n");
}

/* --- smaps ------------------------------------------------------------------------------------ */

static uint64_t resident_of(struct writer *w, const struct vma *v)
{
	unsigned char vec[4096];
	uint64_t n = 0, size = v->end - v->start;

	if (!(v->prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
		return 0;
	if (!w->own || v->end > pf_max_addr() || size > 4ULL << 30)
		return ROUND_DOWN((uint64_t)((double)size * (double)w->resident / (double)w->total),
				  GUEST_PAGE);
	for (uint64_t at = v->start; at < v->end; at += sizeof(vec) * GUEST_PAGE) {
		uint64_t len = min(v->end - at, sizeof(vec) * GUEST_PAGE);

		if (pf_mincore(w->own, UADDR(at), len, vec) < 0)
			break;
		for (uint64_t i = 0; i < len / GUEST_PAGE; i++)
			n += vec[i] & 1;
	}
	return n * GUEST_PAGE;
}

static struct sums sums_of(struct writer *w, const struct vma *v)
{
	struct sums s = {.size = v->end - v->start, .rss = resident_of(w, v)};
	bool writable = v->prot & PROT_WRITE;

	if (v->flags & MAP_SHARED)
		s.shared = s.rss;
	else
		s.private = s.rss;
	if (!v->file || (writable && !(v->flags & MAP_SHARED)))
		s.anon = s.rss;
	s.file = s.rss - s.anon;
	s.dirty = writable ? s.rss : 0;
	s.locked = v->advice & VMA_LOCKED ? s.rss : 0;
	return s;
}

static void kib(struct text *out, const char *name, uint64_t bytes)
{
	size_t from = out->len;

	text_puts(out, name);
	text_puts(out, ":");
	text_pad(out, from, 16);
	text_printf(out, "%8llu kB\n", (unsigned long long)bytes / 1024);
}

static void detail_lines(struct text *out, const struct sums *s, bool rollup)
{
	static const char *const zeros[] = {
	    "KSM",	     "LazyFree",       "AnonHugePages",	  "ShmemPmdMapped",
	    "FilePmdMapped", "Shared_Hugetlb", "Private_Hugetlb", "Swap",
	    "SwapPss"};

	kib(out, "Rss", s->rss);
	kib(out, "Pss", s->rss);
	kib(out, "Pss_Dirty", s->dirty);
	if (rollup) {
		kib(out, "Pss_Anon", s->anon);
		kib(out, "Pss_File", s->file);
		kib(out, "Pss_Shmem", 0);
	}
	kib(out, "Shared_Clean", s->shared - min(s->shared, s->dirty));
	kib(out, "Shared_Dirty", min(s->shared, s->dirty));
	kib(out, "Private_Clean", s->private - min(s->private, s->dirty));
	kib(out, "Private_Dirty", min(s->private, s->dirty));
	kib(out, "Referenced", s->rss);
	kib(out, "Anonymous", s->anon);
	for (size_t i = 0; i < ARRAY_SIZE(zeros); i++)
		kib(out, zeros[i], 0);
	kib(out, "Locked", s->locked);
}

static void vm_flags(struct text *out, const struct vma *v)
{
	const struct {
		bool set;
		const char *name;
	} flags[] = {
	    {v->prot & PROT_READ, "rd"},
	    {v->prot & PROT_WRITE, "wr"},
	    {v->prot & PROT_EXEC, "ex"},
	    {v->flags & MAP_SHARED, "sh"},
	    {v->max_prot & PROT_READ, "mr"},
	    {v->max_prot & PROT_WRITE, "mw"},
	    {v->max_prot & PROT_EXEC, "me"},
	    {v->flags & MAP_SHARED, "ms"},
	    {v->flags & MAP_GROWSDOWN, "gd"},
	    {v->advice & VMA_LOCKED, "lo"},
	    {v->advice & VMA_SEQ_READ, "sr"},
	    {v->advice & VMA_RAND_READ, "rr"},
	    {v->advice & VMA_DONTFORK, "dc"},
	    {(v->prot & PROT_WRITE) && !(v->flags & (MAP_SHARED | MAP_NORESERVE)), "ac"},
	    {v->flags & MAP_NORESERVE, "nr"},
	    {v->advice & VMA_WIPEONFORK, "wf"},
	    {v->advice & VMA_DONTDUMP, "dd"},
	    {v->advice & VMA_HUGEPAGE, "hg"},
	    {v->advice & VMA_NOHUGEPAGE, "nh"},
	    {v->advice & VMA_MERGEABLE, "mg"},
	};

	text_puts(out, "VmFlags: ");
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].set)
			text_printf(out, "%s ", flags[i].name);
	text_puts(out, "\n");
}

static void add_sums(struct sums *to, const struct sums *s)
{
	to->size += s->size;
	to->rss += s->rss;
	to->anon += s->anon;
	to->file += s->file;
	to->shared += s->shared;
	to->private += s->private;
	to->dirty += s->dirty;
	to->locked += s->locked;
}

static bool smap(const struct vma *v, void *arg)
{
	struct writer *w = arg;
	struct sums s = sums_of(w, v);

	map_line(w, v);
	kib(w->out, "Size", s.size);
	kib(w->out, "KernelPageSize", GUEST_PAGE);
	kib(w->out, "MMUPageSize", GUEST_PAGE);
	detail_lines(w->out, &s, false);
	text_printf(w->out, "THPeligible:    %8d\n", !v->file && s.size >= 2 << 20);
	vm_flags(w->out, v);
	return true;
}

static bool sum_up(const struct vma *v, void *arg)
{
	struct writer *w = arg;
	struct sums s = sums_of(w, v);

	if (!w->last)
		w->first = v->start;
	w->last = v->end;
	add_sums(&w->sum, &s);
	return true;
}

static bool map(const struct vma *v, void *arg)
{
	map_line(arg, v);
	return true;
}

static bool numa_map(const struct vma *v, void *arg)
{
	struct writer *w = arg;
	const char *name = vma_name(w, v);

	text_printf(w->out, "%08llx default", (unsigned long long)v->start);
	if (v->label && strcmp(v->label, "[heap]") == 0)
		text_puts(w->out, " heap");
	else if (v->label && strcmp(v->label, "[stack]") == 0)
		text_puts(w->out, " stack");
	else if (v->file && name) {
		text_puts(w->out, " file=");
		text_escape(w->out, name, "\n\t= ");
	}
	text_puts(w->out, "\n");
	return true;
}

/* --- the files ---------------------------------------------------------------------------------- */

static int show(const struct proc_subject *s, struct text *out,
		bool (*fn)(const struct vma *v, void *arg))
{
	struct mm *mm = task_get_mm(s->t);
	struct writer *w;

	if (!mm)
		return 0;
	w = NEW(struct writer);
	writer_init(w, s, mm, out);
	mm_for_each(mm, fn, w);
	if (fn == sum_up && w->last) {
		size_t from = out->len;

		text_printf(out, "%08llx-%08llx ---p 00000000 00:00 0 ",
			    (unsigned long long)w->first, (unsigned long long)w->last);
		text_pad(out, from, 73);
		text_puts(out, "[rollup]\n");
		detail_lines(out, &w->sum, true);
	}
	path_put(&w->root);
	free(w);
	mm_put(mm);
	return 0;
}

int proc_show_maps(const struct proc_subject *s, struct text *out)
{
	return show(s, out, map);
}

int proc_show_smaps(const struct proc_subject *s, struct text *out)
{
	return show(s, out, smap);
}

int proc_show_smaps_rollup(const struct proc_subject *s, struct text *out)
{
	return show(s, out, sum_up);
}

int proc_show_numa_maps(const struct proc_subject *s, struct text *out)
{
	return show(s, out, numa_map);
}
