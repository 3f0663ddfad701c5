// round(|X|) with its sign for X ~ N(0, scale^2), from one 64-bit word each: src/reticent/kernels/reference.py in C++.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "inverse_normal.hpp"
#include "targets.hpp"

namespace reticent {

constexpr int kBlock = 512;  // words; with the draws 8 KiB, which stay in the first-level cache

RETICENT_INLINE double as_double(uint64_t bits) {
  double value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

RETICENT_INLINE uint64_t as_bits(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

// Draws `kBlock` values. unsure[i] is not 0 where the value is not proven. Returns whether any is not.
//
// The error, relative to 1 + x, is proven below 2^-45 (GUARD in compiled.py) for U >= 2^-24, whether or not the
// compiler fuses multiplications and additions: polynomial 2^-52, its evaluation and the conversion of the word 2^-50,
// the interval of width 2^-64 in which U lies 2^-46. Every loop is without branches, so that the compiler makes
// vectors of it. Its time hardly depends on the noise: what remains are the places of the table that are looked up.
RETICENT_INLINE bool draw_block(
    const uint64_t* __restrict words, double scale, double guard, const double* __restrict polynomials, int64_t* __restrict drawn, uint64_t* __restrict unsure) {
  const double two52 = as_double(0x4330000000000000);    // a 32-bit number in the low bits of 2^52, or of 2^84,
  const double two84 = as_double(0x4530000000000000);    // becomes a double by a subtraction, on every processor
  const double rounder = as_double(0x4338000000000000);  // 1.5 * 2^52: its sum with |y| < 2^51 is rounded to a whole
  const uint64_t least = as_bits(0x1p40);                // 2^64 U where the polynomials begin ...
  const uint64_t most = as_bits(0x1.fffffffffffffp62);   // ... and end
  const uint64_t first_piece = least >> 48;
  uint64_t any = 0;
  for (int i = 0; i < kBlock; ++i) {
    const uint64_t word = words[i], bits = word & 0x7fffffffffffffff;
    const double high = as_double((bits >> 32) | 0x4530000000000000) - two84;
    const double low = as_double((bits & 0xffffffff) | 0x4330000000000000) - (two52 - 0.5);
    uint64_t u = as_bits(high + low);  // 2^64 U at the middle of its interval, rounded once; ordered like its bits
    u = u < least ? least : u;
    u = u > most ? most : u;
    const int64_t piece = static_cast<int64_t>((u >> 48) - first_piece) * kTerms;
    const double t = as_double((u & 0xffffffffffff) | 0x3ff0000000000000) - 1.03125;
    double x = polynomials[piece + kTerms - 1];
    for (int term = kTerms - 2; term >= 0; --term) x = polynomials[piece + term] + t * x;
    const double scaled = x * scale;
    const double shifted = scaled + rounder;
    const double room = 0.5 - std::fabs(scaled - (shifted - rounder)) - (1 + x) * (guard * scale);
    const uint64_t sign = 0 - (word >> 63);
    const uint64_t magnitude = as_bits(shifted) - 0x4338000000000000;
    drawn[i] = static_cast<int64_t>((magnitude ^ sign) - sign);
    const uint64_t doubt = (as_bits(room) >> 63) | (bits < (uint64_t{1} << 40) ? 1 : 0);
    unsure[i] = doubt;
    any |= doubt;
  }
  return any != 0;
}

}  // namespace reticent
