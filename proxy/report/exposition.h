// Text in which monitoring systems read metrics: Prometheus's, version 0.0.4, and OpenMetrics 1.0.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace proxy {

enum class MetricsFormat : std::uint8_t { prometheus, openmetrics };

std::string_view content_type(MetricsFormat format);

// What a field Accept of HTTP asks for (RFC 9110, 12.5.1): OpenMetrics where that is liked no less
// than plain text. Empty: there was none.
MetricsFormat wanted_format(std::string_view accept);

// A text is made family by family, and each sample belongs to the family begun last.
class Exposition {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  explicit Exposition(MetricsFormat format) : format_(format) {}

  // `name` is without the suffix that the samples of its type have; `unit` is "" or what the name
  // ends in.
  void gauge(std::string_view name, std::string_view unit, std::string_view help);
  void counter(std::string_view name, std::string_view unit, std::string_view help);
  void histogram(std::string_view name, std::string_view unit, std::string_view help);
  void info(std::string_view name, std::string_view help);

  // Of the family begun last; of a histogram only with one of the suffixes that it has.
  void sample(Labels labels, std::uint64_t value, std::string_view suffix = "");
  // A value of thousandths.
  void milli_sample(Labels labels, std::uint64_t value, std::string_view suffix = "");

  // The whole text. Nothing may be added after it.
  std::string finish();

 private:
  void family(std::string_view name, std::string_view type, std::string_view unit,
              std::string_view help, std::string_view suffix);
  void begin_sample(Labels labels, std::string_view suffix);

  MetricsFormat format_;
  std::string name_;
  std::string suffix_;  // of samples
  std::string text_;
};

// 1.5 as "1.5", and 2 as "2.0": what OpenMetrics calls canonical, for `le`.
std::string shown_seconds(std::uint64_t milliseconds);

}  // namespace proxy
