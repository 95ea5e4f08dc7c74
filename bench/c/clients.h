/* The clients: how each connects, what it sends, and what becomes of what comes back. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DEPTH = 64,          /* messages under way per client, at most */
    EVENTS = 1024,       /* of one epoll_wait */
    HEAD = 8192,         /* bytes of an answer to a handshake, at most */
    SOURCES = 32,        /* addresses that the clients come from, so that ports suffice */
    KEPT = 1 << 16,
    BUFFER = 1 << 18,
};
#define AGAIN (NANO / 20) /* before a client that was refused tries again */

typedef struct { unsigned char *data; size_t length; } bytes;

enum state { CLOSED, CONNECTS, ASKS, OPEN, LEAVES };

typedef struct {
    int socket;
    unsigned serial;              /* of the socket: its number may come again */
    enum state state;
    bool comes;                   /* is meant to be open, and not yet let in */
    uint64_t since, again;        /* its first attempt; the time of its next */
    char *answer;                 /* to the handshake, as far as it has come */
    size_t answered;
    unsigned char head[10];       /* of a frame, as far as it has come */
    unsigned have;
    bool within;                  /* a frame, behind its head */
    uint64_t left;                /* of that frame's payload */
    size_t at;                    /* bytes of the message so far */
    unsigned char control[125];
    unsigned controls;
    unsigned unsent;              /* messages to be written */
    size_t written;               /* bytes of the first of them */
    uint64_t sent[DEPTH];         /* when each message under way was sent, in a ring */
    unsigned first, flying;
} client;

static bytes request, frame, expected, proof, goodbye;
static unsigned char *frames;     /* the frame, several times where it is short, for one write */
static unsigned copies;
static int poller;
static uint16_t port;
static client *clients;
static unsigned number, under_way, opened, source;
static uint64_t flying, wrong, lost;
static unsigned char kept[KEPT];
static size_t kept_length;
static bool kept_compressed;

static bool playing;              /* whoever has its message back sends another */
static bool coming_and_going;     /* whoever is let in leaves and comes again */
static bool insists;              /* whoever is refused comes again, whatever it was told */

/* Connections. */

static void end(client *c)
{
    if (c->state == CLOSED)
        return;
    close(c->socket);
    under_way -= c->state == CONNECTS || c->state == ASKS;
    opened -= c->state == OPEN;
    flying -= c->flying;
    c->flying = c->unsent = c->have = c->controls = c->answered = 0;
    c->written = c->at = c->within = 0;
    c->state = CLOSED;
}

static void start(client *c)
{
    struct sockaddr_in here = {.sin_family = AF_INET}, there = {.sin_family = AF_INET};
    int one = 1;
    c->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->socket < 0)
        fail("No socket: %s", strerror(errno));
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source++ % SOURCES);
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    there.sin_port = htons(port);
    if (bind(c->socket, (struct sockaddr *)&here, sizeof here))
        fail("No address: %s", strerror(errno));
    c->serial++;
    c->state = CONNECTS;
    under_way++;
    struct epoll_event event = {EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, {.ptr = c}};
    epoll_ctl(poller, EPOLL_CTL_ADD, c->socket, &event);
    if (connect(c->socket, (struct sockaddr *)&there, sizeof there) && errno != EINPROGRESS) {
        end(c);
        retries++;
        c->again = now + AGAIN;
    }
}

/* The server closed it, the connection broke, or it was refused. */
static void cut(client *c)
{
    enum state was = c->state;
    end(c);
    if (was == OPEN) {
        lost++;
    } else if (was == CONNECTS || was == ASKS) {
        retries++;
        c->again = now + AGAIN;
    } else if (was == LEAVES && coming_and_going) {
        c->since = now;
        start(c);
    }
}

static void let_in(client *c)
{
    under_way--;
    c->comes = false;
    record(c->since);
    arrived += now >= from && now < to;
    free(c->answer);
    c->answer = NULL;
    c->state = OPEN;
    opened++;
    if (coming_and_going) {
        send(c->socket, goodbye.data, goodbye.length, MSG_NOSIGNAL);
        c->state = LEAVES;
        opened--;
    }
}

/* Messages. */

static void write_to(client *c)
{
    while (c->unsent) {
        unsigned ready = c->unsent < copies ? c->unsent : copies;
        ssize_t n = send(c->socket, frames + c->written, ready * frame.length - c->written,
                         MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN && errno != EINTR)
                cut(c);
            return;
        }
        c->written += n;
        c->unsent -= c->written / frame.length;
        c->written %= frame.length;
    }
}

static void send_messages(client *c, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (c->flying == DEPTH)
            fail("%d messages of one client are unanswered", DEPTH);
        c->sent[(c->first + c->flying++) % DEPTH] = now;
    }
    flying += count;
    c->unsent += count;
    write_to(c);
}

