// What a configure script would find out for Oniguruma, on both machines.
#define HAVE_ALLOCA_H 1
#define HAVE_STDINT_H 1
#define HAVE_STRING_H 1
#define SIZEOF_INT 4
#define SIZEOF_LONG __SIZEOF_LONG__
#define SIZEOF_LONG_LONG 8
#define SIZEOF_VOIDP __SIZEOF_POINTER__
