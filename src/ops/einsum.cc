// Einsum, by plain summation over every label.
#include <algorithm>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

// Labels are letters; the axes an ellipsis stands for get labels of their own, counted from the last axis:
// kEllipsis + 0 is the innermost.
constexpr int kEllipsis = 256;

using Labels = std::vector<int>;

struct Equation {
  std::vector<Labels> inputs;
  Labels output;
};

Labels parse_term(std::string_view term, size_t ellipsis_rank) {
  Labels l;
  bool seen = false;
  for (size_t i = 0; i < term.size(); ++i) {
    char ch = term[i];
    if (ch == '.') {
      check(term.substr(i, 3) == "..." && !seen, Code::kInvalidModel, "the term '", term,
            "' has a misplaced ellipsis");
      seen = true;
      for (size_t k = ellipsis_rank; k-- > 0;) l.push_back(kEllipsis + static_cast<int>(k));
      i += 2;
      continue;
    }
    bool letter = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z');
    check(letter, Code::kInvalidModel, "the term '", term, "' has a character that is no letter");
    l.push_back(ch);
  }
  return l;
}

// ranks: of the inputs. Throws kInvalidModel when the equation does not fit them.
Equation parse(const Node& n, const std::vector<size_t>& ranks) {
  std::string text = n.attr_s("equation", "");
  std::erase(text, ' ');
  std::string right;
  size_t arrow = text.find("->");
  bool explicit_output = arrow != std::string::npos;
  if (explicit_output) {
    right = text.substr(arrow + 2);
    text.resize(arrow);
  }
  Equation e;
  size_t widest = 0, begin = 0;
  for (size_t i = 0; i < ranks.size(); ++i) {
    check(begin <= text.size(), Code::kInvalidModel, "the equation has fewer terms than inputs");
    size_t end = std::min(text.find(',', begin), text.size());
    std::string_view term = std::string_view(text).substr(begin, end - begin);
    bool dots = term.find('.') != std::string_view::npos;
    size_t letters = term.size() - (dots ? 3 : 0);
    check((!dots || term.size() >= 3) && (dots ? letters <= ranks[i] : letters == ranks[i]),
          Code::kInvalidModel, "the term '", term, "' does not fit an input of rank ", ranks[i]);
    size_t hidden = dots ? ranks[i] - letters : 0;
    widest = std::max(widest, hidden);
    e.inputs.push_back(parse_term(term, hidden));
    begin = end + 1;
  }
  check(begin == text.size() + 1, Code::kInvalidModel, "the equation has more terms than inputs");
  if (explicit_output) {
    e.output = parse_term(right, widest);
    for (int l : e.output) {
      bool known = l >= kEllipsis;
      for (const Labels& in : e.inputs) known = known || std::find(in.begin(), in.end(), l) != in.end();
      check(known && std::count(e.output.begin(), e.output.end(), l) == 1, Code::kInvalidModel,
            "the result repeats a label or names one that no input has");
    }
    return e;
  }
  // Implicit form: the ellipsis, then the labels that occur once, in alphabetic order.
  for (size_t k = widest; k-- > 0;) e.output.push_back(kEllipsis + static_cast<int>(k));
  for (int l = 0; l < kEllipsis; ++l) {
    ptrdiff_t times = 0;
    for (const Labels& in : e.inputs) times += std::count(in.begin(), in.end(), l);
    if (times == 1) e.output.push_back(l);
  }
  return e;
}

void infer_einsum(InferContext& c) {
  std::vector<size_t> ranks;
  for (size_t i = 0; i < c.inputs(); ++i) {
    if (!c.has_rank(i)) return c.set(0, c.dtype(0));
    ranks.push_back(c.shape(i).rank());
  }
  Equation e = parse(c.node(), ranks);
  std::vector<Dim> d;
  for (int l : e.output) {
    SymShape extent({Dim(int64_t{1})});
    for (size_t i = 0; i < e.inputs.size(); ++i)
      for (size_t k = 0; k < e.inputs[i].size(); ++k)
        if (e.inputs[i][k] == l) extent = broadcast(extent, SymShape(std::vector<Dim>{c.shape(i)[k]}));
    d.push_back(extent[0]);
  }
  c.set(0, c.dtype(0), SymShape(std::move(d)));
}

