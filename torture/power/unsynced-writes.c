/*
 * Preloaded (LD_PRELOAD) into a replica's process: keeps, outside of it, what a power cut would take.
 *
 * Below every engine, JavaScript or native, a file is changed by write, pwrite, writev, pwritev and
 * ftruncate, and made durable by fsync, fdatasync or a write to a descriptor opened with O_DSYNC. Each
 * change of a file below TORTURE_DISK is first noted in a journal of that file, with the bytes before and
 * after it; a sync that has returned makes what was noted before it began durable. The process may be
 * killed at any point: journals are files of their own, of which nobody syncs anything, so they and the
 * page cache survive. To cut the power is to kill the process and to take back what is in the journals
 * (power-cut.ts).
 *
 * Journal, named by inode in TORTURE_JOURNAL: u64 offset of the first change that is not durable; then
 * changes: u32 kind, u32 durable by itself, u64 at, u64 size of the file before, u64 length of the bytes
 * before, u64 length of those after, the bytes before, those after.
 *
 * A sync takes TORTURE_SYNC_MS longer than the machine's own, so that power is not cut between any two of
 * them but within one: disks that sync in microseconds have a battery.
 *
 * Not covered: names. A file that is made, renamed or removed stays so; the simulation forgets those too.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 65536
#define HEADER_BYTES sizeof(uint64_t)

enum { WRITE = 1, TRUNCATE = 2 };

struct change {
  uint32_t kind;
  uint32_t durable;
  uint64_t at;
  uint64_t size_before;
  uint64_t bytes_before;
  uint64_t bytes_after;
};

struct file {
  struct file *next;
  dev_t dev;
  ino_t ino;
  /* Its names are gone: what is written to it nobody will find. */
  int removed;
  int reader;
  int journal;
  uint64_t end;
  uint64_t synced;
  pthread_mutex_t lock;
};

static const char *disk;
static const char *journals;
static useconds_t sync_us;
static struct file *files;
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static struct file *by_descriptor[DESCRIPTORS_MAX];

static int (*real_open)(const char *, int, ...);
static ssize_t (*real_write)(int, const void *, size_t);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_writev)(int, const struct iovec *, int);
static ssize_t (*real_pwritev)(int, const struct iovec *, int, off_t);
static int (*real_ftruncate)(int, off_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);

__attribute__((constructor)) static void begin(void) {
  real_open = dlsym(RTLD_NEXT, "open64");
  real_write = dlsym(RTLD_NEXT, "write");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_writev = dlsym(RTLD_NEXT, "writev");
  real_pwritev = dlsym(RTLD_NEXT, "pwritev64");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_rename = dlsym(RTLD_NEXT, "rename");
  disk = getenv("TORTURE_DISK");
  journals = getenv("TORTURE_JOURNAL");
  const char *sync_ms = getenv("TORTURE_SYNC_MS");
  if (sync_ms != NULL) sync_us = atoi(sync_ms) * 1000;
}

/* A torture that cannot see what is written must not go on. */
static void die(const char *what) {
  fprintf(stderr, "unsynced-writes: %s: %s\n", what, strerror(errno));
  abort();
}

static int is_on_disk(const char *path) {
  if (disk == NULL || journals == NULL || path == NULL) return 0;
  size_t length = strlen(path);
  /* LMDB's lock file is shared memory: it is made anew when nobody has it open. */
  if (length > 5 && strcmp(path + length - 5, "-lock") == 0) return 0;
  size_t below = strlen(disk);
  return strncmp(path, disk, below) == 0 && path[below] == '/';
}

static void journal_path(ino_t ino, char *path) {
  snprintf(path, PATH_MAX, "%s/%llu", journals, (unsigned long long)ino);
}

static void write_all(int fd, const void *bytes, size_t length, off_t at) {
  for (size_t done = 0; done < length;) {
    ssize_t wrote = real_pwrite(fd, (const char *)bytes + done, length - done, at + done);
    if (wrote < 0 && errno != EINTR) die("a journal cannot be written");
    if (wrote > 0) done += wrote;
  }
}

