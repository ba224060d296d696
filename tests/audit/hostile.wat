(module $"\1b]0;owned\07<script>alert(1)</script>"
  (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write\00" (func))
  (import "\1b[2J" "<img src=x onerror=alert(1)>" (func))
  (import "env" "a|b`c``d [x](http://example.org) {0} \"'&amp; \e2\80\ae\c2\9b31m" (func))
  (import "env" "line\0d\0abreak\0a| cell |" (global i32))
  (import "" "" (memory 1))
  (func (export "\0a::error::injected\0a"))
  (func (export "</code></td><script>1</script>")))
