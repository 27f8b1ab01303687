/*
 * What names a directory can have at most. Of a directory that we made on an
 * exclusive export we know all names, because they come through us; so a name
 * that never was there needs no question, which is one for every file that is
 * made in a fresh tree (a checkout, an archive, a build).
 *
 * Only hashes are kept, and those of names that went stay: a wrong "maybe" costs a
 * question, a wrong "no" cannot be. The number of hashes is bounded, for a
 * directory and for all of them; beyond it the directory is no longer known.
 */
#include "common/mem.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/gofer/internal.h"

#define KNOWN_MAX 1024U
#define KNOWN_ALL_MAX (128U * 1024)

static atomic_uint known_all; /* room for so many hashes is taken */

void known_free(struct gofer_inode *dir)
{
	struct known_names *k = &dir->known;

	atomic_fetch_sub(&known_all, k->max);
	free(k->hash);
	*k = (struct known_names){.complete = false};
}

void known_begin(struct gofer_inode *dir)
{
	dir->known.complete = !gofer_sb(&dir->inode)->shared;
}

static bool has_hash(const struct known_names *k, uint32_t hash)
{
	for (uint32_t i = 0; i < k->n; i++)
		if (k->hash[i] == hash)
			return true;
	return false;
}

static bool make_room(struct known_names *k)
{
	uint32_t more = max(k->max, 8U);

	if (k->n < k->max)
		return true;
	if (k->max + more > KNOWN_MAX)
		return false;
	if (atomic_fetch_add(&known_all, more) + more > KNOWN_ALL_MAX) {
		atomic_fetch_sub(&known_all, more);
		return false;
	}
	k->max += more;
	k->hash = xrealloc(k->hash, k->max * sizeof(*k->hash));
	return true;
}

void known_add(struct gofer_inode *dir, const char *name, size_t len)
{
	struct known_names *k = &dir->known;
	uint32_t hash = dentry_hash_name(name, len);

	if (!k->complete || has_hash(k, hash))
		return;
	if (make_room(k))
		k->hash[k->n++] = hash;
	else
		known_free(dir);
}

bool known_lacks(const struct gofer_inode *dir, const char *name, size_t len)
{
	return dir->known.complete && !has_hash(&dir->known, dentry_hash_name(name, len));
}
