/* Inodes of files without a name: eventfd, epoll, pipes, sockets, ... */
#include <stdio.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/inode.h"

struct anon_inode {
	struct inode inode;
	const char *name; /* borrowed for ever: a literal */
};

static void anon_release(struct inode *inode)
{
	struct anon_inode *a = container_of(inode, struct anon_inode, inode);

	inode_fini(inode);
	free(a);
}

static int anon_statfs(struct superblock *sb, struct kstatfs *out)
{
	*out = (struct kstatfs){.type = 0x09041934, .bsize = 4096, .frsize = 4096, .namelen = 255};
	return 0;
}

static int anon_setattr(struct inode *inode, const struct iattr *attr)
{
	inode_apply_attr(inode, attr);
	return 0;
}

static const struct inode_ops anon_ops = {.setattr = anon_setattr, .release = anon_release};
static const struct sb_ops anon_sb_ops = {.statfs = anon_statfs};
static struct superblock anon_sb;
static pthread_once_t anon_once = PTHREAD_ONCE_INIT;

static void anon_start(void)
{
	superblock_init(&anon_sb, &anon_sb_ops, "anon_inodefs", "anon_inodefs");
}

struct inode *anon_inode_new(const char *name, uint32_t type_bits)
{
	struct anon_inode *a = NEW(struct anon_inode);

	pthread_once(&anon_once, anon_start);
	inode_init(&a->inode, &anon_sb, &anon_ops, superblock_new_ino(&anon_sb), type_bits | 0600);
	a->name = name;
	return &a->inode;
}

const char *anon_inode_name(const struct inode *inode)
{
	if (inode->ops != &anon_ops)
		return NULL;
	return container_of(inode, struct anon_inode, inode)->name;
}
