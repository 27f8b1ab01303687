/* Inodes of files without a name: eventfd, epoll, pipes, sockets, ... */
#include <stdio.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/fs/mount_internal.h"
#include "sentry/fs/parts.h"

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

static struct mount *anon_mount; /* in no namespace; kept for ever */

static struct inode *new_inode_of(const char *name, uint32_t mode)
{
	struct anon_inode *a = NEW(struct anon_inode);

	inode_init(&a->inode, &anon_sb, &anon_ops, superblock_new_ino(&anon_sb), mode);
	a->name = name;
	return &a->inode;
}

static void anon_start(void)
{
	struct inode *root;

	superblock_init(&anon_sb, &anon_sb_ops, "anon_inodefs", "anon_inodefs");
	root = new_inode_of("", S_IFDIR | 0700);
	superblock_set_root(&anon_sb, root);
	inode_put(root);
	anon_mount = mount_new(&anon_sb, anon_sb.root, MS_NODEV);
}

struct inode *anon_inode_new(const char *name, uint32_t type_bits)
{
	pthread_once(&anon_once, anon_start);
	return new_inode_of(name, type_bits | 0600);
}

void anon_inode_init(struct inode *inode, const struct inode_ops *ops, uint32_t mode)
{
	pthread_once(&anon_once, anon_start);
	inode_init(inode, &anon_sb, ops, superblock_new_ino(&anon_sb), mode);
}

const char *anon_inode_name(const struct inode *inode)
{
	if (inode->ops != &anon_ops)
		return NULL;
	return container_of(inode, struct anon_inode, inode)->name;
}

/* What /proc shows; pipes and sockets by number, the rest by kind. */
static void anon_text(struct inode *inode, char *buf, size_t size)
{
	const char *name = anon_inode_name(inode);
	const char *memfd = fs_parts()->memfd_path(inode);

	if (memfd)
		snprintf(buf, size, "%s", memfd);
	else if (name && !S_ISFIFO(inode->mode) && !S_ISSOCK(inode->mode))
		snprintf(buf, size, "anon_inode:%s", name);
	else
		snprintf(buf, size, "%s:[%llu]",
			 S_ISFIFO(inode->mode)	 ? "pipe"
			 : S_ISSOCK(inode->mode) ? "socket"
						 : "file",
			 (unsigned long long)inode->ino);
}

int anon_path(struct inode *inode, struct path *out)
{
	char text[NAME_MAX_LEN + 1];

	pthread_once(&anon_once, anon_start);
	anon_text(inode, text, sizeof(text));
	*out = (struct path){mount_get(anon_mount), dentry_new_anon(inode, text)};
	return 0;
}
