#include "passes/match.h"

#include <cmath>

namespace skiff::passes {
namespace {

constexpr int kMaxDepth = 12;

bool multiply_out(const Graph& g, ValueId v, bool root, int depth, Product& r) {
  const Node* n = producer(g, v);
  bool inside = root || only_use(g, v);
  if (auto c = scalar_of(g, v)) {
    r.constant *= *c;
    return true;
  }
  if (inside && n && depth < kMaxDepth && n->is("Mul") && n->inputs.size() == 2)
    return multiply_out(g, n->inputs[0], false, depth + 1, r) &&
           multiply_out(g, n->inputs[1], false, depth + 1, r);
  if (inside && n && depth < kMaxDepth && n->is("Div")) {
    auto c = scalar_of(g, n->inputs[1]);
    if (c && *c != 0) {
      r.constant /= *c;
      return multiply_out(g, n->inputs[0], false, depth + 1, r);
    }
  }
  r.terms.push_back(v);
  return r.terms.size() <= 4;
}

std::optional<Poly> times(const Poly& a, const Poly& b) {
  Poly r{};
  for (size_t i = 0; i < 4; ++i)
    for (size_t j = 0; j < 4; ++j) {
      if (a[i] == 0 || b[j] == 0) continue;
      if (i + j > 3) return std::nullopt;
      r[i + j] += a[i] * b[j];
    }
  return r;
}

std::optional<Poly> expand(const Graph& g, ValueId v, ValueId x, int depth) {
  if (v == x) return Poly{0, 1, 0, 0};
  if (auto c = scalar_of(g, v)) return Poly{*c, 0, 0, 0};
  const Node* n = producer(g, v);
  if (!n || depth >= kMaxDepth || !n->domain.empty() || n->inputs.size() != 2 || n->opset < 7)
    return std::nullopt;
  if (n->op == "Pow") {
    auto power = scalar_of(g, n->inputs[1]);
    auto base = expand(g, n->inputs[0], x, depth + 1);
    if (!power || !base || (*power != 2 && *power != 3)) return std::nullopt;
    auto r = times(*base, *base);
    return r && *power == 3 ? times(*r, *base) : r;
  }
  if (n->op != "Add" && n->op != "Sub" && n->op != "Mul" && n->op != "Div") return std::nullopt;
  auto a = expand(g, n->inputs[0], x, depth + 1);
  auto b = a ? expand(g, n->inputs[1], x, depth + 1) : std::nullopt;
  if (!a || !b) return std::nullopt;
  if (n->op == "Mul") return times(*a, *b);
  if (n->op == "Div") {
    if ((*b)[0] == 0 || (*b)[1] != 0 || (*b)[2] != 0 || (*b)[3] != 0) return std::nullopt;
    return times(*a, Poly{1 / (*b)[0], 0, 0, 0});
  }
  Poly r{};
  for (size_t i = 0; i < 4; ++i) r[i] = n->op == "Add" ? (*a)[i] + (*b)[i] : (*a)[i] - (*b)[i];
  return r;
}

}  // namespace

std::optional<Product> product_of(const Graph& g, ValueId v) {
  Product r;
  if (!multiply_out(g, v, true, 0, r)) return std::nullopt;
  return r;
}

std::optional<Poly> polynomial_in(const Graph& g, ValueId v, ValueId x) { return expand(g, v, x, 0); }

bool close(double a, double b) { return std::abs(a - b) <= 2e-5 * std::abs(b); }

bool close(const Poly& p, const Poly& q) {
  for (size_t i = 0; i < 4; ++i)
    if (!close(p[i], q[i])) return false;
  return true;
}

ValueId added_to(const Graph& g, ValueId v, double c) {
  const Node* n = made_by(g, v, "Add");
  if (!n || n->inputs.size() != 2 || !only_use(g, v)) return kNoValue;
  for (size_t k = 0; k < 2; ++k) {
    auto s = scalar_of(g, n->inputs[k]);
    if (s && close(*s, c)) return n->inputs[1 - k];
  }
  return kNoValue;
}

}  // namespace skiff::passes
