/* execve: what the new program finds, what stays, what goes; and every way to fail. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static char self[PATH_MAX];

static void show(int argc, char **argv)
{
	char comm[16], exe[PATH_MAX] = "";
	struct sigaction sa;
	stack_t ss;
	sigset_t set;

	printf("child argc %d:", argc);
	for (int i = 0; i < argc; i++)
		printf(" [%s]", strncmp(argv[i], "/proc/self/fd", 13) ? argv[i] : "fd");
	printf("\nenv:");
	for (char **e = environ; *e; e++)
		printf(" %s", *e);
	prctl(PR_GET_NAME, comm);
	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) < 0)
		perror("exe");
	printf("\ncomm %s exe is self %d\n", comm,
	       strcmp(strrchr(exe, '/') + 1, strrchr(self, '/') + 1) == 0);
	sigaction(SIGUSR1, NULL, &sa);
	printf("USR1 %s", sa.sa_handler == SIG_DFL ? "default" : "other");
	sigaction(SIGUSR2, NULL, &sa);
	printf(" USR2 %s", sa.sa_handler == SIG_IGN ? "ignored" : "other");
	sigprocmask(SIG_BLOCK, NULL, &set);
	sigaltstack(NULL, &ss);
	printf(" HUP blocked %d altstack %s\n", sigismember(&set, SIGHUP),
	       ss.ss_flags & SS_DISABLE ? "off" : "on");
	printf("fd 10 %s fd 11 %s\n", fcntl(10, F_GETFD) < 0 ? "closed" : "open",
	       fcntl(11, F_GETFD) < 0 ? "closed" : "open");
	printf(
	    "secure %lu pagesz %lu clktck %lu phent %lu platform %s random %d base %d entry %d\n",
	    getauxval(AT_SECURE), getauxval(AT_PAGESZ), getauxval(AT_CLKTCK), getauxval(AT_PHENT),
	    (char *)getauxval(AT_PLATFORM), getauxval(AT_RANDOM) != 0, getauxval(AT_BASE) != 0,
	    getauxval(AT_ENTRY) != 0);
	printf("uid %lu %lu execfn %s dumpable %d\n", getauxval(AT_UID), getauxval(AT_EUID),
	       strrchr((char *)getauxval(AT_EXECFN), '/'), prctl(PR_GET_DUMPABLE));
	fflush(stdout);
	exit(7);
}

static void report(const char *what, int r)
{
	printf("%s: %s\n", what, r < 0 ? strerrorname_np(errno) : "ok");
}

static void child_end(const char *what)
{
	int st;

	wait(&st);
	if (WIFSIGNALED(st))
		printf("%s: signal %d\n", what, WTERMSIG(st));
	else
		printf("%s: exit %d\n", what, WEXITSTATUS(st));
	fflush(stdout);
}

static void run(const char *what, const char *path, char **argv, char **env)
{
	printf("-- %s\n", what);
	fflush(stdout);
	if (fork() == 0) {
		execve(path, argv, env);
		printf("execve: %s\n", strerrorname_np(errno));
		fflush(stdout);
		_exit(1);
	}
	child_end(what);
}

static void file(const char *name, const char *text, size_t n, int mode)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (write(fd, text, n) != (ssize_t)n)
		abort();
	fchmod(fd, mode);
	close(fd);
}

static void scripts(void)
{
	char text[PATH_MAX + 100];
	char *argv[] = {"zero", "one", "two", NULL}, *env[] = {"SHOW=1", NULL};
	char shebang[300] = "#!";
	int n;

	n = snprintf(text, sizeof(text), "#!%s  an argument \nrest\n", self);
	file("script", text, (size_t)n, 0755);
	run("script", "./script", argv, env);
	file("script2", "#!./script\n", 11, 0755);
	run("script of script", "./script2", argv, env);
	file("loop", "#!./loop\n", 9, 0755);
	run("loop", "./loop", argv, env);
	file("nointerp", "#!/nonexistent\n", 15, 0755);
	run("no interpreter", "./nointerp", argv, env);
	file("blank", "#!   \n", 6, 0755);
	run("blank", "./blank", argv, env);
	memset(shebang + 2, 'x', sizeof(shebang) - 2);
	file("long", shebang, sizeof(shebang), 0755);
	run("long", "./long", argv, env);
	file("dir", "#!/\n", 4, 0755);
	run("directory as interpreter", "./dir", argv, env);
	file("text", "echo hi\n", 8, 0755);
	run("text", "./text", argv, env);
	file("empty", "", 0, 0755);
	run("empty", "./empty", argv, env);
	file("noexec", text, (size_t)n, 0644);
	run("no x bit", "./noexec", argv, env);
}

static void errors(void)
{
	char *argv[] = {"x", NULL}, *env[] = {"SHOW=1", NULL};
	char *big = malloc(200000), **many;
	int fd;

	run("absent", "./absent", argv, env);
	run("directory", ".", argv, env);
	run("empty name", "", argv, env);
	run("through a file", "./script/x", argv, env);
	report("bad path pointer", (int)syscall(SYS_execve, 8L, argv, env));
	report("bad argv", (int)syscall(SYS_execve, self, 8L, env));
	argv[0] = (char *)8;
	report("bad arg", execve(self, argv, env));
	memset(big, 'a', 200000);
	big[131072] = 0;
	argv[0] = big;
	run("string of 128 KiB", self, argv, env);
	big[131071] = 0;
	printf("-- string one shorter\n");
	many = calloc(400001, sizeof(char *));
	for (int i = 0; i < 400000; i++)
		many[i] = "0123456789";
	run("400000 arguments", self, many, env);
	fd = open("w", O_WRONLY | O_CREAT, 0755);
	argv[0] = "x";
	run("open for writing", "./w", argv, env);
	close(fd);
	report("write to a running program", open(self, O_WRONLY));
}

static void elf_errors(void)
{
	static char head[4096];
	char *argv[] = {"x", NULL};
	int fd = open(self, O_RDONLY);

	if (read(fd, head, sizeof(head)) < 64)
		abort();
	close(fd);
	file("bad", head, 10, 0755);
	run("cut magic", "./bad", argv, argv);
	file("bad", head, 63, 0755);
	run("cut header", "./bad", argv, argv);
	file("bad", head, 64, 0755);
	run("no program headers", "./bad", argv, argv);
	head[18] = 40;
	file("bad", head, 4096, 0755);
	run("another machine", "./bad", argv, argv);
	head[18] = 62;
	head[16] = 4;
	file("bad", head, 4096, 0755);
	run("a core file", "./bad", argv, argv);
}

static void *other_thread(void *arg)
{
	if (arg) {
		char *argv[] = {"from-thread", NULL}, *env[] = {"SHOW=1", NULL};

		usleep(20000);
		execve(self, argv, env);
		_exit(99);
	}
	for (;;)
		pause();
}

static void threads(void)
{
	char *argv[] = {"main", NULL}, *env[] = {"SHOW=1", NULL};
	pthread_t t;

	printf("-- main of four threads\n");
	fflush(stdout);
	if (fork() == 0) {
		for (int i = 0; i < 3; i++)
			pthread_create(&t, NULL, other_thread, NULL);
		execve(self, argv, env);
		_exit(98);
	}
	child_end("main of four");
	printf("-- another thread\n");
	fflush(stdout);
	if (fork() == 0) {
		pthread_create(&t, NULL, other_thread, NULL);
		pthread_create(&t, NULL, other_thread, (void *)1);
		other_thread(NULL);
	}
	child_end("another");
}

static void at(void)
{
	char *argv[] = {"at", NULL}, *env[] = {"SHOW=1", NULL};
	char dirname[PATH_MAX];
	int fd = open(self, O_PATH), dir;

	strcpy(dirname, self);
	*strrchr(dirname, '/') = 0;
	dir = open(dirname, O_PATH | O_DIRECTORY);
	printf("-- execveat empty path\n");
	fflush(stdout);
	if (fork() == 0) {
		dup2(fd, 20);
		syscall(SYS_execveat, 20, "", argv, env, AT_EMPTY_PATH);
		_exit(97);
	}
	child_end("fd");
	if (fork() == 0) {
		dup2(dir, 20);
		syscall(SYS_execveat, 20, strrchr(self, '/') + 1, argv, env, 0);
		_exit(97);
	}
	child_end("dir");
	report("no flag", (int)syscall(SYS_execveat, fd, "", argv, env, 0));
	report("bad flag", (int)syscall(SYS_execveat, fd, "", argv, env, 1));
	report("bad fd", (int)syscall(SYS_execveat, 99, "x", argv, env, 0));
	symlink(self, "link");
	report("nofollow",
	       (int)syscall(SYS_execveat, AT_FDCWD, "link", argv, env, AT_SYMLINK_NOFOLLOW));
	if (fork() == 0) {
		fd = open("script", O_RDONLY | O_CLOEXEC);
		syscall(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH);
		printf("script by close-on-exec fd: %s\n", strerrorname_np(errno));
		fflush(stdout);
		_exit(0);
	}
	child_end("script");
}

int main(int argc, char **argv)
{
	char *av[] = {"zero", "one two", "", NULL}, *env[] = {"SHOW=1", "A=b c", NULL};
	static char altstack[65536];
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)};
	sigset_t set;

	readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (getenv("SHOW"))
		show(argc, argv);
	signal(SIGUSR1, exit);
	signal(SIGUSR2, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sigaltstack(&ss, NULL);
	dup2(1, 10);
	dup3(1, 11, O_CLOEXEC);
	run("plain", self, av, env);
	av[0] = NULL;
	run("no argv", self, av, env);
	run("null vectors", self, NULL, env);
	scripts();
	errors();
	elf_errors();
	threads();
	at();
	return 0;
}
