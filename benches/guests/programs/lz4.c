// Compresses text with LZ4's fast and its thorough compressor, and gets it back many times. What they find to save
// differs with the size of a word, so the checksum is that of the text.
#include "bench.h"
#include <lz4.h>
#include <lz4hc.h>

enum { SIZE = 4000000 };
static char text[SIZE], packed[LZ4_COMPRESSBOUND(SIZE)], again[SIZE];

int main(void) {
  fill_with_text(text, SIZE);
  begin();
  for (int level = 0; level <= 6; level += 6) {
    int packed_size = level ? LZ4_compress_HC(text, packed, SIZE, sizeof packed, level)
                            : LZ4_compress_default(text, packed, SIZE, sizeof packed);
    require(packed_size > 0, "compressing failed");
    for (int time = 0; time < 10; time++) {
      memset(again, 0, SIZE);
      require(LZ4_decompress_safe(packed, again, packed_size, SIZE) == SIZE, "decompressing failed");
      require(memcmp(text, again, SIZE) == 0, "it is another text");
      check(again, SIZE / 100);
    }
  }
  end();
}
