/*
 * fs.protected_symlinks and its kin (proc_sys_fs(5)): each case says from which
 * value of its setting on it is refused. Natively the setting is the machine's;
 * with SET_PROTECTED in the environment every value is tried.
 */
#include <grp.h>

#include "tests/guest/fs_util.h"

enum action { FOLLOW, FOLLOW_CREATE, LINK, CREATE, NEVER_FOLLOW };

static const struct {
	const char *setting, *name;
	enum action action;
	uid_t who;
	int from; /* refused with this value and above; 9: never */
	int error;
} cases[] = {
    {"symlinks", "world/link", FOLLOW, 1000, 9, 0},
    {"symlinks", "world/link", FOLLOW, 2000, 1, EACCES},
    {"symlinks", "world/link", FOLLOW, 0, 1, EACCES},
    {"symlinks", "world/link", FOLLOW_CREATE, 0, 1, EACCES},
    {"symlinks", "world/link", NEVER_FOLLOW, 2000, 9, 0},
    {"symlinks", "world/rootlink", FOLLOW, 2000, 9, 0},
    {"symlinks", "world/dirlink/file", FOLLOW, 2000, 9, 0},
    {"symlinks", "world/dirlink", FOLLOW, 2000, 1, EACCES},
    {"symlinks", "to_link", FOLLOW, 2000, 1, EACCES},
    {"symlinks", "group/link", FOLLOW, 2000, 9, 0},
    {"symlinks", "plain/link", FOLLOW, 2000, 9, 0},
    {"hardlinks", "secret", LINK, 2000, 1, EPERM},
    {"hardlinks", "readable", LINK, 2000, 1, EPERM},
    {"hardlinks", "writable", LINK, 2000, 9, 0},
    {"hardlinks", "setuid", LINK, 2000, 1, EPERM},
    {"hardlinks", "setgid", LINK, 2000, 1, EPERM},
    {"hardlinks", "locking", LINK, 2000, 9, 0},
    {"hardlinks", "fifo", LINK, 2000, 1, EPERM},
    {"hardlinks", "rootlink", LINK, 2000, 1, EPERM},
    {"hardlinks", "mine", LINK, 2000, 9, 0},
    {"hardlinks", "mine", LINK, 0, 9, 0},
    {"regular", "world/file", CREATE, 1000, 9, 0},
    {"regular", "world/file", CREATE, 2000, 1, EACCES},
    {"regular", "world/file", CREATE, 0, 1, EACCES},
    {"regular", "world/rootfile", CREATE, 2000, 9, 0},
    {"regular", "group/file", CREATE, 2000, 2, EACCES},
    {"regular", "plain/file", CREATE, 2000, 9, 0},
    {"fifos", "world/fifo", CREATE, 1000, 9, 0},
    {"fifos", "world/fifo", CREATE, 2000, 1, EACCES},
    {"fifos", "group/fifo", CREATE, 2000, 2, EACCES},
    {"fifos", "plain/fifo", CREATE, 2000, 9, 0},
};

static int setting(const char *name)
{
	char path[64], text[8] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/fs/protected_%s", name);
	fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, 7) < 1)
		printf("%s: cannot be read\n", path);
	close(fd);
	return atoi(text);
}

static long set(const char *name, const char *value)
{
	char path[64];
	long r;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/fs/protected_%s", name);
	fd = open(path, O_WRONLY);
	r = fd < 0 ? -1 : write(fd, value, strlen(value));
	close(fd);
	return r;
}

static void own(const char *name, uid_t uid, mode_t mode)
{
	if (lchown(name, uid, uid) || (mode && chmod(name, mode)))
		printf("%s: %s\n", name, strerrorname_np(errno));
}

static void make_dir(const char *dir, mode_t mode)
{
	char name[64];

	mkdir(dir, 0755);
	own(dir, 0, mode);
	snprintf(name, sizeof(name), "%s/file", dir);
	put_file(name, "x");
	own(name, 1000, 0666);
	snprintf(name, sizeof(name), "%s/rootfile", dir);
	put_file(name, "x");
	own(name, 0, 0666);
	snprintf(name, sizeof(name), "%s/fifo", dir);
	mkfifo(name, 0666);
	own(name, 1000, 0666);
	snprintf(name, sizeof(name), "%s/link", dir);
	symlink("../target", name);
	own(name, 1000, 0);
	snprintf(name, sizeof(name), "%s/dirlink", dir);
	symlink("../world", name);
	own(name, 1000, 0);
	snprintf(name, sizeof(name), "%s/rootlink", dir);
	symlink("../target", name);
}

static void prepare(void)
{
	static const struct {
		const char *name;
		uid_t uid;
		mode_t mode;
	} files[] = {
	    {"target", 0, 0666},   {"secret", 0, 0600},	 {"readable", 0, 0644},
	    {"writable", 0, 0666}, {"setuid", 0, 04777}, {"setgid", 0, 02777},
	    {"locking", 0, 02666}, {"mine", 2000, 0600},
	};

	chmod(".", 0777);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		put_file(files[i].name, "x");
		own(files[i].name, files[i].uid, files[i].mode);
	}
	mkfifo("fifo", 0666);
	chmod("fifo", 0666);
	symlink("target", "rootlink");
	symlink("world/link", "to_link");
	make_dir("world", 01777);
	make_dir("group", 01775);
	make_dir("plain", 0777);
}

static long act(enum action action, const char *name)
{
	switch (action) {
	case FOLLOW:
		return try_open(name, O_RDONLY);
	case FOLLOW_CREATE:
		return try_open(name, O_RDWR | O_CREAT);
	case LINK:
		return linkat(AT_FDCWD, name, AT_FDCWD, "another", 0);
	case CREATE:
		return try_open(name, O_RDWR | O_CREAT | O_NONBLOCK);
	case NEVER_FOLLOW:
		return try_open(name, O_PATH | O_NOFOLLOW);
	}
	return -1;
}

/* 0 or errno. */
static int as_user(uid_t who, enum action action, const char *name)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		if (who && (setgroups(0, NULL) || setgid(who) || setuid(who)))
			_exit(200);
		_exit(act(action, name) < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	unlink("another");
	return WEXITSTATUS(status);
}

static void all_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int want = setting(cases[i].setting) >= cases[i].from ? cases[i].error : 0;
		int got = as_user(cases[i].who, cases[i].action, cases[i].name);

		if (got == want)
			printf("%s %s by %d: as set\n", cases[i].setting, cases[i].name,
			       cases[i].who);
		else
			printf("%s %s by %d: value %d, but %s\n", cases[i].setting, cases[i].name,
			       cases[i].who, setting(cases[i].setting),
			       got ? strerrorname_np(got) : "allowed");
	}
}

static void all_values(void)
{
	static const char *const names[] = {"symlinks", "hardlinks", "fifos", "regular"};

	for (int i = 0; i < 4; i++)
		printf("protected_%s is %d\n", names[i], setting(names[i]));
	for (int value = 0; value < 3; value++) {
		char text[4];

		snprintf(text, sizeof(text), "%d\n", value);
		for (int i = 0; i < 4; i++)
			printf("%s = %d: %s, is %d\n", names[i], value, ok(set(names[i], text)),
			       setting(names[i]));
		all_cases();
	}
	printf("3: %s\n", ok(set("regular", "3\n")));
	printf("x: %s\n", ok(set("regular", "x\n")));
}

int main(void)
{
	fs_begin();
	prepare();
	all_cases();
	if (getenv("SET_PROTECTED"))
		all_values();
	fs_end();
	return 0;
}
