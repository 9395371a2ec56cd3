// Operators on strings, and the case tables and image decoders below them.
#include "codecs/image.h"

#include <algorithm>

#include "op_test.h"
#include "text/unicode.h"

using namespace skiff;
using namespace skiff::test;

namespace {

using Texts = std::vector<std::string>;

Tensor strings(Dims d, const Texts& v) {
  Tensor t(DType::kString, std::move(d));
  std::copy(v.begin(), v.end(), t.data<std::string>());
  return t;
}
Texts texts(const Tensor& t) { return {t.data<std::string>(), t.data<std::string>() + t.size()}; }

}  // namespace

TEST_CASE("case mapping follows Unicode, whatever the locale") {
  CHECK(text::to_upper("straße ÀÉ ŷ ǆ ﬁ я") == "STRASSE ÀÉ Ŷ Ǆ FI Я");
  CHECK(text::to_lower("İSTANBUL ÀÉ ΑΣ Ǆ 𐐀") == "i̇stanbul àé ασ ǆ 𐐨");
  CHECK(text::to_upper("ā ă ą ǎ ǐ") == "Ā Ă Ą Ǎ Ǐ");  // runs of every other code point
  CHECK(text::to_lower("Ā Ă Ą Ǎ Ǐ") == "ā ă ą ǎ ǐ");
  std::string broken = "a\xff\xc3z\xed\xa0\x80";  // bytes that are not UTF-8 stay
  CHECK(text::to_upper(broken) == "A\xff\xc3Z\xed\xa0\x80");
}

TEST_CASE("StringSplit pads and counts") {
  auto out = run_op("StringSplit", 20, {strings({2, 2}, {"a,b,,c", "", ",", "x"})},
                    {{"delimiter", std::string(",")}}, 2);
  CHECK(out[0].tensor().dims() == Dims{2, 2, 4});
  CHECK(texts(out[0].tensor()) == Texts{"a", "b", "", "c", "", "", "", "", "", "", "", "", "x", "", "", ""});
  CHECK(to_ints(out[1].tensor()) == std::vector<int64_t>{4, 1, 2, 1});
  out = run_op("StringSplit", 20, {strings({4}, {"  a  b c  ", "", " \t", "\xe2\x80\x83q\xc2\xa0z"})},
               {{"maxsplit", int64_t{1}}}, 2);
  CHECK(texts(out[0].tensor()) == Texts{"a", "b c  ", "", "", "", "", "q", "z"});
  CHECK(to_ints(out[1].tensor()) == std::vector<int64_t>{2, 0, 0, 2});
  CHECK(
      contains(error_of("StringSplit", 20, {strings({1}, {"a"})}, {{"maxsplit", int64_t{-1}}}), "maxsplit"));
}

TEST_CASE("StringNormalizer drops stop words and changes case") {
  std::vector<Attribute> a{{"stopwords", Texts{"ÉTÉ", "x"}}, {"case_change_action", std::string("UPPER")}};
  auto out = run_op("StringNormalizer", 10, {strings({1, 3}, {"été", "X", "ñandú"})}, a);
  CHECK(out[0].tensor().dims() == Dims{1, 1});
  CHECK(texts(out[0].tensor()) == Texts{"ÑANDÚ"});
  a.emplace_back("is_case_sensitive", int64_t{1});
  CHECK(texts(run_op("StringNormalizer", 10, {strings({3}, {"été", "X", "x"})}, a)[0].tensor()) ==
        Texts{"ÉTÉ", "X"});
  out = run_op("StringNormalizer", 10, {strings({1}, {"x"})}, a);
  CHECK(texts(out[0].tensor()) == Texts{""});
  CHECK(contains(error_of("StringNormalizer", 10, {strings({2, 2}, {"a", "b", "c", "d"})}), "[1, C]"));
}

TEST_CASE("TfIdfVectorizer weighs the n-grams of strings") {
  std::vector<Attribute> a{{"mode", std::string("TFIDF")},
                           {"min_gram_length", int64_t{1}},
                           {"max_gram_length", int64_t{2}},
                           {"max_skip_count", int64_t{1}},
                           {"ngram_counts", std::vector<int64_t>{0, 2}},
                           {"ngram_indexes", std::vector<int64_t>{2, 0, 1}},
                           {"weights", std::vector<float>{10, 100, 1000}},
                           {"pool_strings", Texts{"a", "b", "a", "b"}}};
  // "a" twice, "b" twice; "a b" next to each other once, with one item between them once more.
  Tensor x = strings({1, 5}, {"a", "b", "c", "a", "b"});
  auto out = run_op("TfIdfVectorizer", 9, {x}, a);
  CHECK(to_floats(out[0].tensor()) == std::vector<float>{20, 200, 2000});
  a[0] = {"mode", std::string("IDF")};
  CHECK(to_floats(run_op("TfIdfVectorizer", 9, {x}, a)[0].tensor()) == std::vector<float>{10, 100, 1000});
  a[5] = {"ngram_indexes", std::vector<int64_t>{2, 0}};
  CHECK(contains(error_of("TfIdfVectorizer", 9, {x}, a), "ngram_indexes has 2 entries"));
}

