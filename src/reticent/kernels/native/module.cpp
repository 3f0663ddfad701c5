// The compiled kernels as a Python module. Nothing here chooses a key, a level or a guard: all are arguments.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "aes_ctr.hpp"
#include "inverse_normal.hpp"
#include "rounded_gaussian.hpp"
#include "targets.hpp"

namespace nb = nanobind;

namespace reticent {
namespace {

using Words = nb::ndarray<const uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using NewWords = nb::ndarray<uint64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Draws = nb::ndarray<int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using Table = nb::ndarray<const double, nb::shape<kPieces, kTerms>, nb::c_contig, nb::device::cpu>;

enum class Level { plain, avx2, avx512 };

bool has(Level level) {
#if RETICENT_X86
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("aes");
  if (level == Level::avx2) return avx2;
  if (level == Level::avx512)
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("vaes");
#endif
  return level == Level::plain;
}

Level parse(const std::string& name) {
  const Level level = name == "avx512" ? Level::avx512 : name == "avx2" ? Level::avx2 : Level::plain;
  if ((level == Level::plain && name != "plain") || !has(level))
    throw std::invalid_argument("this processor has no level " + name);
  return level;
}

nb::list levels() {
  nb::list found;
  if (has(Level::avx512)) found.append("avx512");
  if (has(Level::avx2)) found.append("avx2");
  found.append("plain");
  return found;
}

bool draw_plain(const uint64_t* words, double scale, double guard, const double* table, int64_t* out, uint64_t* unsure) {
  return draw_block(words, scale, guard, table, out, unsure);
}

#if RETICENT_X86
RETICENT_AVX2 bool draw_avx2(
    const uint64_t* words, double scale, double guard, const double* table, int64_t* out, uint64_t* unsure) {
  return draw_block(words, scale, guard, table, out, unsure);
}

RETICENT_AVX512 bool draw_avx512(
    const uint64_t* words, double scale, double guard, const double* table, int64_t* out, uint64_t* unsure) {
  return draw_block(words, scale, guard, table, out, unsure);
}
#endif

// Fills `out` from blocks of words that `next(block, words)` provides; returns how many indices are in `doubtful`.
template <typename Next, typename Draw>
int64_t draw_all(
    Next next, Draw draw, double scale, double guard, const double* table, int64_t* out, int64_t size,
    int64_t* doubtful) {
  alignas(64) uint64_t words[kBlock], unsure[kBlock];
  alignas(64) int64_t drawn[kBlock];
  int64_t found = 0;
  for (int64_t start = 0; start < size; start += kBlock) {
    const int64_t count = std::min<int64_t>(kBlock, size - start);
    next(start, count, words);
    const bool whole = count == kBlock;
    const bool any = draw(words, scale, guard, table, whole ? out + start : drawn, unsure);
    if (!whole) std::copy(drawn, drawn + count, out + start);
    for (int64_t i = 0; any && i < count; ++i)
      if (unsure[i]) doubtful[found++] = start + i;
  }
  wipe(words, sizeof words);
  wipe(drawn, sizeof drawn);
  return found;
}

void require_room(const Draws& out, const Draws& doubtful) {
  if (doubtful.shape(0) < out.shape(0)) throw std::invalid_argument("doubtful is shorter than out");
}

// Draws from the keystream of AES-128 in counter mode, word `2 * block` of it and what follows.
int64_t gaussian_of_key(const char* level_name, nb::bytes key, uint64_t block, double scale, double guard,
                        Table table, Draws out, Draws doubtful) {
  const Level level = parse(level_name);
  if (level == Level::plain) throw std::invalid_argument("the level plain takes words, not a key");
  if (key.size() != 16) throw std::invalid_argument("a key has 16 bytes");
  require_room(out, doubtful);
  int64_t found = 0;
#if RETICENT_X86
  const auto* bytes = static_cast<const unsigned char*>(key.data());
  int64_t* to = out.data();
  const auto size = static_cast<int64_t>(out.shape(0));
  const nb::gil_scoped_release released;
  const RoundKeys keys(bytes);
  if (level == Level::avx512) {
    const auto next = [&](int64_t start, int64_t, uint64_t* words) {
      keystream_avx512(keys, block + static_cast<uint64_t>(start / 2), kBlock / 2, words);
    };
    found = draw_all(next, draw_avx512, scale, guard, table.data(), to, size, doubtful.data());
  } else {
    const auto next = [&](int64_t start, int64_t, uint64_t* words) {
      keystream_avx2(keys, block + static_cast<uint64_t>(start / 2), kBlock / 2, words);
    };
    found = draw_all(next, draw_avx2, scale, guard, table.data(), to, size, doubtful.data());
  }
#endif
  return found;
}

// Draws from given words, one each.
int64_t gaussian_of_words(
    const char* level_name, Words given, double scale, double guard, Table table, Draws out, Draws doubtful) {
  const Level level = parse(level_name);
  require_room(out, doubtful);
  if (given.shape(0) != out.shape(0)) throw std::invalid_argument("words and out differ in length");
  const uint64_t* from = given.data();
  int64_t* to = out.data();
  const auto size = static_cast<int64_t>(out.shape(0));
  const auto next = [&](int64_t start, int64_t count, uint64_t* words) {
    std::copy(from + start, from + start + count, words);
    std::fill(words + count, words + kBlock, 0);
  };
  const nb::gil_scoped_release released;
  auto draw = draw_plain;
#if RETICENT_X86
  if (level == Level::avx512) draw = draw_avx512;
  if (level == Level::avx2) draw = draw_avx2;
#endif
  return draw_all(next, draw, scale, guard, table.data(), to, size, doubtful.data());
}

// The keystream alone: for known answers.
void keystream(const char* level_name, nb::bytes key, uint64_t block, NewWords out) {
  const Level level = parse(level_name);
  if (level == Level::plain) throw std::invalid_argument("the level plain has no keystream of its own");
  if (key.size() != 16) throw std::invalid_argument("a key has 16 bytes");
#if RETICENT_X86
  const RoundKeys keys(static_cast<const unsigned char*>(key.data()));
  alignas(64) uint64_t words[kBlock];
  const auto size = static_cast<int64_t>(out.shape(0));
  for (int64_t start = 0; start < size; start += kBlock) {
    const uint64_t first = block + static_cast<uint64_t>(start / 2);
    if (level == Level::avx512) keystream_avx512(keys, first, kBlock / 2, words);
    else keystream_avx2(keys, first, kBlock / 2, words);
    std::copy(words, words + std::min<int64_t>(kBlock, size - start), out.data() + start);
  }
  wipe(words, sizeof words);
#endif
}

nb::ndarray<nb::numpy, const double> inverse_normal() {
  const std::size_t shape[2] = {kPieces, kTerms};
  return nb::ndarray<nb::numpy, const double>(kInverseNormal, 2, shape, nb::handle());
}

}  // namespace
}  // namespace reticent

NB_MODULE(_native, m) {
  using namespace reticent;
  m.attr("interface") = 1;  // changes with any signature here; compiled.py refuses a module of another one
  m.def("levels", &levels);
  m.def("inverse_normal", &inverse_normal, nb::rv_policy::reference);
  m.def("gaussian_of_key", &gaussian_of_key, nb::arg("level"), nb::arg("key"), nb::arg("block"), nb::arg("scale"),
        nb::arg("guard"), nb::arg("table").noconvert(), nb::arg("out").noconvert(), nb::arg("doubtful").noconvert());
  m.def("gaussian_of_words", &gaussian_of_words, nb::arg("level"), nb::arg("words").noconvert(), nb::arg("scale"),
        nb::arg("guard"), nb::arg("table").noconvert(), nb::arg("out").noconvert(), nb::arg("doubtful").noconvert());
  m.def("keystream", &keystream, nb::arg("level"), nb::arg("key"), nb::arg("block"), nb::arg("out").noconvert());
}
