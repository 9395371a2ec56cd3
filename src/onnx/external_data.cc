#include "onnx/external_data.h"

#include <charconv>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "onnx/tensor_proto.h"

#if defined(_WIN32)
#include <filesystem>
#else
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#endif

namespace skiff::onnx {
namespace {

constexpr const char* kLinkRemedy =
    "; copy it to a plain file beside the model, or allow links in the read options";

bool is_separator(char c) { return c == '/' || c == '\\'; }

// What can be judged by the name alone, on every system alike: a model must not mean different files on
// different machines.
void check_location(const std::string& location) {
  check(!location.empty(), Code::kInvalidModel,
        "the external data has no location; name a file beside the model");
  check(location.find('\0') == std::string::npos, Code::kInvalidModel, "the location holds a zero byte");
  bool drive = location.size() >= 2 && location[1] == ':';
  check(!is_separator(location[0]) && !drive, Code::kInvalidModel, "the location '", location,
        "' is absolute; name a file in the model's folder");
  for (size_t start = 0; start <= location.size();) {
    size_t end = start;
    while (end < location.size() && !is_separator(location[end])) ++end;
    check(std::string_view(location).substr(start, end - start) != "..", Code::kInvalidModel,
          "the location '", location, "' leads out of the model's folder; name a file inside it");
    start = end + 1;
  }
}

std::string join(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder.back() == '/' ? folder + name : folder + "/" + name;
}

[[noreturn]] void fail_outside(const std::string& location) {
  fail(Code::kInvalidModel, "the location '", location, "' leads out of the model's folder through a link",
       kLinkRemedy);
}
[[noreturn]] void fail_hard_link(const std::string& location, unsigned long long links) {
  fail(Code::kInvalidModel, "the file '", location, "' has ", links, " names (hard links)", kLinkRemedy);
}

#if defined(_WIN32)
MappedFile open_inside(const std::string& folder, const std::string& location) {
  namespace fs = std::filesystem;
  std::error_code ec;
  fs::path root = fs::canonical(folder.empty() ? "." : folder, ec);
  fs::path file = ec ? fs::path() : fs::canonical(root / location, ec);
  check(!ec, Code::kNotFound, "no file '", location, "' in the model's folder: ", ec.message());
  fs::path inside = file.lexically_relative(root);
  if (inside.empty() || *inside.begin() == "..") fail_outside(location);
  auto links = fs::hard_link_count(file, ec);
  if (!ec && links > 1) fail_hard_link(location, links);
  return MappedFile::open(file.string());
}
#else
struct Descriptor {
  int fd = -1;
  ~Descriptor() { reset(-1); }
  void reset(int other) {
    if (fd >= 0) ::close(fd);
    fd = other;
  }
};

std::string real_path(const std::string& path, const std::string& location) {
  char* p = ::realpath(path.c_str(), nullptr);
  if (!p) {
    int error = errno;
    fail(error == ENOENT || error == ENOTDIR ? Code::kNotFound : Code::kIo, "cannot open '", location,
         "' in the model's folder: ", errno_text(error));
  }
  std::string s = p;
  std::free(p);
  return s;
}

// Resolves links once, checks that the result lies inside, and opens it without following any link: what was
// checked is what is opened, even if someone swaps files meanwhile.
MappedFile open_inside(const std::string& folder, const std::string& location) {
#if defined(O_PATH)
  constexpr int kFolder = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
#else
  constexpr int kFolder = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
#endif
  std::string root = real_path(folder.empty() ? "." : folder, folder.empty() ? "." : folder);
  std::string real = real_path(join(root, location), location);
  std::string prefix = join(root, "");
  if (real.compare(0, prefix.size(), prefix) != 0) fail_outside(location);
  Descriptor at;
  at.reset(::open(root.c_str(), kFolder));
  for (size_t start = prefix.size(); at.fd >= 0;) {
    size_t end = real.find('/', start);
    std::string part = real.substr(start, end == std::string::npos ? end : end - start);
    bool last = end == std::string::npos;
    at.reset(::openat(at.fd, part.c_str(), last ? O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC : kFolder));
    if (last) break;
    start = end + 1;
  }
  if (at.fd < 0) fail(Code::kIo, "cannot open '", location, "' in the model's folder: ", errno_text(errno));
  struct stat st;
  if (::fstat(at.fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink > 1)
    fail_hard_link(location, st.st_nlink);
  return MappedFile::from_descriptor(at.fd, real);
}
#endif

uint64_t parse_size(const char* key, const std::string& text) {
  int64_t v = -1;
  auto r = std::from_chars(text.data(), text.data() + text.size(), v);
  check(r.ec == std::errc() && r.ptr == text.data() + text.size() && v >= 0, Code::kInvalidModel, "the ", key,
        " '", text, "' of the external data is not a number from 0 to 2^63 - 1");
  return static_cast<uint64_t>(v);
}

bool is_external(const TensorProto& t) { return *t.data_location == TensorProto::DataLocation::kExternal; }

// Calls f for every TensorProto of a graph, subgraphs included; initializers_only leaves out attributes'
// tensors. G is GraphProto or const GraphProto, so that reading and editing share one walk.
template <class G, class F>
void each_tensor(G& g, bool initializers_only, const F& f);

template <class Nodes, class F>
void each_node_tensor(Nodes& nodes, bool initializers_only, const F& f) {
  auto sparse = [&](auto& s) {
    if (s.values) f(*s.values);
    if (s.indices) f(*s.indices);
  };
  auto attributes = [&](auto& list) {
    for (auto& a : list) {
      if (!initializers_only) {
        if (a.t) f(*a.t);
        for (auto& t : a.tensors) f(t);
        if (a.sparse_tensor) sparse(*a.sparse_tensor);
        for (auto& s : a.sparse_tensors) sparse(s);
      }
      if (a.g) each_tensor(*a.g, initializers_only, f);
      for (auto& g : a.graphs) each_tensor(g, initializers_only, f);
    }
  };
  for (auto& n : nodes) attributes(n.attribute);
}

template <class G, class F>
void each_tensor(G& g, bool initializers_only, const F& f) {
  for (auto& t : g.initializer) f(t);
  if (!initializers_only) {
    for (auto& s : g.sparse_initializer) {
      if (s.values) f(*s.values);
      if (s.indices) f(*s.indices);
    }
  }
  each_node_tensor(g.node, initializers_only, f);
}

template <class M, class F>
void each_model_tensor(M& m, const F& f) {
  if (m.graph) each_tensor(*m.graph, false, f);
  for (auto& fn : m.functions) each_node_tensor(fn.node, false, f);
  for (auto& t : m.training_info) {
    if (t.initialization) each_tensor(*t.initialization, false, f);
    if (t.algorithm) each_tensor(*t.algorithm, false, f);
  }
}

StringStringEntryProto entry(const char* key, std::string text) {
  StringStringEntryProto e;
  e.key = key;
  e.value = std::move(text);
  return e;
}

void write_with_data_file(ModelProto& m, const std::string& path, const WriteOptions& o) {
  std::string folder = folder_of(path);
  std::string model_name = path.substr(folder.empty() ? 0 : folder.size() + (folder == "/" ? 0 : 1));
  std::string name = o.external_name.empty() ? model_name + ".data" : o.external_name;
  check(name.find_first_of("/\\:") == std::string::npos && name != "." && name != ".." && name != model_name,
        Code::kInvalidArgument, "'", name,
        "' cannot name the external data file; give a plain file name other than ", "the model's");
  uint64_t align = o.external_alignment;
  check(align != 0 && (align & (align - 1)) == 0 && align <= (1 << 20), Code::kInvalidArgument,
        "the alignment of external data must be a power of two up to 2^20, not ", align);
  each_model_tensor(m, [&](const TensorProto& t) {
    if (!is_external(t)) return;
    for (const auto& e : t.external_data)
      check(*e.key != "location" || *e.value != name, Code::kInvalidArgument, "tensor '", *t.name,
            "' refers to '", name, "', which would be overwritten; load the external data before writing");
  });

  AtomicFile data(join(folder, name));
  const std::string zeros(static_cast<size_t>(align), '\0');
  uint64_t offset = 0;
  bool any = false;
  each_tensor(*m.graph, true, [&](TensorProto& t) {
    if (!t.raw_data.has() || is_external(t) || t.raw_data->view.size() < o.external_threshold) return;
    uint64_t size = t.raw_data->view.size(), pad = (align - offset % align) % align;
    data.write(zeros.data(), static_cast<size_t>(pad));
    data.write(t.raw_data->view.data(), static_cast<size_t>(size));
    offset += pad;
    t.external_data = {entry("location", name), entry("offset", cat(offset)), entry("length", cat(size))};
    t.data_location = TensorProto::DataLocation::kExternal;
    t.raw_data.reset();
    offset += size;
    any = true;
  });
  if (!any) return serialize_file(m, path, o.max_proto_bytes);

  struct Sink : ByteSink {
    AtomicFile file;
    explicit Sink(const std::string& p) : file(p) {}
    void write(const char* p, size_t size) override { file.write(p, size); }
  } model(path);
  serialize(m, model, o.max_proto_bytes);
  AtomicFile::commit({&data, &model.file});
}

}  // namespace

ExternalFiles::ExternalFiles(std::string folder, bool allow_links)
    : folder_(std::move(folder)), allow_links_(allow_links) {}
ExternalFiles::~ExternalFiles() = default;

std::shared_ptr<const MappedFile> ExternalFiles::file(const std::string& location) {
  for (const auto& [name, f] : files_)
    if (name == location) return f;
  check_location(location);
  auto f = std::make_shared<const MappedFile>(allow_links_ ? MappedFile::open(join(folder_, location))
                                                           : open_inside(folder_, location));
  files_.emplace_back(location, f);
  return f;
}

Bytes ExternalFiles::payload(const TensorProto& t) {
  try {
    std::string location;
    uint64_t need = raw_bytes(t), offset = 0, length = need;
    for (const auto& e : t.external_data) {
      if (*e.key == "location") location = *e.value;
      if (*e.key == "offset") offset = parse_size("offset", *e.value);
      if (*e.key == "length") length = parse_size("length", *e.value);
    }
    check(length == need, Code::kInvalidModel, "the external data is ", length,
          " bytes long, but the dims need ", need);
    auto f = file(location);
    check(offset <= f->size() && length <= f->size() - offset, Code::kInvalidModel, "the external data (",
          length, " bytes at offset ", offset, ") lies outside '", location, "', which has ", f->size(),
          " bytes; the file is cut short or belongs to another model");
    return {f->view().substr(static_cast<size_t>(offset), static_cast<size_t>(length)), f};
  } catch (Error& e) {
    e.add_where(cat("tensor '", *t.name, "'"));
    throw;
  }
}

std::string folder_of(std::string_view path) {
#if defined(_WIN32)
  size_t slash = path.find_last_of("/\\");
#else
  size_t slash = path.rfind('/');
#endif
  if (slash == std::string_view::npos) return {};
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

bool has_external_data(const ModelProto& m) {
  bool any = false;
  each_model_tensor(m, [&](const TensorProto& t) { any = any || is_external(t); });
  return any;
}

void load_external_data(ModelProto& m, ExternalFiles& files) {
  each_model_tensor(m, [&](TensorProto& t) {
    if (!is_external(t)) return;
    t.raw_data = files.payload(t);
    t.external_data.clear();
    t.data_location.reset();
  });
}

void write_model_file(ModelProto m, const std::string& path, const WriteOptions& o) {
  bool split =
      o.external == External::kAlways || (o.external == External::kAuto && wire_size(m) > o.max_proto_bytes);
  if (split && m.graph)
    write_with_data_file(m, path, o);
  else
    serialize_file(m, path, o.max_proto_bytes);
}

}  // namespace skiff::onnx
