#include "proto/h2/callbacks.hpp"

#include <cstdint>
#include <cstring>
#include <new>
#include <string_view>

#include "proto/h2/block_pool.hpp"
#include "proto/h2/session.hpp"
#include "proto/h2/stream.hpp"

namespace mp::proto {
namespace {

H2Session& session_of(void* user) {
  return *static_cast<H2Session*>(user);
}

H2Stream* stream_of(void* user, std::int32_t id) {
  return session_of(user).stream(id);
}

std::string_view text(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

ssize_t H2Callbacks::read_body(nghttp2_session*, std::int32_t id, std::uint8_t*, std::size_t size,
                               std::uint32_t* flags, nghttp2_data_source*, void* user) {
  H2Stream* stream = stream_of(user, id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  return stream->offer(size, *flags);
}

const nghttp2_session_callbacks* H2Callbacks::table() {
  static const nghttp2_session_callbacks* const made = [] {
    nghttp2_session_callbacks* c = nullptr;
    if (nghttp2_session_callbacks_new(&c) != 0) throw std::bad_alloc();
    nghttp2_session_callbacks_set_on_begin_frame_callback(
        c, [](nghttp2_session*, const nghttp2_frame_hd* frame, void* user) {
          return session_of(user).frame_begins(*frame);
        });
    nghttp2_session_callbacks_set_on_begin_headers_callback(
        c, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          return session_of(user).head_begins(*frame);
        });
    nghttp2_session_callbacks_set_on_header_callback(
        c, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
              const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
          return session_of(user).field_came(stream_of(user, frame->hd.stream_id), text(name, name_size),
                                             text(value, value_size));
        });
    nghttp2_session_callbacks_set_on_frame_recv_callback(
        c, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          session_of(user).frame_came(*frame);
          return 0;
        });
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
        c, [](nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
          session_of(user).frame_is_invalid(*frame, error);
          return 0;
        });
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        c, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
              void* user) {
          session_of(user).body_came(stream_of(user, id), text(data, size));
          return 0;
        });
    nghttp2_session_callbacks_set_on_stream_close_callback(
        c, [](nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
          if (H2Stream* stream = stream_of(user, id)) stream->closed();
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_send_callback(
        c, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
          session_of(user).frame_sent(*frame);
          return 0;
        });
    nghttp2_session_callbacks_set_on_frame_not_send_callback(
        c, [](nghttp2_session*, const nghttp2_frame* frame, int error, void* user) {
          H2Stream* stream = stream_of(user, frame->hd.stream_id);
          if (stream != nullptr && frame->hd.type == NGHTTP2_HEADERS) stream->head_lost(error);
          return 0;
        });
    nghttp2_session_callbacks_set_send_data_callback(
        c, [](nghttp2_session*, nghttp2_frame* frame, const std::uint8_t* head, std::size_t size,
              nghttp2_data_source*, void* user) {
          return session_of(user).make_data(stream_of(user, frame->hd.stream_id), head, size);
        });
    nghttp2_session_callbacks_set_data_source_read_length_callback(
        c,
        [](nghttp2_session*, std::uint8_t, std::int32_t id, std::int32_t, std::int32_t, std::uint32_t most,
           void* user) -> ssize_t {
          const H2Stream* stream = stream_of(user, id);
          const std::size_t wanted = stream != nullptr ? stream->longest_frame() : most;
          return static_cast<ssize_t>(wanted < most ? wanted : most);
        });
    nghttp2_session_callbacks_set_error_callback2(c, [](nghttp2_session*, int, const char* message,
                                                        std::size_t size, void* user) {
      log::info(session_of(user).connection().logger, "HTTP/2 client: {}", std::string_view(message, size));
      return 0;
    });
    return c;
  }();
  return made;
}

const nghttp2_option* H2Callbacks::options() {
  static const nghttp2_option* const made = [] {
    nghttp2_option* o = nullptr;
    if (nghttp2_option_new(&o) != 0) throw std::bad_alloc();
    nghttp2_option_set_no_auto_window_update(o, 1);
    // What a request must look like is judged by H2RequestHead, which answers with a status.
    nghttp2_option_set_no_http_messaging(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_send_header_block_length(o, 1024 * 1024);
    nghttp2_option_set_max_settings(o, 32);
    nghttp2_option_set_max_outbound_ack(o, 1000);
    nghttp2_option_set_max_continuations(o, 8);
    return o;
  }();
  return made;
}

nghttp2_mem* H2Callbacks::memory() {
  static nghttp2_mem made = {
      .mem_user_data = nullptr,
      .malloc = [](std::size_t size, void*) { return BlockPool::of_process().take(size); },
      .free = [](void* block, void*) { BlockPool::of_process().give(block); },
      .calloc = [](std::size_t count, std::size_t size, void*) -> void* {
        if (size != 0 && count > SIZE_MAX / size) return nullptr;
        void* block = BlockPool::of_process().take(count * size);
        if (block != nullptr) std::memset(block, 0, count * size);
        return block;
      },
      .realloc = [](void* block, std::size_t size,
                    void*) { return BlockPool::of_process().resize(block, size); },
  };
  return &made;
}

}  // namespace mp::proto