static void take_payload(client *c, const unsigned char *data, size_t length)
{
    unsigned opcode = c->head[0] & 15;
    if (opcode >= 8) {
        memcpy(c->control + c->controls, data, length);
        c->controls += length;
        return;
    }
    if (expected.length) {
        if (c->at + length > expected.length || memcmp(data, expected.data + c->at, length))
            wrong++;
    } else if (c->at + length <= KEPT) {
        memcpy(kept + c->at, data, length);
        kept_length = c->at + length;
        if (opcode)
            kept_compressed = c->head[0] & 0x40;
    }
    c->at += length;
}

/* Returns 1 where a message has come back, -1 where the client is gone. */
static int end_frame(client *c)
{
    unsigned opcode = c->head[0] & 15;
    bool fin = c->head[0] & 0x80;
    c->have = c->within = 0;
    if (opcode == 8) {
        cut(c);
        return -1;
    }
    if (opcode == 9 && !c->written) { /* a Pong, with a masking key of zero */
        unsigned char pong[6 + 125] = {0x8a, 0x80 | c->controls};
        memcpy(pong + 6, c->control, c->controls);
        send(c->socket, pong, 6 + c->controls, MSG_NOSIGNAL);
    }
    if (opcode >= 8) {
        c->controls = 0;
        return 0;
    }
    if (!fin)
        return 0;
    if (!c->flying || (expected.length && c->at != expected.length))
        wrong++;
    c->at = 0;
    if (c->flying) {
        arrived += now >= from && now < to;
        record(c->sent[c->first]);
        c->first = (c->first + 1) % DEPTH;
        c->flying--;
        flying--;
    }
    return 1;
}

static void take_frames(client *c, const unsigned char *data, size_t length)
{
    unsigned back = 0;
    while (length || (c->within && !c->left)) {
        if (!c->within) {
            c->head[c->have++] = *data++;
            length--;
            unsigned size = c->have < 2 ? 2 : c->head[1] == 126 ? 4 : c->head[1] == 127 ? 10 : 2;
            if (c->have < size)
                continue;
            c->left = c->head[1];
            if (size > 2) {
                c->left = 0;
                for (unsigned i = 2; i < size; i++)
                    c->left = c->left << 8 | c->head[i];
            }
            if ((c->head[0] & 8) && c->left > sizeof c->control)
                fail("A control frame of %llu bytes", (unsigned long long)c->left);
            c->within = true;
        }
        size_t part = c->left < length ? c->left : length;
        take_payload(c, data, part);
        data += part;
        length -= part;
        c->left -= part;
        if (c->left)
            break;
        int what = end_frame(c);
        if (what < 0)
            return;
        back += what;
    }
    if (back && playing)
        send_messages(c, back);
}

static void take_answer(client *c, const unsigned char *data, size_t length)
{
    if (!c->answer)
        c->answer = malloc(HEAD + 1);
    size_t part = HEAD - c->answered < length ? HEAD - c->answered : length;
    memcpy(c->answer + c->answered, data, part);
    c->answered += part;
    c->answer[c->answered] = 0;
    char *head_end = strstr(c->answer, "\r\n\r\n");
    if (!head_end) {
        if (c->answered == HEAD)
            fail("An answer to the handshake without an end");
        return;
    }
    if (strncmp(c->answer, "HTTP/1.1 101", 12)) {
        if (insists || !strncmp(c->answer, "HTTP/1.1 503", 12)) {
            cut(c);
            return;
        }
        *strpbrk(c->answer, "\r\"\\") = 0;
        fail("The handshake was answered with %s", c->answer);
    }
    if (!strstr(c->answer, (char *)proof.data))
        fail("The handshake was answered with the wrong Sec-WebSocket-Accept");
    size_t used = head_end + 4 - c->answer - (c->answered - part);
    let_in(c);
    if (length > used)
        take_frames(c, data + used, length - used);
}

static void read_from(client *c, bool to_the_end)
{
    static unsigned char buffer[BUFFER];
    while (c->state != CLOSED) {
        unsigned serial = c->serial;
        ssize_t n = recv(c->socket, buffer, sizeof buffer, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        tick();
        if (n <= 0) {
            cut(c);
            return;
        }
        if (c->state == ASKS)
            take_answer(c, buffer, n);
        else
            take_frames(c, buffer, n);
        if (c->serial != serial || (n < BUFFER && !to_the_end))
            return;
    }
}

static bool input; /* standard input has something */

static void turn(int milliseconds)
{
    static struct epoll_event events[EVENTS];
    int count = epoll_wait(poller, events, EVENTS, milliseconds);
    tick();
    for (int i = 0; i < count; i++) {
        client *c = events[i].data.ptr;
        unsigned what = events[i].events;
        if (!c) {
            input = true;
            continue;
        }
        if (c->state == CONNECTS && what & (EPOLLERR | EPOLLHUP)) {
            cut(c);
        } else if (c->state == CONNECTS && what & EPOLLOUT) {
            c->state = ASKS;
            send(c->socket, request.data, request.length, MSG_NOSIGNAL);
        } else if (c->state != CLOSED) {
            if (what & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP))
                read_from(c, what & (EPOLLRDHUP | EPOLLERR | EPOLLHUP));
            if (c->state == OPEN && c->unsent)
                write_to(c);
        }
    }
}
