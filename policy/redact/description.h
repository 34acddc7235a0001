// Cuts values out of descriptions: the XML documents of libvirt's objects.
//
// The claim: of what is hidden (places.h) nothing is left, all else stays as it is to the byte but
// for the blanks before what is dropped, and the result is a document that libvirt's schemas take
// when they took the one before.
//
// Strict, since whoever reads the result must not see another document than was looked at here:
// well-formed XML in UTF-8 and of the element that was expected, without a document type, and thus
// without entities of its own; comments and instructions only in metadata, which nobody but its
// owner understands. Anything else is refused, and so is what is too long or nested too deeply.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "policy/redact/hidden.h"

namespace policy {

// A larger one would keep the loop too long. Those of machines have some tens of KiB.
inline constexpr std::size_t kMaxDescription = std::size_t{512} * 1024;

// The description without what is hidden; nothing: it holds nothing of that. The error is the end
// of a sentence, "is not well-formed", and has nothing of the description.
//
// `root` is the name of its outermost element.
base::Result<std::optional<std::string>, std::string_view> cut_description(
    std::string_view description, std::string_view root, HiddenSet hidden);

}  // namespace policy
