/* Moves the wall clock of one process: preloaded, it adds to what clock_gettime, gettimeofday and time say of it the
 * nanoseconds in the first eight bytes of the file that FAULTS_CLOCK names, and counts in the next eight how often it
 * did. Deadlines of condition variables are told to the kernel in its own time. Other clocks and other processes stay
 * as they are. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct page {
    volatile int64_t shift_ns;
    int64_t reads;
};

static struct page *page;
static int (*real)(clockid_t, struct timespec *);
static int (*real_wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *name = getenv("FAULTS_CLOCK");
    int file = name ? open(name, O_RDWR | O_CLOEXEC) : -1;
    real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    *(void **)&real_wait = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
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

/* Here all of them are on the wall clock. */
int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until)
{
    struct timespec there = *until;
    if (page)
        move(&there, -page->shift_ns);
    return real_wait(cond, mutex, &there);
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
