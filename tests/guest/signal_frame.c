/* What a handler sees and may change: registers, FPU and AVX state, mask, red zone. */

#include <cpuid.h>
#include <immintrin.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static volatile uint64_t seen_rbx, seen_flags, seen_uc_flags, seen_mask, seen_trapno, seen_err;
static volatile int fp_ok, aligned;

static void regs_handler(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;

	seen_rbx = (uint64_t)uc->uc_mcontext.gregs[REG_RBX];
	seen_uc_flags = uc->uc_flags;
	seen_trapno = (uint64_t)uc->uc_mcontext.gregs[REG_TRAPNO];
	seen_err = (uint64_t)uc->uc_mcontext.gregs[REG_ERR];
	memcpy((void *)&seen_mask, &uc->uc_sigmask, 8);
	uc->uc_mcontext.gregs[REG_R12] = 0x1234;
	if (uc->uc_mcontext.fpregs)
		uc->uc_mcontext.fpregs->_xmm[3].element[0] = 0xabcd;
	aligned = ((uintptr_t)uc->uc_mcontext.fpregs & 63) == 0 &&
		  ((uintptr_t)__builtin_frame_address(0) & 15) == 0;
	/* Clobbers what must come back. */
	__asm__ volatile("pxor %%xmm5, %%xmm5; fninit" ::: "xmm5");
	fp_ok = 1;
}

static void registers(void)
{
	register uint64_t r12 __asm__("r12") = 1;
	uint64_t r12_out, x3, x5, red, pid = (uint64_t)getpid(), tid = (uint64_t)gettid(), ret;
	struct sigaction sa = {.sa_sigaction = regs_handler, .sa_flags = SA_SIGINFO};
	double st;

	sigaddset(&sa.sa_mask, SIGUSR2);
	sigaction(SIGUSR1, &sa, NULL);
	__asm__ volatile(
	    "mov $0x5555, %%rax\n\t"
	    "movq %%rax, %%xmm3\n\t"
	    "mov $0x7777, %%rax\n\t"
	    "movq %%rax, %%xmm5\n\t"
	    "fldpi\n\t"
	    "mov $0x99aabb, %%rbx\n\t"
	    "mov $0x31337, %%rax\n\t"
	    "mov %%rax, -64(%%rsp)\n\t"
	    "mov $234, %%eax\n\t"
	    "mov $10, %%edx\n\t"
	    "syscall\n\t"
	    "mov %%rax, %[ret]\n\t"
	    "mov -64(%%rsp), %%rax\n\t"
	    "mov %%rax, %[red]\n\t"
	    "movq %%xmm3, %[x3]\n\t"
	    "movq %%xmm5, %[x5]\n\t"
	    "fstpl %[st]\n\t"
	    : [ret] "=&r"(ret), [red] "=&r"(red), [x3] "=&r"(x3), [x5] "=&r"(x5), [st] "=m"(st),
	      "+r"(r12)
	    : "D"(pid), "S"(tid)
	    : "rax", "rbx", "rcx", "rdx", "r11", "xmm3", "xmm5", "memory");
	r12_out = r12;
	printf("result %ld rbx %#lx r12 %#lx xmm3 %#lx xmm5 %#lx st %.6f red zone %#lx\n", ret,
	       seen_rbx, r12_out, x3, x5, st, red);
	printf("uc_flags %#lx mask %#lx aligned %d trapno %ld err %ld\n", seen_uc_flags, seen_mask,
	       aligned, seen_trapno, seen_err);
}

__attribute__((target("avx"))) static void clobber(int sig)
{
	__m256i z = _mm256_setzero_si256();

	__asm__ volatile("vmovdqa %0, %%ymm6" ::"x"(z) : "xmm6");
}

__attribute__((target("avx"))) static void avx(void)
{
	uint64_t in[4] = {1, 2, 3, 4}, out[4];
	unsigned int a, b, c, d;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_AVX)) {
		printf("avx kept 1\n");
		return;
	}
	signal(SIGUSR2, clobber);
	__asm__ volatile("vmovdqu %1, %%ymm6\n\t"
			 "mov $200, %%eax\n\t"
			 "syscall\n\t"
			 "vmovdqu %%ymm6, %0\n\t"
			 : "=m"(out)
			 : "m"(in), "D"((uint64_t)gettid()), "S"((uint64_t)SIGUSR2)
			 : "rax", "rcx", "r11", "xmm6", "memory");
	printf("avx kept %d\n", memcmp(in, out, sizeof(in)) == 0);
}

static void skip_fault(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;

	seen_trapno = (uint64_t)uc->uc_mcontext.gregs[REG_TRAPNO];
	seen_err = (uint64_t)uc->uc_mcontext.gregs[REG_ERR];
	seen_rbx = (uint64_t)uc->uc_mcontext.gregs[REG_CR2];
	uc->uc_mcontext.gregs[REG_RIP] += 3;
	uc->uc_mcontext.gregs[REG_RAX] = 42;
}

static void resume(void)
{
	struct sigaction sa = {.sa_sigaction = skip_fault, .sa_flags = SA_SIGINFO};
	uint64_t value;

	sigaction(SIGSEGV, &sa, NULL);
	__asm__ volatile("mov $0x10, %%rcx\n\t"
			 "mov (%%rcx), %%rax\n\t"
			 : "=a"(value)
			 :
			 : "rcx", "memory");
	printf("skipped: %ld trapno %ld err %ld cr2 %#lx\n", value, seen_trapno, seen_err,
	       seen_rbx);
	__asm__ volatile("mov $0x10, %%rcx\n\t"
			 "mov %%rax, (%%rcx)\n\t"
			 : "=a"(value)
			 :
			 : "rcx", "memory");
	printf("written: err %ld\n", seen_err);
}

static void set_mask(int sig, siginfo_t *si, void *p)
{
	ucontext_t *uc = p;

	sigaddset(&uc->uc_sigmask, SIGHUP);
	sigaddset(&uc->uc_sigmask, SIGKILL);
}

static void mask(void)
{
	struct sigaction sa = {.sa_sigaction = set_mask, .sa_flags = SA_SIGINFO};
	uint64_t now = 0;

	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &now, 8);
	printf("mask from the frame: %#lx\n", now);
}

int main(void)
{
	registers();
	avx();
	resume();
	mask();
	return 0;
}
