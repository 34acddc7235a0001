// Of descriptions exactly what is hidden is cut, wherever libvirt can write it, and what cannot be
// read is refused.
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "policy/redact/description.h"
#include "policy/redact/places.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/descriptions.h"

using policy::Cut;
using policy::cut_description;
using policy::Hidden;
using policy::HiddenSet;
using test::Description;

namespace {

constexpr std::size_t kClasses = policy::kHiddenNames.size();

HiddenSet set_of(unsigned bits) {
  HiddenSet set;
  for (std::size_t i = 0; i < kClasses; ++i) {
    if ((bits >> i & 1U) != 0) set.add(static_cast<Hidden>(i));
  }
  return set;
}

// As it is handed out; "!" and why when it is not.
std::string cut(std::string_view text, std::string_view root, HiddenSet hidden) {
  auto done = cut_description(text, root, hidden);
  if (!done) return "!" + std::string(done.error());
  return done.value().value_or(std::string(text));
}

std::string cut_all(std::string_view text) { return cut(text, "domain", HiddenSet::everything()); }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

bool has_number_mark(const std::string& line) {
  return test::has_mark(line, Hidden::paths) || test::has_mark(line, Hidden::graphics);
}

// A description in which only the place is, with all around it that should stay.
struct Around {
  std::string root;
  std::string before;
  std::string whole;  // of what is dropped when the place is
  std::string value;  // within `whole`, or the text or attribute
  std::string after;
};

std::vector<std::string> elements_of(std::string_view path) {
  path = path.substr(0, path.find_first_of("@#"));
  std::vector<std::string> out;
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    if (slash != 0) out.emplace_back(path.substr(0, slash));
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
  }
  return out;
}

Around around(const policy::Place& place) {
  Around out;
  std::vector<std::string> elements = elements_of(place.path);
  const bool whole = place.path[0] == '/' || elements[0] == "domain";
  if (elements[0] == "inactiveDomain")
    elements.insert(elements.begin(), "domainsnapshot");
  else if (!whole)
    elements.insert(elements.begin(), "domain");
  out.root = elements[0];
  const std::string last = elements.back();
  elements.pop_back();
  for (const std::string& name : elements) out.before += "<" + name + " a=\"/1\" >\n \t";
  out.before += "<b/>text&amp;<c d='/e'>/f</c>\n  ";
  const std::string_view part = place.part;
  std::string end;
  if (part.empty()) {
    const std::string type = place.hidden == Hidden::fwcfg ? " type='fwcfg'" : " type='smbios'";
    out.whole = "<" + last + type + ">/g<h i='/j'/></" + last + ">";
  } else if (part == "#") {
    out.before += "<" + last + " k = '/l'\n>";
    out.value = "/m&amp;n";
    end = "</" + last + ">";
  } else {
    out.before += "<" + last + " k=\"o&gt;'p\"";
    out.whole = "\n " + std::string(part) + " =\t\"";
    out.value = "/q&lt;'r";
    end = " s='/t' /><" + last + "/>";
  }
  out.after = end + "\n<u/>";
  for (auto name = elements.rbegin(); name != elements.rend(); ++name) {
    out.after += "</" + *name + " >";
  }
  return out;
}

std::string expected_of(const policy::Place& place, const Around& a) {
  const std::string_view part = place.part;
  if (part.empty()) return a.before.substr(0, a.before.size() - 3) + a.after;
  if (place.cut == Cut::drop) return a.before + a.after;
  const std::string instead(policy::stand_in(place.cut, a.value));
  return a.before + a.whole + instead + (part == "#" ? "" : "\"") + a.after;
}

std::string text_of(const policy::Place& place, const Around& a) {
  const std::string_view part = place.part;
  return a.before + a.whole + a.value + (part.empty() || part == "#" ? "" : "\"") + a.after;
}

}  // namespace

TEST_CASE("each place is cut, and all around it stays to the byte", "[policy][redact]") {
  for (const policy::Place& place : policy::places()) {
    const Around a = around(place);
    const std::string text = text_of(place, a);
    CAPTURE(place.path, policy::name_of(place.hidden), text);
    REQUIRE(cut(text, a.root, {place.hidden}) == expected_of(place, a));
    HiddenSet others = HiddenSet::everything().without({place.hidden});
    for (const policy::Place& other : policy::places()) {
      const bool within = place.path.starts_with(other.path);
      if (within) others = others.without({other.hidden});
    }
    REQUIRE(cut(text, a.root, others) == text);
  }
}

