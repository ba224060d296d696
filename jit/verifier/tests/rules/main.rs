//! Bad code, by hand: for each rule code that breaks it, beside code that is nearly the same and does not (T64 to T71).
//!
//! | file | rules about |
//! |---|---|
//! | `memory` | linear memories, the context and constants: what is read and written (T64, T65) |
//! | `control` | which instructions there are, branches, returns and the stack (T66, T68, T69) |
//! | `tables` | tables, what is called through them, and callees' contexts (T67, T70) |
//! | `host` | calls of the host and of the runtime (T67) |
//! | `jumps` | jump tables (T56, T67) |
//! | `metadata` | what tables say of code (T57) |
//! | `work` | time and memory (T71) |

#![allow(clippy::cast_possible_truncation, reason = "all addresses are below 2 GiB")]

mod control;
mod host;
mod jumps;
mod memory;
mod metadata;
#[path = "../support/mod.rs"]
mod support;
mod tables;
mod work;

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use support::{Bench, CELL, CONTEXT, DESCRIPTOR, FUNCTIONS, MEMORY, Mode, RESULTS, TABLES};
use wave_contract::abi::{FUEL, RESULT_AREA_BYTES};
use wave_contract::context::{
    ARENA, Addressing, ContextLayout, FIRST_MEMORY, FixedAddresses, GlobalSlot, STACK_LIMIT, TABLE_ENTRIES,
};
use wave_contract::image::{CodeRange, TEXT_PADDING};
use wave_contract::libcall::Libcall;
use wave_contract::trap::TrapCode;
use wave_verifier::{Rule, VerifyError, verify};

const MODULE: &str = r#"(module
  (type $unary (func (param i32) (result i32)))
  (type $nothing (func))
  (type $many (func (param i64 i64 i64 i64 i64 i64 i64 i64)))
  (import "host" "call" (func $host (type $unary)))
  (import "host" "variable" (global $imported (mut i64)))
  (memory 1 10)
  (table $long 4 10 funcref)
  (table $other 2 2 funcref)
  (global $constant i64 (i64.const 1))
  (global $variable (mut i64) (i64.const 2))
  (func $subject (type $unary) (local.get 0))
  (func $callee (type $nothing))
  (func $popper (type $many)))"#;

/// Functions of the module.
const SUBJECT: usize = 1;
const CALLEE: usize = 2;
const POPPER: usize = 3;

const MEM: i32 = MEMORY as i32;
const TABLE: i32 = TABLES as i32;
const ENTRY: i32 = TABLE + TABLE_ENTRIES as i32;
const FUNCTION_TABLE: i32 = FUNCTIONS as i32;
const OTHER_TABLE: i32 = TABLE + 0x10_0000;
const CTX: i32 = CONTEXT as i32;

type Assembled = Result<(), IcedError>;

/// A few instructions.
type Step<'a> = &'a dyn Fn(&mut CodeAssembler) -> Assembled;

fn fixed() -> Bench {
    Bench::new(Mode::Fixed, MODULE.as_bytes())
}

fn arg() -> Bench {
    Bench::new(Mode::Arg, MODULE.as_bytes())
}

/// Code that is followed by a return.
#[track_caller]
fn accepts(bench: &Bench, what: &str, code: impl FnOnce(&mut CodeAssembler) -> Assembled) {
    bench.accepts(what, bench.with(SUBJECT, |a| code(a).and_then(|()| a.ret())));
}

#[track_caller]
fn refuses(bench: &Bench, rule: Rule, what: &str, code: impl FnOnce(&mut CodeAssembler) -> Assembled) {
    bench.refuses(rule, what, bench.with(SUBJECT, |a| code(a).and_then(|()| a.ret())));
}

/// Code in the middle of bytes that are given: an instruction of which an assembler knows nothing.
#[track_caller]
fn refuses_bytes(bench: &Bench, rule: Rule, what: &str, bytes: &[u8]) {
    bench.refuses(rule, what, bench.with_bytes(SUBJECT, &[bytes, &[0xc3]].concat()));
}

fn layout(bench: &Bench) -> ContextLayout {
    ContextLayout::new(&bench.info).expect("a small module")
}

/// Offset of a global's cell in the context.
fn cell(bench: &Bench, global: u32) -> i32 {
    let GlobalSlot::Cell(cell) = layout(bench).global(global) else { panic!("it is imported") };
    cell as i32
}

/// Reads linear memory at RAX.
fn load(a: &mut CodeAssembler, mode: Mode) -> Assembled {
    match mode {
        Mode::Fixed => a.mov(ecx, dword_ptr(rax + MEM)),
        Mode::Arg => {
            a.mov(rdx, qword_ptr(rdi + FIRST_MEMORY as i32))?;
            a.mov(ecx, dword_ptr(rdx + rax))
        }
    }
}

trait Nop {
    fn nop_3(&mut self) -> Assembled;
}

impl Nop for CodeAssembler {
    fn nop_3(&mut self) -> Assembled {
        self.db(&[0x0f, 0x1f, 0x00])
    }
}
