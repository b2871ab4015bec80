// The least work that answers HTTP/1.1 requests: one epoll instance, one read and one write a request, a
// fixed response. What it spends is the kernel's own price of the exchange.
//
//   responder PORT BODY_SIZE [DELAY_MSEC] [FILE|-] [close]
//
// Also the origin behind the proxies: it drains request bodies of known length, "/1m" asks for 1 MB, and
// DELAY_MSEC holds every answer back. With FILE bodies come from it by sendfile(). With "close" every
// connection ends with its first answer, which is sent at once, so neither TCP_NODELAY nor news of a writable
// socket are of use.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "floor.h"

enum { MAX_FD = 65536, INPUT = 65536 };
static const size_t BIG = 1 << 20;

struct client {
  size_t body_left;  // of a request body still to be drained
  const char* out;   // response still to be sent
  size_t out_left;
  off_t file_at;
  size_t file_left;
  int big;
  int owed;  // delayed answers
};
static struct client clients[MAX_FD];
static struct due {
  long long at;
  int fd;
} queue[MAX_FD * 4];
static size_t queue_first, queue_last;
static char *small_response, *big_response;
static size_t small_size, big_size;
static int file_fd = -1, epoll_fd, closes;
static size_t file_size;
static char input[INPUT];

static long long now_usec(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void drop(int fd) {
  close(fd);
}

static int send_rest(int fd) {
  struct client* c = &clients[fd];
  while (c->out_left > 0) {
    const ssize_t n = send(fd, c->out, c->out_left, MSG_NOSIGNAL | (c->file_left ? MSG_MORE : 0));
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    c->out += n;
    c->out_left -= n;
  }
  while (c->file_left > 0) {
    const ssize_t n = sendfile(fd, file_fd, &c->file_at, c->file_left);
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    c->file_left -= n;
  }
  return 0;
}

static int answer(int fd) {
  struct client* c = &clients[fd];
  c->out = c->big ? big_response : small_response;
  c->out_left = c->big ? big_size : small_size;
  if (file_fd >= 0) {
    c->file_at = 0;
    c->file_left = file_size;
  }
  return send_rest(fd);
}

static int take_input(int fd, long delay) {
  struct client* c = &clients[fd];
  for (;;) {
    const ssize_t n = recv(fd, input, sizeof input, 0);
    if (n == 0) return -1;
    if (n < 0) return errno == EAGAIN ? 0 : -1;
    int complete = 0;
    if (c->body_left > 0) {
      c->body_left -= (size_t)n < c->body_left ? (size_t)n : c->body_left;
      complete = c->body_left == 0;
    } else {
      const char* end = memmem(input, n, "\r\n\r\n", 4);
      if (end == NULL) return -1;
      c->big = memcmp(input, "GET /1m", 7) == 0;
      if (input[0] == 'P') {
        const char* length = memmem(input, n, "ontent-", 7);
        while (length != NULL && strncasecmp(length, "ontent-length: ", 15) != 0)
          length = memmem(length + 1, input + n - length - 1, "ontent-", 7);
        const size_t whole = length != NULL ? strtoull(length + 15, NULL, 10) : 0;
        const size_t have = input + n - (end + 4);
        c->body_left = whole > have ? whole - have : 0;
      }
      complete = c->body_left == 0;
    }
    if (complete) {
      if (delay > 0) {
        queue[queue_last++ % (MAX_FD * 4)] = (struct due){now_usec() + delay * 1000, fd};
      } else if (answer(fd) < 0 || closes) {
        return -1;
      }
    }
    if (n < INPUT) return 0;
  }
}

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  signal(SIGPIPE, SIG_IGN);
  const long delay = argc > 3 ? atol(argv[3]) : 0;
  size_t body = strtoull(argv[2], NULL, 10);
  closes = argc > 5 && strcmp(argv[5], "close") == 0;
  if (argc > 4 && strcmp(argv[4], "-") != 0) {
    struct stat st;
    file_fd = open(argv[4], O_RDONLY);
    if (file_fd < 0 || fstat(file_fd, &st) != 0) return 2;
    body = file_size = st.st_size;
  }
  small_response = make_response(body, file_fd < 0, closes, &small_size);
  big_response = make_response(BIG, 1, closes, &big_size);
  const int listener = listen_on(atoi(argv[1]));
  epoll_fd = epoll_with(listener);
  struct epoll_event e;
  static struct epoll_event events[512];
  for (;;) {
    int timeout = -1;
    if (queue_first != queue_last) {
      const long long left = queue[queue_first % (MAX_FD * 4)].at - now_usec();
      timeout = left > 0 ? (int)((left + 999) / 1000) : 0;
    }
    const int n = epoll_wait(epoll_fd, events, 512, timeout);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener) {
        int one = 1, c;
        while ((c = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
          if (c >= MAX_FD) {
            close(c);
            continue;
          }
          if (!closes) setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
          clients[c] = (struct client){0};
          e.events = EPOLLIN | EPOLLET | (closes ? 0 : EPOLLOUT);
          e.data.fd = c;
          epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c, &e);
        }
        continue;
      }
      int bad = 0;
      if (events[i].events & EPOLLOUT && (clients[fd].out_left || clients[fd].file_left)) bad = send_rest(fd);
      if (!bad && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) bad = take_input(fd, delay);
      if (bad) drop(fd);
    }
    while (queue_first != queue_last && queue[queue_first % (MAX_FD * 4)].at <= now_usec()) {
      const int fd = queue[queue_first++ % (MAX_FD * 4)].fd;
      if (answer(fd) < 0) drop(fd);
    }
  }
}
