#include "filters/pack/blocks.hpp"

#include <algorithm>
#include <cmath>

#include "filters/pack/code_header.hpp"
#include "filters/pack/prefix_code.hpp"

namespace mp::filters::pack {
namespace {

// So that four literals fit between two flushes.
constexpr unsigned kLiteralLimit = 14;
constexpr unsigned kDistanceLimit = 15;
constexpr std::size_t kMostStored = 65535;

enum class Form : unsigned { stored, fixed_codes, own_codes };

// Adds the symbols of the steps, whose text begins at `text`; returns where it ends.
const Byte* count(const Step* step, const Step* end, const Byte* text, Counts& counts) {
  for (; step != end; ++step) {
    for (const Byte* const copy = text + step->literals; text != copy; ++text) ++counts.literals[*text];
    if (step->length == 0) continue;
    ++counts.literals[kFirstLength + kLengths.symbol[step->length]];
    ++counts.distances[distance_symbol(step->distance_minus_one)];
    text += step->length;
  }
  return text;
}

void join(Counts& counts, const Counts& more) {
  for (unsigned s = 0; s < kLiteralSymbols; ++s) counts.literals[s] += more.literals[s];
  for (unsigned s = 0; s < kDistanceSymbols; ++s) counts.distances[s] += more.distances[s];
}

// n * log2(n)
float times_its_logarithm(std::uint32_t n) {
  return static_cast<float>(n) * std::log2(static_cast<float>(n));
}

using SmallNumbers = std::array<float, 1024>;

const SmallNumbers& small_numbers() {
  static const SmallNumbers kTable = [] {
    SmallNumbers table{};
    for (std::uint32_t n = 1; n < table.size(); ++n) table[n] = times_its_logarithm(n);
    return table;
  }();
  return kTable;
}

// What symbols that occur so often take at least, in bits.
template <std::size_t N>
float entropy(const std::array<std::uint32_t, N>& counts) {
  const SmallNumbers& small = small_numbers();
  std::uint32_t all = 1;  // not 0, which has no logarithm
  float sum = 0;
  for (const std::uint32_t n : counts) {
    all += n;
    sum += n < small.size() ? small[n] : times_its_logarithm(n);
  }
  return times_its_logarithm(all) - sum;
}

float entropy(const Counts& counts) {
  return entropy(counts.literals) + entropy(counts.distances);
}

constexpr std::uint8_t fixed_length(unsigned literal_symbol) {
  return literal_symbol < 144 ? 8 : literal_symbol < 256 ? 9 : literal_symbol < 280 ? 7 : 8;
}
constexpr std::uint8_t kFixedDistanceLength = 5;

std::size_t bits_of(const Counts& counts, const std::uint8_t* literal_lengths,
                    const std::uint8_t* distance_lengths) {
  std::size_t bits = 0;
  for (unsigned s = 0; s < kLiteralSymbols; ++s) {
    const unsigned extra = s < kFirstLength ? 0 : extra_bits_of_length(s - kFirstLength);
    bits += std::size_t{counts.literals[s]} * (literal_lengths[s] + extra);
  }
  for (unsigned s = 0; s < kDistanceSymbols; ++s)
    bits += std::size_t{counts.distances[s]} * (distance_lengths[s] + extra_bits_of_distance(s));
  return bits;
}

}  // namespace

Blocks::Blocks() : steps_(std::make_unique<Step[]>(kMostSteps)) {}

// Stored bytes are the worst that happens to a block; one has at least a group of steps, none of which is
// less than four bytes, or is the last.
std::size_t Blocks::room_for(std::size_t size) {
  constexpr std::size_t kHead = 6;
  constexpr std::size_t kBeyond = 8;
  return size + kHead * (size / (4 * kGroup) + size / kMostStored + 2) + kBeyond;
}

void Blocks::begin(const Byte* text, Byte* out) {
  block_end_ = end_ = 0;
  group_end_ = kGroup;
  text_ = text;
  size_ = 0;
  counts_ = {};
  out_ = BitWriter(out);
}

void Blocks::end_group() {
  constexpr float kHeader = 400;  // about what the codes of one more block take
  const Byte* const text = text_ + size_;
  Counts group;
  const std::size_t size =
      static_cast<std::size_t>(count(&steps_[block_end_], &steps_[end_], text, group) - text);
  const float bits = entropy(group);
  Counts joined = counts_;
  join(joined, group);
  const float together = entropy(joined);
  if (block_end_ != 0 && bits_ + bits + kHeader < together) {
    const std::size_t steps = end_ - block_end_;
    const std::size_t from = block_end_;
    write_block(false);
    std::copy_n(&steps_[from], steps, &steps_[0]);
    end_ = steps;
    counts_ = group;
    bits_ = bits;
  } else {
    counts_ = joined;
    bits_ = together;
  }
  size_ += size;
  block_end_ = end_;
  if (block_end_ == kMostSteps) write_block(false);
  group_end_ = end_ + kGroup;
}

Byte* Blocks::finish() {
  end_group();
  write_block(true);
  out_.align();
  return out_.end();
}

// Writes the block, which leaves an empty one behind its text.
void Blocks::write_block(bool last) {
  counts_.literals[kEndOfBlock] = 1;
  code_lengths(counts_.literals, kLiteralLimit, literal_lengths_);
  code_lengths(counts_.distances, kDistanceLimit, distance_lengths_);
  const CodeHeader header(literal_lengths_, distance_lengths_);
  const std::size_t own = header.bits() + bits_of(counts_, literal_lengths_.data(), distance_lengths_.data());

  std::array<std::uint8_t, kMostSymbols> fixed;
  for (unsigned s = 0; s < fixed.size(); ++s) fixed[s] = fixed_length(s);
  std::array<std::uint8_t, kDistanceSymbols> fixed_distances;
  fixed_distances.fill(kFixedDistanceLength);
  const std::size_t with_fixed = bits_of(counts_, fixed.data(), fixed_distances.data());

  const std::size_t stored = 8 * (size_ + 5 * (1 + size_ / kMostStored));
  if (stored < std::min(own, with_fixed)) {
    write_stored(last);
  } else {
    const bool use_own = own < with_fixed;
    const auto form = static_cast<unsigned>(use_own ? Form::own_codes : Form::fixed_codes);
    out_.put((last ? 1u : 0u) | form << 1, 3);
    if (use_own) {
      header.write(out_);
      codes_of(literal_lengths_, literal_codes_);
    } else {
      std::array<std::uint16_t, kMostSymbols> codes;
      codes_of(fixed, codes);  // of 288 symbols, two of which do not occur
      std::copy_n(codes.begin(), kLiteralSymbols, literal_codes_.begin());
      std::copy_n(fixed.begin(), kLiteralSymbols, literal_lengths_.begin());
      distance_lengths_ = fixed_distances;
    }
    codes_of(distance_lengths_, distance_codes_);
    write_steps();
  }
  text_ += size_;
  size_ = 0;
  counts_ = {};
  block_end_ = end_ = 0;
}

void Blocks::write_stored(bool last) {
  const Byte* text = text_;
  std::size_t left = size_;
  do {
    const std::size_t size = std::min(left, kMostStored);
    left -= size;
    out_.put(last && left == 0 ? 1 : 0, 3);
    out_.align();
    const Byte low = static_cast<Byte>(size);
    const Byte high = static_cast<Byte>(size >> 8);
    const Byte head[] = {low, high, static_cast<Byte>(~low), static_cast<Byte>(~high)};
    out_.bytes(head, sizeof head);
    out_.bytes(text, size);
    text += size;
  } while (left != 0);
}

void Blocks::write_steps() {
  struct Code {
    std::uint32_t bits;
    std::uint32_t size;
  };
  std::array<Code, 256> literals;
  for (unsigned c = 0; c < literals.size(); ++c) literals[c] = {literal_codes_[c], literal_lengths_[c]};
  std::array<Code, kLongest + 1> lengths;  // with their extra bits
  for (unsigned n = 3; n <= kLongest; ++n) {
    const unsigned s = kLengths.symbol[n];
    const unsigned size = literal_lengths_[kFirstLength + s];
    const std::uint32_t extra = n - kLengths.first[s];
    lengths[n] = {literal_codes_[kFirstLength + s] | extra << size, size + extra_bits_of_length(s)};
  }
  BitWriter out = out_;
  const auto literal = [&](Byte c) { out.add(literals[c].bits, literals[c].size); };
  const Byte* text = text_;
  for (const Step *step = &steps_[0], *const end = step + block_end_; step != end; ++step) {
    std::uint32_t left = step->literals;
    for (; left >= 4; left -= 4, text += 4) {
      for (unsigned i = 0; i < 4; ++i) literal(text[i]);
      out.flush();
    }
    if (left != 0) {
      literal(*text++);
      if (left != 1) {
        literal(*text++);
        if (left != 2) literal(*text++);
      }
      out.flush();
    }
    if (step->length == 0) continue;
    text += step->length;
    out.add(lengths[step->length].bits, lengths[step->length].size);
    const unsigned s = distance_symbol(step->distance_minus_one);
    const unsigned extra = extra_bits_of_distance(s);
    out.add(distance_codes_[s], distance_lengths_[s]);
    out.add(step->distance_minus_one & ((1u << extra) - 1), extra);
    out.flush();
  }
  out.put(literal_codes_[kEndOfBlock], literal_lengths_[kEndOfBlock]);
  out_ = out;
}

}  // namespace mp::filters::pack
