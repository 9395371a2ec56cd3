// The metrics by name.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "csv.h"
#include "fail.h"
#include "files.h"
#include "image.h"
#include "labels.h"
#include "metrics.h"
#include "values.h"

namespace skiff::tool {

namespace {

class Base : public Metric {
 public:
  explicit Base(const MetricOptions& o) : o_(o) {}

 protected:
  // The named output, or the first that `fits`.
  template <class F>
  const Prediction& pick(const std::vector<Prediction>& outputs, const char* what, F&& fits) const {
    for (const Prediction& p : outputs) {
      if (!o_.output.empty() && p.name == o_.output) return p;
      if (o_.output.empty() && fits(p)) return p;
    }
    if (!o_.output.empty()) fail("the model has no output \"", o_.output, "\" (--output)");
    fail("no output holds ", what, "; name one with --output, or another --metric");
  }
  // Scores of classes, or a class number.
  const Prediction& scores(const std::vector<Prediction>& outputs) const {
    return pick(outputs, "scores of classes", [](const Prediction& p) {
      return p.values.size() > 1 || (p.integer && p.values.size() == 1) || p.values.size() == 1;
    });
  }
  int64_t label(const Truth& t) const {
    if (!t.index) fail("the truth holds no class; this metric needs one (--labels, --truth)");
    return *t.index;
  }
  int64_t predicted(const Prediction& p) const {
    if (p.values.size() > 1) return static_cast<int64_t>(arg_max(p.values)) - o_.offset;
    if (p.integer) return static_cast<int64_t>(p.values[0]) - o_.offset;
    return p.values[0] > o_.threshold ? 1 : 0;
  }
  MetricOptions o_;
};

double ratio(double a, double b) { return b > 0 ? a / b : NAN; }

class Accuracy : public Base {
 public:
  using Base::Base;
  void add(const std::vector<Prediction>& outputs, const Truth& truth,
           const std::vector<api::Value>&) override {
    const Prediction& p = scores(outputs);
    int64_t want = label(truth);
    ++n_;
    classes_ = std::max(classes_, p.values.size());
    if (predicted(p) == want) ++first_;
    if (p.values.size() <= 1) return;
    for (const Ranked& r : top_k(p.values, 5, {}, static_cast<int>(o_.offset)))
      if (r.index == want) ++among_;
  }
  std::vector<Score> result() const override {
    std::vector<Score> r{{"top1", ratio(first_, n_), true, true}};
    if (classes_ > 5) r.push_back({"top5", ratio(among_, n_), true, true});
    return r;
  }

 private:
  double n_ = 0, first_ = 0, among_ = 0;
  size_t classes_ = 0;
};

// Two classes: F1 of class 1; more: the mean over the classes (macro).
class F1 : public Base {
 public:
  using Base::Base;
  void add(const std::vector<Prediction>& outputs, const Truth& truth,
           const std::vector<api::Value>&) override {
    int64_t got = predicted(scores(outputs)), want = label(truth);
    classes_.insert({got, want});
    if (got == want) {
      ++hit_[got];
    } else {
      ++false_alarm_[got];
      ++missed_[want];
    }
  }
  std::vector<Score> result() const override {
    auto f1 = [&](int64_t c) {
      auto at = [c](const std::map<int64_t, double>& m) { return m.count(c) ? m.at(c) : 0.0; };
      double tp = at(hit_);
      return tp > 0 ? 2 * tp / (2 * tp + at(false_alarm_) + at(missed_)) : 0;
    };
    if (classes_.size() <= 2 && (classes_.empty() || *classes_.rbegin() <= 1))
      return {{"f1", f1(1), true, true}};
    double sum = 0;
    for (int64_t c : classes_) sum += f1(c);
    return {{"f1", ratio(sum, static_cast<double>(classes_.size())), true, true}};
  }

