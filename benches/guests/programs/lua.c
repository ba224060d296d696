// Runs a Lua program that uses tables, strings, closures and numbers. It raises no error: neither does the other build have a longjmp.
#include "bench.h"
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

static const char *const program =
    "local function sieve(n) local is, count = {}, 0 for i = 2, n do is[i] = true end\n"
    "  for i = 2, n do if is[i] then count = count + 1 for j = i * i, n, i do is[j] = false end end end return count end\n"
    "local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end\n"
    "local Point = {} Point.__index = Point\n"
    "function Point.new(x, y) return setmetatable({x = x, y = y}, Point) end\n"
    "function Point:add(other) return Point.new(self.x + other.x, self.y + other.y) end\n"
    "local words, at = {}, 0\n"
    "for word in string.gmatch(string.rep('the quick brown fox jumps over the lazy dog ', 4000), '%a+') do\n"
    "  words[word] = (words[word] or 0) + 1 at = at + #word end\n"
    "local sum = Point.new(0, 0) for i = 1, 300000 do sum = sum:add(Point.new(i, i * 0.5)) end\n"
    "local list = {} local seed = 42\n"
    "for i = 1, 60000 do seed = (seed * 1103515245 + 12345) % 2147483648 list[i] = seed end table.sort(list)\n"
    "local parts = {} for i = 1, 40000 do parts[#parts + 1] = string.format('%d:%x', i, list[i]) end\n"
    "return string.format('%d %d %d %d %.1f %d %d', sieve(400000), fib(26), words.the, at, sum.y, list[1], #table.concat(parts, ','))";

int main(void) {
  begin();
  lua_State *lua = luaL_newstate();
  require(lua != NULL, "there is no memory");
  static const luaL_Reg libraries[] = {
      {LUA_GNAME, luaopen_base}, {LUA_TABLIBNAME, luaopen_table}, {LUA_STRLIBNAME, luaopen_string}, {NULL, NULL}};
  for (const luaL_Reg *library = libraries; library->func; library++) {
    luaL_requiref(lua, library->name, library->func, 1);
    lua_pop(lua, 1);
  }
  require(luaL_loadstring(lua, program) == LUA_OK, "the program has a mistake");
  lua_call(lua, 0, 1);
  size_t size;
  const char *result = lua_tolstring(lua, -1, &size);
  check(result, size);
  lua_close(lua);
  end();
}
