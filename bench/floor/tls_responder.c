// The least work that answers HTTP/1.1 requests over TLS: one epoll instance and one SSL object a connection,
// OpenSSL's own settings (TLS 1.2 and 1.3, X25519, two stateless tickets after a handshake, one after a
// resumed one), a fixed response. What it spends is the price of the kernel and OpenSSL.
//
//   tls_responder PORT BODY_SIZE CERTIFICATE KEY [close]
//
// OpenSSL reads the socket straight into its own buffer, and only until a short read tells that it is empty;
// what it writes is sent once an event. With "close" every connection ends with its first response, which
// leaves together with the goodbye of TLS. A socket that takes less than was to be sent is given up: no
// workload of this program sends that much.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "floor.h"

enum { MAX_FD = 65536, OUTPUT = 1 << 17, INPUT = 16384 };

static SSL* clients[MAX_FD];
static char* response;
static size_t response_size;
static char input[INPUT], output[OUTPUT];
static size_t output_size;
static int at_work, empty;  // the descriptor of this event; whether its last read was short
static int epoll_fd, closes;

static int bio_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t n = empty ? -1 : recv(at_work, data, size, 0);
  if (n == 0) return 0;
  if (n < 0 && !empty && errno != EAGAIN) return -1;
  empty = n < size;
  if (n > 0) return n;
  BIO_set_retry_read(bio);
  return -1;
}

static int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  if (output_size + size > OUTPUT) return -1;
  memcpy(output + output_size, data, size);
  output_size += size;
  return size;
}

static long bio_control(BIO* bio, int command, long number, void* pointer) {
  (void)bio, (void)number, (void)pointer;
  return command == BIO_CTRL_FLUSH;
}

static void drop(int fd) {
  SSL_free(clients[fd]);
  clients[fd] = NULL;
  close(fd);
}

// -1: the connection is done with.
static int take_input(int fd) {
  SSL* ssl = clients[fd];
  int done = 0;
  at_work = fd;
  empty = 0;
  output_size = 0;
  while (!done) {
    const int n = SSL_read(ssl, input, INPUT);
    if (n <= 0) {
      const int why = SSL_get_error(ssl, n);
      if (why == SSL_ERROR_WANT_READ) break;
      ERR_clear_error();
      done = 1;
    } else if (n < 4 || memcmp(input + n - 4, "\r\n\r\n", 4) != 0) {
      done = 1;
    } else {
      SSL_write(ssl, response, response_size);
      if (closes) SSL_shutdown(ssl);
      done = closes;
    }
  }
  if (output_size > 0 && send(fd, output, output_size, MSG_NOSIGNAL) != (ssize_t)output_size) done = 1;
  return done ? -1 : 0;
}

static SSL_CTX* make_context(const char* certificate, const char* key) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
      SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
    ERR_print_errors_fp(stderr);
    exit(1);
  }
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // clients keep what resumes their sessions
  SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_read_ahead(context, 1);
  return context;
}

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  signal(SIGPIPE, SIG_IGN);
  closes = argc > 5 && strcmp(argv[5], "close") == 0;
  response = make_response(strtoull(argv[2], NULL, 10), 1, closes, &response_size);
  SSL_CTX* context = make_context(argv[3], argv[4]);
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "event");
  BIO_meth_set_read(method, bio_read);
  BIO_meth_set_write(method, bio_write);
  BIO_meth_set_ctrl(method, bio_control);
  const int listener = listen_on(atoi(argv[1]));
  epoll_fd = epoll_with(listener);
  struct epoll_event e;
  static struct epoll_event events[512];
  for (;;) {
    const int n = epoll_wait(epoll_fd, events, 512, -1);
    for (int i = 0; i < n; ++i) {
      const int fd = events[i].data.fd;
      if (fd != listener) {
        if (take_input(fd) < 0) drop(fd);
        continue;
      }
      int c;
      while ((c = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (c >= MAX_FD) {
          close(c);
          continue;
        }
        const int one = 1;
        setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        BIO* bio = BIO_new(method);
        BIO_set_init(bio, 1);
        clients[c] = SSL_new(context);
        SSL_set_bio(clients[c], bio, bio);
        SSL_set_accept_state(clients[c]);
        e.events = EPOLLIN | EPOLLET;
        e.data.fd = c;
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c, &e);
      }
    }
  }
}
