// write_pages PARTS FOLDER DATE: writes manual pages and completion to FOLDER, with the hand-written sections of
// PARTS/*.mdoc. Runs while culmen is built; never installed.
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>

#include "pages.hpp"

namespace {

namespace fs = std::filesystem;
using namespace culmen::cli;

void write(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) throw std::runtime_error("cannot write " + path.string());
}

ManualParts parts_in(const fs::path& folder) {
  ManualParts parts;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".mdoc") continue;
    std::ifstream file(entry.path());
    std::ostringstream text;
    text << file.rdbuf();
    add_parts(parts, entry.path().stem().string(), text.str());
  }
  return parts;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 4) throw std::invalid_argument("usage: write_pages PARTS FOLDER DATE");
  const fs::path folder = argv[2];
  fs::create_directories(folder);
  const CommandDescription program = whole_command_line();
  for (const auto& [name, text] : manual_pages(program, parts_in(argv[1]), argv[3])) write(folder / name, text);
  write(folder / "culmen.bash", bash_completion(program));
  write(folder / "_culmen", zsh_completion(program));
  write(folder / "culmen.fish", fish_completion(program));
} catch (const std::exception& error) {
  std::cerr << "write_pages: " << error.what() << '\n';
  return 1;
}
