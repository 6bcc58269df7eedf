// doctest's implementation and its main, for every test program that needs no main of its own.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest.h>
