// Gradients of matrix products.
#include <algorithm>
#include <set>

#include "ops/grad.h"

namespace skiff {
namespace {

using grad::Context;

// The last two axes swapped.
ValueId transposed(Context& c, ValueId v, int64_t rank) {
  std::vector<int64_t> perm(static_cast<size_t>(rank));
  for (size_t i = 0; i < perm.size(); ++i) perm[i] = static_cast<int64_t>(i);
  std::swap(perm[perm.size() - 1], perm[perm.size() - 2]);
  return c.op("Transpose", {v}, {{"perm", perm}});
}

// The gradient of a product's operand, summed over the leading axes it was repeated along.
ValueId sum_batches(Context& c, ValueId g, ValueId like, int64_t have) {
  int64_t r = c.rank(like);
  std::vector<int64_t> extra;
  for (int64_t i = 0; i < have - r; ++i) extra.push_back(i);
  g = c.sum(g, extra, false);
  if (r <= 2) return g;
  // Extents of 1 that stand for more in the other operand: found from the shapes themselves.
  ValueId own = c.shape_of(like), got = c.shape_of(g);
  ValueId where = c.op("NonZero", {c.op("Not", {c.op("Equal", {own, got})})});
  return c.op("ReduceSum", {g, c.op("Reshape", {where, c.ints({-1})})},
              {{"keepdims", int64_t{1}}, {"noop_with_empty_axes", int64_t{1}}});
}

}  // namespace

SKIFF_GRAD_DEF(MatMul) {
  ValueId a = c.in(0), b = c.in(1), g = c.grad();
  int64_t ra = c.rank(a), rb = c.rank(b);
  // Vectors become matrices of one row or column.
  ValueId ma = ra == 1 ? c.op("Unsqueeze", {a, c.ints({0})}) : a;
  ValueId mb = rb == 1 ? c.op("Unsqueeze", {b, c.ints({1})}) : b;
  if (rb == 1) g = c.op("Unsqueeze", {g, c.ints({-1})});
  if (ra == 1) g = c.op("Unsqueeze", {g, c.ints({-2})});
  int64_t r = std::max<int64_t>({ra, rb, 2});
  bool same = ra == rb && ra >= 2;
  for (int64_t i = 0; same && i < ra - 2; ++i)
    same = c.shape(a)[static_cast<size_t>(i)] == c.shape(b)[static_cast<size_t>(i)];
  if (c.wants(0)) {
    ValueId d = c.op("MatMul", {g, transposed(c, mb, std::max<int64_t>(rb, 2))});
    if (ra == 1)
      c.set(0, c.reshape_like(sum_batches(c, d, ma == a ? a : c.in(0), r - 1), a));
    else
      c.set(0, same ? d : sum_batches(c, d, a, r));
  }
  if (c.wants(1)) {
    ValueId d = c.op("MatMul", {transposed(c, ma, std::max<int64_t>(ra, 2)), g});
    if (rb == 1) {
      std::vector<int64_t> lead;
      for (int64_t i = 0; i < r - 2; ++i) lead.push_back(i);
      c.set(1, c.reshape_like(c.sum(d, lead, false), b));
    } else {
      c.set(1, same ? d : sum_batches(c, d, b, r));
    }
  }
}

SKIFF_GRAD_DEF(Gemm) {
  const Node& n = c.node();
  bool ta = n.attr_i("transA", 0) != 0, tb = n.attr_i("transB", 0) != 0;
  float alpha = n.attr_f("alpha", 1), beta = n.attr_f("beta", 1);
  auto gemm = [&](ValueId l, ValueId r, bool tl, bool tr) {
    return c.op("Gemm", {l, r}, {{"transA", int64_t{tl}}, {"transB", int64_t{tr}}, {"alpha", alpha}});
  };
  ValueId a = c.in(0), b = c.in(1), g = c.grad();
  if (c.wants(0)) c.set(0, ta ? gemm(b, g, tb, true) : gemm(g, b, false, !tb));
  if (c.wants(1)) c.set(1, tb ? gemm(g, a, true, ta) : gemm(a, g, !ta, false));
  if (c.wants(2)) {
    ValueId scaled = beta == 1 ? g : c.mul(g, c.number(static_cast<double>(beta), c.out(0)));
    c.set(2, c.sum_to(scaled, c.in(2), c.out(0)));
  }
}

// Each operand's gradient is again an Einsum, of the result's gradient and the other operand. A letter that
// only this operand has was summed over: its gradient is repeated along it.
SKIFF_GRAD_DEF(Einsum) {
  std::string e;
  for (char ch : c.node().attr_s("equation", ""))
    if (ch != ' ') e += ch;
  size_t arrow = e.find("->"), comma = e.find(',');
  check(arrow != std::string::npos && e.find('.') == std::string::npos && c.node().inputs.size() <= 2,
        Code::kUnsupported, "the gradient of Einsum '", e,
        "' is not built; it needs an explicit result, no ellipsis and at most two operands");
  std::string out = e.substr(arrow + 2);
  bool two = comma != std::string::npos;
  std::string terms[2] = {e.substr(0, two ? comma : arrow),
                          two ? e.substr(comma + 1, arrow - comma - 1) : ""};
  for (size_t i = 0; i < (two ? 2 : 1); ++i) {
    if (!c.wants(i)) continue;
    const std::string& mine = terms[i];
    check(std::set<char>(mine.begin(), mine.end()).size() == mine.size(), Code::kUnsupported,
          "the gradient of a diagonal ('", mine, "') is not built");
    std::string known;
    for (char l : mine)
      if (out.find(l) != std::string::npos || (two && terms[1 - i].find(l) != std::string::npos)) known += l;
    std::vector<ValueId> in{c.grad()};
    if (two) in.push_back(c.in(1 - i));
    ValueId d = c.op("Einsum", in, {{"equation", cat(out, two ? "," + terms[1 - i] : "", "->", known)}});
    if (known.size() < mine.size()) {
      std::vector<int64_t> missing;
      for (size_t k = 0; k < mine.size(); ++k)
        if (known.find(mine[k]) == std::string::npos) missing.push_back(static_cast<int64_t>(k));
      d = c.op("Expand", {c.op("Unsqueeze", {d, c.ints(missing)}), c.shape_of(c.in(i))});
    }
    c.set(i, d);
  }
}

}  // namespace skiff
