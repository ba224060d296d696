// Compresses text with bzip2's largest blocks, and gets it back.
#include "bench.h"
#include <bzlib.h>

enum { SIZE = 2000000 };
static char text[SIZE], packed[SIZE + SIZE / 100 + 600], again[SIZE];

void bz_internal_error(int code) { exit(code); }

int main(void) {
  fill_with_text(text, SIZE);
  begin();
  unsigned packed_size = sizeof packed, size = SIZE;
  require(BZ2_bzBuffToBuffCompress(packed, &packed_size, text, SIZE, 9, 0, 30) == BZ_OK, "compressing failed");
  check(packed, packed_size);
  require(BZ2_bzBuffToBuffDecompress(again, &size, packed, packed_size, 0, 0) == BZ_OK, "decompressing failed");
  require(size == SIZE && memcmp(text, again, SIZE) == 0, "it is another text");
  end();
}
