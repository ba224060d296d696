// Prints random bytes from the host in hexadecimal.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 16;
    if (argc > 2 || count < 1 || count > 256) {
        fputs("usage: random [COUNT, 1 to 256]\n", stderr);
        return 2;
    }
    unsigned char bytes[256];
    if (getentropy(bytes, count) < 0) {
        perror("random");
        return 1;
    }
    for (long i = 0; i < count; i++)
        printf("%02x", bytes[i]);
    putchar('\n');
    return 0;
}
