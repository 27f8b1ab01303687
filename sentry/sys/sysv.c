/* System V IPC calls (svipc(7)). */
#include <errno.h>

#include "common/mem.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

long sys_shmget(struct task *t, const struct sysargs *a)
{
	return shm_get(t, (int)a->v[0], a->v[1], (int)a->v[2]);
}

long sys_shmat(struct task *t, const struct sysargs *a)
{
	return shm_attach(t, (int)a->v[0], UADDR(a->v[1]), (int)a->v[2]);
}

long sys_shmdt(struct task *t, const struct sysargs *a)
{
	return shm_detach(t, UADDR(a->v[0]));
}

long sys_shmctl(struct task *t, const struct sysargs *a)
{
	return shm_control(t, (int)a->v[0], (int)a->v[1] & ~K_IPC_64, UADDR(a->v[2]));
}

long sys_semget(struct task *t, const struct sysargs *a)
{
	return sem_get(t, (int)a->v[0], (int)a->v[1], (int)a->v[2]);
}

static long semop_deadline(struct task *t, const struct sysargs *a, uint64_t deadline)
{
	struct ksembuf ops[SEM_OPS_MAX];
	unsigned int n = (unsigned int)a->v[2];
	int r;

	if (!n || (int)a->v[0] < 0)
		return -EINVAL;
	if (n > SEM_OPS_MAX)
		return -E2BIG;
	r = copyin(t, ops, UADDR(a->v[1]), n * sizeof(ops[0]));
	return r ? r : sem_operate(t, (int)a->v[0], ops, n, deadline);
}

long sys_semop(struct task *t, const struct sysargs *a)
{
	return semop_deadline(t, a, SLEEP_FOREVER);
}

long sys_semtimedop(struct task *t, const struct sysargs *a)
{
	int64_t ns;
	int r = copyin_timeout(t, UADDR(a->v[3]), &ns);

	return r ? r : semop_deadline(t, a, deadline_after(ns));
}

long sys_semctl(struct task *t, const struct sysargs *a)
{
	return sem_control(t, (int)a->v[0], (int)a->v[1], (int)a->v[2] & ~K_IPC_64, a->v[3]);
}

long sys_msgget(struct task *t, const struct sysargs *a)
{
	return msg_get(t, (int)a->v[0], (int)a->v[1]);
}

long sys_msgsnd(struct task *t, const struct sysargs *a)
{
	unsigned char text[MSG_TEXT_MAX];
	uaddr from = UADDR(a->v[1]);
	long type;
	int r = copyin(t, &type, from, sizeof(type));

	if (r)
		return r;
	if (a->v[2] > MSG_TEXT_MAX)
		return -EINVAL;
	r = copyin(t, text, uaddr_add(from, sizeof(type)), a->v[2]);
	return r ? r : msg_send(t, (int)a->v[0], type, text, a->v[2], (int)a->v[3]);
}

long sys_msgrcv(struct task *t, const struct sysargs *a)
{
	unsigned char text[MSG_TEXT_MAX];
	uaddr to = UADDR(a->v[1]);
	long type = (long)a->v[3], n;
	int r;

	if ((int64_t)a->v[2] < 0)
		return -EINVAL;
	n = msg_receive(t, (int)a->v[0], text, min(a->v[2], (uint64_t)MSG_TEXT_MAX), &type,
			(int)a->v[4]);
	if (n < 0)
		return n;
	r = copyout_late(t, to, &type, sizeof(type));
	if (!r && n)
		r = copyout_late(t, uaddr_add(to, sizeof(type)), text, (size_t)n);
	return r ? r : n;
}

long sys_msgctl(struct task *t, const struct sysargs *a)
{
	return msg_control(t, (int)a->v[0], (int)a->v[1] & ~K_IPC_64, UADDR(a->v[2]));
}
