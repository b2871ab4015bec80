// What the floor programs have in common: a listening socket on loopback, registered with an epoll instance,
// and the response.
#pragma once

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

// Non-blocking; the program ends when there is none to be had.
static int listen_on(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
  if (bind(fd, (struct sockaddr*)&a, sizeof a) != 0 || listen(fd, 4096) != 0) {
    perror("listen");
    exit(1);
  }
  return fd;
}

// A new epoll instance that tells of new connections.
static int epoll_with(int listener) {
  const int epoll_fd = epoll_create1(0);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = listener};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &e);
  return epoll_fd;
}

// A head for a body of so many bytes, and these unless they come from elsewhere. The caller's for good.
static inline char* make_response(size_t body, int with_body, int closes, size_t* size) {
  char head[256];
  const int n = snprintf(head, sizeof head,
                         "HTTP/1.1 200 OK\r\nServer: floor\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                         "Content-Type: text/plain\r\nContent-Length: %zu\r\nConnection: %s\r\n\r\n",
                         body, closes ? "close" : "keep-alive");
  char* p = malloc(n + body);
  memcpy(p, head, n);
  memset(p + n, 'x', body);
  *size = with_body ? n + body : (size_t)n;
  return p;
}
