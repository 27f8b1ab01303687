/*
 * The parts of the stub that C cannot say: entries from signals and clone, and
 * copies of guest memory whose faults are answered by the fixup table.
 */
	.text
	.globl stub_header
	.hidden stub_header
stub_header:
	.quad 0x62757473726e7261
	.long stub_start - stub_header
	.long stub_signal_entry - stub_header
	.long stub_restorer - stub_header
	.long stub_serve_entry - stub_header
	.long stub_park - stub_header
	.long stub_trap - stub_header
	.long 0
	.long stub_text_size


/* Signal handler: (rdi sig, rsi info, rdx ucontext), on the slot's stack. */
	.globl stub_signal_entry
	.hidden stub_signal_entry
stub_signal_entry:
	cld
	xor	%ebp, %ebp
	call	stub_signal
	ud2

stub_restorer:
	ud2

/* void stub_sigreturn(struct stub_ucontext *uc) */
	.globl stub_sigreturn
	.hidden stub_sigreturn
stub_sigreturn:
	mov	%rdi, %rsp
	mov	$15, %eax
	syscall
	ud2

/* long stub_syscall(nr, a, b, c, d, e, f): the last one is on the stack. */
	.globl stub_syscall
	.hidden stub_syscall
stub_syscall:
	mov	%rdi, %rax
	mov	%rsi, %rdi
	mov	%rdx, %rsi
	mov	%rcx, %rdx
	mov	%r8, %r10
	mov	%r9, %r8
	mov	8(%rsp), %r9
	syscall
	ret

/*
 * The template's first instruction in the stub, called by the forked sentry process:
 * (rdi mbox, rsi seccomp program). The old stack goes away, so switch first.
 */
	.globl stub_start
	.hidden stub_start
stub_start:
	lea	0x20000 - 0x2000(%rdi), %rsp
	xor	%ebp, %ebp
	call	stub_main
	ud2

/* ptrace: rdi = mbox. */
stub_serve_entry:
	lea	0x20000 - 0x6000(%rdi), %rsp
	xor	%ebp, %ebp
	call	stub_serve_once
stub_trap:
	int3
	ud2

/* The same, to be served like one that was never traced. */
stub_park:
	lea	0x20000 - 0x6000(%rdi), %rsp
	xor	%ebp, %ebp
	call	stub_child
	ud2

/*
 * long stub_clone_thread(unsigned long flags, struct mbox *child). The child runs on its own
 * slot's stack, below the frame that the sentry put there.
 */
	.globl stub_clone_thread
	.hidden stub_clone_thread
stub_clone_thread:
	mov	28(%rsi), %eax			/* child->uc */
	lea	-512(%rsi,%rax), %rsi
	and	$-16, %rsi
	xor	%edx, %edx
	xor	%r10d, %r10d
	xor	%r8d, %r8d
	mov	$56, %eax
	syscall
	test	%rax, %rax
	jz	1f
	ret
1:	xor	%ebp, %ebp
	mov	%rsp, %rdi
	and	$-0x20000, %rdi
	call	stub_child
	ud2

/*
 * long stub_clone_process(unsigned long flags, uint64_t arena, uint64_t nonce). The child inherits no slot, so
 * it has no stack until it has asked for its arena and mapped it: registers only.
 */
	.globl stub_clone_process
	.hidden stub_clone_process
stub_clone_process:
	push	%rbx
	push	%rbp
	mov	%rsi, %rbx
	mov	%rdx, %rbp
	xor	%esi, %esi
	xor	%edx, %edx
	xor	%r10d, %r10d
	xor	%r8d, %r8d
	mov	$56, %eax
	syscall
	test	%rax, %rax
	jz	1f
	pop	%rbp
	pop	%rbx
	ret
1:	mov	$0x3e0000, %eax			/* STUB_ASK */
	mov	$2, %edi			/* ASK_CHILD */
	mov	%rbp, %rsi
	syscall
	test	%rax, %rax
	js	2f
	mov	$9, %eax			/* mmap(arena, ARENA_SIZE, RW, SHARED|FIXED, 0, 0) */
	mov	%rbx, %rdi
	mov	$0x200000, %esi
	mov	$3, %edx
	mov	$0x11, %r10d
	xor	%r8d, %r8d
	xor	%r9d, %r9d
	syscall
	cmp	%rax, %rbx
	jne	2f
	mov	$3, %eax			/* close(0) */
	xor	%edi, %edi
	syscall
	mov	$28, %eax			/* madvise(arena, ARENA_SIZE, MADV_DONTFORK) */
	mov	%rbx, %rdi
	mov	$0x200000, %esi
	mov	$10, %edx
	syscall
	test	%rax, %rax
	js	2f
	mov	28(%rbx), %eax			/* mbox->uc */
	cmp	$0x20000, %eax
	jae	2f
	lea	-512(%rbx,%rax), %rsp
	and	$-16, %rsp
	xor	%ebp, %ebp
	mov	%rbx, %rdi
	call	stub_child
2:	mov	$60, %eax
	mov	$1, %edi
	syscall
	ud2

/* size_t stub_copy(void *to, const void *from, size_t n): bytes not copied. */
	.globl stub_copy
	.hidden stub_copy
stub_copy:
	mov	%rdx, %rcx
10:	rep movsb
11:	mov	%rcx, %rax
	ret

/* long stub_copy_string(char *to, const char *from, size_t max): length with NUL, or -1. */
	.globl stub_copy_string
	.hidden stub_copy_string
stub_copy_string:
	xor	%eax, %eax
20:	cmp	%rdx, %rax
	jae	22f
21:	mov	(%rsi,%rax), %cl
	mov	%cl, (%rdi,%rax)
	inc	%rax
	test	%cl, %cl
	jnz	20b
	ret
22:	mov	$-1, %rax
	ret

/* long stub_cmpxchg(uint32_t *addr, uint32_t expect, uint32_t new, uint32_t *old) */
	.globl stub_cmpxchg
	.hidden stub_cmpxchg
stub_cmpxchg:
	mov	%esi, %eax
30:	lock cmpxchg %edx, (%rdi)
	mov	%eax, (%rcx)
	xor	%eax, %eax
	ret
31:	mov	$-14, %rax
	ret

/* Where a fault may happen, and where to go on then; offsets in the image. */
	.balign 8
	.globl stub_fixups, stub_fixups_end
	.hidden stub_fixups, stub_fixups_end
stub_fixups:
	.long 10b - stub_header, 11b - stub_header
	.long 21b - stub_header, 22b - stub_header
	.long 30b - stub_header, 31b - stub_header
stub_fixups_end:

	.section .note.GNU-stack, "", @progbits