TEST_CASE("RegexFullMatch, or what this build lacks for it") {
  std::string e = error_of("RegexFullMatch", 20, {strings({1}, {"a"})}, {{"pattern", std::string("a(")}});
  if (contains(e, "SKIFF_WITH_RE2")) return;
  CHECK(contains(e, "not RE2 syntax"));
  auto out = run_op("RegexFullMatch", 20, {strings({3}, {"ab1", "ab", "xab1"})},
                    {{"pattern", std::string("[a-z]+\\d")}});
  CHECK(to_ints(out[0].tensor()) == std::vector<int64_t>{1, 0, 1});
}

TEST_CASE("bitmaps: run lengths, bit fields, top-down rows") {
  auto le = [](uint32_t v, int n) {
    std::string s;
    for (int i = 0; i < n; ++i) s += static_cast<char>(v >> 8 * i);
    return s;
  };
  auto bmp = [&](int w, int h, int bits, int compression, const std::string& between,
                 const std::string& pixels) {
    std::string head = le(40, 4) + le(static_cast<uint32_t>(w), 4) + le(static_cast<uint32_t>(h), 4) +
                       le(1, 2) + le(static_cast<uint32_t>(bits), 2) +
                       le(static_cast<uint32_t>(compression), 4) + le(0, 12) + le(bits <= 8 ? 2 : 0, 4) +
                       le(0, 4);
    auto at = static_cast<uint32_t>(14 + head.size() + between.size());
    return "BM" + le(at + static_cast<uint32_t>(pixels.size()), 4) + le(0, 4) + le(at, 4) + head + between +
           pixels;
  };
  std::string palette = le(0x112233, 4) + le(0xff0000, 4);
  // Rows from the bottom: two of index 1 and one literal 0; end of line; three literals; end.
  std::string rle("\x02\x01\x01\x00\x00\x00\x00\x03\x00\x01\x00\x00\x00\x01", 14);
  codecs::Image i = codecs::decode_image(bmp(3, 2, 8, 1, palette, rle));
  CHECK(i.pixels == std::vector<uint8_t>{0x11, 0x22, 0x33, 255, 0, 0, 0x11, 0x22, 0x33,  //
                                         255, 0, 0, 255, 0, 0, 0x11, 0x22, 0x33});
  i = codecs::decode_image(
      bmp(2, -1, 16, 3, le(0xf800, 4) + le(0x7e0, 4) + le(0x1f, 4), le(0xf800, 2) + le(0x7e0, 2)));
  CHECK(i.pixels == std::vector<uint8_t>{255, 0, 0, 0, 255, 0});
  std::string cut = bmp(1000, 1000, 24, 0, "", "abc");
  CHECK_THROWS_AS(codecs::decode_image(cut), Error);
  CHECK_THROWS_AS(codecs::decode_image(bmp(3, 1, 8, 1, palette, std::string("\x03\x07", 2))), Error);
}

TEST_CASE("portable maps in every form") {
  using Bytes = std::vector<uint8_t>;
  CHECK(codecs::decode_image("P1 2 1 # c\n01").pixels == Bytes{255, 255, 255, 0, 0, 0});
  CHECK(codecs::decode_image("P2\n2 1 15\n0 15 ").pixels == Bytes{0, 0, 0, 255, 255, 255});
  CHECK(codecs::decode_image("P3 1 1 255 1 2 3").pixels == Bytes{1, 2, 3});
  CHECK(codecs::decode_image("P4 9 1\n\x80\x80").pixels.size() == 27);
  CHECK(codecs::decode_image(std::string_view("P5 1 1 65535 \x80\x00", 15)).pixels == Bytes{128, 128, 128});
  for (const char* s :
       {"P6 1000 1000 255 x", "P5 1 1 0 x", "P2 1 1 10 11", "P7 1", "P5 99999999999 1 255 ", "P5"})
    CHECK_THROWS_AS(codecs::decode_image(s), Error);
}

TEST_CASE("ImageDecoder gives an image without pixels for what it cannot decode") {
  Tensor x(DType::kUint8, {5});
  std::fill_n(x.data<uint8_t>(), 5, uint8_t{7});
  CHECK(run_op("ImageDecoder", 20, {x})[0].tensor().dims() == Dims{0, 0, 3});
  Tensor pnm(DType::kUint8, {15});
  std::copy_n("P3 1 1 9 9 0 0 ", 15, pnm.data<char>());
  CHECK(to_ints(run_op("ImageDecoder", 20, {pnm}, {{"pixel_format", std::string("BGR")}})[0].tensor()) ==
        std::vector<int64_t>{0, 0, 255});
  CHECK(
      to_ints(run_op("ImageDecoder", 20, {pnm}, {{"pixel_format", std::string("Grayscale")}})[0].tensor()) ==
      std::vector<int64_t>{76});
}
