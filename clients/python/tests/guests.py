"""Module texts of programs that the tests run."""

from __future__ import annotations

SPINS = '(module (func (export "_start") (loop (br 0))))'
TRAPS = '(module (func $f unreachable) (func $g (export "_start") (call $f)))'
RAISES = """(module (import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))
  (memory (export "memory") 1) (func (export "_start") (drop (call $raise (i32.const 15)))))"""

# Copies standard input to standard output.
COPIES = """(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (loop $again
      (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 65536))
      (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $again (i32.load (i32.const 4))))))"""


def prints(text: str, times: int = 1, code: int = 0) -> str:
    """A program that prints the same line to both streams, again and again, and exits."""
    data = "".join(f"\\{byte:02x}" for byte in text.encode() + b"\n")
    return f"""(module
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
      (memory (export "memory") 2) (global $left (mut i32) (i32.const {times}))
      (func (export "_start")
        (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const {len(text.encode()) + 1}))
        (loop $again
          (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
          (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))
          (global.set $left (i32.sub (global.get $left) (i32.const 1)))
          (br_if $again (global.get $left)))
        (call $exit (i32.const {code})))
      (data (i32.const 16) "{data}"))"""
