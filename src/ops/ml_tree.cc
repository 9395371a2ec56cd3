// ai.onnx.ml tree ensembles: both generations are turned into one table of nodes.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "ops/ml.h"

namespace skiff {
namespace ml {
namespace {

enum class Mode : uint8_t { kLeq, kLt, kGte, kGt, kEq, kNeq, kMember, kLeaf };

struct TreeNode {
  Mode mode = Mode::kLeaf;
  bool missing_true = false;  // NaN goes the true way
  int64_t feature = 0;
  double value = 0;
  size_t yes = 0, no = 0;                        // node indices
  std::vector<double> members;                   // kMember
  std::vector<std::pair<int64_t, double>> leaf;  // (target, weight)
};

struct Forest {
  std::vector<TreeNode> nodes;
  std::vector<size_t> roots;

  const TreeNode& walk(size_t root, const double* x, int64_t features) const {
    const TreeNode* n = &nodes[root];
    for (size_t steps = 0; n->mode != Mode::kLeaf; ++steps) {
      check(steps < nodes.size(), Code::kInvalidModel, "a tree of the ensemble runs in a circle");
      check(n->feature >= 0 && n->feature < features, Code::kInvalidModel, "a tree asks for feature ",
            n->feature, " of ", features);
      double v = x[n->feature];
      bool yes = false;
      switch (n->mode) {
        case Mode::kLeq: yes = v <= n->value; break;
        case Mode::kLt: yes = v < n->value; break;
        case Mode::kGte: yes = v >= n->value; break;
        case Mode::kGt: yes = v > n->value; break;
        case Mode::kEq: yes = v == n->value; break;
        case Mode::kNeq: yes = v != n->value; break;
        default: yes = std::find(n->members.begin(), n->members.end(), v) != n->members.end();
      }
      if (v != v && n->missing_true) yes = true;
      n = &nodes[yes ? n->yes : n->no];
    }
    return *n;
  }
};

// A list given as floats, or since version 3 as a tensor.
std::vector<double> numbers_of(const Node& n, const std::string& name) {
  if (const Tensor* t = n.attr_tensor(name + "_as_tensor")) return ref::to_doubles(*t);
  std::vector<float> f = n.attr_floats(name);
  return {f.begin(), f.end()};
}

// Versions 1 and 3. `prefix`: "class" or "target".
Forest forest_of(const Node& n, const std::string& prefix) {
  std::vector<int64_t> trees = n.attr_ints("nodes_treeids"), ids = n.attr_ints("nodes_nodeids");
  std::vector<int64_t> features = n.attr_ints("nodes_featureids"), yes = n.attr_ints("nodes_truenodeids");
  std::vector<int64_t> no = n.attr_ints("nodes_falsenodeids"),
                       missing = n.attr_ints("nodes_missing_value_tracks_true");
  std::vector<std::string> modes = n.attr_strings("nodes_modes");
  std::vector<double> values = numbers_of(n, "nodes_values");
  size_t count = trees.size();
  for (size_t s : {ids.size(), features.size(), yes.size(), no.size(), modes.size(), values.size()})
    check(s == count, Code::kInvalidModel, "the lists of nodes differ in length: ", s, " and ", count);
  check(missing.empty() || missing.size() == count, Code::kInvalidModel,
        "nodes_missing_value_tracks_true has ", missing.size(), " entries for ", count, " nodes");
  Forest f;
  f.nodes.resize(count);
  std::map<std::pair<int64_t, int64_t>, size_t> at;
  for (size_t i = 0; i < count; ++i)
    check(at.emplace(std::pair(trees[i], ids[i]), i).second, Code::kInvalidModel, "node ", ids[i],
          " of tree ", trees[i], " is listed twice");
  static constexpr const char* kModes[] = {"BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE",    "BRANCH_GT",
                                           "BRANCH_EQ",  "BRANCH_NEQ", "BRANCH_MEMBER", "LEAF"};
  std::vector<bool> child(count);
  for (size_t i = 0; i < count; ++i) {
    TreeNode& t = f.nodes[i];
    const auto* m = std::find(std::begin(kModes), std::end(kModes), modes[i]);
    t.mode = static_cast<Mode>(m - std::begin(kModes));
    check(m != std::end(kModes) && t.mode != Mode::kMember, Code::kInvalidModel, "node mode '", modes[i],
          "' is not known");
    if (t.mode == Mode::kLeaf) continue;
    t.feature = features[i];
    t.value = values[i];
    t.missing_true = !missing.empty() && missing[i] != 0;
    auto find = [&](int64_t id) {
      auto it = at.find({trees[i], id});
      check(it != at.end(), Code::kInvalidModel, "node ", ids[i], " of tree ", trees[i], " leads to node ",
            id, ", which does not exist");
      child[it->second] = true;
      return it->second;
    };
    t.yes = find(yes[i]);
    t.no = find(no[i]);
  }
  std::set<int64_t> rooted;
  for (size_t i = 0; i < count; ++i)
    if (!child[i] && rooted.insert(trees[i]).second) f.roots.push_back(i);
  for (size_t i = 0; i < count; ++i)
    check(rooted.count(trees[i]) > 0, Code::kInvalidModel, "tree ", trees[i],
          " has no root: it runs in a circle");
  std::vector<int64_t> leaf_trees = n.attr_ints(prefix + "_treeids"),
                       leaf_ids = n.attr_ints(prefix + "_nodeids");
  std::vector<int64_t> targets = n.attr_ints(prefix + "_ids");
  std::vector<double> weights = numbers_of(n, prefix + "_weights");
  for (size_t s : {leaf_ids.size(), targets.size(), weights.size()})
    check(s == leaf_trees.size(), Code::kInvalidModel, "the lists of leaf weights differ in length: ", s,
          " and ", leaf_trees.size());
  for (size_t i = 0; i < leaf_trees.size(); ++i) {
    auto it = at.find({leaf_trees[i], leaf_ids[i]});
    check(it != at.end(), Code::kInvalidModel, "a weight belongs to node ", leaf_ids[i], " of tree ",
          leaf_trees[i], ", which does not exist");
    f.nodes[it->second].leaf.emplace_back(targets[i], weights[i]);
  }
  return f;
}

// How the weights of a target are joined over the trees.
enum class Aggregate { kAverage, kSum, kMin, kMax };

Aggregate aggregate_of(const Node& n) {
  std::string s = n.attr_s("aggregate_function", "SUM");
  static constexpr const char* kNames[] = {"AVERAGE", "SUM", "MIN", "MAX"};
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (s == kNames[i]) return static_cast<Aggregate>(i);
  fail(Code::kInvalidModel, "aggregate_function '", s, "' is not known");
}

void check_targets(const Forest& f, int64_t targets) {
  check(targets >= 1 && targets < (1 << 24), Code::kInvalidModel, "the ensemble has ", targets, " targets");
  for (const TreeNode& n : f.nodes)
    for (const auto& [t, w] : n.leaf)
      check(t >= 0 && t < targets, Code::kInvalidModel, "a leaf weighs target ", t, " of ", targets);
}

void score(const Forest& f, const double* x, int64_t features, Aggregate how, std::vector<double>& s) {
  std::vector<uint8_t> seen(s.size(), 0);
  std::fill(s.begin(), s.end(), 0.0);
  for (size_t root : f.roots) {
    for (const auto& [t, w] : f.walk(root, x, features).leaf) {
      auto k = static_cast<size_t>(t);
      if (how == Aggregate::kMin)
        s[k] = seen[k] ? std::min(s[k], w) : w;
      else if (how == Aggregate::kMax)
        s[k] = seen[k] ? std::max(s[k], w) : w;
      else
        s[k] += w;
      seen[k] = 1;
    }
  }
  if (how == Aggregate::kAverage && !f.roots.empty())
    for (double& v : s) v /= static_cast<double>(f.roots.size());
}

Cost cost_trees(const CostContext& c) {
  // A walk touches some ten nodes of each tree.
  double trees = 1 + static_cast<double>(c.node.attr_ints("nodes_nodeids").size()) / 16;
  return {20 * trees * static_cast<double>(c.in_dim(0, 0)), c.in_elements(0) * 4};
}

// ---------------------------------------------------------------- TreeEnsembleRegressor

void infer_tree_regressor(InferContext& c) {
  c.set(0, DType::kFloat, rows_by(c.shape(0), c.node().attr_i("n_targets", 1)));
}

void tree_regressor_reference(KernelContext& c) {
  const Node& n = c.node();
  Forest f = forest_of(n, "target");
  int64_t targets = n.attr_i("n_targets", 1);
  check_targets(f, targets);
  std::vector<double> base = numbers_of(n, "base_values"), s(static_cast<size_t>(targets));
  check(base.empty() || base.size() == 1 || base.size() == s.size(), Code::kInvalidModel, "base_values has ",
        base.size(), " entries for ", targets, " targets");
  Rows x = rows_of(c.in(0));
  Post post = post_of(n);
  Aggregate how = aggregate_of(n);
  float* y = c.out(0, DType::kFloat, {x.n, targets}).data<float>();
  for (int64_t r = 0; r < x.n; ++r) {
    c.poll();
    score(f, x.row(r), x.features, how, s);
    for (size_t t = 0; t < s.size() && !base.empty(); ++t) s[t] += base[base.size() == 1 ? 0 : t];
    transform(post, s.data(), targets);
    for (int64_t t = 0; t < targets; ++t) y[r * targets + t] = static_cast<float>(s[static_cast<size_t>(t)]);
  }
}

// ---------------------------------------------------------------- TreeEnsembleClassifier

void infer_tree_classifier(InferContext& c) {
  Labels l = labels_of(c.node(), "classlabels_int64s", "classlabels_strings");
  c.set(0, l.dtype(), SymShape(std::vector<Dim>{row_count(c.shape(0))}));
  if (c.wants(1)) c.set(1, DType::kFloat, rows_by(c.shape(0), static_cast<int64_t>(l.size())));
}

void tree_classifier_reference(KernelContext& c) {
  const Node& n = c.node();
  Forest f = forest_of(n, "class");
  Labels l = labels_of(n, "classlabels_int64s", "classlabels_strings");
  auto classes = static_cast<int64_t>(l.size());
  check_targets(f, classes);
  std::vector<double> base = numbers_of(n, "base_values"), s(l.size());
  check(base.empty() || base.size() == 1 || base.size() == s.size(), Code::kInvalidModel, "base_values has ",
        base.size(), " entries for ", classes, " classes");
  // With all weights on one of two classes the score is that of the second against the first.
  std::set<int64_t> used;
  bool positive = true;
  for (const TreeNode& t : f.nodes)
    for (const auto& [k, w] : t.leaf) {
      used.insert(k);
      positive = positive && w >= 0;
    }
  bool single = classes == 2 && used.size() == 1;
  Rows x = rows_of(c.in(0));
  Post post = post_of(n);
  Tensor& y = c.out(0, l.dtype(), {x.n});
  float* z = c.wants(1) ? c.out(1, DType::kFloat, {x.n, classes}).data<float>() : nullptr;
  for (int64_t r = 0; r < x.n; ++r) {
    c.poll();
    s.assign(l.size(), 0);
    score(f, x.row(r), x.features, Aggregate::kSum, s);
    if (single)
      s = {s[static_cast<size_t>(*used.begin())] + (base.empty() ? 0 : base.back())};
    else
      for (size_t k = 0; k < s.size() && !base.empty(); ++k) s[k] += base[base.size() == 1 ? 0 : k];
    l.put(y, r, decide(s, l.size(), single, positive, post));
    for (int64_t k = 0; k < classes && z; ++k)
      z[r * classes + k] = static_cast<float>(s[static_cast<size_t>(k)]);
  }
}

// ---------------------------------------------------------------- TreeEnsemble

void infer_tree_ensemble(InferContext& c) {
  c.set(0, c.dtype(0), rows_by(c.shape(0), c.node().attr_i("n_targets", 1)));
}

// Version 5: branches and leaves have tables of their own.
Forest forest5_of(const Node& n) {
  std::vector<int64_t> yes = n.attr_ints("nodes_truenodeids"), no = n.attr_ints("nodes_falsenodeids");
  std::vector<int64_t> yes_leaf = n.attr_ints("nodes_trueleafs"), no_leaf = n.attr_ints("nodes_falseleafs");
  std::vector<int64_t> features = n.attr_ints("nodes_featureids"), roots = n.attr_ints("tree_roots");
  std::vector<int64_t> missing = n.attr_ints("nodes_missing_value_tracks_true"),
                       targets = n.attr_ints("leaf_targetids");
  auto tensor = [&](const char* name) {
    const Tensor* t = n.attr_tensor(name);
    return t ? ref::to_doubles(*t) : std::vector<double>{};
  };
  std::vector<double> modes = tensor("nodes_modes"), splits = tensor("nodes_splits"),
                      weights = tensor("leaf_weights");
  std::vector<double> members = tensor("membership_values");
  size_t branches = yes.size(), leaves = targets.size();
  for (size_t s : {no.size(), yes_leaf.size(), no_leaf.size(), features.size(), modes.size(), splits.size()})
    check(s == branches, Code::kInvalidModel, "the lists of nodes differ in length: ", s, " and ", branches);
  check(missing.empty() || missing.size() == branches, Code::kInvalidModel,
        "nodes_missing_value_tracks_true has ", missing.size(), " entries for ", branches, " nodes");
  check(weights.size() == leaves, Code::kInvalidModel, "leaf_weights has ", weights.size(), " entries for ",
        leaves, " leaves");
  Forest f;
  f.nodes.resize(branches + leaves);
  auto place = [&](int64_t id, bool leaf) {
    auto limit = static_cast<int64_t>(leaf ? leaves : branches);
    check(id >= 0 && id < limit, Code::kInvalidModel, "a branch leads to ", leaf ? "leaf " : "node ", id,
          " of ", limit);
    return static_cast<size_t>(id) + (leaf ? branches : 0);
  };
  size_t member = 0;
  for (size_t i = 0; i < branches; ++i) {
    TreeNode& t = f.nodes[i];
    check(modes[i] >= 0 && modes[i] <= 6, Code::kInvalidModel, "node mode ", modes[i], " is not known");
    t.mode = static_cast<Mode>(static_cast<int>(modes[i]));
    t.feature = features[i];
    t.value = splits[i];
    t.missing_true = !missing.empty() && missing[i] != 0;
    t.yes = place(yes[i], yes_leaf[i] != 0);
    t.no = place(no[i], no_leaf[i] != 0);
    if (t.mode != Mode::kMember) continue;
    // Sets stand one after the other, closed by NaN.
    for (; member < members.size() && members[member] == members[member]; ++member)
      t.members.push_back(members[member]);
    ++member;
  }
  for (size_t i = 0; i < leaves; ++i) f.nodes[branches + i].leaf.emplace_back(targets[i], weights[i]);
  for (int64_t r : roots) f.roots.push_back(place(r, false));
  return f;
}

void tree_ensemble_reference(KernelContext& c) {
  const Node& n = c.node();
  Forest f = forest5_of(n);
  int64_t targets = n.attr_i("n_targets", 1), how = n.attr_i("aggregate_function", 1),
          post = n.attr_i("post_transform", 0);
  check_targets(f, targets);
  check(how >= 0 && how <= 3, Code::kInvalidModel, "aggregate_function ", how, " is not known");
  check(post >= 0 && post <= 4, Code::kInvalidModel, "post_transform ", post, " is not known");
  Rows x = rows_of(c.in(0));
  std::vector<double> s(static_cast<size_t>(targets));
  Tensor& y = c.out(0, c.in(0).dtype(), {x.n, targets});
  for (int64_t r = 0; r < x.n; ++r) {
    c.poll();
    score(f, x.row(r), x.features, static_cast<Aggregate>(how), s);
    transform(static_cast<Post>(post), s.data(), targets);
    ref::store(y, r * targets, targets, s.data());
  }
}

}  // namespace
}  // namespace ml

using namespace ml;  // NOLINT: the entries below name the functions above

SKIFF_OP_DEF(ai_onnx_ml, TreeEnsembleRegressor) {
  return {.domain = "ai.onnx.ml",
          .name = "TreeEnsembleRegressor",
          .versions = {1, 3},
          .removed = 5,
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), 'T'}},
          .outputs = {{"Y", mask_of(DType::kFloat)}},
          .attributes = {{"aggregate_function", AttrType::kString},
                         {"base_values", AttrType::kFloats},
                         {"base_values_as_tensor", AttrType::kTensor},
                         {"n_targets", AttrType::kInt},
                         {"nodes_falsenodeids", AttrType::kInts},
                         {"nodes_featureids", AttrType::kInts},
                         {"nodes_hitrates", AttrType::kFloats},
                         {"nodes_hitrates_as_tensor", AttrType::kTensor},
                         {"nodes_missing_value_tracks_true", AttrType::kInts},
                         {"nodes_modes", AttrType::kStrings},
                         {"nodes_nodeids", AttrType::kInts},
                         {"nodes_treeids", AttrType::kInts},
                         {"nodes_truenodeids", AttrType::kInts},
                         {"nodes_values", AttrType::kFloats},
                         {"nodes_values_as_tensor", AttrType::kTensor},
                         {"post_transform", AttrType::kString},
                         {"target_ids", AttrType::kInts},
                         {"target_nodeids", AttrType::kInts},
                         {"target_treeids", AttrType::kInts},
                         {"target_weights", AttrType::kFloats},
                         {"target_weights_as_tensor", AttrType::kTensor}},
          .infer = infer_tree_regressor,
          .reference = tree_regressor_reference,
          .cost = cost_trees};
}

