#include "policy/redact/description.h"

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include <expat.h>

#include "base/text.h"
#include "policy/redact/places.h"

namespace policy {
namespace {

constexpr std::string_view kBlank = " \t\r\n";
// More than any of libvirt's has, so that no document of the longest takes much longer than others.
constexpr std::size_t kMaxDepth = 64;
constexpr std::size_t kMaxElements = 65536;
constexpr int kMaxAttributes = 64;

using Result = base::Result<std::optional<std::string>, std::string_view>;

struct Edit {
  std::size_t begin;
  std::size_t end;
  std::string_view instead;
};

// An attribute as it is written.
struct Written {
  std::size_t begin;  // of the blanks before it
  std::size_t value;
  std::size_t value_end;
  std::string_view name;
};

// Of a start tag that is well-formed.
class TagReader {
 public:
  // `at` is behind the name of the element.
  TagReader(std::string_view document, std::size_t at) : document_(document), at_(at) {}

  std::optional<Written> next() {
    Written one{};
    one.begin = at_;
    skip_blank();
    if (at_ >= document_.size() || document_[at_] == '/' || document_[at_] == '>') return {};
    const std::size_t name_end = document_.find_first_of(" \t\r\n=", at_);
    if (name_end == std::string_view::npos) return {};
    one.name = document_.substr(at_, name_end - at_);
    at_ = document_.find_first_of("\"'", name_end);
    if (at_ == std::string_view::npos) return {};
    one.value = at_ + 1;
    one.value_end = document_.find(document_[at_], one.value);
    if (one.value_end == std::string_view::npos) return {};
    at_ = one.value_end + 1;
    return one;
  }

 private:
  void skip_blank() { at_ = std::min(document_.find_first_not_of(kBlank, at_), document_.size()); }

  std::string_view document_;
  std::size_t at_;
};

class Cutter {
 public:
  Cutter(std::string_view document, std::string_view root, HiddenSet hidden)
      : document_(document), root_(root), hidden_(hidden) {}

  Result cut() {
    using Parser = std::unique_ptr<XML_ParserStruct, decltype(&XML_ParserFree)>;
    const Parser parser(XML_ParserCreate("UTF-8"), &XML_ParserFree);
    if (parser == nullptr) return base::Failure{std::string_view("cannot be read now")};
    parser_ = parser.get();
    XML_SetUserData(parser_, this);
    XML_SetElementHandler(parser_, &Cutter::on_start, &Cutter::on_end);
    XML_SetCharacterDataHandler(parser_, &Cutter::on_text);
    XML_SetStartDoctypeDeclHandler(parser_, &Cutter::on_document_type);
    XML_SetXmlDeclHandler(parser_, &Cutter::on_declaration);
    XML_SetCommentHandler(parser_, &Cutter::on_comment);
    XML_SetProcessingInstructionHandler(parser_, &Cutter::on_instruction);
    const auto status =
        XML_Parse(parser_, document_.data(), static_cast<int>(document_.size()), XML_TRUE);
    if (!why_not_.empty()) return base::Failure{why_not_};
    if (status != XML_STATUS_OK) return base::Failure{std::string_view("is not well-formed")};
    if (edits_.empty()) return std::optional<std::string>();
    return std::optional(edited());
  }

 private:
  struct Open {
    std::string_view name;
    std::size_t content = 0;        // where it begins
    std::string_view instead = {};  // of the text
    bool hides_text = false;
    bool has_text = false;
    bool has_elements = false;
  };

  static Cutter& self(void* data) { return *static_cast<Cutter*>(data); }
  static void on_start(void* data, const XML_Char* name, const XML_Char** attributes) {
    Cutter& cutter = self(data);
    if (cutter.why_not_.empty()) cutter.start(name, attributes);
  }
  static void on_end(void* data, const XML_Char* /*name*/) {
    if (self(data).why_not_.empty()) self(data).end();
  }
  static void on_text(void* data, const XML_Char* text, int size) {
    if (self(data).why_not_.empty()) self(data).text({text, static_cast<std::size_t>(size)});
  }
  static void on_document_type(void* data, const XML_Char* /*name*/, const XML_Char* /*system*/,
                               const XML_Char* /*public_id*/, int /*internal*/) {
    self(data).refuse("has a document type");
  }
  static void on_declaration(void* data, const XML_Char* version, const XML_Char* encoding,
                             int /*standalone*/) {
    if (version == nullptr || (encoding != nullptr && base::lower(encoding) != "utf-8")) {
      self(data).refuse("is not in UTF-8");
    }
  }
  static void on_comment(void* data, const XML_Char* /*text*/) { self(data).beside(); }
  static void on_instruction(void* data, const XML_Char* /*target*/, const XML_Char* /*text*/) {
    self(data).beside();
  }