template <class W>
void sum_products(const std::vector<Tensor>& in, Tensor& y, ref::StridedRuns r) {
  std::vector<W> acc(static_cast<size_t>(y.size()), W(0));
  W product[ref::kBlock], factor[ref::kBlock];
  while (r.next()) {
    for (int64_t b = 0; b < r.n(); b += ref::kBlock) {
      int64_t n = std::min(ref::kBlock, r.n() - b);
      for (size_t i = 0; i < in.size(); ++i) {
        W* to = i == 0 ? product : factor;
        ref::load(in[i], r.at(i + 1) + b * r.step(i + 1), r.step(i + 1), n, to);
        for (int64_t k = 0; i > 0 && k < n; ++k) {
          if constexpr (std::is_same_v<W, int64_t>)
            product[k] =
                static_cast<int64_t>(static_cast<uint64_t>(product[k]) * static_cast<uint64_t>(factor[k]));
          else
            product[k] *= factor[k];
        }
      }
      W* a = acc.data() + r.at(0) + b * r.step(0);
      for (int64_t k = 0; k < n; ++k) {
        if constexpr (std::is_same_v<W, int64_t>)
          a[k * r.step(0)] = static_cast<int64_t>(static_cast<uint64_t>(a[k * r.step(0)]) +
                                                  static_cast<uint64_t>(product[k]));
        else
          a[k * r.step(0)] += product[k];
      }
    }
  }
  ref::store(y, 0, y.size(), acc.data());
}

void einsum_reference(KernelContext& c) {
  std::vector<Tensor> in;
  std::vector<size_t> ranks;
  for (size_t i = 0; i < c.inputs(); ++i) {
    in.push_back(c.in(i));
    ranks.push_back(in.back().dims().size());
  }
  Equation e = parse(c.node(), ranks);
  // All labels: the output's first, then those summed over.
  Labels all = e.output;
  for (const Labels& l : e.inputs)
    for (int x : l)
      if (std::find(all.begin(), all.end(), x) == all.end()) all.push_back(x);
  Dims extents(all.size(), 1);
  std::vector<Dims> strides(1 + in.size(), Dims(all.size()));
  for (size_t i = 0; i < in.size(); ++i) {
    Dims own = strides_of(in[i].dims());
    for (size_t k = 0; k < e.inputs[i].size(); ++k) {
      auto l = static_cast<size_t>(std::find(all.begin(), all.end(), e.inputs[i][k]) - all.begin());
      int64_t n = in[i].dims()[k];
      check(n == extents[l] || n == 1 || extents[l] == 1, Code::kInvalidArgument, "a label has the extents ",
            extents[l], " and ", n);
      if (n != 1) {
        extents[l] = n;
        strides[1 + i][l] += own[k];
      }
    }
  }
  Dims d(extents.begin(), extents.begin() + e.output.size());
  Tensor& y = c.out(0, in[0].dtype(), d);
  Dims own = strides_of(d);
  for (size_t k = 0; k < d.size(); ++k) strides[0][k] = own[k];
  ref::StridedRuns runs(extents, strides);
  dtype_is_integer(y.dtype()) ? sum_products<int64_t>(in, y, runs) : sum_products<double>(in, y, runs);
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, Einsum) {
  return {.name = "Einsum",
          .versions = {12, 28},
          .inputs = {{"Inputs", kNumericTypes, 'T', Arity::kVariadic}},
          .outputs = {{"Output", kNumericTypes, 'T'}},
          .attributes = {{"equation", AttrType::kString, true}},
          .infer = infer_einsum,
          .reference = einsum_reference};
}

}  // namespace skiff
