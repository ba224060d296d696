// Aligns sequences of nucleotides, with affine costs of gaps.
#include "bench.h"
#include <ksw2.h>

enum { SIZE = 1500, PAIRS = 60 };
static uint8_t target[SIZE], query[SIZE];

int main(void) {
  static const int8_t scores[25] = {2, -4, -4, -4, 0, -4, 2, -4, -4, 0, -4, -4, 2, -4, 0, -4, -4, -4, 2, 0, 0, 0, 0, 0, 0};
  begin();
  for (int pair = 0; pair < PAIRS; pair++) {
    int length = 0;
    for (int at = 0; at < SIZE; at++) target[at] = next_random() % 4;
    for (int at = 0; at < SIZE && length < SIZE; at++) {
      uint32_t change = next_random() % 20;
      if (change == 0) continue;
      query[length++] = change == 1 ? next_random() % 4 : target[at];
      if (change == 2 && length < SIZE) query[length++] = next_random() % 4;
    }
    ksw_extz_t found;
    memset(&found, 0, sizeof found);
    ksw_extz(NULL, length, query, SIZE, target, 5, scores, 4, 2, 200, -1, 0, &found);
    check_number(found.score);
    check(found.cigar, found.n_cigar * sizeof *found.cigar);
    free(found.cigar);
  }
  end();
}