/* Where the last whole change ends: the process before may have been killed while it noted one. */
static uint64_t end_of(int journal) {
  struct stat facts;
  if (fstat(journal, &facts) != 0) die("a journal cannot be read");
  uint64_t at = HEADER_BYTES;
  struct change change;
  while (pread(journal, &change, sizeof change, at) == sizeof change && change.kind != 0) {
    uint64_t next = at + sizeof change + change.bytes_before + change.bytes_after;
    if (next > (uint64_t)facts.st_size) break;
    at = next;
  }
  if (real_ftruncate(journal, at) != 0) die("a journal cannot be shortened");
  return at;
}

static struct file *open_file(const char *path, const struct stat *facts) {
  char name[PATH_MAX];
  journal_path(facts->st_ino, name);
  struct file *file = calloc(1, sizeof *file);
  file->dev = facts->st_dev;
  file->ino = facts->st_ino;
  file->reader = real_open(path, O_RDONLY | O_CLOEXEC);
  file->journal = real_open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file->reader < 0 || file->journal < 0) die("a journal cannot be opened");
  pthread_mutex_init(&file->lock, NULL);
  if (pread(file->journal, &file->synced, HEADER_BYTES, 0) != HEADER_BYTES) {
    file->synced = HEADER_BYTES;
    write_all(file->journal, &file->synced, HEADER_BYTES, 0);
  }
  file->end = end_of(file->journal);
  file->next = files;
  files = file;
  return file;
}

static void attach(int fd, const char *path) {
  struct stat facts;
  if (fd < 0 || fd >= DESCRIPTORS_MAX || fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) return;
  if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) return;
  pthread_mutex_lock(&files_lock);
  struct file *file = files;
  while (file != NULL && (file->removed || file->ino != facts.st_ino || file->dev != facts.st_dev))
    file = file->next;
  by_descriptor[fd] = file != NULL ? file : open_file(path, &facts);
  pthread_mutex_unlock(&files_lock);
}

/* Descriptors may be closed by a system call that nobody sees, and then be anything. */
static struct file *file_of(int fd) {
  struct stat facts;
  struct file *file = fd >= 0 && fd < DESCRIPTORS_MAX ? by_descriptor[fd] : NULL;
  if (file == NULL || file->removed || fstat(fd, &facts) != 0) return NULL;
  return facts.st_ino == file->ino && facts.st_dev == file->dev ? file : NULL;
}

/* Notes a change, under the file's lock; returns where. What makes it count is written last. */
static uint64_t note(struct file *file, struct change change, const struct iovec *after, int parts) {
  struct stat facts;
  if (fstat(file->reader, &facts) != 0) die("a file cannot be read");
  change.size_before = facts.st_size;
  uint64_t touched = change.kind == WRITE ? change.at + change.bytes_after : UINT64_MAX;
  uint64_t until = touched < change.size_before ? touched : change.size_before;
  change.bytes_before = until > change.at ? until - change.at : 0;
  uint64_t where = file->end;
  if (change.bytes_before > 0) {
    void *before = malloc(change.bytes_before);
    if (pread(file->reader, before, change.bytes_before, change.at) != (ssize_t)change.bytes_before)
      die("a file cannot be read");
    write_all(file->journal, before, change.bytes_before, where + sizeof change);
    free(before);
  }
  uint64_t at = where + sizeof change + change.bytes_before;
  for (int i = 0; i < parts; at += after[i++].iov_len)
    write_all(file->journal, after[i].iov_base, after[i].iov_len, at);
  write_all(file->journal, &change, sizeof change, where);
  file->end = at;
  return where;
}

static ssize_t noted_write(struct file *file, int fd, const struct iovec *iov, int parts, off_t at) {
  struct change change = {.kind = WRITE, .at = at};
  for (int i = 0; i < parts; i++) change.bytes_after += iov[i].iov_len;
  pthread_mutex_lock(&file->lock);
  uint64_t where = note(file, change, iov, parts);
  ssize_t wrote = real_pwritev(fd, iov, parts, at);
  if (wrote != (ssize_t)change.bytes_after) die("a write was refused or cut short");
  if (fcntl(fd, F_GETFL) & (O_DSYNC | O_SYNC)) {
    uint32_t durable = 1;
    write_all(file->journal, &durable, sizeof durable, where + offsetof(struct change, durable));
  }
  pthread_mutex_unlock(&file->lock);
  return wrote;
}

