// TfIdfVectorizer: counts of n-grams.
#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "ops/ref_util.h"
#include "ops/rule_util.h"

namespace skiff {
namespace {

struct NgramSettings {
  std::string mode;
  std::vector<int64_t> counts, indexes;
  std::vector<float> weights;
  int64_t shortest = 0, longest = 0, skips = 0, width = 0;
};

NgramSettings ngram_settings(const Node& n) {
  NgramSettings s;
  s.mode = n.attr_s("mode", "TF");
  check(s.mode == "TF" || s.mode == "IDF" || s.mode == "TFIDF", Code::kInvalidModel, "attribute 'mode' = '",
        s.mode, "'; it must be 'TF', 'IDF' or 'TFIDF'");
  s.counts = n.attr_ints("ngram_counts");
  s.indexes = n.attr_ints("ngram_indexes");
  s.weights = n.attr_floats("weights");
  s.shortest = n.attr_i("min_gram_length", 1);
  s.longest = n.attr_i("max_gram_length", 1);
  s.skips = n.attr_i("max_skip_count", 0);
  check(s.shortest >= 1 && s.longest >= s.shortest && s.skips >= 0, Code::kInvalidModel,
        "n-gram lengths from ", s.shortest, " to ", s.longest, " with ", s.skips, " skips are not possible");
  for (int64_t i : s.indexes) {
    check(i >= 0 && i < (int64_t{1} << 31), Code::kInvalidModel, "ngram_indexes holds ", i);
    s.width = std::max(s.width, i + 1);
  }
  check(s.width > 0, Code::kInvalidModel, "ngram_indexes is empty");
  // As every run time has it, a weight belongs to a column of the output.
  check(s.mode == "TF" || s.weights.empty() || static_cast<int64_t>(s.weights.size()) >= s.width,
        Code::kInvalidModel, "there are ", s.weights.size(), " weights for ", s.width, " columns");
  return s;
}

// The pool's n-grams as a tree: node 0 is its root.
template <class Token>
class NgramTree {
 public:
  NgramTree(const NgramSettings& s, const std::vector<Token>& pool) : nodes_(1) {
    auto size = static_cast<int64_t>(pool.size());
    size_t id = 0;
    for (size_t k = 0; k < s.counts.size(); ++k) {
      auto length = static_cast<int64_t>(k) + 1;
      int64_t begin = s.counts[k], end = k + 1 < s.counts.size() ? s.counts[k + 1] : size;
      check(begin >= 0 && begin <= end && end <= size && (end - begin) % length == 0, Code::kInvalidModel,
            "ngram_counts does not divide the pool of ", size, " items");
      for (; begin < end; begin += length, ++id) {
        check(id < s.indexes.size(), Code::kInvalidModel, "ngram_indexes has ", s.indexes.size(),
              " entries, fewer than there are n-grams");
        if (length < s.shortest || length > s.longest) continue;
        size_t at = 0;
        for (int64_t i = begin; i < begin + length; ++i) {
          size_t fresh = nodes_.size();
          auto [it, added] = nodes_[at].next.try_emplace(pool[static_cast<size_t>(i)], fresh);
          at = it->second;
          if (added) nodes_.emplace_back();
        }
        nodes_[at].column = s.indexes[id];
      }
    }
  }

  // Adds the n-grams of a row, whose items lie `distance` apart, to the counts of its columns.
  void count(const NgramSettings& s, const Token* row, int64_t n, int64_t distance, int64_t shortest,
             double* counts) const {
    for (int64_t start = 0; start < n; ++start) {
      size_t at = 0;
      int64_t length = 1;
      for (int64_t i = start; i < n && length <= s.longest; i += distance, ++length) {
        auto it = nodes_[at].next.find(row[i]);
        if (it == nodes_[at].next.end()) break;
        at = it->second;
        if (length >= shortest && nodes_[at].column >= 0) counts[nodes_[at].column] += 1;
      }
    }
  }

