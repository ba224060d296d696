// What the programs of the suite share: an input that is the same everywhere, a checksum and the clock.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// Numbers that look random: xorshift.
static uint32_t random_state = 2463534242u;

static uint32_t next_random(void) {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state;
}

// Text of words, of which some are frequent and most are not.
static inline void fill_with_text(char *text, size_t size) {
  static char words[512][12];
  for (int word = 0; word < 512; word++) {
    int length = 2 + next_random() % 9;
    for (int at = 0; at < length; at++) words[word][at] = "etaoinshrdlucmfwypvbgkjqxz"[next_random() % (1 + next_random() % 26)];
    words[word][length] = 0;
  }
  for (size_t at = 0; at < size;) {
    uint32_t among = next_random() % 10 < 7 ? 48 : 512;
    const char *word = words[next_random() % among];
    while (*word && at < size) text[at++] = *word++;
    if (at < size) text[at++] = next_random() % 12 ? ' ' : '\n';
  }
}

static uint32_t checksum_state = 2166136261u;

// FNV-1a over everything that was computed.
static inline void check(const void *data, size_t size) {
  const uint8_t *bytes = data;
  for (size_t at = 0; at < size; at++) checksum_state = (checksum_state ^ bytes[at]) * 16777619u;
}

static inline void check_number(uint64_t number) { check(&number, sizeof number); }

// Ends the program where something that always holds does not.
static inline void require(int holds, const char *what) {
  if (holds) return;
  fprintf(stderr, "%s\n", what);
  exit(1);
}

static struct timespec began;

static inline void begin(void) { clock_gettime(CLOCK_MONOTONIC, &began); }

// Prints how long it took since `begin`, in nanoseconds, and the checksum.
static inline void end(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  long long taken = (now.tv_sec - began.tv_sec) * 1000000000LL + (now.tv_nsec - began.tv_nsec);
  printf("%lld %08x\n", taken, (unsigned)checksum_state);
}
