#include "metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "fail.h"
#include "values.h"

namespace skiff::tool {

namespace {

bool integer_type(skiff_dtype t) {
  return t == SKIFF_INT64 || t == SKIFF_INT32 || t == SKIFF_UINT8 || t == SKIFF_INT8 || t == SKIFF_INT16 ||
         t == SKIFF_UINT16 || t == SKIFF_UINT32 || t == SKIFF_UINT64 || t == SKIFF_BOOL;
}

}  // namespace

std::vector<Prediction> predictions_of(const api::Session& session, const std::vector<api::Value>& outputs,
                                       size_t row, size_t rows) {
  std::vector<Prediction> list;
  for (size_t i = 0; i < outputs.size(); ++i) {
    Prediction p;
    p.name = session.output(i).name;
    const api::Value& v = outputs[i];
    if (v.kind() != SKIFF_KIND_TENSOR) {
      list.push_back(std::move(p));
      continue;
    }
    p.dims = v.dims();
    bool sliced = rows > 1 && !p.dims.empty() && p.dims[0] == static_cast<int64_t>(rows);
    size_t n = v.size(), part = sliced ? n / rows : n, begin = sliced ? row * part : 0;
    if (sliced) p.dims[0] = 1;
    skiff_dtype t = v.dtype();
    p.integer = integer_type(t);
    if (t == SKIFF_STRING) {
      for (size_t k = 0; k < part; ++k) p.strings.push_back(v.string_at(begin + k));
    } else if (t == SKIFF_FLOAT) {
      std::span<float> s = v.data<float>();
      p.values.assign(s.begin() + static_cast<std::ptrdiff_t>(begin),
                      s.begin() + static_cast<std::ptrdiff_t>(begin + part));
    } else if (t != SKIFF_COMPLEX64 && t != SKIFF_COMPLEX128) {
      std::vector<double> all = doubles_of(v);
      p.values.assign(all.begin() + static_cast<std::ptrdiff_t>(begin),
                      all.begin() + static_cast<std::ptrdiff_t>(begin + part));
    }
    list.push_back(std::move(p));
  }
  return list;
}

size_t arg_max(const std::vector<double>& v) {
  size_t best = 0;
  auto key = [&](size_t i) { return std::isnan(v[i]) ? -HUGE_VAL : v[i]; };
  for (size_t i = 1; i < v.size(); ++i)
    if (key(i) > key(best)) best = i;
  return best;
}

double merit(const Score& s) { return s.higher_better ? s.value : -std::log(std::max(s.value, 1e-12)); }

double area_under_roc(std::vector<std::pair<double, bool>> s) {
  std::sort(s.begin(), s.end());
  double positives = 0, negatives = 0, pairs = 0;
  for (size_t i = 0; i < s.size();) {
    size_t end = i;
    double p = 0, n = 0;
    for (; end < s.size() && s[end].first == s[i].first; ++end) (s[end].second ? p : n) += 1;
    pairs += p * (negatives + n / 2);
    positives += p;
    negatives += n;
    i = end;
  }
  return positives > 0 && negatives > 0 ? pairs / (positives * negatives) : NAN;
}

size_t edit_distance(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      size_t replace = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replace, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

std::vector<std::string> utf8_characters(const std::string& s) {
  std::vector<std::string> list;
  for (char c : s) {
    if ((c & 0xC0) == 0x80 && !list.empty())
      list.back() += c;
    else
      list.emplace_back(1, c);
  }
  return list;
}

double box_iou(const Box& a, const Box& b) {
  double w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0), h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (w <= 0 || h <= 0) return 0;
  double common = w * h;
  return common / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - common);
}

void Agreement::add(const std::vector<Prediction>& got, const std::vector<Prediction>& want) {
  if (got.size() != want.size())
    fail("the models have ", got.size(), " and ", want.size(), " outputs; agreement needs the same");
  outputs_.resize(got.size());
  for (size_t i = 0; i < got.size(); ++i) {
    Totals& t = outputs_[i];
    t.name = got[i].name;
    const std::vector<double>&a = got[i].values, &b = want[i].values;
    if (a.size() != b.size())
      fail("output \"", got[i].name, "\": ", dims_text(got[i].dims), " and ", dims_text(want[i].dims),
           " cannot be compared");
    if (a.empty()) continue;
    for (size_t k = 0; k < a.size(); ++k) {
      double d = a[k] - b[k];
      if (std::isnan(a[k]) && std::isnan(b[k])) continue;
      if (a[k] == b[k]) d = 0;
      t.signal += b[k] * b[k];
      t.noise += d * d;
      t.dot += a[k] * b[k];
      t.got2 += a[k] * a[k];
      t.max_abs = std::max(t.max_abs, std::isnan(d) ? HUGE_VAL : std::fabs(d));
    }
    // Decisions: the arg max along the last axis (channels of pictures); integers are decisions themselves.
    const std::vector<int64_t>& d = got[i].dims;
    if (got[i].integer) {
      t.judged += a.size();
      for (size_t k = 0; k < a.size(); ++k) t.agree += a[k] == b[k] ? 1 : 0;
    } else if (d.size() == 4 && d[1] >= 2 && (d[2] > 1 || d[3] > 1)) {
      auto c = static_cast<size_t>(d[1]), plane = static_cast<size_t>(d[2] * d[3]);
      std::vector<double> x(c), y(c);
      for (size_t p = 0; p < a.size() / c; ++p) {
        size_t base = p / plane * c * plane + p % plane;
        for (size_t k = 0; k < c; ++k) x[k] = a[base + k * plane], y[k] = b[base + k * plane];
        t.agree += arg_max(x) == arg_max(y) ? 1 : 0;
        ++t.judged;
      }
    } else if (!d.empty()) {
      size_t c = static_cast<size_t>(d.back());
      if (d.size() == 4) c = static_cast<size_t>(d[1]);  // [N, C, 1, 1]
      if (c < 2) continue;
      for (size_t at = 0; at + c <= a.size(); at += c) {
        auto row = [&](const std::vector<double>& v) {
          return std::vector<double>(v.begin() + static_cast<std::ptrdiff_t>(at),
                                     v.begin() + static_cast<std::ptrdiff_t>(at + c));
        };
        t.agree += arg_max(row(a)) == arg_max(row(b)) ? 1 : 0;
        ++t.judged;
      }
    }
  }
}

std::vector<Score> Agreement::result() const {
  std::vector<Score> r;
  size_t agree = 0, judged = 0;
  double worst = HUGE_VAL, cosine = 1, most = 0;
  for (const Totals& t : outputs_) {
    agree += t.agree;
    judged += t.judged;
    double norms = std::sqrt(t.signal * t.got2);
    if (t.signal > 0 || t.noise > 0) {
      worst = std::min(worst, t.noise > 0 ? 10 * std::log10(t.signal / t.noise) : 200);
      cosine = std::min(cosine, norms > 0 ? t.dot / norms : 0);
    }
    most = std::max(most, t.max_abs);
  }
  if (judged > 0)
    r.push_back({"agreement", static_cast<double>(agree) / static_cast<double>(judged), true, true});
  r.push_back({"sqnr_db", worst == HUGE_VAL ? 200 : worst, true, false});
  r.push_back({"cosine", cosine, true, false});
  r.push_back({"max_abs", most, false, false});
  return r;
}

}  // namespace skiff::tool
