// Cuts a range of a broadcast loop into blocks over which every operand is one dense run or one scalar.
// Included by kernels: everything has internal linkage.
#pragma once
#include <stdint.h>

#include "device/cpu/broadcast.h"

namespace skiff::cpu::SKIFF_ISA {
namespace {

constexpr int64_t kBlock = 1024;    // most elements of a block
constexpr int64_t kShortRow = 256;  // rows below this are gathered into blocks of several

// How one operand is walked. Elements are copied as T.
template <class T>
class Operand {
 public:
  // buffer: kBlock elements, for operands that have to be spread out.
  void init(const void* base, const LoopShape& loop, int index, T* buffer) {
    base_ = static_cast<const T*>(base);
    loop_ = &loop;
    strides_ = loop.strides[index];
    buffer_ = buffer;
    filled_ = 0;
    dense_ = constant_ = true;
    period_ = loop.size;
    int64_t step = 1, tail = 1;
    for (int d = loop.rank - 1; d >= 0; --d) {
      if (strides_[d] != 0) {
        constant_ = false;
        period_ = tail * loop.dims[d];
      }
      if (strides_[d] != step) dense_ = false;
      step *= loop.dims[d];
      tail *= loop.dims[d];
    }
  }

  // The values of flat elements [at, at + n); block_at is the start of the aligned block that holds them.
  // Sets scalar when one value serves all.
  const T* get(int64_t block_at, int64_t at, int64_t n, bool& scalar) {
    scalar = constant_;
    if (constant_) return base_;
    if (dense_) return base_ + at;
    const int last = loop_->rank - 1;
    const int64_t row = loop_->dims[last];
    if (at % row + n <= row) {
      scalar = strides_[last] == 0;
      return base_ + offset(at / row) + (at % row) * strides_[last];
    }
    if (period_ <= kBlock) {  // every block looks the same from its start
      if (filled_ < at - block_at + n) {
        const int64_t upto = at - block_at + n;
        spread(block_at + filled_, upto - filled_, buffer_ + filled_);
        filled_ = upto;
      }
      return buffer_ + (at - block_at);
    }
    spread(at, n, buffer_);
    return buffer_;
  }

  int64_t period() const { return period_; }
  bool plain() const { return dense_ || constant_; }

 private:
  int64_t offset(int64_t row) const {
    int64_t sum = 0;
    for (int d = loop_->rank - 2; d >= 0; --d) {
      sum += row % loop_->dims[d] * strides_[d];
      row /= loop_->dims[d];
    }
    return sum;
  }

  void spread(int64_t at, int64_t n, T* to) const {
    const int last = loop_->rank - 1;
    const int64_t row = loop_->dims[last], step = strides_[last];
    int64_t index[kMaxLoopDims], rest = at / row, col = at % row;
    const T* from = base_;
    for (int d = last - 1; d >= 0; --d) {
      index[d] = rest % loop_->dims[d];
      rest /= loop_->dims[d];
      from += index[d] * strides_[d];
    }
    while (n > 0) {
      const int64_t run = row - col < n ? row - col : n;
      const T* s = from + col * step;
      if (step == 0) {
        const T v = *s;
        for (int64_t i = 0; i < run; ++i) to[i] = v;
      } else {
        for (int64_t i = 0; i < run; ++i) to[i] = s[i];
      }
      to += run;
      n -= run;
      col = 0;
      for (int d = last - 1; d >= 0; --d) {
        from += strides_[d];
        if (++index[d] < loop_->dims[d]) break;
        from -= loop_->dims[d] * strides_[d];
        index[d] = 0;
      }
    }
  }

  const T* base_;
  const LoopShape* loop_;
  const int64_t* strides_;
  T* buffer_;
  int64_t filled_, period_;
  bool dense_, constant_;
};

// Length of the aligned blocks for short rows: a multiple of every short period, so that a periodic operand
// is spread out once. 0 when blocks should follow the rows.
inline int64_t block_length(const LoopShape& loop, const int64_t* periods, int operands) {
  if (loop.rank == 1) return kBlock;
  const int64_t row = loop.dims[loop.rank - 1];
  if (row >= kShortRow) return 0;
  int64_t unit = row;
  for (int i = 0; i < operands; ++i)
    if (periods[i] <= kBlock && periods[i] > unit) unit = periods[i];
  return kBlock / unit * unit;
}

// The block that starts at `at`: sets its aligned start and gives its length, at most end - at.
inline int64_t next_block(const LoopShape& loop, int64_t length, int64_t at, int64_t end, int64_t& block_at) {
  int64_t stop;
  if (length > 0) {
    block_at = at / length * length;
    stop = block_at + length;
  } else {
    const int64_t row = loop.dims[loop.rank - 1];
    const int64_t row_at = at / row * row;
    block_at = row_at + (at - row_at) / kBlock * kBlock;
    stop = block_at + kBlock;
    if (stop > row_at + row) stop = row_at + row;
  }
  return (stop < end ? stop : end) - at;
}

}  // namespace
}  // namespace skiff::cpu::SKIFF_ISA
