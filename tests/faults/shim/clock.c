/* Moves clocks of one process: preloaded, it adds to what clock_gettime, gettimeofday and time say of the wall clock the
 * nanoseconds in the first eight bytes of the file that FAULTS_CLOCK names, takes those in the third eight from what
 * the monotonic clock says, as if the host had been suspended for so long, and counts in the second eight how often it
 * did either. Condition variables wait until their clock says so, as the kernel lets them where the host's own is set:
 * longer where it is set back meanwhile, shorter where it is set ahead. The boot clock, which goes on while a host is
 * suspended, and other processes stay as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

enum { SLICE_NS = 50000000 };

struct page {
    volatile int64_t shift_ns;
    int64_t reads;
    volatile int64_t suspended_ns;
};

static struct page *page;
static int (*real)(clockid_t, struct timespec *);

/* pthread_cond_timedwait or cnd_timedwait. */
typedef int timed_wait(void *, void *, const struct timespec *);
static timed_wait *posix_wait, *c11_wait;
static int (*real_cnd_wait)(cnd_t *, mtx_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("FAULTS_CLOCK");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    *(void **)&posix_wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    *(void **)&c11_wait = dlsym(RTLD_NEXT, "cnd_timedwait");
    *(void **)&real_cnd_wait = dlsym(RTLD_NEXT, "cnd_timedwait");
    if (file < 0)
        return;
    void *at = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    page = at == MAP_FAILED ? NULL : at;
}

static int64_t shift_of(clockid_t clock)
{
    if (!page)
        return 0;
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
        return page->shift_ns;
    return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ? -page->suspended_ns : 0;
}

static void move(struct timespec *time, int64_t shift)
{
    int64_t nanos = time->tv_nsec + shift % 1000000000;
    time->tv_sec += shift / 1000000000 + (nanos >= 1000000000) - (nanos < 0);
    time->tv_nsec = (nanos + 1000000000) % 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int answer = real ? real(clock, time) : (int)syscall(SYS_clock_gettime, clock, time);
    int64_t shift = shift_of(clock);
    if (answer != 0 || shift == 0)
        return answer;
    __atomic_fetch_add(&page->reads, 1, __ATOMIC_RELAXED);
    move(time, shift);
    return 0;
}

static int64_t nanos(const struct timespec *time)
{
    return time->tv_sec * 1000000000 + time->tv_nsec;
}

/* All deadlines here are on the wall clock. They are waited for in slices, so that a jump is noticed. */
static int wait_until(timed_wait *wait, int timed_out, void *cond, void *mutex, const struct timespec *until)
{
    for (;;) {
        struct timespec moved, next;
        clock_gettime(CLOCK_REALTIME, &moved);
        int64_t left = nanos(until) - nanos(&moved);
        int is_last = left <= SLICE_NS;
        real(CLOCK_REALTIME, &next);
        move(&next, is_last ? left : SLICE_NS);
        int answer = wait(cond, mutex, &next);
        if (is_last || answer != timed_out)
            return answer;
    }
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    return wait_until(posix_wait, ETIMEDOUT, cond, mutex, until);
}

/* What librdkafka calls where C has threads. */
int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
    return wait_until(c11_wait, thrd_timedout, cond, mutex, until);
}

/* The kernel knows nothing of the time that is missed: a moment of our monotonic clock is a later one of its own. */
static struct timespec kernels(clockid_t clock, const struct timespec *until)
{
    struct timespec moved = *until;
    if (clock == CLOCK_MONOTONIC)
        move(&moved, -shift_of(clock));
    return moved;
}

int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    static int (*real_wait)(sem_t *, clockid_t, const struct timespec *);
    if (!real_wait)
        *(void **)&real_wait = dlsym(RTLD_NEXT, "sem_clockwait");
    struct timespec moved = kernels(clock, until);
    return real_wait(sem, clock, &moved);
}

/* Rust's condition variables and parked threads wait for a word of memory, until a moment of the monotonic clock. */
long syscall(long number, ...)
{
    static long (*real_syscall)(long, ...);
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    struct timespec until;
    int is_wait = number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && a[3] != 0;
    if (is_wait && !(a[1] & FUTEX_CLOCK_REALTIME)) {
        until = kernels(CLOCK_MONOTONIC, (const struct timespec *)a[3]);
        a[3] = (long)&until;
    }
    if (!real_syscall)
        *(void **)&real_syscall = dlsym(RTLD_NEXT, "syscall");
    return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int gettimeofday(struct timeval *restrict time, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at)
        *at = now.tv_sec;
    return now.tv_sec;
}
