// H2HeadMender: what a peer sends, on its way to the engine. Some peers write a Huffman string that fills its
// last byte with a whole byte of padding behind it. RFC 7541 5.2 forbids that, nginx has always read it, and
// the engine ends the connection for it; so that byte is taken out here. Everything else passes untouched,
// and whatever is wrong with it is the engine's to find. Owned by a pump. Holds memory only while a head has
// come in part, and never more than it was made with and one read.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mp::upstream {

class H2HeadMender {
 public:
  // A head that is larger than `most_held` before it is complete passes as it is.
  explicit H2HeadMender(std::size_t most_held) : most_held_(most_held) {}

  // The next bytes for the engine, valid until the next call; they leave `bytes`, which go on where those of
  // the last call ended. Empty: all of `bytes` was used, of which a part may be held.
  std::string_view take(std::string_view& bytes);

  bool holds_head() const;
  // The head that is held need not be waited for: what there is of it comes with the next take().
  void let_go();

 private:
  bool held_is_enough();
  bool mend(std::string_view head);

  std::size_t most_held_;
  std::size_t skip_ = 0;     // bytes that pass without being looked at
  std::string held_;         // begins with the first frame of a head, or is the beginning of any frame's head
  std::size_t scanned_ = 0;  // how much of that is whole frames
  std::string given_;        // what was held, while it is being taken
  std::string mended_;
};

// `out` becomes the header block without what is too much in it; false: there is nothing of the kind.
bool mend_header_block(std::string_view block, std::string& out);

}  // namespace mp::upstream
