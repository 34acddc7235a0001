#include "tests/unit/support/temporary_folder.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

#include <sys/stat.h>

#include "base/check.h"

namespace test {

TemporaryFolder::TemporaryFolder() {
  std::error_code error;
  path_ = (std::filesystem::temp_directory_path(error) / "virtgate-test-XXXXXX").string();
  CHECK(!error && mkdtemp(path_.data()) != nullptr);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::write(const std::string& name, std::string_view text,
                                   mode_t mode) const {
  const std::filesystem::path file = path_ + '/' + name;
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  std::filesystem::remove(file, error);
  std::ofstream stream(file);
  stream << text;
  CHECK(stream.flush().good());
  CHECK(::chmod(file.c_str(), mode) == 0);
  return file.string();
}

void TemporaryFolder::remove(const std::string& name) const {
  std::error_code ignored;
  std::filesystem::remove(path_ + '/' + name, ignored);
}

void TemporaryFolder::make_folder(const std::string& name) const {
  std::error_code error;
  std::filesystem::create_directories(path_ + '/' + name, error);
  CHECK(!error);
}

std::string read_file(const std::string& path) {
  std::ostringstream out;
  out << std::ifstream(path, std::ios::binary).rdbuf();
  return out.str();
}

}  // namespace test
