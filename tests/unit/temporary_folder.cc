#include "tests/unit/temporary_folder.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <system_error>

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

void TemporaryFolder::write(const std::string& name, const std::string& text) const {
  const std::filesystem::path file = path_ + '/' + name;
  std::error_code error;
  std::filesystem::create_directories(file.parent_path(), error);
  std::ofstream stream(file);
  stream << text;
  CHECK(stream.flush().good());
}

void TemporaryFolder::make_folder(const std::string& name) const {
  std::error_code error;
  std::filesystem::create_directories(path_ + '/' + name, error);
  CHECK(!error);
}

}  // namespace test
