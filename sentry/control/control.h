/*
 * The control server: how the runtime and its monitors speak to the sentry.
 *
 * One thread, the main one, polls the listening socket, the connections and an
 * eventfd that tells of exits. A request is one SOCK_SEQPACKET message (see
 * common/wire.h) {"op":NAME,...}; the answer is {} plus results, or
 * {"error":TEXT,"errno":N}. Requests of one connection are answered in order,
 * except "wait", whose answer comes when the process has exited; to miss no exit, it
 * is sent before "start". A connection
 * that waits with "owner":true holds the process's life: when it hangs up before
 * the exit (somebody killed the monitor), the process gets SIGKILL.
 *
 * op        members                                     answer
 * create    see kernel/container.h and ops_container.c
 * start     id                                          pid
 * exec      id, process, stdio or tty, wait             pid; with "wait": as if an owner's
 *                                                       "wait" had followed
 * wait      id, pid (0: init), owner                    exited, status (a wait status); below an
 *                                                       init without program before that, each
 *                                                       time it stops: stopped (the signal)
 * signal    id, pid (0: init), signal, all, group       group: as its terminal would, to its group
 * ps        id                                          processes
 * resize    id, pid, rows, cols
 * state     id                                          status, pid
 * update    id, memoryLimit, pidsLimit (as for create)
 * debug     id                                          text
 * destroy   id                                          (kills; forgets)
 * shutdown                                              (ends the sentry)
 *
 * No locks of its own: all state belongs to the main thread.
 */
#ifndef GARRISON_SENTRY_CONTROL_CONTROL_H
#define GARRISON_SENTRY_CONTROL_CONTROL_H

#include "sentry/control/request.h"

struct container;

/* Before the sentry's seccomp filter: makes the eventfd. */
int control_init(void) MUST_CHECK;
/* Serves until the last container is gone or "shutdown". Either fd may be -1. */
void control_serve(int listen_fd, int first_conn);

/* Sends the answer to a deferred request; err as a handler's result. Takes `reply`. */
void connection_reply(struct connection *conn, json_t *reply, int err, const char *error);
/* Who writes the text of "debug" (owned by the caller); main gives it, as it lies above. */
void control_set_debug_report(char *(*report)(struct container *c));
/* Any thread: the main thread shall look at the exits. */
void control_wake(void);
/* The loop ends after the current round. */
void control_stop(void);

#endif
