#include "tensor/sym_dim.h"

#include <algorithm>

namespace skiff {
namespace {

using Term = Dim::Term;
using Poly = Dim::Poly;

// Bounds the work hostile models can cause: larger expressions become unknown.
constexpr size_t kMaxTerms = 32, kMaxAtoms = 16, kMaxText = 400;

bool atoms_less(const Term& a, const Term& b) { return a.atoms < b.atoms; }

// Sorts and merges terms. nullopt on overflow.
std::optional<Poly> normal(Poly p) {
  std::sort(p.begin(), p.end(), atoms_less);
  Poly r;
  for (Term& t : p) {
    if (!r.empty() && r.back().atoms == t.atoms) {
      if (__builtin_add_overflow(r.back().coef, t.coef, &r.back().coef)) return std::nullopt;
    } else {
      r.push_back(std::move(t));
    }
  }
  std::erase_if(r, [](const Term& t) { return t.coef == 0; });
  if (r.size() > kMaxTerms) return std::nullopt;
  return r;
}

}  // namespace

struct DimOps {
  // Divides every term of a by the single term b; nullopt unless exact.
  static std::optional<Poly> divide(const Poly& a, const Term& b) {
    Poly r;
    for (const Term& t : a) {
      if (b.coef == 0 || (b.coef == -1 && t.coef == INT64_MIN) || t.coef % b.coef) return std::nullopt;
      Term q{t.atoms, t.coef / b.coef};
      for (const std::string& x : b.atoms) {
        auto it = std::find(q.atoms.begin(), q.atoms.end(), x);
        if (it == q.atoms.end()) return std::nullopt;
        q.atoms.erase(it);
      }
      r.push_back(std::move(q));
    }
    return r;
  }
};

Dim Dim::symbol(const std::string& name) { return from_poly({Term{{name}, 1}}); }

Dim::Poly Dim::poly() const {
  if (poly_) return *poly_;
  if (value_ == 0) return {};
  return {Term{{}, value_}};
}

Dim Dim::from_poly(Poly p) {
  auto n = normal(std::move(p));
  if (!n) return {};
  if (n->empty()) return int64_t{0};
  if (n->size() == 1 && (*n)[0].atoms.empty()) return (*n)[0].coef;
  Dim d;
  d.known_ = true;
  d.poly_ = std::make_shared<const Poly>(std::move(*n));
  return d;
}

Dim Dim::opaque(const char* fn, const Dim& a, const Dim& b) {
  std::string name = cat(fn, "(", a.to_string(), ", ", b.to_string(), ")");
  return name.size() > kMaxText ? Dim() : symbol(name);
}

std::string Dim::to_string() const {
  if (!known_) return "?";
  if (!poly_) return std::to_string(value_);
  std::string s;
  auto put = [&s](const Term& t) {
    bool first = s.empty();
    int64_t c = t.coef;
    if (first && c < 0) s += "-";
    if (!first) s += c < 0 ? " - " : " + ";
    std::string mag = c < 0 ? std::to_string(c).substr(1) : std::to_string(c);
    bool show = t.atoms.empty() || mag != "1";
    if (show) s += mag;
    for (const std::string& a : t.atoms) {
      if (show) s += "*";
      s += a;
      show = true;
    }
  };
  for (const Term& t : *poly_)
    if (!t.atoms.empty()) put(t);
  for (const Term& t : *poly_)
    if (t.atoms.empty()) put(t);
  return s;
}

Dim operator+(const Dim& a, const Dim& b) {
  if (!a.known_ || !b.known_) return {};
  if (!a.poly_ && !b.poly_) {
    int64_t r = 0;
    return __builtin_add_overflow(a.value_, b.value_, &r) ? Dim() : Dim(r);
  }
  Poly p = a.poly(), q = b.poly();
  p.insert(p.end(), q.begin(), q.end());
  return Dim::from_poly(std::move(p));
}

Dim operator-(const Dim& a, const Dim& b) { return a + b * Dim(int64_t{-1}); }

Dim operator*(const Dim& a, const Dim& b) {
  if (a.is(0) || b.is(0)) return int64_t{0};
  if (!a.known_ || !b.known_) return {};
  if (!a.poly_ && !b.poly_) {
    int64_t r = 0;
    return __builtin_mul_overflow(a.value_, b.value_, &r) ? Dim() : Dim(r);
  }
  Poly r;
  for (const Term& x : a.poly()) {
    for (const Term& y : b.poly()) {
      Term t = x;
      if (__builtin_mul_overflow(x.coef, y.coef, &t.coef)) return {};
      t.atoms.insert(t.atoms.end(), y.atoms.begin(), y.atoms.end());
      if (t.atoms.size() > kMaxAtoms) return {};
      std::sort(t.atoms.begin(), t.atoms.end());
      r.push_back(std::move(t));
    }
  }
  return Dim::from_poly(std::move(r));
}

bool operator==(const Dim& a, const Dim& b) {
  if (!a.known_ || !b.known_) return false;
  if (!a.poly_ && !b.poly_) return a.value_ == b.value_;
  return a.poly_ && b.poly_ && (a.poly_ == b.poly_ || *a.poly_ == *b.poly_);
}

Dim floor_div(const Dim& a, const Dim& b) {
  if (!a.known_ || !b.known_ || b.is(0)) return {};
  if (b.is(1)) return a;
  if (!a.poly_ && !b.poly_) {
    if (b.value_ == -1) return Dim(int64_t{0}) - a;
    int64_t q = a.value_ / b.value_;
    if (a.value_ % b.value_ && (a.value_ < 0) != (b.value_ < 0)) --q;
    return q;
  }
  Poly d = b.poly();
  if (d.size() == 1)
    if (auto q = DimOps::divide(a.poly(), d[0])) return Dim::from_poly(std::move(*q));
  if (a == b) return int64_t{1};
  return Dim::opaque("floordiv", a, b);
}

Dim ceil_div(const Dim& a, const Dim& b) {
  Dim zero = int64_t{0};
  if (a.is_const() && b.is_const()) return zero - floor_div(zero - a, b);
  if (!a.known_ || !b.known_ || b.is(0)) return {};
  if (b.is(1)) return a;
  Poly d = b.poly();
  if (d.size() == 1)
    if (auto q = DimOps::divide(a.poly(), d[0])) return Dim::from_poly(std::move(*q));
  return Dim::opaque("ceildiv", a, b);
}

Dim dim_min(const Dim& a, const Dim& b) {
  if (!a.known_ || !b.known_) return {};
  if (a == b) return a;
  Dim diff = a - b;
  if (diff.is_const()) return diff.value() < 0 ? a : b;
  return Dim::opaque("min", a, b);
}

Dim dim_max(const Dim& a, const Dim& b) {
  if (!a.known_ || !b.known_) return {};
  if (a == b) return a;
  Dim diff = a - b;
  if (diff.is_const()) return diff.value() > 0 ? a : b;
  return Dim::opaque("max", a, b);
}

SymShape::SymShape(const Dims& d) : ranked_(true), dims_(d.begin(), d.end()) {}

bool SymShape::is_static() const {
  return ranked_ && std::all_of(dims_.begin(), dims_.end(), [](const Dim& d) { return d.is_const(); });
}

Dims SymShape::to_dims() const {
  Dims d;
  for (const Dim& x : dims_) d.push_back(x.value());
  return d;
}

Dim SymShape::count() const {
  if (!ranked_) return {};
  Dim n = int64_t{1};
  for (const Dim& d : dims_) n = n * d;
  return n;
}

std::string SymShape::to_string() const {
  if (!ranked_) return "[...]";
  std::string s = "[";
  for (size_t i = 0; i < dims_.size(); ++i) {
    if (i) s += ", ";
    s += dims_[i].to_string();
  }
  return s + "]";
}

SymShape broadcast(const SymShape& a, const SymShape& b) {
  if (!a.has_rank() || !b.has_rank()) return {};
  const SymShape& l = a.rank() >= b.rank() ? a : b;
  const SymShape& s = a.rank() >= b.rank() ? b : a;
  SymShape r = l;
  size_t off = l.rank() - s.rank();
  for (size_t i = 0; i < s.rank(); ++i) {
    const Dim &x = l[off + i], &y = s[i];
    if (x.is(1)) {
      r[off + i] = y;
    } else if (y.is(1) || x == y) {
      r[off + i] = x;
    } else if (x.is_const() && y.is_const()) {
      fail(Code::kInvalidModel, "shapes ", a.to_string(), " and ", b.to_string(),
           " cannot be broadcast together");
    } else if (x.is_const()) {
      r[off + i] = x;
    } else if (y.is_const()) {
      r[off + i] = y;
    } else {
      r[off + i] = Dim();
    }
  }
  return r;
}

Type Type::tensor(DType t, SymShape s) {
  Type r;
  r.kind = Kind::kTensor;
  r.dtype = t;
  r.shape = std::move(s);
  return r;
}
Type Type::sequence(Type e) {
  Type r;
  r.kind = Kind::kSequence;
  r.elem = std::make_shared<const Type>(std::move(e));
  return r;
}
Type Type::optional(Type e) {
  Type r;
  r.kind = Kind::kOptional;
  r.elem = std::make_shared<const Type>(std::move(e));
  return r;
}
Type Type::map(DType key, Type value) {
  Type r;
  r.kind = Kind::kMap;
  r.dtype = key;
  r.elem = std::make_shared<const Type>(std::move(value));
  return r;
}

std::string Type::to_string() const {
  switch (kind) {
    case Kind::kTensor: return cat(dtype_name(dtype), shape.to_string());
    case Kind::kSparse: return cat("sparse(", dtype_name(dtype), shape.to_string(), ")");
    case Kind::kSequence: return cat("seq(", elem ? elem->to_string() : "?", ")");
    case Kind::kOptional: return cat("optional(", elem ? elem->to_string() : "?", ")");
    case Kind::kMap: return cat("map(", dtype_name(dtype), ", ", elem ? elem->to_string() : "?", ")");
    case Kind::kOpaque: return cat("opaque(", denotation, ")");
    default: return "?";
  }
}

}  // namespace skiff