 private:
  std::map<int64_t, double> hit_, false_alarm_, missed_;
  std::set<int64_t> classes_;
};

class Auc : public Base {
 public:
  Auc(const MetricOptions& o, bool reconstruction) : Base(o), reconstruction_(reconstruction) {}
  void add(const std::vector<Prediction>& outputs, const Truth& truth,
           const std::vector<api::Value>& inputs) override {
    double score = 0;
    if (reconstruction_) {
      const Prediction& p =
          pick(outputs, "a reconstruction", [](const Prediction& q) { return !q.values.empty(); });
      std::vector<double> x;
      for (const api::Value& v : inputs)
        if (x.empty() && v.kind() == SKIFF_KIND_TENSOR && v.size() == p.values.size()) x = doubles_of(v);
      if (x.empty()) fail("no input has the ", p.values.size(), " elements of output \"", p.name, '"');
      for (size_t i = 0; i < x.size(); ++i) score += (x[i] - p.values[i]) * (x[i] - p.values[i]);
    } else {
      const Prediction& p = scores(outputs);
      auto positive = static_cast<size_t>(1 + o_.offset);
      score = p.values.size() == 1 ? p.values[0] : p.values[std::min(positive, p.values.size() - 1)];
    }
    scored_.emplace_back(score, label(truth) != 0);
  }
  std::vector<Score> result() const override { return {{"auc", area_under_roc(scored_), true, true}}; }

 private:
  bool reconstruction_;
  std::vector<std::pair<double, bool>> scored_;
};

class Regression : public Base {
 public:
  using Base::Base;
  void add(const std::vector<Prediction>& outputs, const Truth& truth,
           const std::vector<api::Value>&) override {
    std::vector<double> want = truth.numbers;
    if (want.empty() && truth.index) want = {static_cast<double>(*truth.index)};
    const Prediction& p = pick(outputs, "as many numbers as the truth",
                               [&](const Prediction& q) { return q.values.size() == want.size(); });
    if (p.values.size() != want.size())
      fail("output \"", p.name, "\" has ", p.values.size(), " numbers, the truth ", want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      double d = p.values[i] - want[i];
      squares_ += d * d;
      absolutes_ += std::fabs(d);
      sum_ += want[i];
      sum2_ += want[i] * want[i];
      ++n_;
    }
  }
  std::vector<Score> result() const override {
    double spread = sum2_ - sum_ * sum_ / std::max(n_, 1.0);
    return {{"rmse", std::sqrt(ratio(squares_, n_)), false, false},
            {"mae", ratio(absolutes_, n_), false, false},
            {"r2", spread > 0 ? 1 - squares_ / spread : NAN, true, false}};
  }

 private:
  double n_ = 0, squares_ = 0, absolutes_ = 0, sum_ = 0, sum2_ = 0;
};

// Masks. iou: anything but 0 is foreground. miou: grey values are classes, 255 is left out.
class Iou : public Base {
 public:
  Iou(const MetricOptions& o, bool classes) : Base(o), by_class_(classes) {}
  void add(const std::vector<Prediction>& outputs, const Truth& truth,
           const std::vector<api::Value>&) override {
    if (truth.mask.empty()) fail("the truth holds no mask; name their folder with --masks");
    const Prediction& p = pick(outputs, "a mask", [](const Prediction& q) { return q.dims.size() >= 3; });
    const std::vector<int64_t>& d = p.dims;
    if (d.size() < 2) fail("output \"", p.name, "\" of shape ", dims_text(d), " is no mask");
    auto h = static_cast<int>(d[d.size() - 2]), w = static_cast<int>(d[d.size() - 1]);
    size_t plane = static_cast<size_t>(h) * static_cast<size_t>(w), channels = p.values.size() / plane;
    Image mask = to_grey(load_image(truth.mask));
    for (int y = 0; y < h; ++y)
      for (int x = 0; x < w; ++x) {
        size_t i = static_cast<size_t>(y) * static_cast<size_t>(w) + static_cast<size_t>(x);
        int64_t got = 0;
        if (channels > 1) {
          std::vector<double> v(channels);
          for (size_t c = 0; c < channels; ++c) v[c] = p.values[c * plane + i];
          got = static_cast<int64_t>(arg_max(v));
        } else {
          got = p.integer ? static_cast<int64_t>(p.values[i]) : p.values[i] > o_.threshold;
        }
        // The mask's nearest pixel: classes do not interpolate.
        int64_t want = *mask.at(x * mask.width / w, y * mask.height / h);
        if (by_class_ && want == 255) continue;
        if (!by_class_) got = got != 0, want = want != 0;
        if (got == want) {
          ++common_[got];
          ++all_[got];
        } else {
          ++all_[got];
          ++all_[want];
        }
      }
  }
  std::vector<Score> result() const override {
    auto iou = [&](int64_t c) { return common_.count(c) ? common_.at(c) / all_.at(c) : 0.0; };
    if (!by_class_) return {{"iou", all_.count(1) ? iou(1) : NAN, true, true}};
    double sum = 0;
    for (const auto& [c, n] : all_) sum += iou(c);
    return {{"miou", ratio(sum, static_cast<double>(all_.size())), true, true}};
  }

