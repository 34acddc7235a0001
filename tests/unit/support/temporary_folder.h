// A folder that goes with the test.
#pragma once

#include <string>
#include <string_view>

#include <sys/types.h>

namespace test {

class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(std::string_view name) const {
    return path_ + "/" + std::string(name);
  }
  // Writes a file anew, with the folders above it, and returns its path.
  std::string write(const std::string& name, std::string_view text, mode_t mode = 0600) const;
  void remove(const std::string& name) const;
  void make_folder(const std::string& name) const;

 private:
  std::string path_;
};

// All of a file; empty when it cannot be read.
std::string read_file(const std::string& path);

}  // namespace test
