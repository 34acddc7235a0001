// A folder that goes with the test.
#pragma once

#include <string>

namespace test {

class TemporaryFolder {
 public:
  TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder();

  [[nodiscard]] const std::string& path() const { return path_; }
  // Makes the folders above it too.
  void write(const std::string& name, const std::string& text) const;
  void make_folder(const std::string& name) const;

 private:
  std::string path_;
};

}  // namespace test
