// Encodes a picture as WebP with loss, and decodes it.
#include "bench.h"
#include <webp/decode.h>
#include <webp/encode.h>

enum { WIDTH = 640, HEIGHT = 480 };
static uint8_t picture[WIDTH * HEIGHT * 3];

int main(void) {
  for (int y = 0; y < HEIGHT; y++) {
    for (int x = 0; x < WIDTH; x++) {
      uint8_t *pixel = picture + (y * WIDTH + x) * 3;
      int noise = next_random() % 24;
      pixel[0] = (x * x / 300 + y + noise) & 255;
      pixel[1] = (x / 2 + (y * y / 200) + noise) & 255;
      pixel[2] = ((x / 40 + y / 30) % 2 ? 200 : 40) + noise;
    }
  }
  begin();
  uint8_t *packed;
  size_t size = WebPEncodeRGB(picture, WIDTH, HEIGHT, WIDTH * 3, 75, &packed);
  require(size > 0, "encoding failed");
  check(packed, size);
  for (int time = 0; time < 4; time++) {
    int width, height;
    uint8_t *again = WebPDecodeRGB(packed, size, &width, &height);
    require(again && width == WIDTH && height == HEIGHT, "decoding failed");
    check(again, sizeof picture);
    WebPFree(again);
  }
  WebPFree(packed);
  end();
}