  void refuse(std::string_view why) {
    if (!why_not_.empty()) return;
    why_not_ = why;
    XML_StopParser(parser_, XML_FALSE);
  }

  // What programs that read descriptions do not look at.
  void beside() {
    if (depth_within_ == 0) refuse("has comments or instructions");
  }

  [[nodiscard]] std::size_t at() const {
    return static_cast<std::size_t>(XML_GetCurrentByteIndex(parser_));
  }
  [[nodiscard]] std::size_t behind() const {
    return at() + static_cast<std::size_t>(XML_GetCurrentByteCount(parser_));
  }

  void start(std::string_view name, const XML_Char** attributes) {
    if (++elements_ > kMaxElements) return refuse("has too many elements");
    if (XML_GetSpecifiedAttributeCount(parser_) > kMaxAttributes * 2) {
      return refuse("has an element with too many attributes");
    }
    if (names_.size() + depth_within_ >= kMaxDepth) return refuse("is nested too deeply");
    if (depth_within_ > 0) {
      ++depth_within_;
      return;
    }
    if (names_.empty() && name != root_) return refuse("is not what was asked for");
    if (!open_.empty()) open_.back().has_elements = true;
    const std::string_view written = document_.substr(at() + 1, name.size());
    if (written != name) return refuse("cannot be followed");
    names_.push_back(written);
    open_.push_back({written, behind()});
    here_ = places_in(written);
    if (is_dropped(written, attributes)) return leave_out();
    if (is_metadata()) {
      depth_within_ = 1;
      return;
    }
    if (here_.empty() && written != kArgument) return;
    take_attributes(written, attributes);
    take_text();
  }

  void end() {
    if (depth_within_ > 1) {
      --depth_within_;
      return;
    }
    if (depth_within_ == 1) {
      depth_within_ = 0;
      if (dropped_) {
        add({drop_from_, behind(), {}});
        dropped_ = false;
      }
    } else {
      cut_text(open_.back());
    }
    if (open_.back().name == kCommandLine) argument_.clear();
    names_.pop_back();
    open_.pop_back();
  }

  void text(std::string_view text) {
    if (depth_within_ > 0 || open_.empty()) return;
    if (text.find_first_not_of(kBlank) != std::string_view::npos) open_.back().has_text = true;
  }

  // The element that has just begun, with all that is within, and with its own line.
  void leave_out() {
    if (names_.size() == 1) return refuse("cannot be cut");
    dropped_ = true;
    depth_within_ = 1;
    drop_from_ = at();
    std::size_t line = drop_from_;
    while (line > 0 && (document_[line - 1] == ' ' || document_[line - 1] == '\t')) --line;
    if (line > 0 && document_[line - 1] == '\n') drop_from_ = line - 1;
  }

  // A default namespace says that the element is another's.
  static bool is_foreign(std::string_view name, const XML_Char** attributes) {
    if (name.find(':') != std::string_view::npos) return true;
    return attribute(attributes, "xmlns") != nullptr;
  }

  static const XML_Char* attribute(const XML_Char** attributes, std::string_view name) {
    for (; *attributes != nullptr; attributes += 2) {
      if (*attributes == name) return attributes[1];
    }
    return nullptr;
  }

  bool is_dropped(std::string_view name, const XML_Char** attributes) const {
    if (hidden_.has(Hidden::commandline) && is_foreign(name, attributes)) return true;
    return std::ranges::any_of(here_, [&](const Place& place) {
      if (!place.part.empty() || !hidden_.has(place.hidden) || !is_at(place, names_)) return false;
      if (place.cut != Cut::by_type) return true;
      const XML_Char* type = attribute(attributes, "type");
      if (type == nullptr) return true;
      return (std::string_view(type) == "fwcfg") == (place.hidden == Hidden::fwcfg);
    });
  }

  [[nodiscard]] bool is_metadata() const {
    if (names_.back() != "metadata" || names_.size() < 2) return false;
    const std::string_view parent = names_[names_.size() - 2];
    return parent == "domain" || parent == "inactiveDomain" || parent == "network";
  }

