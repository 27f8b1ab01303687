/*
 * `garrison debug ID`: tasks, the syscall that each one is in, guest stacks.
 *
 * Tasks go on running meanwhile, so a report is a snapshot of moving things: a
 * task in the guest shows no registers, the others show those with which they
 * entered the sentry. Guest code is rarely compiled with frame pointers, so
 * "stack" lists the words on the stack that point into executable mappings:
 * every return address is among them, and some that are no longer in use.
 */
#include "sentry/sys/debug.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/text.h"
#include "sentry/kernel/container.h"
#include "sentry/sys/flags.h"
#include "sentry/sys/syscall.h"

#define STACK_WORDS 512
#define STACK_SHOWN 16

static void print_place(struct text *out, struct mm *mm, uint64_t addr)
{
	char name[256] = "";
	struct vma v;

	if (mm_find_vma(mm, addr, &v) || addr < v.start) {
		text_printf(out, "    %#llx\n", (unsigned long long)addr);
		return;
	}
	if (v.file && path_name(&v.file->path, NULL, name, sizeof(name)) < 0)
		strcpy(name, "?");
	text_printf(out, "    %#llx %s+%#llx\n", (unsigned long long)addr,
		    v.file    ? name
		    : v.label ? v.label
			      : "[anonymous]",
		    (unsigned long long)(addr - v.start + v.offset));
	if (v.file)
		file_put(v.file);
}

static bool executable(struct mm *mm, uint64_t addr)
{
	struct vma v;
	bool yes;

	if (mm_find_vma(mm, addr, &v))
		return false;
	yes = addr >= v.start && (v.prot & PROT_EXEC);
	if (v.file)
		file_put(v.file);
	return yes;
}

static void print_stack(struct text *out, struct mm *mm, uint64_t rip, uint64_t rsp)
{
	uint64_t words[STACK_WORDS];
	ssize_t n = pf_space_read(mm->space, UADDR(rsp), words, sizeof(words));
	int shown = 0;

	text_printf(out, "  stack:\n");
	print_place(out, mm, rip);
	for (ssize_t i = 0; i < n / 8 && shown < STACK_SHOWN; i++) {
		if (!executable(mm, words[i]))
			continue;
		print_place(out, mm, words[i]);
		shown++;
	}
}

static void print_syscall(struct text *out, const struct task *t)
{
	int64_t nr = t->syscall_nr;
	const struct syscall_desc *d = nr >= 0 && nr < PF_NSYSCALLS ? &syscall_table[nr] : NULL;

	if (nr < 0) {
		text_printf(out, "  between system calls\n");
		return;
	}
	text_printf(out, "  in %s(", d && d->name ? d->name : "unknown");
	for (int i = 0; i < 6 && d && d->args[i].kind != ARG_END; i++)
		text_printf(out, "%s%#llx", i ? ", " : "", (unsigned long long)t->syscall_args[i]);
	text_printf(out, ")\n");
}

static void print_history(struct text *out, const struct task *t)
{
	char err[16];

	text_printf(out, "  last calls:");
	for (unsigned int i = 0; i < ARRAY_SIZE(t->history); i++) {
		unsigned int slot = (t->history_next + i) % ARRAY_SIZE(t->history);
		int nr = t->history[slot].nr % PF_NSYSCALLS;
		int64_t result = t->history[slot].result;

		if (t->history_next < ARRAY_SIZE(t->history) && slot >= t->history_next)
			continue;
		text_printf(out, " %s", syscall_table[nr].name ? syscall_table[nr].name : "?");
		if (result == INT64_MIN)
			text_printf(out, "=...");
		else if (result < 0 && result > -4096)
			text_printf(out, "=%s", errno_name((int)-result, err));
		else
			text_printf(out, "=%lld", (long long)result);
	}
	text_printf(out, "\n");
}

/* Where the task entered the sentry; false while it is in the guest or gone. */
static bool entry_registers(struct task *t, uint64_t *rip, uint64_t *rsp)
{
	SCOPED_LOCK(&t->alloc_lock);
	if (!t->pt || atomic_load(&t->in_guest))
		return false;
	*rip = pf_regs(t->pt)->rip;
	*rsp = pf_regs(t->pt)->rsp;
	return true;
}

static void print_task(struct text *out, struct task *t)
{
	struct mm *mm = task_get_mm(t);
	uint64_t rip, rsp;

	text_printf(out, "task %d (process %d) %.15s, state %c\n", t->tid, t->process->tgid,
		    t->comm, atomic_load(&t->state));
	if (mm && entry_registers(t, &rip, &rsp)) {
		print_syscall(out, t);
		print_history(out, t);
		print_stack(out, mm, rip, rsp);
	} else {
		text_printf(out, mm ? "  running guest code\n" : "  exited\n");
		print_history(out, t);
	}
	if (mm)
		mm_put(mm);
}

static void print_process(struct text *out, struct process *p)
{
	struct task *t;
	int from = 0;

	while ((t = process_next_task(p, from))) {
		print_task(out, t);
		from = t->tid + 1;
		task_put(t);
	}
}

char *debug_report(struct container *c)
{
	struct process *p;
	struct text out = {.buf = NULL};
	int from = 0;

	text_printf(&out, "container %s\n", c->id);
	while ((p = process_next(c, from))) {
		print_process(&out, p);
		from = p->tgid + 1;
		process_put(p);
	}
	return out.buf;
}

/* The heap may be what is broken, or locked: nothing here allocates. */
void debug_panic_hook(void)
{
	struct task *t = task_current();
	char buf[2048];
	struct text out = TEXT_FIXED(buf);

	if (!t)
		return;
	text_printf(&out, "task %d %.15s\n", t->tid, t->comm);
	print_syscall(&out, t);
	print_history(&out, t);
	log_raw(out.buf, out.len);
}