SKIFF_OP_DEF(ai_onnx_ml, TreeEnsembleClassifier) {
  return {.domain = "ai.onnx.ml",
          .name = "TreeEnsembleClassifier",
          .versions = {1, 3},
          .removed = 5,
          .inputs = {{"X", kIndexTypes | mask_of(DType::kFloat) | mask_of(DType::kDouble), '1'}},
          .outputs = {{"Y", mask_of(DType::kInt64) | mask_of(DType::kString), '2'},
                      {"Z", mask_of(DType::kFloat)}},
          .attributes = {{"base_values", AttrType::kFloats},
                         {"base_values_as_tensor", AttrType::kTensor},
                         {"class_ids", AttrType::kInts},
                         {"class_nodeids", AttrType::kInts},
                         {"class_treeids", AttrType::kInts},
                         {"class_weights", AttrType::kFloats},
                         {"class_weights_as_tensor", AttrType::kTensor},
                         {"classlabels_int64s", AttrType::kInts},
                         {"classlabels_strings", AttrType::kStrings},
                         {"nodes_falsenodeids", AttrType::kInts},
                         {"nodes_featureids", AttrType::kInts},
                         {"nodes_hitrates", AttrType::kFloats},
                         {"nodes_hitrates_as_tensor", AttrType::kTensor},
                         {"nodes_missing_value_tracks_true", AttrType::kInts},
                         {"nodes_modes", AttrType::kStrings},
                         {"nodes_nodeids", AttrType::kInts},
                         {"nodes_treeids", AttrType::kInts},
                         {"nodes_truenodeids", AttrType::kInts},
                         {"nodes_values", AttrType::kFloats},
                         {"nodes_values_as_tensor", AttrType::kTensor},
                         {"post_transform", AttrType::kString}},
          .infer = infer_tree_classifier,
          .reference = tree_classifier_reference,
          .cost = cost_trees};
}