  // What is said of a part by the places that say most of where it is.
  [[nodiscard]] const Place* place_of(std::string_view part) const {
    const Place* found = nullptr;
    std::size_t most = 0;
    for (const Place& place : here_) {
      if (place.part != part || place.steps < most || !is_at(place, names_)) continue;
      if (place.steps > most) found = nullptr;
      most = place.steps;
      if (!hidden_.has(place.hidden)) continue;
      if (found == nullptr || found->cut == Cut::path) found = &place;
    }
    return found;
  }

  void take_attributes(std::string_view element, const XML_Char** attributes) {
    TagReader tag(document_, at() + 1 + element.size());
    for (; *attributes != nullptr; attributes += 2) {
      const std::optional<Written> one = tag.next();
      if (!one || one->name != *attributes || one->value_end >= behind()) {
        return refuse("cannot be followed");
      }
      const std::string_view value = attributes[1];
      if (element == kArgument && one->name == "value") take_argument(*one, value);
      const Place* place = place_of(one->name);
      if (place == nullptr) continue;
      if (place->cut == Cut::drop) {
        add({one->begin, one->value_end + 1, {}});
      } else if (!value.empty()) {
        const std::string_view instead = stand_in(place->cut, value);
        if (instead != value) add({one->value, one->value_end, instead});
      }
    }
    if (tag.next()) refuse("cannot be followed");
  }

  // Firmware's strings and files can be given to the emulator as well.
  void take_argument(const Written& one, std::string_view value) {
    const bool hides = (hidden_.has(Hidden::smbios) && argument_.ends_with("-smbios")) ||
                       (hidden_.has(Hidden::fwcfg) && argument_.ends_with("-fw_cfg"));
    if (hides) add({one.value, one.value_end, stand_in(Cut::text, "")});
    argument_ = value;
  }

  void take_text() {
    const Place* place = place_of("#");
    if (place == nullptr) return;
    open_.back().hides_text = true;
    const std::size_t first = document_.find_first_not_of(kBlank, open_.back().content);
    if (first != std::string_view::npos) {
      open_.back().instead = stand_in(place->cut, document_.substr(first, 4));
    }
  }

  void cut_text(const Open& element) {
    if (!element.hides_text || !element.has_text) return;
    if (element.has_elements) return refuse("has elements within a value");
    if (document_.substr(element.content, at() - element.content) == element.instead) return;
    add({element.content, at(), element.instead});
  }

  void add(Edit edit) { edits_.push_back(edit); }

  // The edits are in the order of the document, and none is within another.
  [[nodiscard]] std::string edited() const {
    std::string out;
    out.reserve(document_.size());
    std::size_t from = 0;
    for (const Edit& edit : edits_) {
      out += document_.substr(from, edit.begin - from);
      out += edit.instead;
      from = edit.end;
    }
    out += document_.substr(from);
    return out;
  }

  static constexpr std::string_view kCommandLine = "qemu:commandline";
  static constexpr std::string_view kArgument = "qemu:arg";

  const std::string_view document_;
  const std::string_view root_;
  const HiddenSet hidden_;
  XML_Parser parser_ = nullptr;
  std::string_view why_not_;
  std::vector<std::string_view> names_;
  std::vector<Open> open_;
  std::span<const Place> here_;   // in the element that has just begun
  std::size_t elements_ = 0;      // so far
  std::size_t depth_within_ = 0;  // of what is dropped, or metadata; 0: neither
  bool dropped_ = false;
  std::size_t drop_from_ = 0;
  std::string argument_;  // the one before
  std::vector<Edit> edits_;
};

bool holds(std::string_view text, std::string_view what) {
  return text.find(what) != std::string_view::npos;
}

// Without a look at more than names, which can be written in one way only in UTF-8.
bool may_hold(std::string_view description, HiddenSet hidden) {
  if (!hidden.without(kHiddenByDefault).empty()) return true;
  return holds(description, "<sysinfo") || holds(description, "<qemu:arg");
}

}  // namespace

Result cut_description(std::string_view description, std::string_view root, HiddenSet hidden) {
  if (!may_hold(description, hidden)) return std::optional<std::string>();
  if (description.size() > kMaxDescription) return base::Failure{std::string_view("is too long")};
  return Cutter(description, root, hidden).cut();
}

}  // namespace policy
