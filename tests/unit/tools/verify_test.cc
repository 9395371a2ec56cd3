// Tolerances, labels, text tables, and values as text and JSON.
#include <doctest/doctest.h>

#include <cmath>

#include "array.h"
#include "fail.h"
#include "files.h"
#include "labels.h"
#include "session.h"
#include "support/temp_dir.h"
#include "text_table.h"
#include "tolerance.h"
#include "values.h"

using namespace skiff::tool;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
skiff::api::Value floats(std::vector<int64_t> dims, const std::vector<float>& v) {
  return to_value(Array::of(SKIFF_FLOAT, std::move(dims), v));
}

}  // namespace

TEST_CASE("INDEX.tsv: one check for all, one each, skipped, several forms") {
  ToleranceIndex t(
      "model\tset\tnote\tcheck\tatol\trtol\n"
      "a\ts0\tx\tclose; exact\t1e-3; 0\t1e-4; 0\n"
      "b\ts0\t\tclose<=12steps+top1\t0.5\t0\n"
      "c\ts0\t\tmismatch_frac<=0.02\t0\t0\n"
      "d\ts0\t\tcoords(y,x) atol 0.05 ; score unusable\t0.9\t0\n"
      "e\tSKIPPED\t\t-\t-\t-\n",
      "INDEX.tsv");
  REQUIRE(t.find("a", "s0")->size() == 2);
  CHECK((*t.find("a", "s0"))[0].atol == 1e-3);
  CHECK((*t.find("a", "s0"))[1].rtol == 0);
  CHECK((*t.find("b", "s0"))[0].top1);
  CHECK((*t.find("c", "s0"))[0].share == 0.02);
  CHECK((*t.find("d", "s0"))[0].atol == 0.05);
  CHECK(t.skipped("e"));
  CHECK(!t.skipped("a"));
  CHECK(t.find("a", "s1") == nullptr);
  CHECK_THROWS_AS(ToleranceIndex("model\tset\tcheck\tatol\n", "x"), ToolError);
  CHECK_THROWS_AS(ToleranceIndex("model\tset\tcheck\tatol\trtol\na\ts\tclose; close\t1; 2; 3\t1\n", "x"),
                  ToolError);
}

TEST_CASE("compare: each check accepts and refuses") {
  skiff::api::Value want = floats({2, 3}, {0, 5, 1, 9, 2, 3});
  Check close{Check::Kind::kClose, false, 0.5, 0, 0};
  CHECK(compare(floats({2, 3}, {0.4f, 5, 1, 9, 2, 3}), want, close) == "");
  CHECK(compare(floats({2, 3}, {0.6f, 5, 1, 9, 2, 3}), want, close) != "");
  CHECK(compare(floats({3, 2}, {0, 5, 1, 9, 2, 3}), want, close) != "");
  Check best{Check::Kind::kClose, true, 100, 0, 0};
  CHECK(compare(floats({2, 3}, {0, 2, 1, 4, 2, 3}), want, best) == "");
  CHECK(contains(compare(floats({2, 3}, {0, 2, 1, 2, 4, 3}), want, best), "row 1 is 1, expected 0"));
  CHECK(compare(floats({2, 3}, {5, 5, 1, 9, 2, 3}), want, best) == "");  // a tie counts as either
  Check share{Check::Kind::kMismatchShare, false, 0, 0, 0.2};
  CHECK(compare(floats({2, 3}, {0, 5, 1, 9, 2, 4}), want, share) == "");
  CHECK(contains(compare(floats({2, 3}, {1, 5, 1, 9, 2, 4}), want, share), "2 of 6"));
  Check where{Check::Kind::kCoordinates, false, 0.1, 0, 0};
  CHECK(compare(floats({2, 3}, {0, 5, 77, 9, 2, 77}), want, where) == "");
  CHECK(contains(compare(floats({2, 3}, {0, 5, 1, 9, 2.5f, 3}), want, where), "coordinate 4"));
  CHECK(compare(floats({2, 3}, {0, NAN, 1, 9, 2, 3}), want, where) != "");
  CHECK(compare(floats({2, 2}, {0, 5, 1, 9}), want, where) != "");
}

TEST_CASE("labels, truth, the best classes") {
  CHECK(parse_labels("cat\ndog\n", "x") == std::vector<std::string>{"cat", "dog"});
  CHECK(parse_labels("file\tindex\tname\na.jpg\t2\tcow\n", "x") == std::vector<std::string>{"", "", "cow"});
  CHECK(parse_truth("file\tindex\na.jpg\t2\n", "x").at("a.jpg") == 2);
  CHECK_THROWS_AS(parse_truth("a\tb\n", "x"), ToolError);
  CHECK_THROWS_AS(parse_labels("index\tname\n-1\tx\n", "x"), ToolError);
  auto best = top_k({0.1, 0.7, NAN, 0.7, 0.2}, 3, {"a", "b", "c"}, 1);
  REQUIRE(best.size() == 3);
  CHECK(best[0].index == 0);
  CHECK(best[0].label == "a");
  CHECK(best[1].index == 2);
  CHECK(best[2].index == 3);
  CHECK(best[2].label == "");
  CHECK(are_shares({0.25, 0.75}));
  CHECK(!are_shares({-0.25, 1.25}));
  CHECK(are_shares(softmax({1, 1000, -5})));
}

TEST_CASE("values: text, JSON, files") {
  skiff::api::Value v = floats({2, 2}, {1, 0.1f, NAN, -INFINITY});
  CHECK(to_json(v)["data"].dump() == "[[1.0,0.1],[null,null]]");
  CHECK(contains(describe(v), "[1, 0.1]"));
  CHECK(contains(describe(floats({200}, std::vector<float>(200, 2)), 100), "mean 2"));
  skiff::api::Value big = to_value(Array::of<int64_t>(SKIFF_INT64, {1}, {INT64_MAX}));
  CHECK(to_json(big)["data"].dump() == "[9223372036854775807]");
  CHECK(contains(describe(big), "9223372036854775807"));
  skiff::test::TempDir dir;
  save_value(v, "v", dir.file("v.csv"));
  CHECK(read_file(dir.file("v.csv")) == "1,0.1\nnan,-inf\n");
  CHECK_THROWS_AS(save_value(v, "v", dir.file("v.doc")), ToolError);
  skiff::api::Value text = to_value({SKIFF_STRING, {2}, {}, {"a,b", "c"}});
  CHECK(to_json(text)["data"].dump() == "[\"a,b\",\"c\"]");
  CHECK(to_array(text).strings == std::vector<std::string>{"a,b", "c"});
}

TEST_CASE("numbers for people") {
  CHECK(human(3470000) == "3.47 M");
  CHECK(human(999.7) == "1.00 k");
  CHECK(human(12) == "12");
  CHECK(human_bytes(1536) == "1.50 KiB");
  CHECK(human_time(3210000) == "3.21 ms");
  CHECK(human_time(999800) == "1.00 ms");
  CHECK(quantile({3, 1, 2}, 0.5) == 2);
  CHECK(quantile({1, 2}, 0.5) == 1.5);
  TextTable t({"a", ">b"});
  t.add({"x", "10"});
  t.add({"\xC3\xA4\xC3\xA4", "5"});
  CHECK(t.str() == "a    b\nx   10\n\xC3\xA4\xC3\xA4   5\n");
}
