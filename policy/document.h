// What an XML document of a client must not be before a daemon parses it.
#pragma once

#include <string_view>

namespace policy {

// Empty when the document may pass, or what is wrong with it, to follow its name in a sentence.
//
// A document type can make a parser read files and never end (CVE-2014-0179), so "<!" may only
// begin a comment or a CDATA section. An encoding could spell it with other bytes, so the document
// must be UTF-8 or ASCII. Long runs of blank lines before a mistake crashed daemons
// (CVE-2026-61478). What parsing costs is bounded: libxml2 2.9 takes minutes for 100,000 attributes
// of one element. A processor has fewer than a thousand features, each an element with two
// attributes. There are no NUL bytes in `document`.
std::string_view objection_to(std::string_view document);

}  // namespace policy