/* At the descriptor's own position, which a write by position does not move. */
static ssize_t noted_append(struct file *file, int fd, const struct iovec *iov, int parts) {
  int appends = fcntl(fd, F_GETFL) & O_APPEND;
  off_t at = lseek(fd, 0, appends ? SEEK_END : SEEK_CUR);
  ssize_t wrote = noted_write(file, fd, iov, parts, at);
  lseek(fd, at + wrote, SEEK_SET);
  return wrote;
}

static int noted_sync(struct file *file, int fd, int (*sync)(int)) {
  pthread_mutex_lock(&file->lock);
  uint64_t end = file->end;
  pthread_mutex_unlock(&file->lock);
  usleep(sync_us);
  int result = sync(fd);
  if (result != 0) return result;
  pthread_mutex_lock(&file->lock);
  if (end > file->synced) file->synced = end;
  int all = file->synced >= file->end;
  if (all) file->synced = file->end = HEADER_BYTES;
  write_all(file->journal, &file->synced, HEADER_BYTES, 0);
  if (all && real_ftruncate(file->journal, HEADER_BYTES) != 0) die("a journal cannot be emptied");
  pthread_mutex_unlock(&file->lock);
  return result;
}

/* Whoever gets this inode next begins with an empty journal. */
static void forget(const char *path) {
  struct stat facts;
  char name[PATH_MAX];
  if (!is_on_disk(path) || lstat(path, &facts) != 0 || !S_ISREG(facts.st_mode)) return;
  pthread_mutex_lock(&files_lock);
  for (struct file *file = files; file != NULL; file = file->next)
    if (file->ino == facts.st_ino && file->dev == facts.st_dev) file->removed = 1;
  journal_path(facts.st_ino, name);
  real_unlink(name);
  pthread_mutex_unlock(&files_lock);
}

static int noted_open(const char *path, int flags, mode_t mode) {
  if (!is_on_disk(path)) return real_open(path, flags, mode);
  int fd = real_open(path, flags & ~O_TRUNC, mode);
  if (fd < 0) return fd;
  attach(fd, path);
  if ((flags & O_TRUNC) && ftruncate(fd, 0) != 0) die("a file cannot be emptied");
  return fd;
}

static mode_t mode_of(int flags, va_list rest) {
  return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return noted_open(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = mode_of(flags, rest);
  va_end(rest);
  return noted_open(path, flags, mode);
}

ssize_t write(int fd, const void *bytes, size_t length) {
  struct file *file = file_of(fd);
  struct iovec iov = {(void *)bytes, length};
  return file == NULL ? real_write(fd, bytes, length) : noted_append(file, fd, &iov, 1);
}

ssize_t writev(int fd, const struct iovec *iov, int parts) {
  struct file *file = file_of(fd);
  return file == NULL ? real_writev(fd, iov, parts) : noted_append(file, fd, iov, parts);
}

ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) {
  struct file *file = file_of(fd);
  struct iovec iov = {(void *)bytes, length};
  return file == NULL ? real_pwrite(fd, bytes, length, at) : noted_write(file, fd, &iov, 1, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t at) {
  return pwrite(fd, bytes, length, at);
}

ssize_t pwritev(int fd, const struct iovec *iov, int parts, off_t at) {
  struct file *file = file_of(fd);
  return file == NULL ? real_pwritev(fd, iov, parts, at) : noted_write(file, fd, iov, parts, at);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int parts, off_t at) {
  return pwritev(fd, iov, parts, at);
}

int ftruncate(int fd, off_t length) {
  struct file *file = file_of(fd);
  if (file == NULL) return real_ftruncate(fd, length);
  pthread_mutex_lock(&file->lock);
  note(file, (struct change){.kind = TRUNCATE, .at = length}, NULL, 0);
  int result = real_ftruncate(fd, length);
  pthread_mutex_unlock(&file->lock);
  return result;
}

int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

int fsync(int fd) {
  struct file *file = file_of(fd);
  return file == NULL ? real_fsync(fd) : noted_sync(file, fd, real_fsync);
}

int fdatasync(int fd) {
  struct file *file = file_of(fd);
  return file == NULL ? real_fdatasync(fd) : noted_sync(file, fd, real_fdatasync);
}

int unlink(const char *path) {
  forget(path);
  return real_unlink(path);
}

int rename(const char *from, const char *to) {
  forget(to);
  return real_rename(from, to);
}
