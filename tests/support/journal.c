/* Writes down, in order, what a process does to files below JOURNAL_ROOT: the journal from which
 * tests/support/power.py makes the disks that a power cut may leave. Preloaded; Linux only.
 *
 * A record: operation, inode, number (offset or length), lengths of two paths and of the data,
 * then these. One lock is held around the call and its record, so their order is the same. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int journal = -1;
static const char *root;
static size_t root_length;

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

static ssize_t put(int fd, const struct iovec *parts, int count) { REAL(writev); return real(fd, parts, count); }

__attribute__((constructor)) static void begin(void) {
  root = getenv("JOURNAL_ROOT");
  const char *path = getenv("JOURNAL_FILE");
  if (!root || !path) { root = NULL; return; }
  root_length = strlen(root);
  REAL(open);
  journal = real(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (journal < 0) { perror("journal"); _exit(99); }
}

static int ours(const char *path) {
  return root && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

static const char *whole(const char *path, char *out) {
  if (path[0] == '/') return path;
  if (!getcwd(out, PATH_MAX)) return path;
  size_t length = strlen(out);
  snprintf(out + length, PATH_MAX - length, "/%s", path);
  return out;
}

static const char *path_of(int fd, char *out) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, out, PATH_MAX - 1);
  out[length < 0 ? 0 : length] = 0;
  return out;
}

static uint64_t inode(int fd) { struct stat s; return fstat(fd, &s) ? 0 : s.st_ino; }

static void note(char operation, uint64_t id, uint64_t number, const char *a, const char *b,
                 const struct iovec *data, int count, size_t size) {
  struct __attribute__((packed)) { char op; uint64_t id, number; uint32_t a, b, data; } head = {
      operation, id, number, (uint32_t)strlen(a), (uint32_t)strlen(b), (uint32_t)size};
  struct iovec parts[3] = {{&head, sizeof head}, {(void *)a, head.a}, {(void *)b, head.b}};
  put(journal, parts, 3);
  for (int i = 0; i < count && size; i++) {
    struct iovec part = data[i];
    if (part.iov_len > size) part.iov_len = size;
    size -= part.iov_len;
    put(journal, &part, 1);
  }
}

static int opened(int fd, int existed, int flags) {
  char buffer[PATH_MAX];
  const char *path = path_of(fd, buffer);
  if (ours(path)) {
    if (!existed) note('C', inode(fd), 0, path, "", NULL, 0, 0);
    else if (flags & O_TRUNC) note('T', inode(fd), 0, path, "", NULL, 0, 0);
  }
  return fd;
}

#define OPEN(name)                                                                        \
  int name(const char *path, int flags, ...) {                                            \
    va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list);\
    REAL(name);                                                                           \
    if (!root || !(flags & (O_CREAT | O_TRUNC))) return real(path, flags, mode);          \
    pthread_mutex_lock(&lock);                                                            \
    int existed = !access(path, F_OK);                                                    \
    int fd = real(path, flags, mode), code = errno;                                       \
    if (fd >= 0) opened(fd, existed, flags);                                              \
    pthread_mutex_unlock(&lock); errno = code; return fd;                                 \
  }
OPEN(open)
OPEN(open64)

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  char buffer[PATH_MAX];
  if (!root || !ours(path_of(fd, buffer))) return real(fd, parts, count);
  pthread_mutex_lock(&lock);
  off_t at = lseek(fd, 0, SEEK_CUR);
  ssize_t done = real(fd, parts, count);
  int code = errno;
  if (done > 0) note('W', inode(fd), at, "", "", parts, count, done);
  pthread_mutex_unlock(&lock); errno = code; return done;
}

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  char buffer[PATH_MAX];
  if (!root || !ours(path_of(fd, buffer))) return real(fd, data, size);
  pthread_mutex_lock(&lock);
  off_t at = lseek(fd, 0, SEEK_CUR);
  ssize_t done = real(fd, data, size);
  int code = errno;
  struct iovec part = {(void *)data, size};
  if (done > 0) note('W', inode(fd), at, "", "", &part, 1, done);
  pthread_mutex_unlock(&lock); errno = code; return done;
}

#define SYNC(name)                                                                   \
  int name(int fd) {                                                                 \
    REAL(name);                                                                      \
    char buffer[PATH_MAX];                                                           \
    struct stat s;                                                                   \
    const char *path = path_of(fd, buffer);                                          \
    if (!root || !ours(path)) return real(fd);                                       \
    pthread_mutex_lock(&lock);                                                       \
    int done = real(fd), code = errno;                                               \
    if (!done && !fstat(fd, &s))                                                     \
      note(S_ISDIR(s.st_mode) ? 'D' : 'S', s.st_ino, 0, path, "", NULL, 0, 0);       \
    pthread_mutex_unlock(&lock); errno = code; return done;                          \
  }
SYNC(fsync)
SYNC(fdatasync)

#define CUT(name, kind)                                                              \
  int name(int fd, kind length) {                                                    \
    REAL(name);                                                                      \
    char buffer[PATH_MAX];                                                           \
    if (!root || !ours(path_of(fd, buffer))) return real(fd, length);                \
    pthread_mutex_lock(&lock);                                                       \
    int done = real(fd, length), code = errno;                                       \
    if (!done) note('T', inode(fd), length, "", "", NULL, 0, 0);                     \
    pthread_mutex_unlock(&lock); errno = code; return done;                          \
  }
CUT(ftruncate, off_t)
CUT(ftruncate64, off64_t)

#define NAMES(name, op)                                                              \
  int name(const char *from, const char *to) {                                       \
    REAL(name);                                                                      \
    char a[PATH_MAX], b[PATH_MAX];                                                   \
    const char *source = whole(from, a), *target = whole(to, b);                     \
    if (!root || !ours(target)) return real(from, to);                               \
    pthread_mutex_lock(&lock);                                                       \
    int done = real(from, to), code = errno;                                         \
    if (!done) note(op, 0, 0, source, target, NULL, 0, 0);                           \
    pthread_mutex_unlock(&lock); errno = code; return done;                          \
  }
NAMES(link, 'L')
NAMES(rename, 'R')

int unlink(const char *name) {
  REAL(unlink);
  char a[PATH_MAX];
  const char *path = whole(name, a);
  if (!root || !ours(path)) return real(name);
  pthread_mutex_lock(&lock);
  int done = real(name), code = errno;
  if (!done) note('U', 0, 0, path, "", NULL, 0, 0);
  pthread_mutex_unlock(&lock); errno = code; return done;
}

int mkdir(const char *name, mode_t mode) {
  REAL(mkdir);
  char a[PATH_MAX];
  const char *path = whole(name, a);
  if (!root || !ours(path)) return real(name, mode);
  pthread_mutex_lock(&lock);
  int done = real(name, mode), code = errno;
  if (!done) note('M', 0, 0, path, "", NULL, 0, 0);
  pthread_mutex_unlock(&lock); errno = code; return done;
}