SKIFF_OP_DEF(ai_onnx_ml, TreeEnsemble) {
  return {
      .domain = "ai.onnx.ml",
      .name = "TreeEnsemble",
      .versions = {5},
      .inputs = {{"X", mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kFloat16), 'T'}},
      .outputs = {{"Y", mask_of(DType::kFloat) | mask_of(DType::kDouble) | mask_of(DType::kFloat16), 'T'}},
      .attributes = {{"aggregate_function", AttrType::kInt},
                     {"leaf_targetids", AttrType::kInts, true},
                     {"leaf_weights", AttrType::kTensor, true},
                     {"membership_values", AttrType::kTensor},
                     {"n_targets", AttrType::kInt},
                     {"nodes_falseleafs", AttrType::kInts, true},
                     {"nodes_falsenodeids", AttrType::kInts, true},
                     {"nodes_featureids", AttrType::kInts, true},
                     {"nodes_hitrates", AttrType::kTensor},
                     {"nodes_missing_value_tracks_true", AttrType::kInts},
                     {"nodes_modes", AttrType::kTensor, true},
                     {"nodes_splits", AttrType::kTensor, true},
                     {"nodes_trueleafs", AttrType::kInts, true},
                     {"nodes_truenodeids", AttrType::kInts, true},
                     {"post_transform", AttrType::kInt},
                     {"tree_roots", AttrType::kInts, true}},
      .infer = infer_tree_ensemble,
      .reference = tree_ensemble_reference,
      .cost = cost_trees};
}

}  // namespace skiff
