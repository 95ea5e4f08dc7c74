/* The load generator of `python -m bench run`: many WebSocket clients in one thread, on epoll.
 *
 *     client PORT SCRIPT
 *
 * SCRIPT is a file of five parts, each a length in four bytes (little-endian) and so many bytes:
 * the handshake's request, the frame that every client sends, the payload that has to come back
 * (empty: whatever comes is taken, and the last one kept), the value of Sec-WebSocket-Accept, and
 * a Close frame. Whoever writes it has masked and compressed, so that nothing of it is done here.
 *
 * Commands are lines on standard input; each is answered by one line of JSON on standard output.
 * Between them Pings are answered. When standard input ends, all clients say goodbye.
 *
 *     connect N                                   open so many clients in all
 *     once                                        a message from each, and back
 *     echo WARMUP SECONDS DEPTH PID...            so many messages under way per client
 *     pace WARMUP SECONDS INTERVAL PID...         by the clock, whatever comes back
 *     handshakes WARMUP SECONDS AT_ONCE PID...    open, close, open again
 *     storm PID...                                drop all clients, all of them come back at once
 *     last                                        the last payload that was kept, in hexadecimal
 *
 * PIDs are the server's processes, whose CPU clocks are read. Times are in seconds.
 */
#define _GNU_SOURCE
#include "window.h"
#include "clients.h"

enum {
    CONNECTING = 64,     /* handshakes under way while clients connect: below any backlog */
    COPIES = 16,         /* of a short frame, for one write */
};
#define PATIENCE (30 * NANO) /* without one more echo, or one more client let in */
#define LONGEST (6 * NANO)   /* of a window that waits until each client has had its turn */

/* Let everybody in who is meant to be, so many at once. */
static void gather(unsigned at_once)
{
    uint64_t give_up = now + PATIENCE, look = 0;
    unsigned next = 0, before = opened;
    while (opened < number) {
        while (next < number && under_way < at_once) {
            if (clients[next].state == CLOSED && clients[next].comes) {
                clients[next].since = now;
                start(&clients[next]);
            }
            next++;
        }
        turn(10);
        if (now > look) {
            for (unsigned i = 0; i < next && under_way < at_once; i++)
                if (clients[i].comes && clients[i].state == CLOSED && now > clients[i].again)
                    start(&clients[i]);
            look = now + AGAIN / 5;
        }
        if (opened != before)
            give_up = now + PATIENCE;
        before = opened;
        if (now > give_up)
            fail("After %u of %u clients nobody was let in any more, %llu were refused", opened,
                 number, (unsigned long long)retries);
        if (lost)
            fail("Clients were cut off: %llu", (unsigned long long)lost);
    }
}

static void rest(void)
{
    uint64_t give_up = now + PATIENCE, before = flying;
    playing = false;
    while (flying && now < give_up && !lost) {
        turn(10);
        if (flying != before)
            give_up = now + PATIENCE;
        before = flying;
    }
    if (flying || wrong || lost)
        fail("Clients were cut off: %llu. %llu messages have no echo, %llu echoes are wrong",
             (unsigned long long)lost, (unsigned long long)flying, (unsigned long long)wrong);
}

/* So many seconds, and as many more as it takes to serve as many messages as there are clients:
 * servers that take all that has come before they answer would else be caught in the middle. */
static void run(double seconds)
{
    uint64_t begun = now, until = now + seconds * NANO;
    while (!lost && (now < until || (arrived < number && now < begun + LONGEST)
                     || (!arrived && now < begun + PATIENCE)))
        turn(1);
}

static void echo(double warmup, double seconds, unsigned depth)
{
    by_departure = false;
    playing = true;
    tick();
    begin_window();
    for (unsigned i = 0; i < number; i++) {
        tick();
        send_messages(&clients[i], depth);
    }
    run(warmup);
    mark start = begin_window();
    run(seconds);
    mark stop = end_window();
    rest();
    report(start, stop);
}

static void pace(double warmup, double seconds, double interval)
{
    mark start = {0};
    uint64_t turns = 0;
    by_departure = true;
    tick();
    uint64_t begun = now, warm = now + warmup * NANO, until = warm + seconds * NANO;
    from = to = 0;
    while (now < until && !lost) {
        uint64_t due = (now - begun) / 1e9 / interval * number;
        for (; turns < due; turns++) {
            tick();
            send_messages(&clients[turns % number], 1);
        }
        turn(1);
        if (!to && now >= warm)
            start = begin_window();
    }
    mark stop = end_window();
    rest();
    report(start, stop);
}

