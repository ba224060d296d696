// Compresses text with zlib at its usual level, and gets it back several times.
#include "bench.h"
#include <zlib.h>

enum { SIZE = 4000000 };
static unsigned char text[SIZE], packed[SIZE + SIZE / 100 + 600], again[SIZE];

int main(void) {
  fill_with_text((char *)text, SIZE);
  begin();
  uLongf packed_size = sizeof packed;
  require(compress2(packed, &packed_size, text, SIZE, 6) == Z_OK, "compressing failed");
  check(packed, packed_size);
  for (int time = 0; time < 6; time++) {
    uLongf size = SIZE;
    memset(again, 0, SIZE);
    require(uncompress(again, &size, packed, packed_size) == Z_OK && size == SIZE, "decompressing failed");
    require(memcmp(text, again, SIZE) == 0, "it is another text");
    check_number(crc32(0, again, SIZE));
  }
  end();
}
