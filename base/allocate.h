// Memory for C libraries, which would take its lack for a failure of what they do.
#pragma once

#include <cstddef>

namespace base {

// As malloc(), calloc() and realloc(); but where there is no memory they do as operator new does,
// and call the handler that std::set_new_handler() was given. Null: there is none. free() takes the
// blocks back.
void* allocate(std::size_t size);
void* allocate_zeros(std::size_t count, std::size_t size);
void* reallocate(void* block, std::size_t size);

}  // namespace base
