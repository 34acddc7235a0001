// Base64, with padding and without line breaks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/secret.h"

namespace base {

std::string encode_base64(Bytes data);

// Nothing when `text` is no base64.
std::optional<Buffer> decode_base64(std::string_view text);

// The same for the text of a secret, which may have white space in it. Nothing of it stays behind.
std::optional<Secret> decode_secret(std::string_view text);

}  // namespace base