TEST_CASE("nothing of what is hidden is left of any description", "[policy][redact]") {
  for (const Description& one : test::descriptions()) {
    for (unsigned bits = 0; bits < 1U << kClasses; ++bits) {
      const HiddenSet hidden = set_of(bits);
      const std::string left = cut(one.text, one.root, hidden);
      CAPTURE(one.file, policy::names_of(hidden), left);
      for (std::size_t i = 0; i < kClasses; ++i) {
        const auto hides = static_cast<Hidden>(i);
        // A command line has strings for the firmware too.
        if (hides == Hidden::smbios || hides == Hidden::fwcfg) {
          if (hidden.has(Hidden::commandline) && !hidden.has(hides)) continue;
        }
        const bool expected = !hidden.has(hides) && test::has_mark(one.text, hides);
        REQUIRE(test::has_mark(left, hides) == expected);
      }
      REQUIRE(cut(left, one.root, hidden) == left);
    }
  }
}

TEST_CASE("a line of a description without a hidden value stays as it is", "[policy][redact]") {
  for (const Description& one : test::descriptions()) {
    for (std::size_t i = 0; i < kClasses; ++i) {
      const auto hides = static_cast<Hidden>(i);
      const std::vector<std::string> before = lines_of(one.text);
      const std::vector<std::string> after = lines_of(cut(one.text, one.root, {hides}));
      CAPTURE(one.file, policy::name_of(hides));
      auto at = before.begin();
      for (const std::string& line : after) {
        const auto found = std::find(at, before.end(), line);
        if (found != before.end()) {
          at = found + 1;
          continue;
        }
        at = std::find_if(at, before.end(), [](const auto& old) {
          return old.find("secret") != std::string::npos || has_number_mark(old);
        });
        CAPTURE(line);
        REQUIRE(at != before.end());
        REQUIRE(line.substr(0, line.find('<') + 4) == at->substr(0, at->find('<') + 4));
        ++at;
      }
    }
  }
}

TEST_CASE("what is left is a description to libvirt's schemas", "[policy][redact]") {
  for (const Description& one : test::descriptions()) {
    REQUIRE(test::objection_of_schema(one, one.text).empty());
    for (std::size_t i = 0; i < kClasses; ++i) {
      CAPTURE(one.file, policy::kHiddenNames[i]);
      const std::string left = cut(one.text, one.root, {static_cast<Hidden>(i)});
      REQUIRE(test::objection_of_schema(one, left) == "");
    }
    REQUIRE(test::objection_of_schema(one, cut(one.text, one.root, HiddenSet::everything())) == "");
  }
}

TEST_CASE("what is in another namespace goes with the command line", "[policy][redact]") {
  const std::string before =
      "<domain xmlns:q='urn:q'><q:x><y/></q:x><z xmlns='urn:z'>v</z><w/></domain>";
  CHECK(cut(before, "domain", {Hidden::commandline}) == "<domain xmlns:q='urn:q'><w/></domain>");
  CHECK(cut("<domain xmlns='urn:d'/>", "domain", {Hidden::commandline}) == "!cannot be cut");
  const std::string kept = "<domain><metadata><q:x xmlns:q='urn:q'/></metadata></domain>";
  CHECK(cut(kept, "domain", {Hidden::commandline}) == kept);
}

TEST_CASE("metadata that is shown stays as its owner wrote it", "[policy][redact]") {
  const std::string metadata =
      "<domain><metadata><!-- /a --><?b c?><seclabel/><os><kernel>/d</kernel></os></metadata>"
      "<os><kernel>/d</kernel></os></domain>";
  const std::string left =
      cut(metadata, "domain", HiddenSet::everything().without({Hidden::metadata}));
  CHECK(left.starts_with(metadata.substr(0, metadata.find("</metadata>"))));
  CHECK(left.ends_with("</metadata><os><kernel>/redacted</kernel></os></domain>"));
}

TEST_CASE("names that are no paths, and those of vmware, are kept apart", "[policy][redact]") {
  const HiddenSet paths = {Hidden::paths};
  CHECK(cut("<domain><source file='[store] a/b.vmdk'/></domain>", "domain", paths) ==
        "<domain><source file='[redacted] redacted'/></domain>");
  CHECK(cut("<domain><source file='C:\\a'/></domain>", "domain", paths) ==
        "<domain><source file='/redacted'/></domain>");
  CHECK(cut("<domain><source file='a/b'/></domain>", "domain", paths) ==
        "<domain><source file='redacted'/></domain>");
  CHECK(cut("<domain><source file=''/></domain>", "domain", paths) ==
        "<domain><source file=''/></domain>");
  CHECK(cut("<domain><disks><disk name='vda'/><disk name='/a'/></disks></domain>", "domain",
            paths) == "<domain><disks><disk name='vda'/><disk name='/redacted'/></disks></domain>");
  CHECK(cut("<domain><interface><source dev='eth0'/></interface></domain>", "domain", paths) ==
        "<domain><interface><source dev='eth0'/></interface></domain>");
}

