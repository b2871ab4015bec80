// Memory for OpenSSL, which allocates and frees some five hundred blocks for a resumed handshake and two
// thousand for a new one: more of each size at once than malloc() keeps at hand. Blocks that are given back
// wait in pools of their thread, by size. They are ordinary blocks of malloc() all the same: what was
// allocated before the pools are used, or by others, may be given back here, and the other way round.
#pragma once

namespace mp::tls {

// Makes OpenSSL allocate here. Only before anything of it was used.
void install_memory();

// From now on what this thread gives back is kept in pools. For a worker's, whose loop trims them.
void pool_memory();

}  // namespace mp::tls
