// Never ends by itself: a guest for --timeout and for signals.
#include <stdio.h>

int main(void) {
    puts("counting");
    fflush(stdout);
    for (volatile unsigned long count = 0;; count++)
        ;
}