 private:
  struct Branch {
    std::unordered_map<Token, size_t> next;
    int64_t column = -1;
  };
  std::vector<Branch> nodes_;
};

template <class Token>
void vectorize(const NgramSettings& s, const std::vector<Token>& pool, const std::vector<Token>& x,
               int64_t rows, Tensor& y) {
  NgramTree<Token> tree(s, pool);
  int64_t n = rows ? static_cast<int64_t>(x.size()) / rows : 0;
  std::vector<double> counts(static_cast<size_t>(s.width));
  for (int64_t r = 0; r < rows; ++r) {
    std::fill(counts.begin(), counts.end(), 0.0);
    // Single items know no skips: they are counted once.
    for (int64_t skip = 0; skip <= std::min(s.skips, n); ++skip) {
      int64_t shortest = skip == 0 ? s.shortest : std::max<int64_t>(s.shortest, 2);
      if (shortest > s.longest) break;
      tree.count(s, x.data() + r * n, n, skip + 1, shortest, counts.data());
    }
    float* out = y.data<float>() + r * s.width;
    for (size_t i = 0; i < counts.size(); ++i) {
      double w = s.mode == "TF" || s.weights.empty() ? 1.0 : static_cast<double>(s.weights[i]);
      out[i] = static_cast<float>(w * (s.mode == "IDF" ? std::min(counts[i], 1.0) : counts[i]));
    }
  }
}

void infer_vectorizer(InferContext& c) {
  Dim width(ngram_settings(c.node()).width);
  const SymShape& x = c.shape(0);
  if (!x.has_rank()) return c.set(0, DType::kFloat);
  check(x.rank() <= 2, Code::kInvalidModel, "the input must be [C] or [N, C], it has shape ", x.to_string());
  c.set(0, DType::kFloat,
        x.rank() == 2 ? SymShape(std::vector<Dim>{x[0], width}) : SymShape(std::vector<Dim>{width}));
}

void vectorizer_reference(KernelContext& c) {
  const Tensor& x = c.in(0);
  const Node& node = c.node();
  NgramSettings s = ngram_settings(node);
  check(x.rank() <= 2, Code::kInvalidModel, "the input must be [C] or [N, C], it is ", describe(x));
  check(node.has_attr("pool_strings") != node.has_attr("pool_int64s"), Code::kInvalidModel,
        "exactly one of pool_strings and pool_int64s must be given");
  check((x.dtype() == DType::kString) == node.has_attr("pool_strings"), Code::kInvalidModel, "the input is ",
        describe(x), ", the pool is of another type");
  int64_t rows = x.rank() == 2 ? x.dim(0) : 1;
  Tensor& y = c.out(0, DType::kFloat, x.rank() == 2 ? Dims{rows, s.width} : Dims{s.width});
  if (x.dtype() == DType::kString) {
    std::vector<std::string> pool = node.attr_strings("pool_strings");
    vectorize<std::string_view>(s, {pool.begin(), pool.end()},
                                {x.data<std::string>(), x.data<std::string>() + x.size()}, rows, y);
  } else {
    vectorize<int64_t>(s, node.attr_ints("pool_int64s"), to_ints(x), rows, y);
  }
}

}  // namespace

SKIFF_OP_DEF(ai_onnx, TfIdfVectorizer) {
  return {.name = "TfIdfVectorizer",
          .versions = {9},
          .inputs = {{"X", kIndexTypes | rule::kStringType}},
          .outputs = {{"Y", mask_of(DType::kFloat)}},
          .attributes = {{"max_gram_length", AttrType::kInt, true},
                         {"max_skip_count", AttrType::kInt, true},
                         {"min_gram_length", AttrType::kInt, true},
                         {"mode", AttrType::kString, true},
                         {"ngram_counts", AttrType::kInts, true},
                         {"ngram_indexes", AttrType::kInts, true},
                         {"pool_int64s", AttrType::kInts},
                         {"pool_strings", AttrType::kStrings},
                         {"weights", AttrType::kFloats}},
          .infer = infer_vectorizer,
          .reference = vectorizer_reference};
}

}  // namespace skiff
