// Compresses text with zstd at two levels, and gets it back several times. What it finds to save differs with the size of a word,
// so the checksum is that of the text.
#include "bench.h"
#include <zstd.h>

enum { SIZE = 4000000 };
static char text[SIZE], packed[SIZE + SIZE / 100 + 600], again[SIZE];

int main(void) {
  fill_with_text(text, SIZE);
  begin();
  static const int levels[] = {3, 7};
  for (int at = 0; at < 2; at++) {
    size_t packed_size = ZSTD_compress(packed, sizeof packed, text, SIZE, levels[at]);
    require(!ZSTD_isError(packed_size), "compressing failed");
    for (int time = 0; time < 4; time++) {
      memset(again, 0, SIZE);
      require(ZSTD_decompress(again, SIZE, packed, packed_size) == SIZE, "decompressing failed");
      require(memcmp(text, again, SIZE) == 0, "it is another text");
      check(again, SIZE / 100);
    }
  }
  end();
}
