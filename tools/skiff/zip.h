// Just enough of the zip format for .npz: stored and deflated entries. APPNOTE.TXT of PKWARE, sections 4.3
// and 4.5.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace skiff::tool {

struct ZipEntry {
  std::string name;
  std::string contents;
};

// Every entry, sizes checked against the file and a total of 4 GiB, checksums verified; zip64 sizes are
// understood. Errors: ToolError naming `name` and the entry.
std::vector<ZipEntry> read_zip(std::string_view zip, const std::string& name);
// Stored entries. Errors: ToolError when one exceeds the 4 GiB of plain zip.
std::string write_zip(const std::vector<ZipEntry>& entries, const std::string& name);

}  // namespace skiff::tool
