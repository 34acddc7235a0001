// Callbacks of libuv as members of a class, none of which can forget the clock.
#pragma once

#include <cstddef>

#include <uv.h>

#include "tunnel/io/loop_inside.h"

namespace tunnel::io {

// Gives libuv the buffer of the loop.
inline void allocate(uv_handle_t* handle, std::size_t, uv_buf_t* buffer) {
  const auto space = static_cast<Loop*>(handle->loop->data)->inside().read_buffer();
  buffer->base = space.data();
  buffer->len = space.size();
}

template <typename Class, typename Result, typename... Arguments>
Class class_of(Result (Class::*)(Arguments...));
template <typename Class, typename Result, typename... Arguments>
Class class_of(Result (Class::*)(Arguments...) const);

// callback<&T::member> is what libuv calls: the data of the handle, or of the request, or for one
// on a stream that of its handle, is a T.
template <auto member, typename Raw, typename... Rest>
void callback(Raw* raw, Rest... rest) {
  using Class = decltype(class_of(member));
  uv_loop_t* loop = nullptr;
  void* data = nullptr;
  if constexpr (requires { raw->handle; }) {
    loop = raw->handle->loop;
    data = raw->handle->data;
  } else {
    loop = raw->loop;
    data = raw->data;
  }
  Loop::Inside& inside = static_cast<Loop*>(loop->data)->inside();
  inside.touch();
  if (inside.meter() != nullptr) inside.meter()->begin_piece();
  (static_cast<Class*>(data)->*member)(rest...);
  if (inside.meter() != nullptr) inside.meter()->end_piece(__PRETTY_FUNCTION__);
}

}  // namespace tunnel::io
