/* What is seen: clocks, the window that counts, its latencies and its report. */
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NANO 1000000000ull
enum { PIDS = 256 };

/* The window is from `from` to `to`; `by_departure` says that what was sent in it counts, whenever
 * it comes back. */
static uint64_t now, from, to, arrived, retries, worst, samples;
static uint64_t histogram[64 * 64];
static bool by_departure;

static uint64_t clock_now(clockid_t id)
{
    struct timespec time;
    if (clock_gettime(id, &time))
        return 0;
    return time.tv_sec * NANO + time.tv_nsec;
}

static void tick(void) { now = clock_now(CLOCK_MONOTONIC); }

static void fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("{\"error\": \"");
    vprintf(format, arguments);
    printf("\"}\n");
    va_end(arguments);
    exit(1);
}

/* Buckets of a 64th of each power of two: exact to 1.6%. */
static unsigned bucket(uint64_t value)
{
    int shift = 63 - __builtin_clzll(value | 64) - 6;
    return shift * 64 + (value >> shift);
}

static double quantile(double part)
{
    uint64_t rank = samples * part, seen = 0;
    for (unsigned i = 0; i < sizeof histogram / sizeof *histogram; i++) {
        seen += histogram[i];
        if (seen > rank) {
            unsigned shift = i < 128 ? 0 : i / 64 - 1;
            uint64_t value = (uint64_t)(i - shift * 64) << shift;
            return (value + ((1ull << shift) >> 1)) / 1e9;
        }
    }
    return worst / 1e9;
}

static void record(uint64_t since)
{
    uint64_t when = by_departure ? since : now, took = now - since;
    if (when < from || when >= to)
        return;
    histogram[bucket(took)]++;
    samples++;
    if (took > worst)
        worst = took;
}

static void forget(void)
{
    memset(histogram, 0, sizeof histogram);
    arrived = retries = worst = samples = 0;
}

typedef struct { uint64_t clock, server, load; } mark;

static int pids[PIDS], pid_count;

static mark look(void)
{
    mark found = {.load = clock_now(CLOCK_PROCESS_CPUTIME_ID)};
    for (int i = 0; i < pid_count; i++) { /* a process's clock: clock_getcpuclockid(3) */
        uint64_t used = clock_now(((clockid_t)~pids[i] << 3) | 2);
        if (!used)
            fail("A process of the server's has ended");
        found.server += used;
    }
    tick();
    found.clock = now;
    return found;
}

static mark begin_window(void)
{
    mark start = look();
    forget();
    from = now;
    to = UINT64_MAX;
    return start;
}

static mark end_window(void)
{
    mark stop = look();
    to = now;
    return stop;
}

static void report(mark start, mark stop)
{
    printf("{\"seconds\": %.9f, \"messages\": %llu, \"server_cpu\": %.9f, \"load_cpu\": %.9f, "
           "\"retries\": %llu",
           (stop.clock - start.clock) / 1e9, (unsigned long long)arrived,
           (stop.server - start.server) / 1e9, (stop.load - start.load) / 1e9,
           (unsigned long long)retries);
    if (samples)
        printf(", \"p50\": %.9f, \"p99\": %.9f, \"p999\": %.9f, \"worst\": %.9f", quantile(0.5),
               quantile(0.99), quantile(0.999), worst / 1e9);
    printf("}\n");
}