static void handshakes(double warmup, double seconds, unsigned at_once)
{
    by_departure = false;
    coming_and_going = true;
    tick();
    for (unsigned i = 0; i < at_once; i++) {
        clients[i].since = now;
        start(&clients[i]);
    }
    begin_window();
    run(warmup);
    mark begun = begin_window();
    uint64_t until = now + seconds * NANO;
    while (now < until) {
        turn(1);
        for (unsigned i = 0; retries && i < at_once; i++)
            if (clients[i].state == CLOSED && now > clients[i].again)
                start(&clients[i]);
    }
    mark stop = end_window();
    coming_and_going = false;
    uint64_t give_up = now + 5 * NANO;
    for (unsigned i = 0; i < at_once; i++) {
        while (clients[i].state != CLOSED && clients[i].state != OPEN && now < give_up)
            turn(10);
        end(&clients[i]);
    }
    lost = 0;
    report(begun, stop);
}

static void storm(void)
{
    by_departure = false;
    mark start = begin_window();
    for (unsigned i = 0; i < number; i++) {
        end(&clients[i]);
        clients[i].comes = true;
    }
    tick();
    insists = true; /* whatever it is answered in the crowd */
    gather(number);
    insists = false;
    report(start, end_window());
}

static void leave(void)
{
    tick();
    uint64_t give_up = now + 2 * NANO;
    for (unsigned i = 0; i < number; i++)
        if (clients[i].state == OPEN) {
            send(clients[i].socket, goodbye.data, goodbye.length, MSG_NOSIGNAL);
            clients[i].state = LEAVES;
        }
    for (unsigned i = 0; i < number && now < give_up; i++)
        while (clients[i].state == LEAVES && now < give_up)
            turn(10);
}

static void obey(char *line)
{
    double values[3] = {0};
    char *word = strtok(line, " \n"), *next;
    if (!word)
        return;
    bool timed = !strcmp(word, "echo") || !strcmp(word, "pace") || !strcmp(word, "handshakes");
    for (int i = 0; i < (timed ? 3 : !strcmp(word, "connect")); i++)
        values[i] = (next = strtok(NULL, " \n")) ? atof(next) : 0;
    for (pid_count = 0; pid_count < PIDS && (next = strtok(NULL, " \n")); pid_count++)
        pids[pid_count] = atoi(next);
    if (!strcmp(word, "connect")) {
        for (; number < values[0]; number++)
            clients[number].comes = true;
        gather(CONNECTING);
        printf("{\"connected\": %u}\n", opened);
    } else if (!strcmp(word, "once")) {
        tick();
        for (unsigned i = 0; i < number; i++)
            send_messages(&clients[i], 1);
        rest();
        printf("{}\n");
    } else if (!strcmp(word, "echo")) {
        echo(values[0], values[1], values[2]);
    } else if (!strcmp(word, "pace")) {
        pace(values[0], values[1], values[2]);
    } else if (!strcmp(word, "handshakes")) {
        handshakes(values[0], values[1], values[2]);
    } else if (!strcmp(word, "storm")) {
        storm();
    } else if (!strcmp(word, "last")) {
        printf("{\"compressed\": %s, \"payload\": \"", kept_compressed ? "true" : "false");
        for (size_t i = 0; i < kept_length; i++)
            printf("%02x", kept[i]);
        printf("\"}\n");
    } else {
        fail("No command: %s", word);
    }
}

static bytes read_part(FILE *file)
{
    uint32_t length;
    bytes part = {NULL, 0};
    if (fread(&length, 4, 1, file) != 1)
        fail("The script is too short");
    part.data = calloc(1, length + 1);
    part.length = fread(part.data, 1, length, file);
    return part;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 3 ? fopen(argv[2], "rb") : NULL;
    if (!file)
        fail("client PORT SCRIPT");
    port = atoi(argv[1]);
    request = read_part(file);
    frame = read_part(file);
    expected = read_part(file);
    proof = read_part(file);
    goodbye = read_part(file);
    fclose(file);
    copies = frame.length * COPIES <= BUFFER ? COPIES : 1;
    frames = malloc(frame.length * copies);
    for (unsigned i = 0; i < copies; i++)
        memcpy(frames + i * frame.length, frame.data, frame.length);
    clients = calloc(1 << 16, sizeof *clients);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}};
    epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    setvbuf(stdin, NULL, _IONBF, 0);
    for (char line[4096];;) {
        input = false;
        while (!input)
            turn(-1);
        if (!fgets(line, sizeof line, stdin))
            break;
        obey(line);
        fflush(stdout);
    }
    leave();
    return 0;
}
