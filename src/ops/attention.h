// Scaled dot-product attention, shared by Attention, FlexAttention and com.microsoft's attention operators.
#pragma once
#include "ops/real_view.h"

namespace skiff::attn {

// [B, S, H * D] or [B, H, S, D] as [B, H, S, D]. Throws kInvalidModel when `heads` does not divide the width.
Tensor split_heads(const Tensor& t, int64_t heads, const char* what);
// [B, H, S, D] as [B, S, H * D].
Tensor join_heads(const Tensor& t);
// Two tensors one after the other along axis 2 (sequence).
Tensor append(const Tensor& past, const Tensor& now, const char* what);

// Fills what is added to the scores of one query (of batch b, head h): `kv` numbers, -inf for keys it must
// not see.
class Bias {
 public:
  virtual ~Bias() = default;
  virtual void fill(int64_t b, int64_t h, int64_t query, double* row, int64_t kv) = 0;
};

// Which of its steps a caller wants to see: [B, H, q, kv].
struct Trace {
  double* raw = nullptr;     // scaled products
  double* capped = nullptr;  // after the soft cap
  double* biased = nullptr;  // with the bias
  double* probabilities = nullptr;
};

// q [B, H, q, D], k [B, G, kv, D], v [B, G, kv, E], H a multiple of G -> [B, H, q, E], in q's type. A query
// that may see no key gives zeros. Sums in double.
Tensor attend(const Tensor& q, const Tensor& k, const Tensor& v, double scale, double softcap, Bias* bias,
              const Trace& trace, KernelContext& poll);

// A mask broadcast (right-aligned) to [B, H, q, kv]: booleans (true: may be seen) or numbers to add. Its last
// extent may be shorter than kv: keys beyond it must not be seen.
class MaskBias : public Bias {
 public:
  MaskBias(const Tensor& mask, int64_t batch, int64_t heads, int64_t queries, int64_t kv);
  void fill(int64_t b, int64_t h, int64_t query, double* row, int64_t kv) override;

 private:
  std::vector<double> v_;
  Dims dims_, strides_;
};

// Rotates the first `width` elements of each head by the angles of its position: pairs (i, i + width / 2), or
// neighbours when interleaved. x [B, H, S, D]; cos and sin [positions, width / 2]; position(b, s) names the
// row.
template <class F>
void rotate(Tensor& x, const std::vector<double>& cos, const std::vector<double>& sin, int64_t width,
            bool interleaved, F&& position) {
  int64_t batch = x.dim(0), heads = x.dim(1), seq = x.dim(2), d = x.dim(3), half = width / 2;
  std::vector<double> v = ref::to_doubles(x);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t s = 0; s < seq; ++s) {
        double* p = v.data() + ((b * heads + h) * seq + s) * d;
        int64_t row = position(b, s) * half;
        for (int64_t i = 0; i < half; ++i) {
          double& l = p[interleaved ? 2 * i : i];
          double& r = p[interleaved ? 2 * i + 1 : i + half];
          double c = cos[static_cast<size_t>(row + i)], n = sin[static_cast<size_t>(row + i)],
                 re = c * l - n * r;
          r = n * l + c * r;
          l = re;
        }
      }
    }
  }
  ref::store_all(x, v.data());
}

}  // namespace skiff::attn
