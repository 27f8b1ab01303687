/* System V message queues: types, limits, blocking, control. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/wait.h>
#include <unistd.h>

#define R(e)                                                                                       \
	({                                                                                         \
		long r_ = (long)(e);                                                               \
		r_ == -1 ? -(long)errno : r_;                                                      \
	})
#define SHOW(e) printf("%s = %ld\n", #e, R(e))

static struct {
	long type;
	char text[9000];
} m;

static int id;

static void put(long type, const char *text)
{
	m.type = type;
	strcpy(m.text, text);
	printf("put %ld: %ld\n", type, R(msgsnd(id, &m, strlen(text) + 1, IPC_NOWAIT)));
}

static void get(long type, int flags)
{
	long r = R(msgrcv(id, &m, 100, type, flags | IPC_NOWAIT));

	printf("get %ld flags %x: %ld", type, flags, r);
	if (r >= 0)
		printf(" type %ld '%s'", m.type, m.text);
	printf("\n");
}

int main(void)
{
	struct msqid_ds ds;
	int status, n;

	setvbuf(stdout, NULL, _IOLBF, 0);
	SHOW(msgget(0x99, 0));
	id = msgget(0x99, IPC_CREAT | 0600);
	SHOW(msgget(0x99, IPC_CREAT | IPC_EXCL));
	printf("same %d\n", msgget(0x99, 0) == id);
	put(0, "bad");
	put(-1, "bad");
	m.type = 1;
	SHOW(msgsnd(id, &m, 8193, IPC_NOWAIT));
	SHOW(msgsnd(id, &m, -1, IPC_NOWAIT));
	put(3, "three");
	put(1, "one");
	put(2, "two");
	put(1, "uno");
	get(4, 0);
	get(1, 0);
	get(-2, 0);
	get(-2, 0);
	get(3, MSG_EXCEPT);
	get(3, 0);
	get(0, 0);
	put(5, "a longer text");
	SHOW(msgrcv(id, &m, 3, 0, IPC_NOWAIT));
	SHOW(msgrcv(id, &m, 3, 0, IPC_NOWAIT | MSG_NOERROR));
	printf("'%.3s'\n", m.text);
	put(1, "");
	get(0, 0);
	m.type = 1;
	for (n = 0; !msgsnd(id, &m, 1000, IPC_NOWAIT); n++)
		;
	printf("took %d then %d\n", n, errno);
	msgctl(id, IPC_STAT, &ds);
	printf("qnum %lu cbytes %lu qbytes %lu mode %o lspid %d\n", ds.msg_qnum, ds.__msg_cbytes,
	       ds.msg_qbytes, ds.msg_perm.mode, ds.msg_lspid == getpid());
	if (!fork())
		_exit(msgsnd(id, &m, 1000, 0) ? errno : 0);
	usleep(50000);
	SHOW(msgrcv(id, &m, 1000, 0, 0));
	wait(&status);
	printf("blocked sender %d\n", WEXITSTATUS(status));
	while (msgrcv(id, &m, 1000, 0, IPC_NOWAIT) >= 0)
		;
	if (!fork())
		_exit((int)msgrcv(id, &m, 1000, 7, 0));
	usleep(50000);
	put(6, "not this");
	put(7, "this");
	wait(&status);
	printf("blocked receiver %d\n", WEXITSTATUS(status));
	if (!fork())
		_exit(msgrcv(id, &m, 1000, 8, 0) < 0 && errno == EIDRM);
	usleep(50000);
	ds.msg_qbytes = 100;
	ds.msg_perm.mode = 0400;
	SHOW(msgctl(id, IPC_SET, &ds));
	m.type = 1;
	SHOW(msgsnd(id, &m, 1000, IPC_NOWAIT));
	SHOW(msgctl(id, IPC_RMID, NULL));
	wait(&status);
	printf("removed under it: %d\n", WEXITSTATUS(status));
	SHOW(msgctl(id, IPC_STAT, &ds));
	SHOW(msgrcv(id, &m, 1, 0, 0));
	return 0;
}