 private:
  bool by_class_;
  std::map<int64_t, double> common_, all_;
};

// Strings, or CTC scores [T, C] with a vocabulary (best path: arg max, repeats joined, blanks dropped).
class Text : public Base {
 public:
  using Base::Base;
  void add(const std::vector<Prediction>& outputs, const Truth& truth,
           const std::vector<api::Value>&) override {
    if (!truth.text) fail("the truth holds no text; the table of the truth needs a column text");
    const Prediction& p = pick(outputs, "text", [&](const Prediction& q) {
      return !q.strings.empty() || (!o_.vocabulary.empty() && q.dims.size() >= 2);
    });
    std::string got;
    if (!p.strings.empty()) {
      got = p.strings[0];
    } else {
      if (p.dims.size() < 2) fail("output \"", p.name, "\" holds neither strings nor scores of characters");
      auto c = static_cast<size_t>(p.dims.back());
      size_t last = 0;
      for (size_t at = 0; at + c <= p.values.size(); at += c) {
        size_t k = arg_max({p.values.begin() + static_cast<std::ptrdiff_t>(at),
                            p.values.begin() + static_cast<std::ptrdiff_t>(at + c)});
        if (k != 0 && k != last && k < o_.vocabulary.size()) got += o_.vocabulary[k];
        last = k;
      }
    }
    auto words = [](const std::string& s) {
      std::vector<std::string> list;
      for (std::string& w : split(s, ' '))
        if (!w.empty()) list.push_back(std::move(w));
      return list;
    };
    std::vector<std::string> letters = utf8_characters(*truth.text), want = words(*truth.text);
    letter_edits_ += static_cast<double>(edit_distance(utf8_characters(got), letters));
    letters_ += static_cast<double>(letters.size());
    word_edits_ += static_cast<double>(edit_distance(words(got), want));
    words_ += static_cast<double>(want.size());
  }
  std::vector<Score> result() const override {
    return {{"cer", ratio(letter_edits_, letters_), false, true},
            {"wer", ratio(word_edits_, words_), false, true}};
  }

 private:
  double letter_edits_ = 0, letters_ = 0, word_edits_ = 0, words_ = 0;
};

// exp of the mean negative log likelihood of each next token; logits [.., T, V] of the first integer input
// [.., T].
class Perplexity : public Base {
 public:
  using Base::Base;
  void add(const std::vector<Prediction>& outputs, const Truth&,
           const std::vector<api::Value>& inputs) override {
    std::vector<double> ids;
    for (const api::Value& v : inputs)
      if (ids.empty() && v.kind() == SKIFF_KIND_TENSOR &&
          (v.dtype() == SKIFF_INT64 || v.dtype() == SKIFF_INT32) && v.size() > 1)
        ids = doubles_of(v);
    if (ids.size() < 2) fail("perplexity needs an integer input of at least two tokens");
    const Prediction& p = pick(outputs, "logits of tokens", [&](const Prediction& q) {
      return q.dims.size() >= 2 && q.dims[q.dims.size() - 2] == static_cast<int64_t>(ids.size());
    });
    auto v = static_cast<size_t>(p.dims.back());
    for (size_t t = 0; t + 1 < ids.size(); ++t) {
      const double* row = p.values.data() + t * v;
      double top = *std::max_element(row, row + v), sum = 0;
      for (size_t k = 0; k < v; ++k) sum += std::exp(row[k] - top);
      auto next = static_cast<size_t>(ids[t + 1]);
      if (next >= v) fail("token ", next, " is outside the ", v, " logits");
      loss_ += top + std::log(sum) - row[next];
      ++n_;
    }
  }
  std::vector<Score> result() const override {
    return {{"perplexity", std::exp(ratio(loss_, n_)), false, false}};
  }

