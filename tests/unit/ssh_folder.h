// A private folder of one test.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <system_error>

namespace test {

class Folder {
 public:
  Folder() {
    std::string name = "/tmp/virtgate-test-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) std::abort();
    name_ = name;
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(name_, ignored);
  }

  [[nodiscard]] std::string path(const std::string& file) const { return name_ + "/" + file; }
  void write(const std::string& file, const std::string& text) const {
    std::ofstream(path(file), std::ios::binary) << text;
  }
  [[nodiscard]] std::string read(const std::string& file) const {
    std::ostringstream out;
    out << std::ifstream(path(file), std::ios::binary).rdbuf();
    return out.str();
  }

 private:
  std::string name_;
};

}  // namespace test
