// Lua includes this header, and WASI's C library has none. With LUAI_TRY and LUAI_THROW defined, nothing of it is used.
