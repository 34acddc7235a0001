#include "policy/subject.h"

#include "base/bytes.h"
#include "base/text.h"
#include "policy/arguments.h"
#include "policy/procedures.h"

namespace policy {
namespace {

constexpr std::size_t kLongestName = 128;
constexpr std::size_t kUuid = 16;

std::string_view word_of(SubjectKind kind) {
  switch (kind) {
    case SubjectKind::machine:
      return "machine";
    case SubjectKind::network:
      return "network";
    case SubjectKind::pool:
      return "pool";
    case SubjectKind::volume:
      return "volume";
    case SubjectKind::device:
      return "node device";
    case SubjectKind::interface:
      return "interface";
    case SubjectKind::filter:
      return "network filter";
    case SubjectKind::secret:
      return "secret";
    default:
      return {};
  }
}

std::string uuid_text(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = static_cast<unsigned char>(bytes[i]);
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

}  // namespace

Subject subject_of(const Procedure& procedure, const Arguments& arguments) {
  Subject subject;
  subject.kind = procedure.subject.kind;
  if (subject.kind > SubjectKind::sweep) {
    const Argument& object = arguments[procedure.subject.argument];
    if (!object.key.empty()) {
      subject.key = base::text_of(object.key);
      subject.name = object.owner;
      return subject;
    }
    subject.kind = SubjectKind::sweep;
  }
  subject.key = subject.name = procedure.name;
  return subject;
}

std::string describe(const Subject& subject) {
  const std::string_view word = word_of(subject.kind);
  if (word.empty()) return subject.name;
  std::string text(word);
  if (!subject.name.empty()) text += " '" + base::printable(subject.name, kLongestName) + "'";
  if (subject.key.size() == kUuid) text += " (" + uuid_text(subject.key) + ")";
  return text;
}

}  // namespace policy
