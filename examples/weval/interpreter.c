// An interpreter of a small stack machine, and a program for it. With -DWEVAL, it asks weval for a
// copy of `interpret` that is specialized to the program.
#include <stdint.h>

#ifdef WEVAL
#define INTRINSIC(name) __attribute__((import_module("weval"), import_name(name)))
INTRINSIC("push.context") void push_context(uint32_t pc);
INTRINSIC("update.context") void update_context(uint32_t pc);
INTRINSIC("pop.context") void pop_context(void);
INTRINSIC("specialize.value") uint32_t each_of(uint32_t value, uint32_t least, uint32_t most);
INTRINSIC("read.reg") uint64_t read_register(uint64_t index);
INTRINSIC("write.reg") void write_register(uint64_t index, uint64_t value);
#else
#define push_context(pc)
#define update_context(pc)
#define pop_context()
#define each_of(value, least, most) (value)
static uint64_t registers[64];
static uint64_t read_register(uint32_t index) { return registers[index]; }
static void write_register(uint32_t index, uint64_t value) { registers[index] = value; }
#endif

enum operation { PUSH, GET, SET, ADD, MULTIPLY, SHIFT, AND, LESS, JUMP, JUMP_IF_ZERO, RETURN };

struct instruction {
  uint32_t operation, operand;
};

typedef uint64_t interpreter(const struct instruction *code, uint64_t argument);

// Registers 0 to 3 are locals, those from 16 on the operand stack. Local 0 is the argument.
static uint64_t interpret(const struct instruction *code, uint64_t argument) {
  uint32_t pc = 0, top = 16;
  write_register(0, argument);
  write_register(1, 0);
  write_register(2, 0);
  write_register(3, 0);
  push_context(pc);
  for (;;) {
    struct instruction now = code[pc++];
    switch (now.operation) {
    case PUSH: write_register(top++, now.operand); break;
    case GET: write_register(top++, read_register(now.operand)); break;
    case SET: write_register(now.operand, read_register(--top)); break;
#define BINARY(name, expression) \
  case name: { \
    uint64_t b = read_register(--top), a = read_register(top - 1); \
    write_register(top - 1, expression); \
    break; \
  }
    BINARY(ADD, a + b)
    BINARY(MULTIPLY, a * b)
    BINARY(SHIFT, a >> (b & 63))
    BINARY(AND, a & b)
    BINARY(LESS, a < b)
    case JUMP: pc = now.operand; break;
    case JUMP_IF_ZERO:
      if (each_of(read_register(--top) == 0, 0, 1)) pc = now.operand;
      break;
    case RETURN: pop_context(); return read_register(--top);
    default: __builtin_trap();
    }
    update_context(pc);
  }
}

// How many steps 3 n + 1 takes from each number below the argument to 1. Locals: 1 is the number,
// 2 is n, 3 counts the steps.
#define COLLATZ \
  {PUSH, 1}, {SET, 1}, /*  0 */ \
  {GET, 1}, {GET, 0}, {LESS, 0}, {JUMP_IF_ZERO, 34}, /*  2: next number */ \
  {GET, 1}, {SET, 2}, /*  6 */ \
  {PUSH, 1}, {GET, 2}, {LESS, 0}, {JUMP_IF_ZERO, 29}, /*  8: next step */ \
  {GET, 3}, {PUSH, 1}, {ADD, 0}, {SET, 3}, /* 12 */ \
  {GET, 2}, {PUSH, 1}, {AND, 0}, {JUMP_IF_ZERO, 24}, /* 16 */ \
  {GET, 2}, {PUSH, 3}, {MULTIPLY, 0}, {JUMP, 36}, /* 20: odd */ \
  {GET, 2}, {PUSH, 1}, {SHIFT, 0}, {SET, 2}, {JUMP, 8}, /* 24: even */ \
  {GET, 1}, {PUSH, 1}, {ADD, 0}, {SET, 1}, {JUMP, 2}, /* 29 */ \
  {GET, 3}, {RETURN, 0}, /* 34: done */ \
  {PUSH, 1}, {ADD, 0}, {SET, 2}, {JUMP, 8} /* 36: the rest of odd */

enum { LENGTH = 40 };

#ifdef WEVAL
// The structures of weval.h, filled in by the compiler instead of by a snapshot of a running program.
static struct {
  uint32_t specialize, type, length, padded_length;
  struct instruction code[LENGTH];
  uint32_t runtime, none;
  uint64_t unused;
} arguments = {1, 4, sizeof arguments.code, sizeof arguments.code, {COLLATZ}, 0, 255, 0};

static interpreter *specialized;

static struct request {
  struct request *next, *previous;
  uint32_t id, globals;
  interpreter *generic;
  void *arguments;
  uint32_t length;
  interpreter **specialized;
} request = {0, 0, 1, 0, interpret, &arguments, sizeof arguments, &specialized};

static struct request *pending = &request;
static uint8_t is_specialized;
__attribute__((export_name("weval.pending.head"))) struct request **pending_head(void) { return &pending; }
__attribute__((export_name("weval.is.wevaled"))) uint8_t *is_wevaled(void) { return &is_specialized; }

static uint64_t run(uint64_t argument) { return (*(interpreter *volatile *)&specialized)(arguments.code, argument); }
#else
static const struct instruction code[LENGTH] = {COLLATZ};
static uint64_t run(uint64_t argument) { return interpret(code, argument); }
#endif

__attribute__((import_module("wasi_snapshot_preview1"), import_name("fd_write")))
uint32_t fd_write(uint32_t fd, const void *buffers, uint32_t count, uint32_t *written);

__attribute__((export_name("_start"))) void start(void) {
  static char text[24];
  char *first = text + sizeof text;
  *--first = '\n';
  for (uint64_t left = run(300000); left > 0; left /= 10) *--first = '0' + left % 10;
  struct { char *start; uint32_t length; } buffer = {first, text + sizeof text - first};
  uint32_t written;
  fd_write(1, &buffer, 1, &written);
}
