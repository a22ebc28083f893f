/* A clock that is off: what the worker asks for the time of day is answered SKEW_SECONDS later (or earlier, below zero). */
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t id, struct timespec *at) {
    long failed = syscall(SYS_clock_gettime, id, at);
    const char *skew = getenv("SKEW_SECONDS");
    if (failed == 0 && id == CLOCK_REALTIME && skew)
        at->tv_sec += atol(skew);
    return (int)failed;
}
