#include "tunnel/ssh/library_words.h"

namespace tunnel::ssh {

Words meaning_of(std::string_view error) {
  if (error.starts_with("Waiting for ")) return Words::session_broke;
  if (error.starts_with("Callback returned error")) return Words::not_signed;
  return Words::none;
}

}  // namespace tunnel::ssh
