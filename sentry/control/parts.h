/*
 * The constructors of other parts that control uses, gathered here while their
 * owners' headers are under way.
 */
#ifndef GARRISON_SENTRY_CONTROL_PARTS_H
#define GARRISON_SENTRY_CONTROL_PARTS_H

struct file;
struct cred;
struct tty;
struct container;
struct superblock;

int hostfile_new(int fd, const struct cred *cred, struct file **out);
int tty_new_host(struct container *c, int fd, struct tty **out) __attribute__((weak));
int tty_open_file(struct tty *tty, const struct cred *cred, int flags, struct file **out)
    __attribute__((weak));
void tty_put(struct tty *tty) __attribute__((weak));
void tty_resize(struct tty *tty, unsigned short rows, unsigned short cols) __attribute__((weak));

#endif
