/* System V shared memory: attaching, counting, removal, checks. */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#define R(e)                                                                                       \
	({                                                                                         \
		long r_ = (long)(e);                                                               \
		r_ == -1 ? -(long)errno : r_;                                                      \
	})
#define SHOW(e) printf("%s = %ld\n", #e, R(e))
#define OK(e) printf("%s: %s\n", #e, (long)(e) == -1 ? strerror(errno) : "ok")

static void stat_of(int id)
{
	struct shmid_ds ds;

	if (shmctl(id, IPC_STAT, &ds)) {
		printf("stat: %s\n", strerror(errno));
		return;
	}
	/* When a detach that is no shmdt(2) counts as one is left out. */
	printf("size %zu mode %o nattch %lu cpid %d times %d %d uid %u\n", ds.shm_segsz,
	       ds.shm_perm.mode, (unsigned long)ds.shm_nattch, ds.shm_cpid == getpid(),
	       ds.shm_atime != 0, ds.shm_ctime != 0, ds.shm_perm.uid);
}

int main(void)
{
	int id, id2, status;
	char *a, *b;
	struct shmid_ds ds;

	setvbuf(stdout, NULL, _IOLBF, 0);
	SHOW(shmget(0x1234, 4096, 0));
	SHOW(shmget(IPC_PRIVATE, 0, 0600));
	SHOW(shmget(0x1234, 0, IPC_CREAT | 0600));
	id = shmget(0x1234, 5000, IPC_CREAT | 0640);
	OK(id);
	stat_of(id);
	SHOW(shmget(0x1234, 100, IPC_CREAT | IPC_EXCL | 0600));
	printf("same %d\n", shmget(0x1234, 100, 0) == id);
	SHOW(shmget(0x1234, 5001, 0));
	a = shmat(id, NULL, 0);
	OK(a);
	strcpy(a + 4998, "x");
	b = shmat(id, NULL, SHM_RDONLY);
	printf("shared '%s' rest zero %d\n", b + 4998, b[8191] == 0);
	stat_of(id);
	SHOW(shmat(id, a + 1, 0));
	SHOW(shmat(id, a, 0));
	SHOW(shmat(id + 1000000, NULL, 0));
	SHOW(shmat(id, NULL, SHM_REMAP));
	printf("rnd %d\n", shmat(id, b + 5, SHM_RND | SHM_REMAP) == b);
	SHOW(shmdt(a + 4096));
	SHOW(shmdt((void *)4096));
	SHOW(shmdt(b));
	SHOW(shmdt(b));
	stat_of(id);
	shmctl(id, IPC_STAT, &ds);
	printf("detached by me %d at %d\n", ds.shm_lpid == getpid(), ds.shm_dtime != 0);
	if (!fork()) {
		struct shmid_ds d;

		shmctl(id, IPC_STAT, &d);
		a[0] = (char)d.shm_nattch;
		strcpy(a + 1, "child");
		_exit(0);
	}
	wait(&status);
	printf("from child %d '%s'\n", a[0], a + 1);
	stat_of(id);
	/* Cut up by mprotect and munmap: shmdt takes what is left. */
	id2 = shmget(IPC_PRIVATE, 4 * 4096, 0600);
	b = shmat(id2, NULL, 0);
	mprotect(b + 4096, 4096, PROT_READ);
	stat_of(id2);
	munmap(b + 2 * 4096, 4096);
	stat_of(id2);
	SHOW(shmdt(b));
	stat_of(id2);
	SHOW(shmctl(id2, IPC_RMID, NULL));
	SHOW(shmctl(id2, IPC_RMID, NULL));
	/* Removal while attached. */
	SHOW(shmctl(id, IPC_RMID, NULL));
	stat_of(id);
	SHOW(shmget(0x1234, 100, 0));
	b = shmat(id, NULL, 0);
	printf("attached again '%s'\n", b + 1);
	shmdt(b);
	shmdt(a);
	stat_of(id);
	/* Permissions. */
	id = shmget(IPC_PRIVATE, 4096, 0600);
	if (!fork()) {
		setresuid(1000, 1000, 1000);
		SHOW(shmat(id, NULL, SHM_RDONLY));
		SHOW(shmctl(id, IPC_STAT, &ds));
		SHOW(shmctl(id, IPC_RMID, NULL));
		SHOW(shmctl(id, SHM_LOCK, NULL));
		_exit(0);
	}
	wait(&status);
	shmctl(id, IPC_STAT, &ds);
	ds.shm_perm.mode = 0644;
	ds.shm_perm.uid = 7;
	SHOW(shmctl(id, IPC_SET, &ds));
	stat_of(id);
	if (!fork()) {
		setresuid(1000, 1000, 1000);
		OK(shmat(id, NULL, SHM_RDONLY));
		SHOW(shmat(id, NULL, 0));
		_exit(0);
	}
	wait(&status);
	SHOW(shmctl(id, IPC_RMID, NULL));
	SHOW(shmctl(id, 99, NULL));
	SHOW(shmctl(-1, IPC_STAT, &ds));
	struct shminfo info;
	SHOW(shmctl(0, IPC_INFO, (void *)&info) >= 0);
	printf("min %lu mni %lu\n", info.shmmin, info.shmmni);
	return 0;
}
