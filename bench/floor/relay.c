// The least work that relays HTTP/1.1: one epoll instance, a pool of upstream connections, bytes passed on as
// they come. It looks only for the end of a message: Content-Length, or nothing. No header is changed.
//
//   relay PORT ORIGIN_PORT
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"

enum { MAX_FD = 65536, BUFFER = 65536 };

// One end of a relayed connection. `left`: bytes of the message being passed on that must still come; -1: the
// head has not been seen. `held`: bytes read for the other side that it would not take.
struct end {
  int peer;  // -1: none
  int upstream;
  long long left;
  char* held;
  size_t held_size;
};
static struct end ends[MAX_FD];
static int pool[MAX_FD], pooled;
static char buffer[BUFFER];
static int epoll_fd;
static struct sockaddr_in origin;

static void watch(int fd) {
  struct epoll_event e = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.fd = fd};
  const int one = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &e);
}

static int take_upstream(void) {
  if (pooled > 0) return pool[--pooled];
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (connect(fd, (struct sockaddr*)&origin, sizeof origin) != 0 && errno != EINPROGRESS) {
    close(fd);
    return -1;
  }
  ends[fd] = (struct end){.peer = -1, .upstream = 1, .left = -1};
  watch(fd);
  return fd;
}

static void drop(int fd) {
  free(ends[fd].held);
  ends[fd].held = NULL;
  ends[fd].held_size = 0;
  const int peer = ends[fd].peer;
  if (ends[fd].upstream && peer < 0) {
    for (int i = 0; i < pooled; ++i)
      if (pool[i] == fd) {
        pool[i] = pool[--pooled];
        break;
      }
  }
  close(fd);
  ends[fd].peer = -1;
  if (peer >= 0) {
    ends[peer].peer = -1;
    drop(peer);
  }
}

static long long message_size(const char* data, size_t size) {
  const char* end = memmem(data, size, "\r\n\r\n", 4);
  if (end == NULL) return -1;
  const size_t head = end + 4 - data;
  const char* at = data;
  while ((at = memmem(at, data + head - at, "ontent-", 7)) != NULL) {
    if (strncasecmp(at, "ontent-length: ", 15) == 0) return head + strtoll(at + 15, NULL, 10);
    ++at;
  }
  return head;
}

// Sends what is held for `fd`; 1 when all is gone.
static int send_held(int fd) {
  struct end* e = &ends[fd];
  while (e->held_size > 0) {
    const ssize_t n = send(fd, e->held, e->held_size, MSG_NOSIGNAL);
    if (n < 0) return errno == EAGAIN || errno == ENOTCONN ? 0 : -1;
    memmove(e->held, e->held + n, e->held_size - n);
    e->held_size -= n;
  }
  return 1;
}

static int pass(int fd) {
  struct end* e = &ends[fd];
  for (;;) {
    if (e->peer >= 0 && ends[e->peer].held_size > 0) return 0;
    const ssize_t n = recv(fd, buffer, BUFFER, 0);
    if (n == 0) return -1;
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    if (e->left < 0) e->left = message_size(buffer, n);
    if (e->left < 0) return -1;
    if (e->peer < 0) {
      if (e->upstream) return -1;
      const int up = take_upstream();
      if (up < 0) return -1;
      e->peer = up;
      ends[up].peer = fd;
      ends[up].left = -1;
    }
    const int peer = e->peer;
    ssize_t sent = send(peer, buffer, n, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != ENOTCONN) return -1;
      sent = 0;
    }
    if (sent < n) {
      if (ends[peer].held == NULL) ends[peer].held = malloc(BUFFER);
      memcpy(ends[peer].held, buffer + sent, n - sent);
      ends[peer].held_size = n - sent;
    }
    e->left -= n;
    if (e->left <= 0) {
      e->left = -1;
      if (e->upstream && ends[peer].held_size == 0) {
        ends[peer].peer = e->peer = -1;
        pool[pooled++] = fd;
      }
    }
    if (n < BUFFER) return 0;
  }
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  signal(SIGPIPE, SIG_IGN);
  origin = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
  inet_pton(AF_INET, "127.0.0.1", &origin.sin_addr);
  const int listener = listen_on(atoi(argv[1]));
  epoll_fd = epoll_with(listener);
  static struct epoll_event events[512];
  for (;;) {
    const int n = epoll_wait(epoll_fd, events, 512, -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        int c;
        while ((c = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          if (c >= MAX_FD) {
            close(c);
            continue;
          }
          ends[c] = (struct end){.peer = -1, .left = -1};
          watch(c);
        }
        continue;
      }
      int bad = 0;
      if (events[i].events & EPOLLOUT && ends[fd].held_size > 0) {
        bad = send_held(fd);
        const int peer = ends[fd].peer;
        if (bad == 1 && peer >= 0) {
          if (ends[peer].upstream && ends[peer].left < 0) {
            ends[fd].peer = ends[peer].peer = -1;
            pool[pooled++] = peer;
          } else if (pass(peer) < 0) {
            drop(peer);
            continue;
          }
        }
        bad = bad < 0;
      }
      if (!bad && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) bad = pass(fd) < 0;
      if (bad) drop(fd);
    }
  }
}
