// Exceptions of C++: through frames with destructors, caught by type, thrown again, nested, and not caught.
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>

namespace {

struct Noisy {
  const char *name;
  ~Noisy() { std::printf("  ~%s\n", name); }
};

struct Base {
  virtual ~Base() = default;
  virtual int code() const { return 1; }
};
struct Derived : Base {
  int value;
  explicit Derived(int value) : value(value) {}
  int code() const override { return value; }
};

[[noreturn]] void raise(int kind) {
  Noisy here{"raise"};
  switch (kind) {
  case 0: throw 7;
  case 1: throw "text";
  case 2: throw Derived(42);
  case 3: throw std::out_of_range("past the end");
  case 4: throw std::string("a string");
  default: throw 2.5;
  }
}

int deep(int depth, int kind) {
  Noisy here{depth % 2 ? "odd" : "even"};
  if (depth == 0) raise(kind);
  return deep(depth - 1, kind) + 1;
}

void attempt(int kind) {
  std::printf("kind %d\n", kind);
  try {
    deep(3, kind);
  } catch (int number) {
    std::printf("int %d\n", number);
  } catch (const char *text) {
    std::printf("text %s\n", text);
  } catch (const Base &base) {
    std::printf("base %d\n", base.code());
  } catch (const std::logic_error &error) {
    std::printf("logic_error %s\n", error.what());
  } catch (const std::string &text) {
    std::printf("string %s\n", text.c_str());
  } catch (...) {
    std::printf("something else\n");
  }
}

void again() {
  Noisy here{"again"};
  try {
    deep(0, 2);
  } catch (Base &base) {
    std::printf("seen %d\n", base.code());
    throw;
  }
}

void nested() {
  try {
    try {
      deep(1, 3);
    } catch (const std::exception &) {
      std::throw_with_nested(std::runtime_error("outer"));
    }
  } catch (const std::exception &error) {
    std::printf("%s", error.what());
    try {
      std::rethrow_if_nested(error);
    } catch (const std::exception &inner) {
      std::printf(" of %s\n", inner.what());
    }
  }
}

struct Member {
  Member() { throw std::runtime_error("a member"); }
};
struct Whole {
  Noisy first{"first member"};
  Member second;
};

} // namespace

int main(int argc, char **argv) {
  if (argc > 1) {
    std::printf("nobody catches %s\n", argv[1]);
    std::fflush(stdout);
    deep(2, std::atoi(argv[1]));
  }
  for (int kind = 0; kind < 6; kind++) attempt(kind);
  try {
    again();
  } catch (const Derived &derived) {
    std::printf("again %d\n", derived.value);
  }
  nested();
  try {
    Whole whole;
  } catch (const std::exception &error) {
    std::printf("%s\n", error.what());
  }
  std::exception_ptr held;
  try {
    std::printf("%d\n", std::stoi("no number"));
  } catch (...) {
    held = std::current_exception();
  }
  try {
    std::rethrow_exception(held);
  } catch (const std::invalid_argument &error) {
    std::printf("held: %s\n", error.what());
  }
  long long sum = 0;
  for (int i = 0; i < 100000; i++) {
    try {
      if (i % 3 == 0) throw i;
      sum += 1;
    } catch (int caught) {
      sum += caught;
    }
  }
  std::printf("%lld, %d not caught\n", sum, std::uncaught_exceptions());
}
