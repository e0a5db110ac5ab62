/* Moves the wall clock of one process: preloaded, it adds to what clock_gettime, gettimeofday and time say of it the
 * nanoseconds in the first eight bytes of the file that FAULTS_CLOCK names, and counts in the next eight how often it
 * did. Condition variables wait until that clock says so, as the kernel lets them where the host's own is set: longer
 * where it is set back meanwhile, shorter where it is set ahead. Other clocks and other processes stay as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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

static void move(struct timespec *time, int64_t shift)
{
    int64_t nanos = time->tv_nsec + shift % 1000000000;
    time->tv_sec += shift / 1000000000 + (nanos >= 1000000000) - (nanos < 0);
    time->tv_nsec = (nanos + 1000000000) % 1000000000;
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int answer = real ? real(clock, time) : (int)syscall(SYS_clock_gettime, clock, time);
    int64_t shift = page ? page->shift_ns : 0;
    if (answer != 0 || shift == 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
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