TEST_CASE("where firmware's strings cannot be, nothing is read", "[policy][redact]") {
  CHECK(cut("no description", "domain", policy::kHiddenByDefault) == "no description");
  const std::string large = "<domain>" + std::string(policy::kMaxDescription, ' ') + "</domain>";
  CHECK(cut(large, "domain", policy::kHiddenByDefault) == large);
  CHECK(cut(large, "domain", {Hidden::paths}) == "!is too long");
  CHECK(cut("<sysinfo", "domain", policy::kHiddenByDefault) == "!is not well-formed");
}

TEST_CASE("what is no description that libvirt writes is refused", "[policy][redact]") {
  CHECK(cut_all("") == "!is not well-formed");
  CHECK(cut_all("text") == "!is not well-formed");
  CHECK(cut_all("<network/>") == "!is not what was asked for");
  CHECK(cut_all("<domain/><domain/>") == "!is not well-formed");
  CHECK(cut_all("<!DOCTYPE domain><domain/>") == "!has a document type");
  CHECK(cut_all("<!DOCTYPE d [<!ENTITY e '/x'>]><domain>&e;</domain>") == "!has a document type");
  CHECK(cut_all("<!DOCTYPE d SYSTEM '/etc/passwd'><domain/>") == "!has a document type");
  CHECK(cut_all("<domain>&e;</domain>") == "!is not well-formed");
  CHECK(cut_all("<domain><!-- c --></domain>") == "!has comments or instructions");
  CHECK(cut_all("<domain/><?p i?>") == "!has comments or instructions");
  CHECK(cut_all("<?xml version='1.0' encoding='UTF-16'?><domain/>") == "!is not in UTF-8");
  CHECK(cut_all("<?xml version='1.0' encoding='ISO-8859-1'?><domain/>") == "!is not in UTF-8");
  CHECK(cut_all("<?xml version='1.0' encoding='utf-8'?><domain/>").starts_with("<?xml"));
  CHECK(cut_all("<domain a='\xff'/>") == "!is not well-formed");
  CHECK(cut_all(std::string("<domain>\0</domain>", 18)) == "!is not well-formed");
  CHECK(cut_all("<domain><os><kernel>/a<b/></kernel></os></domain>") ==
        "!has elements within a value");
  CHECK(cut_all("<domain a='1' a='2'/>") == "!is not well-formed");
}

TEST_CASE("depth is bounded, in what is dropped and in metadata too", "[policy][redact]") {
  const auto nested = [](const std::string& in, std::size_t depth) {
    std::string text = "<domain>";
    text += in.empty() ? "" : "<" + in + ">";
    for (std::size_t i = 0; i < depth; ++i) text += "<a>";
    for (std::size_t i = 0; i < depth; ++i) text += "</a>";
    return text + (in.empty() ? "" : "</" + in + ">") + "</domain>";
  };
  CHECK_FALSE(cut(nested("", 63), "domain", {Hidden::paths}).starts_with('!'));
  for (const std::string in : {"", "metadata", "seclabel"}) {
    for (const std::size_t depth : {64U, 70000U}) {
      CHECK(cut(nested(in, depth), "domain", {Hidden::seclabel}) == "!is nested too deeply");
    }
  }
}

TEST_CASE("elements and attributes are bounded", "[policy][redact]") {
  const auto many = [](std::size_t elements, std::size_t attributes) {
    std::string text = "<domain>";
    for (std::size_t i = 1; i < elements; ++i) text += "<a/>";
    text += "<b";
    for (std::size_t i = 0; i < attributes; ++i) text += " c" + std::to_string(i) + "=''";
    return cut(text + "/></domain>", "domain", {Hidden::paths});
  };
  CHECK_FALSE(many(65535, 64).starts_with('!'));
  CHECK(many(65536, 0) == "!has too many elements");
  CHECK(many(1, 65) == "!has an element with too many attributes");
}

TEST_CASE("a description that ends early is refused at every byte", "[policy][redact]") {
  for (const Description& one : test::descriptions()) {
    const std::size_t last = one.text.find_last_of('>');
    for (std::size_t size = 0; size <= last; size += 1 + size / 1000) {
      CAPTURE(one.file, size);
      REQUIRE(cut(one.text.substr(0, size), one.root, {Hidden::paths}).starts_with('!'));
    }
  }
}

TEST_CASE("whatever byte is wrong, what is left is a description to be cut no more",
          "[policy][redact]") {
  for (const Description& one : test::descriptions()) {
    static constexpr std::string_view kBytes("\0<>&'/x\xc3", 8);
    for (std::size_t at = 0; at < one.text.size(); at += 1 + at / 1000) {
      std::string text = one.text;
      text[at] = kBytes[at % kBytes.size()];
      const std::string left = cut(text, one.root, HiddenSet::everything());
      CAPTURE(one.file, at);
      if (left.starts_with('!')) continue;
      REQUIRE(cut(left, one.root, HiddenSet::everything()) == left);
    }
  }
}