 private:
  double loss_ = 0, n_ = 0;
};

// Mean average precision at IoU 0.5 (every point of the curve). Truth: numbers class,x0,y0,x1,y1 repeated, in
// the coordinates of the model's boxes. Outputs: boxes [.., n, 4], and scores and classes of n, or one [..,
// n, 6] of x0,y0,x1,y1,score,class.
class MeanAveragePrecision : public Base {
 public:
  using Base::Base;
  void add(const std::vector<Prediction>& outputs, const Truth& truth,
           const std::vector<api::Value>&) override {
    if (truth.numbers.size() % 5)
      fail("the truth of a detection is class,x0,y0,x1,y1 repeated (column value)");
    size_t picture = pictures_++;
    for (size_t i = 0; i + 5 <= truth.numbers.size(); i += 5) {
      const double* t = truth.numbers.data() + i;
      truths_[static_cast<int64_t>(t[0])].push_back({picture, {t[1], t[2], t[3], t[4]}});
    }
    const Prediction *boxes = nullptr, *scores = nullptr, *classes = nullptr;
    for (const Prediction& p : outputs) {
      int64_t last = p.dims.empty() ? 0 : p.dims.back();
      if (!boxes && p.dims.size() >= 2 && (last == 4 || last == 6)) {
        boxes = &p;
      } else if (p.integer && !classes) {
        classes = &p;
      } else if (!scores) {
        scores = &p;
      }
    }
    if (!boxes) fail("no output holds boxes (its last axis is 4 or 6)");
    auto width = static_cast<size_t>(boxes->dims.back());
    size_t n = boxes->values.size() / width;
    if (width == 4 && (!scores || scores->values.size() < n))
      fail("no output holds a score for each of ", n, " boxes");
    for (size_t i = 0; i < n; ++i) {
      const double* b = boxes->values.data() + i * width;
      double score = width == 6 ? b[4] : scores->values[i];
      auto c = static_cast<int64_t>(width == 6                              ? b[5]
                                    : classes && i < classes->values.size() ? classes->values[i]
                                                                            : 0);
      found_[c - o_.offset].push_back({score, picture, {b[0], b[1], b[2], b[3]}});
    }
  }
  std::vector<Score> result() const override {
    double sum = 0;
    for (const auto& [c, truths] : truths_) {
      auto it = found_.find(c);
      if (it != found_.end()) sum += average_precision(truths, it->second);
    }
    return {{"map50", ratio(sum, static_cast<double>(truths_.size())), true, true}};
  }

 private:
  struct True {
    size_t picture;
    Box box;
  };
  struct Found {
    double score;
    size_t picture;
    Box box;
  };
  static double average_precision(const std::vector<True>& truths, std::vector<Found> found) {
    std::stable_sort(found.begin(), found.end(),
                     [](const Found& a, const Found& b) { return a.score > b.score; });
    std::vector<bool> taken(truths.size());
    std::vector<std::pair<double, double>> curve;  // recall, precision
    double hits = 0, n = 0;
    for (const Found& f : found) {
      size_t best = truths.size();
      double iou = 0.5;
      for (size_t t = 0; t < truths.size(); ++t) {
        double v = box_iou(f.box, truths[t].box);
        if (truths[t].picture == f.picture && !taken[t] && v >= iou) iou = v, best = t;
      }
      if (best < truths.size()) taken[best] = true, ++hits;
      curve.emplace_back(hits / static_cast<double>(truths.size()), hits / ++n);
    }
    double area = 0, precision = 0;
    for (size_t i = curve.size(); i-- > 0;) {
      precision = std::max(precision, curve[i].second);
      area += precision * (curve[i].first - (i ? curve[i - 1].first : 0));
    }
    return area;
  }
  size_t pictures_ = 0;
  std::map<int64_t, std::vector<True>> truths_;
  std::map<int64_t, std::vector<Found>> found_;
};

}  // namespace

std::string metric_names() {
  return "accuracy, f1, auc, anomaly, regression, iou, miou, text, map, perplexity";
}

std::unique_ptr<Metric> make_metric(const std::string& name, const MetricOptions& o) {
  if (name == "accuracy" || name == "top1" || name == "top5") return std::make_unique<Accuracy>(o);
  if (name == "f1") return std::make_unique<F1>(o);
  if (name == "auc") return std::make_unique<Auc>(o, false);
  if (name == "anomaly") return std::make_unique<Auc>(o, true);
  if (name == "regression" || name == "rmse") return std::make_unique<Regression>(o);
  if (name == "iou") return std::make_unique<Iou>(o, false);
  if (name == "miou") return std::make_unique<Iou>(o, true);
  if (name == "text" || name == "cer" || name == "wer") return std::make_unique<Text>(o);
  if (name == "map") return std::make_unique<MeanAveragePrecision>(o);
  if (name == "perplexity") return std::make_unique<Perplexity>(o);
  fail_usage("--metric: there is no \"", name, "\"; there are: ", metric_names());
}

std::string metric_for(const Truth& t) {
  if (!t.mask.empty()) return "iou";
  if (t.text) return "text";
  return t.index ? "accuracy" : "regression";
}

}  // namespace skiff::tool
