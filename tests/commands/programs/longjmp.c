// `setjmp` and `longjmp`: back through frames, with a value, out of `qsort`, in a loop, and to a function that has returned.
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

static jmp_buf outer, inner;

static int dig(int depth, int value) {
  if (depth == 0) longjmp(value % 2 ? inner : outer, value);
  return dig(depth - 1, value) + 1;
}

static int attempt(int value) {
  volatile int steps = 0;
  int got = setjmp(inner);
  steps++;
  if (got == 0) dig(5, value);
  return got * 100 + steps;
}

static int compare(const void *a, const void *b) {
  int x = *(const int *)a, y = *(const int *)b;
  if (x == 13 || y == 13) longjmp(outer, 13);
  return (x > y) - (x < y);
}

static void jump(void) {
  int got = setjmp(outer);
  printf("outer %d\n", got);
  switch (got) {
  case 0:
    printf("inner %d\n", attempt(7));
    attempt(8);
    break;
  case 8: longjmp(outer, 0); // This arrives as 1.
  case 1: {
    int numbers[] = {5, 3, 9, 13, 1};
    qsort(numbers, 5, sizeof *numbers, compare);
    printf("not reached\n");
  }
  }
  volatile long long sum = 0;
  for (volatile int i = 0; i < 100000; i++) {
    int value = setjmp(inner);
    if (value == 0) dig(i % 4, i * 2 + 1);
    sum += value;
  }
  printf("%lld\n", sum);
}

int main(int argc, char **argv) {
  jump();
  fflush(stdout);
  if (argc > 1) dig(2, atoi(argv[1]));
}
