/* A server that only copies bytes: what the kernel and the load generator take by themselves.
 *
 * It answers every request with the 101 that the load generator's one key asks for, and then
 * sends back what comes, frame by frame as it streams by: the head without its mask, the payload
 * unmasked. It checks nothing. It prints its address.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 1024, BUFFER = 1 << 18, BACKLOG = 4096 };

static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                             "Connection: Upgrade\r\n"
                             "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

typedef struct {
    int socket;
    bool open;
    unsigned line;          /* bytes of "\r\n\r\n" that have come last */
    unsigned char head[14]; /* of a frame, as far as it has come */
    unsigned have, size;
    uint64_t left;          /* of its payload */
    unsigned turned;        /* bytes of the payload so far, modulo four */
    unsigned char *pending; /* what the kernel did not take */
    size_t waiting;
} peer;

static void end(peer *p)
{
    close(p->socket);
    free(p->pending);
    free(p);
}

/* Returns where the output ends. */
static unsigned char *copy(peer *p, const unsigned char *in, size_t length, unsigned char *out)
{
    while (length) {
        if (!p->left) {
            p->head[p->have++] = *in++;
            length--;
            if (p->have == 2) {
                unsigned mark = p->head[1] & 127;
                p->size = 6 + (mark == 126 ? 2 : mark == 127 ? 8 : 0);
            }
            if (p->have < 2 || p->have < p->size)
                continue;
            p->left = p->head[1] & 127;
            if (p->size > 6) {
                p->left = 0;
                for (unsigned i = 2; i < p->size - 4; i++)
                    p->left = p->left << 8 | p->head[i];
            }
            p->head[1] &= 127;
            memcpy(out, p->head, p->size - 4);
            out += p->size - 4;
            p->have = p->turned = 0;
            continue;
        }
        size_t part = p->left < length ? p->left : length;
        unsigned char key[8];
        for (unsigned i = 0; i < 8; i++)
            key[i] = p->head[p->size - 4 + (p->turned + i) % 4];
        uint64_t wide, mask;
        memcpy(&mask, key, 8);
        size_t i = 0;
        for (; i + 8 <= part; i += 8) {
            memcpy(&wide, in + i, 8);
            wide ^= mask;
            memcpy(out + i, &wide, 8);
        }
        for (; i < part; i++)
            out[i] = in[i] ^ key[i % 8];
        p->turned = (p->turned + part) % 4;
        in += part;
        out += part;
        length -= part;
        p->left -= part;
    }
    return out;
}

static bool flush(peer *p, const unsigned char *data, size_t length)
{
    ssize_t n = send(p->socket, data, length, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN)
            return false;
        n = 0;
    }
    if ((size_t)n < length) {
        unsigned char *remains = malloc(length - n);
        memcpy(remains, data + n, length - n);
        free(p->pending);
        p->pending = remains;
    } else {
        free(p->pending);
        p->pending = NULL;
    }
    p->waiting = length - n;
    return true;
}

static bool serve(peer *p, bool to_the_end)
{
    static unsigned char in[BUFFER], out[BUFFER * 2];
    for (;;) {
        if (p->waiting && !flush(p, p->pending, p->waiting))
            return false;
        if (p->waiting)
            return true;
        ssize_t n = recv(p->socket, in, sizeof in, 0);
        if (n < 0)
            return errno == EAGAIN;
        if (n == 0)
            return false;
        ssize_t at = 0;
        unsigned char *to = out;
        for (; at < n && !p->open; at++) {
            p->line = in[at] == "\r\n\r\n"[p->line] ? p->line + 1 : in[at] == '\r';
            if (p->line == 4) {
                p->open = true;
                memcpy(to, answer, sizeof answer - 1);
                to += sizeof answer - 1;
            }
        }
        to = copy(p, in + at, n - at, to);
        if (to != out && !flush(p, out, to - out))
            return false;
        if (n < BUFFER && !p->waiting && !to_the_end)
            return true;
    }
}

int main(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int one = 1, poller = epoll_create1(0);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, BACKLOG)) {
        perror("listen");
        return 1;
    }
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("ws://127.0.0.1:%d/\n", ntohs(address.sin_port));
    fflush(stdout);
    struct epoll_event event = {EPOLLIN, {.ptr = NULL}}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            peer *p = events[i].data.ptr;
            if (p) {
                if (!serve(p, events[i].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)))
                    end(p);
                continue;
            }
            int socket;
            while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                peer *new = calloc(1, sizeof *new);
                new->socket = socket;
                event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
                event.data.ptr = new;
                epoll_ctl(poller, EPOLL_CTL_ADD, socket, &event);
            }
        }
    }
}
